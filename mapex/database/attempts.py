"""Attempts per key and minute, counted in the database: what limits log-ins holds for all web processes together.

A key names who tries (an address, an account); it is stored as a keyed hash only, and forgotten once its window is over.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from sqlalchemy import delete, select, text

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
    now = ex.now()
    values = {"key": _hashed(ex, key), "now": now, "ends": now + seconds * NS, "amount": amount}
    # One statement: of two processes that count at the same moment, each sees the other.
    statement = text(
        "INSERT INTO attempt (key, count, ends_ns) VALUES (:key, :amount, :ends) ON CONFLICT (key) DO UPDATE SET "
        "count = CASE WHEN attempt.ends_ns <= :now THEN :amount ELSE attempt.count + :amount END, "
        "ends_ns = CASE WHEN attempt.ends_ns <= :now THEN :ends ELSE attempt.ends_ns END RETURNING count, ends_ns"
    )
    with db.begin(ex) as conn:
        row = conn.execute(statement, values).one()
    if row[0] == amount:
        # A transaction of its own: it touches rows of others, and must not hold ours meanwhile.
        with db.begin(ex) as conn:
            conn.execute(delete(attempt).where(attempt.c.ends_ns <= now))
    return Attempts(int(row[0]), int(row[1]))


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
    return hmac.new(ex.settings.secret_key.encode(), f"attempt {key}".encode(), hashlib.sha256).hexdigest()
