"""Sessions: a person signed in at a browser, as a row. The browser holds a secret of which only the hash is kept.

A session ends when the person signs out, after a while without a request, and at the latest some hours after signing in; and with what it
rested on (`mapex.people.endings`). What has ended is never open again.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, exists, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Denied, NotFound
from mapex.exchange import Actor, Exchange, Presence
from mapex.people.endings import end_sessions
from mapex.people.networks import coarse
from mapex.people.persons import Person, find_person, person_of, select_persons
from mapex.times import DAY_NS, MINUTE_NS, iso_from_ns

KEPT_DAYS = 90
"""Rows of ended sessions are forgotten so long after."""
MOST_SHOWN = 200

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "SamsungBrowser": "Samsung", "Whale": "Whale", "Firefox": "Firefox", "Chrom": "Chrome"}
_SYSTEMS = {"Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Mac OS": "macOS", "CrOS": "ChromeOS"}


@dataclass(frozen=True, slots=True)
class Caller:
    """From where somebody signs in: the network of the address and the kind of browser, no more."""

    network: str = ""
    agent: str = ""

    @classmethod
    def of(cls, address: str, agent: str) -> Caller:
        """What is kept of an address and of what a browser says of itself."""
        browser = _named(_BROWSERS, agent) or _named({"Safari": "Safari"}, agent)
        return cls(coarse(address), " · ".join(filter(None, (browser, _named(_SYSTEMS | {"Linux": "Linux"}, agent)))))


@dataclass(frozen=True, slots=True)
class Session:
    """A session without its secret; `factors` are those with which the person has shown who it is, the last time at `proven_ns`."""

    id: str
    person_id: str
    created_ns: int
    seen_ns: int
    ends_ns: int
    proven_ns: int
    network: str
    agent: str
    factors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is behind a cookie."""

    session: Session
    person: Person
    has_factor: bool

    @property
    def actor(self) -> Actor:
        """The person, present at a browser."""
        return replace(self.person.actor, presence=Presence(self.session.id, self.session.proven_ns, self.has_factor))


def start(ex: Exchange, person: Person, caller: Caller, factors: Sequence[str]) -> str:
    """Open a session for a person who has just shown who it is by `factors`; returns the secret for the cookie.

    Raises: Denied: `login.refused`: suspended, or the password, role or factors changed meanwhile.
    """
    secret, now = secrets.token_urlsafe(32), ex.now()
    ends_ns = now + ex.settings.session_hours * 60 * MINUTE_NS
    row = {
        "id": ids.new("ses"),
        "person_id": person.id,
        "hash": _hash(secret),
        "created_ns": now,
        "seen_ns": now,
        "ends_ns": ends_ns,
        "proven_ns": now,
        "network": caller.network[:64],
        "agent": caller.agent[:64],
        "factors": " ".join(factors),
    }
    with db.begin(ex) as conn:
        mine = select_persons().where(schema.person.c.id == person.id).with_for_update(key_share=True, of=schema.person)
        found = conn.execute(mine).mappings().first()
        if found is None or not person_of(found).is_active or found["session_key"] != person.session_key:
            raise Denied("login.refused", "E-mail or password is wrong; try again.")
        conn.execute(delete(schema.session).where(schema.session.c.ends_ns < now - KEPT_DAYS * DAY_NS))
        conn.execute(insert(schema.session).values(**row))
        details = {"session": row["id"], "factors": list(factors), "expires": iso_from_ns(ends_ns)}
        log.append(conn, ex, person.actor, log.AuditEntry(log.Action.SESSION_OPENED, details=details))
    return secret


def find(ex: Exchange, secret: str) -> SignedIn | None:
    """Who holds this secret; None when the session is unknown or over, or its person or organisation is suspended. One read."""
    if not _SECRET.fullmatch(secret):
        return None
    session, now = schema.session.c, ex.now()
    has_factor = exists().where(schema.second_factor.c.person_id == schema.person.c.id)
    query = (
        select_persons()
        .add_columns(*(column.label(f"session_{column.name}") for column in schema.session.c), has_factor.label("has_factor"))
        .join(schema.session, session.person_id == schema.person.c.id)
        .where(session.hash == _hash(secret), *_open(ex, now))
    )
    with db.read(ex) as conn:
        row = conn.execute(query).mappings().first()
    if row is None:
        return None
    person = person_of(row)
    return SignedIn(_session(row, "session_"), person, bool(row["has_factor"])) if person.is_active else None


def note_seen(ex: Exchange, session: Session) -> None:
    """Remember that the session was used; written once a minute at most."""
    now = ex.now()
    if now - session.seen_ns < MINUTE_NS:
        return
    row = schema.session.c
    with db.begin(ex) as conn:
        conn.execute(update(schema.session).where(row.id == session.id, row.seen_ns < now - MINUTE_NS).values(seen_ns=now))


def prove(ex: Exchange, by: Actor, factor: str) -> str:
    """Note that the person of the session has just shown again who it is; the session goes on under a new secret, which is returned.

    Raises: Denied: `session.only`. NotFound: `session.unknown`: it has ended meanwhile.
    """
    mine, secret = authority.present(by), secrets.token_urlsafe(32)
    row = schema.session.c
    with act(ex, by) as conn:
        now = ex.now()
        known = conn.execute(select(row.factors).where(row.id == mine.session_id, *_open(ex, now))).scalar()
        if known is None:
            raise _unknown()
        factors = " ".join(dict.fromkeys((*known.split(), factor)))
        conn.execute(update(schema.session).where(row.id == mine.session_id).values(hash=_hash(secret), proven_ns=now, factors=factors))
        details = {"session": mine.session_id, "factor": factor}
        log.append(conn, ex, by, log.AuditEntry(log.Action.SESSION_CONFIRMED, details=details))
    return secret


def close(ex: Exchange, by: Actor) -> None:
    """Sign out: the session of `by` ends."""
    with db.begin(ex) as conn:
        mine = authority.present(by).session_id
        if _end(conn, ex, mine, by.person_id, "closed"):
            log.append(conn, ex, by, log.AuditEntry(log.Action.SESSION_CLOSED, details={"session": mine}))


def of(ex: Exchange, person_id: str) -> Sequence[Session]:
    """The open sessions of a person, the newest first."""
    session = schema.session.c
    query = select(schema.session).where(session.person_id == person_id, *_open(ex, ex.now()))
    with db.read(ex) as conn:
        rows = conn.execute(query.order_by(session.created_ns.desc(), session.id).limit(MOST_SHOWN)).mappings()
        return [_session(row) for row in rows]


def end(ex: Exchange, by: Actor, session_id: str) -> None:
    """End one session of one's own.

    Raises: Denied: `session.only`. NotFound: `session.unknown`: absent, foreign, or over.
    """
    authority.present(by)
    with act(ex, by) as conn:
        if not _end(conn, ex, session_id, by.person_id, "ended"):
            raise _unknown()
        log.append(conn, ex, by, log.AuditEntry(log.Action.SESSION_ENDED, details={"subject": by.email, "session": session_id}))


def end_others(ex: Exchange, by: Actor) -> int:
    """End all sessions of one's own but this one; returns how many.

    Raises: Denied: `session.only`.
    """
    mine = authority.present(by)
    with act(ex, by) as conn:
        ended = end_sessions(conn, ex, schema.person.c.id == by.person_id, "others", but=mine.session_id)
        details = {"subject": by.email, "sessions_ended": ended, "kept": mine.session_id}
        log.append(conn, ex, by, log.AuditEntry(log.Action.SESSION_ENDED, details=details))
    return ended


def end_all(ex: Exchange, by: Actor | None, email: str) -> int:
    """End all sessions of a person (operator); returns how many.

    Raises: Denied. NotFound: `person.unknown`.
    """
    authority.operator(by)
    with act(ex, by) as conn:
        person = find_person(conn, email.strip().lower())
        ended = end_sessions(conn, ex, schema.person.c.id == person.id, "operator")
        details = {"subject": person.email, "sessions_ended": ended}
        log.append(conn, ex, by, log.AuditEntry(log.Action.SESSION_ENDED, owner=person.org_slug, details=details))
    return ended


def _end(conn: Connection, ex: Exchange, session_id: str, person_id: str, reason: str) -> bool:
    session, now = schema.session.c, ex.now()
    this = update(schema.session).where(session.id == session_id, session.person_id == person_id, *_open(ex, now))
    return conn.execute(this.values(ended_ns=now, reason=reason)).rowcount == 1


def _open(ex: Exchange, now: int) -> tuple[ColumnElement[bool], ...]:
    session = schema.session.c
    idle = now - ex.settings.session_idle_minutes * MINUTE_NS
    return session.ended_ns.is_(None), session.ends_ns > now, session.seen_ns > idle


def _unknown() -> NotFound:
    return NotFound("session.unknown", "There is no such session; it may have ended.")


def _session(row: RowMapping, prefix: str = "") -> Session:
    values = {spec.name: row[prefix + spec.name] for spec in fields(Session)}
    return Session(**{**values, "factors": tuple(values["factors"].split())})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _named(names: dict[str, str], agent: str) -> str:
    return next((name for part, name in names.items() if part in agent), "")
