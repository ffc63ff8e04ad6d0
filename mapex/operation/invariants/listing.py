"""What is listed, sold or classless and should not be."""

from __future__ import annotations

from sqlalchemy import Connection

from mapex.operation.invariants.asking import RELEASED, Offender, ask


def leaked(conn: Connection) -> list[Offender]:
    """I6: what is listed, sold or classless and should not be."""
    return [
        *ask(
            conn,
            "layer {0} is listed and not on offer",
            "SELECT s.layer_id FROM (SELECT DISTINCT layer_id FROM tile_sum) s JOIN layer l ON l.id = s.layer_id "
            "JOIN dataset_version v ON v.id = l.version_id LEFT JOIN offer o ON o.version_id = v.id AND o.state = 'live' "
            "WHERE o.id IS NULL OR v.state <> 'published'",
        ),
        *ask(
            conn,
            "offer {0} is live and its version is {1}",
            "SELECT o.id, v.state FROM offer o JOIN dataset_version v ON v.id = o.version_id "
            "WHERE o.state = 'live' AND v.state <> 'published'",
        ),
        *ask(
            conn,
            "layer {0} is published without a handling class",
            "SELECT l.id FROM layer l JOIN dataset_version v ON v.id = l.version_id "
            f"WHERE v.state IN {RELEASED} AND l.handling_class IS NULL",
        ),
        *ask(
            conn,
            "order {0} holds tiles of version {1}, which is {2}",
            "SELECT DISTINCT e.order_id, v.id, v.state FROM entitlement e JOIN layer l ON l.id = e.layer_id "
            f"JOIN dataset_version v ON v.id = l.version_id WHERE v.state NOT IN {RELEASED}",
        ),
    ]
