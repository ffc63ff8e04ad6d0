"""What was credited to orders of payments for narrower uses: once, to the same buyer, for the same tiles, and exactly what was paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.operation.invariants.asking import Offender, ask
from mapex.prices.earlier import BILLED, PART, RETURNED
from mapex.pyramid import owned
from mapex.rules.pricing import part_of

_RIGHTLY = (
    f"WITH {owned.counting()} SELECT c.entitlement_id FROM credited_tile c JOIN entitlement e ON e.id = c.entitlement_id AND e.paid = 1 "
    "JOIN offer f ON f.id = e.offer_id JOIN purchase_order before ON before.id = e.order_id "
    "JOIN purchase_order now ON now.id = c.order_id AND now.org_id = e.org_id AND now.id <> before.id "
    "AND now.created_ns >= before.created_ns "
    "JOIN entitlement w ON w.order_id = now.id AND w.dataset_id = e.dataset_id AND w.layer_name = e.layer_name AND w.cell = e.cell "
    "AND w.part = e.part AND w.sha256 = e.sha256 AND w.paid = 1 JOIN offer o ON o.id = w.offer_id AND o.credits_earlier "
    "JOIN licences k ON k.held = o.licence AND k.wanted = f.licence JOIN purposes p ON p.held = w.purpose AND p.wanted = e.purpose"
)

_AFTER_REFUND = (
    "SELECT c.entitlement_id, c.order_id FROM credited_tile c JOIN purchase_order o ON o.id = c.order_id "
    "JOIN entitlement e ON e.id = c.entitlement_id JOIN layer l ON l.id = e.layer_id "
    "JOIN refund f ON f.order_id = e.order_id AND f.version_id = l.version_id WHERE f.created_ns < o.created_ns"
)

_CREDITED = (
    f"SELECT c.order_id, e.dataset_id, e.layer_name, n.amount + n.earlier, n.small, CAST(SUM({PART}) AS bigint) FROM credited_tile c "
    f"JOIN entitlement e ON e.id = c.entitlement_id {BILLED} "
    "GROUP BY c.order_id, e.dataset_id, e.layer_name, n.order_id, n.ordinal, n.amount, n.earlier, n.small"
)


def wrong(conn: Connection) -> Iterator[Offender]:
    """Credited tiles that should not be, and orders that were credited something else than was paid for theirs."""
    rightly = set(conn.execute(text(_RIGHTLY)).scalars())
    for entitlement_id, order_id in conn.execute(text("SELECT entitlement_id, order_id FROM credited_tile ORDER BY 1")):
        if entitlement_id not in rightly:
            yield f"entitlement {entitlement_id} was credited to order {order_id}, which is not a wider use of the same tile"
    yield from ask(conn, "entitlement {0} was credited to order {1} after it was paid back", _AFTER_REFUND)
    paid: dict[tuple[str, str, str], int] = defaultdict(int)
    for order_id, dataset_id, layer, amount, whole, small in conn.execute(text(_CREDITED)):
        paid[order_id, dataset_id, layer] += part_of(amount, small, whole) if whole else 0
    billed = text(
        "SELECT order_id, dataset_id, layer, CAST(SUM(earlier) AS bigint) FROM order_line GROUP BY order_id, dataset_id, layer ORDER BY 1"
    )
    lost = {tuple(row) for row in conn.execute(text(f"WITH RECURSIVE {RETURNED} SELECT order_id, dataset_id, layer FROM returned"))}
    for order_id, dataset_id, layer, credited in conn.execute(billed):
        most = paid.get((order_id, dataset_id, layer), 0)
        # Of what was returned before the order, nothing was credited; of what was returned after it, everything may have been.
        if credited > most or (credited < most and (order_id, dataset_id, layer) not in lost):
            yield f"order {order_id} was credited {credited} KRW for {layer}, and {paid[order_id, dataset_id, layer]} were paid before"
