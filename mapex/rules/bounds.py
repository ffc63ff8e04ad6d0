"""The largest amounts and quantities, and what to do where a price is larger. Pure.

Every amount of money and every quantity of a layer is a whole number that a browser reads exactly from JSON. Where they are made (a
draft, an offer, a payment, an estimate) a larger one is refused or left out, so that sums of them fit the 64 bits of both databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from mapex.errors import Invalid
from mapex.rules.pricing import Charge, charges_of, vat_of
from tiles.batch import LayerKind, Quantities

MAX_AMOUNT = 2**53 - 1
"""KRW of a price with its tax, a payment, a balance."""

MAX_QUANTITY = 2**53 - 1
"""Small units of a layer (`pricing.Unit.small`)."""

Measured = tuple[str, LayerKind, Quantities]
"""A layer: its name, kind, and the price vector of all of it."""


def with_vat(subtotal: int) -> int:
    """A price with its tax."""
    return subtotal + vat_of(subtotal)


def fitting(subtotals: Sequence[int]) -> list[bool]:
    """Which of some prices can be charged together: as many as possible, the cheapest first, so that no absurd one crowds others out."""
    order = sorted(range(len(subtotals)), key=lambda at: subtotals[at])
    fits = [False] * len(subtotals)
    for at, running in zip(order, accumulate(subtotals[at] for at in order), strict=True):
        fits[at] = with_vat(running) <= MAX_AMOUNT
    return fits


def check_card(layers: Iterable[Measured], rates: Mapping[str, int]) -> None:
    """Pass when all of these layers together can be paid at these rates, so that any part of them can.

    Raises: Invalid: `rates.too_large`, with the layer and what may be charged for it at most.
    """
    whole = 0
    for name, kind, quantities in layers:
        for charge in charges_of(kind, rates, quantities, Quantities()):
            if with_vat(whole + charge.amount) > MAX_AMOUNT:
                raise _too_large(name, charge, whole)
            whole += charge.amount


def _too_large(layer: str, charge: Charge, before: int) -> Invalid:
    """`before`: what was charged for the layers and units that were counted before this one."""
    largest = MAX_AMOUNT * 10 // 11
    most = max(0, (largest - before) * charge.unit.divisor // charge.small)
    message = (
        f"At {charge.rate:,} KRW, the {charge.quantity:,f} {charge.unit} of the layer {layer} cost {charge.amount:,} KRW, and all that is "
        f"charged before VAT may be {largest:,} KRW. Ask for at most {most:,} KRW per {charge.unit}, or publish smaller versions."
    )
    return Invalid("rates.too_large", message, layer=layer, unit=str(charge.unit), amount=str(charge.amount), largest=largest, rate=most)


def too_large(totals: Mapping[str, Quantities]) -> list[tuple[str, str, int]]:
    """Layer, quantity and value of each quantity that is larger than a layer can have."""
    return [
        (layer, name, getattr(one, name))
        for layer, one in totals.items()
        for name in Quantities.__dataclass_fields__
        if getattr(one, name) > MAX_QUANTITY
    ]
