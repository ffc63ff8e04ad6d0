"""The books: what is held for whom, settlements with sellers (each sees its own), payments that leave, every entry."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from mapex.orders import books, remittances, settlements
from mapex.orders.remittances import Remittance
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import content, moment, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, fields
from web.edge.tables import csv_answer

blueprint = APIBlueprint("ledger", __name__, url_prefix="/api/v1", tag="Ledger")

STATES = ("due", "paid", "none")


class SettlementOut(Answer):
    """A seller's month: supply = sales - refunds - fee, in whole KRW without VAT; total is supply with its VAT."""

    id = fields.String()
    org = fields.String()
    month = fields.String()
    sales = fields.Integer()
    refunds = fields.Integer()
    fee = fields.Integer()
    supply = fields.Integer()
    vat = fields.Integer()
    total = fields.Integer()
    state = word(STATES)
    due_day = fields.String(metadata={"format": "date"})
    closed_at = moment()
    paid = fields.Integer(allow_none=True)
    paid_at = moment(allow_none=True)
    reference = fields.String()


class SettlementsOut(Answer):
    """Settlements, the newest first."""

    settlements = fields.List(fields.Nested(SettlementOut))


class AccruedOut(Answer):
    """What was sold since the month that was closed last, in whole KRW without VAT."""

    sales = fields.Integer()
    refunds = fields.Integer()
    fee = fields.Integer()
    supply = fields.Integer()


class OwnSettlementsOut(Answer):
    """Settlements, the newest first; what is not settled yet; the fee of what is sold from now on."""

    fee_percent = fields.Float()
    settlements = fields.List(fields.Nested(SettlementOut))
    accrued = fields.Nested(AccruedOut)


class VatMonthOut(Answer):
    """VAT of a month: of orders, returned, of settlements, paid to the tax office, held after it."""

    month = fields.String()
    output = fields.Integer()
    returned = fields.Integer()
    input = fields.Integer()
    paid = fields.Integer()
    balance = fields.Integer()


class LedgerOut(Answer):
    """What came and went by the bank, and what is held for whom, in whole KRW; `agrees`: the two are the same."""

    paid_in = fields.Integer()
    paid_out = fields.Integer()
    vat_paid = fields.Integer()
    fee_drawn = fields.Integer()
    in_bank = fields.Integer()
    wallets = fields.Dict(keys=fields.String(), values=fields.Integer())
    owed = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"description": "by sellers, after refunds"})
    vat = fields.Integer()
    fee = fields.Integer()
    held = fields.Integer()
    agrees = fields.Boolean()
    vat_months = fields.List(fields.Nested(VatMonthOut))


class CloseIn(Body):
    """A month that is over."""

    month = fields.String(required=True, validate=Length(1, 7), metadata={"example": "2026-11"})


class PayIn(Body):
    """A transfer to a seller."""

    org = fields.String(required=True, validate=Length(1, 64))
    month = fields.String(required=True, validate=Length(1, 7), metadata={"example": "2026-11"})
    reference = fields.String(required=True, metadata={"description": "the same reference pays once"})


class PaidOut(SettlementOut):
    """The settlement as paid; `rest`: what of it the seller had spent."""

    rest = fields.Integer()
    balance = fields.Integer()


class RemittanceIn(Body):
    """Money that left the bank."""

    amount = fields.Integer(required=True, strict=True)
    reference = fields.String(required=True, metadata={"description": "the same reference books once"})


class RemittanceOut(Answer):
    """The payment as booked, and what is still put aside."""

    transaction = fields.String()
    amount = fields.Integer()
    reference = fields.String()
    balance = fields.Integer()


def document(one: settlements.Settlement) -> dict[str, Any]:
    """A settlement as JSON values."""
    about = {"id": one.id, "org": one.org, "month": one.month, "state": one.state, "due_day": one.due_day}
    money = {"sales": one.sales, "refunds": one.refunds, "fee": one.fee, "supply": one.supply, "vat": one.vat, "total": one.total}
    paid_at = None if one.paid_ns is None else iso_from_ns(one.paid_ns)
    return {**about, **money, "closed_at": iso_from_ns(one.closed_ns), "paid": one.paid, "paid_at": paid_at, "reference": one.reference}


@blueprint.get("/settlements")
@policy("sell")
@blueprint.output(OwnSettlementsOut)
def own_settlements() -> dict[str, Any]:
    """What the own organisation is paid for its sales, month by month, and when."""
    ex, by = exchange(), current_actor()
    running = settlements.accrued(ex, by)
    return {
        "fee_percent": float(ex.settings.fee_percent),
        "settlements": [document(one) for one in settlements.of_seller(ex, by)],
        "accrued": {**asdict(running), "supply": running.supply},
    }


@blueprint.get("/ledger")
@policy("operate")
@blueprint.output(LedgerOut)
def ledger() -> dict[str, Any]:
    """Whether the wallets add up to what was paid in, line by line, and VAT month by month."""
    ex, by = exchange(), current_actor()
    sheet = books.sheet(ex, by)
    more = {"in_bank": sheet.in_bank, "held": sheet.held, "agrees": sheet.agrees}
    return {**asdict(sheet), **more, "vat_months": [asdict(one) for one in books.vat_months(ex, by)]}


@blueprint.get("/ledger/entries.csv")
@policy("operate")
@blueprint.doc(responses={200: content("a table", "text/csv", schema={"type": "string"})})
def entries() -> Response:
    """Every entry of the ledger with its ids, oldest first, as CSV; the entries of a transaction sum to zero."""
    rows = [one.row for one in books.entries(exchange(), current_actor())]
    return csv_answer("mapex-ledger.csv", books.COLUMNS, rows)


@blueprint.get("/ledger/settlements")
@policy("operate")
@blueprint.output(SettlementsOut)
def all_settlements() -> dict[str, Any]:
    """The settlements of all sellers."""
    return {"settlements": [document(one) for one in settlements.settlements(exchange(), current_actor())]}


@blueprint.post("/ledger/settlements")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(CloseIn)
@blueprint.output(SettlementsOut, status_code=201)
def close(json_data: dict[str, Any]) -> dict[str, Any]:
    """Close a month that is over: settle it with every seller. The same month again changes nothing."""
    return {"settlements": [document(one) for one in settlements.close(exchange(), current_actor(), json_data["month"])]}


@blueprint.post("/ledger/settlements/payments")
@policy("operate")
@blueprint.doc(responses=[404, 409])
@blueprint.input(PayIn)
@blueprint.output(PaidOut, status_code=201)
def pay(json_data: dict[str, Any]) -> dict[str, Any]:
    """Note that a settlement was transferred; the same reference again changes nothing."""
    paid = settlements.pay(exchange(), current_actor(), json_data["org"], json_data["month"], json_data["reference"])
    return {**document(paid.settlement), "rest": paid.rest, "balance": paid.balance}


@blueprint.post("/ledger/vat-payments")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(RemittanceIn)
@blueprint.output(RemittanceOut, status_code=201)
def pay_vat(json_data: dict[str, Any]) -> Remittance:
    """Book VAT that was paid to the tax office; the same reference again changes nothing."""
    return remittances.pay_vat(exchange(), current_actor(), json_data["amount"], json_data["reference"])


@blueprint.post("/ledger/fee-payments")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(RemittanceIn)
@blueprint.output(RemittanceOut, status_code=201)
def draw_fee(json_data: dict[str, Any]) -> Remittance:
    """Book fee that the operator took out; the same reference again changes nothing."""
    return remittances.draw_fee(exchange(), current_actor(), json_data["amount"], json_data["reference"])
