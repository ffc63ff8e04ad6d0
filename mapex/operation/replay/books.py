"""The ledger, refunds and settlements, as the log made them: every movement again, with the balances of that moment.

Who moves money of a seller holds its wallet until the commit, and entries are numbered as transactions commit: so what a wallet held,
and what its owner owed, is known at each entry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.operation.replay.kind import Payload, State, at_another_time, differences
from mapex.orders import lines
from mapex.orders.ledger import CREDIT_PREFIX
from mapex.orders.settlements import PAYOUT_PREFIX
from mapex.prices.estimate import Line
from mapex.rules.pricing import fee_of, vat_of

_PAID_ON = {Action.VAT_PAID: ("vat_paid", "vat"), Action.FEE_DRAWN: ("fee_drawn", "fee")}
"""What each action books, and from which account."""


class Ledger(State):
    """Who paid what to whom: the lines of each transaction."""

    actions = frozenset({Action.WALLET_CREDITED, Action.ORDER_PLACED, Action.ORDER_REFUNDED, Action.SETTLEMENT_CLOSED}) | frozenset(
        {Action.SETTLEMENT_PAID, *_PAID_ON}
    )

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Payload] = []

    def take(self, payload: Payload) -> None:
        """Money was moved."""
        wanted = (
            "action",
            "transaction",
            "order",
            "settlement",
            "refund",
            "org",
            "owner",
            "seller",
            "amount",
            "vat",
            "total",
            "key",
            "fee_rate",
        )
        self._entries.append({name: payload[name] for name in wanted if name in payload})

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the tables."""
        moved = _Books(lines.of_orders(conn))
        for entry in self._entries:
            what, reference = moved.enter(entry)
            if any(moved.last.values()) or what.startswith("payment of"):
                amounts = {account: amount for account, amount in moved.last.items() if amount}
                self.made[what] = {"reference": reference, "lines": amounts}
        yield from differences("ledger: the", self.made, _transactions(conn))


class _Books:
    """Balances as they were at each entry; `last` is what the last one moved, by account."""

    def __init__(self, billed: Mapping[str, Sequence[Line]]) -> None:
        self.last: dict[str, int] = {}
        self._balances: dict[str, int] = defaultdict(int)
        self._billed = billed
        self._rates: dict[str, int] = {}
        self._vat: dict[str, int] = {}
        self._returned: dict[tuple[str, str], int] = defaultdict(int)  # by order, and seller; "" is all of the order

    def enter(self, entry: Payload) -> tuple[str, str | None]:
        """Move what an entry says; returns what it is called, and its reference."""
        self.last = defaultdict(int)
        action = entry["action"]
        if action == Action.ORDER_PLACED:
            return self._order(entry)
        if action == Action.ORDER_REFUNDED:
            return self._refund(entry)
        if action == Action.SETTLEMENT_CLOSED:
            self._move("vat", -entry["vat"])
            self._share(entry["owner"], entry["vat"])
            return f"settlement {entry['settlement']}", None
        amount = entry["amount"]
        if action in _PAID_ON:
            kind, account = _PAID_ON[action]
            prefix = f"{account}:"
        else:
            kind, account, prefix = "credit", f"wallet {entry['owner']}", CREDIT_PREFIX
            if action == Action.SETTLEMENT_PAID:
                kind, prefix = "payout", PAYOUT_PREFIX
        if kind != "credit":
            amount = -amount
        self._move(account, amount)
        self._move("bank", -amount)
        return f"{kind} {entry['transaction']}", prefix + entry["key"]

    def _order(self, entry: Payload) -> tuple[str, None]:
        order, self._rates[entry["order"]] = entry["order"], entry.get("fee_rate", 0)
        self._vat[order] = entry["vat"]
        self._move(f"wallet {entry['org']}", -entry["total"])
        self._move("vat", entry["vat"])
        for seller in sorted({line.org for line in self._billed.get(order, ())}):
            sold = self._sold(order, seller)
            fee = fee_of(sold, self._rates[order])
            self._move("fee", fee)
            self._share(seller, sold - fee)
        return f"payment of {order}", None

    def _refund(self, entry: Payload) -> tuple[str, None]:
        order, seller, amount = entry["order"], entry["seller"], entry["amount"]
        left = self._sold(order) - self._returned[order, ""]
        sold, rate = self._sold(order, seller) - self._returned[order, seller], self._rates[order]
        vat, fee = vat_of(left) - vat_of(left - amount), fee_of(sold, rate) - fee_of(sold - amount, rate)
        for whose in ("", seller):
            self._returned[order, whose] += amount
        self._share(seller, fee - amount)
        self._move(f"wallet {entry['owner']}", amount + vat)
        self._move("vat", -vat)
        self._move("fee", -fee)
        return f"refund {entry['refund']}", None

    def _sold(self, order: str, seller: str = "") -> int:
        return sum(line.amount for line in self._billed.get(order, ()) if seller in ("", line.org))

    def _share(self, seller: str, amount: int) -> None:
        """What a seller gets pays first what it owes; what it cannot give it owes."""
        wallet, owed = f"wallet {seller}", f"receivable {seller}"
        to_owed = min(amount, -self._balances[owed]) if amount >= 0 else -max(0, -amount - self._balances[wallet])
        self._move(owed, to_owed)
        self._move(wallet, amount - to_owed)

    def _move(self, account: str, amount: int) -> None:
        self._balances[account] += amount
        self.last[account] = self.last.get(account, 0) + amount


def _transactions(conn: Connection) -> dict[str, dict[str, Any]]:
    """The transactions that are stored, by what they are for, with their lines by account."""
    query = (
        "SELECT t.id, t.kind, t.order_id, t.key, f.id AS refund, s.id AS settlement, a.kind AS account, g.slug, e.amount "
        "FROM ledger_transaction t LEFT JOIN refund f ON f.transaction_id = t.id LEFT JOIN settlement s ON s.transaction_id = t.id "
        "LEFT JOIN ledger_entry e ON e.transaction_id = t.id LEFT JOIN ledger_account a ON a.id = e.account_id "
        "LEFT JOIN organisation g ON g.id = a.org_id ORDER BY t.id"
    )
    found: dict[str, dict[str, Any]] = {}
    for row in conn.execute(text(query), execution_options={"yield_per": 10_000}):
        key = f"payment of {row.order_id}" if row.kind == "order" else f"{row.kind} {row.refund or row.settlement or row.id}"
        made = found.setdefault(key, {"reference": row.key, "lines": defaultdict(int)})
        if row.account is not None:
            made["lines"][f"{row.account} {row.slug}" if row.slug else row.account] += row.amount
    return found


class Refunds(State):
    """What was returned of which order for which version, by id."""

    actions = frozenset({Action.ORDER_REFUNDED})

    def take(self, payload: Payload) -> None:
        """An order was refunded."""
        money = {"amount": payload["amount"], "vat": payload["vat"]}
        self.made[payload["refund"]] = {"order": payload["order"], "of": payload["of"], "version": payload["version"], **money}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the table."""
        query = (
            "SELECT f.*, g.slug AS org, d.slug, v.number FROM refund f JOIN dataset_version v ON v.id = f.version_id "
            "JOIN dataset d ON d.id = v.dataset_id JOIN organisation g ON g.id = d.org_id ORDER BY f.id"
        )
        stored = {
            row.id: {
                "order": row.order_id,
                "of": f"{row.org}/{row.slug}",
                "version": row.number,
                "amount": row.amount,
                "vat": row.vat,
            }
            for row in conn.execute(text(query))
        }
        yield from differences("refund", self.made, stored)


class Settlements(State):
    """Each seller's closed months, and what was transferred for them, by id."""

    actions = frozenset({Action.SETTLEMENT_CLOSED, Action.SETTLEMENT_PAID})

    def __init__(self) -> None:
        super().__init__()
        self._at: dict[str, str] = {}

    def take(self, payload: Payload) -> None:
        """A month was closed, or paid."""
        if payload["action"] == Action.SETTLEMENT_PAID:
            self.made[payload["settlement"]] |= {"paid": payload["amount"], "reference": payload["key"]}
            return
        self._at[payload["settlement"]] = payload["at"]
        money = {name: payload[name] for name in ("sales", "refunds", "fee", "vat")}
        covered = {"orders": payload["orders"], "returned": payload["returned"]}
        of_seller = {"organisation": payload["owner"], "month": payload["month"], "paid": None, "reference": None}
        self.made[payload["settlement"]] = {**of_seller, **money, **covered}

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """With the tables."""
        counted = "(SELECT COUNT(*) FROM settled_{0} c WHERE c.settlement_id = s.id)"
        query = (
            "SELECT s.*, g.slug, p.amount AS paid, p.reference, "
            f"{counted.format('sale')} AS orders, {counted.format('refund')} AS returned "
            "FROM settlement s JOIN organisation g ON g.id = s.org_id LEFT JOIN payout p ON p.settlement_id = s.id ORDER BY s.id"
        )
        stored = {}
        for row in conn.execute(text(query)).mappings():
            plain = ("month", "sales", "refunds", "fee", "vat", "orders", "returned", "paid", "reference")
            stored[row["id"]] = {"organisation": row["slug"], **{name: row[name] for name in plain}}
            if row["id"] in self._at:
                yield from at_another_time(f"settlement {row['id']}", self._at[row["id"]], row["created_ns"])
        yield from differences("settlement", self.made, stored)
