"""The books of the exchange: whether the wallets add up to what was paid in, VAT by month, and every entry of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, text

from mapex import authority
from mapex.database import db
from mapex.database.schema import ledger_account, ledger_entry, ledger_transaction, organisation
from mapex.exchange import Actor, Exchange
from mapex.orders import ledger
from mapex.times import DAY_NS, KST, NS, iso_from_ns, kst_month


@dataclass(frozen=True, slots=True)
class Sheet:
    """All money of the exchange, in whole KRW: what came and went by the bank, and what is held for whom."""

    paid_in: int
    paid_out: int
    vat_paid: int
    fee_drawn: int
    wallets: Mapping[str, int]  # by slug
    owed: Mapping[str, int]  # what sellers owe, by slug
    vat: int
    fee: int

    @property
    def in_bank(self) -> int:
        """What is left of what was paid in."""
        return self.paid_in - self.paid_out - self.vat_paid - self.fee_drawn

    @property
    def held(self) -> int:
        """What is held for organisations, the tax office and the operator, less what sellers owe."""
        return sum(self.wallets.values()) + self.vat + self.fee - sum(self.owed.values())

    @property
    def agrees(self) -> bool:
        """Whether what is held is what is left."""
        return self.in_bank == self.held


@dataclass(frozen=True, slots=True)
class VatMonth:
    """VAT of a Korean month: of orders, returned, of settlements for it, paid to the tax office, and what is held after it."""

    month: str
    output: int
    returned: int
    input: int
    paid: int
    balance: int


COLUMNS = ("at", "transaction", "kind", "entry", "account", "organisation", "order", "key", "memo", "amount_krw")
"""Heads of the exported ledger."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the ledger; the entries of a transaction sum to zero. `org` is whose account it is, "" of the exchange's."""

    id: str
    transaction: str
    at_ns: int
    kind: str
    account: str
    org: str
    order_id: str
    key: str
    memo: str
    amount: int

    @property
    def row(self) -> tuple[object, ...]:
        """The values of `COLUMNS`."""
        when = iso_from_ns(self.at_ns)
        about = (self.id, self.account, self.org, self.order_id, self.key, self.memo)
        return when, self.transaction, self.kind, *about, self.amount


def sheet(ex: Exchange, by: Actor | None) -> Sheet:
    """The money of this moment.

    Raises: Denied: `by` is not the operator.
    """
    authority.operator(by)
    account, entry, moved = ledger_account.c, ledger_entry.c, ledger_transaction.c
    by_kind = select(moved.kind, func.sum(entry.amount)).join_from(ledger_transaction, ledger_entry).group_by(moved.kind)
    held = select(account.kind, organisation.c.slug, account.balance).join_from(ledger_account, organisation, isouter=True)
    with db.read(ex) as conn:
        flows: dict[str, int] = {kind: int(amount) for kind, amount in conn.execute(by_kind.where(entry.account_id == ledger.BANK))}
        rows = conn.execute(held.order_by(organisation.c.slug)).all()
    return Sheet(
        paid_in=-flows.get("credit", 0),
        paid_out=flows.get("payout", 0),
        vat_paid=flows.get("vat_paid", 0),
        fee_drawn=flows.get("fee_drawn", 0),
        wallets={row.slug: row.balance for row in rows if row.kind == "wallet"},
        owed={row.slug: -row.balance for row in rows if row.kind == "receivable" and row.balance},
        vat=sum(row.balance for row in rows if row.kind == "vat"),
        fee=sum(row.balance for row in rows if row.kind == "fee"),
    )


def vat_months(ex: Exchange, by: Actor | None) -> list[VatMonth]:
    """VAT month by month, the newest first. What a settlement passes on counts in the month that it settles.

    Raises: Denied: `by` is not the operator.
    """
    authority.operator(by)
    zone = int(KST.utcoffset(None).total_seconds()) * NS
    days = text(
        "SELECT t.kind, COALESCE(s.month, '') AS month, (t.created_ns + :zone) / :day AS day, CAST(SUM(e.amount) AS bigint) AS amount "
        "FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id LEFT JOIN settlement s ON s.transaction_id = t.id "
        "WHERE e.account_id = :vat GROUP BY 1, 2, 3"
    )
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with db.read(ex) as conn:
        for row in conn.execute(days, {"zone": zone, "day": DAY_NS, "vat": ledger.VAT}):
            sums[row.month or kst_month(int(row.day) * DAY_NS - zone)][row.kind] += row.amount
    found, running = [], 0
    for month in sorted(sums):
        one = sums[month]
        running += sum(one.values())
        found.append(VatMonth(month, one["order"], -one["refund"], -one["settlement"], -one["vat_paid"], running))
    return found[::-1]


def entries(ex: Exchange, by: Actor | None) -> Iterator[LedgerEntry]:
    """Every entry of the ledger, the oldest first.

    Raises: Denied: `by` is not the operator.
    """
    authority.operator(by)
    moved, entry = ledger_transaction.c, ledger_entry.c
    query = (
        select(
            entry.id,
            moved.id.label("transaction"),
            moved.created_ns.label("at_ns"),
            moved.kind,
            entry.account_id.label("account"),
            func.coalesce(organisation.c.slug, "").label("org"),
            func.coalesce(moved.order_id, "").label("order_id"),
            func.coalesce(moved.key, "").label("key"),
            moved.memo,
            entry.amount,
        )
        .join_from(ledger_entry, ledger_transaction)
        .join(ledger_account)
        .outerjoin(organisation)
        .order_by(moved.created_ns, moved.id, entry.account_id)
    )
    with db.read(ex) as conn:
        for row in conn.execute(query, execution_options={"yield_per": 10_000}).mappings():
            yield LedgerEntry(**row)
