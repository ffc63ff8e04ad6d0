"""What somebody needs who does not believe us: entries as they were committed to, to be recomputed outside the exchange.

An entry is (seq, payload, salt, commitment), commitment = sha256(salt || payload). The commitments in order of seq are the leaves of a
Merkle tree (RFC 6962, 2.1). Its root over the first n entries, kept by somebody else, shows later whether one of them was changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from mapex import authority
from mapex.audit import log
from mapex.audit.log import Action, AuditEntry
from mapex.database import db, schema
from mapex.errors import Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange

MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class CommittedEntry:
    """One entry as it was committed to: `payload` is canonical JSON text, `salt` and `commitment` are hex."""

    seq: int
    at_ns: int
    payload: str
    salt: str
    commitment: str

    @property
    def event(self) -> dict[str, Any]:
        """The payload read."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries in order of seq; `next` is the `after` of the following stretch or None; `head` is the last seq of the whole."""

    entries: Sequence[CommittedEntry]
    next: int | None
    head: int


def stretch(ex: Exchange, by: Actor, *, after: int = 0, head: int | None = None, limit: int = MAX_PAGE) -> Stretch:
    """Entries after seq `after` up to seq `head`, oldest first. The first call of a walk is an event.

    Args:
        head: where the walk ends; None = the newest entry.
    Raises: Denied: `by` sees only a part of the log, which proves nothing. Invalid: `audit.limit`.
    """
    _see_all(by)
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid("audit.limit", f"`limit` must be 1 to {MAX_PAGE}, not {limit}.", limit=limit)
    event = schema.audit_event.c
    with db.begin(ex) as conn:
        end = settled_head(conn) if head is None else head
        query = select(schema.audit_event).where(event.seq > after, event.seq <= end).order_by(event.seq).limit(limit + 1)
        rows = conn.execute(query).mappings().all()
        if head is None:
            log.append(conn, ex, by, AuditEntry(Action.AUDIT_VERIFIED, details={"after": after, "head": end}))
    found = [_entry(line) for line in rows[:limit]]
    return Stretch(found, found[-1].seq if len(rows) > limit else None, end)


def entry(ex: Exchange, by: Actor, seq: int) -> CommittedEntry:
    """One entry; the reading is an event.

    Raises: Denied. NotFound: `audit.unknown`.
    """
    _see_all(by)
    with db.begin(ex) as conn:
        row = conn.execute(select(schema.audit_event).where(schema.audit_event.c.seq == seq)).mappings().first()
        if row is None:
            raise NotFound("audit.unknown", f"The log has no entry {seq}.")
        log.append(conn, ex, by, AuditEntry(Action.AUDIT_READ, details={"entry": seq, "rows": 1}))
    return _entry(row)


def _see_all(by: Actor) -> None:
    if not authority.sees_all(by):
        raise Denied("role.inspect", "Only auditors and operators read the whole log; yours is under /account/log.")


def settled_head(conn: Connection) -> int:
    """The newest seq, behind which no earlier one can still appear: entries get their numbers in the order of commits."""
    return int(conn.execute(select(func.coalesce(func.max(schema.audit_event.c.seq), 0))).scalar_one())


def _entry(row: RowMapping) -> CommittedEntry:
    return CommittedEntry(row["seq"], row["at_ns"], row["payload"], row["salt"], row["commitment"])
