"""Prices: rate cards, quantities in sale units, amounts and tax. Pure integer arithmetic in KRW; nothing is rounded twice.

A rate card is `{unit: KRW per unit}`; a tile's price vector (`tiles.batch.Quantities`) counts in small units, so that a line is
`round-half-up(small x rate / divisor)` of one exact integer, however many tiles it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from mapex.errors import Invalid
from tiles.batch import LayerKind, Quantities

CURRENCY = "KRW"
VAT_PERCENT = 10
"""Korean value added tax (부가가치세법 제30조)."""

MAX_RATE = 10**9
"""KRW per unit; what it makes of a layer is bounded by `mapex.rules.bounds`."""


class Unit(StrEnum):
    """What a rate is charged for: one row each.

    `divisor` small units of the price vector's `column` make one; `small` names the small unit. `example` is the rate (KRW) that an
    empty field of the page shows; nothing is charged by it.
    """

    column: str
    small: str
    divisor: int
    example: int

    LANE_KM = "lane_km", "lane_mm", "mm", 1_000_000, 6_300
    FOOTWAY_KM = "footway_km", "footway_mm", "mm", 1_000_000, 2_900
    CYCLEWAY_KM = "cycleway_km", "cycleway_mm", "mm", 1_000_000, 2_500
    CROSSING = "crossing", "crossings", "piece", 1, 300
    SIGN = "sign", "signs", "piece", 1, 100
    SIGNAL = "signal", "signals", "piece", 1, 500
    MILLION_POINTS = "million_points", "points", "point", 1_000_000, 4_000
    FRAME = "frame", "frames", "frame", 1, 20
    MINUTE = "minute", "ms", "ms", 60_000, 600
    GB = "gb", "bytes", "byte", 1_000_000_000, 5_000

    def __new__(cls, code: str, column: str, small: str, divisor: int, example: int) -> Unit:
        """A member that is its code, with the rest of its row."""
        unit = str.__new__(cls, code)
        unit._value_ = code
        unit.column, unit.small, unit.divisor, unit.example = column, small, divisor, example
        return unit


UNITS: Mapping[str, Unit] = MappingProxyType({unit.value: unit for unit in Unit})
"""Every unit by its code, in the order of a bill."""

MAIN_UNIT: Mapping[LayerKind, Unit] = MappingProxyType(
    {
        LayerKind.HDMAP: Unit.LANE_KM,
        LayerKind.SIDEWALK: Unit.FOOTWAY_KM,
        LayerKind.POINTCLOUD: Unit.MILLION_POINTS,
        LayerKind.RECORDING: Unit.FRAME,
        LayerKind.PHOTOS: Unit.FRAME,
        LayerKind.VIDEO: Unit.FRAME,
    }
)
"""The unit that stands on a line of a layer when the rate card charges nothing in the region: every layer that comes with an
order is on its bill, be it with 0."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One unit of one layer: `small` is what is charged in small units (`Unit.small`), after what is owned was taken off."""

    unit: Unit
    small: int
    rate: int
    amount: int

    @property
    def quantity(self) -> Decimal:
        """`small` in the unit; exact but for minutes, which are rounded to 1e-9."""
        return quantity_of(self.unit, self.small)


def read_rates(rates: Mapping[str, object]) -> dict[str, int]:
    """The rate card as it is stored: known units, integer KRW, sorted by unit.

    Raises: Invalid: `rates.empty`, `rates.unit` or `rates.value`.
    """
    if not isinstance(rates, Mapping) or not rates:
        raise Invalid("rates.empty", f"A rate card names at least one unit and its price in KRW; units are {', '.join(Unit)}.")
    for unit, rate in rates.items():
        if unit not in UNITS:
            raise Invalid("rates.unit", f"Unknown unit {unit!r} in the rate card; units are {', '.join(Unit)}.", unit=str(unit))
        if isinstance(rate, bool) or not isinstance(rate, int) or not 0 <= rate <= MAX_RATE:
            raise Invalid("rates.value", f"The rate of {unit} must be a whole number of KRW from 0 to {MAX_RATE}, not {rate!r}.", unit=unit)
    return {str(unit): rate for unit, rate in sorted(rates.items()) if isinstance(rate, int)}


def quantity_of(unit: Unit, small: int) -> Decimal:
    """`small` small units in the unit."""
    quantity = Decimal(small) / unit.divisor
    return quantity if 10**9 % unit.divisor == 0 else round(quantity, 9)


def amount_of(unit: Unit, small: int, rate: int) -> int:
    """KRW for `small` small units, rounded half up.

    Raises: ValueError: negative arguments; a price vector has none.
    """
    if small < 0 or rate < 0:
        raise ValueError(f"negative quantity or rate: {small} {unit} at {rate}")
    return (2 * small * rate + unit.divisor) // (2 * unit.divisor)


def charges_of(kind: LayerKind, rates: Mapping[str, int], total: Quantities, owned: Quantities) -> list[Charge]:
    """What a layer costs: one charge for each unit of the rate card that the layer has any of, priced without what is owned."""
    charges = []
    for unit in _in_order(tuple(rates)):
        rate, whole = rates[unit], getattr(total, unit.column)
        if whole == 0:
            continue
        small = whole - getattr(owned, unit.column)
        charges.append(Charge(unit, small, rate, amount_of(unit, small, rate)))
    if charges:
        return charges
    unit = MAIN_UNIT[kind]
    small = getattr(total, unit.column) - getattr(owned, unit.column)
    rate = rates.get(unit, 0)
    return [Charge(unit, small, rate, amount_of(unit, small, rate))]


@lru_cache(maxsize=4096)
def _in_order(units: tuple[str, ...]) -> tuple[Unit, ...]:
    """These units in the order of a bill."""
    return tuple(unit for unit in UNITS.values() if unit in units)


def credited(prices: Sequence[int], earlier: int) -> list[int]:
    """What of `earlier`, the KRW that were paid before, is credited on each of the lines of a layer at these prices.

    All of it is, in the order of the bill, the last line that costs anything taking the rest, be it more than its price: what was paid is
    neither lost nor paid back, and is what a still wider use may credit. Where nothing is to be paid nothing is credited.
    """
    shares, left = [0] * len(prices), earlier
    paying = [at for at, price in enumerate(prices) if price]
    for at in paying:
        shares[at] = left if at == paying[-1] else min(left, prices[at])
        left -= shares[at]
    return shares


def part_of(paid: int, small: int, whole: int) -> int:
    """The KRW of `paid`, for `whole` small units, that `small` of them were: rounded down, so that no parts are more than the whole."""
    return paid * small // whole


def kept_credit(kept: int, paid: tuple[int, int], price: tuple[int, int]) -> int:
    """What is credited for the `kept` features of a tile that did not change: what was paid for them, at most what they cost now.

    Args:
        paid, price: KRW for the tile as it was and as it is, each with how many features it has; they cost the same each.
    """
    return min(part_of(amount, min(kept, features), features) if features else 0 for amount, features in (paid, price))


def least_price(rates: Mapping[str, int], quantities: Quantities) -> int:
    """KRW for one of many tiles, each unit rounded down, so that they are no more than the price of all."""
    return sum(getattr(quantities, UNITS[unit].column) * rate // UNITS[unit].divisor for unit, rate in rates.items())


def columns_of(cards: Iterable[Mapping[str, int]]) -> frozenset[str]:
    """The columns of price vectors that these rate cards charge, and those of the main units, which stand on every bill."""
    return frozenset(UNITS[unit].column for units in (MAIN_UNIT.values(), *cards) for unit in units)


def vat_of(subtotal: int) -> int:
    """Value added tax on a subtotal, rounded down to whole KRW."""
    return subtotal * VAT_PERCENT // 100


WHOLE = 10_000
"""Hundredths of a percent in one."""


def signed_vat_of(amount: int) -> int:
    """Value added tax on an amount that may be negative, rounded towards zero."""
    return vat_of(amount) if amount >= 0 else -vat_of(-amount)


def fee_of(amount: int, rate: int) -> int:
    """The operator's fee of what a seller sold in one order: `rate` in hundredths of a percent, rounded half up to whole KRW."""
    return (amount * rate + WHOLE // 2) // WHOLE


@lru_cache(maxsize=4096)
def parsed_rates(text: str) -> Mapping[str, int]:
    """A stored rate card, parsed once: an offer's card never changes."""
    import json

    return MappingProxyType(json.loads(text))
