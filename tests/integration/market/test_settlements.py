"""What the exchange owes and is owed: fees, refunds of a recall, months, payouts, VAT; each to the won, on both databases."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.offers import offers, recalls
from mapex.operation import fsck
from mapex.orders import books, ledger, orders, refunds, remittances, settlements
from mapex.people import persons
from mapex.rules.pricing import fee_of, vat_of
from mapex.times import kst_month, month_end_ns
from tests.support.exchange import Clock, a_person, an_exchange
from tests.support.market import RATES, Market, a_draft, a_layer, a_market
from tests.support.tampering import behind, broken
from tiles.batch import LayerKind


@pytest.fixture
def market(exchange: Exchange) -> Market:
    """A market whose operator takes 12.5 %."""
    return a_market(replace_settings(exchange, "12.5"), credit=10**8)


def replace_settings(ex: Exchange, percent: str) -> Exchange:
    return replace(ex, settings=replace(ex.settings, fee_percent=Decimal(percent)))


def is_sound(ex: Exchange) -> bool:
    assert [check.message for check in fsck.check(ex) if not check.ok] == []
    return True


def month_of(market: Market) -> str:
    return kst_month(market.ex.now())


def over(market: Market) -> str:
    """The present month, when it is over."""
    month = month_of(market)
    clock = market.ex.now
    assert isinstance(clock, Clock)
    clock.at_ns = month_end_ns(month)
    return month


def second_version(market: Market, salt: str = "new") -> None:
    a_draft(market.ex, market.seller, "streets", [a_layer(market.cells, salt=salt)])
    offers.publish(market.ex, market.seller, "streets", rate_card=RATES, licence="research")


def balance(market: Market, account: str) -> int:
    with market.ex.engine.connect() as conn:
        return ledger.balance(conn, account)


def adds_up(ex: Exchange) -> books.Sheet:
    sheet = books.sheet(ex, None)
    assert sheet.agrees
    return sheet


def test_a_seller_gets_what_it_sold_less_the_fee_of_the_quote(market: Market) -> None:
    held = market.quote()
    dearer = replace_settings(market.ex, "50")
    order = orders.place(dearer, market.buyer, held.id, "later")
    fee = fee_of(order.subtotal, 1250)
    assert 0 < fee == (order.subtotal * 125 + 500) // 1000
    assert market.balance(market.seller) == order.subtotal - fee
    assert (balance(market, ledger.FEE), balance(market, ledger.VAT)) == (fee, order.vat)
    assert adds_up(market.ex).fee == fee and is_sound(market.ex)


def test_a_recall_returns_all_that_was_paid_and_the_exchange_its_fee(market: Market) -> None:
    first, second = market.buy(market.cells[:3]), market.buy(market.cells[:9])
    paid = first.total + second.total
    foreseen = recalls.foresee(market.ex, market.seller, "streets", 1)
    done = recalls.recall(market.ex, market.seller, "streets", 1)
    assert (foreseen.holders, foreseen.returned) == (1, done.returned) == (1, refunds.Returned(2, paid, done.returned.given))
    assert market.balance() == 10**8 and market.balance(market.seller) == 0
    assert [balance(market, one) for one in (ledger.FEE, ledger.VAT)] == [0, 0]
    got = refunds.of_orders(market.ex, market.buyer, [first.id, second.id])
    assert {one.order_id: one.total for one in got} == {first.id: first.total, second.id: second.total}
    assert refunds.of_orders(market.ex, market.seller, [first.id]) == []  # an order of others
    assert {entry.order_id for entry in ledger.wallet(market.ex, market.buyer).entries if entry.kind == "refund"} == {first.id, second.id}
    assert [entry.order_id for entry in ledger.wallet(market.ex, market.seller).entries if entry.kind == "refund"] == [None, None]
    assert is_sound(market.ex)


def test_refunds_of_the_datasets_of_an_order_return_exactly_its_vat_and_fee(exchange: Exchange) -> None:
    market = a_market(replace_settings(exchange, "3.33"), credit=10**6)
    for slug, kind in (("paths", LayerKind.SIDEWALK), ("scans", LayerKind.POINTCLOUD)):
        a_draft(market.ex, market.seller, slug, [a_layer(market.cells, name=slug, kind=kind)])
        offers.publish(market.ex, market.seller, slug, rate_card={"footway_km": 0, "million_points": 0, "crossing": 7}, licence="research")
    order = market.buy(market.cells[:1])
    assert len({line.dataset for line in order.lines}) == 3
    for slug in ("streets", "paths", "scans"):
        recalls.recall(market.ex, market.seller, slug, 1)
    got = refunds.of_orders(market.ex, market.buyer, [order.id])
    assert (sum(one.amount for one in got), sum(one.vat for one in got)) == (order.subtotal, order.vat)
    assert market.balance() == 10**6 and market.balance(market.seller) == balance(market, ledger.FEE) == 0
    assert is_sound(market.ex)


def test_what_a_seller_cannot_give_back_it_owes_and_pays_from_what_it_earns_next(market: Market) -> None:
    earned = market.buy().subtotal
    month = over(market)
    [due] = settlements.close(market.ex, None, month)
    assert settlements.pay(market.ex, None, "hanbit", month, "slip-1").rest == 0
    assert market.balance(market.seller) == 0
    second_version(market)
    recalls.recall(market.ex, market.seller, "streets", 1)  # never fails for money
    given = earned - due.fee
    owes = ledger.wallet(market.ex, market.seller)
    assert (owes.balance, owes.owed) == (0, given) and market.balance() == 10**8
    assert balance(market, ledger.VAT) == -due.vat  # the tax that was passed on comes back with the next month
    order = market.buy(market.cells[:4])
    earned = order.subtotal - fee_of(order.subtotal, 1250)
    owes = ledger.wallet(market.ex, market.seller)
    assert 0 < earned < given and (owes.balance, owes.owed) == (0, given - earned)
    month = over(market)
    [due] = settlements.close(market.ex, None, month)
    assert due.vat == -vat_of(-due.supply) < 0 and due.state == "none"
    assert ledger.wallet(market.ex, market.seller).owed == given - earned - due.vat
    with pytest.raises(Conflict) as nothing:
        settlements.pay(market.ex, None, "hanbit", month, "slip-2")
    assert nothing.value.code == "settlement.nothing"
    assert adds_up(market.ex).owed == {"hanbit": given - earned - due.vat} and is_sound(market.ex)


def test_recalled_tiles_are_neither_owned_nor_credited_and_cost_their_price_in_the_next_version(market: Market) -> None:
    before = market.buy()
    second_version(market, salt="")  # the same content
    assert market.quote().estimate.subtotal == 0
    recalls.recall(market.ex, market.seller, "streets", 1)
    assert market.quote().estimate.subtotal == before.subtotal
    again = market.buy(key="again")
    assert again.total == before.total and market.balance() == 10**8 - again.total
    recalls.recall(market.ex, market.seller, "streets", 2)
    assert market.balance() == 10**8 and is_sound(market.ex)


def test_a_month_is_closed_when_it_is_over_and_once(market: Market) -> None:
    first = market.buy(market.cells[:5])
    month = month_of(market)
    with pytest.raises(Conflict) as early:
        settlements.close(market.ex, None, month)
    assert early.value.code == "settlement.not_over"
    assert settlements.accrued(market.ex, market.seller).sales == first.subtotal
    assert over(market) == month
    late = market.buy(market.cells[5:9])  # the next month has begun
    [due] = settlements.close(market.ex, None, month)
    fee = fee_of(first.subtotal, 1250)
    assert (due.sales, due.refunds, due.fee, due.supply) == (first.subtotal, 0, fee, first.subtotal - fee)
    assert (due.vat, due.total, due.state) == (vat_of(due.supply), due.supply + due.vat, "due")
    assert due.due_day.endswith("-15") and due.due_day > month
    assert settlements.close(market.ex, None, month) == [due] == settlements.of_seller(market.ex, market.seller)
    assert settlements.accrued(market.ex, market.seller).sales == late.subtotal
    assert balance(market, ledger.VAT) == first.vat + late.vat - due.vat
    with pytest.raises(Conflict) as past:
        settlements.close(market.ex, None, "2020-01")
    assert past.value.code == "settlement.later"
    [next_one] = settlements.close(market.ex, None, over(market))
    assert next_one.sales == late.subtotal and is_sound(market.ex)


def test_what_came_too_late_for_a_closed_month_falls_in_the_next_one(market: Market) -> None:
    market.buy(market.cells[:1])
    month = over(market)
    settlements.close(market.ex, None, month)
    clock = market.ex.now
    assert isinstance(clock, Clock)
    clock.at_ns = month_end_ns(month) - 10**9  # it was under way at midnight
    late = market.buy(market.cells[1:3])
    clock.at_ns = month_end_ns(month)
    assert settlements.close(market.ex, None, month)[0].sales != late.subtotal
    [due] = settlements.close(market.ex, None, over(market))
    assert due.sales == late.subtotal and is_sound(market.ex)


def test_a_payout_is_no_more_than_the_wallet_holds_and_is_booked_once(market: Market) -> None:
    market.buy()
    month = over(market)
    [due] = settlements.close(market.ex, None, month)
    a_draft(market.ex, market.buyer, "own", [a_layer(market.cells, name="own")])
    offers.publish(market.ex, market.buyer, "own", rate_card={"crossing": 300}, licence="research")
    spent = Market(market.ex, market.buyer, market.seller, market.cells).buy(market.cells[:2])
    assert 0 < spent.total < due.total
    paid = settlements.pay(market.ex, None, "hanbit", month, "slip-1")
    assert (paid.settlement.paid, paid.rest, paid.balance) == (due.total - spent.total, spent.total, 0)
    assert settlements.pay(market.ex, None, "hanbit", month, "slip-1") == paid
    for reference, slug, code in (("slip-2", "hanbit", "settlement.paid"), ("slip-1", "dongil", "settlement.unknown")):
        with pytest.raises((Conflict, NotFound)) as refused:
            settlements.pay(market.ex, None, slug, month, reference)
        assert refused.value.code == code
    [due] = settlements.close(market.ex, None, over(market))
    with pytest.raises(Conflict) as reused:
        settlements.pay(market.ex, None, "dongil", due.month, "slip-1")
    assert reused.value.code == "payment.key_reused"
    sheet = adds_up(market.ex)
    assert (sheet.paid_in, sheet.paid_out) == (10**8, paid.settlement.paid) and is_sound(market.ex)


def test_vat_and_fee_leave_up_to_what_was_put_aside(market: Market) -> None:
    order = market.buy()
    fee = fee_of(order.subtotal, 1250)
    with pytest.raises(Conflict) as too_much:
        remittances.pay_vat(market.ex, None, order.vat + 1, "office-1")
    assert too_much.value.code == "payment.exceeds"
    paid = remittances.pay_vat(market.ex, None, order.vat, "office-1")
    assert remittances.pay_vat(market.ex, None, order.vat, "office-1") == paid and paid.balance == 0
    assert remittances.draw_fee(market.ex, None, fee - 1, "office-1").balance == 1  # references of fees are others
    for amount in (0, -5, True, 10**13):
        with pytest.raises(Invalid):
            remittances.draw_fee(market.ex, None, amount, "x")
    sheet = adds_up(market.ex)
    assert (sheet.vat_paid, sheet.fee_drawn, sheet.vat, sheet.fee) == (order.vat, fee - 1, 0, 1)
    assert sheet.in_bank == 10**8 - order.vat - fee + 1 and is_sound(market.ex)


def test_the_vat_ledger_counts_each_month_what_was_collected_returned_passed_on_and_paid(market: Market) -> None:
    order = market.buy(market.cells[:8])
    remittances.pay_vat(market.ex, None, 5, "office-1")
    month = over(market)
    [due] = settlements.close(market.ex, None, month)
    second_version(market)
    recalls.recall(market.ex, market.seller, "streets", 1)
    next_one, first = books.vat_months(market.ex, None)
    assert (first.month, first.output, first.returned, first.input, first.paid) == (month, order.vat, 0, due.vat, 5)
    assert (next_one.output, next_one.returned, next_one.input) == (0, order.vat, 0)
    assert next_one.balance == balance(market, ledger.VAT) and first.balance == order.vat - due.vat - 5


def test_the_ledger_is_exported_entry_by_entry_and_sums_to_zero(market: Market) -> None:
    market.buy()
    recalls.recall(market.ex, market.seller, "streets", 1)
    entries = list(books.entries(market.ex, None))
    assert sum(one.amount for one in entries) == 0 and {one.kind for one in entries} == {"credit", "order", "refund"}
    with market.ex.engine.connect() as conn:
        assert len(entries) == conn.execute(text("SELECT COUNT(*) FROM ledger_entry")).scalar()
    assert {one.org for one in entries} == {"", "hanbit", "dongil"}


def test_only_the_operator_settles_pays_and_looks_through_the_books(market: Market) -> None:
    auditor = a_person(market.ex, role="auditor")
    calls: list[Callable[[Exchange, Actor], object]] = [
        lambda ex, by: settlements.close(ex, by, "2026-01"),
        lambda ex, by: settlements.pay(ex, by, "hanbit", "2026-01", "x"),
        settlements.settlements,
        lambda ex, by: remittances.pay_vat(ex, by, 1, "x"),
        lambda ex, by: remittances.draw_fee(ex, by, 1, "x"),
        books.sheet,
        books.vat_months,
        lambda ex, by: list(books.entries(ex, by)),
    ]
    for by in (market.seller, auditor):
        for call in calls:
            with pytest.raises(Denied):
                call(market.ex, by)


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "2026-00", "26-1", "2026-1", "２０２６-01", "2026-01-01", "9999-01"])
def test_what_is_no_month_is_refused(market: Market, month: str) -> None:
    with pytest.raises(Invalid) as refused:
        settlements.close(market.ex, None, month)
    assert refused.value.code == "time.month"


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """What several deeds at the same time answer, or raise."""
    answers: list[object] = [None] * len(deeds)
    gate = threading.Barrier(len(deeds))

    def run(at: int) -> None:
        gate.wait()
        try:
            answers[at] = deeds[at]()
        except Conflict as why:
            answers[at] = why.code

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_closing_paying_ordering_and_recalling_at_once_wait_for_one_another(market: Market) -> None:
    """No deadlock, nothing twice: two closes, two payouts, orders of two buyers of the version that is recalled and of another dataset."""
    a_draft(market.ex, market.seller, "paths", [a_layer(market.cells, name="paths")])
    offers.publish(market.ex, market.seller, "paths", rate_card={"crossing": 300}, licence="research")
    ledger.credit(market.ex, None, a_person(market.ex, "saebyeok").org_slug, 10**7, key="third")
    other = Market(market.ex, market.seller, a_person(market.ex, "saebyeok"), market.cells)
    market.buy(market.cells[:2])
    month = over(market)
    first, second = at_once(*[lambda: settlements.close(market.ex, None, month)] * 2)
    assert first == second and isinstance(first, list)
    quotes = [(who, who.quote(market.cells[at : at + 2])) for at in range(2, 8, 2) for who in (market, other)]

    def order(at: int) -> Callable[[], object]:
        who, quote = quotes[at]
        return lambda: orders.place(market.ex, who.buyer, quote.id, quote.id)

    answers = at_once(
        *(order(at) for at in range(len(quotes))),
        lambda: recalls.recall(market.ex, market.seller, "streets", 1),
        *[lambda: settlements.pay(market.ex, None, "hanbit", month, "slip")] * 2,
        lambda: remittances.draw_fee(market.ex, None, 1, "fee"),
    )
    # A sale that the recall came before is refused; nothing else is, but a payout of a wallet that the recall emptied.
    refused = {one for one in answers if isinstance(one, str)}
    assert refused <= {"offer.withdrawn", "settlement.spent", "payment.exceeds"}
    assert is_sound(market.ex) and adds_up(market.ex)


BREAKS = {
    "a sale of another amount": ("UPDATE sale SET amount = amount + 100", "what is noted as sold"),
    "a sale of another fee": ("UPDATE sale SET fee = fee + 1", "has a fee of"),
    "a sale that was lost": ("DELETE FROM settled_sale; DELETE FROM sale", "what is noted as sold is None"),
    "a refund of more": ("UPDATE refund SET amount = amount + 1", "returns"),
    "a refund that was lost": ("DELETE FROM settled_refund; DELETE FROM refund", "got nothing back"),
    "VAT that was kept": ("UPDATE refund SET vat = vat - 1", "moved another VAT"),
    "a fee that was kept": ("UPDATE refund SET fee = fee - 1", "moved another VAT or fee"),
    "a recalled tile that counts": ("UPDATE entitlement SET state = 'active'", "still active"),
    "a settlement of another sum": ("UPDATE settlement SET sales = sales + 1", "not the sum"),
    "a settlement of another VAT": ("UPDATE settlement SET vat = vat + 1", "has VAT"),
    "a settlement that covers the future": ("UPDATE settlement SET month = '2020-01'", "covers what came after"),
    "a sale that is settled with nobody": ("DELETE FROM settled_sale", "not the sum"),
    "a payout of more": ("UPDATE payout SET amount = amount + 1", "were due"),
}


@pytest.fixture(scope="module")
def settled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exchange with an order of two datasets, one of them recalled, and the month settled and paid."""
    folder = tmp_path_factory.mktemp("settled") / "ex"
    market = a_market(replace_settings(an_exchange(folder), "10"))
    a_draft(market.ex, market.seller, "paths", [a_layer(market.cells, name="paths", kind=LayerKind.SIDEWALK)])
    offers.publish(market.ex, market.seller, "paths", rate_card={"footway_km": 0, "crossing": 301}, licence="research")
    market.buy(market.cells[:7])
    recalls.recall(market.ex, market.seller, "paths", 1)
    month = over(market)
    settlements.close(market.ex, None, month)
    settlements.pay(market.ex, None, "hanbit", month, "slip")
    assert is_sound(market.ex)
    market.ex.engine.dispose()
    return folder


@pytest.mark.parametrize("case", BREAKS)
def test_fsck_finds(settled_folder: Path, tmp_path: Path, case: str) -> None:
    shutil.copytree(settled_folder, tmp_path / "ex")
    ex = an_exchange(tmp_path / "ex")
    statements, word = BREAKS[case]
    for statement in statements.split("; "):
        behind(ex, statement)
    assert word in broken(ex)["I12"]


def _until_killed(folder: Path, deed: str, failpoint: str, month: str) -> None:
    os.environ["MAPEX_FAILPOINT"] = f"{failpoint}:kill"
    ex = an_exchange(folder, now=Clock(month_end_ns(month)))
    if deed == "close":
        settlements.close(ex, None, month)
    elif deed == "pay":
        settlements.pay(ex, None, "hanbit", month, "slip")
    else:
        seller = next(one.actor for one in persons.all_persons(ex) if one.actor.org_slug == "hanbit")
        recalls.recall(ex, seller, "streets", 1)


def test_who_is_killed_inside_leaves_nothing_half(tmp_path: Path) -> None:
    market = a_market(replace_settings(an_exchange(tmp_path / "ex"), "10"))
    market.buy()
    month = over(market)

    def killed(deed: str, failpoint: str) -> None:
        before = [entry.transaction for who in (market.seller, market.buyer) for entry in ledger.wallet(market.ex, who).entries]
        process = multiprocessing.get_context("spawn").Process(target=_until_killed, args=(tmp_path / "ex", deed, failpoint, month))
        process.start()
        process.join()
        assert process.exitcode == -9
        assert [entry.transaction for who in (market.seller, market.buyer) for entry in ledger.wallet(market.ex, who).entries] == before
        assert is_sound(market.ex)

    killed("close", "settlement.before_commit")
    assert settlements.settlements(market.ex, None) == []
    settlements.close(market.ex, None, month)
    killed("pay", "payout.before_commit")
    assert settlements.settlements(market.ex, None)[0].state == "due"
    killed("recall", "recall.before_commit")
    assert recalls.recall(market.ex, market.seller, "streets", 1).returned.orders == 1
