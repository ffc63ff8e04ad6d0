"""Persons: their accounts and sessions; what they sign in with is in `mapex.people.passwords` and `mapex.people.tokens`.

A suspended person or organisation is refused from the next request on, because each request asks anew.
`by=None` is the operator at the machine (the command line on the exchange itself).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import passwords, signers
from mapex.people.endings import end_sessions, end_standing
from mapex.people.orgs import find_org
from mapex.texts import check_text

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f\ud800-\udfff]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Person:
    """A person; `org_id` is None for auditors and operators. `session_key` changes whenever sessions end."""

    id: str
    email: str
    name: str
    org_id: str | None
    org_slug: str
    role: str
    state: str
    org_state: str
    session_key: str
    has_password: bool
    language: str
    created_ns: int
    is_proven: bool
    """Whether the address is known to be theirs; if not, it makes room for whoever proves it."""

    @property
    def is_active(self) -> bool:
        """Whether the person may act: neither person nor organisation is suspended."""
        return self.state == "active" and self.org_state == "active"

    @property
    def actor(self) -> Actor:
        """The person as actor with all scopes."""
        return Actor(self.id, self.email, self.role, self.org_id, self.org_slug)


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person to be entered; `org` is the slug of a member's organisation, and `details` is what else belongs into the audit row."""

    email: str
    org: str
    role: str
    name: str
    password_hash: str | None
    details: Mapping[str, str] = field(default_factory=dict)


def add_person(
    ex: Exchange, by: Actor | None, email: str, *, org: str = "", role: str = "member", name: str = "", password: str | None = None
) -> Person:
    """A new person: a member of the organisation with slug `org`, or an auditor or operator (of none).

    Raises: Denied, Invalid (`person.*`, `password.*`), NotFound (`org.unknown`), Conflict (`person.exists`).
    """
    authority.operator(by)
    email = check_email(email)
    check_role(role, org)
    hashed = passwords.hashed(password) if password is not None else None
    with signers.retiring(ex) as retire, act(ex, by, f"person:{email}") as conn:
        retire(conn, make_room(conn, ex, by, email))
        return enter_person(conn, ex, by, NewPerson(email, org, role, name, hashed))


def make_room(conn: Connection, ex: Exchange, by: Actor | None, email: str) -> Iterable[str]:
    """Take an address from whoever has it without a proof, in the caller's transaction; answers whose download addresses end with it.

    The person stays, suspended and under a name that is no address, because orders and the log refer to it.

    Raises: Conflict: `person.exists`: the address is proven.
    """
    known = conn.execute(select_persons().where(schema.person.c.email == email)).mappings().first()
    if known is None:
        return ()
    if known["proven_ns"] is not None:
        raise Conflict("person.exists", f"{email} exists already.", email=email)
    values = {"email": f"{known['id']}@displaced.invalid", "state": "suspended"}
    ended = end_standing(conn, ex, schema.person.c.id == known["id"], "suspended")
    conn.execute(update(schema.person).where(schema.person.c.id == known["id"]).values(**values))
    details = {"subject": email, "now": values["email"], **ended.counts}
    log.append(conn, ex, by, log.AuditEntry(log.Action.PERSON_DISPLACED, owner=known["org_slug"] or "", details=details))
    return ended.org_ids | ({known["org_id"]} - {None})


def prove(ex: Exchange, by: Actor | None, email: str) -> Person:
    """Vouch for the address of a person who was entered before addresses were proven. Raises: Denied, NotFound (`person.unknown`)."""
    authority.operator(by)
    email = check_email(email)
    with act(ex, by, f"person:{email}") as conn:
        person = find_person(conn, email)
        if not person.is_proven:
            conn.execute(update(schema.person).where(schema.person.c.id == person.id).values(proven_ns=ex.now()))
            log.append(conn, ex, by, log.AuditEntry(log.Action.PERSON_PROVEN, owner=person.org_slug, details={"subject": email}))
        return find_person(conn, email)


def enter_person(conn: Connection, ex: Exchange, by: Actor | None, new: NewPerson) -> Person:
    """Write a new person in the caller's transaction, who has checked that `by` may, that role and organisation fit, and `make_room`.

    The address is proven: the operator gave it, or the link of an invitation was handed out by the operator or mailed there.

    Raises: NotFound (`org.unknown`).
    """
    row = {
        "id": ids.new("per"),
        "email": new.email,
        "name": check_text(new.name or new.email.partition("@")[0], "name", 255),
        "org_id": find_org(conn, new.org).id if new.org else None,
        "role": new.role,
        "state": "active",
        "password_hash": new.password_hash,
        "session_key": secrets.token_hex(32),
        "created_ns": ex.now(),
        "proven_ns": ex.now(),
    }
    conn.execute(insert(schema.person).values(**row))
    details = {"subject": new.email, "role": new.role, "proven": True, **new.details}
    log.append(conn, ex, by, log.AuditEntry(log.Action.PERSON_ADDED, owner=new.org, details=details))
    return find_person(conn, new.email)


def get_person(ex: Exchange, *, person_id: str = "", email: str = "") -> Person | None:
    """The person with this id or e-mail (give one), or None."""
    column, value = (schema.person.c.id, person_id) if person_id else (schema.person.c.email, email.strip().lower())
    with db.read(ex) as conn:
        row = conn.execute(select_persons().where(column == value)).mappings().first()
    return person_of(row) if row else None


def find_person(conn: Connection, email: str) -> Person:
    """The person of this e-mail, in the caller's transaction.

    Raises: NotFound: `person.unknown`.
    """
    return _find_person(conn, schema.person.c.email == email)


def all_persons(ex: Exchange, by: Actor | None = None) -> Sequence[Person]:
    """All persons by e-mail; a member gets those of the own organisation."""
    query = select_persons().order_by(schema.person.c.email)
    if by is not None and not authority.sees_all(by):
        query = query.where(schema.person.c.org_id == by.org_id)
    with db.read(ex) as conn:
        return [person_of(row) for row in conn.execute(query).mappings()]


def set_language(ex: Exchange, by: Actor, language: str) -> None:
    """Remember the language of the pages for a person (`ko` or `en`)."""
    if language not in ("ko", "en"):
        raise Invalid("person.language", f"`language` must be ko or en, not {language!r}.", language=language)
    with act(ex, by) as conn:
        conn.execute(update(schema.person).where(schema.person.c.id == by.person_id).values(language=language))


def set_password(ex: Exchange, by: Actor | None, email: str, password: str) -> None:
    """Set a person's password (operator, or the person); all sessions of the person and download addresses end.

    Raises: Denied, NotFound, Invalid (`password.short`, `password.long`).
    """
    email = check_email(email)
    if by is None or by.email != email:
        authority.operator(by)
    hashed = passwords.hashed(password)
    with signers.retiring(ex) as retire, act(ex, by) as conn:
        person = store_password(conn, ex, by, email, hashed)
        retire(conn, [person.org_id])


def change_password(ex: Exchange, by: Actor, old: str, new: str) -> None:
    """Change the password of the person at the browser, who knows the old one; the person's other sessions end.

    Raises: Denied (`session.only`, `password.wrong`), Invalid (`password.short`, `password.long`), Unavailable (`login.busy`).
    """
    mine = authority.present(by)
    if verify_password(ex, by.email, old) is None:
        raise Denied("password.wrong", "This is not your password; try again.")
    hashed = passwords.hashed(new)
    with signers.retiring(ex) as retire, act(ex, by) as conn:
        person = store_password(conn, ex, by, by.email, hashed, but=mine.session_id)
        retire(conn, [person.org_id])


def store_password(conn: Connection, ex: Exchange, by: Actor | None, email: str, hashed: str, *, but: str = "") -> Person:
    """Write a password in the caller's transaction, who has checked that `by` may; sessions end, but for the one with id `but`."""
    person = find_person(conn, email)
    ended = end_sessions(conn, ex, schema.person.c.id == person.id, "password", but=but)
    conn.execute(update(schema.person).where(schema.person.c.id == person.id).values(password_hash=hashed))
    details = {"subject": email, "sessions_ended": ended, **({"kept": but} if but else {})}
    log.append(conn, ex, by, log.AuditEntry(log.Action.PERSON_PASSWORD_SET, owner=person.org_slug, details=details))
    return person


def verify_password(ex: Exchange, email: str, password: str) -> Person | None:
    """The active person with this password, or None; takes equally long whether the person exists or not.

    Raises: Unavailable: too many log-ins at once (`login.busy`).
    """
    with db.read(ex) as conn:
        person = schema.person.c
        row = conn.execute(select(person.id, person.password_hash).where(person.email == email.strip().lower())).first()
    stored = row.password_hash if row and row.password_hash else None
    fits = passwords.fits(stored, password)
    if row is None or stored is None or not fits:
        return None
    found = get_person(ex, person_id=row.id)
    return found if found and found.is_active else None


def actor_of(ex: Exchange, person_id: str) -> Actor | None:
    """The person as actor, or None when unknown or suspended."""
    person = get_person(ex, person_id=person_id)
    return person.actor if person and person.is_active else None


def check_email(email: str) -> str:
    """`email` in small letters.

    Raises: Invalid: `person.email`.
    """
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise Invalid("person.email", f"{email[:80]!r} is no e-mail address.", email=email[:80])
    return email


def check_role(role: str, org: str) -> None:
    """Pass when the role exists and goes with the organisation (slug, or empty).

    Raises: Invalid: `person.role`, `person.org`.
    """
    if role not in authority.ROLES:
        raise Invalid("person.role", f"`role` must be one of {', '.join(authority.ROLES)}, not {role!r}.", role=role)
    if (role == "member") != bool(org):
        raise Invalid("person.org", "A member needs an organisation; auditors and operators have none.", role=role, org=org)


def select_persons() -> Any:
    """The query for persons with their organisations, whose rows `person_of` takes."""
    org = schema.organisation.c
    return select(schema.person, org.slug.label("org_slug"), org.state.label("org_state")).outerjoin(
        schema.organisation, org.id == schema.person.c.org_id
    )


def _find_person(conn: Connection, condition: Any) -> Person:
    row = conn.execute(select_persons().where(condition)).mappings().first()
    if row is None:
        raise NotFound("person.unknown", "There is no such person.")
    return person_of(row)


def person_of(row: RowMapping) -> Person:
    """The person of a row of `select_persons`."""
    return Person(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        org_id=row["org_id"],
        org_slug=row["org_slug"] or "",
        role=row["role"],
        state=row["state"],
        org_state=row["org_state"] or "active",
        session_key=row["session_key"],
        has_password=row["password_hash"] is not None,
        language=row["language"],
        created_ns=row["created_ns"],
        is_proven=row["proven_ns"] is not None,
    )
