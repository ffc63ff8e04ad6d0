"""What a person does to the database: who acts is looked at again in the transaction that writes.

A request is let in before it writes, and may wait for a lock in between. Whoever was suspended, lost the role, was signed out or had the
token revoked meanwhile writes nothing any more: every service that writes for a person begins with `act`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select

from mapex.database import db, schema
from mapex.errors import Denied, NotFound
from mapex.exchange import Actor, Exchange, Presence

OPERATORS = "operators"
"""The turn of operators and of the person at the machine: they change the rows of persons, each other's too."""


@contextmanager
def act(ex: Exchange, by: Actor | None, *turns: str) -> Iterator[Connection]:
    """One write transaction for what `by` does, one at a time for each of `turns`, in their order (see `db.in_turn`).

    Raises: Denied (`person.suspended`), NotFound (`session.unknown`, `token.unknown`): what `by` acts by has ended; as `db.begin`.
    """
    with db.begin(ex) as conn:
        for turn in turns:
            db.take_turns(conn, turn)
        _hold(conn, by)
        yield conn


def _hold(conn: Connection, by: Actor | None) -> None:
    """Pass while what `by` acts by has not ended since the request came in, and keep it so until the commit."""
    if by is None or by.role == "operator":
        db.take_turns(conn, OPERATORS)  # before any row: two who stop each other would wait for each other's
    if by is None:
        return
    _hold_person(conn, by)
    if by.presence is not None:
        _check_session(conn, by.presence)
    if by.token_id is not None:
        _hold_token(conn, by.token_id)


def _hold_person(conn: Connection, by: Actor) -> None:
    person, org = schema.person.c, schema.organisation.c
    query = select(person.state, person.role, person.org_id, org.state.label("org_state"))
    query = query.select_from(schema.person.outerjoin(schema.organisation, org.id == person.org_id)).where(person.id == by.person_id)
    found = conn.execute(query.with_for_update(key_share=True, of=schema.person)).first()
    is_same = found is not None and (found.role, found.org_id) == (by.role, by.org_id)
    if found is None or not is_same or found.state != "active" or found.org_state not in (None, "active"):
        raise Denied("person.suspended", f"{by.email} may no longer do this; ask the operator.", org=by.org_slug)


def _check_session(conn: Connection, mine: Presence) -> None:
    session = schema.session.c
    if conn.execute(select(session.id).where(session.id == mine.session_id, session.ended_ns.is_(None))).first() is None:
        raise NotFound("session.unknown", "There is no such session; it may have ended.")


def _hold_token(conn: Connection, token_id: str) -> None:
    """The row is locked: what is made with a token is there when the token is revoked with all that it made."""
    token = schema.api_token.c
    mine = select(token.id).where(token.id == token_id, token.revoked_ns.is_(None)).with_for_update(key_share=True)
    if conn.execute(mine).first() is None:
        raise NotFound("token.unknown", "There is no such token; it may have been revoked.")
