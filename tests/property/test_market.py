"""Ledger, orders and ownership against a simple model: random credits, prices, licences, purposes, quotes, orders, repeats, withdrawals.

Ownership in the model is what was bought, use by use, and what offers credit is what was paid and not credited yet: so a run shows that
nobody gets a wider use for less than a newcomer pays for it, and that nothing is credited twice.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from mapex.errors import Conflict, Denied, Unpaid
from mapex.exchange import Actor
from mapex.offers import offers
from mapex.operation import fsck
from mapex.orders import ledger, orders
from mapex.prices import estimates, quotes
from mapex.prices.request import of_area
from mapex.rules import licences, terms
from mapex.rules.pricing import Unit, amount_of, vat_of
from tests.support.exchange import a_person, an_exchange
from tests.support.market import a_draft, a_layer, area, block
from tiles.batch import Quantities

CELLS = block(3)
EACH = 1_234_567
FIRMS = ("hanbit", "dongil")
LICENCE = st.sampled_from(sorted(licences.LICENCES))
PURPOSES = ["research", "simulation", "map_production", "localisation"]
PURPOSE = st.sampled_from(PURPOSES)


@dataclass(slots=True)
class Held:
    """A quote as the model remembers it."""

    id: str
    buyer: str
    seller: str
    cells: frozenset[int]
    rate: int
    purpose: str
    epoch: int
    fresh: int
    total: int
    credit: int


@dataclass(slots=True)
class Bought:
    """An order as the model remembers it: cells that were paid for, what for all of them together, and those credited since."""

    whose: tuple[str, str, str]  # buyer, seller, content
    use: tuple[str, str]
    paid: int
    cells: frozenset[int]
    credited: set[int]


class Trade(RuleBasedStateMachine):
    """Two firms that sell each other one dataset; the model knows who owns which cell of whom, and every balance."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mapex-trade-"))
        self.ex = an_exchange(self.folder / "ex")
        self.actors: dict[str, Actor] = {slug: a_person(self.ex, slug) for slug in FIRMS}
        self.money = dict.fromkeys(FIRMS, 0)
        self.tax = 0
        self.owned: dict[tuple[str, str, str], set[tuple[int, str, str]]] = {}  # buyer, seller, content: cell, purpose, licence
        self.licences = dict.fromkeys(FIRMS, "commercial")
        self.credits = dict.fromkeys(FIRMS, False)
        self.orders: list[Bought] = []
        self.rates: dict[str, int | None] = {}
        self.epoch = dict.fromkeys(FIRMS, 0)  # changes with each offer
        self.salt = dict.fromkeys(FIRMS, "0")
        self.held: list[Held] = []
        self.bought: dict[tuple[str, str], tuple[str, str]] = {}  # (buyer, key) -> (quote, order)
        for slug in FIRMS:
            self._publish(slug, "0", 1000, "commercial", credits_earlier=True)
            self.credit(slug, 60_000, 0)

    def teardown(self) -> None:
        """Every run ends with an exchange in which all invariants hold."""
        try:
            assert [check.message for check in fsck.check(self.ex) if not check.ok] == []
        finally:
            self.ex.engine.dispose()
            shutil.rmtree(self.folder)

    def _publish(self, slug: str, salt: str, rate: int, licence: str, *, credits_earlier: bool) -> None:
        a_draft(self.ex, self.actors[slug], slug, [a_layer(CELLS, salt=salt, each=Quantities(lane_mm=EACH))])
        self.salt[slug] = salt
        self._offer(slug, rate, licence, credits_earlier)

    def _offer(self, slug: str, rate: int, licence: str, credits_earlier: bool) -> None:
        card = {"lane_km": rate}
        offers.publish(self.ex, self.actors[slug], slug, rate_card=card, licence=licence, credits_earlier=credits_earlier)
        self.rates[slug], self.licences[slug], self.credits[slug] = rate, licence, credits_earlier
        self.epoch[slug] += 1

    def _held(self, buyer: str, seller: str) -> set[tuple[int, str, str]]:
        return self.owned.setdefault((buyer, seller, self.salt[seller]), set())

    def _mine(self, buyer: str, seller: str, purpose: str) -> set[int]:
        """The cells that the buyer bought before for a use that covers this purpose under the licence of now."""
        wanted = purpose, self.licences[seller]
        return {cell for cell, held_for, licence in self._held(buyer, seller) if terms.covers((held_for, licence), wanted)}

    def _earlier(self, buyer: str, seller: str, cells: frozenset[int], purpose: str) -> dict[int, set[int]]:
        """Which cells of which earlier orders count as a credit, by the number of the order."""
        fresh, wanted = cells - self._mine(buyer, seller, purpose), (purpose, self.licences[seller])
        return {
            at: counted
            for at, one in enumerate(self.orders)
            if self.credits[seller] and one.whose == (buyer, seller, self.salt[seller]) and terms.covers(wanted, one.use)
            if (counted := (one.cells & fresh) - one.credited)
        }

    def _price(self, buyer: str, seller: str, cells: frozenset[int], rate: int, purpose: str) -> tuple[int, int]:
        """What the cells cost whoever paid nothing before, and what this buyer paid."""
        price = amount_of(Unit.LANE_KM, len(cells - self._mine(buyer, seller, purpose)) * EACH, rate)
        earlier = self._earlier(buyer, seller, cells, purpose)
        paid = sum(self.orders[at].paid * len(counted) // len(self.orders[at].cells) for at, counted in earlier.items())
        return price, paid if price else 0

    def _total(self, buyer: str, seller: str, cells: frozenset[int], rate: int, purpose: str) -> tuple[int, int]:
        price, paid = self._price(buyer, seller, cells, rate, purpose)
        subtotal = max(0, price - paid)
        return subtotal, vat_of(subtotal)

    @rule(slug=st.sampled_from(FIRMS), amount=st.integers(1, 9000), key=st.integers(0, 30))
    def credit(self, slug: str, amount: int, key: int) -> None:
        name = f"{slug}-{amount}-{key}"  # the same again books nothing
        with self.ex.engine.connect() as conn:
            known = conn.execute(text("SELECT 1 FROM ledger_transaction WHERE key = :key"), {"key": f"credit:{name}"}).first()
        ledger.credit(self.ex, None, slug, amount, key=name)
        self.money[slug] += 0 if known else amount

    @rule(
        slug=st.sampled_from(FIRMS),
        rate=st.sampled_from([0, 1, 700, 1000]),
        salt=st.sampled_from(["0", "1"]),
        licence=LICENCE,
        credits_earlier=st.booleans(),
    )
    def publish(self, slug: str, rate: int, salt: str, licence: str, credits_earlier: bool) -> None:
        self._publish(slug, salt, rate, licence, credits_earlier=credits_earlier)

    @rule(slug=st.sampled_from(FIRMS), licence=LICENCE, credits_earlier=st.booleans())
    def change_terms(self, slug: str, licence: str, credits_earlier: bool) -> None:
        rate = self.rates[slug]
        if rate is not None and (licence, credits_earlier) != (self.licences[slug], self.credits[slug]):
            self._offer(slug, rate, licence, credits_earlier)

    @rule(slug=st.sampled_from(FIRMS))
    def withdraw(self, slug: str) -> None:
        if self.rates[slug] is None:
            with pytest.raises(Conflict):
                offers.withdraw(self.ex, self.actors[slug], slug)
            return
        offers.withdraw(self.ex, self.actors[slug], slug)
        self.rates[slug] = None
        self.epoch[slug] += 1

    @rule(buyer=st.sampled_from(FIRMS), cells=st.sets(st.sampled_from(CELLS), min_size=1), purpose=PURPOSE)
    def quote(self, buyer: str, cells: set[int], purpose: str) -> None:
        seller = FIRMS[1 - FIRMS.index(buyer)]
        rate = self.rates[seller]
        if rate is None:
            assert estimates.estimate(self.ex, self.actors[buyer], of_area(area(sorted(cells)))).lines == ()
            return
        wanted = of_area(area(sorted(cells)), purpose=purpose)
        if not licences.allows(self.licences[seller], purpose):
            with pytest.raises(Denied):
                quotes.quote(self.ex, self.actors[buyer], wanted)
            return
        made = quotes.quote(self.ex, self.actors[buyer], wanted)
        subtotal, vat = self._total(buyer, seller, frozenset(cells), rate, purpose)
        assert (made.estimate.subtotal, made.estimate.vat) == (subtotal, vat)
        assert made.estimate.lines[0].owned_tiles == len(cells & self._mine(buyer, seller, purpose))
        fresh = len(cells - self._mine(buyer, seller, purpose))
        _, paid = self._price(buyer, seller, frozenset(cells), rate, purpose)
        assert sum(line.earlier for line in made.estimate.lines) == paid
        self.held.append(Held(made.id, buyer, seller, frozenset(cells), rate, purpose, self.epoch[seller], fresh, subtotal + vat, paid))

    @rule(buyer=st.sampled_from(FIRMS), cells=st.sets(st.sampled_from(CELLS), min_size=1), purposes=st.permutations(PURPOSES))
    def buy(self, buyer: str, cells: set[int], purposes: list[str]) -> None:
        """The same tiles for one purpose after the other."""
        for purpose in purposes[:3]:
            before = len(self.held)
            self.quote(buyer, cells, purpose)
            if len(self.held) > before:
                self._order(self.held[-1], f"at once {before}")

    @precondition(lambda self: self.held)
    @rule(data=st.data(), key=st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"]))
    def order(self, data: st.DataObject, key: str) -> None:
        self._order(data.draw(st.sampled_from(self.held)), key)

    def _order(self, held: Held, key: str) -> None:
        expected = self._expected(held, key)
        try:
            made = orders.place(self.ex, self.actors[held.buyer], held.id, key)
        except (Conflict, Unpaid) as error:
            assert error.code in expected
            return
        assert expected in (("paid",), ("again", made.id))
        if expected == ("paid",):
            subtotal, vat = self._total(held.buyer, held.seller, held.cells, held.rate, held.purpose)
            assert made.total == held.total == subtotal + vat
            self.money[held.buyer] -= subtotal + vat
            self.money[held.seller] += subtotal
            self.tax += vat
            self._remember(held)
            bought = {(cell, held.purpose, self.licences[held.seller]) for cell in held.cells}
            self._held(held.buyer, held.seller).update(bought)
            self.bought[held.buyer, key] = held.id, made.id

    def _remember(self, held: Held) -> None:
        """What was paid moves on to the order that it was credited to."""
        price, paid = self._price(held.buyer, held.seller, held.cells, held.rate, held.purpose)
        if paid:
            for at, counted in self._earlier(held.buyer, held.seller, held.cells, held.purpose).items():
                self.orders[at].credited |= counted
        whose, use = (held.buyer, held.seller, self.salt[held.seller]), (held.purpose, self.licences[held.seller])
        fresh = held.cells - self._mine(held.buyer, held.seller, held.purpose)
        if fresh:
            self.orders.append(Bought(whose, use, max(price, paid), fresh, set()))

    def _expected(self, held: Held, key: str) -> Sequence[str]:
        before = self.bought.get((held.buyer, key))
        if before:
            return ("again", before[1]) if before[0] == held.id else ("order.key_reused",)
        if any(quote == held.id for quote, _ in self.bought.values()):
            return ("quote.bought",)
        if held.epoch != self.epoch[held.seller]:
            return ("offer.withdrawn", "quote.price_changed", "quote.terms_changed")
        fresh = len(held.cells - self._mine(held.buyer, held.seller, held.purpose))
        _, paid = self._price(held.buyer, held.seller, held.cells, held.rate, held.purpose)
        if (fresh, paid) != (held.fresh, held.credit):  # some were bought or credited meanwhile: at a price of 0 too
            return ("quote.price_changed",)
        if self.money[held.buyer] < held.total:
            return ("wallet.insufficient",)
        return ("paid",)

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        with self.ex.engine.connect() as conn:
            stored = dict(conn.execute(text("SELECT id, balance FROM ledger_account")).all())  # type: ignore[arg-type]
        for slug, actor in self.actors.items():
            assert stored.get(ledger.wallet_id(str(actor.org_id)), 0) == self.money[slug] >= 0
        assert stored.get(ledger.VAT, 0) == self.tax
        assert sum(stored.values()) == 0


def test_trade_follows_the_model() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Trade,
        settings=settings(
            max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
        ),
    )
