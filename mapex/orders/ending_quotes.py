"""Quotes that end in some minutes and were not bought, to whoever asked: only of the newest, for each look at a price makes one."""

from __future__ import annotations

from sqlalchemy import Connection, text

from mapex.exchange import Exchange
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import Addressed, News
from mapex.times import MINUTE_NS, iso_from_ns

BEFORE_NS = 3 * MINUTE_NS
"""So long before its end, but not in the first two thirds of the time that a quote is held."""

_ENDING = (
    "SELECT q.id, q.person_id, q.expires_ns FROM quote q JOIN person p ON p.id = q.person_id AND p.org_id = q.org_id "
    "WHERE q.expires_ns > :now AND q.expires_ns <= :soon "
    "AND NOT EXISTS (SELECT 1 FROM purchase_order b WHERE b.quote_id = q.id) "
    "AND NOT EXISTS (SELECT 1 FROM quote n WHERE n.person_id = q.person_id AND n.created_ns > q.created_ns AND n.expires_ns > :now) "
    "AND NOT EXISTS (SELECT 1 FROM notice x WHERE x.person_id = q.person_id AND x.kind = 'quote' AND x.cause = q.id)"
)


def found(conn: Connection, ex: Exchange) -> list[Addressed]:
    """The notices of quotes that end soon."""
    now = ex.now()
    soon = now + min(BEFORE_NS, ex.settings.quote_minutes * MINUTE_NS // 3)
    return [
        Addressed(News(NoticeKind.QUOTE, row.id, {"quote": row.id, "ends_at": iso_from_ns(row.expires_ns)}), frozenset([row.person_id]))
        for row in conn.execute(text(_ENDING), {"now": now, "soon": soon})
    ]
