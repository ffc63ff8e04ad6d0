"""What was bought counts for its own use and narrower ones, and for no other; on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from mapex.errors import Conflict, MapexError
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.operation import fsck
from mapex.orders import ledger, orders, renewals, updates
from mapex.orders import terms as terms_of
from mapex.prices import cell_prices, estimates, quotes, sold_layers
from mapex.prices.request import of_area
from mapex.rights import entitlements
from mapex.rules import terms
from tests.support.exchange import a_person
from tests.support.market import RATES, Market, a_draft, a_layer, a_market, area

DEAR = {"lane_km": 5_000_000}
CHEAP = {"lane_km": 1}


def refused(code: str, kind: type[MapexError], action) -> MapexError:  # type: ignore[no-untyped-def]
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.code == code
    return caught.value


def offer(market: Market, licence: str, rates=DEAR, attribution: str = "") -> None:  # type: ignore[no-untyped-def]
    offers.publish(market.ex, market.seller, "streets", rate_card=rates, licence=licence, attribution=attribution)


def a_cheap_market(exchange: Exchange, licence: str = "research") -> Market:
    """Hanbit sells for almost nothing; Dongil has a billion."""
    market = a_market(exchange, credit=10**9)
    offer(market, licence, CHEAP)
    return market


def price(market: Market, purpose: str | None) -> int:
    return estimates.estimate(market.ex, market.buyer, of_area(area(market.cells), purpose=purpose)).total


def newcomer(market: Market, purpose: str | None) -> int:
    return estimates.estimate(market.ex, None, of_area(area(market.cells), purpose=purpose)).total


def is_sound(exchange: Exchange) -> bool:
    return [one.message for one in fsck.check(exchange) if not one.ok] == []


# ---- the attack ----------------------------------------------------------------------------------------------------------------------


def test_a_cheap_research_licence_gives_nothing_of_a_dear_commercial_one(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    market.buy()
    offer(market, "commercial")
    full = newcomer(market, "map_production")
    assert full > 10**8
    assert price(market, "map_production") == full
    assert price(market, None) == full
    made = market.buy(purpose="map_production")
    assert made.total == full
    assert all(tile.paid for tile in entitlements.of_order(exchange, market.buyer, made.id).tiles)
    assert is_sound(exchange)


def test_nor_when_the_same_tiles_come_again_in_a_new_version(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    market.buy()
    a_draft(exchange, market.seller, "streets", [a_layer(market.cells)])
    offer(market, "commercial")
    assert price(market, "map_production") == newcomer(market, "map_production") > 0
    assert is_sound(exchange)


def test_a_purpose_gives_nothing_of_another_one_under_the_same_licence(exchange: Exchange) -> None:
    market = a_cheap_market(exchange, "commercial")
    market.buy(purpose="research")
    offer(market, "commercial")
    assert price(market, "map_production") == newcomer(market, "map_production") > 0
    assert price(market, "research") == 0


def test_a_quote_held_from_before_the_licence_changed_is_refused(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    quote = market.quote()
    offer(market, "share_alike", CHEAP)
    error = refused("quote.terms_changed", Conflict, lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    same = {"attribution": "hanbit", "credits_earlier": False, "updates": "paid"}
    assert error.details["terms"] == [
        {
            "dataset": "streets",
            "org": "hanbit",
            "old": {**same, "licence": "research", "sha256": terms.digest("research", "hanbit")},
            "new": {**same, "licence": "share_alike", "sha256": terms.digest("share_alike", "hanbit")},
        }
    ]


def test_a_quote_held_from_before_the_attribution_changed_is_refused(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    quote = market.quote()
    offer(market, "research", CHEAP, attribution="(c) Somebody else")
    refused("quote.terms_changed", Conflict, lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert orders.of(exchange, market.buyer).orders == []
    anew = renewals.renew(exchange, market.buyer, quote.id)
    assert orders.place(exchange, market.buyer, anew.id, "k2").lines[0].attribution == "(c) Somebody else"


def test_terms_that_changed_and_came_back_are_those_of_the_quote(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    quote = market.quote()
    offer(market, "research", CHEAP, attribution="(c) Somebody else")
    offer(market, "research", CHEAP)
    assert orders.place(exchange, market.buyer, quote.id, "k").total == quote.estimate.total


# ---- what was bought stays bought ------------------------------------------------------------------------------------------------------


def test_the_same_use_is_owned_whatever_it_costs_now(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    market.buy()
    offer(market, "research", attribution="(c) Hanbit 2027")
    assert price(market, "research") == price(market, None) == 0
    assert price(market, "simulation") == newcomer(market, "simulation") > 0


def test_a_wide_use_counts_for_the_narrow_ones(exchange: Exchange) -> None:
    market = a_cheap_market(exchange, "commercial")
    market.buy(purpose="map_production")
    offer(market, "research")
    for purpose in ("research", "simulation", "safety_validation"):
        assert price(market, purpose) == 0
        assert newcomer(market, purpose) > 0
    assert is_sound(exchange)


def test_a_quote_links_the_orders_that_hold_its_tiles_for_its_use(exchange: Exchange) -> None:
    market = a_cheap_market(exchange, "commercial")
    study, product = market.buy(purpose="simulation"), market.buy(market.cells[:4], purpose="localisation")
    linked = {
        purpose: terms_of.holding(exchange, market.buyer, market.quote(purpose=purpose)) for purpose in ("simulation", "localisation")
    }
    assert linked == {"simulation": [study.id, product.id], "localisation": [product.id]}
    offer(market, "share_alike", CHEAP)
    assert terms_of.holding(exchange, market.buyer, market.quote(purpose="simulation")) == []


def test_a_licence_that_came_back_finds_what_was_owned(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    market.buy(market.cells[:5])
    offer(market, "share_alike")
    assert price(market, "research") == newcomer(market, "research")
    offer(market, "research")
    line = estimates.estimate(exchange, market.buyer, of_area(area(market.cells), purpose="research")).lines[0]
    assert (line.tiles, line.owned_tiles) == (16, 5)
    assert is_sound(exchange)


def test_the_map_shows_as_owned_what_is_owned_for_the_purpose(exchange: Exchange) -> None:
    market = a_cheap_market(exchange, "commercial")
    market.buy(market.cells[:3], purpose="route_planning")
    seen = {}
    for purpose in ("route_planning", "research", "map_production", None):
        tiles = cell_prices.tiles(exchange, market.buyer, of_area(area(market.cells), purpose=purpose), limit=100)
        seen[purpose] = [tile.cell for tile in tiles if tile.is_owned]
    own = sorted(market.cells[:3])
    assert seen == {"route_planning": own, "research": own, "map_production": [], None: own}


def test_parts_of_a_tile_are_paid_by_what_is_held_of_them_for_the_use(exchange: Exchange) -> None:
    """A tile of two parts, of which one is held: the other is paid, and under wider terms both are."""
    layer = a_layer([])
    cell = a_market(exchange, credit=10**9).cells[0]
    layer.parts = {cell: ["one", "two"]}
    seller, buyer = a_person(exchange, "hanbit", email="b@hanbit.example"), a_person(exchange, "dongil", email="b@dongil.example")
    market = Market(exchange, seller, buyer, [cell])
    a_draft(exchange, seller, "streets", [layer])
    offer(market, "research", CHEAP)
    market.buy()
    layer.parts = {cell: ["one", "three"]}
    a_draft(exchange, seller, "streets", [layer])
    offer(market, "research", CHEAP)
    paid = {tile.part: tile.paid for tile in entitlements.of_order(exchange, buyer, market.buy().id).tiles}
    assert paid == {0: False, 1: True}
    layer.parts = {cell: ["one", "three", "four"]}
    a_draft(exchange, seller, "streets", [layer])
    offer(market, "commercial", CHEAP)
    made = market.buy(purpose="map_production")
    assert all(tile.paid for tile in entitlements.of_order(exchange, buyer, made.id).tiles)
    assert is_sound(exchange)


# ---- updates ---------------------------------------------------------------------------------------------------------------------------


def test_an_update_under_wider_terms_costs_the_changed_tiles_in_full_and_leaves_the_others(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    order = market.buy()
    layer = a_layer(market.cells)
    layer.parts = {cell: ([f"new {cell}"] if cell in market.cells[:6] else parts) for cell, parts in layer.parts.items()}
    a_draft(exchange, market.seller, "streets", [layer])
    offer(market, "share_alike")
    found = updates.of_order(exchange, market.buyer, order.id)
    assert (found.changed, found.added) == (6, 0)
    assert updates.counts(exchange, market.buyer, [order.id]) == {order.id: 6}
    held = updates.quote(exchange, market.buyer, order.id)
    alone = estimates.estimate(exchange, None, of_area(area(market.cells[:6]), purpose="research"))
    assert held.estimate.total == alone.total
    orders.place(exchange, market.buyer, held.id, "k")
    assert updates.of_order(exchange, market.buyer, order.id).changed == 0
    assert is_sound(exchange)


def test_an_update_for_one_purpose_is_none_for_another(exchange: Exchange) -> None:
    market = a_cheap_market(exchange, "commercial")
    study, product = market.buy(purpose="research"), market.buy(purpose="map_production")
    a_draft(exchange, market.seller, "streets", [a_layer(market.cells, salt="new")])
    offer(market, "commercial", CHEAP)
    orders.place(exchange, market.buyer, updates.quote(exchange, market.buyer, study.id).id, "k")
    assert updates.counts(exchange, market.buyer, [study.id, product.id]) == {product.id: 16}
    held = updates.quote(exchange, market.buyer, product.id)
    assert held.estimate.total == newcomer(market, "map_production") > 0
    orders.place(exchange, market.buyer, held.id, "k2")
    assert updates.counts(exchange, market.buyer, [study.id, product.id]) == {}


# ---- the terms of an order, for ever ----------------------------------------------------------------------------------------------------


def test_an_order_states_the_terms_under_which_it_was_bought_for_ever(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    offer(market, "research", CHEAP, attribution="(c) Hanbit 2026")
    made = market.buy()
    offer(market, "commercial", attribution="(c) Nobody")
    (line,) = orders.get(exchange, market.buyer, made.id).lines
    assert (line.licence, line.attribution, line.terms) == ("research", "(c) Hanbit 2026", terms.digest("research", "(c) Hanbit 2026"))
    (sold,) = sold_layers.documents(exchange, [line])  # what the manifest says
    assert (sold["licence"], sold["attribution"], sold["terms_sha256"]) == (line.licence, line.attribution, line.terms)
    tiles = entitlements.of_order(exchange, market.buyer, made.id).tiles
    assert {(tile.licence, tile.attribution, tile.purpose) for tile in tiles} == {("research", "(c) Hanbit 2026", "research")}
    with exchange.engine.connect() as conn:
        payload = conn.execute(text("SELECT payload FROM audit_event WHERE action = 'order.placed'")).scalar_one()
    assert line.terms in payload


def test_a_quote_pins_a_digest_of_the_terms(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    held = quotes.get(exchange, market.buyer, market.quote().id)
    assert {pin.terms for pin in held.estimate.pins} == {terms.digest("research", "hanbit")}
    assert {line.terms for line in held.estimate.lines} == {terms.digest("research", "hanbit")}


def test_money_goes_to_the_seller_for_the_wider_use(exchange: Exchange) -> None:
    market = a_cheap_market(exchange)
    first = market.buy()
    offer(market, "commercial", RATES)
    second = market.buy(purpose="localisation")
    assert ledger.wallet(exchange, market.seller).balance == first.subtotal + second.subtotal


def test_an_order_in_the_moment_of_a_change_is_under_the_terms_that_it_states_or_refused(exchange: Exchange) -> None:
    """The seller changes licence and attribution to and fro while quotes of either are ordered."""
    market = a_cheap_market(exchange)
    kinds = (("research", "(c) One"), ("share_alike", "(c) Other"))
    held = []
    for licence, words in kinds * 6:
        offer(market, licence, CHEAP, words)
        held.append(market.quote([market.cells[len(held)]]))

    def change() -> None:
        for licence, words in kinds * 6:
            offer(market, licence, CHEAP, words)

    def place(quote: quotes.Quote) -> orders.Order | str:
        try:
            return orders.place(exchange, market.buyer, quote.id, quote.id)
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(4) as pool:
        changing = pool.submit(change)
        placed = list(pool.map(place, held))
        changing.result()
    assert {one for one in placed if isinstance(one, str)} <= {"quote.terms_changed", "quote.price_changed", "offer.withdrawn"}
    for quote, one in zip(held, placed, strict=True):
        if isinstance(one, orders.Order):
            (tile,) = entitlements.of_order(exchange, market.buyer, one.id).tiles
            (line,) = quote.estimate.lines
            assert (tile.licence, tile.attribution) == (line.licence, line.attribution)
    assert is_sound(exchange)
