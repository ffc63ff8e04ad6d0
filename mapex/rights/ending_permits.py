"""Permits that end soon, to everybody of the organisations that they name: 30 days, 7 days and 1 day before."""

from __future__ import annotations

from sqlalchemy import Connection, select

from mapex.database.schema import permit, permit_recipient
from mapex.exchange import Exchange
from mapex.notices.kind import Kind
from mapex.notices.outbox import Addressed, News
from mapex.times import DAY_NS

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
    return [
        Addressed(
            News(Kind.PERMIT, f"{row.id}:{_days(row.valid_to_ns - now)}", {"permit": row.number, "ends_ns": row.valid_to_ns}),
            org_ids=frozenset(named[row.id]),
        )
        for row in rows
    ]


def _days(left_ns: int) -> int:
    """The step that has been reached."""
    return min(days for days in DAYS if left_ns <= days * DAY_NS)
