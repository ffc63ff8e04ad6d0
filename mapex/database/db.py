"""The database: engines, transactions, retries, and driver errors as errors of the exchange.

Writes: SQLite takes `BEGIN IMMEDIATE` (one writer at a time, so what a transaction read stays true until it commits).
PostgreSQL runs `begin` in READ COMMITTED and `run` in SERIALIZABLE with retries: use `run` where two actors race
(money, quotas, "is it still so?"), `begin` where constraints and row locks decide.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from mapex.config import database_url
from mapex.errors import Unavailable

if TYPE_CHECKING:
    from mapex.config import Settings
    from mapex.exchange import Exchange

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 5
BUSY_SECONDS = 30.0
"""How long a SQLite writer waits for another before it answers `database.busy`."""

_SERIALIZATION = {"40001", "40P01"}  # serialization_failure, deadlock_detected
_UNIQUE = "23505"


def open_engine(settings: Settings) -> Engine:
    """An engine for `settings.database_url`; nothing is connected yet."""
    url = database_url(settings)
    if not url.startswith("sqlite"):
        # Compiling a statement (JIT) costs 100 ms where an estimate takes 10: the planner overrates what many small ranges find.
        # Plans are not kept: one that was made while a table was empty reads all of it once it is full.
        connect_args: dict[str, object] = {"prepare_threshold": None}
        if "options=" not in url:
            connect_args["options"] = "-c jit=off"
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=connect_args)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=10, max_overflow=40)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def begin(ex: Exchange) -> Iterator[Connection]:
    """One write transaction: committed at the end of the block, rolled back when it raises.

    Raises: Unavailable: the database is away, busy for too long, or its disk is full; nothing was changed.
    """
    with _translated(), ex.engine.connect() as conn, conn.begin():
        yield conn


@contextmanager
def read(ex: Exchange) -> Iterator[Connection]:
    """One consistent view for reading; takes no write lock."""
    with _translated(), ex.engine.connect() as conn:
        if is_sqlite(conn):
            conn.execution_options(mapex_read=True)
        else:
            conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with conn.begin():
            yield conn


def run(ex: Exchange, work: Callable[[Connection], T], *, attempts: int = ATTEMPTS) -> T:
    """Result of `work(conn)` in one transaction that behaves as if nobody else were there; run again when PostgreSQL says so.

    `work` must have no effect outside the database, for it may run up to `attempts` times. A duplicate key counts as lost race
    too: run again, `work` sees the row that won.
    """
    for attempt in range(1, attempts + 1):
        try:
            with ex.engine.connect() as conn:
                if not is_sqlite(conn):
                    conn.execution_options(isolation_level="SERIALIZABLE")
                with conn.begin():
                    return work(conn)
        except DBAPIError as error:
            if not _is_lost_race(error):
                _raise_translated(error)
            if attempt == attempts:
                if isinstance(error, IntegrityError):
                    raise
                raise Unavailable(
                    "database.contended", f"Other requests won {attempts} times over the same rows; nothing was changed. Try again."
                ) from error
            log.info("transaction lost a race, attempt %s of %s", attempt, attempts)
            time.sleep(random.uniform(0.005, 0.02) * 2**attempt)
    raise AssertionError("attempts must be positive")


def is_sqlite(conn: Connection) -> bool:
    """Whether the connection speaks to SQLite (else PostgreSQL)."""
    return conn.dialect.name == "sqlite"


def take_turns(conn: Connection, name: str) -> None:
    """Hold the lock `name` until the transaction ends; SQLite's writers take turns anyway."""
    if not is_sqlite(conn):
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def _prepare_sqlite(dbapi_connection: object, _record: object) -> None:
    dbapi_connection.isolation_level = None  # type: ignore[attr-defined]  # we say BEGIN ourselves
    cursor = dbapi_connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # NORMAL does not sync each commit: a power cut may take acknowledged money
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA trusted_schema = OFF")
    # Pages are read from the system's cache without a call and a copy for each; an estimate that reads thousands takes half the time.
    cursor.execute("PRAGMA mmap_size = 1073741824")
    cursor.close()


def _begin_sqlite(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get("mapex_read") else "BEGIN IMMEDIATE")


def _is_lost_race(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state in _SERIALIZATION or state == _UNIQUE


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        _raise_translated(error)


def _raise_translated(error: DBAPIError) -> NoReturn:
    """Raise what a person can act on; what is our own mistake stays what it is."""
    name = str(getattr(error.orig, "sqlite_errorname", "") or "")
    state = str(getattr(error.orig, "sqlstate", "") or "")
    if name.startswith("SQLITE_FULL") or state == "53100":
        raise Unavailable(
            "database.full", "The disk of the database is full; nothing was changed. Free some space and try again."
        ) from error
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or state in _SERIALIZATION:
        raise Unavailable("database.busy", "The database is busy; nothing was changed. Try again.") from error
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
        raise Unavailable("database.away", f"The database file cannot be used ({name}). Check its folder and its permissions.") from error
    away = error.connection_invalidated or state.startswith(("08", "57P", "53")) or (not state and not name and _is_operational(error))
    if away:
        raise Unavailable("database.away", "The database does not answer. Try again.") from error
    raise error


def _is_operational(error: DBAPIError) -> bool:
    from sqlalchemy.exc import OperationalError

    return isinstance(error, OperationalError)
