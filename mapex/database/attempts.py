"""Attempts per key and window, counted in the database: what limits log-ins holds for all web processes together.

A key names who tries (an address, an account); it is stored as a keyed hash only, and forgotten once its window is over.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, text, update

from mapex.database import db
from mapex.database.schema import attempt
from mapex.exchange import Exchange
from mapex.times import NS


@dataclass(frozen=True, slots=True)
class Attempts:
    """How many there were in the present window, and when it ends."""

    count: int
    ends_ns: int


def count(ex: Exchange, key: str, seconds: int, amount: int = 1) -> Attempts:
    """Add to the attempts of `key`; the first one begins a window of so many seconds."""
    with db.begin(ex) as conn:
        counted = add(conn, ex, key, seconds, amount)
    if counted.count == amount:
        sweep(ex)
    return counted


def add(conn: Connection, ex: Exchange, key: str, seconds: int, amount: int = 1) -> Attempts:
    """As `count`, in the caller's transaction, who holds the row until its end and sweeps after it."""
    now = ex.now()
    values = {"key": _hashed(ex, key), "now": now, "ends": now + seconds * NS, "amount": amount}
    # One statement: of two processes that count at the same moment, each sees the other.
    statement = text(
        "INSERT INTO attempt (key, count, ends_ns) VALUES (:key, :amount, :ends) ON CONFLICT (key) DO UPDATE SET "
        "count = CASE WHEN attempt.ends_ns <= :now THEN :amount ELSE attempt.count + :amount END, "
        "ends_ns = CASE WHEN attempt.ends_ns <= :now THEN :ends ELSE attempt.ends_ns END RETURNING count, ends_ns"
    )
    row = conn.execute(statement, values).one()
    return Attempts(int(row[0]), int(row[1]))


def sweep(ex: Exchange) -> None:
    """Drop windows that are over. They are rows of others: one that somebody holds is left for the next time."""
    over = select(attempt.c.key).where(attempt.c.ends_ns <= ex.now()).with_for_update(skip_locked=True)
    with db.begin(ex) as conn:
        conn.execute(delete(attempt).where(attempt.c.key.in_(over)))


def hold(conn: Connection, ex: Exchange, key: str, seconds: int) -> int:
    """Let `held_until` of `key` be in so many seconds from now, or later where it is already; returns when, in the caller's transaction."""
    values = {"key": _hashed(ex, key), "ends": ex.now() + seconds * NS}
    statement = text(
        "INSERT INTO attempt (key, count, ends_ns) VALUES (:key, 1, :ends) ON CONFLICT (key) DO UPDATE SET "
        "ends_ns = CASE WHEN attempt.ends_ns < :ends THEN :ends ELSE attempt.ends_ns END RETURNING ends_ns"
    )
    return int(conn.execute(statement, values).scalar_one())


def give_back(conn: Connection, ex: Exchange, counted: Sequence[str], held: Mapping[str, int]) -> None:
    """Take back one attempt of each key, and what is held since it with these ends, in the caller's transaction."""
    for key in counted:
        conn.execute(update(attempt).where(attempt.c.key == _hashed(ex, key), attempt.c.count > 0).values(count=attempt.c.count - 1))
    for key, ends_ns in held.items():
        conn.execute(delete(attempt).where(attempt.c.key == _hashed(ex, key), attempt.c.ends_ns == ends_ns))


def held_until(conn: Connection, ex: Exchange, keys: Sequence[str]) -> int:
    """When the last of the windows of `keys` ends, UTC ns; 0 when none is open."""
    query = select(func.max(attempt.c.ends_ns)).where(attempt.c.key.in_([_hashed(ex, key) for key in keys]), attempt.c.ends_ns > ex.now())
    return int(conn.execute(query).scalar() or 0)


def is_logged(count: int) -> bool:
    """Whether this one of many attempts is logged: the first, the 10th, the 100th and so on."""
    return count in (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)


def so_far(ex: Exchange, key: str) -> Attempts:
    """The attempts of `key` in the present window; none when there is no window."""
    now = ex.now()
    query = select(attempt.c.count, attempt.c.ends_ns).where(attempt.c.key == _hashed(ex, key), attempt.c.ends_ns > now)
    with db.read(ex) as conn:
        row = conn.execute(query).first()
    return Attempts(int(row[0]), int(row[1])) if row else Attempts(0, now)


def forget(ex: Exchange, key: str | None = None) -> int:
    """Drop the attempts of one key, or all; returns how many keys were dropped."""
    statement = delete(attempt) if key is None else delete(attempt).where(attempt.c.key == _hashed(ex, key))
    with db.begin(ex) as conn:
        return conn.execute(statement).rowcount


def _hashed(ex: Exchange, key: str) -> str:
    return hmac.new(ex.settings.secret_key.encode(), f"attempt {key}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
