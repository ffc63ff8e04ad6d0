"""Refunds: when a version is recalled, all that was paid for it is returned to its buyers, VAT included.

An order is refunded line by line of the version: the buyer gets them with their VAT, the exchange gives its fee back, and the seller
what it got for them, from its wallet as far as that holds; the rest it owes. VAT and fee are those of the order less those of what
remains of it, so that the refunds of an order return exactly what was paid, however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, func, insert, select, text

from mapex import authority, ids
from mapex.audit.log import Action, AuditEntry, append_many
from mapex.database import db
from mapex.database.schema import dataset, dataset_version, ledger_transaction, order, organisation, refund
from mapex.exchange import Actor, Exchange
from mapex.orders import ledger
from mapex.rules.pricing import fee_of, vat_of


@dataclass(frozen=True, slots=True)
class Refund:
    """What an own order got back when a version of a dataset (of `org`) was recalled: `amount` without VAT."""

    id: str
    order_id: str
    org: str
    dataset: str
    version: int
    amount: int
    vat: int
    at_ns: int

    @property
    def total(self) -> int:
        """What came into the wallet."""
        return self.amount + self.vat


@dataclass(frozen=True, slots=True)
class Returned:
    """What the recall of a version returns: to how many orders, KRW with VAT, and what of it the seller gives."""

    orders: int = 0
    total: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True)
class _Due:
    """What one order is to get back of a version, and what the seller and the exchange give for it."""

    order_id: str
    buyer_id: str
    buyer: str
    amount: int
    vat: int
    fee: int


def of_orders(ex: Exchange, by: Actor, order_ids: Sequence[str]) -> list[Refund]:
    """What own orders got back, the oldest first; foreign ones are passed over."""
    org_id = authority.member(by)
    query = (
        select(refund, organisation.c.slug.label("org"), dataset.c.slug.label("dataset"), dataset_version.c.number)
        .join_from(refund, order)
        .join(dataset_version)
        .join(dataset, dataset.c.id == dataset_version.c.dataset_id)
        .join(organisation, organisation.c.id == dataset.c.org_id)
        .where(order.c.org_id == org_id, refund.c.order_id.in_(order_ids))
        .order_by(refund.c.created_ns, refund.c.id)
    )
    with db.read(ex) as conn:
        rows = conn.execute(query).all()
    return [Refund(row.id, row.order_id, row.org, row.dataset, row.number, row.amount, row.vat, row.created_ns) for row in rows]


def totals(ex: Exchange, by: Actor, order_ids: Sequence[str]) -> dict[str, int]:
    """What came back of each of these own orders, VAT included; orders of which nothing did are left out."""
    found: dict[str, int] = defaultdict(int)
    for one in of_orders(ex, by, order_ids):
        found[one.order_id] += one.total
    return dict(found)


def foreseen(conn: Connection, version_id: str) -> Returned:
    """What a recall of the version would return now."""
    return _sum(_due(conn, version_id))


def give_back(conn: Connection, ex: Exchange, seller_id: str, version_id: str) -> Returned:
    """Return what was paid for a version, in the transaction of its recall, which holds the offers of its dataset."""
    due = _due(conn, version_id)
    wallets = [ledger.open_wallet(conn, org_id) for org_id in sorted({seller_id, *(one.buyer_id for one in due)})] if due else []
    ledger.hold(conn, [ledger.FEE, ledger.VAT, *wallets] if due else [])
    which = conn.execute(
        select(organisation.c.slug.label("org"), dataset.c.slug, dataset_version.c.number)
        .join_from(dataset_version, dataset)
        .join(organisation)
        .where(dataset_version.c.id == version_id)
    ).one()
    entries = []
    for one in due:
        refund_id = _post(conn, ex, seller_id, version_id, one)
        details = {"refund": refund_id, "order": one.order_id, "amount": one.amount, "vat": one.vat}
        details |= {"seller": which.org, "of": f"{which.org}/{which.slug}", "version": which.number}
        entries.append(AuditEntry(Action.ORDER_REFUNDED, owner=one.buyer, details=details))
    append_many(conn, ex, None, entries)  # the exchange returns it: the seller does not learn to whom
    return _sum(due)


def _post(conn: Connection, ex: Exchange, seller_id: str, version_id: str, one: _Due) -> str:
    amounts = ledger.share(conn, seller_id, one.fee - one.amount)
    buyer = ledger.wallet_id(one.buyer_id)
    amounts[buyer] = amounts.get(buyer, 0) + one.amount + one.vat
    amounts |= {ledger.VAT: -one.vat, ledger.FEE: -one.fee}
    transaction = ledger.post(conn, ex, "refund", amounts, order_id=one.order_id, memo="recalled")
    made = {"id": ids.new("ref"), "order_id": one.order_id, "version_id": version_id, "org_id": seller_id, "transaction_id": transaction}
    money = {"amount": one.amount, "vat": one.vat, "fee": one.fee}
    conn.execute(insert(refund).values(**made, **money, created_ns=_created_ns(conn, transaction)))
    return made["id"]


def _created_ns(conn: Connection, transaction: str) -> int:
    return int(conn.execute(select(ledger_transaction.c.created_ns).where(ledger_transaction.c.id == transaction)).scalar_one())


def _due(conn: Connection, version_id: str) -> list[_Due]:
    """What each order with paid lines of the version is to get back, in a fixed order; nothing that was returned already."""
    statement = text(
        "SELECT p.id, p.org_id, b.slug AS buyer, p.subtotal, s.amount AS sold, s.fee_rate, CAST(SUM(n.amount) AS bigint) AS amount "
        "FROM dataset_version v JOIN dataset d ON d.id = v.dataset_id JOIN order_line n ON n.dataset_id = d.id AND n.version = v.number "
        "JOIN purchase_order p ON p.id = n.order_id JOIN organisation b ON b.id = p.org_id "
        "JOIN sale s ON s.order_id = p.id AND s.org_id = d.org_id "
        "WHERE v.id = :version AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.order_id = p.id AND r.version_id = v.id) "
        "GROUP BY p.id, p.org_id, b.slug, p.subtotal, s.amount, s.fee_rate HAVING SUM(n.amount) > 0 ORDER BY p.id"
    )
    rows = conn.execute(statement, {"version": version_id}).mappings().all()
    before = _before(conn, version_id, [row["id"] for row in rows])
    return [_of_order(row, *before.get(row["id"], (0, 0))) for row in rows]


def _before(conn: Connection, version_id: str, order_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """What orders got back before, and what of it the seller of the version gave; orders that got nothing are left out."""
    seller = select(dataset.c.org_id).join_from(dataset_version, dataset).where(dataset_version.c.id == version_id).scalar_subquery()
    theirs = func.sum(refund.c.amount).filter(refund.c.org_id == seller)
    sums = select(refund.c.order_id, func.sum(refund.c.amount), func.coalesce(theirs, 0)).group_by(refund.c.order_id)
    rows = conn.execute(sums.where(refund.c.order_id.in_(order_ids))).all()
    return {order_id: (int(of_all), int(of_seller)) for order_id, of_all, of_seller in rows}


def _of_order(row: RowMapping, returned: int, given: int) -> _Due:
    """`returned` of the order before, of it `given` by this seller."""
    amount = int(row["amount"])
    left, sold = row["subtotal"] - returned, row["sold"] - given
    vat = vat_of(left) - vat_of(left - amount)
    fee = fee_of(sold, row["fee_rate"]) - fee_of(sold - amount, row["fee_rate"])
    return _Due(row["id"], row["org_id"], row["buyer"], amount, vat, fee)


def _sum(due: Sequence[_Due]) -> Returned:
    return Returned(len(due), sum(one.amount + one.vat for one in due), sum(one.amount - one.fee for one in due))
