"""How a question is asked, and how what it finds is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, OperationalError

from mapex.database import db

RELEASED = ("published", "superseded", "withdrawn", "recalled")
"""States of versions that were published once; written into a query, the tuple reads as a list of SQL."""

Offender = str


def asked(conn: Connection, question: Callable[[], Iterable[Offender]]) -> list[Offender]:
    """What a question finds. Rows that it cannot even read (a text that is no JSON, a number that is none) are offenders too."""
    try:
        with conn.begin_nested():
            return list(question())
    except (DataError, ValueError, KeyError, TypeError) as why:
        return [f"it cannot be asked, for a row cannot be read ({_first_line(why)})"]
    except OperationalError as why:
        if getattr(why.orig, "sqlite_errorname", "") != "SQLITE_ERROR":
            raise
        return [f"it cannot be asked, for a row cannot be read ({_first_line(why.orig)})"]


def _first_line(why: object) -> str:
    return str(why).partition("\n")[0][:200]


def ask(conn: Connection, what: str, sql: str, **values: object) -> list[Offender]:
    """`what` filled in with the columns of each row that the question finds."""
    return [what.format(*row) for row in conn.execute(text(sql), values)]


def member(conn: Connection, name: str) -> str:
    """SQL for a member of an event's payload, as text."""
    return f"json_extract(a.payload, '$.{name}')" if db.is_sqlite(conn) else f"(CAST(a.payload AS json) ->> '{name}')"
