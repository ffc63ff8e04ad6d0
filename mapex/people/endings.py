"""How sessions end with what they rested on: a password, a role, a person or an organisation in good standing, second factors.

The person's row is locked and its `session_key` changes, so a log-in that is under way at the same moment comes to nothing.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, select, update

from mapex.database import schema
from mapex.exchange import Exchange


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
