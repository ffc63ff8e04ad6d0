"""The ledger under random trade, recalls, months and payouts: it sums to zero, and who paid for what was recalled has it all back."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from mapex.errors import Conflict, Denied, Invalid, NotFound, Unpaid
from mapex.exchange import Actor
from mapex.offers import offers, recalls
from mapex.operation import fsck
from mapex.orders import books, ledger, orders, remittances, settlements
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rules.pricing import fee_of, vat_of
from mapex.times import kst_month, month_end_ns
from tests.support.exchange import Clock, a_person, an_exchange
from tests.support.market import a_draft, a_layer, area, block
from tiles.batch import Quantities

CELLS = block(2)
FIRMS = ("hanbit", "dongil", "saebyeok")
SELLERS = FIRMS[:2]
LICENCES = ("research", "commercial")
PURPOSES = ("research", "simulation", "map_production")


@given(parts=st.lists(st.integers(0, 10**7), min_size=1, max_size=8), rate=st.integers(0, 10_000))
def test_refunds_in_any_order_return_exactly_the_vat_and_the_fee(parts: list[int], rate: int) -> None:
    whole = left = sum(parts)
    vat = fee = 0
    for part in parts:
        assert vat_of(left) >= vat_of(left - part) and fee_of(left, rate) >= fee_of(left - part, rate)
        vat, fee = vat + vat_of(left) - vat_of(left - part), fee + fee_of(left, rate) - fee_of(left - part, rate)
        left -= part
    assert (vat, fee) == (vat_of(whole), fee_of(whole, rate)) and fee <= whole


class Trading(RuleBasedStateMachine):
    """Two sellers, of which each buys of the other, a third buyer, and an operator."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mapex-books-"))
        self.clock = Clock()
        self.ex = an_exchange(self.folder / "ex", now=self.clock, fee_percent=Decimal("12.5"))
        self.actors: dict[str, Actor] = {slug: a_person(self.ex, slug) for slug in FIRMS}
        self.released: list[tuple[str, int]] = []
        self.months: list[str] = []
        self.count = 0
        for slug in FIRMS:
            ledger.credit(self.ex, None, slug, 100_000, key=f"first {slug}")
        for slug in SELLERS:
            self.publish(slug, "0", "research", 1003, credits=True)

    def teardown(self) -> None:
        """At the end everything is recalled: every order has back what it cost, and nothing is wrong with what is stored."""
        try:
            for slug, number in self.released:
                recalls.recall(self.ex, self.actors[slug], slug, number)
            with self.ex.engine.connect() as conn:
                returned = "SELECT SUM(f.amount + f.vat) FROM refund f WHERE f.order_id = o.id"
                kept = conn.execute(text(f"SELECT o.total - COALESCE(({returned}), 0) FROM purchase_order o"))
                assert set(kept.scalars()) <= {0}
            assert [check.message for check in fsck.check(self.ex) if not check.ok] == []
        finally:
            self.ex.engine.dispose()
            shutil.rmtree(self.folder)

    @rule(
        slug=st.sampled_from(SELLERS),
        salt=st.sampled_from("01"),
        licence=st.sampled_from(LICENCES),
        rate=st.sampled_from([0, 7, 1003, 20_011]),
        credits=st.booleans(),
    )
    def publish(self, slug: str, salt: str, licence: str, rate: int, *, credits: bool) -> None:
        number = a_draft(self.ex, self.actors[slug], slug, [a_layer(CELLS, salt=salt, each=Quantities(lane_mm=1_234_567))])
        offers.publish(self.ex, self.actors[slug], slug, rate_card={"lane_km": rate}, licence=licence, credits_earlier=credits)
        self.released.append((slug, number))

    @rule(percent=st.sampled_from(["0", "0.01", "12.5", "100"]))
    def change_the_fee(self, percent: str) -> None:
        self.ex = replace(self.ex, settings=replace(self.ex.settings, fee_percent=Decimal(percent)))

    @rule(buyer=st.sampled_from(FIRMS), cells=st.sets(st.sampled_from(CELLS), min_size=1), purpose=st.sampled_from(PURPOSES))
    def buy(self, buyer: str, cells: set[int], purpose: str) -> None:
        for seller in SELLERS:
            if seller != buyer:
                wanted = of_area(area(sorted(cells)), purpose=purpose, dataset=f"{seller}/{seller}")
                with contextlib.suppress(Invalid, NotFound, Denied, Unpaid):  # nothing on sale, another licence, too dear
                    quote = quotes.quote(self.ex, self.actors[buyer], wanted)
                    orders.place(self.ex, self.actors[buyer], quote.id, quote.id)

    @rule(data=st.data())
    def recall(self, data: st.DataObject) -> None:
        if self.released:
            slug, number = self.released.pop(data.draw(st.integers(0, len(self.released) - 1)))
            recalls.recall(self.ex, self.actors[slug], slug, number)

    @rule()
    def close(self) -> None:
        month = kst_month(self.clock.at_ns)
        self.clock.at_ns = month_end_ns(month)
        settlements.close(self.ex, None, month)
        self.months.append(month)

    @rule(slug=st.sampled_from(SELLERS), data=st.data())
    def pay(self, slug: str, data: st.DataObject) -> None:
        due = [one for one in settlements.settlements(self.ex, None) if one.org == slug and one.state == "due"]
        if due:
            with contextlib.suppress(Conflict):  # everything was spent
                month = data.draw(st.sampled_from([one.month for one in due]))
                settlements.pay(self.ex, None, slug, month, f"slip {slug} {month}")

    @rule(share=st.sampled_from([2, 1]))
    def pay_on(self, share: int) -> None:
        """Half or all of what is put aside leaves."""
        self.count += 1
        with self.ex.engine.connect() as conn:
            vat, fee = (ledger.balance(conn, account) // share for account in (ledger.VAT, ledger.FEE))
        if vat > 0:
            remittances.pay_vat(self.ex, None, vat, f"office {self.count}")
        if fee > 0:
            remittances.draw_fee(self.ex, None, fee, f"draw {self.count}")

    @invariant()
    def the_books_agree(self) -> None:
        with self.ex.engine.connect() as conn:
            stored = conn.execute(text("SELECT kind, balance FROM ledger_account")).all()
            over = conn.execute(
                text("SELECT SUM(amount + vat) > (SELECT total FROM purchase_order o WHERE o.id = order_id) FROM refund GROUP BY order_id")
            )
            assert not any(over.scalars())
        assert sum(balance for _, balance in stored) == 0
        assert all(balance >= 0 for kind, balance in stored if kind == "wallet")
        assert all(balance <= 0 for kind, balance in stored if kind == "receivable")
        sheet = books.sheet(self.ex, None)
        assert sheet.agrees and min(sheet.paid_in, sheet.paid_out, sheet.vat_paid, sheet.fee_drawn, *sheet.owed.values(), 0) == 0
        months = books.vat_months(self.ex, None)
        assert (months[0].balance if months else 0) == sheet.vat


def test_the_books_agree_whatever_is_bought_recalled_settled_and_paid() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Trading,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
        ),
    )
