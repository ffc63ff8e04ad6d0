"""An order may be sold with free updates: newer versions of the tiles that it paid cost nothing for some months; on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import text

from mapex.errors import Conflict, Denied, Invalid
from mapex.exchange import Exchange
from mapex.offers import offers, recalls, sales
from mapex.orders import ledger, orders, refunds, renewals, settlements, updates
from mapex.orders import terms as terms_of
from mapex.people import purchase_rights
from mapex.people.purchase_rights import Right
from mapex.prices import cell_prices, estimates
from mapex.prices.request import of_area
from mapex.rights import entitlements
from mapex.rules.update_policy import free_until_ns
from mapex.times import DAY_NS, kst_month
from tests.support.exchange import a_person
from tests.support.market import RATES, Market, a_draft, a_layer, a_market, area
from tests.support.tampering import behind, broken

YEAR = "free:12"

on_sqlite = pytest.mark.parametrize("exchange", ["sqlite"], indirect=True)
"""For what is one statement on both databases, and tried on both elsewhere."""


def publish(
    market: Market, salt: str, policy: str = "paid", *, cells: Sequence[int] = (), licence: str = "research", **more: object
) -> None:
    """Put a version on sale of which every tile (of these cells) has another content, or other terms for the one that is on sale."""
    if salt:
        a_draft(market.ex, market.seller, "streets", [a_layer(cells or market.cells, salt=salt)])
    offers.publish(market.ex, market.seller, "streets", rate_card=RATES, licence=licence, updates=policy, **more)  # type: ignore[arg-type]


def sold(exchange: Exchange, *, bought: int = 9, licence: str = "research", purpose: str = "research") -> tuple[Market, orders.Order]:
    """Dongil bought some of the 16 cells with free updates for a year; Hanbit sells a newer version, and updates are paid from now on."""
    market = a_market(exchange, credit=10**8)
    publish(market, "", YEAR, licence=licence)
    made = market.buy(market.cells[:bought], purpose=purpose)
    publish(market, "2", licence=licence)
    return market, made


def update(market: Market, order: orders.Order, *, added: bool = False) -> orders.Order:
    held = updates.quote(market.ex, market.buyer, order.id, added=added)
    return orders.place(market.ex, market.buyer, held.id, held.id)


def anew(market: Market, cells: Sequence[int], purpose: str = "research") -> int:
    """What the cells cost who never bought any."""
    return estimates.estimate(market.ex, None, of_area(area(cells), purpose=purpose)).subtotal


def mine(market: Market, cells: Sequence[int], purpose: str | None = "research") -> int:
    return estimates.estimate(market.ex, market.buyer, of_area(area(cells), purpose=purpose)).subtotal


def is_sound(exchange: Exchange) -> bool:
    return broken(exchange) == {}


def later(exchange: Exchange, at_ns: int) -> None:
    exchange.now.at_ns = at_ns  # type: ignore[attr-defined]


def test_newer_versions_of_what_was_paid_cost_nothing_and_what_is_added_costs_its_price(exchange: Exchange) -> None:
    market, before = sold(exchange)
    cells, balance = market.cells, market.balance()
    (line,) = before.lines
    assert (line.updates, line.free_tiles) == (YEAR, 0)
    found = updates.of_order(exchange, market.buyer, before.id)
    assert found.price is not None and (found.changed, found.price.total) == (9, 0)
    made = update(market, before)
    (line,) = made.lines
    assert (line.updates, line.tiles, line.free_tiles, line.owned_tiles, line.small, line.amount) == ("paid", 9, 9, 0, 0, 0)
    assert (made.total, market.balance()) == (0, balance)
    assert not any(tile.paid for tile in entitlements.of_order(exchange, market.buyer, made.id).tiles)
    assert [(month.amount, month.tiles) for month in sales.by_month(exchange, market.seller)] == [(before.subtotal, 9)]
    # The area holds seven cells more: they cost what they cost anybody, be they ordered as an update or drawn.
    assert mine(market, cells) == anew(market, cells[9:]) > 0
    assert market.buy(cells).subtotal == anew(market, cells[9:])
    assert is_sound(exchange)


def test_tiles_that_the_newer_version_adds_to_the_area_are_not_free(exchange: Exchange) -> None:
    market = a_market(exchange, credit=10**8)
    cells = market.cells
    a_draft(exchange, market.seller, "streets", [a_layer(cells[:9])])
    publish(market, "", YEAR)
    before = market.buy(cells)
    publish(market, "2")
    made = update(market, before, added=True)
    assert (made.lines[0].tiles, made.lines[0].free_tiles, made.subtotal) == (16, 9, anew(market, cells[9:]))
    assert is_sound(exchange)


def test_each_tile_of_an_area_says_for_itself_that_it_is_free(exchange: Exchange) -> None:
    market, _ = sold(exchange, bought=9)
    found = cell_prices.tiles(exchange, market.buyer, of_area(area(market.cells), purpose="research"), limit=16)
    assert {one.cell for one in found if not one.amount} == set(market.cells[:9])
    assert not any(one.is_owned for one in found)
    assert mine(market, market.cells, purpose=None) == anew(market, market.cells[9:])


def test_the_time_is_over_at_midnight_in_korea_after_the_last_day_and_a_quote_that_is_held_keeps_its_price(exchange: Exchange) -> None:
    market, before = sold(exchange)
    end = free_until_ns(YEAR, before.created_ns)
    later(exchange, end - 60 * 10**9)
    held = updates.quote(exchange, market.buyer, before.id)
    drawn = market.quote(market.cells[:9])
    assert held.estimate.total == drawn.estimate.total == 0
    later(exchange, end)
    again = renewals.renew(exchange, market.buyer, held.id)
    assert again.estimate.subtotal == anew(market, market.cells[:9]) > 0
    assert orders.place(exchange, market.buyer, held.id, "held").total == 0
    assert is_sound(exchange)


def test_what_an_order_was_sold_with_holds_whatever_the_seller_sells_later_and_for_nobody_else(exchange: Exchange) -> None:
    market, before = sold(exchange, bought=4)
    late = market.buy(market.cells[4:8])
    publish(market, "3")
    assert update(market, before).total == 0
    assert update(market, late).subtotal == anew(market, market.cells[4:8])
    assert is_sound(exchange)


def test_a_free_update_is_followed_by_free_ones_until_the_time_of_the_order_that_was_paid_is_over(exchange: Exchange) -> None:
    market = a_market(exchange, credit=10**8)
    publish(market, "", YEAR)
    first = market.buy()
    end = free_until_ns(YEAR, first.created_ns)
    later(exchange, end - 2 * DAY_NS)
    publish(market, "2", YEAR)
    second = update(market, first)
    publish(market, "3", YEAR)
    third = update(market, second)
    assert (second.total, third.total) == (0, 0)
    publish(market, "4", YEAR)
    later(exchange, end)
    fourth = update(market, third)
    assert fourth.subtotal == anew(market, market.cells)
    publish(market, "5")
    assert update(market, fourth).total == 0
    assert is_sound(exchange)


@pytest.mark.parametrize(("purpose", "is_free"), [("research", True), ("map_production", True), ("localisation", False)])
def test_it_is_free_for_the_purpose_that_was_paid_and_for_narrower_ones(exchange: Exchange, purpose: str, is_free: bool) -> None:
    market, _ = sold(exchange, licence="commercial", purpose="map_production")
    cells = market.cells[:9]
    assert mine(market, cells, purpose) == (0 if is_free else anew(market, cells, purpose))
    assert market.buy(cells, purpose=purpose).total == (0 if is_free else mine_total(anew(market, cells, purpose)))
    assert is_sound(exchange)


def mine_total(subtotal: int) -> int:
    return subtotal + subtotal // 10


@on_sqlite
def test_it_is_not_free_under_a_licence_that_allows_more_than_the_one_that_was_paid(exchange: Exchange) -> None:
    market, before = sold(exchange)
    publish(market, "", licence="commercial")
    assert update(market, before).subtotal == anew(market, market.cells[:9]) > 0
    assert is_sound(exchange)


def test_what_was_paid_back_has_no_free_updates_and_what_cost_nothing_is_not_paid_back(exchange: Exchange) -> None:
    market, before = sold(exchange)
    free = update(market, before)
    publish(market, "3")
    recalls.recall(exchange, market.seller, "streets", 2)
    assert refunds.of_orders(exchange, market.buyer, [free.id]) == []
    assert update(market, free).total == 0
    publish(market, "4")
    recalls.recall(exchange, market.seller, "streets", 1)
    assert [one.total for one in refunds.of_orders(exchange, market.buyer, [before.id])] == [before.total]
    assert update(market, before).subtotal == anew(market, market.cells[:9])
    assert is_sound(exchange)


def test_a_quote_is_refused_when_the_terms_of_updates_or_what_was_free_changed_since(exchange: Exchange) -> None:
    market, before = sold(exchange)
    held, drawn = updates.quote(exchange, market.buyer, before.id), market.quote(market.cells[9:])
    publish(market, "", "free:6")
    with pytest.raises(Conflict) as caught:
        orders.place(exchange, market.buyer, drawn.id, "drawn")
    assert caught.value.code == "quote.terms_changed"
    (changed,) = caught.value.details["terms"]
    assert (changed["old"]["updates"], changed["new"]["updates"]) == ("paid", "free:6")
    (change,) = terms_of.since_last(exchange, market.buyer, market.quote(market.cells[9:]))
    assert (change.old.updates, change.new.updates, change.is_same) == (YEAR, "free:6", False)
    publish(market, "")
    recalls.recall(exchange, market.seller, "streets", 1)
    with pytest.raises(Conflict) as caught:
        orders.place(exchange, market.buyer, held.id, "held")
    assert caught.value.code == "quote.price_changed"


def test_free_tiles_take_no_credit_and_that_of_the_others_stays_exact(exchange: Exchange) -> None:
    """Studied tiles of the newer version are credited to a wider use, but not those that it gets for nothing."""
    market = a_market(exchange, credit=10**8)
    publish(market, "", YEAR, licence="commercial")
    market.buy(market.cells[:4], purpose="map_production")
    publish(market, "2", licence="commercial", credits_earlier=True)
    study = market.buy(market.cells[:8], purpose="research")
    assert study.subtotal == anew(market, market.cells[4:8])
    made = market.buy(market.cells, purpose="map_production")
    assert (made.lines[0].free_tiles, made.lines[0].earlier) == (4, study.subtotal)
    assert made.subtotal == anew(market, market.cells[4:]) - study.subtotal
    assert is_sound(exchange)


def test_what_was_studied_of_a_tile_that_is_free_now_stays_uncredited(exchange: Exchange) -> None:
    """A content that comes back: it was studied, and is free as an update of what was paid for the wider use since."""
    market = a_market(exchange, credit=10**8)
    cells = market.cells
    publish(market, "1", licence="commercial")
    study = market.buy(cells[:8], purpose="research")
    publish(market, "2", YEAR, licence="commercial")
    market.buy(cells[:4], purpose="map_production")
    publish(market, "1", licence="commercial", credits_earlier=True)
    half = study.subtotal // 2
    assert mine(market, cells, "map_production") == anew(market, cells[4:], "map_production") - half
    made = market.buy(cells, purpose="map_production")
    assert (made.lines[0].free_tiles, made.lines[0].earlier) == (4, half)
    each = cell_prices.tiles(exchange, market.buyer, of_area(area(cells), purpose="localisation"), limit=16)
    assert all(one.amount for one in each)
    assert is_sound(exchange)


def test_of_a_tile_in_several_parts_the_unchanged_ones_are_owned_and_the_others_free(exchange: Exchange) -> None:
    market = a_market(exchange, credit=10**8)
    cells = market.cells[:3]
    for number, policy, bought in ((1, YEAR, cells[:2]), (2, "paid", [])):
        halves = a_layer([])
        halves.parts = {cell: [f"{cell} left", f"{cell} right {number if cell != cells[1] else ''}"] for cell in cells}
        a_draft(exchange, market.seller, "streets", [halves])
        publish(market, "", policy)
        if bought:
            market.buy(bought)
    whole = market.buy(cells)
    (line,) = whole.lines
    assert (line.tiles, line.owned_tiles, line.free_tiles, line.amount) == (3, 1, 1, anew(market, cells[2:]))
    tiles = entitlements.of_order(exchange, market.buyer, whole.id).tiles
    assert {(tile.cell, tile.part) for tile in tiles if tile.paid} == {(cells[2], 0), (cells[2], 1)}
    assert is_sound(exchange)


@on_sqlite
def test_the_seller_gets_what_was_paid_and_nothing_for_free_updates(exchange: Exchange) -> None:
    market, before = sold(exchange)
    month = kst_month(before.created_ns)
    update(market, before)
    assert ledger.wallet(exchange, market.seller).balance == before.subtotal
    later(exchange, before.created_ns + 40 * DAY_NS)
    settlements.close(exchange, None, month)
    (closed,) = [one for one in settlements.of_seller(exchange, market.seller) if one.month == month]
    assert closed.sales == before.subtotal
    assert is_sound(exchange)


@on_sqlite
def test_a_free_update_needs_no_money_and_passes_no_limit_but_the_right_to_order(exchange: Exchange) -> None:
    market, before = sold(exchange)
    colleague = a_person(exchange, "dongil")
    made = market.quote(market.cells[9:])
    orders.place(exchange, colleague, made.id, made.id)
    held = updates.quote(exchange, colleague, before.id)
    purchase_rights.set_right(exchange, market.buyer, colleague.email, purchase_rights.NONE)
    with pytest.raises(Denied, match="ask for approval"):
        orders.place(exchange, colleague, held.id, "k")
    purchase_rights.set_right(exchange, market.buyer, colleague.email, Right(True, 1, 1))
    assert orders.place(exchange, colleague, held.id, "k").total == 0


@on_sqlite
def test_an_offer_that_says_nothing_else_has_updates_paid_and_nonsense_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = offers.latest(exchange, market.seller, "streets")
    assert made is not None and made.updates == "paid"
    for policy in ("free:0", "free:37", ""):
        with pytest.raises(Invalid, match="free for 1 to 36 months"):
            publish(market, "", policy)


HARM = {
    "a time that was made longer": "UPDATE order_line SET free_until_ns = free_until_ns + 1 WHERE free_until_ns > 0",
    "a time that nobody promised": "UPDATE order_line SET free_until_ns = 1 WHERE free_until_ns = 0",
    "tiles that were never paid": "UPDATE entitlement SET paid = 0",
    "a promise to others": "UPDATE order_line SET free_until_ns = 0, updates = 'paid'",
    "more tiles than were free": "UPDATE order_line SET free_tiles = free_tiles + 1 WHERE free_tiles > 0",
}


@pytest.mark.parametrize("harm", HARM)
@on_sqlite
def test_fsck_finds(exchange: Exchange, harm: str) -> None:
    market, before = sold(exchange)
    update(market, before)
    assert is_sound(exchange)
    behind(exchange, HARM[harm])
    assert any(words in str(broken(exchange)["I4"]) for words in ("free until", "for nothing"))


@on_sqlite
def test_the_log_has_what_updates_cost_and_fsck_holds_the_offer_to_it(exchange: Exchange) -> None:
    market, _ = sold(exchange)
    with exchange.engine.connect() as conn:
        query = text("SELECT payload FROM audit_event WHERE action = 'offer.published' ORDER BY seq")
        entries = conn.execute(query).scalars().all()
    assert ['"updates":"free:12"' in entry for entry in entries] == [False, True, False]
    behind(exchange, "UPDATE offer SET updates = 'paid'")
    assert "updates" in str(broken(exchange))
