"""What came of the attacks of `mapex doctor` on its own exchange. While one of them works, footage is neither published nor granted.

What was never examined stops nothing: an exchange that ran before goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from mapex import authority
from mapex.audit import log
from mapex.database import db, schema
from mapex.exchange import Actor, Exchange

STOPPED = "footage.stopped"
WHY = "An attack on this exchange was found to work; until the operator has mended it, no footage is published or read."


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was attacked, such as the store: whether it held, and if not, what worked."""

    name: str
    passed: bool
    message: str
    at_ns: int = 0


def keep(ex: Exchange, found: Iterable[Examined]) -> None:
    """Store the newest result of each thing; the log has an entry when what works changes."""
    examination = schema.examination.c
    with db.in_turn(ex, "examination") as conn:
        before = failing(conn)
        for one in found:
            conn.execute(delete(schema.examination).where(examination.name == one.name))
            values = {"name": one.name, "passed": one.passed, "message": one.message[:2000], "at_ns": ex.now()}
            conn.execute(insert(schema.examination).values(**values))
        after = failing(conn)
        if after != before:
            log.append(conn, ex, None, log.AuditEntry(log.Action.EXCHANGE_EXAMINED, details={"failing": after}))


def failing(conn: Connection) -> list[str]:
    """The names of what did not hold when it was examined last; empty when footage may leave."""
    examination = schema.examination.c
    return list(conn.execute(select(examination.name).where(examination.passed.is_(False)).order_by(examination.name)).scalars())


def results(ex: Exchange, by: Actor) -> Sequence[Examined]:
    """The newest result of each thing; empty when nothing was ever examined.

    Raises: Denied: `by` is no operator.
    """
    authority.operator(by)
    columns = schema.examination.c
    with db.read(ex) as conn:
        rows = conn.execute(select(columns.name, columns.passed, columns.message, columns.at_ns).order_by(columns.name))
        return [Examined(name, bool(passed), message, at_ns) for name, passed, message, at_ns in rows]
