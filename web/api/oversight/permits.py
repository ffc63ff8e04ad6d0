"""Permits: entered and stopped by the operator, seen by whom they name."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.rights import permit_requests, permits
from mapex.rights.permit import RULE_SET, RULE_SETS, STATES, NewPermit, Permit
from mapex.times import iso_from_ns, ns_from_iso
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, OneOf, Query, box_of, fields

blueprint = APIBlueprint("permits", __name__, url_prefix="/api/v1", tag="Permits")


class PermitIn(Body):
    """A permit that the regulator gave. It holds from the first moment of `valid_from` until just before `valid_to`."""

    org = fields.String(required=True, metadata={"description": "slug of the holder"})
    number = fields.String(required=True, validate=Length(1, 128))
    rule_set = fields.String(load_default=RULE_SET, metadata={"enum": list(RULE_SETS)})
    purposes = fields.List(fields.String(), required=True, validate=Length(0, 20), metadata={"description": "at least one"})
    classes = fields.List(fields.String(), required=True, validate=Length(0, 4), metadata={"description": "at least one"})
    area = fields.Raw(required=True, metadata={"type": "object", "description": "GeoJSON, WGS 84"})
    recipients = fields.List(fields.String(), load_default=list, validate=Length(0, 1000))
    valid_from = fields.String(required=True)
    valid_to = fields.String(required=True)
    request = fields.String(load_default="", validate=Length(0, 40), metadata={"description": "id of the request that it answers"})


class PermitStateIn(Body):
    """The new state; `revoked` is for good."""

    state = fields.String(required=True, validate=OneOf(STATES))


class PermitOut(Answer):
    """A permit."""

    id = fields.String()
    org = fields.String()
    number = fields.String()
    rule_set = fields.String()
    purposes = fields.List(fields.String())
    classes = fields.List(fields.String())
    area = fields.Dict()
    recipients = fields.List(fields.String())
    valid_from = moment()
    valid_to = moment()
    state = fields.String(metadata={"enum": list(STATES)})


class PermitsOut(Answer):
    """Permits by number."""

    permits = fields.List(fields.Nested(PermitOut))


class PermitsQuery(Query):
    """What is asked for."""

    bbox = fields.String(load_default=None, metadata={"description": "W,S,E,N in degrees: only permits whose area meets it"})


@blueprint.get("/permits")
@policy("read")
@blueprint.input(PermitsQuery, location="query", unknown=None)
@blueprint.output(PermitsOut)
def listed(query_data: dict[str, Any]) -> dict[str, Any]:
    """The permits that name the own organisation; for operators and auditors all."""
    box = box_of(query_data["bbox"]) if query_data["bbox"] else None
    return {"permits": [_shown(permit) for permit in permits.all_permits(exchange(), current_actor(), box=box)]}


@blueprint.post("/permits")
@policy("operate")
@blueprint.doc(responses=[404, 409])
@blueprint.input(PermitIn)
@blueprint.output(PermitOut, status_code=201)
def add(json_data: dict[str, Any]) -> dict[str, Any]:
    """Enter a permit; where it answers a request, that one is accepted."""
    ex, by, request = exchange(), current_actor(), json_data.pop("request")
    begin, end = (ns_from_iso(json_data.pop(name)) for name in ("valid_from", "valid_to"))
    new = NewPermit(valid_from_ns=begin, valid_to_ns=end, **json_data)
    return _shown(permit_requests.accept(ex, by, request, new) if request else permits.add(ex, by, new))


@blueprint.get("/permits/<permit_id>")
@policy("read")
@blueprint.output(PermitOut)
def permit(permit_id: str) -> dict[str, Any]:
    """One permit, by its id or number."""
    return _shown(permits.get(exchange(), current_actor(), permit_id))


@blueprint.post("/permits/<permit_id>/state")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(PermitStateIn)
@blueprint.output(PermitOut)
def set_state(permit_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Suspend, resume or revoke; effective for the next grant."""
    ex, by = exchange(), current_actor()
    return _shown(permits.set_state(ex, by, permits.get(ex, by, permit_id).number, json_data["state"]))


def _shown(found: Permit) -> dict[str, Any]:
    names = ("id", "org", "number", "rule_set", "purposes", "classes", "area", "recipients", "state")
    period = {"valid_from": iso_from_ns(found.valid_from_ns), "valid_to": iso_from_ns(found.valid_to_ns)}
    return {**{name: getattr(found, name) for name in names}, **period}
