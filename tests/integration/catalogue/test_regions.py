"""Maps open where most is on offer, whatever came last; each region has a name and a number, and what is gone leaves nothing."""

from __future__ import annotations

import dataclasses

import pytest

from mapex.atlas import regions
from mapex.exchange import Exchange
from mapex.offers import offers
from tests.support.exchange import a_person
from tests.support.market import RATES, a_draft, a_layer, a_market, a_permit, block
from tiles.box import Box
from tiles.grid import grid
from web import create_app
from web.pages import public

PANGYO = int(grid.cells_at([127.1115], [37.3915])[0])
KARLSRUHE = int(grid.cells_at([8.404], [49.013])[0])


def offered(ex: Exchange, slug: str, cells: list[int]) -> None:
    seller = a_person(ex, "saebom")
    a_draft(ex, seller, slug, [a_layer(cells, salt=slug)])
    offers.publish(ex, seller, slug, rate_card=RATES, licence="research")


def test_nothing_on_offer_is_nowhere(exchange: Exchange) -> None:
    assert regions.regions(exchange) == [] and regions.home(exchange) is None and regions.example(exchange) is None


def test_the_newest_upload_moves_nobodys_map(exchange: Exchange) -> None:
    a_market(exchange, layers=[a_layer(block(4, PANGYO))])
    before = regions.home(exchange)
    offered(exchange, "karlsruhe", block(2, KARLSRUHE))
    found = regions.regions(exchange)
    assert [(one.named.names[:2], one.squares) for one in found] == [(("경기도", "성남시 분당구"), 16), ((), 4)]
    assert regions.home(exchange) == before and before and before.contains(127.1115, 37.3915)
    assert not found[0].box.contains(8.404, 49.013)
    example = regions.example(exchange)
    assert example and found[0].box.contains(*example.centre)


@pytest.mark.parametrize("exact", [10**6, 1])
def test_squares_are_counted_once_however_many_sell_them(exchange: Exchange, exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "EXACT", exact)
    cells = block(4, PANGYO)
    a_market(exchange, layers=[a_layer(cells), a_layer(cells, name="more")])
    offered(exchange, "again", cells[:8])
    assert sum(one.squares for one in regions.regions(exchange)) == 16
    example = regions.example(exchange)
    assert example
    first, end = grid.children(int(grid.cells_at([example.centre[0]], [example.centre[1]], 15)[0]), 15, 16)
    assert any(first <= cell < end for cell in cells)


def test_what_is_withdrawn_leaves_no_region(exchange: Exchange) -> None:
    market = a_market(exchange, layers=[a_layer(block(2, PANGYO))])
    offered(exchange, "karlsruhe", block(2, KARLSRUHE))
    assert len(regions.regions(exchange)) == 2
    offers.withdraw(exchange, market.seller, "streets")
    assert [one.named.names for one in regions.regions(exchange)] == [()]


@pytest.mark.parametrize(
    ("home", "place"), [("판교동", (127.1, 37.39)), ("37.39, 127.11", (127.11, 37.39)), ("127.0,37.3,127.2,37.5", (127.1, 37.4))]
)
def test_the_operator_configures_a_home(exchange: Exchange, home: str, place: tuple[float, float]) -> None:
    a_market(exchange)
    ex = dataclasses.replace(exchange, settings=dataclasses.replace(exchange.settings, home=home))
    box = regions.home(ex)
    assert box and box.contains(*place) and box.width < 1


def test_a_home_that_is_nowhere_is_passed_over(exchange: Exchange, caplog: pytest.LogCaptureFixture) -> None:
    a_market(exchange)
    ex = dataclasses.replace(exchange, settings=dataclasses.replace(exchange.settings, home="없는곳"))
    assert regions.home(ex) == regions.home(exchange)
    assert "no known place" in caplog.text


def test_who_holds_a_permit_sees_its_area_first(exchange: Exchange) -> None:
    market = a_market(exchange)
    square = [[[127.0, 37.3], [127.2, 37.3], [127.2, 37.5], [127.0, 37.5], [127.0, 37.3]]]
    a_permit(exchange, area={"type": "Polygon", "coordinates": square})
    with create_app(exchange).test_request_context("/explore"):
        assert public.permitted(exchange, market.buyer) == Box(127.0, 37.3, 127.2, 37.5)
        assert public.permitted(exchange, market.seller) is None and public.permitted(exchange, None) is None
