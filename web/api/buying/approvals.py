"""Approvals: who may not pay a quote asks those of the organisation who may."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.orders import approvals
from mapex.orders.approvals import Approval
from mapex.rights import named_users
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, OneOf, Query, fields

blueprint = APIBlueprint("approvals", __name__, url_prefix="/api/v1", tag="Orders")


class ApprovalIn(Body):
    """Which quote shall be paid, why, and who shall download it."""

    quote = fields.String(required=True, validate=Length(1, 40))
    note = fields.String(required=True, validate=Length(1, approvals.LONGEST))
    persons = fields.List(fields.String(validate=Length(1, 255)), load_default=list, validate=Length(0, named_users.MOST))


class ApprovalCloseIn(Body):
    """Why it is refused; who asked withdraws it without a reason."""

    reason = fields.String(load_default="", validate=Length(0, approvals.LONGEST))


class ApprovalsQuery(Query):
    """Which requests."""

    state = fields.String(load_default="", validate=OneOf(["", *approvals.STATES]))


class ApprovalOut(Answer):
    """A request to pay a quote; the price may have been asked anew since, then `quote` is the newer one."""

    id = fields.String()
    quote = fields.String()
    asker = fields.String(metadata={"description": "e-mail of who asked"})
    note = fields.String()
    persons = fields.List(fields.String(), metadata={"description": "who shall download it; empty: everybody of the organisation"})
    state = fields.String(metadata={"enum": list(approvals.STATES)})
    name = fields.String(metadata={"description": "what your organisation calls the area"})
    total = fields.Integer(metadata={"description": "KRW with VAT"})
    created_at = moment()
    expires_at = moment(metadata={"description": "until when the price is held"})
    ended_at = moment(allow_none=True)
    ender = fields.String(metadata={"description": "who paid, refused or withdrew it"})
    reason = fields.String()
    order = fields.String(allow_none=True)


class ApprovalsOut(Answer):
    """Newest first."""

    approvals = fields.List(fields.Nested(ApprovalOut))


@blueprint.get("/approvals")
@policy("own")
@blueprint.input(ApprovalsQuery, location="query", unknown=None)
@blueprint.output(ApprovalsOut)
def list_approvals(query_data: dict[str, Any]) -> dict[str, Any]:
    """Requests for approval of the own organisation, newest first."""
    return {"approvals": [_document(one) for one in approvals.of(exchange(), current_actor(), state=query_data["state"])]}


@blueprint.post("/approvals")
@policy("price")
@blueprint.doc(responses=[404, 409])
@blueprint.input(ApprovalIn)
@blueprint.output(ApprovalOut, status_code=201)
def ask(json_data: dict[str, Any]) -> dict[str, Any]:
    """Ask those who may pay to pay a quote. One of them buys it with `POST /orders`, or refuses."""
    made = approvals.ask(exchange(), current_actor(), json_data["quote"], json_data["note"], persons=json_data["persons"])
    return _document(made)


@blueprint.post("/approvals/<approval_id>/close")
@policy("price")
@blueprint.doc(responses=[409])
@blueprint.input(ApprovalCloseIn)
@blueprint.output(ApprovalOut)
def close(approval_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Refuse a request, with a reason; who asked withdraws it."""
    return _document(approvals.close(exchange(), current_actor(), approval_id, json_data["reason"]))


def _document(one: Approval) -> dict[str, Any]:
    plain = ("id", "quote", "asker", "note", "persons", "state", "name", "total", "ender", "reason", "order")
    ended = iso_from_ns(one.ended_ns) if one.ended_ns is not None else None
    times = {"created_at": iso_from_ns(one.created_ns), "expires_at": iso_from_ns(one.expires_ns), "ended_at": ended}
    return {**{name: getattr(one, name) for name in plain}, **times}
