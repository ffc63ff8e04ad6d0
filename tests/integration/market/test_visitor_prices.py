"""What visitors see without signing in: the prices of a newcomer, and nothing else; on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import select

from mapex.database.schema import metadata
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.offers.search import listings
from mapex.people import orgs
from mapex.prices import cell_prices, estimates
from mapex.prices.request import of_area
from tests.support.exchange import a_person
from tests.support.market import RATES, SEOUL, Market, a_draft, a_layer, a_market, a_permit, area
from tiles.batch import LayerKind, Quantities
from tiles.grid import grid
from web import create_app

ASKED = ("/search", "/estimates", "/estimates/tiles", "/coverage")


def rows(ex: Exchange) -> dict[str, list[Any]]:
    """Everything that is stored."""
    with ex.engine.connect() as conn:
        return {table.name: sorted(map(repr, conn.execute(select(table)).all())) for table in metadata.sorted_tables}


def with_footage(ex: Exchange) -> Market:
    """A market that sells original footage too, of which the buyer has a permit and owns the half."""
    market = a_market(ex)
    footage = a_layer(market.cells, name="recording", kind=LayerKind.RECORDING, handling_class="original", each=Quantities(frames=100))
    a_draft(ex, market.seller, "drive", [footage])
    offers.publish(ex, market.seller, "drive", rate_card=RATES, licence="research")
    a_permit(ex)
    market.buy(market.cells[:8])
    return market


def ask(app: APIFlask, path: str, **body: object) -> Any:
    answer = app.test_client().post(f"/api/v1{path}", json=body)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_a_visitor_sees_the_price_of_a_newcomer_and_no_permit_of_anybody(exchange: Exchange) -> None:
    market = with_footage(exchange)
    newcomer = a_person(exchange, "newcomer")
    seen, known = (estimates.estimate(exchange, by, of_area(area(market.cells), purpose="research")) for by in (None, newcomer))
    assert (seen.lines, seen.total, seen.pins) == (known.lines, known.total, known.pins)
    assert seen.total > estimates.estimate(exchange, market.buyer, of_area(area(market.cells), layers=["hdmap"])).total
    assert [line.owned_tiles for line in seen.lines] == [0]
    assert [(one.code, one.layer, one.tiles, one.permit) for one in seen.refusals] == [("permit.visitor", "recording", 16, "")]
    assert "your organisation" not in seen.refusals[0].message and "sign in" in seen.refusals[0].message


def test_a_visitor_is_refused_a_purpose_that_the_licence_does_not_allow(exchange: Exchange) -> None:
    market = a_market(exchange)
    found = estimates.estimate(exchange, None, of_area(area(market.cells), purpose="map_production"))
    assert found.total == 0 and [one.code for one in found.refusals] == ["licence.purpose"]


def test_tile_by_tile_a_visitor_is_shown_what_a_newcomer_is(exchange: Exchange) -> None:
    market = with_footage(exchange)
    seen, known = (cell_prices.tiles(exchange, by, of_area(area(market.cells)), limit=99) for by in (None, a_person(exchange, "newcomer")))
    assert [(one.cell, one.amount, one.is_owned) for one in seen] == [(one.cell, one.amount, False) for one in known]
    assert {code for one in seen for code in one.kinds.values()} == {"", "permit.visitor"}
    owned = cell_prices.tiles(exchange, market.buyer, of_area(area(market.cells)), limit=99)
    assert any(one.is_owned for one in owned), "the comparison can fail"


def test_the_seller_who_is_signed_out_sees_the_own_offer_as_everybody_does(exchange: Exchange) -> None:
    market = a_market(exchange)
    assert estimates.estimate(exchange, market.seller, of_area(area(market.cells))).lines == ()
    assert len(estimates.estimate(exchange, None, of_area(area(market.cells))).lines) == 1
    assert [one.is_own for one in listings(exchange, None, of_area(area(market.cells)))] == [False]


def test_questions_of_visitors_change_nothing_that_is_stored(exchange: Exchange) -> None:
    market = with_footage(exchange)
    app, before = create_app(exchange), rows(exchange)
    for path in ASKED:
        assert ask(app, path, quadkeys=[grid.quadkey(cell) for cell in (*market.cells, SEOUL - 1000)])
    assert rows(exchange) == before


def test_masked_equals_missing_for_visitors(exchange: Exchange) -> None:
    """A cell that the newest version leaves out, of a draft, withdrawn, of a suspended seller, and one never mapped are alike."""
    market, gone = a_market(exchange), a_person(exchange, "gone")
    x, y = (int(value) for value in grid.xy(SEOUL))
    cells = {name: int(grid.morton(x + 64 * i, y + 64)) for i, name in enumerate(("masked", "draft", "withdrawn", "suspended", "empty"), 1)}
    for by, slug in ((market.seller, "masked"), (market.seller, "withdrawn"), (gone, "suspended")):
        a_draft(exchange, by, slug, [a_layer([cells[slug], SEOUL], salt=slug)])
        offers.publish(exchange, by, slug, rate_card=RATES, licence="research")
    app = create_app(exchange)
    there = {name: seen(app, cell) for name, cell in cells.items()}
    a_draft(exchange, market.seller, "masked", [a_layer([SEOUL], salt="newer")])
    offers.publish(exchange, market.seller, "masked", rate_card=RATES, licence="research")
    offers.withdraw(exchange, market.seller, "withdrawn")
    orgs.set_org_state(exchange, None, "gone", "suspended")
    a_draft(exchange, market.seller, "draft", [a_layer([cells["draft"]])])
    now = {name: seen(app, cell) for name, cell in cells.items()}
    assert set(now.values()) == {there["empty"]}
    for name in ("masked", "withdrawn", "suspended"):
        assert there[name] != there["empty"], "the comparison can fail"


def seen(app: APIFlask, cell: int) -> str:
    """All answers about a cell, with its name taken out."""
    key = grid.quadkey(cell)
    return json.dumps([ask(app, path, quadkeys=[key]) for path in ASKED]).replace(key, "KEY")


@pytest.mark.parametrize("path", ASKED)
def test_a_closed_exchange_shows_visitors_no_prices(exchange: Exchange, path: str) -> None:
    from dataclasses import replace

    market = a_market(exchange)
    closed = create_app(replace(exchange, settings=replace(exchange.settings, public_prices=False))).test_client()
    answer = closed.post(f"/api/v1{path}", json={"quadkeys": [grid.quadkey(market.cells[0])]})
    assert (answer.status_code, (answer.json or {})["code"]) == (401, "login.required")
    assert "6,300" not in closed.get("/datasets/hanbit/streets").text
    assert "6,300" in create_app(exchange).test_client().get("/datasets/hanbit/streets").text
