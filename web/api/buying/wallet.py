"""Money: the own wallet, and the operator's credits."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.orders import ledger
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, Query, Range, fields

blueprint = APIBlueprint("wallet", __name__, url_prefix="/api/v1", tag="Wallet")


class WalletQuery(Query):
    """Whose wallet (auditors and operators name one), and how many entries."""

    org = fields.String(validate=Length(1, 64))
    limit = fields.Integer(load_default=100, validate=Range(1, 1000))


class EntryOut(Answer):
    """One line of the statement, and the balance after it."""

    transaction = fields.String()
    kind = fields.String(metadata={"enum": ["credit", "order", "refund", "settlement", "payout"]})
    at = moment()
    memo = fields.String()
    order = fields.String(allow_none=True)
    amount = fields.Integer()
    balance = fields.Integer()


class WalletOut(Answer):
    """Prepaid money in whole KRW, newest entries first."""

    org = fields.String()
    currency = fields.String()
    balance = fields.Integer()
    owed = fields.Integer(metadata={"description": "to the exchange, which takes it from what is earned next"})
    entries = fields.List(fields.Nested(EntryOut))


class CreditIn(Body):
    """A payment received."""

    org = fields.String(required=True, validate=Length(1, 64))
    amount = fields.Integer(required=True, strict=True)
    key = fields.String(required=True, metadata={"description": "the same key books once"})
    memo = fields.String(load_default="", validate=Length(0, 200))


class CreditOut(Answer):
    """The payment as booked, and the balance now."""

    transaction = fields.String()
    org = fields.String()
    amount = fields.Integer()
    balance = fields.Integer()


@blueprint.get("/wallet")
@policy("read")
@blueprint.doc(responses=[404])
@blueprint.input(WalletQuery, location="query", unknown=None)
@blueprint.output(WalletOut)
def wallet(query_data: dict[str, Any]) -> dict[str, Any]:
    """The wallet of the own organisation, with its statement."""
    found = ledger.wallet(exchange(), current_actor(), query_data.get("org"), limit=query_data["limit"])
    entries = [
        {
            "transaction": entry.transaction,
            "kind": entry.kind,
            "at": iso_from_ns(entry.at_ns),
            "memo": entry.memo,
            "order": entry.order_id,
            "amount": entry.amount,
            "balance": entry.balance,
        }
        for entry in found.entries
    ]
    return {"org": found.org, "currency": "KRW", "balance": found.balance, "owed": found.owed, "entries": entries}


@blueprint.post("/wallet/credits")
@policy("operate")
@blueprint.doc(responses=[404, 409])
@blueprint.input(CreditIn)
@blueprint.output(CreditOut, status_code=201)
def credit(json_data: dict[str, Any]) -> dict[str, Any]:
    """Book a payment into a wallet; the same key again changes nothing."""
    booked = ledger.credit(exchange(), current_actor(), json_data["org"], json_data["amount"], json_data["key"], json_data["memo"])
    return {"transaction": booked.transaction, "org": booked.org, "amount": booked.amount, "balance": booked.balance}
