"""A permit as it was at an entry of the log: replayed from the entries about it up to there, never taken from what is stored today."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from mapex.audit.log import Action
from mapex.database import db
from mapex.database.schema import audit_event
from mapex.exchange import Actor, Exchange
from mapex.rights import permits
from mapex.rights.permit import Permit, area_digest
from mapex.times import ns_from_iso

STATES: Mapping[str, str] = {
    Action.PERMIT_SUSPENDED: "suspended",
    Action.PERMIT_RESUMED: "active",
    Action.PERMIT_REVOKED: "revoked",
}
"""What each entry about a permit that was entered makes of it."""


@dataclass(frozen=True, slots=True)
class PastPermit:
    """A permit by the entries up to one; `made_by` are their numbers. `has_area`: its area is the one that the log names."""

    permit: Permit
    made_by: tuple[int, ...]
    has_area: bool


def as_of(ex: Exchange, by: Actor, number: str, seq: int) -> PastPermit | None:
    """The permit as it was when entry `seq` was written; None: no entry before it made one, or `by` may not see it.

    The log names an area by its digest only. The stored one is taken for it when it has that digest.
    """
    stored = next((one for one in permits.all_permits(ex, by) if one.number == number), None)
    event = audit_event.c
    query = select(event.seq, event.payload).where(
        event.permit == number, event.seq <= seq, event.action.in_([Action.PERMIT_ADDED, *STATES])
    )
    with db.read(ex) as conn:
        rows = conn.execute(query.order_by(event.seq)).all()
    known = _replayed(json.loads(row.payload) for row in rows)
    if stored is None or known is None:
        return None
    past = replace(
        stored,
        org=known["owner"],
        purposes=tuple(known["purposes"]),
        classes=tuple(known["classes"]),
        recipients=tuple(known["recipients"]),
        rule_set=known["rule_set"],
        valid_from_ns=ns_from_iso(known["valid_from"]),
        valid_to_ns=ns_from_iso(known["valid_to"]),
        state=known["state"],
    )
    return PastPermit(past, tuple(row.seq for row in rows), known.get("area_sha256") == area_digest(stored.area_text))


def _replayed(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    known: dict[str, Any] | None = None
    for entry in entries:
        if entry["action"] == Action.PERMIT_ADDED:
            known = {**entry, "state": "active"}
        elif known is not None:
            known["state"] = STATES[entry["action"]]
    return known
