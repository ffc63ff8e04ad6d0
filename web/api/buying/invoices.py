"""Tax invoices of orders, refunds and settlements: their data, as JSON, XML in the tax office's names, and a row of its form."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from mapex.invoices import invoices, tax_table, tax_xml
from mapex.invoices.invoice import Invoice
from web.edge.auth import current_actor, exchange
from web.edge.kinds import content
from web.edge.policy import policy
from web.edge.schemas import Answer, fields
from web.edge.tables import csv_answer

blueprint = APIBlueprint("invoices", __name__, url_prefix="/api/v1", tag="Orders")


class PartyOut(Answer):
    """One side; a null number: a firm abroad."""

    number = fields.String(allow_none=True)
    name = fields.String()
    representative = fields.String()
    address = fields.String()
    business_type = fields.String()
    item = fields.String()
    email = fields.String()


class ItemOut(Answer):
    """One line, in whole KRW."""

    day = fields.String()
    kind = fields.String(metadata={"enum": ["sale", "refund", "fee"]})
    name = fields.String()
    spec = fields.String()
    quantity = fields.String(allow_none=True, metadata={"description": "decimal"})
    unit_price = fields.Integer(allow_none=True)
    supply = fields.Integer()
    tax = fields.Integer()
    note = fields.String()


class InvoiceOut(Answer):
    """The data of a tax invoice; the operator issues it with its certificate."""

    id = fields.String(metadata={"description": "of the order, refund or settlement"})
    about = fields.String(metadata={"enum": ["order", "refund", "settlement"]})
    day = fields.String(metadata={"description": "작성일자"})
    reverse = fields.Boolean(metadata={"description": "역발행: who is supplied makes it"})
    invoicer = fields.Nested(PartyOut)
    invoicee = fields.Nested(PartyOut)
    items = fields.List(fields.Nested(ItemOut))
    supply = fields.Integer()
    tax = fields.Integer()
    total = fields.Integer()
    paid = fields.Boolean(metadata={"description": "영수; else 청구"})
    amends = fields.String(metadata={"description": "the order of which it is the amended invoice, or empty"})
    reason = fields.String(metadata={"description": "수정사유: 03 환입, 04 계약의 해제, or empty"})


@blueprint.get("/invoices/<document_id>")
@policy("read")
@blueprint.doc(responses=[409])
@blueprint.output(InvoiceOut)
def get_invoice(document_id: str) -> dict[str, Any]:
    """The tax invoice of an order, refund or settlement of the own organisation; the operator sees all."""
    one = _invoice(document_id)
    plain = ("id", "about", "day", "supply", "tax", "total", "amends", "reason")
    lines = [{name: getattr(item, name) for name in _ITEM} | {"quantity": _written(item.quantity)} for item in one.items]
    sides = {"invoicer": dict(one.invoicer.about), "invoicee": dict(one.invoicee.about)}
    return {**{name: getattr(one, name) for name in plain}, **sides, "items": lines, "reverse": one.is_reverse, "paid": one.is_paid}


@blueprint.get("/invoices/<document_id>/tax.xml")
@policy("read")
@blueprint.doc(responses={200: content("표준전자세금계산서", "application/xml", schema={"type": "string"}), 409: ""})
def get_xml(document_id: str) -> Response:
    """As XML in the names of the tax office's standard, without signature and approval number."""
    name = f'attachment; filename="{document_id}.xml"'
    return Response(tax_xml.written(_invoice(document_id)), mimetype="application/xml", headers={"Content-Disposition": name})


@blueprint.get("/invoices/<document_id>/hometax.csv")
@policy("read")
@blueprint.doc(responses={200: content("one row", "text/csv", schema={"type": "string"}), 409: ""})
def get_table(document_id: str) -> Response:
    """As a row of the form of 홈택스 for many invoices at once."""
    return csv_answer(f"{document_id}.csv", tax_table.COLUMNS, [tax_table.row(_invoice(document_id))])


_ITEM = ("day", "kind", "name", "spec", "unit_price", "supply", "tax", "note")


def _invoice(document_id: str) -> Invoice:
    return invoices.get(exchange(), current_actor(), document_id)


def _written(quantity: Any) -> str | None:
    return None if quantity is None else f"{quantity.normalize():f}"
