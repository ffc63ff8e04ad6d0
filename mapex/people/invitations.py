"""Invitations: a one-time link that makes its holder a person of the exchange, who chooses name and password.

The link proves the address, so it goes to the address only: by mail where that is set up, else the operator hands it out. Members ask
for people under the domains of their own organisation and never see a link; what they are answered is the same whether the address is
known here or not. Stored is the sha256 of a link only. It ends when it is redeemed, taken back, seven days old, when its inviter or
organisation is suspended, its inviter gets another role, or the token with which it was made is revoked. What has ended stays so.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, or_, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.audit.log import Action, AuditEntry
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Denied, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import domains, mail, passwords, purchase_rights, signers
from mapex.people.orgs import find_org
from mapex.people.persons import NewPerson, Person, check_email, check_role, enter_person, make_room
from mapex.texts import check_text
from mapex.times import DAY_NS

DAYS = 7
"""How long a link can be redeemed."""

LONGEST_SECRET = 128

SUBJECT = "mapex · {place}"
TEXT = """{place}: mapex 초대입니다. 아래 주소를 열어 이름과 비밀번호를 정하세요. {days}일 동안, 한 번만 쓸 수 있습니다.
You are invited to mapex ({place}). Open this address and choose your name and a password; it works once, for {days} days.

{link}

모르는 초대라면 이 메일을 지우세요. If you do not know what this is, delete this mail. {url}
"""


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
    handed: str  # mail | operator | "": nobody has handed out the link yet, the operator can


@dataclass(frozen=True, slots=True)
class Invited:
    """Who is invited into which place; `org` is empty for auditors and operators."""

    email: str
    org: str
    role: str


def invite(ex: Exchange, by: Actor | None, email: str, *, org: str = "", role: str = "member") -> tuple[Invitation, str]:
    """A new invitation; an earlier open one for the same address and place ends.

    A member invites members into the own organisation, under its domains; an operator (or the person at the machine) anybody.

    Returns: the invitation, and the secret of its link where it is for the operator to hand out, else "".

    Raises:
        Denied: `invitation.foreign`, `invitation.domain`. Invalid: `person.*`. NotFound: `org.unknown`.
        Conflict: `person.exists`, only where the inviter may see that person.
    """
    authority.confirmed_by_factor(ex, by)
    email = check_email(email)
    check_role(role, org)
    _check_reach(by, org, role)
    with act(ex, by, f"person:{email}") as conn:
        found, secret = enter(conn, ex, by, Invited(email, org, role))
    return hand_over(ex, found, secret)


def enter(conn: Connection, ex: Exchange, by: Actor | None, invited: Invited) -> tuple[Invitation, str]:
    """Write an invitation in the caller's transaction, who has checked that `by` may; `hand_over` then, when it is committed.

    Returns: the invitation, and the secret of its link.
    Raises: as `invite`.
    """
    handed = "mail" if mail.is_set_up(ex.settings) else "operator" if _is_operator(by) else None
    secret, now, email = secrets.token_urlsafe(32), ex.now(), invited.email
    org_id = find_org(conn, invited.org).id if invited.org else None
    _check_address(conn, by, email, org_id)
    invitation = schema.invitation.c
    same = invitation.org_id.is_(None) if org_id is None else invitation.org_id == org_id
    conn.execute(update(schema.invitation).where(invitation.email == email, same, invitation.ended_ns.is_(None)).values(ended_ns=now))
    made = {
        "id": ids.new("inv"),
        "hash": _hash(secret),
        "email": email,
        "org_id": org_id,
        "role": invited.role,
        "inviter_id": by.person_id if by else None,
        "created_ns": now,
        "expires_ns": now + DAYS * DAY_NS,
        "handed": handed,
        "token_id": by.token_id if by else None,
    }
    conn.execute(insert(schema.invitation).values(**made))
    token = {"token": by.token_id} if by and by.token_id else {}
    about = {"subject": email, "role": invited.role, "invitation": made["id"], **token}
    log.append(conn, ex, by, AuditEntry(Action.PERSON_INVITED, owner=invited.org, details=about))
    return _invitation(conn.execute(_rows().where(invitation.id == made["id"])).mappings().one()), secret


def hand_over(ex: Exchange, found: Invitation, secret: str) -> tuple[Invitation, str]:
    """Mail the link of an invitation where mail is set up; else answer its secret, where it is for the operator to hand out."""
    if found.handed == "mail":
        return _mailed(ex, found, secret), ""
    return found, secret if found.handed else ""


def hand_out(ex: Exchange, by: Actor | None, invitation_id: str) -> tuple[Invitation, str]:
    """The secret of a new link for an open invitation, for the operator to bring to its address; a link of before ends.

    Raises: Denied, NotFound: absent or ended (`invitation.unknown`). Conflict: `person.exists`.
    """
    authority.operator(by)
    secret = secrets.token_urlsafe(32)
    invitation, person = schema.invitation.c, schema.person.c
    with act(ex, by) as conn:
        row = conn.execute(_rows().where(invitation.id == invitation_id, *_open(ex))).mappings().first()
        if row is None:
            raise _unknown()
        if conn.execute(select(person.id).where(person.email == row["email"], person.proven_ns.is_not(None))).first():
            raise Conflict("person.exists", f"{row['email']} exists already.", email=row["email"])
        conn.execute(update(schema.invitation).where(invitation.id == invitation_id).values(hash=_hash(secret), handed="operator"))
        details = {"subject": row["email"], "invitation": invitation_id}
        log.append(conn, ex, by, AuditEntry(Action.INVITATION_HANDED_OUT, owner=row["org"] or "", details=details))
        return _invitation(conn.execute(_rows().where(invitation.id == invitation_id)).mappings().one()), secret


def _mailed(ex: Exchange, found: Invitation, secret: str) -> Invitation:
    """Send the link to its address, after everything is committed; what cannot be sent waits for the operator."""
    place = found.org or found.role
    text = TEXT.format(place=place, url=ex.settings.public_url, link=f"{ex.settings.public_url}/invite/{secret}", days=DAYS)
    if mail.send(ex.settings, found.email, SUBJECT.format(place=place), text):
        return found
    with db.begin(ex) as conn:
        conn.execute(update(schema.invitation).where(schema.invitation.c.id == found.id).values(handed=None))
    return replace(found, handed="")


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
    with act(ex, by) as conn:
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

    with signers.retiring(ex) as retire, db.in_turn(ex, f"person:{invited.email}") as conn:
        found = _find(conn, ex, secret)
        invitation = schema.invitation.c
        ended = update(schema.invitation).where(invitation.id == found.id, invitation.ended_ns.is_(None)).values(ended_ns=ex.now())
        if conn.execute(ended).rowcount != 1:
            raise _unknown()
        who = Actor("", found.email, found.role, None, found.org)  # who redeems is the one who acts
        details = {"invitation": found.id, "inviter": found.inviter}
        retire(conn, make_room(conn, ex, None, found.email))  # whose firm reads of it must not learn where the address is now
        person = enter_person(conn, ex, who, NewPerson(found.email, found.org, found.role, name, hashed, details))
        inviter_id = conn.execute(select(invitation.inviter_id).where(invitation.id == found.id)).scalar_one()
        purchase_rights.start(conn, ex, who, person, inviter_id)
        conn.execute(update(schema.invitation).where(invitation.id == found.id).values(person_id=person.id))
        return person


def _is_operator(by: Actor | None) -> bool:
    return by is None or by.role == "operator"


def _check_reach(by: Actor | None, org: str, role: str) -> None:
    if by is None or by.role == "operator":
        return
    authority.member(by)
    if role != "member" or org != by.org_slug:
        raise Denied("invitation.foreign", "Members invite members of their own organisation; ask the operator for anybody else.")


def _check_address(conn: Connection, by: Actor | None, email: str, org_id: str | None) -> None:
    """Pass when `by` may invite this address, and nobody whom `by` may see has it. First the domain: so nothing is learned of others."""
    if not _is_operator(by) and not domains.is_of(conn, org_id or authority.NOBODY, email):
        domain = email.rpartition("@")[2]
        sentence = f"{domain} is not known to be a domain of your organisation; ask the operator to enter it, or to invite this person."
        raise Denied("invitation.domain", sentence, domain=domain)
    person = schema.person.c
    known = conn.execute(select(person.org_id).where(person.email == email, person.proven_ns.is_not(None))).first()
    if known is not None and (_is_operator(by) or known.org_id == org_id):
        raise Conflict("person.exists", f"{email} exists already.", email=email)


def _find(conn: Connection, ex: Exchange, secret: str) -> Invitation:
    if not 1 <= len(secret) <= LONGEST_SECRET or not secret.isascii():
        raise _unknown()
    invitation = schema.invitation.c
    known = (invitation.hash == _hash(secret), invitation.handed.is_not(None))
    row = conn.execute(_rows().where(*known, *_open(ex))).mappings().first()
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
    place = row["org"] or ""
    return Invitation(row["id"], row["email"], place, row["role"], inviter, row["created_ns"], row["expires_ns"], row["handed"] or "")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
