"""Buying: one key one effect, the quote's price or nothing, money that sums to zero; on SQLite and PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text

from mapex.audit import log
from mapex.database.schema import metadata
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound, Unpaid
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.orders import ledger, orders
from mapex.people import orgs
from mapex.prices import estimates, quotes
from mapex.prices.request import of_area
from mapex.rights import entitlements, permits
from mapex.rules.choice import Choice
from mapex.rules.file_names import portable
from tests.support.exchange import Clock, a_person
from tests.support.market import RATES, SEOUL, Market, a_draft, a_layer, a_market, a_permit, area, block
from tiles.batch import LayerKind, Quantities


def counts(ex: Exchange) -> dict[str, int]:
    with ex.engine.connect() as conn:
        return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables}


def numbers(ex: Exchange, sql: str) -> list[Any]:
    with ex.engine.connect() as conn:
        return list(conn.execute(text(sql)).scalars())


def refused(kind: type[MapexError], code: str, call: Callable[[], object]) -> MapexError:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    return caught.value


def clock(ex: Exchange) -> Clock:
    assert isinstance(ex.now, Clock)
    return ex.now


def test_an_order_costs_its_quote_and_pays_the_seller_and_the_tax(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    made = orders.place(exchange, market.buyer, quote.id, "k")
    assert (made.total, made.subtotal, made.vat) == (quote.estimate.total, quote.estimate.subtotal, quote.estimate.vat)
    assert made.state == "paid"
    assert market.balance() == 10_000_000 - made.total
    assert market.balance(market.seller) == made.subtotal
    assert numbers(exchange, "SELECT balance FROM ledger_account WHERE id = 'acc_vat'") == [made.vat]
    assert numbers(exchange, "SELECT SUM(amount) FROM ledger_entry") == [0]
    assert orders.get(exchange, market.buyer, made.id) == made
    assert orders.of(exchange, market.buyer).orders == [made]


def test_every_tile_of_the_quote_is_entitled(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = market.buy(market.cells[:7])
    page = entitlements.of_order(exchange, market.buyer, made.id, limit=5)
    rest = entitlements.of_order(exchange, market.buyer, made.id, after=page.next or "", limit=5)
    tiles = [*page.tiles, *rest.tiles]
    assert (len(page.tiles), len(rest.tiles), rest.next) == (5, 2, None)
    assert {tile.cell for tile in tiles} == set(market.cells[:7])
    assert len({tile.path for tile in tiles}) == 7
    assert all(tile.paid and tile.licence == "research" and tile.attribution == "hanbit" for tile in tiles)


def test_each_file_of_an_order_has_a_name_of_its_own_that_every_disk_keeps(exchange: Exchange) -> None:
    """`a/b-c` and `a-b/c` were both in the folder `a-b-c`, and `con` is a device of Windows."""
    market = a_market(exchange)
    sold = [("a", "b-c"), ("x", "b-c"), ("a-b", "c"), ("y", "c"), ("a", "con"), ("a", "a-b-c")]
    sellers = {org: a_person(exchange, org) for org, _ in sold}
    for org, slug in sold:
        name = "nul" if slug == "a-b-c" else "hdmap"
        a_draft(exchange, sellers[org], slug, [a_layer(market.cells[:1], name=name, salt=f"{org}/{slug}")])
        offers.publish(exchange, sellers[org], slug, rate_card=RATES, licence="research")
    every = Choice(frozenset({"hanbit/streets", *(f"{org}/{slug}" for org, slug in sold)}))
    made = orders.place(exchange, market.buyer, market.quote(market.cells[:1], choice=every).id, "k")
    paths = [tile.path for tile in entitlements.of_order(exchange, market.buyer, made.id).tiles]
    assert sorted(path.rpartition("/")[0] for path in paths) == [
        "a-b-c/layer-nul", "a-b_c/hdmap", "a_b-c/hdmap", "a_con/hdmap", "streets/hdmap", "x_b-c/hdmap", "y_c/hdmap",
    ]  # fmt: skip
    assert [portable(path) for path in paths] == paths


def test_the_same_key_again_answers_the_same_order(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    first = orders.place(exchange, market.buyer, quote.id, "k")
    before = counts(exchange)
    clock(exchange).forward(days=400)
    assert orders.place(exchange, market.buyer, quote.id, "k") == first
    assert counts(exchange) == before


def test_the_same_key_with_another_quote_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    first, second = market.quote(market.cells[:2]), market.quote(market.cells[2:])
    orders.place(exchange, market.buyer, first.id, "k")
    before = counts(exchange)
    refused(Conflict, "order.key_reused", lambda: orders.place(exchange, market.buyer, second.id, "k"))
    assert counts(exchange) == before


def test_another_key_for_a_bought_quote_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    made = orders.place(exchange, market.buyer, quote.id, "k")
    error = refused(Conflict, "quote.bought", lambda: orders.place(exchange, market.buyer, quote.id, "other"))
    assert error.details["order"] == made.id


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\t", "한글", None, 7])
def test_a_key_that_is_none_is_refused(exchange: Exchange, key: object) -> None:
    market = a_market(exchange)
    quote = market.quote()
    refused(Invalid, "order.key", lambda: orders.place(exchange, market.buyer, quote.id, key))  # type: ignore[arg-type]


def test_fifty_threads_with_one_key_make_one_order(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(lambda _: orders.place(exchange, market.buyer, quote.id, "k"), range(50)))
    assert len({one.id for one in made}) == 1
    assert market.balance() == 10_000_000 - quote.estimate.total
    assert counts(exchange)["purchase_order"] == 1
    assert counts(exchange)["entitlement"] == 16
    assert numbers(exchange, "SELECT COUNT(*) FROM audit_event WHERE action = 'order.placed'") == [1]


def test_threads_with_different_keys_for_one_quote_make_one_order(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()

    def attempt(number: int) -> str:
        try:
            return orders.place(exchange, market.buyer, quote.id, f"k{number}").state
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(10) as pool:
        assert Counter(pool.map(attempt, range(10))) == {"paid": 1, "quote.bought": 9}


def test_of_two_orders_that_race_for_one_balance_one_is_paid(exchange: Exchange) -> None:
    market = a_market(exchange, credit=70_000)  # half of the area costs 68,444 KRW
    quotes = [market.quote(market.cells[:8]), market.quote(market.cells[8:])]

    def attempt(quote: quotes.Quote) -> str:
        try:
            return orders.place(exchange, market.buyer, quote.id, quote.id).state
        except Unpaid as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        assert Counter(pool.map(attempt, quotes)) == {"paid": 1, "wallet.insufficient": 1}
    assert market.balance() == 70_000 - quotes[0].estimate.total


def test_two_firms_that_buy_from_each_other_at_once_do_not_block(exchange: Exchange) -> None:
    market = a_market(exchange)
    a_draft(exchange, market.buyer, "paths", [a_layer(market.cells, name="sidewalks")])
    offers.publish(exchange, market.buyer, "paths", rate_card=RATES, licence="research")
    ledger.credit(exchange, None, "hanbit", 10_000_000, key="second")
    jobs = []
    for cell in market.cells:
        for who in (market.buyer, market.seller):
            jobs.append((who, quotes.quote(exchange, who, of_area(area([cell]), purpose="research")).id))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda job: orders.place(exchange, job[0], job[1], job[1]), jobs))
    assert len(made) == 32
    assert numbers(exchange, "SELECT SUM(balance) FROM ledger_account") == [0]
    assert numbers(exchange, "SELECT SUM(balance) FROM ledger_account WHERE kind <> 'bank'") == [20_000_000]


def test_insufficient_balance_names_what_is_needed_and_there(exchange: Exchange) -> None:
    market = a_market(exchange, credit=1000)
    quote = market.quote()
    before = counts(exchange)
    error = refused(Unpaid, "wallet.insufficient", lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert error.details == {"needed": quote.estimate.total, "available": 1000}
    assert counts(exchange) == before
    ledger.credit(exchange, None, "dongil", quote.estimate.total, key="more")
    assert orders.place(exchange, market.buyer, quote.id, "k").state == "paid"


def test_an_expired_quote_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    before = counts(exchange)
    clock(exchange).forward(seconds=15 * 60)
    refused(Conflict, "quote.expired", lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert counts(exchange) == before


def test_a_withdrawn_offer_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    offers.withdraw(exchange, market.seller, "streets")
    before = counts(exchange)
    refused(Conflict, "offer.withdrawn", lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert counts(exchange) == before


def test_an_offer_of_a_suspended_seller_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    orgs.set_org_state(exchange, None, "hanbit", "suspended")
    refused(Conflict, "offer.withdrawn", lambda: orders.place(exchange, market.buyer, quote.id, "k"))


def test_a_changed_price_is_refused_with_the_new_one(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    offers.publish(exchange, market.seller, "streets", rate_card={"lane_km": 7000}, licence="research")
    before = counts(exchange)
    error = refused(Conflict, "quote.price_changed", lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert error.details["estimate"]["lines"][0]["rate"] == 7000
    assert error.details["estimate"]["total"] != quote.estimate.total
    assert counts(exchange) == before


def test_a_new_version_is_never_sold_in_place_of_the_quoted_one(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    a_draft(exchange, market.seller, "streets", [a_layer(market.cells, salt="new")])
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    refused(Conflict, "quote.price_changed", lambda: orders.place(exchange, market.buyer, quote.id, "k"))


def test_a_tile_that_was_replaced_behind_the_quote_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE tile SET sha256 = :other WHERE cell = :cell"), {"other": "0" * 64, "cell": market.cells[3]})
    before = counts(exchange)
    refused(Conflict, "quote.price_changed", lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert counts(exchange) == before


def test_tiles_bought_between_quote_and_order_change_the_price(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    market.buy(market.cells[:4])
    error = refused(Conflict, "quote.price_changed", lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert error.details["estimate"]["lines"][0]["owned_tiles"] == 4


def test_tiles_owned_already_cost_nothing(exchange: Exchange) -> None:
    market = a_market(exchange)
    whole = market.quote().estimate.subtotal
    first = market.buy(market.cells[:6])
    second = market.buy()
    assert first.subtotal + second.subtotal in (whole, whole + 1)  # each order rounds once
    assert [(line.tiles, line.owned_tiles) for line in second.lines] == [(16, 6)]
    tiles = entitlements.of_order(exchange, market.buyer, second.id).tiles
    assert Counter(tile.paid for tile in tiles) == {True: 10, False: 6}
    third = market.buy()
    assert (third.total, third.lines[0].owned_tiles) == (0, 16)


def test_unchanged_tiles_of_a_new_version_cost_nothing(exchange: Exchange) -> None:
    market = a_market(exchange)
    market.buy()
    changed = a_layer(market.cells[:3], salt="new")
    changed.parts = {**a_layer(market.cells).parts, **changed.parts}
    a_draft(exchange, market.seller, "streets", [changed])
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    [line] = market.quote().estimate.lines
    assert (line.version, line.tiles, line.owned_tiles, line.small) == (2, 16, 13, 3 * 1_234_567)
    market.buy()
    assert market.quote().estimate.total == 0


def test_a_cell_of_which_one_part_is_new_is_charged_for_that_part(exchange: Exchange) -> None:
    cells = block(2)
    market = a_market(exchange, layers=[a_layer(cells)], side=2)
    market.buy()
    two = a_layer(cells)
    two.parts = {**two.parts, cells[0]: [*two.parts[cells[0]], "a second file"]}
    a_draft(exchange, market.seller, "streets", [two])
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    [line] = market.quote().estimate.lines
    assert (line.tiles, line.owned_tiles, line.small) == (4, 3, 1_234_567)
    made = market.buy()
    assert [tile.paid for tile in entitlements.of_order(exchange, market.buyer, made.id).tiles].count(True) == 1


def test_what_another_firm_owns_is_still_charged(exchange: Exchange) -> None:
    market = a_market(exchange)
    market.buy()
    other = a_person(exchange, "third")
    assert estimates.estimate(exchange, other, of_area(area(market.cells))).lines[0].owned_tiles == 0


def test_the_permit_is_checked_again_at_the_order(exchange: Exchange) -> None:
    cells = block()
    photos = a_layer(cells, name="photos", handling_class="original", kind=LayerKind.PHOTOS, each=Quantities(frames=5))
    market = a_market(exchange, layers=[photos])
    a_permit(exchange)
    suspended, in_time = market.quote(cells[:8]), market.quote(cells[8:])
    named = [market.buyer.email]
    made = orders.place(exchange, market.buyer, in_time.id, "k", persons=named)
    assert numbers(exchange, "SELECT COUNT(*) FROM entitlement WHERE permit_id IS NOT NULL") == [8]
    assert made.total > 0
    permits.set_state(exchange, None, "P-1", "suspended")
    before = counts(exchange)
    refused(Denied, "permit.suspended", lambda: orders.place(exchange, market.buyer, suspended.id, "k2", persons=named))
    assert counts(exchange) == before


def test_proceeds_pay_the_sellers_own_purchases(exchange: Exchange) -> None:
    market = a_market(exchange)
    a_draft(exchange, market.buyer, "paths", [a_layer(market.cells[:1], name="sidewalks", each=Quantities(footway_mm=1_000_000))])
    offers.publish(exchange, market.buyer, "paths", rate_card=RATES, licence="research")
    income = market.buy().subtotal
    quote = quotes.quote(exchange, market.seller, of_area(area(market.cells), purpose="research"))
    made = orders.place(exchange, market.seller, quote.id, "k")
    assert market.balance(market.seller) == income - made.total
    statement = ledger.wallet(exchange, market.seller).entries
    assert [entry.amount for entry in statement] == [-made.total, income]
    assert [entry.order_id for entry in statement] == [made.id, None]
    assert [entry.balance for entry in statement] == [income - made.total, income]


def test_free_tiles_are_ordered_for_nothing_without_money(exchange: Exchange) -> None:
    seller, buyer = a_person(exchange, "hanbit"), a_person(exchange, "dongil")
    a_draft(exchange, seller, "streets", [a_layer(block())])
    offers.publish(exchange, seller, "streets", rate_card={"lane_km": 0}, licence="share_alike")
    market = Market(exchange, seller, buyer, block())
    assert market.buy().total == 0
    assert ledger.wallet(exchange, buyer).balance == 0


def test_orders_and_quotes_of_others_are_absent(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    made = market.buy(market.cells[:2])
    for other in (market.seller, a_person(exchange, "third")):
        refused(NotFound, "quote.unknown", lambda by=other: orders.place(exchange, by, quote.id, "k"))  # type: ignore[misc]
        refused(NotFound, "order.unknown", lambda by=other: orders.get(exchange, by, made.id))  # type: ignore[misc]
        refused(NotFound, "order.unknown", lambda by=other: entitlements.of_order(exchange, by, made.id))  # type: ignore[misc]
    refused(NotFound, "quote.unknown", lambda: orders.place(exchange, market.buyer, "quo_absent", "k"))


def test_an_order_is_logged_once_with_its_total(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = market.buy()
    auditor = a_person(exchange, role="auditor")
    [event] = log.events(exchange, auditor, log.EventFilter(action="order.placed")).events
    assert (event.org, event.owner, event.dataset, event.purpose) == ("dongil", "hanbit", "streets", "research")
    assert (event.payload["order"], event.payload["total"]) == (made.id, made.total)


def test_orders_come_in_pages(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = [market.buy([cell]) for cell in market.cells[:5]]
    page = orders.of(exchange, market.buyer, limit=3)
    rest = orders.of(exchange, market.buyer, after=page.next or "", limit=3)
    assert [one.id for one in [*page.orders, *rest.orders]] == [one.id for one in reversed(made)]
    assert rest.next is None


@pytest.mark.parametrize("point", ["order.before_commit", "order.after_commit"])
def test_an_order_that_is_cut_off_is_whole_or_not_there(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    from mapex.database import failpoints

    market = a_market(exchange)
    quote = market.quote()
    before = counts(exchange)
    monkeypatch.setattr(failpoints, "_passed", {})
    monkeypatch.setenv("MAPEX_FAILPOINT", f"{point}:raise")
    with pytest.raises(failpoints.Failpoint):
        orders.place(exchange, market.buyer, quote.id, "k")
    monkeypatch.delenv("MAPEX_FAILPOINT")
    if point == "order.before_commit":
        assert counts(exchange) == before
    made = orders.place(exchange, market.buyer, quote.id, "k")
    assert market.balance() == 10_000_000 - made.total
    assert counts(exchange)["purchase_order"] == 1


# ---- wallets ------------------------------------------------------------------------------------------------------------------------


def test_a_credit_is_booked_once_for_its_key(exchange: Exchange) -> None:
    a_person(exchange, "dongil")
    first = ledger.credit(exchange, None, "dongil", 500, key="bank-1")
    again = ledger.credit(exchange, None, "dongil", 500, key="bank-1")
    assert (again.transaction, again.balance) == (first.transaction, 500)
    refused(Conflict, "credit.key_reused", lambda: ledger.credit(exchange, None, "dongil", 501, key="bank-1"))
    a_person(exchange, "hanbit")
    refused(Conflict, "credit.key_reused", lambda: ledger.credit(exchange, None, "hanbit", 500, key="bank-1"))


def test_a_reference_is_as_long_as_every_database_keeps(exchange: Exchange) -> None:
    a_person(exchange, "dongil")
    assert ledger.credit(exchange, None, "dongil", 500, key="농" * 248).balance == 500
    refused(Invalid, "text.malformed", lambda: ledger.credit(exchange, None, "dongil", 500, key="k" * 249))


def test_the_operator_sees_the_payments_booked_last(exchange: Exchange) -> None:
    market = a_market(exchange)
    market.buy([SEOUL])  # moves money too, and is no payment
    a_person(exchange, "third")
    ledger.credit(exchange, None, "third", 500, key="bank-1", memo="11월 입금")
    ledger.credit(exchange, None, "third", 500, key="bank-1")
    newest, *older = ledger.payments(exchange, a_person(exchange, role="operator"))
    assert (newest.org, newest.amount, newest.reference, newest.memo) == ("third", 500, "bank-1", "11월 입금")
    assert [payment.org for payment in older] == ["dongil"]
    refused(Denied, "role.operator", lambda: ledger.payments(exchange, market.buyer))


def test_twenty_threads_with_one_credit_book_it_once(exchange: Exchange) -> None:
    buyer = a_person(exchange, "dongil")
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: ledger.credit(exchange, None, "dongil", 500, key="bank-1"), range(20)))
    assert ledger.wallet(exchange, buyer).balance == 500


@pytest.mark.parametrize("amount", [0, -5, 10**12 + 1, 1.5, "5", True])
def test_a_credit_that_is_no_amount_is_refused(exchange: Exchange, amount: object) -> None:
    a_person(exchange, "dongil")
    refused(Invalid, "credit.amount", lambda: ledger.credit(exchange, None, "dongil", amount, key="k"))  # type: ignore[arg-type]


def test_only_the_operator_credits_and_only_the_owner_sees(exchange: Exchange) -> None:
    market = a_market(exchange)
    refused(Denied, "role.operator", lambda: ledger.credit(exchange, market.buyer, "dongil", 5, key="k"))
    refused(Denied, "wallet.foreign", lambda: ledger.wallet(exchange, market.buyer, "hanbit"))
    refused(NotFound, "org.unknown", lambda: ledger.credit(exchange, None, "nobody", 5, key="k"))
    operator = a_person(exchange, role="operator")
    assert ledger.wallet(exchange, operator, "dongil").balance == 10_000_000


def test_the_database_itself_refuses_a_negative_wallet_and_a_changed_entry(exchange: Exchange) -> None:
    from sqlalchemy.exc import DBAPIError

    market = a_market(exchange)
    market.buy([SEOUL])
    for statement in (
        "UPDATE ledger_account SET balance = -1 WHERE kind = 'wallet'",
        "UPDATE ledger_entry SET amount = 0",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_transaction SET memo = 'x'",
    ):
        with pytest.raises(DBAPIError), exchange.engine.begin() as conn:
            conn.execute(text(statement))
