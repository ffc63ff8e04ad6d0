"""Invitations: a one-time link that makes its holder a person of the exchange, who chooses name and password.

There is no mail server: whoever invites is shown the link once and passes it on. Stored is its sha256 only. A link ends when it is
redeemed, taken back, seven days old, or when its inviter or organisation is suspended.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, or_, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.audit.log import Action, AuditEntry
from mapex.database import db, schema
from mapex.errors import Conflict, Denied, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import passwords
from mapex.people.orgs import find_org
from mapex.people.persons import NewPerson, Person, check_email, check_role, enter_person
from mapex.texts import check_text
from mapex.times import DAY_NS

DAYS = 7
"""How long a link can be redeemed."""

LONGEST_SECRET = 128


@dataclass(frozen=True, slots=True)
class Invitation:
    """An open invitation, without its secret; `org` is empty for auditors and operators."""

    id: str
    email: str
    org: str
    role: str
    inviter: str
    created_ns: int
    expires_ns: int


def invite(ex: Exchange, by: Actor | None, email: str, *, org: str = "", role: str = "member") -> tuple[Invitation, str]:
    """A new invitation and the secret of its link, which is not kept; an earlier open one for the same address and place ends.

    A member invites members into the own organisation; an operator (or the person at the machine) anybody.

    Raises:
        Denied: `invitation.foreign`. Invalid: `person.*`. NotFound: `org.unknown`.
        Conflict: `person.exists`, only where the inviter may see that person.
    """
    authority.confirmed_by_factor(ex, by)
    email = check_email(email)
    check_role(role, org)
    _check_reach(by, org, role)
    secret = secrets.token_urlsafe(32)
    now = ex.now()

    with db.in_turn(ex, f"person:{email}") as conn:
        org_id = find_org(conn, org).id if org else None
        known = conn.execute(select(schema.person.c.org_id).where(schema.person.c.email == email)).first()
        if known is not None and (by is None or authority.sees_all(by) or known.org_id == org_id):
            raise Conflict("person.exists", f"{email} exists already.", email=email)
        invitation = schema.invitation.c
        same = invitation.org_id.is_(None) if org_id is None else invitation.org_id == org_id
        conn.execute(update(schema.invitation).where(invitation.email == email, same, invitation.ended_ns.is_(None)).values(ended_ns=now))
        made = {
            "id": ids.new("inv"),
            "hash": _hash(secret),
            "email": email,
            "org_id": org_id,
            "role": role,
            "inviter_id": by.person_id if by else None,
            "created_ns": now,
            "expires_ns": now + DAYS * DAY_NS,
        }
        conn.execute(insert(schema.invitation).values(**made))
        entry = AuditEntry(Action.PERSON_INVITED, owner=org, details={"subject": email, "role": role, "invitation": made["id"]})
        log.append(conn, ex, by, entry)
        return _invitation(conn.execute(_rows().where(invitation.id == made["id"])).mappings().one()), secret


def open_ones(ex: Exchange, by: Actor) -> Sequence[Invitation]:
    """Invitations that can still be redeemed, newest first: a member's own organisation's; for an operator all."""
    query = _rows().where(*_open(ex)).order_by(schema.invitation.c.created_ns.desc(), schema.invitation.c.id)
    if by.role != "operator":
        query = query.where(schema.invitation.c.org_id == authority.member(by))
    with db.read(ex) as conn:
        return [_invitation(row) for row in conn.execute(query).mappings()]


def revoke(ex: Exchange, by: Actor, invitation_id: str) -> None:
    """Take an open invitation back; its link is dead from now on.

    Raises: NotFound: absent, foreign, or ended (`invitation.unknown`).
    """
    invitation = schema.invitation.c
    whose = () if by.role == "operator" else (invitation.org_id == authority.member(by),)
    with db.begin(ex) as conn:
        found = conn.execute(_rows().where(invitation.id == invitation_id, invitation.ended_ns.is_(None), *whose)).mappings().first()
        if found is None:
            raise _unknown()
        conn.execute(update(schema.invitation).where(invitation.id == invitation_id).values(ended_ns=ex.now()))
        entry = AuditEntry(
            Action.INVITATION_REVOKED, owner=found["org"] or "", details={"subject": found["email"], "invitation": invitation_id}
        )
        log.append(conn, ex, by, entry)


def look(ex: Exchange, secret: str) -> Invitation:
    """The open invitation of a link.

    Raises: NotFound: one answer for unknown, redeemed, taken back and expired (`invitation.unknown`).
    """
    with db.read(ex) as conn:
        return _find(conn, ex, secret)


def redeem(ex: Exchange, secret: str, *, name: str, password: str) -> Person:
    """Become a person by an invitation, once.

    Raises: NotFound: `invitation.unknown`. Invalid: `password.*`, `text.malformed`. Conflict: `person.exists`.
    """
    invited = look(ex, secret)  # hashing a password is dear; only who holds a link may cause it
    name, hashed = check_text(name, "name", 255), passwords.hashed(password)

    with db.in_turn(ex, f"person:{invited.email}") as conn:
        found = _find(conn, ex, secret)
        invitation = schema.invitation.c
        ended = update(schema.invitation).where(invitation.id == found.id, invitation.ended_ns.is_(None)).values(ended_ns=ex.now())
        if conn.execute(ended).rowcount != 1:
            raise _unknown()
        who = Actor("", found.email, found.role, None, found.org)  # who redeems is the one who acts
        details = {"invitation": found.id, "inviter": found.inviter}
        person = enter_person(conn, ex, who, NewPerson(found.email, found.org, found.role, name, hashed, details))
        conn.execute(update(schema.invitation).where(invitation.id == found.id).values(person_id=person.id))
        return person


def _check_reach(by: Actor | None, org: str, role: str) -> None:
    if by is None or by.role == "operator":
        return
    authority.member(by)
    if role != "member" or org != by.org_slug:
        raise Denied("invitation.foreign", "Members invite members of their own organisation; ask the operator for anybody else.")


def _find(conn: Connection, ex: Exchange, secret: str) -> Invitation:
    if not 1 <= len(secret) <= LONGEST_SECRET or not secret.isascii():
        raise _unknown()
    row = conn.execute(_rows().where(schema.invitation.c.hash == _hash(secret), *_open(ex))).mappings().first()
    if row is None:
        raise _unknown()
    return _invitation(row)


def _unknown() -> NotFound:
    return NotFound("invitation.unknown", "This invitation was used, taken back, or has expired; ask for a new one.")


def _rows() -> Any:
    org, inviter = schema.organisation, schema.person
    return (
        select(schema.invitation, org.c.slug.label("org"), inviter.c.email.label("inviter"))
        .outerjoin(org, org.c.id == schema.invitation.c.org_id)
        .outerjoin(inviter, inviter.c.id == schema.invitation.c.inviter_id)
    )


def _open(ex: Exchange) -> tuple[Any, ...]:
    invitation, org, inviter = schema.invitation.c, schema.organisation.c, schema.person.c
    return (
        invitation.ended_ns.is_(None),
        invitation.expires_ns > ex.now(),
        or_(invitation.org_id.is_(None), org.state == "active"),
        # Who invited may still do so: an operator anybody, a member into the own organisation.
        or_(
            invitation.inviter_id.is_(None),
            and_(inviter.state == "active", inviter.role == "operator"),
            and_(inviter.state == "active", inviter.role == "member", invitation.role == "member", inviter.org_id == invitation.org_id),
        ),
    )


def _invitation(row: RowMapping) -> Invitation:
    inviter = row["inviter"] or log.SYSTEM
    return Invitation(row["id"], row["email"], row["org"] or "", row["role"], inviter, row["created_ns"], row["expires_ns"])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
