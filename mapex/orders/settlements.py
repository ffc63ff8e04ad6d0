"""Settlements: what the exchange bought from each seller in a Korean month, and when it is paid.

The exchange sells to the buyer and buys from the seller (decision 10): supply = sales - refunds - fee, with VAT on it. A month is closed
once it is over and covers everything up to its end exactly once; what came too late for it falls in the next one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, select

from mapex import authority, ids, texts
from mapex.audit.log import Action, AuditEntry, append, append_many
from mapex.database import db, failpoints
from mapex.database.acts import act
from mapex.database.schema import ledger_transaction, order, organisation, payout, refund, sale, settled_refund, settled_sale, settlement
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor, Exchange
from mapex.notices import outbox
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import News
from mapex.orders import ledger
from mapex.people import orgs
from mapex.rules.pricing import signed_vat_of
from mapex.times import month_end_ns, next_month

DUE_DAY = 15
"""Day of the next month on which a settlement is due."""

TURN = "settlements"
"""Closing a month and paying out happen one at a time."""

PAYOUT_PREFIX = "payout:"
"""What the keys of payouts begin with among the keys of all transactions."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One seller's month, in whole KRW; `sales`, `refunds` and `fee` are without VAT, and any may be 0.

    `paid` is what was transferred, None before: the total, or less where the seller had spent some of its wallet.
    """

    id: str
    org: str  # slug of the seller
    month: str  # 2026-11
    sales: int
    refunds: int
    fee: int
    vat: int
    closed_ns: int
    paid: int | None = None
    paid_ns: int | None = None
    reference: str = ""

    @property
    def supply(self) -> int:
        """What the exchange bought, without VAT; negative where more was returned than sold."""
        return self.sales - self.refunds - self.fee

    @property
    def total(self) -> int:
        """What the seller gets, VAT included."""
        return self.supply + self.vat

    @property
    def due_day(self) -> str:
        """`2026-12-15`: the 15th of the next month."""
        return f"{next_month(self.month)}-{DUE_DAY}"

    @property
    def state(self) -> str:
        """`paid`, `due`, or `none` where there is nothing to be paid."""
        if self.paid is not None:
            return "paid"
        return "due" if self.total > 0 else "none"


@dataclass(frozen=True, slots=True)
class Accrued:
    """What a seller sold, what of it was returned and the fee, since the month that was closed last; in whole KRW without VAT."""

    sales: int
    refunds: int
    fee: int

    @property
    def supply(self) -> int:
        """What the exchange will have bought, as it stands."""
        return self.sales - self.refunds - self.fee


@dataclass(frozen=True, slots=True)
class Payout:
    """A settlement that was paid; `rest` is what of it the seller had spent, `balance` what the wallet holds now."""

    settlement: Settlement
    rest: int
    balance: int


def of_seller(ex: Exchange, by: Actor) -> list[Settlement]:
    """The settlements of `by`'s organisation, the newest first."""
    org_id = authority.member(by)
    with db.read(ex) as conn:
        return _found(conn, _settlements().where(settlement.c.org_id == org_id))


def accrued(ex: Exchange, by: Actor) -> Accrued:
    """What `by`'s organisation sold since the month that was closed last."""
    org_id = authority.member(by)
    with db.read(ex) as conn:
        found = _items(conn, ex.now(), org_id).get(org_id)
    return Accrued(found.sales, found.refunds, found.fee) if found else Accrued(0, 0, 0)


def settlements(ex: Exchange, by: Actor | None, *, limit: int = 1000) -> list[Settlement]:
    """The settlements of all sellers, the newest first.

    Raises: Denied: `by` is not the operator.
    """
    authority.operator(by)
    with db.read(ex) as conn:
        return _found(conn, _settlements().limit(limit))


def close(ex: Exchange, by: Actor | None, month: str) -> list[Settlement]:
    """Settle a month that is over with every seller who sold anything, and move the VAT on what it supplied to its wallet.

    A month that is closed stays as it is: the same again answers the same.

    Raises:
        Denied: `by` is not the operator. Invalid: `time.month`.
        Conflict: `settlement.not_over`; `settlement.later` (a later month is closed and covers this one).
    """
    authority.operator(by)
    end_ns = month_end_ns(month)
    if ex.now() < end_ns:
        raise Conflict("settlement.not_over", f"{month} is not over in Korea; close it from {next_month(month)}-01 on.", month=month)
    with act(ex, by, TURN) as conn:
        newest = conn.execute(select(func.max(settlement.c.month))).scalar()
        if newest is not None and month < newest and not _of_month(conn, month):
            raise Conflict("settlement.later", f"{newest} is closed and covers {month}; nothing is left of it.", month=month)
        if newest is None or newest < month:
            _close(conn, ex, by, month, end_ns)
        failpoints.hit("settlement.before_commit")
        return _of_month(conn, month)


def pay(ex: Exchange, by: Actor | None, org: str, month: str, reference: str) -> Payout:
    """Note that a settlement was transferred to its seller: its total, or what the wallet still holds of it.

    The same reference again changes nothing and answers the same.

    Raises:
        Denied: `by` is not the operator. NotFound: `settlement.unknown`. Invalid: `text.malformed` (no reference).
        Conflict: `settlement.paid` (under another reference), `settlement.nothing`, `settlement.spent` (the wallet is empty),
        `payment.key_reused` (the reference paid something else).
    """
    authority.operator(by)
    reference = texts.check_text(reference, "reference", ledger.MAX_KEY - len(PAYOUT_PREFIX))
    with act(ex, by, TURN) as conn:
        seller = orgs.find_org(conn, org)
        row = conn.execute(_settlements().where(settlement.c.org_id == seller.id, settlement.c.month == month)).mappings().first()
        if row is None:
            raise NotFound("settlement.unknown", f"There is no settlement of {org} for {month}; close the month first.", month=month)
        due = _settlement(row)
        wallet = ledger.open_wallet(conn, seller.id)
        if due.paid is None:
            ledger.hold(conn, [ledger.BANK, wallet])
            _pay(conn, ex, by, due, _payable(conn, due, wallet), reference)
            failpoints.hit("payout.before_commit")
        elif due.reference != reference:
            raise Conflict("settlement.paid", f"{month} was paid to {org} already, with the reference {due.reference}.", month=month)
        paid = _found(conn, _settlements().where(settlement.c.id == due.id))[0]
        return Payout(paid, paid.total - (paid.paid or 0), ledger.balance(conn, wallet))


@dataclass(slots=True)
class _Items:
    """What of one seller is not settled yet: ids, and the sums of them."""

    sale_ids: list[str]
    refund_ids: list[str]
    sales: int = 0
    refunds: int = 0
    fee: int = 0


def _items(conn: Connection, end_ns: int, org_id: str | None = None) -> dict[str, _Items]:
    """What is not settled of what was sold and returned before `end_ns`, by id of the seller."""
    found: dict[str, _Items] = defaultdict(lambda: _Items([], []))
    sold = (
        select(sale.c.id, sale.c.org_id, sale.c.amount, sale.c.fee)
        .join_from(sale, order)
        .outerjoin(settled_sale, settled_sale.c.sale_id == sale.c.id)
        .where(order.c.created_ns < end_ns, settled_sale.c.sale_id.is_(None), sale.c.amount > 0)
    )
    returned = (
        select(refund.c.id, refund.c.org_id, refund.c.amount, refund.c.fee)
        .outerjoin(settled_refund, settled_refund.c.refund_id == refund.c.id)
        .where(refund.c.created_ns < end_ns, settled_refund.c.refund_id.is_(None))
    )
    for row in conn.execute(sold if org_id is None else sold.where(sale.c.org_id == org_id)):
        one = found[row.org_id]
        one.sale_ids.append(row.id)
        one.sales, one.fee = one.sales + row.amount, one.fee + row.fee
    for row in conn.execute(returned if org_id is None else returned.where(refund.c.org_id == org_id)):
        one = found[row.org_id]
        one.refund_ids.append(row.id)
        one.refunds, one.fee = one.refunds + row.amount, one.fee - row.fee
    return found


def _close(conn: Connection, ex: Exchange, by: Actor | None, month: str, end_ns: int) -> None:
    items = _items(conn, end_ns)
    slugs = {row.id: row.slug for row in conn.execute(select(organisation.c.id, organisation.c.slug).where(organisation.c.id.in_(items)))}
    ledger.hold(conn, [ledger.VAT, *(ledger.open_wallet(conn, org_id) for org_id in sorted(items))] if items else [])
    entries = []
    for org_id in sorted(items):
        one, id_ = items[org_id], ids.new("stl")
        vat = signed_vat_of(one.sales - one.refunds - one.fee)
        money = {"sales": one.sales, "refunds": one.refunds, "fee": one.fee, "vat": vat}
        transaction = None
        if vat:
            amounts = {ledger.VAT: -vat, **ledger.share(conn, org_id, vat)}
            transaction = ledger.post(conn, ex, "settlement", amounts, memo=month)
        values = {"id": id_, "org_id": org_id, "month": month, **money, "transaction_id": transaction, "created_ns": ex.now()}
        conn.execute(insert(settlement).values(**values))
        _cover(conn, id_, one)
        covered = {"orders": len(one.sale_ids), "returned": len(one.refund_ids)}
        details: dict[str, Any] = {"settlement": id_, "month": month, **money, **covered}
        entries.append(AuditEntry(Action.SETTLEMENT_CLOSED, owner=slugs[org_id], details=details))
    append_many(conn, ex, by, entries)


def _cover(conn: Connection, settlement_id: str, items: _Items) -> None:
    """Note what a settlement covers; the keys refuse what another covers."""
    if items.sale_ids:
        conn.execute(insert(settled_sale), [{"sale_id": one, "settlement_id": settlement_id} for one in items.sale_ids])
    if items.refund_ids:
        conn.execute(insert(settled_refund), [{"refund_id": one, "settlement_id": settlement_id} for one in items.refund_ids])


def _payable(conn: Connection, due: Settlement, wallet: str) -> int:
    if due.total <= 0:
        raise Conflict("settlement.nothing", f"Nothing is to be paid to {due.org} for {due.month}.", month=due.month)
    held = ledger.balance(conn, wallet)
    if not held:
        raise Conflict("settlement.spent", f"The wallet of {due.org} is empty: what it earned in {due.month} was spent.", month=due.month)
    return min(due.total, held)


def _pay(conn: Connection, ex: Exchange, by: Actor | None, due: Settlement, amount: int, reference: str) -> None:
    key = PAYOUT_PREFIX + reference
    if conn.execute(select(ledger_transaction.c.id).where(ledger_transaction.c.key == key)).first():
        raise Conflict(
            "payment.key_reused", f"Reference {reference!r} paid something else before; take that of this transfer.", key=reference
        )
    org_id = orgs.find_org(conn, due.org).id
    amounts = {ledger.wallet_id(org_id): -amount, ledger.BANK: amount}
    transaction = ledger.post(conn, ex, "payout", amounts, key=key, memo=due.month)
    made = {"settlement_id": due.id, "transaction_id": transaction, "amount": amount, "reference": reference}
    conn.execute(insert(payout).values(**made, created_ns=ex.now()))
    details = {"settlement": due.id, "month": due.month, "transaction": transaction, "amount": amount, "rest": due.total - amount}
    append(conn, ex, by, AuditEntry(Action.SETTLEMENT_PAID, owner=due.org, details={**details, "key": reference}))
    outbox.to_orgs(conn, ex, News(NoticeKind.SETTLEMENT, due.id, {"month": due.month}), [org_id])


def _settlements() -> Select[Any]:
    paid = [payout.c.amount.label("paid"), payout.c.created_ns.label("paid_ns"), func.coalesce(payout.c.reference, "").label("reference")]
    return (
        select(settlement, settlement.c.created_ns.label("closed_ns"), organisation.c.slug.label("org"), *paid)
        .join_from(settlement, organisation)
        .outerjoin(payout, payout.c.settlement_id == settlement.c.id)
        .order_by(settlement.c.month.desc(), organisation.c.slug)
    )


def _of_month(conn: Connection, month: str) -> list[Settlement]:
    return _found(conn, _settlements().where(settlement.c.month == month))


def _found(conn: Connection, query: Select[Any]) -> list[Settlement]:
    return [_settlement(row) for row in conn.execute(query).mappings()]


def _settlement(row: RowMapping) -> Settlement:
    return Settlement(**{name: row[name] for name in Settlement.__dataclass_fields__})
