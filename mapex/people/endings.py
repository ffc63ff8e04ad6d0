"""How sessions, tokens and invitations end with what they rested on: a password, a role, a person or an organisation in good standing.

The person's row is locked and its `session_key` changes, so a log-in that is under way at the same moment comes to nothing. What has
ended is never open again: who is suspended and resumed signs in anew, makes new tokens and invites anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select, update

from mapex.database import schema
from mapex.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Ended:
    """How many ended, as the log names them, and the organisations whose persons lost tokens: their download addresses end too."""

    counts: Mapping[str, int]
    org_ids: frozenset[str]


def end_standing(conn: Connection, ex: Exchange, whose: Any, reason: str, *, org_id: str = "") -> Ended:
    """End the sessions, tokens and open invitations of the persons for whom `whose` holds, and the invitations into `org_id`.

    In the caller's transaction, before what was changed is read again.
    """
    ended = end_sessions(conn, ex, whose, reason)
    persons = select(schema.person.c.id).where(whose)
    revoked = end_tokens(conn, ex, schema.api_token.c.person_id.in_(persons))
    invitation = schema.invitation.c
    theirs = or_(invitation.inviter_id.in_(persons), invitation.org_id == org_id) if org_id else invitation.inviter_id.in_(persons)
    counts = {"sessions_ended": ended, "tokens_revoked": len(revoked), "invitations_ended": end_invitations(conn, ex, theirs)}
    return Ended(counts, orgs_of(conn, revoked))


def end_sessions(conn: Connection, ex: Exchange, whose: Any, reason: str, *, but: str = "") -> int:
    """End the sessions of the persons for whom the condition `whose` holds, and say how many; the session with id `but` goes on.

    In the caller's transaction, before what was changed is read again.
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


def end_tokens(conn: Connection, ex: Exchange, which: Any) -> Sequence[str]:
    """Revoke the tokens for which `which` holds, and those that were made with them, and with those; returns the person of each."""
    token, now = schema.api_token.c, ex.now()
    ended: list[str] = []
    # Step by step, for each sees what was being made with the tokens of the one before and had locked their rows (`mapex.database.acts`).
    while (
        found := conn.execute(
            update(schema.api_token).where(which, token.revoked_ns.is_(None)).values(revoked_ns=now).returning(token.person_id)
        )
        .scalars()
        .all()
    ):
        ended.extend(found)
        which = token.parent_id.in_(_revoked())
    return ended


def end_invitations(conn: Connection, ex: Exchange, which: Any) -> int:
    """End the open invitations for which `which` holds, and those that were made with a token that is revoked; returns how many."""
    invitation = schema.invitation.c
    these = or_(which, invitation.token_id.in_(_revoked()))
    return conn.execute(update(schema.invitation).where(these, invitation.ended_ns.is_(None)).values(ended_ns=ex.now())).rowcount


def orgs_of(conn: Connection, person_ids: Sequence[str]) -> frozenset[str]:
    """The organisations of these persons; auditors and operators have none."""
    person = schema.person.c
    query = select(person.org_id).where(person.id.in_(set(person_ids)), person.org_id.is_not(None))
    return frozenset(conn.execute(query).scalars())


def _revoked() -> Any:
    token = schema.api_token.alias("revoked")
    return select(token.c.id).where(token.c.revoked_ns.is_not(None))
