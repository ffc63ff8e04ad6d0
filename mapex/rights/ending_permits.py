"""Permits that end soon, to everybody of the organisations that they name: 30 days, 7 days and 1 day before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from mapex.database.schema import permit, permit_recipient
from mapex.exchange import Exchange
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import Addressed, News
from mapex.times import DAY_NS, iso_from_ns

DAYS = (30, 7, 1)
"""How long before the end; of a permit that is entered later only the nearest."""


def found(conn: Connection, ex: Exchange) -> list[Addressed]:
    """The notices of permits that are in force and end soon."""
    now = ex.now()
    soon = (permit.c.state == "active", permit.c.valid_to_ns > now, permit.c.valid_to_ns <= now + max(DAYS) * DAY_NS)
    rows = conn.execute(select(permit.c.id, permit.c.org_id, permit.c.number, permit.c.valid_to_ns).where(*soon)).all()
    query = select(permit_recipient.c.permit_id, permit_recipient.c.org_id).where(
        permit_recipient.c.permit_id.in_([row.id for row in rows])
    )
    named: dict[str, set[str]] = {row.id: {row.org_id} for row in rows}
    for permit_id, org_id in conn.execute(query):
        named[permit_id].add(org_id)
    return [Addressed(_news(row, now), org_ids=frozenset(named[row.id])) for row in rows]


def _news(row: Row[Any, Any, Any, Any], now: int) -> News:
    about = {"permit": row.number, "ends_at": iso_from_ns(row.valid_to_ns)}
    return News(NoticeKind.PERMIT, f"{row.id}:{_days(row.valid_to_ns - now)}", about)


def _days(left_ns: int) -> int:
    """The step that has been reached."""
    return min(days for days in DAYS if left_ns <= days * DAY_NS)
