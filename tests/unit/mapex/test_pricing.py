"""Prices are exact integers: rounding happens once a line, tax is rounded down, cards are checked."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex.errors import Invalid
from mapex.rules.pricing import MAIN_UNIT, Unit, amount_of, charges_of, quantity_of, read_rates, vat_of
from tiles.batch import QUANTITIES, LayerKind, Quantities

small = st.integers(0, 10**15)
rate = st.integers(0, 10**9)


def test_every_unit_measures_a_column_of_the_price_vector() -> None:
    assert {unit.column for unit in Unit} <= set(QUANTITIES)


def test_every_layer_kind_has_a_main_unit() -> None:
    assert set(MAIN_UNIT) == set(LayerKind)


def test_a_kilometre_and_a_half_of_lane() -> None:
    assert amount_of(Unit.LANE_KM, 1_500_000, 6300) == 9450


def test_half_a_won_is_rounded_up() -> None:
    assert amount_of(Unit.LANE_KM, 500_000, 1) == 1
    assert amount_of(Unit.LANE_KM, 499_999, 1) == 0


@given(st.sampled_from(list(Unit)), small, rate)
def test_amount_is_the_decimal_product_rounded_half_up(unit: Unit, small: int, rate: int) -> None:
    if 10**9 % unit.divisor == 0:
        exact = Decimal(small) * rate / unit.divisor
        assert amount_of(unit, small, rate) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    else:
        assert abs(amount_of(unit, small, rate) * unit.divisor - small * rate) * 2 <= unit.divisor


@given(st.integers(0, 10**15))
def test_vat_is_ten_percent_rounded_down(subtotal: int) -> None:
    assert 0 <= subtotal - 10 * vat_of(subtotal) < 10


@given(st.sampled_from([unit for unit in Unit if 10**9 % unit.divisor == 0]), small)
def test_quantity_times_divisor_is_the_small_quantity_again(unit: Unit, small: int) -> None:
    assert quantity_of(unit, small) * unit.divisor == small


@pytest.mark.parametrize("card", [{}, [], None, "lane_km"])
def test_an_empty_rate_card_is_refused(card: object) -> None:
    with pytest.raises(Invalid) as caught:
        read_rates(card)  # type: ignore[arg-type]
    assert caught.value.code == "rates.empty"


@pytest.mark.parametrize("value", [-1, 1.5, "100", True, None, 10**9 + 1, float("nan")])
def test_a_rate_that_is_no_whole_won_is_refused(value: object) -> None:
    with pytest.raises(Invalid) as caught:
        read_rates({"lane_km": value})
    assert caught.value.code == "rates.value"


def test_an_unknown_unit_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Invalid, match="footway_km") as caught:
        read_rates({"mile": 1})
    assert caught.value.code == "rates.unit"


def test_a_free_rate_is_a_rate() -> None:
    assert read_rates({"lane_km": 0}) == {"lane_km": 0}


def test_what_is_owned_is_not_charged() -> None:
    total, owned = Quantities(lane_mm=3_000_000, crossings=4), Quantities(lane_mm=1_000_000, crossings=4)
    charges = charges_of(LayerKind.HDMAP, {"lane_km": 1000, "crossing": 50}, total, owned)
    assert [(c.unit, c.small, c.amount) for c in charges] == [(Unit.LANE_KM, 2_000_000, 2000), (Unit.CROSSING, 0, 0)]


def test_a_layer_that_the_card_does_not_charge_stands_on_the_bill_with_zero() -> None:
    charges = charges_of(LayerKind.PHOTOS, {"lane_km": 1000}, Quantities(frames=7), Quantities())
    assert [(c.unit, c.small, c.rate, c.amount) for c in charges] == [(Unit.FRAME, 7, 0, 0)]


def test_negative_quantities_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="negative"):
        amount_of(Unit.FRAME, -1, 1)
