"""What a rate card would cost buyers, before it is published: the same to the won as what they are asked afterwards."""

from __future__ import annotations

import pytest

from mapex.errors import Invalid, NotFound
from mapex.exchange import Exchange
from mapex.offers import appraisals, offers
from mapex.prices import estimates
from mapex.prices.request import of_area
from tests.support.exchange import a_person
from tests.support.market import RATES, a_draft, a_layer, area, block
from tiles.batch import LayerKind, Quantities
from tiles.grid import grid


def cells_of(tile: str) -> list[int]:
    low, high = grid.children(*grid.cell_from_quadkey(tile), grid.ZOOM)
    return list(range(low, high))


def test_the_draft_costs_what_a_buyer_is_asked_after_publication(exchange: Exchange) -> None:
    seller, buyer = a_person(exchange, "hanbit"), a_person(exchange, "dongil")
    dense = a_layer(block(2), name="sidewalks", kind=LayerKind.SIDEWALK, each=Quantities(footway_mm=1_234_567, crossings=3))
    number = a_draft(exchange, seller, "streets", [a_layer(block(5)), dense])
    found = appraisals.appraise(exchange, seller, "streets", number, RATES)
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    for square in (found.median, found.dearest):
        asked = estimates.estimate(exchange, buyer, of_area(area(cells_of(square.tile)), purpose="research"))
        assert (asked.subtotal, asked.vat, asked.total) == (square.bill.subtotal, square.bill.vat, square.bill.total)
        assert 900_000 < square.area_m2 < 1_000_000
    whole = estimates.estimate(exchange, buyer, of_area(area(block(5)), purpose="research"))
    assert (whole.subtotal, whole.total) == (found.whole.subtotal, found.whole.total)
    totals = sorted(
        estimates.estimate(exchange, buyer, of_area(area(cells_of(grid.quadkey(tile, 15))), purpose="research")).total
        for tile in {cell >> 2 for cell in block(5)}
    )
    assert found.squares == len(totals)
    assert (found.median.bill.total, found.dearest.bill.total) == (totals[(len(totals) - 1) // 2], totals[-1])


def test_a_typical_km2_is_a_km2(exchange: Exchange) -> None:
    """Of a square of less than 1 km2, quantities and prices are those of 1 km2 that is as dense; each line is its quantity at its rate."""
    seller = a_person(exchange, "hanbit")
    number = a_draft(exchange, seller, "streets", [a_layer(block(4), each=Quantities(lane_mm=123_456_789))])
    found = appraisals.appraise(exchange, seller, "streets", number, {"lane_km": 6300})
    for square in (found.median, found.dearest):
        ((line,), (dense,)) = (square.bill.lines, square.per_km2.lines)
        assert dense.charge.small == round(line.charge.small * 1_000_000 / square.area_m2)
        assert dense.charge.amount == (dense.charge.small * 6300 + 500_000) // 1_000_000 == square.per_km2.subtotal
        assert square.per_km2.subtotal == pytest.approx(square.bill.subtotal * 1e6 / square.area_m2, abs=1)
        assert square.per_km2.total == square.per_km2.subtotal + square.per_km2.vat


@pytest.mark.parametrize(
    ("rate", "is_fine"), [(0, True), (10**9, True), (10**9 + 1, False), (12.5, False), (-1, False), ("7,000", False), (True, False)]
)
def test_rates_are_whole_won_within_bounds(exchange: Exchange, rate: object, is_fine: bool) -> None:
    seller = a_person(exchange, "hanbit")
    number = a_draft(exchange, seller, "streets", [a_layer(block(2))])
    if is_fine:
        found = appraisals.appraise(exchange, seller, "streets", number, {"lane_km": rate})
        assert found.whole.subtotal == (4 * 1_234_567 * int(str(rate)) + 500_000) // 1_000_000
    else:
        with pytest.raises(Invalid) as refused:
            appraisals.appraise(exchange, seller, "streets", number, {"lane_km": rate})
        assert (refused.value.code, refused.value.details["unit"]) == ("rates.value", "lane_km")


def test_only_the_seller_asks_and_only_of_what_has_tiles(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    number = a_draft(exchange, seller, "streets", [a_layer([])])
    with pytest.raises(NotFound) as refused:
        appraisals.appraise(exchange, seller, "streets", number, RATES)
    assert refused.value.code == "version.no_tiles"
    with pytest.raises(NotFound):
        appraisals.appraise(exchange, a_person(exchange), "streets", number, RATES)
