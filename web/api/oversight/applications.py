"""Registrations of organisations, for the operator: accepted, refused, deleted."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.login import applications
from mapex.login.applications import LONGEST_TEXT, STATES, Application
from mapex.times import iso_from_ns
from web.api.oversight.participants import MadeInvitationOut, made_invitation
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, OneOf, Query, fields

blueprint = APIBlueprint("applications", __name__, url_prefix="/api/v1", tag="Account")


class ApplicationsQuery(Query):
    """Which registrations."""

    state = fields.String(load_default="", validate=OneOf(["", *STATES]), metadata={"description": "default: those that wait"})


class ApplicationOut(Answer):
    """A registration, as the applicant wrote it; nothing in it is checked but the address of one that is `proven`."""

    id = fields.String()
    slug = fields.String(metadata={"description": "proposed"})
    name = fields.String()
    contact = fields.String()
    email = fields.String()
    about = fields.String()
    state = fields.String(metadata={"enum": list(STATES)})
    reason = fields.String()
    created_at = moment()
    decided_at = moment(allow_none=True)


class ApplicationsOut(Answer):
    """Proven ones first, the oldest first."""

    applications = fields.List(fields.Nested(ApplicationOut))


class AcceptIn(Body):
    """What the organisation is called; empty: as the applicant proposes."""

    slug = fields.String(load_default="", validate=Length(0, 63))
    name = fields.String(load_default="", validate=Length(0, 255))


class RefuseIn(Body):
    """Why; the applicant reads it."""

    reason = fields.String(required=True, validate=Length(1, LONGEST_TEXT))


@blueprint.get("/applications")
@policy("operate")
@blueprint.input(ApplicationsQuery, location="query", unknown=None)
@blueprint.output(ApplicationsOut)
def listed(query_data: dict[str, Any]) -> dict[str, Any]:
    """Registrations of organisations."""
    states = (query_data["state"],) if query_data["state"] else applications.OPEN
    return {"applications": [_shown(one) for one in applications.all_applications(exchange(), current_actor(), states=states)]}


@blueprint.post("/applications/<application_id>/accept")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(AcceptIn)
@blueprint.output(MadeInvitationOut)
def accept(application_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Make the organisation and invite the applicant into it, by mail or by a link that the operator hands out."""
    return made_invitation(*applications.accept(exchange(), current_actor(), application_id, **json_data))


@blueprint.post("/applications/<application_id>/refuse")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(RefuseIn)
@blueprint.output(ApplicationOut)
def refuse(application_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Refuse a registration, with a reason."""
    return _shown(applications.refuse(exchange(), current_actor(), application_id, json_data["reason"]))


@blueprint.delete("/applications/<application_id>")
@policy("operate")
@blueprint.output({}, status_code=204)
def remove(application_id: str) -> str:
    """Delete a registration for good."""
    applications.clear(exchange(), current_actor(), application_id)
    return ""


@blueprint.delete("/applications")
@policy("operate")
@blueprint.output({}, status_code=204)
def clear() -> str:
    """Delete all registrations whose address nobody has proven."""
    applications.clear(exchange(), current_actor())
    return ""


def _shown(one: Application) -> dict[str, Any]:
    names = ("id", "slug", "name", "contact", "email", "about", "state", "reason")
    decided = iso_from_ns(one.decided_ns) if one.decided_ns is not None else None
    return {**{name: getattr(one, name) for name in names}, "created_at": iso_from_ns(one.created_ns), "decided_at": decided}
