"""Requests for a permit to be entered: made by members, looked at by the operator, who enters the permit or refuses."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.rights import permit_requests
from mapex.rights.permit import NewPermit
from mapex.rights.permit_requests import LONGEST_TEXT, STATES, NewRequest, PermitRequest
from mapex.times import iso_from_ns, ns_from_iso
from web.edge.auth import current_actor, exchange
from web.edge.kinds import digest, moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, fields

blueprint = APIBlueprint("permit_requests", __name__, url_prefix="/api/v1", tag="Permits")


class PermitRequestIn(Body):
    """A permit of the own organisation, as the regulator gave it, and the document that the operator is shown."""

    number = fields.String(required=True, validate=Length(1, 128))
    issuer = fields.String(required=True, validate=Length(1, 255), metadata={"description": "who gave the permit"})
    purposes = fields.List(fields.String(), required=True, validate=Length(0, 20), metadata={"description": "at least one"})
    classes = fields.List(fields.String(), required=True, validate=Length(0, 4), metadata={"description": "at least one"})
    area = fields.Raw(required=True, metadata={"type": "object", "description": "GeoJSON, WGS 84"})
    valid_from = fields.String(required=True)
    valid_to = fields.String(required=True)
    document = fields.String(required=True, validate=Length(1, 255), metadata={"description": "name of the file"})
    document_sha256 = fields.String(required=True, validate=Length(64, 64), metadata={"description": "hex; the file itself is not sent"})


class RefusePermitIn(Body):
    """Why; the organisation reads it."""

    reason = fields.String(required=True, validate=Length(1, LONGEST_TEXT))


class PermitRequestOut(Answer):
    """A request; `permit` is the number that was entered for it, empty before."""

    id = fields.String()
    org = fields.String()
    person = fields.String()
    number = fields.String()
    issuer = fields.String()
    purposes = fields.List(fields.String())
    classes = fields.List(fields.String())
    area = fields.Dict()
    valid_from = moment()
    valid_to = moment()
    document = fields.String()
    document_sha256 = digest()
    state = fields.String(metadata={"enum": list(STATES)})
    reason = fields.String()
    created_at = moment()
    decided_at = moment(allow_none=True)
    permit = fields.String()


class PermitRequestsOut(Answer):
    """Newest first."""

    requests = fields.List(fields.Nested(PermitRequestOut))


@blueprint.get("/permit-requests")
@policy("read")
@blueprint.output(PermitRequestsOut)
def listed() -> dict[str, Any]:
    """The requests of the own organisation; for operators and auditors all."""
    return {"requests": [_shown(one) for one in permit_requests.all_requests(exchange(), current_actor())]}


@blueprint.post("/permit-requests")
@policy("buy")
@blueprint.doc(responses=[409])
@blueprint.input(PermitRequestIn)
@blueprint.output(PermitRequestOut, status_code=201)
def request(json_data: dict[str, Any]) -> dict[str, Any]:
    """Ask the operator to enter a permit. It counts when it is entered, not before."""
    by = current_actor()
    begin, end = (ns_from_iso(json_data[name]) for name in ("valid_from", "valid_to"))
    lists = {name: json_data[name] for name in ("number", "purposes", "classes", "area")}
    about = {name: json_data[name] for name in ("issuer", "document", "document_sha256")}
    new = NewRequest(NewPermit(org=by.org_slug, valid_from_ns=begin, valid_to_ns=end, **lists), **about)
    return _shown(permit_requests.request(exchange(), by, new))


@blueprint.delete("/permit-requests/<request_id>")
@policy("buy")
@blueprint.doc(responses=[409])
@blueprint.output({}, status_code=204)
def withdraw(request_id: str) -> str:
    """Take a request of the own organisation back."""
    permit_requests.withdraw(exchange(), current_actor(), request_id)
    return ""


@blueprint.post("/permit-requests/<request_id>/refuse")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(RefusePermitIn)
@blueprint.output(PermitRequestOut)
def refuse(request_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Refuse a request, with a reason. To accept it, enter the permit and name the request."""
    return _shown(permit_requests.refuse(exchange(), current_actor(), request_id, json_data["reason"]))


def _shown(one: PermitRequest) -> dict[str, Any]:
    names = ("id", "org", "person", "number", "issuer", "purposes", "classes", "area", "document", "document_sha256", "state", "reason")
    times = {"valid_from": one.valid_from_ns, "valid_to": one.valid_to_ns, "created_at": one.created_ns, "decided_at": one.decided_ns}
    moments = {name: iso_from_ns(at) if at is not None else None for name, at in times.items()}
    return {**{name: getattr(one, name) for name in names}, **moments, "permit": one.permit}
