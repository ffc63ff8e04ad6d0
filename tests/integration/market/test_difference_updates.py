"""An order may be sold with updates at the difference: what did not change of its tiles is credited once; on both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest

from mapex.catalogue.comparison import CellChange, ChangeCounts
from mapex.errors import Conflict, Invalid
from mapex.exchange import Exchange
from mapex.offers import offers, recalls
from mapex.orders import ledger, orders, refunds, renewals, updates
from mapex.orders import terms as terms_of
from mapex.prices import cell_prices, estimates
from mapex.prices.request import of_area
from mapex.rights import entitlements
from mapex.rules.accuracy import Shift
from tests.support.editions import Place, a_version, an_edition, changes_of
from tests.support.exchange import a_person
from tests.support.market import Market, Spec, a_draft, area, block
from tests.support.tampering import behind, broken
from tiles.batch import Quantities

CELLS = block(2)
RATES = {"crossing": 100}
Features = dict[int, dict[str, Place]]

on_sqlite = pytest.mark.parametrize("exchange", ["sqlite"], indirect=True)
"""For what is one statement on both databases, and tried on both elsewhere."""


def sell(
    market: Market, policy: str = "paid", *, licence: str = "research", rates: Mapping[str, object] = RATES, **more: object
) -> offers.Offer:
    terms = {"rate_card": rates, "licence": licence, "updates": policy, **more}
    return offers.publish(market.ex, market.seller, "streets", **terms)  # type: ignore[arg-type]


def a_shop(exchange: Exchange, policy: str = "difference", **terms: object) -> tuple[Market, Features]:
    """Hanbit sells four tiles of ten features, of which each costs 100 KRW; Dongil is rich."""
    market = Market(exchange, a_person(exchange, "hanbit"), a_person(exchange, "dongil"), CELLS)
    ledger.credit(exchange, None, "dongil", 10**8, key="first")
    first = an_edition(CELLS)
    a_version(market, first)
    sell(market, policy, **terms)  # type: ignore[arg-type]
    return market, first


def altered(features: Features, counts: Sequence[int], word: str = "rebuilt") -> Features:
    """The same with so many features of each cell altered."""
    made = deepcopy(features)
    for cell, count in zip(CELLS, counts, strict=False):
        for name in list(made[cell])[:count]:
            made[cell][name] = (word, made[cell][name][1])
    return made


def sold(exchange: Exchange, counts: Sequence[int] = (3, 10, 1), policy: str = "paid", **terms: object) -> tuple[Market, orders.Order]:
    """Dongil bought all of it, and of a newer version so many features of the cells are altered."""
    market, first = a_shop(exchange)
    made = market.buy()
    a_version(market, altered(first, counts), first)
    sell(market, policy, **terms)  # type: ignore[arg-type]
    return market, made


def update(market: Market, order: orders.Order) -> orders.Order:
    held = updates.quote(market.ex, market.buyer, order.id)
    return orders.place(market.ex, market.buyer, held.id, held.id)


def anew(market: Market, cells: Sequence[int], purpose: str = "research") -> int:
    return estimates.estimate(market.ex, None, of_area(area(cells), purpose=purpose)).subtotal


def mine(market: Market, cells: Sequence[int], purpose: str | None = "research") -> int:
    return estimates.estimate(market.ex, market.buyer, of_area(area(cells), purpose=purpose)).subtotal


def is_sound(exchange: Exchange) -> bool:
    return broken(exchange) == {}


def test_an_update_costs_what_changed_and_what_did_not_is_credited(exchange: Exchange) -> None:
    market, before = sold(exchange)
    assert before.lines[0].updates == "difference"
    found = updates.of_order(exchange, market.buyer, before.id)
    assert found.price is not None and (found.changed, found.price.subtotal) == (3, 300 + 1000 + 100)
    each = cell_prices.tiles(exchange, market.buyer, of_area(area(CELLS), purpose="research"), limit=4)
    assert {one.cell: one.amount for one in each} == dict(zip(CELLS, (300, 1000, 100, 0), strict=True))
    assert mine(market, CELLS) == mine(market, CELLS, None) == 1400
    made = update(market, before)
    (line,) = made.lines
    assert (line.price, line.earlier, line.credit, line.amount) == (3000, 1600, 1600, 1400)
    assert ledger.wallet(exchange, market.seller).balance == before.subtotal + 1400
    assert all(tile.paid for tile in entitlements.of_order(exchange, market.buyer, made.id).tiles)
    assert is_sound(exchange)


def test_what_was_added_or_removed_costs_its_part_and_what_is_new_in_the_area_its_price(exchange: Exchange) -> None:
    """Ten features and thirty more: the ten were paid, the thirty are not; of five that are left all were paid."""
    market, first = a_shop(exchange)
    before = market.buy(CELLS[:3])
    second = deepcopy(first)
    second[CELLS[0]] |= {f"new {number}": ("new", 0) for number in range(30)}
    second[CELLS[1]] = dict(list(first[CELLS[1]].items())[:5])
    a_version(market, second, first)
    sell(market)
    assert [mine(market, [cell]) for cell in CELLS] == [3000, 0, 0, 1000]
    assert market.buy().subtotal == 4000
    assert is_sound(exchange)
    assert before.subtotal == 3000


def test_what_an_update_cost_and_credited_is_what_the_next_one_credits(exchange: Exchange) -> None:
    market, first = a_shop(exchange)
    made, features = market.buy(), first
    for number, counts in enumerate(((3, 10, 1), (1, 0, 2), (0, 0, 0, 10))):
        newer = altered(features, counts, f"rebuilt {number}")
        a_version(market, newer, features)
        sell(market, "difference")
        assert mine(market, CELLS) == 100 * sum(counts)
        made, features = market.buy(), newer
        assert made.subtotal == 100 * sum(counts)
        assert is_sound(exchange)


@on_sqlite
def test_versions_that_were_passed_over_add_up(exchange: Exchange) -> None:
    market, first = a_shop(exchange)
    market.buy()
    second = altered(first, (2, 5))
    a_version(market, second, first)
    sell(market, "difference")
    third = altered(second, (3, 0, 1), "again")
    a_version(market, third, second)
    sell(market, "paid")
    assert [mine(market, [cell]) for cell in CELLS] == [500, 500, 100, 0]


@on_sqlite
def test_an_update_under_other_terms_keeps_nothing_for_the_one_after_it(exchange: Exchange) -> None:
    market, before = sold(exchange)
    second = update(market, before)
    newer = altered(altered(an_edition(CELLS), (3, 10, 1)), (0, 0, 0, 4), "late")
    a_version(market, altered(newer, (1,), "late"), altered(an_edition(CELLS), (3, 10, 1)))
    sell(market)
    assert (second.lines[0].updates, mine(market, CELLS[:1]), mine(market, CELLS[3:])) == ("paid", 1000, 400)
    assert is_sound(exchange)


@on_sqlite
@pytest.mark.parametrize(("rate", "price"), [(200, 2000 - 700), (50, 150), (0, 0)])
def test_it_is_what_was_paid_for_what_did_not_change_and_at_most_what_that_costs_now(exchange: Exchange, rate: int, price: int) -> None:
    market, _ = sold(exchange, rates={"crossing": rate})
    assert mine(market, CELLS[:1]) == price
    # What is left over of one tile makes nothing else cheaper.
    assert mine(market, CELLS[:2]) == price + 10 * rate
    made = market.buy(CELLS[:2])
    assert made.lines[0].earlier == 10 * rate - price
    assert is_sound(exchange)


@on_sqlite
def test_nothing_is_credited_where_versions_were_not_compared_or_updates_are_paid(exchange: Exchange) -> None:
    market, first = a_shop(exchange)
    market.buy(CELLS[:2])
    sell(market)
    market.buy()
    a_version(market, altered(first, (1, 1, 1, 1)))
    sell(market)
    assert mine(market, CELLS) == anew(market, CELLS) == 4000
    a_version(market, altered(first, (1, 1, 1, 1), "third"), first)
    sell(market)
    assert mine(market, CELLS) == 4000  # compared with the version between, which was compared with nothing


@on_sqlite
def test_of_versions_that_were_compared_only_those_count_that_were_sold_so(exchange: Exchange) -> None:
    market, first = a_shop(exchange)
    market.buy(CELLS[:2])
    sell(market)
    market.buy()
    a_version(market, altered(first, (1, 1, 1, 1)), first)
    sell(market, "difference")
    assert [mine(market, [cell]) for cell in CELLS] == [100, 100, 1000, 1000]


@on_sqlite
@pytest.mark.parametrize(
    ("purpose", "price", "then"), [("research", 1200, 4000), ("map_production", 1200, 0), ("localisation", 4000, 1200)]
)
def test_it_is_credited_for_the_purpose_that_was_paid_and_for_narrower_ones_once(
    exchange: Exchange, purpose: str, price: int, then: int
) -> None:
    """The tiles of one order, updated for one purpose and then for the one that was paid."""
    market, first = a_shop(exchange, licence="commercial")
    market.buy(purpose="map_production")
    a_version(market, altered(first, (3, 3, 3, 3)), first)
    sell(market, licence="commercial")
    assert market.buy(purpose=purpose).subtotal == price
    assert market.buy(purpose="map_production").subtotal == then
    assert is_sound(exchange)


@on_sqlite
def test_it_is_not_credited_under_a_licence_that_allows_more_than_the_one_that_was_paid(exchange: Exchange) -> None:
    market, _ = sold(exchange, licence="commercial")
    assert mine(market, CELLS[:3]) == anew(market, CELLS[:3]) == 3000


def test_two_orders_of_the_same_update_at_once_are_credited_once(exchange: Exchange) -> None:
    market, before = sold(exchange)
    held = [updates.quote(exchange, market.buyer, before.id), market.quote(CELLS[:1]), market.quote()]
    assert [one.estimate.subtotal for one in held] == [1400, 300, 1400]

    def place(quote_id: str) -> str:
        try:
            return orders.place(exchange, market.buyer, quote_id, quote_id).state
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(3) as pool:
        outcomes = sorted(pool.map(place, [one.id for one in held]))
    assert outcomes == ["paid", "quote.price_changed", "quote.price_changed"]
    assert market.buy().subtotal in (0, 1100) and is_sound(exchange)


@on_sqlite
def test_a_quote_whose_credit_another_order_used_is_refused_and_renewed_costs_it_all(exchange: Exchange) -> None:
    market, first = a_shop(exchange, licence="commercial")
    market.buy(purpose="map_production")
    a_version(market, altered(first, (3, 3, 3, 3)), first)
    sell(market, licence="commercial")
    held = market.quote(purpose="map_production")
    market.buy(CELLS[:1], purpose="research")
    with pytest.raises(Conflict) as caught:
        orders.place(exchange, market.buyer, held.id, "held")
    assert caught.value.code == "quote.price_changed"
    assert renewals.renew(exchange, market.buyer, held.id).estimate.subtotal == 1000 + 900


@on_sqlite
def test_a_quote_is_refused_when_updates_cost_something_else_since(exchange: Exchange) -> None:
    market, _ = a_shop(exchange)
    market.buy(CELLS[:1])
    held = market.quote(CELLS[1:])
    sell(market)
    with pytest.raises(Conflict) as caught:
        orders.place(exchange, market.buyer, held.id, "held")
    (changed,) = caught.value.details["terms"]
    assert (changed["old"]["updates"], changed["new"]["updates"]) == ("difference", "paid")
    (change,) = terms_of.since_last(exchange, market.buyer, market.quote(CELLS[1:]))
    assert (change.old.updates, change.new.updates) == ("difference", "paid")


def test_free_updates_take_no_credit(exchange: Exchange) -> None:
    market, first = a_shop(exchange, licence="commercial")
    market.buy(CELLS[:2])
    sell(market, "free:12", licence="commercial")
    market.buy(CELLS[1:], purpose="map_production")
    a_version(market, altered(first, (2, 2, 2, 2)), first)
    sell(market, licence="commercial")
    made = market.buy()
    assert (made.subtotal, made.lines[0].free_tiles, made.lines[0].earlier) == (200, 3, 800)
    assert is_sound(exchange)


def test_what_a_recall_returns_is_what_was_paid_and_credit_that_came_back_counts_no_more(exchange: Exchange) -> None:
    market, before = sold(exchange, policy="difference")
    second = update(market, before)
    recalls.recall(exchange, market.seller, "streets", 1)
    assert [one.amount for one in refunds.of_orders(exchange, market.buyer, [before.id])] == [4000]
    newer = altered(altered(an_edition(CELLS), (3, 10, 1)), (1, 1, 1), "third")
    a_version(market, newer, altered(an_edition(CELLS), (3, 10, 1)))
    sell(market, "difference")
    # 1400 of 3000 were paid for three tiles, 466 each, of which nine tenths did not change.
    assert mine(market, CELLS[:1]) == 1000 - 1400 * 10 // 30 * 9 // 10
    third = update(market, second)
    assert is_sound(exchange)
    recalls.recall(exchange, market.seller, "streets", 3)
    assert [one.amount for one in refunds.of_orders(exchange, market.buyer, [third.id])] == [third.subtotal]
    assert is_sound(exchange)


def test_where_the_same_content_was_paid_for_that_alone_is_credited(exchange: Exchange) -> None:
    """A content that comes back: it was studied, and is a newer version of what was paid for the wider use since."""
    market, first = a_shop(exchange, licence="commercial")
    market.buy(CELLS[:2], purpose="research")
    second = altered(first, (2, 2, 2, 2))
    a_version(market, second, first)
    sell(market, "difference", licence="commercial")
    market.buy(CELLS[1:3], purpose="map_production")
    a_version(market, first, second)
    sell(market, "difference", licence="commercial", credits_earlier=True)
    assert [mine(market, [cell], "map_production") for cell in CELLS] == [0, 0, 200, 1000]
    market.buy(purpose="map_production")
    assert is_sound(exchange)


def test_of_a_tile_in_several_parts_the_unchanged_ones_are_owned_and_credit_nothing(exchange: Exchange) -> None:
    market, _ = a_shop(exchange)
    cell = CELLS[0]
    each = Quantities(crossings=10, features=10)
    for number in (1, 2):
        parts = {cell: [f"left {cell}", f"right {number} {cell}"]}
        edition, older = ({cell: {f"f{one}": ("x", 0) for one in range(20)}} for _ in range(2))
        newer = altered(edition, (6,), "other") if number == 2 else edition  # all six are in the right part
        changes = changes_of(newer, older) if number == 2 else None
        a_draft(exchange, market.seller, "streets", [Spec(parts=parts, each=each, changes=changes)])
        sell(market, "difference")
        made = market.buy([cell])
        assert made.subtotal == (2000 if number == 1 else 600)
    assert is_sound(exchange)


@pytest.mark.parametrize(("content", "unit", "rate"), [("points", "million_points", 10**9), ("frames", "frame", 1000)])
@on_sqlite
def test_points_and_frames_count_like_features(exchange: Exchange, content: str, unit: str, rate: int) -> None:
    """A thousand at ₩1,000 each; of the eleven hundred of the newer version three hundred are new."""
    market, _ = a_shop(exchange)
    change = CellChange(CELLS[0], Shift(others=True, um=0), ChangeCounts(added=300, removed=200))
    for size, changes in ((1000, None), (1100, [change])):
        vector = Quantities(**{content: size}, features=7 * size)
        parts = {CELLS[0]: [f"{content} {size}"]}
        a_draft(exchange, market.seller, "streets", [Spec(name=content, parts=parts, each=vector, changes=changes, content=content)])
        sell(market, "difference", rates={unit: rate}, confirmed=["rates.unusual"])
        made = market.buy([CELLS[0]])
        assert made.subtotal == (1_000_000 if changes is None else 300_000)
    assert is_sound(exchange)


@on_sqlite
def test_small_shifts_in_many_versions_creep_away_and_are_a_change(exchange: Exchange) -> None:
    market, first = a_shop(exchange)
    market.buy()
    before = first
    for number in (1, 2, 3):
        moved = {cell: {name: (word, 60 * number) for name, (word, _) in features.items()} for cell, features in first.items()}
        a_version(market, moved, before)
        sell(market, accuracies={"*": 0.1})
        before = moved
        assert mine(market, CELLS) == (0 if number == 1 else 4000)


@on_sqlite
def test_an_offer_may_say_so_and_nothing_else(exchange: Exchange) -> None:
    market, _ = a_shop(exchange)
    assert sell(market, "difference").updates == "difference"
    for policy in ("difference:12", "DIFFERENCE", "difference "):
        with pytest.raises(Invalid, match="or cost the difference"):
            sell(market, policy)


HARM = {
    "a credit that is taken once more": "DELETE FROM credited_tile",
    "a credit that nobody paid": "UPDATE order_line SET earlier = earlier + 1 WHERE earlier > 0",
    "a payment of others": "UPDATE entitlement SET paid = 0 WHERE id IN (SELECT entitlement_id FROM credited_tile)",
    "a promise that nobody gave": "UPDATE order_line SET updates = 'paid'",
    "changes that are fewer": "UPDATE tile_change SET counts = '{}'",
    "another price": "UPDATE offer SET rate_card = '{\"crossing\"\\:10}'",
}


@pytest.mark.parametrize("harm", HARM)
@on_sqlite
def test_fsck_finds(exchange: Exchange, harm: str) -> None:
    market, before = sold(exchange)
    update(market, before)
    assert is_sound(exchange)
    behind(exchange, HARM[harm])
    assert "credited" in broken(exchange)["I4"]
