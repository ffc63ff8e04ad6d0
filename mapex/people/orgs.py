"""Organisations: they sell and buy; a suspended one is refused with all its persons and tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.people import signers
from mapex.people.endings import end_standing
from mapex.pyramid import shown
from mapex.texts import check_text

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation: it sells and buys."""

    id: str
    slug: str
    name: str
    state: str  # active | suspended
    created_ns: int


def add_org(ex: Exchange, by: Actor | None, slug: str, name: str = "") -> Org:
    """A new organisation.

    Raises: Denied, Invalid (`slug.malformed`), Conflict (`org.exists`).
    """
    authority.operator(by)
    slug, name = check_slug(slug), check_text(name or slug, "name", 255)
    with act(ex, by, f"organisation:{slug}") as conn:
        return enter_org(conn, ex, by, slug, name)


def enter_org(conn: Connection, ex: Exchange, by: Actor | None, slug: str, name: str) -> Org:
    """Write a new organisation in the caller's transaction, who has checked that `by` may, and has the turn `organisation:<slug>`.

    Raises: Conflict (`org.exists`).
    """
    org = Org(ids.new("org"), slug, name, "active", ex.now())
    if conn.execute(select(schema.organisation.c.id).where(schema.organisation.c.slug == slug)).first():
        raise Conflict("org.exists", f"An organisation {slug!r} exists already.", slug=slug)
    conn.execute(insert(schema.organisation).values(id=org.id, slug=slug, name=org.name, state=org.state, created_ns=org.created_ns))
    log.append(conn, ex, by, log.AuditEntry(log.Action.ORG_ADDED, owner=slug, details={"name": org.name, "signer": 1}))
    return org


def all_orgs(ex: Exchange) -> Sequence[Org]:
    """All organisations by slug."""
    with db.read(ex) as conn:
        return [_org(row) for row in conn.execute(select(schema.organisation).order_by(schema.organisation.c.slug)).mappings()]


def find_org(conn: Connection, slug: str) -> Org:
    """The organisation of this slug.

    Raises: NotFound.
    """
    row = conn.execute(select(schema.organisation).where(schema.organisation.c.slug == slug)).mappings().first()
    if row is None:
        raise NotFound("org.unknown", "There is no such organisation.")
    return _org(row)


def get_org(ex: Exchange, slug: str) -> Org:
    """As `find_org`, in its own transaction."""
    with db.read(ex) as conn:
        return find_org(conn, slug)


def set_org_state(ex: Exchange, by: Actor | None, slug: str, state: str) -> Org:
    """Suspend or resume an organisation. Either ends the sessions, tokens, open invitations and download addresses of its persons: what
    was there before is never open again, also where a version before this one suspended it.

    Raises: Denied, NotFound (`org.unknown`), Invalid (`state.unknown`).
    """
    authority.operator(by)
    action = state_action(state, log.Action.ORG_SUSPENDED, log.Action.ORG_RESUMED)
    with signers.retiring(ex) as retire, act(ex, by, f"organisation:{slug}") as conn:
        org = find_org(conn, slug)
        if org.state == state:
            return org  # set before: nothing changes, nothing is logged
        # Persons, what is shown, organisations: as who publishes and who recalls lock them, so that nobody waits in a circle.
        ended = end_standing(conn, ex, schema.person.c.org_id == org.id, "suspended", org_id=org.id)
        shown.take_turns(conn)
        conn.execute(update(schema.organisation).where(schema.organisation.c.slug == slug).values(state=state))
        shown.show_org(conn, org.id, active=state == "active")
        log.append(conn, ex, by, log.AuditEntry(action, owner=slug, details=ended.counts))
        retire(conn, {org.id, *ended.org_ids})
        return find_org(conn, slug)


def check_slug(slug: str) -> str:
    """`slug` itself.

    Raises: Invalid: not 1 to 63 of a-z, 0-9 and inner hyphens.
    """
    if not _SLUG.fullmatch(slug):
        raise Invalid("slug.malformed", f"{slug[:80]!r} must be 1 to 63 of a-z, 0-9 and inner hyphens.", slug=slug[:80])
    return slug


def _org(row: RowMapping) -> Org:
    return Org(row["id"], row["slug"], row["name"], row["state"], row["created_ns"])


def state_action(state: str, suspended: log.Action, resumed: log.Action) -> log.Action:
    """What is logged of a change to this state.

    Raises: Invalid: `state.unknown`.
    """
    if state not in ("active", "suspended"):
        raise Invalid("state.unknown", f"`state` must be active or suspended, not {state!r}.", state=state)
    return suspended if state == "suspended" else resumed
