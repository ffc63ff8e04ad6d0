"""An offer may credit what was paid for narrower uses of the same tiles: once, to whoever paid it; on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from mapex.errors import Conflict
from mapex.exchange import Exchange
from mapex.offers import offers, recalls
from mapex.orders import ledger, orders, renewals, updates
from mapex.orders import terms as terms_of
from mapex.prices import cell_prices, estimates, quotes
from mapex.prices.request import of_area
from mapex.rules import terms
from tests.integration.market.test_offers import corner_region
from tests.support.exchange import a_person
from tests.support.market import Market, a_draft, a_layer, a_market, area
from tests.support.tampering import behind, broken

CHEAP = {"lane_km": 100}
DEAR = {"lane_km": 1000}


def sell(market: Market, licence: str, rates: Mapping[str, object] = DEAR, *, credits_earlier: bool = True) -> None:
    offers.publish(market.ex, market.seller, "streets", rate_card=rates, licence=licence, credits_earlier=credits_earlier)


def narrow_then_wide(exchange: Exchange, *, credits_earlier: bool = True) -> tuple[Market, orders.Order]:
    """Hanbit sold all of the streets to Dongil for research, cheaply, and sells them dearly for everything now."""
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP, credits_earlier=False)
    bought = market.buy()
    sell(market, "commercial", credits_earlier=credits_earlier)
    return market, bought


def subtotal(market: Market, purpose: str | None, cells: list[int] | None = None) -> int:
    return estimates.estimate(market.ex, market.buyer, of_area(area(cells or market.cells), purpose=purpose)).subtotal


def newcomer(market: Market, purpose: str, cells: list[int] | None = None) -> int:
    return estimates.estimate(market.ex, None, of_area(area(cells or market.cells), purpose=purpose)).subtotal


def refused(code: str, action: Callable[[], object]) -> Conflict:
    with pytest.raises(Conflict) as caught:
        action()
    assert caught.value.code == code
    return caught.value


def is_sound(exchange: Exchange) -> bool:
    return broken(exchange) == {}


def test_a_wider_use_costs_the_difference_where_the_offer_credits_earlier_purchases(exchange: Exchange) -> None:
    market, before = narrow_then_wide(exchange)
    full = newcomer(market, "map_production")
    made = market.buy(purpose="map_production")
    (line,) = made.lines
    assert (line.price, line.earlier, line.credit, line.amount) == (full, before.subtotal, before.subtotal, full - before.subtotal)
    assert before.subtotal + made.subtotal == full
    assert ledger.wallet(exchange, market.seller).balance == full
    assert orders.get(exchange, market.buyer, made.id).lines == made.lines
    assert is_sound(exchange)


def test_and_in_full_where_it_does_not(exchange: Exchange) -> None:
    market, before = narrow_then_wide(exchange, credits_earlier=False)
    made = market.buy(purpose="map_production")
    assert made.subtotal == newcomer(market, "map_production")
    assert [line.earlier for line in made.lines] == [0]
    assert is_sound(exchange)


def test_an_offer_credits_nothing_unless_it_says_so(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = offers.publish(exchange, market.seller, "streets", rate_card=DEAR, licence="research")
    assert not made.credits_earlier
    assert offers.publish(exchange, market.seller, "streets", rate_card=DEAR, licence="research", credits_earlier=True).credits_earlier


def test_what_was_paid_is_never_paid_back(exchange: Exchange) -> None:
    """The wider use is cheaper than what was paid: it costs nothing, and what was paid counts on for a still wider one."""
    market = a_market(exchange, credit=10**9)
    sell(market, "commercial", DEAR)
    study = market.buy(purpose="research")
    sell(market, "commercial", CHEAP)
    product = market.buy(purpose="map_production")
    assert (product.total, product.lines[0].credit) == (0, product.lines[0].price)
    assert product.lines[0].earlier == study.subtotal
    assert is_sound(exchange)


def test_a_purpose_that_covers_another_one_is_a_wider_use(exchange: Exchange) -> None:
    market = a_market(exchange, credit=10**9)
    sell(market, "commercial")
    market.buy(purpose="research")
    assert subtotal(market, "map_production") == 0
    assert subtotal(market, "simulation") == newcomer(market, "simulation") > 0


def test_a_payment_is_credited_once(exchange: Exchange) -> None:
    """Two wider uses, of which neither covers the other: the second costs a newcomer's price."""
    market, before = narrow_then_wide(exchange)
    assert subtotal(market, "localisation") == newcomer(market, "localisation") - before.subtotal
    market.buy(purpose="map_production")
    assert subtotal(market, "localisation") == newcomer(market, "localisation")
    market.buy(purpose="localisation")
    assert ledger.wallet(exchange, market.seller).balance == newcomer(market, "map_production") + newcomer(market, "localisation")
    assert is_sound(exchange)


def test_what_was_credited_counts_as_paid_for_the_wider_use_that_it_bought(exchange: Exchange) -> None:
    """Narrow, wide, widest, each for the difference: together they cost what the widest costs a newcomer."""
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    market.buy(purpose="research")
    sell(market, "commercial", {"lane_km": 400})
    market.buy(purpose="research")
    sell(market, "commercial", DEAR)
    market.buy(purpose="map_production")
    assert ledger.wallet(exchange, market.seller).balance == newcomer(market, "map_production")
    assert is_sound(exchange)


def test_only_the_tiles_that_were_bought_before_are_credited(exchange: Exchange) -> None:
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    before = market.buy(market.cells[:4])
    sell(market, "commercial")
    rest = market.cells[2:]
    part = market.buy(rest, purpose="map_production")
    assert part.lines[0].earlier == before.subtotal * 2 // 4
    assert subtotal(market, "map_production") == newcomer(market, "map_production", market.cells[:2]) - before.subtotal * 2 // 4
    assert is_sound(exchange)


def test_only_content_that_was_paid_for_is_credited(exchange: Exchange) -> None:
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    before = market.buy()
    layer = a_layer(market.cells)
    layer.parts = {cell: ([f"new {cell}"] if cell in market.cells[:6] else parts) for cell, parts in layer.parts.items()}
    a_draft(exchange, market.seller, "streets", [layer])
    sell(market, "commercial")
    assert subtotal(market, "map_production") == newcomer(market, "map_production") - before.subtotal * 10 // 16
    held = updates.quote(exchange, market.buyer, before.id)
    assert held.estimate.subtotal == newcomer(market, "research", market.cells[:6])
    market.buy(purpose="map_production")
    assert is_sound(exchange)


def test_what_was_returned_by_a_recall_is_no_credit(exchange: Exchange) -> None:
    """The same content comes again in another version, after the one that was bought was recalled."""
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    before = market.buy()
    recalls.recall(exchange, market.seller, "streets", 1)
    a_draft(exchange, market.seller, "streets", [a_layer(market.cells)])
    sell(market, "commercial")
    assert subtotal(market, "map_production") == newcomer(market, "map_production")
    assert before.subtotal and market.buy(purpose="map_production").lines[0].owned_tiles == 0
    assert is_sound(exchange)


def test_what_another_firm_paid_never_counts(exchange: Exchange) -> None:
    market, _ = narrow_then_wide(exchange)
    other = Market(exchange, market.seller, a_person(exchange, "saebyeok"), market.cells)
    assert subtotal(other, "map_production") == newcomer(other, "map_production")
    assert subtotal(market, "map_production") < newcomer(market, "map_production")


def test_what_was_owned_already_is_credited_nothing(exchange: Exchange) -> None:
    """Tiles that came with an order and cost nothing were not paid for there."""
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    first, again = market.buy(), market.buy()
    assert again.total == 0
    sell(market, "commercial")
    assert market.buy(purpose="map_production").lines[0].earlier == first.subtotal
    assert is_sound(exchange)


def test_what_costs_nothing_uses_no_credit_up(exchange: Exchange) -> None:
    market, before = narrow_then_wide(exchange)
    sell(market, "commercial", {"lane_km": 0})
    market.buy(purpose="localisation")
    sell(market, "commercial")
    assert subtotal(market, "map_production") == newcomer(market, "map_production") - before.subtotal
    assert is_sound(exchange)


def test_tiles_of_the_map_cost_the_difference_too(exchange: Exchange) -> None:
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    market.buy(market.cells[:4])
    sell(market, "commercial")
    found = cell_prices.tiles(exchange, market.buyer, of_area(area(market.cells), purpose="map_production"), limit=100)
    full, less = max(one.amount for one in found), min(one.amount for one in found)
    assert {one.cell for one in found if one.amount == less} == set(market.cells[:4])
    assert 0 < full - less <= newcomer(market, "map_production") // 10


def test_without_a_purpose_whatever_was_paid_for_any_is_credited(exchange: Exchange) -> None:
    market, before = narrow_then_wide(exchange)
    assert subtotal(market, None) == newcomer(market, "map_production") - before.subtotal


def test_tiles_barely_touched_cost_the_difference_too(exchange: Exchange) -> None:
    """They were bought for research, or what they lie beside was: what they add to the price is what the prices differ by."""
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    market.buy(market.cells[:5])
    sell(market, "commercial")
    whole, less = (
        estimates.estimate(exchange, market.buyer, of_area(corner_region(), purpose="map_production", leave_edge=leave))
        for leave in (False, True)
    )
    assert whole.edge is not None and less.edge is not None
    assert whole.total - less.total == whole.edge.amount == less.edge.amount
    assert sum(line.earlier for line in whole.lines) > sum(line.earlier for line in less.lines) > 0


def test_what_was_paid_for_tiles_that_are_owned_now_is_not_credited_to_others(exchange: Exchange) -> None:
    """Two tiles were bought for research, one of them in full for everything since: only the other one is credited."""
    market = a_market(exchange, credit=10**9)
    sell(market, "research", CHEAP)
    study = market.buy(market.cells[:2])
    sell(market, "commercial", credits_earlier=False)
    market.buy(market.cells[:1], purpose="map_production")
    sell(market, "commercial")
    made = market.buy(market.cells[:2], purpose="map_production")
    assert made.lines[0].earlier == study.subtotal // 2
    assert is_sound(exchange)


# ---- a quote and what happens before it is ordered -----------------------------------------------------------------------------------


def test_two_orders_at_once_cannot_use_the_same_credit(exchange: Exchange) -> None:
    market, before = narrow_then_wide(exchange)
    held = [market.quote(purpose=purpose) for purpose in ("map_production", "localisation", "route_planning")]
    assert {quote.estimate.lines[0].earlier for quote in held} == {before.subtotal}

    def place(quote: quotes.Quote) -> str:
        try:
            return orders.place(exchange, market.buyer, quote.id, quote.id).state
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(3) as pool:
        outcomes = sorted(pool.map(place, held))
    assert outcomes == ["paid", "quote.price_changed", "quote.price_changed"]
    assert is_sound(exchange)


def test_a_quote_whose_credit_another_order_used_is_refused_and_asked_anew_costs_it_all(exchange: Exchange) -> None:
    market, before = narrow_then_wide(exchange)
    held = market.quote(purpose="localisation")
    market.buy(purpose="map_production")
    error = refused("quote.price_changed", lambda: orders.place(exchange, market.buyer, held.id, "k"))
    assert error.details["estimate"]["subtotal"] == held.estimate.subtotal + before.subtotal
    anew = renewals.renew(exchange, market.buyer, held.id)
    assert anew.estimate.subtotal == newcomer(market, "localisation")


@pytest.mark.parametrize("credits_earlier", [False, True])
def test_a_quote_held_from_before_the_choice_changed_is_refused(exchange: Exchange, credits_earlier: bool) -> None:
    market, _ = narrow_then_wide(exchange, credits_earlier=credits_earlier)
    held = market.quote(purpose="map_production")
    sell(market, "commercial", credits_earlier=not credits_earlier)
    error = refused("quote.terms_changed", lambda: orders.place(exchange, market.buyer, held.id, "k"))
    (changed,) = error.details["terms"]
    assert (changed["old"]["credits_earlier"], changed["new"]["credits_earlier"]) == (credits_earlier, not credits_earlier)
    assert changed["old"]["sha256"] == terms.digest("commercial", "hanbit", credits_earlier) == held.estimate.pins[0].terms


def test_the_choice_is_in_the_log_and_in_what_differs_from_the_last_order(exchange: Exchange) -> None:
    market, _ = narrow_then_wide(exchange)
    held = market.quote(purpose="map_production")
    (change,) = terms_of.since_last(exchange, market.buyer, held)
    assert (change.old.credits_earlier, change.new.credits_earlier, change.is_same) == (False, True, False)
    with exchange.engine.connect() as conn:
        entries = conn.execute(text("SELECT payload FROM audit_event WHERE action = 'offer.published' ORDER BY seq")).scalars().all()
    assert ['"credits_earlier":true' in entry for entry in entries] == [False, False, True]


# ---- fsck ------------------------------------------------------------------------------------------------------------------------------

HARM = {
    "a credit that is taken once more": "DELETE FROM credited_tile",
    "a credit that nobody paid": "UPDATE order_line SET earlier = earlier + 1 WHERE earlier > 0",
    "a payment of others": "UPDATE entitlement SET paid = 0 WHERE id IN (SELECT entitlement_id FROM credited_tile)",
    "a credit that no offer gives": "UPDATE offer SET credits_earlier = (1 = 0)",
    "an order that credits what was bought later": "UPDATE purchase_order SET created_ns = created_ns + 1000000000000000 WHERE id IN "
    "(SELECT order_id FROM entitlement WHERE id IN (SELECT entitlement_id FROM credited_tile))",
}


@pytest.mark.parametrize("harm", HARM)
def test_fsck_finds(exchange: Exchange, harm: str) -> None:
    market, _ = narrow_then_wide(exchange)
    market.buy(purpose="map_production")
    assert is_sound(exchange)
    behind(exchange, HARM[harm])
    assert "credited" in broken(exchange)["I4"]
