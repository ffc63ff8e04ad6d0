"""Applications: who is no one here yet asks for an organisation on the exchange; the operator accepts, refuses or deletes.

The applicant keeps a link that shows how it stands. Where mail is set up, the link goes to the given address only, and pressing the button
behind it proves the address; else the page shows the link, and the operator looks whose the address is. Nothing of an
application is trusted: an organisation is made of what the operator accepts, and its first member by an invitation that goes to the
address. Whether an address or a name is known here is not answered. Stored is the sha256 of a link only; what is deleted is gone, and the
log has no names of it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.audit.log import Action, AuditEntry
from mapex.database import attempts, db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid, Limited, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import invitations, mail, orgs
from mapex.people.invitations import Invitation, Invited
from mapex.people.networks import around
from mapex.people.persons import check_email
from mapex.texts import check_text
from mapex.times import DAY_NS, NS

DAY = 86_400
MOST = {"network": 5, "all": 200, "address": 3}
"""Applications within a day; those of an address of mail beyond it are not kept, and nobody learns of it."""
MOST_OPEN = 1000
DAYS_UNPROVEN = 14
"""How long an application without a proven address is kept."""
LONGEST_SECRET = 128
LONGEST_TEXT = 2000
OPEN = ("received", "proven")
STATES = (*OPEN, "accepted", "refused")

SUBJECT = "mapex · 기관 등록 / registration"
TEXT = """mapex 기관 등록 신청을 받았습니다. 아래 주소를 열어 메일 주소를 확인하세요. 확인하셔야 운영자가 신청을 검토합니다.
Somebody asked to register an organisation on mapex with this address. Open this link and confirm the address;
the operator then looks at the registration.

{link}

신청하지 않으셨다면 이 메일을 지우세요. If you did not ask for this, delete this mail. {url}
"""
REFUSED = """mapex 기관 등록 신청이 승인되지 않았습니다. 운영자가 적은 사유입니다.
Your registration on mapex was not accepted. The operator gave this reason:

{reason}

{url}
"""


@dataclass(frozen=True, slots=True)
class NewApplication:
    """What an applicant writes: the proposed slug, name of the organisation, who is asked for, address, and what for."""

    slug: str
    name: str
    contact: str
    email: str
    about: str


@dataclass(frozen=True, slots=True)
class Application:
    """An application as the operator and the applicant see it."""

    id: str
    slug: str
    name: str
    contact: str
    email: str
    about: str
    state: str  # received | proven | accepted | refused
    mailed: bool
    reason: str
    created_ns: int
    decided_ns: int | None


def apply(ex: Exchange, address: str, new: NewApplication) -> str:
    """Keep an application from this network address.

    Returns: the secret of its link where no mail took it to the applicant, else "".
    Raises: Invalid: `slug.malformed`, `text.malformed`, `person.email`. Limited: `application.tries`. Conflict: `application.full`.
    """
    checked = _checked(new)
    takes = _admit(ex, address, checked.email)
    secret = secrets.token_urlsafe(32)
    if takes:
        _keep(ex, checked, secret)
    if not mail.is_set_up(ex.settings):
        return secret
    if takes:
        link = f"{ex.settings.public_url}/register/{secret}"
        mail.send(ex.settings, checked.email, SUBJECT, TEXT.format(link=link, url=ex.settings.public_url))
    return ""


def look(ex: Exchange, secret: str) -> Application:
    """The application of a link. Raises: NotFound: `application.unknown`."""
    with db.read(ex) as conn:
        return _of_link(conn, secret)


def prove(ex: Exchange, secret: str) -> Application:
    """Note that the address is the applicant's: the link went there only. Again it changes nothing.

    Raises: NotFound: `application.unknown`.
    """
    with db.in_turn(ex, "applications") as conn:
        found = _of_link(conn, secret)
        if found.state == "received" and found.mailed:
            conn.execute(update(schema.application).where(schema.application.c.id == found.id).values(state="proven"))
            log.append(conn, ex, None, AuditEntry(Action.APPLICATION_PROVEN, details={"application": found.id}))
            found = replace(found, state="proven")
        return found


def all_applications(ex: Exchange, by: Actor | None, *, states: Sequence[str] = OPEN) -> Sequence[Application]:
    """Applications in these states: proven ones first, the oldest first. Raises: Denied."""
    authority.operator(by)
    table = schema.application.c
    query = select(schema.application).where(table.state.in_(states)).order_by(table.state == "received", table.created_ns, table.id)
    with db.read(ex) as conn:
        return [_application(row) for row in conn.execute(query.limit(MOST_OPEN)).mappings()]


def accept(ex: Exchange, by: Actor | None, application_id: str, *, slug: str = "", name: str = "") -> tuple[Invitation, str]:
    """Make the organisation, under another slug and name where these are given, and invite the applicant into it.

    Returns: the invitation, and the secret of its link where it is for the operator to hand out, else "".
    Raises: Denied, NotFound (`application.unknown`), Invalid (`slug.malformed`), Conflict (`application.decided`, `org.exists`,
        `person.exists`).
    """
    authority.operator(by)
    authority.confirmed_by_factor(ex, by)
    with db.read(ex) as conn:
        asked = _find(conn, application_id)
    slug, name = orgs.check_slug(slug or asked.slug), check_text(name or asked.name, "name", 255)
    with act(ex, by, "applications", f"organisation:{slug}", f"person:{asked.email}") as conn:
        _decide(conn, ex, application_id, "accepted")
        orgs.enter_org(conn, ex, by, slug, name)
        made, secret = invitations.enter(conn, ex, by, Invited(asked.email, slug, "member"))
        details = {"application": application_id, "invitation_made": made.id}
        log.append(conn, ex, by, AuditEntry(Action.APPLICATION_ACCEPTED, owner=slug, details=details))
    return invitations.hand_over(ex, made, secret)


def refuse(ex: Exchange, by: Actor | None, application_id: str, reason: str) -> Application:
    """Refuse an application; the applicant reads the reason behind the link, and in a mail where the address is proven.

    Raises: Denied, NotFound (`application.unknown`), Conflict (`application.decided`), Invalid (`text.malformed`).
    """
    authority.operator(by)
    reason = check_text(reason, "reason", LONGEST_TEXT)
    with act(ex, by, "applications") as conn:
        before = _decide(conn, ex, application_id, "refused", reason)
        log.append(conn, ex, by, AuditEntry(Action.APPLICATION_REFUSED, details={"application": application_id}))
    if before.state == "proven" and mail.is_set_up(ex.settings):
        mail.send(ex.settings, before.email, SUBJECT, REFUSED.format(reason=reason, url=ex.settings.public_url))
    return replace(before, state="refused", reason=reason)


def clear(ex: Exchange, by: Actor | None, application_id: str = "") -> int:
    """Delete an application, or all whose address nobody has proven; returns how many.

    Raises: Denied, NotFound (`application.unknown`).
    """
    authority.operator(by)
    table = schema.application.c
    with act(ex, by, "applications") as conn:
        if application_id:
            _find(conn, application_id)
        return _delete(conn, ex, by, table.id == application_id if application_id else table.state == "received")


def digest(row: RowMapping | dict[str, object]) -> str:
    """sha256 (hex) of what an applicant wrote and of the sha256 of the link: what the log keeps of it, and nobody can guess from."""
    names = ("hash", "slug", "name", "contact", "email", "about", "mailed")
    return hashlib.sha256(json.dumps([bool(row[name]) if name == "mailed" else row[name] for name in names]).encode()).hexdigest()


def _checked(new: NewApplication) -> NewApplication:
    return NewApplication(
        orgs.check_slug(new.slug.strip().lower()),
        check_text(new.name, "name", 255),
        check_text(new.contact, "contact", 255),
        check_email(new.email),
        check_text(new.about, "about", LONGEST_TEXT),
    )


def _admit(ex: Exchange, address: str, email: str) -> bool:
    """Count one more; whether it is kept. Raises: Limited."""
    counted = {"network": around(address) or "local", "all": "", "address": email}
    for kind, key in counted.items():
        found = attempts.count(ex, f"application {kind} {key}", DAY)
        if found.count > MOST[kind] and kind == "address":
            return False
        if found.count > MOST[kind]:
            wait = max(1, (found.ends_ns - ex.now()) // NS)
            raise Limited("application.tries", f"Too many registrations came from here; wait {wait} s.", retry_after_s=wait)
    return True


def _keep(ex: Exchange, new: NewApplication, secret: str) -> None:
    table, now = schema.application.c, ex.now()
    row = {name: getattr(new, name) for name in ("slug", "name", "contact", "email", "about")}
    row |= {"id": ids.new("app"), "hash": _hash(secret), "mailed": mail.is_set_up(ex.settings), "state": "received", "created_ns": now}
    with db.in_turn(ex, "applications") as conn:
        _delete(conn, ex, None, (table.state == "received") & (table.created_ns < now - DAYS_UNPROVEN * DAY_NS))
        if (conn.execute(select(func.count()).where(table.state.in_(OPEN))).scalar() or 0) >= MOST_OPEN:
            raise Conflict("application.full", "The operator has many registrations to look at; try again in a few days.")
        conn.execute(insert(schema.application).values(**row))
        details = {"application": row["id"], "content": digest(row)}
        log.append(conn, ex, None, AuditEntry(Action.APPLICATION_RECEIVED, details=details))


def _decide(conn: Connection, ex: Exchange, application_id: str, state: str, reason: str = "") -> Application:
    """Write a decision in the caller's transaction; returns the application as it was."""
    before = _find(conn, application_id)
    if before.state not in OPEN:
        raise Conflict("application.decided", "This registration was decided already; load the page again.", state=before.state)
    values = {"state": state, "reason": reason, "decided_ns": ex.now()}
    conn.execute(update(schema.application).where(schema.application.c.id == application_id).values(**values))
    return before


def _delete(conn: Connection, ex: Exchange, by: Actor | None, which: object) -> int:
    table = schema.application
    gone = list(conn.execute(delete(table).where(which).returning(table.c.id)).scalars())  # type: ignore[arg-type]
    if gone:
        log.append(conn, ex, by, AuditEntry(Action.APPLICATION_CLEARED, details={"applications": sorted(gone)}))
    return len(gone)


def _of_link(conn: Connection, secret: str) -> Application:
    if not 1 <= len(secret) <= LONGEST_SECRET or not secret.isascii():
        raise _unknown()
    return _one(conn, schema.application.c.hash == _hash(secret))


def _find(conn: Connection, application_id: str) -> Application:
    return _one(conn, schema.application.c.id == application_id)


def _one(conn: Connection, which: object) -> Application:
    row = conn.execute(select(schema.application).where(which)).mappings().first()  # type: ignore[arg-type]
    if row is None:
        raise _unknown()
    return _application(row)


def _application(row: RowMapping) -> Application:
    return Application(**{name: row[name] for name in Application.__dataclass_fields__})


def _unknown() -> NotFound:
    return NotFound("application.unknown", "There is no such registration; it was deleted, or the link is incomplete.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def check_states(states: Sequence[str]) -> Sequence[str]:
    """These states. Raises: Invalid: `application.state`."""
    if unknown := next((state for state in states if state not in STATES), None):
        raise Invalid("application.state", f"`state` must be one of {', '.join(STATES)}, not {unknown!r}.", state=unknown)
    return states
