"""Second factors of persons: an authenticator app (`totp`) or a passkey. Adding and removing one ends the person's other sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor, Exchange
from mapex.login.recovery_codes import digest_of
from mapex.people.endings import end_sessions
from mapex.people.persons import find_person
from mapex.texts import check_text

MOST = 10
"""Second factors of a person."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor without its secret. `used_ns` is the last use, at first that of adding it."""

    id: str
    kind: str  # totp | passkey
    name: str
    created_ns: int
    used_ns: int


@dataclass(frozen=True, slots=True)
class NewFactor:
    """A second factor whose holder has just used it once."""

    kind: str
    name: str
    secret: str
    counter: int
    credential: str | None = None
    credential_hash: str | None = None


def of(ex: Exchange, person_id: str) -> Sequence[Factor]:
    """The second factors of a person, the oldest first."""
    factor = schema.second_factor.c
    query = select(schema.second_factor).where(factor.person_id == person_id).order_by(factor.created_ns, factor.id)
    with db.read(ex) as conn:
        return [_factor(row) for row in conn.execute(query).mappings()]


def add(ex: Exchange, by: Actor, new: NewFactor) -> Factor:
    """Add a second factor to the person at the browser, who has confirmed lately who it is; its other sessions end.

    Raises: Denied: `session.only`, `session.stale`. Conflict: `factor.many`, `factor.exists`. Invalid: `text.malformed`.
    """
    mine = authority.confirmed(ex, by)
    name = check_text(new.name.strip() or new.kind, "name", 255)
    factor_id, now = ids.new("fac"), ex.now()
    row = {
        "id": factor_id,
        "person_id": by.person_id,
        "kind": new.kind,
        "name": name,
        "secret": new.secret,
        "credential": new.credential,
        "credential_hash": new.credential_hash,
        "counter": new.counter,
        "created_ns": now,
        "used_ns": now,
    }
    factor = schema.second_factor.c
    with act(ex, by, f"person:{by.email}") as conn:
        if conn.execute(select(func.count()).where(factor.person_id == by.person_id)).scalar_one() >= MOST:
            raise Conflict("factor.many", f"You have {MOST} second factors, which is all that fit; remove one first.")
        if new.credential_hash and conn.execute(select(factor.id).where(factor.credential_hash == new.credential_hash)).first():
            raise Conflict("factor.exists", "This app or passkey is known already.")
        conn.execute(insert(schema.second_factor).values(**row))
        about = {"factor": factor_id, "kind": new.kind, "key_sha256": digest_of([new.secret, new.credential or ""])}
        _changed(conn, ex, by, log.Action.FACTOR_ADDED, about, mine.session_id)
    return Factor(factor_id, new.kind, name, now, now)


def remove(ex: Exchange, by: Actor, factor_id: str) -> None:
    """Remove a second factor of one's own; its other sessions end. Without any, recovery codes are worth nothing and go too.

    Raises: Denied: `session.only`, `session.stale`. NotFound: `factor.unknown`.
    """
    mine, factor = authority.confirmed(ex, by), schema.second_factor.c
    with act(ex, by, f"person:{by.email}") as conn:
        gone = conn.execute(
            delete(schema.second_factor).where(factor.id == factor_id, factor.person_id == by.person_id).returning(factor.kind)
        ).scalar()
        if gone is None:
            raise NotFound("factor.unknown", "There is no such second factor.")
        if not conn.execute(select(func.count()).where(factor.person_id == by.person_id)).scalar_one():
            conn.execute(delete(schema.recovery_code).where(schema.recovery_code.c.person_id == by.person_id))
        _changed(conn, ex, by, log.Action.FACTOR_REMOVED, {"factor": factor_id, "kind": gone}, mine.session_id)


def reset(ex: Exchange, by: Actor | None, email: str) -> int:
    """Take all second factors and recovery codes from a person who has lost them (operator), and end all its sessions; returns how many.

    Raises: Denied. NotFound: `person.unknown`.
    """
    authority.operator(by)
    email = email.strip().lower()
    with act(ex, by, f"person:{email}") as conn:
        person = find_person(conn, email)
        gone = conn.execute(delete(schema.second_factor).where(schema.second_factor.c.person_id == person.id)).rowcount
        conn.execute(delete(schema.recovery_code).where(schema.recovery_code.c.person_id == person.id))
        ended = end_sessions(conn, ex, schema.person.c.id == person.id, "factors")
        details = {"subject": email, "factors": gone, "sessions_ended": ended}
        log.append(conn, ex, by, log.AuditEntry(log.Action.FACTORS_RESET, owner=person.org_slug, details=details))
    return gone


def _changed(conn: Connection, ex: Exchange, by: Actor, action: log.Action, details: dict[str, str], session_id: str) -> None:
    ended = end_sessions(conn, ex, schema.person.c.id == by.person_id, "factors", but=session_id)
    log.append(conn, ex, by, log.AuditEntry(action, details={"subject": by.email, **details, "sessions_ended": ended, "kept": session_id}))


def _factor(row: RowMapping) -> Factor:
    return Factor(row["id"], row["kind"], row["name"], row["created_ns"], row["used_ns"])
