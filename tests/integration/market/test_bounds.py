"""Immense prices and quantities: refused where they are made, and where they are already, no obstacle to others; on both databases."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text, update

from mapex.database.schema import layer, offer, tile
from mapex.errors import Conflict, Denied, Invalid, MapexError
from mapex.exchange import Exchange
from mapex.offers import appraisals, offers
from mapex.operation import fsck
from mapex.orders import ledger, orders, updates
from mapex.prices import cell_prices, estimates, quotes
from mapex.prices.request import of_area
from mapex.pyramid import cell_sums
from mapex.rules import bounds
from mapex.rules.bounds import MAX_AMOUNT
from mapex.rules.pricing import MAX_RATE
from tests.support.market import RATES, SEOUL, Market, a_draft, a_layer, a_market, area
from tiles.batch import Quantities
from tiles.grid import grid
from tiles.grid.region import Region

HUGE = Quantities(signs=2**52)
"""Of one tile; sixteen of them are 2^56, and at the dearest rate far beyond 64 bits."""


def refused(code: str, kind: type[MapexError], action) -> MapexError:  # type: ignore[no-untyped-def]
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.code == code
    return caught.value


def an_immense_neighbour(market: Market, quantities: Quantities = HUGE, card: str = f'{{"sign":{MAX_RATE}}}') -> None:
    """The dataset `immense` beside `streets`, published before there was any bound."""
    a_draft(market.ex, market.seller, "immense", [a_layer(market.cells, name="signs")])
    offers.publish(market.ex, market.seller, "immense", rate_card={"lane_km": 1, "sign": 1}, licence="research")
    values = {name: getattr(quantities, name) for name in ("signs", "lane_mm")}
    with market.ex.engine.begin() as conn:
        layer_id = conn.execute(layer.select().where(layer.c.name == "signs")).mappings().one()["id"]
        conn.execute(update(tile).where(tile.c.layer_id == layer_id).values(**values))
        whole = {name: value * len(market.cells) for name, value in values.items()}
        conn.execute(update(layer).where(layer.c.id == layer_id).values(**whole))
        conn.execute(update(offer).where(offer.c.rate_card.like("%sign%")).values(rate_card=card))
        cell_sums.drop(conn, [layer_id])
        cell_sums.fill(conn, layer_id)


def test_an_immense_price_beside_others_is_named_and_the_others_are_sold(exchange: Exchange) -> None:
    market = a_market(exchange)
    alone = market.quote()
    an_immense_neighbour(market)
    made = market.quote()
    assert made.estimate.lines == alone.estimate.lines
    (refusal,) = made.estimate.refusals
    assert (refusal.code, refusal.dataset, refusal.layer, refusal.tiles) == ("price.too_large", "immense", "signs", 16)
    order = orders.place(exchange, market.buyer, made.id, "k")
    assert order.total == alone.estimate.total
    assert {line.dataset for line in order.lines} == {"streets"}
    # The neighbour was put in behind the services, which the log does not know; nothing else is wrong.
    assert [one.name for one in fsck.check(exchange) if not one.ok] == ["replay"]


def test_an_immense_price_alone_is_a_refusal_with_its_reason(exchange: Exchange) -> None:
    market = a_market(exchange)
    an_immense_neighbour(market)
    found = estimates.estimate(exchange, market.buyer, of_area(area(market.cells), dataset="immense"))
    assert (found.lines, found.total, [one.code for one in found.refusals]) == ((), 0, ["price.too_large"])
    refused("price.too_large", Denied, lambda: market.quote(dataset="immense"))


@pytest.mark.parametrize("small", [2**53 - 1, 2**53, 2**58])
def test_a_quantity_beyond_the_bound_is_no_failure(exchange: Exchange, small: int) -> None:
    market = a_market(exchange)
    an_immense_neighbour(market, Quantities(lane_mm=small), '{"lane_km":0,"sign":1}')
    made = market.quote(market.cells[:1])
    assert ("immense" in {line.dataset for line in made.estimate.lines}) == (small <= bounds.MAX_QUANTITY)
    assert quotes.get(exchange, market.buyer, made.id).estimate.lines == made.estimate.lines


@pytest.mark.parametrize("left_out", [False, True])
def test_what_edge_tiles_of_immense_prices_change_is_a_number_that_browsers_read(exchange: Exchange, left_out: bool) -> None:
    market = a_market(exchange)
    an_immense_neighbour(market)
    west, south, east, north = grid.bounds(market.cells[5])
    margin = (east - west) / 100
    region = Region.from_bbox(west - margin, south - margin, east + margin, north + margin)
    found = estimates.estimate(exchange, market.buyer, of_area(region, purpose="research", leave_edge=left_out))
    assert found.edge is not None and found.edge.tiles > 0
    assert 0 <= found.edge.amount <= MAX_AMOUNT
    assert {line.dataset for line in found.lines} == {"streets"}


def test_tiles_of_immense_prices_are_numbers_that_browsers_read(exchange: Exchange) -> None:
    market = a_market(exchange)
    cheap = cell_prices.tiles(exchange, market.buyer, of_area(area(market.cells)), limit=100)
    an_immense_neighbour(market)
    tiles = cell_prices.tiles(exchange, market.buyer, of_area(area(market.cells)), limit=100)
    assert [tile.amount for tile in tiles] == [tile.amount for tile in cheap]
    assert all(json.loads(json.dumps(tile.amount)) <= MAX_AMOUNT for tile in tiles)


def test_an_update_with_an_immense_price_is_a_refusal(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    a_draft(exchange, market.seller, "streets", [a_layer(market.cells, salt="new")])
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE tile SET lane_mm = 4611686018427387904 / 16"))
        conn.execute(text("UPDATE tile_sum SET lane_mm = 4611686018427387904 / 16"))
    found = updates.of_order(exchange, market.buyer, order.id)
    assert found.price is not None
    assert (found.price.lines, [one.code for one in found.price.refusals]) == ((), ["price.too_large"])


@pytest.mark.parametrize("signs", [1, 10**6, 2**53 - 1])
def test_a_price_that_nobody_could_pay_is_refused_at_publication_and_names_one_that_can(exchange: Exchange, signs: int) -> None:
    market = a_market(exchange, layers=[a_layer([SEOUL], each=Quantities(lane_mm=1, signs=signs))])
    for rate in (1, MAX_RATE):
        card = {"lane_km": 1, "sign": rate}
        if signs * rate * 11 // 10 <= MAX_AMOUNT:
            sure = ("rates.unusual",)
            assert offers.publish(exchange, market.seller, "streets", rate_card=card, licence="research", confirmed=sure).rates == card
            continue

        def publish(card: dict[str, int] = card) -> object:
            return offers.publish(exchange, market.seller, "streets", rate_card=card, licence="research", confirmed=("rates.unusual",))

        error = refused("rates.too_large", Invalid, publish)
        assert (error.details["layer"], error.details["unit"]) == ("hdmap", "sign")
        refused("rates.too_large", Invalid, lambda card=card: appraisals.appraise(exchange, market.seller, "streets", 1, card))
        publish({**card, "sign": error.details["rate"]})
        assert market.quote([SEOUL]).estimate.total <= MAX_AMOUNT


def test_no_account_holds_more_than_can_be_counted(exchange: Exchange) -> None:
    market = a_market(exchange, credit=1)
    ledger.credit(exchange, None, "dongil", 5, key="second")
    with exchange.engine.begin() as conn:
        conn.execute(
            text(f"UPDATE ledger_account SET balance = {MAX_AMOUNT - 3} WHERE id = '{ledger.wallet_id(str(market.buyer.org_id))}'")
        )
        conn.execute(text(f"UPDATE ledger_account SET balance = {3 - MAX_AMOUNT} WHERE id = 'acc_bank'"))
    refused("ledger.full", Conflict, lambda: ledger.credit(exchange, None, "dongil", 4, key="third"))
    refused("ledger.full", Conflict, lambda: ledger.credit(exchange, None, "hanbit", 4, key="fourth"))  # all money there is
    assert ledger.credit(exchange, None, "dongil", 3, key="fifth").balance == MAX_AMOUNT
