"""The database: engines, transactions, turns, and driver errors as errors of the exchange.

Writes: SQLite takes `BEGIN IMMEDIATE` (one writer at a time, so what a transaction read stays true until it commits).
PostgreSQL writes in READ COMMITTED, and who races waits: for the lock of a name (`in_turn`) where a transaction reads first and writes
by what it read, for rows and constraints (`begin`) otherwise. Nobody loses a race, so nothing has to be tried again, however many come.
Locks of rows that others refer to are taken with `key_share`: a plain FOR UPDATE would wait for every insert that names the row, and
two who hold something already would wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from mapex.config import database_url
from mapex.errors import Unavailable
from tiles import extras

if TYPE_CHECKING:
    from mapex.config import Settings
    from mapex.exchange import Exchange

BUSY_SECONDS = 30.0
"""How long one waits for another who writes to SQLite, or for a free connection, before the answer is `database.busy`."""

CONNECTIONS = (10, 20)
"""How many connections to PostgreSQL a process keeps, and how many more it opens in a crowd; whoever comes then waits."""

_BUSY = {"40001", "40P01", "55P03"}  # serialization_failure, deadlock_detected, lock_not_available


def open_engine(settings: Settings) -> Engine:
    """An engine for `settings.database_url`; nothing is connected yet. Raises: ExtraMissing: its driver is not installed."""
    url = database_url(settings)
    if not url.startswith("sqlite"):
        # Compiling a statement (JIT) costs 100 ms where an estimate takes 10: the planner overrates what many small ranges find.
        # Plans are not kept: one that was made while a table was empty reads all of it once it is full.
        connect_args: dict[str, object] = {"prepare_threshold": None}
        if "options=" not in url:
            connect_args["options"] = "-c jit=off"
        kept, more = CONNECTIONS
        with extras.needed():  # SQLAlchemy imports the driver
            return create_engine(
                url, pool_pre_ping=True, pool_size=kept, max_overflow=more, pool_timeout=BUSY_SECONDS, connect_args=connect_args
            )
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=10, max_overflow=40)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def begin(ex: Exchange) -> Iterator[Connection]:
    """One write transaction: committed at the end of the block, rolled back when it raises.

    Raises: Unavailable: the database is away, busy for too long, or its disk is full; nothing was changed.
    """
    last: list[tuple[Table, Sequence[Mapping[str, Any]]]] = []
    with _translated(), ex.engine.connect() as conn:
        conn.execution_options(mapex_last=last)
        with conn.begin():
            yield conn
            for table, rows in last:
                conn.execute(insert(table), rows)


def insert_last(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows when all else of the transaction is done, just before its commit; at once where it is none of `begin`.

    For what all writers take turns at: they wait for one another's commits, and for nothing else, so nobody waits in a circle either.
    """
    last = conn.get_execution_options().get("mapex_last")
    if last is None:
        conn.execute(insert(table), rows)
    else:
        last.append((table, rows))


@contextmanager
def in_turn(ex: Exchange, name: str) -> Iterator[Connection]:
    """As `begin`, one at a time for each `name`: what was read of what the name stands for is still so at the commit.

    Everybody who changes that takes the same name, such as `datasets:<organisation>`.
    """
    with begin(ex) as conn:
        take_turns(conn, name)
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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        _raise_translated(error)
    except NoConnectionFree as error:
        raise Unavailable("database.busy", "The database is busy; nothing was changed. Try again.") from error


def _raise_translated(error: DBAPIError) -> NoReturn:
    """Raise what a person can act on; what is our own mistake stays what it is."""
    name = str(getattr(error.orig, "sqlite_errorname", "") or "")
    state = str(getattr(error.orig, "sqlstate", "") or "")
    if name.startswith("SQLITE_FULL") or state == "53100":
        raise Unavailable(
            "database.full", "The disk of the database is full; nothing was changed. Free some space and try again."
        ) from error
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or state in _BUSY:
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
