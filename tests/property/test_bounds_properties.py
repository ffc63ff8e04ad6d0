"""Amounts and quantities at their bounds: what is charged is what a browser reads exactly, and nothing more is refused than must be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex.errors import Invalid
from mapex.prices.estimate import Line, Parts, Pin
from mapex.rules import bounds
from mapex.rules.bounds import MAX_AMOUNT, MAX_QUANTITY
from mapex.rules.pricing import MAX_RATE, UNITS, Unit, amount_of, charges_of
from tiles.batch import LayerKind, Quantities

amounts = st.one_of(st.integers(0, 10**12), st.integers(MAX_AMOUNT // 2, 2 * MAX_AMOUNT), st.just(MAX_AMOUNT), st.just(0))
smalls = st.one_of(st.integers(0, 10**9), st.integers(MAX_QUANTITY - 9, MAX_QUANTITY + 9), st.integers(0, 2**63 - 1))
rates = st.one_of(st.integers(0, MAX_RATE), st.just(MAX_RATE))
units = st.sampled_from(list(Unit))


def a_line(number: int, amount: int, small: int = 1) -> Line:
    return Line("d", "o", 1, f"layer {number:03}", "hdmap", "open", "research", "lane_km", small, 1, amount, 1, 0)


def a_pin(number: int) -> Pin:
    return Pin(f"lay_{number:03}", "off", "org", 0, None, "")


@given(st.lists(amounts, max_size=12))
def test_what_fits_can_be_paid_and_one_more_could_not(prices: list[int]) -> None:
    fits = bounds.fitting(prices)
    paid = sum(price for price, fit in zip(prices, fits, strict=True) if fit)
    assert bounds.with_vat(paid) <= MAX_AMOUNT
    left_out = [price for price, fit in zip(prices, fits, strict=True) if not fit]
    assert all(bounds.with_vat(paid + price) > MAX_AMOUNT for price in left_out)
    assert all(max((p for p, fit in zip(prices, fits, strict=True) if fit), default=0) <= price for price in left_out)


@given(st.lists(st.tuples(amounts, smalls), max_size=12))
def test_an_estimate_sells_what_can_be_paid_and_names_the_rest(layers: list[tuple[int, int]]) -> None:
    parts = Parts([])
    for number, (amount, small) in enumerate(layers):
        parts.layers.append(([a_line(number, amount, small)], a_pin(number)))
    found = parts.together("research", 1.0)
    assert found.subtotal + found.vat == found.total <= MAX_AMOUNT
    assert all(line.small <= MAX_QUANTITY for line in found.lines)
    assert len(found.lines) == len(found.pins) == len(layers) - len(found.refusals)
    assert {one.code for one in found.refusals} <= {"price.too_large"}
    assert {line.layer for line in found.lines} | {one.layer for one in found.refusals} == {f"layer {n:03}" for n in range(len(layers))}
    assert {int(pin.layer_id[4:]) for pin in found.pins} == {int(line.layer[6:]) for line in found.lines}
    assert json.loads(json.dumps(found.total)) == float(found.total)


@given(units, st.integers(1, MAX_QUANTITY), rates)
def test_a_card_is_refused_exactly_when_a_layer_cannot_be_paid_and_names_a_rate_that_can(unit: Unit, small: int, rate: int) -> None:
    whole = Quantities(**{unit.column: small})
    layer = ("hdmap", LayerKind.HDMAP, whole)
    if bounds.with_vat(amount_of(unit, small, rate)) <= MAX_AMOUNT:
        bounds.check_card([layer], {str(unit): rate})
        return
    with pytest.raises(Invalid) as refused:
        bounds.check_card([layer], {str(unit): rate})
    assert refused.value.code == "rates.too_large"
    assert refused.value.details["layer"] == "hdmap" and "hdmap" in refused.value.message
    largest = refused.value.details["rate"]
    assert 0 <= largest < rate
    bounds.check_card([layer], {str(unit): largest})


@given(st.lists(st.tuples(units, st.integers(1, MAX_QUANTITY)), min_size=1, max_size=6), st.dictionaries(units.map(str), rates, min_size=1))
def test_what_a_card_passes_is_paid_in_every_part(layers: list[tuple[Unit, int]], card: dict[str, int]) -> None:
    measured = [(f"l{n}", LayerKind.HDMAP, Quantities(**{unit.column: small})) for n, (unit, small) in enumerate(layers)]
    try:
        bounds.check_card(measured, card)
    except Invalid:
        return
    for part in (1, 2, 3):
        pieces = [Quantities(**{unit.column: small // part}) for unit, small in layers]
        charges = [charge for one in pieces for charge in charges_of(LayerKind.HDMAP, card, one, Quantities())]
        assert all(bounds.fitting([charge.amount for charge in charges]))


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 2**64), max_size=4))
def test_a_layer_is_too_large_exactly_beyond_the_bound(lengths: dict[str, int]) -> None:
    found = bounds.too_large({layer: Quantities(lane_mm=value, features=1) for layer, value in lengths.items()})
    assert found == [(layer, "lane_mm", value) for layer, value in lengths.items() if value > MAX_QUANTITY]


def test_every_unit_reaches_the_bound_with_a_layer_that_can_be() -> None:
    """The bound is no dead letter: at the dearest rate, a layer of each unit can be too dear."""
    assert all(bounds.with_vat(amount_of(unit, MAX_QUANTITY, MAX_RATE)) > MAX_AMOUNT for unit in UNITS.values())
