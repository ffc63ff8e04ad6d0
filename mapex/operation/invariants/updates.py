"""What was sold with free updates: until when as the order says it, and nothing for nothing that was not promised to the same buyer."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.operation.invariants.asking import Offender, ask
from mapex.pyramid import owned
from mapex.rules.update_policy import free_until_ns

# What was held when the quote was held cannot be found again in all; that each free tile was paid for in an order that promised it can.
_FREE = (
    f"WITH {owned.counting()} SELECT DISTINCT p.id, n.layer, n.free_tiles, (SELECT COUNT(DISTINCT e.cell) FROM entitlement e "
    "JOIN offer o ON o.id = e.offer_id WHERE e.order_id = p.id AND e.dataset_id = n.dataset_id AND e.layer_name = n.layer "
    "AND EXISTS (SELECT 1 FROM entitlement g JOIN purchase_order b ON b.id = g.order_id AND b.created_ns <= p.created_ns "
    "JOIN order_line m ON m.order_id = b.id AND m.dataset_id = g.dataset_id AND m.layer = g.layer_name AND m.free_until_ns > q.created_ns "
    "JOIN offer f ON f.id = g.offer_id JOIN licences k ON k.held = f.licence AND k.wanted = o.licence "
    "JOIN purposes u ON u.held = g.purpose AND u.wanted = p.purpose WHERE g.org_id = p.org_id AND g.order_id <> p.id "
    "AND g.dataset_id = e.dataset_id AND g.layer_name = e.layer_name AND g.cell = e.cell AND g.paid = 1)"
    ") AS promised FROM purchase_order p JOIN quote q ON q.id = p.quote_id JOIN order_line n ON n.order_id = p.id WHERE n.free_tiles > 0"
)


def wrong(conn: Connection) -> Iterator[Offender]:
    """Lines with another end of their free updates than their order gives them, and orders that got more for nothing than was promised."""
    lines = text(
        "SELECT p.id, p.created_ns, n.layer, n.updates, n.free_until_ns FROM order_line n JOIN purchase_order p ON p.id = n.order_id "
        "WHERE n.updates <> 'paid' OR n.free_until_ns <> 0 ORDER BY p.id, n.ordinal"
    )
    for order_id, created_ns, layer, updates, until_ns in conn.execute(lines):
        if until_ns != free_until_ns(updates, created_ns):
            yield f"order {order_id} has updates of {layer} free until {until_ns}, which is not {updates}"
    free = f"SELECT * FROM ({_FREE}) f WHERE f.free_tiles > f.promised ORDER BY f.id"
    yield from ask(conn, "order {0} got {2} tiles of {1} for nothing, and {3} were promised", free)
