"""How sessions end with what they rested on: a password, a role, a person or an organisation in good standing, second factors.

The person's row is locked and its `session_key` changes, so a log-in that is under way at the same moment comes to nothing.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, select, update

from mapex.database import schema
from mapex.errors import Denied, NotFound
from mapex.exchange import Actor, Exchange


def hold(conn: Connection, by: Actor | None) -> None:
    """Pass while what `by` acts by has not ended since the request came in, and keep it so until the commit.

    For whatever gives something that lasts: what a person does to end a session must not be undone by what was under way in it.

    Raises: Denied: `person.suspended`: suspended, or another role now. NotFound: `session.unknown`: the session has ended.
    """
    if by is None:
        return
    person, org, session = schema.person.c, schema.organisation.c, schema.session.c
    query = select(person.state, person.role, person.org_id, org.state.label("org_state"))
    query = query.select_from(schema.person.outerjoin(schema.organisation, org.id == person.org_id)).where(person.id == by.person_id)
    found = conn.execute(query.with_for_update(key_share=True, of=schema.person)).first()
    is_same = found is not None and (found.role, found.org_id) == (by.role, by.org_id)
    if found is None or not is_same or found.state != "active" or found.org_state not in (None, "active"):
        raise Denied("person.suspended", f"{by.email} may no longer do this; ask the operator.", org=by.org_slug)
    if by.presence is not None:
        mine = select(session.id).where(session.id == by.presence.session_id, session.ended_ns.is_(None))
        if conn.execute(mine).first() is None:
            raise NotFound("session.unknown", "There is no such session; it may have ended.")


def end_sessions(conn: Connection, ex: Exchange, whose: Any, reason: str, *, but: str = "") -> int:
    """End the sessions of the persons for whom the condition `whose` holds, and say how many; the session with id `but` goes on.

    In the caller's transaction, before what was changed is read again. What has ended is never open again.
    """
    person, session = schema.person.c, schema.session.c
    ids = conn.execute(select(person.id).where(whose).order_by(person.id).with_for_update(key_share=True)).scalars().all()
    for person_id in ids:
        conn.execute(update(schema.person).where(person.id == person_id).values(session_key=secrets.token_hex(32)))
    now = ex.now()
    theirs = update(schema.session).where(
        session.person_id.in_(select(person.id).where(whose)), session.ended_ns.is_(None), session.ends_ns > now, session.id != but
    )
    return conn.execute(theirs.values(ended_ns=now, reason=reason)).rowcount
