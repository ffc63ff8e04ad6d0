"""What the directory store sent: one row for each grant of which the last byte of the file went out.

MinIO sends by itself, so nothing is known there; nor of grants from before this was written down, whose rows have no time.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from mapex.database import db
from mapex.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Served:
    """Files of an order that were read to their end, and how often; all of it None where nobody knows."""

    read: int | None = None
    reads: int | None = None
    first_read_ns: int | None = None
    last_read_ns: int | None = None


def record(ex: Exchange, grant_id: str) -> None:
    """The last byte of a grant's file went out. Once for each grant; an id that is no grant's changes nothing."""
    with db.begin(ex) as conn:
        conn.execute(
            text(
                "INSERT INTO access_served (grant_id, served_ns) SELECT id, :now FROM access_grant WHERE id = :grant "
                "ON CONFLICT (grant_id) DO NOTHING"
            ),
            {"now": ex.now(), "grant": grant_id},
        )


def of_order(conn: Connection, ex: Exchange, order_id: str) -> Served:
    """What is known of the order's files."""
    if ex.settings.store != "directory":
        return Served()
    query = text(
        "SELECT COUNT(DISTINCT CASE WHEN s.served_ns IS NOT NULL THEN e.id END) AS files, COUNT(s.served_ns) AS times, "
        "MIN(s.served_ns) AS first_ns, MAX(s.served_ns) AS last_ns, COUNT(s.grant_id) - COUNT(s.served_ns) AS unknown "
        "FROM entitlement e JOIN access_grant a ON a.entitlement_id = e.id LEFT JOIN access_served s ON s.grant_id = a.id "
        "WHERE e.order_id = :order"
    )
    found = conn.execute(query, {"order": order_id}).mappings().one()
    return Served() if found["unknown"] else Served(found["files"], found["times"], found["first_ns"], found["last_ns"])
