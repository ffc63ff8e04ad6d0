"""The tax invoices of orders (exchange to buyer), refunds (amended) and settlements (seller to exchange, issued in reverse).

The exchange sells to the buyer and buys from the seller, so that neither learns of the other. Amounts are those of the ledger, to the won.
Each is seen by its own party and by the operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from mapex.database import db
from mapex.database.schema import dataset, dataset_version, order, order_line, organisation, payout, refund, sale, settled_sale, settlement
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor, Exchange
from mapex.invoices import businesses
from mapex.invoices.businesses import Business
from mapex.invoices.invoice import CANCELLED, RETURNED, Invoice, Item, split_tax
from mapex.rules.pricing import UNITS
from mapex.times import kst_day, next_month


def get(ex: Exchange, by: Actor | None, document_id: str) -> Invoice:
    """The tax invoice of the order, refund or settlement with this id.

    Raises:
        NotFound: `invoice.unknown`: absent, foreign, or of an auditor.
        Conflict: `invoice.operator`, `invoice.business` (details that are not entered yet, and whose), `invoice.nothing` (nothing was
        charged), `invoice.foreign` (a seller abroad issues none).
    """
    makers = {"ord": _of_order, "ref": _of_refund, "stl": _of_settlement}
    make = makers.get(document_id.partition("_")[0])
    with db.read(ex) as conn:
        found = make(conn, document_id) if make else None
        if found is None or not _sees(by, found.org_id):
            raise NotFound("invoice.unknown", f"There is no tax invoice {document_id[:80]!r} of your organisation.")
        if not found.supply and not found.tax:
            raise Conflict("invoice.nothing", "Nothing was charged, so there is no tax invoice.", document=document_id)
        return replace(_filled(conn, ex, found), made_ns=ex.now())


@dataclass(frozen=True, slots=True)
class _Document:
    """What an invoice is made of, before it is known what stands on it of either side."""

    id: str
    org_id: str
    about: str
    day: str
    items: Sequence[Item]
    tax: int
    is_paid: bool
    amends: str = ""
    reason: str = ""

    @property
    def supply(self) -> int:
        return sum(item.supply for item in self.items)


def _sees(by: Actor | None, org_id: str) -> bool:
    return by is None or by.role == "operator" or (by.role == "member" and by.org_id == org_id)


def _filled(conn: Connection, ex: Exchange, one: _Document) -> Invoice:
    ours, theirs = businesses.operator(ex.settings), businesses.of_org(conn, one.org_id)
    if theirs is None:
        slug = conn.execute(select(organisation.c.slug).where(organisation.c.id == one.org_id)).scalar_one()
        sentence = f"The business details of {slug} are not entered yet; a member who may pay everything enters them on the account page."
        raise Conflict("invoice.business", sentence, org=slug)
    is_bought = one.about == "settlement"
    if is_bought and theirs.number is None:
        raise Conflict("invoice.foreign", "A seller abroad issues no Korean tax invoice; the settlement itself is the record.")
    parties: tuple[Business, Business] = (theirs, ours) if is_bought else (ours, theirs)
    taxes = split_tax(one.tax, [item.supply for item in one.items])
    items = [replace(item, tax=tax) for item, tax in zip(one.items, taxes, strict=True)]
    given = {name: getattr(one, name) for name in ("id", "about", "day", "is_paid", "amends", "reason")}
    return Invoice(**given, invoicer=parties[0], invoicee=parties[1], items=items, supply=one.supply, tax=one.tax)


def _of_order(conn: Connection, order_id: str) -> _Document | None:
    row = conn.execute(select(order).where(order.c.id == order_id)).mappings().first()
    if row is None:
        return None
    day = kst_day(row["created_ns"])
    items = [_sold(line, day) for line in conn.execute(_lines().where(order_line.c.order_id == order_id)).mappings()]
    return _Document(order_id, row["org_id"], "order", day, items, row["vat"], is_paid=True)


def _of_refund(conn: Connection, refund_id: str) -> _Document | None:
    columns = (refund, order.c.org_id.label("buyer_id"), order.c.subtotal, dataset_version.c.number, dataset_version.c.dataset_id)
    query = select(*columns).join_from(refund, order).join(dataset_version).where(refund.c.id == refund_id)
    row = conn.execute(query).mappings().first()
    if row is None:
        return None
    day = kst_day(row["created_ns"])
    of_version = (order_line.c.dataset_id == row["dataset_id"], order_line.c.version == row["number"])
    lines = conn.execute(_lines().where(order_line.c.order_id == row["order_id"], *of_version)).mappings()
    items = [_returned(_sold(line, day)) for line in lines]
    reason = CANCELLED if row["amount"] == row["subtotal"] else RETURNED
    return _Document(refund_id, row["buyer_id"], "refund", day, items, -row["vat"], is_paid=True, amends=row["order_id"], reason=reason)


def _of_settlement(conn: Connection, settlement_id: str) -> _Document | None:
    columns = (settlement, payout.c.amount.label("paid"))
    query = select(*columns).outerjoin(payout, payout.c.settlement_id == settlement.c.id).where(settlement.c.id == settlement_id)
    row = conn.execute(query).mappings().first()
    if row is None:
        return None
    day = (date.fromisoformat(f"{next_month(row['month'])}-01") - timedelta(days=1)).isoformat()
    taken = (("refund", -row["refunds"]), ("fee", -row["fee"]))
    items = [*_settled(conn, row, day), *(Item(day, kind, kind, "", None, None, amount) for kind, amount in taken if amount)]
    reason = RETURNED if row["sales"] - row["refunds"] - row["fee"] < 0 else ""
    return _Document(settlement_id, row["org_id"], "settlement", day, items, row["vat"], is_paid=row["paid"] is not None, reason=reason)


def _settled(conn: Connection, row: RowMapping, day: str) -> list[Item]:
    """What a settlement covers by dataset and layer; sums have no price per unit."""
    query = (
        _lines()
        .join(sale, sale.c.order_id == order_line.c.order_id)
        .join(settled_sale, settled_sale.c.sale_id == sale.c.id)
        .where(settled_sale.c.settlement_id == row["id"], dataset.c.org_id == row["org_id"])
    )
    sums: dict[tuple[str, str], int] = {}
    for line in conn.execute(query).mappings():
        key = (line["slug"], line["layer"])
        sums[key] = sums.get(key, 0) + line["amount"]
    return [Item(day, "sale", f"{slug} · {layer}", "", None, None, amount) for (slug, layer), amount in sums.items() if amount]


def _lines() -> Any:
    columns = (order_line, dataset.c.slug)
    return select(*columns).join_from(order_line, dataset).order_by(order_line.c.order_id, order_line.c.ordinal)


def _sold(line: RowMapping, day: str) -> Item:
    unit = UNITS[line["unit"]]
    name, note = f"{line['slug']} · {line['layer']}", f"기존 결제 차감 {line['earlier']}" if line["earlier"] else ""
    quantity = Decimal(line["small"]) / unit.divisor
    return Item(day, "sale", name, f"v{line['version']} {unit.value}", quantity, line["rate"], line["amount"], note=note)


def _returned(item: Item) -> Item:
    return replace(item, kind="refund", quantity=-item.quantity if item.quantity is not None else None, supply=-item.supply)
