"""What the account of the services could do to the log in the database; each try is rolled back. Made by `mapex doctor`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mapex.database import db, schema
from mapex.exchange import Exchange

SQLITE = "SQLite has no accounts: whoever can write its file can change everything (docs/threats.md)."

_TRIES: Mapping[str, str] = {
    "switch off the triggers of {table}": "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "alter {table}": "ALTER TABLE {table} ADD COLUMN doctor_was_here integer",
    "go around all triggers": "SET LOCAL session_replication_role = replica",
}
_FORBIDDEN = "42501"  # insufficient_privilege


def attacks(ex: Exchange) -> list[str]:
    """What worked, on PostgreSQL; nothing is tried on SQLite.

    Raises: Unavailable: the database is away or busy.
    """
    if ex.engine.dialect.name == "sqlite":
        return []
    worked = []
    for name, statement in _TRIES.items():
        for table in schema.APPEND_ONLY if "{table}" in name else ("",):
            if _works(ex, statement.format(table=table)):
                worked.append(name.format(table=table))
    return worked


def _works(ex: Exchange, statement: str) -> bool:
    """Whether a statement passes, in a transaction that is rolled back; a table that is in use is not waited for."""
    try:
        with db.begin(ex) as conn:
            conn.execute(text("SET LOCAL lock_timeout = '2s'"))
            conn.execute(text(statement))
            raise _UndoneError
    except _UndoneError:
        return True
    except DBAPIError as error:
        if str(getattr(error.orig, "sqlstate", "")) == _FORBIDDEN:
            return False
        raise


class _UndoneError(Exception):
    """It passed; nothing of it shall stay."""
