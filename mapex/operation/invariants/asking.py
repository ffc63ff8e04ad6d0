"""How a question is asked, and how what it finds is named."""

from __future__ import annotations

from sqlalchemy import Connection, text

from mapex.database import db

RELEASED = ("published", "superseded", "withdrawn", "recalled")
"""States of versions that were published once; written into a query, the tuple reads as a list of SQL."""

Offender = str


def ask(conn: Connection, what: str, sql: str, **values: object) -> list[Offender]:
    """`what` filled in with the columns of each row that the question finds."""
    return [what.format(*row) for row in conn.execute(text(sql), values)]


def member(conn: Connection, name: str) -> str:
    """SQL for a member of an event's payload, as text."""
    return f"json_extract(a.payload, '$.{name}')" if db.is_sqlite(conn) else f"(CAST(a.payload AS json) ->> '{name}')"
