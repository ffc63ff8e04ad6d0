"""Organisations and persons for the operator; invitations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiflask import APIBlueprint

from mapex.people import domains as org_domains
from mapex.people import invitations, orgs, roles
from mapex.people import persons as people
from mapex.people.invitations import Invitation
from mapex.people.orgs import Org
from mapex.people.persons import Person
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import PARTICIPANT_STATES, ROLES, address, moment, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, OneOf, fields

blueprint = APIBlueprint("participants", __name__, url_prefix="/api/v1", tag="Account")


class OrgIn(Body):
    """An organisation to be made."""

    slug = fields.String(required=True)
    name = fields.String(load_default="", validate=Length(0, 255))


class OrgOut(Answer):
    """An organisation."""

    slug = fields.String()
    name = fields.String()
    state = fields.String(metadata={"enum": ["active", "suspended"]})
    created_at = moment()
    domains = fields.List(fields.String())


class DomainIn(Body):
    """A mail domain that an organisation has proven to be its own."""

    domain = fields.String(required=True, validate=Length(1, 190))


class DomainsOut(Answer):
    """The mail domains of an organisation, sorted."""

    domains = fields.List(fields.String())


class OrgsOut(Answer):
    """Organisations by slug."""

    organisations = fields.List(fields.Nested(OrgOut))


class PersonIn(Body):
    """A person to be made: a member of an organisation, or an auditor or operator (of none)."""

    email = fields.String(required=True, validate=Length(3, 255))
    org = fields.String(load_default="")
    role = fields.String(load_default="member", validate=OneOf(["member", "auditor", "operator"]))
    name = fields.String(load_default="", validate=Length(0, 255))


class PersonOut(Answer):
    """A person."""

    email = fields.String()
    name = fields.String()
    org = fields.String()
    role = word(ROLES)
    state = word(PARTICIPANT_STATES)
    proven = fields.Boolean(metadata={"description": "whether the address is known to be theirs"})


class PersonsOut(Answer):
    """Persons by e-mail."""

    persons = fields.List(fields.Nested(PersonOut))


class InvitationIn(Body):
    """Who is invited: by a member into the own organisation and under its domains, by an operator anybody."""

    email = fields.String(required=True, validate=Length(3, 255))
    org = fields.String(load_default="")
    role = fields.String(load_default="member", validate=OneOf(["member", "auditor", "operator"]))


class InvitationOut(Answer):
    """An invitation that can still be redeemed."""

    id = fields.String()
    email = fields.String()
    org = fields.String()
    role = word(ROLES)
    inviter = fields.String()
    created_at = moment()
    expires_at = moment()
    handed = fields.String(metadata={"enum": ["mail", "operator", ""], "description": "who brings the link; empty = nobody yet"})


class MadeInvitationOut(InvitationOut):
    """For the operator to hand out, the link, this once: whoever opens it chooses name and password. Else null."""

    url = address(allow_none=True)


class NothingIn(Body):
    """No field."""


class InvitationsOut(Answer):
    """Newest first."""

    invitations = fields.List(fields.Nested(InvitationOut))


class ParticipantStateIn(Body):
    """Active or suspended; effective on the next request."""

    state = fields.String(required=True, validate=OneOf(["active", "suspended"]))


class RoleIn(Body):
    """A role, and for a member the organisation (slug)."""

    role = fields.String(required=True, validate=OneOf(["member", "auditor", "operator"]))
    org = fields.String(load_default="", validate=Length(0, 63))


@blueprint.get("/organisations")
@policy("operate")
@blueprint.output(OrgsOut)
def organisations() -> dict[str, Any]:
    """All organisations."""
    domains = org_domains.all_domains(exchange())
    return {"organisations": [_org(org, domains.get(org.id, [])) for org in orgs.all_orgs(exchange())]}


@blueprint.post("/organisations")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(OrgIn)
@blueprint.output(OrgOut, status_code=201)
def add_org(json_data: dict[str, Any]) -> dict[str, Any]:
    """Make an organisation."""
    return _org(orgs.add_org(exchange(), current_actor(), json_data["slug"], json_data["name"]))


@blueprint.post("/organisations/<slug>/state")
@policy("operate")
@blueprint.input(ParticipantStateIn)
@blueprint.output(OrgOut)
def set_org_state(slug: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Suspend or resume an organisation with all its persons and tokens."""
    org = orgs.set_org_state(exchange(), current_actor(), slug, json_data["state"])
    return _org(org, org_domains.all_domains(exchange()).get(org.id, []))


@blueprint.post("/organisations/<slug>/domains")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(DomainIn)
@blueprint.output(DomainsOut, status_code=201)
def add_domain(slug: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Enter a mail domain that the organisation has proven: its members may then invite people under it."""
    return {"domains": org_domains.add(exchange(), current_actor(), slug, json_data["domain"])}


@blueprint.delete("/organisations/<slug>/domains/<domain>")
@policy("operate")
@blueprint.output({}, status_code=204)
def remove_domain(slug: str, domain: str) -> str:
    """Take a mail domain from an organisation; its members stay."""
    org_domains.remove(exchange(), current_actor(), slug, domain)
    return ""


@blueprint.get("/persons")
@policy("operate")
@blueprint.output(PersonsOut)
def persons() -> dict[str, Any]:
    """All persons."""
    return {"persons": [_person(person) for person in people.all_persons(exchange(), current_actor())]}


@blueprint.post("/persons")
@policy("operate")
@blueprint.doc(responses=[404, 409])
@blueprint.input(PersonIn)
@blueprint.output(PersonOut, status_code=201)
def add_person(json_data: dict[str, Any]) -> dict[str, Any]:
    """Make a person; without password until one is set."""
    email = json_data.pop("email")
    return _person(people.add_person(exchange(), current_actor(), email, **json_data))


@blueprint.post("/persons/<email>/state")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(ParticipantStateIn)
@blueprint.output(PersonOut)
def set_person_state(email: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Suspend or resume a person."""
    return _person(roles.set_state(exchange(), current_actor(), email, json_data["state"]))


@blueprint.post("/persons/<email>/role")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(RoleIn)
@blueprint.output(PersonOut)
def set_person_role(email: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Give a person another role; sessions end, tokens are revoked."""
    return _person(roles.set_role(exchange(), current_actor(), email, json_data["role"], org=json_data["org"]))


@blueprint.get("/invitations")
@policy("account")
@blueprint.output(InvitationsOut)
def open_invitations() -> dict[str, Any]:
    """Invitations that can still be redeemed: those of the own organisation, for operators all."""
    return {"invitations": [_invitation(found) for found in invitations.open_ones(exchange(), current_actor())]}


@blueprint.post("/invitations")
@policy("account")
@blueprint.doc(responses=[404, 409])
@blueprint.input(InvitationIn)
@blueprint.output(MadeInvitationOut, status_code=201)
def invite(json_data: dict[str, Any]) -> dict[str, Any]:
    """Invite somebody. The link, redeemed once within seven days, goes to the address by mail, or the operator hands it out."""
    return made_invitation(*invitations.invite(exchange(), current_actor(), json_data.pop("email"), **json_data))


@blueprint.post("/invitations/<invitation_id>/link")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(NothingIn)
@blueprint.output(MadeInvitationOut)
def hand_out(invitation_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """A new link of an open invitation, for the operator to bring to its address; one of before ends."""
    del json_data
    return made_invitation(*invitations.hand_out(exchange(), current_actor(), invitation_id))


@blueprint.delete("/invitations/<invitation_id>")
@policy("account")
@blueprint.output({}, status_code=204)
def take_back(invitation_id: str) -> str:
    """Take an open invitation back."""
    invitations.revoke(exchange(), current_actor(), invitation_id)
    return ""


def made_invitation(made: Invitation, secret: str) -> dict[str, Any]:
    """An invitation, with its link where that is for the operator to hand out."""
    return {**_invitation(made), "url": f"{exchange().settings.public_url}/invite/{secret}" if secret else None}


def _invitation(found: Invitation) -> dict[str, Any]:
    times = {"created_at": iso_from_ns(found.created_ns), "expires_at": iso_from_ns(found.expires_ns)}
    return {**{name: getattr(found, name) for name in ("id", "email", "org", "role", "inviter", "handed")}, **times}


def _org(org: Org, domains: Sequence[str] = ()) -> dict[str, Any]:
    about = {"slug": org.slug, "name": org.name, "state": org.state, "created_at": iso_from_ns(org.created_ns)}
    return {**about, "domains": list(domains)}


def _person(person: Person) -> dict[str, Any]:
    about = {"email": person.email, "name": person.name, "org": person.org_slug, "role": person.role, "state": person.state}
    return {**about, "proven": person.is_proven}
