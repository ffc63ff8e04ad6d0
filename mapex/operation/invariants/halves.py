"""What only a half-done action leaves."""

from __future__ import annotations

from sqlalchemy import Connection

from mapex.database import db
from mapex.operation.invariants.asking import Offender, ask


def halves(conn: Connection) -> list[Offender]:
    """I11: what only a half-done action leaves."""
    found = [
        *ask(
            conn,
            "order {0} gives no tile",
            "SELECT o.id FROM purchase_order o WHERE NOT EXISTS (SELECT 1 FROM entitlement e WHERE e.order_id = o.id)",
        ),
        *ask(
            conn,
            "order {0} has no payment",
            "SELECT o.id FROM purchase_order o LEFT JOIN ledger_transaction t ON t.order_id = o.id AND t.kind = 'order' WHERE t.id IS NULL",
        ),
        *ask(
            conn,
            "transaction {0} has no entries",
            "SELECT t.id FROM ledger_transaction t LEFT JOIN purchase_order o ON o.id = t.order_id "
            "WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id) AND COALESCE(o.total, 1) <> 0",
        ),
        *ask(
            conn,
            "version {0} is {1} and was never on offer",
            "SELECT v.id, v.state FROM dataset_version v WHERE v.state IN ('published', 'superseded') "
            "AND NOT EXISTS (SELECT 1 FROM offer o WHERE o.version_id = v.id)",
        ),
        *ask(
            conn,
            "version {0} is being read and no job does it",
            "SELECT v.id FROM dataset_version v WHERE v.state = 'ingesting' AND NOT EXISTS "
            "(SELECT 1 FROM job j WHERE j.version_id = v.id AND j.state IN ('queued', 'running'))",
        ),
    ]
    if db.is_sqlite(conn):
        found += ask(conn, "row {1} of {0} refers to a {2} that is not there", "PRAGMA foreign_key_check")
    return found
