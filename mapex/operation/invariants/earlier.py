"""What was credited to orders of earlier payments: once, to the same buyer, and exactly what was paid for the same content.

Of older contents it is what did not change (`mapex.prices.earlier`), computed again here from what the order has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, text

from mapex.catalogue import comparisons
from mapex.operation.invariants.asking import Offender, ask
from mapex.prices.earlier import BILLED, COUNTED, PART, RETURNED
from mapex.pyramid import owned
from mapex.rules.pricing import kept_credit, least_price, parsed_rates, part_of
from mapex.rules.update_policy import DIFFERENCE
from tiles.batch import QUANTITIES, Quantities

_CELL = "w.org_id = e.org_id AND w.dataset_id = e.dataset_id AND w.layer_name = e.layer_name AND w.cell = e.cell"
_CONTENT = f"{_CELL} AND w.part = e.part AND w.sha256 = e.sha256"

_SAME = f"EXISTS (SELECT 1 FROM entitlement w WHERE w.order_id = c.order_id AND {_CONTENT})"
"""Whether a credited tile `e` has the content that the order `c` bought."""

_PAID = (
    "SELECT c.entitlement_id FROM credited_tile c JOIN entitlement e ON e.id = c.entitlement_id AND e.paid = 1 "
    "JOIN offer f ON f.id = e.offer_id JOIN purchase_order before ON before.id = e.order_id "
    "JOIN purchase_order now ON now.id = c.order_id AND now.org_id = e.org_id AND now.id <> before.id "
    "AND now.created_ns >= before.created_ns"
)

_WIDER = (
    f"{_PAID} JOIN entitlement w ON w.order_id = now.id AND {_CONTENT} AND w.paid = 1 JOIN offer o ON o.id = w.offer_id "
    "AND o.credits_earlier JOIN licences k ON k.held = o.licence AND k.wanted = f.licence "
    "JOIN purposes p ON p.held = w.purpose AND p.wanted = e.purpose"
)

_NEWER = (
    f"{_PAID} JOIN entitlement w ON w.order_id = now.id AND {_CELL} AND w.paid = 1 JOIN offer o ON o.id = w.offer_id "
    "JOIN order_line m ON m.order_id = before.id AND m.dataset_id = e.dataset_id AND m.layer = e.layer_name "
    f"AND m.updates = '{DIFFERENCE}' JOIN licences k ON k.held = f.licence AND k.wanted = o.licence "
    f"JOIN purposes p ON p.held = e.purpose AND p.wanted = w.purpose WHERE NOT {_SAME}"
)

_RIGHTLY = f"WITH {owned.counting()} {_WIDER} UNION {_NEWER}"

_AFTER_REFUND = (
    "SELECT c.entitlement_id, c.order_id FROM credited_tile c JOIN purchase_order o ON o.id = c.order_id "
    "JOIN entitlement e ON e.id = c.entitlement_id JOIN layer l ON l.id = e.layer_id "
    "JOIN refund f ON f.order_id = e.order_id AND f.version_id = l.version_id WHERE f.created_ns < o.created_ns"
)

_CREDITED = (
    f"SELECT c.order_id, e.dataset_id, e.layer_name, n.amount + n.earlier, n.small, CAST(SUM({PART}) AS bigint) FROM credited_tile c "
    f"JOIN entitlement e ON e.id = c.entitlement_id {BILLED} WHERE {_SAME} "
    "GROUP BY c.order_id, e.dataset_id, e.layer_name, n.order_id, n.ordinal, n.amount, n.earlier, n.small"
)

_OLDER = (
    f"SELECT c.order_id, e.dataset_id, e.layer_name, e.cell, e.layer_id, e.id, n.amount + n.earlier, n.small, {PART}, "
    f"{COUNTED.format('l', 'p')} FROM credited_tile c JOIN entitlement e ON e.id = c.entitlement_id JOIN layer l ON l.id = e.layer_id "
    f"{BILLED} WHERE NOT {_SAME} ORDER BY c.order_id, e.id"
)

_CHARGED = (
    f"SELECT w.order_id, w.dataset_id, w.layer_name, w.cell, w.layer_id, o.rate_card, CAST(SUM({COUNTED.format('l', 't')}) AS bigint), "
    f"{', '.join(f'CAST(SUM(t.{name}) AS bigint)' for name in QUANTITIES)} FROM (SELECT DISTINCT c.order_id, e.org_id, e.dataset_id, "
    f"e.layer_name, e.cell FROM credited_tile c JOIN entitlement e ON e.id = c.entitlement_id WHERE NOT {_SAME}) e "
    f"JOIN entitlement w ON w.order_id = e.order_id AND {_CELL} AND w.paid = 1 "
    "JOIN tile t ON t.layer_id = w.layer_id AND t.cell = w.cell AND t.part = w.part JOIN layer l ON l.id = w.layer_id "
    "JOIN offer o ON o.id = w.offer_id GROUP BY w.order_id, w.dataset_id, w.layer_name, w.cell, w.layer_id, o.rate_card"
)
"""What was charged of each cell for which older contents were credited."""

_Bought = tuple[str, str, str]
"""A layer of an order: order, dataset, name."""


def wrong(conn: Connection) -> Iterator[Offender]:
    """Credited tiles that should not be, and orders that were credited something else than was paid for theirs."""
    rightly = set(conn.execute(text(_RIGHTLY)).scalars())
    for entitlement_id, order_id in conn.execute(text("SELECT entitlement_id, order_id FROM credited_tile ORDER BY 1")):
        if entitlement_id not in rightly:
            yield f"entitlement {entitlement_id} was credited to order {order_id}, which is neither a wider use of the tile nor a newer one"
    yield from ask(conn, "entitlement {0} was credited to order {1} after it was paid back", _AFTER_REFUND)
    paid = _unchanged(conn)
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


def _unchanged(conn: Connection) -> dict[_Bought, int]:
    """What was paid of all that did not change of the credited older contents, at most what it cost when it was credited."""
    older: dict[tuple[_Bought, int, str], dict[str, int]] = defaultdict(dict)
    paid: dict[tuple[_Bought, int, str], int] = defaultdict(int)
    for order_id, dataset_id, layer, cell, held_id, entitlement_id, amount, whole, small, features in conn.execute(text(_OLDER)):
        at = (order_id, dataset_id, layer), cell, held_id
        older[at][entitlement_id] = features
        paid[at] += part_of(amount, small, whole)
    charged = {(tuple(row[:3]), row.cell): row for row in conn.execute(text(_CHARGED)).all()}
    cells: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for bought, cell, held_id in older:
        if row := charged.get((bought, cell)):
            cells[row.layer_id][held_id].add(cell)
    fresh = {layer_id: comparisons.fresh(conn, layer_id, held) for layer_id, held in cells.items()}
    found: dict[_Bought, int] = defaultdict(int)
    for (bought, cell, held_id), tiles in older.items():
        row = charged.get((bought, cell))
        if row and (held_id, cell) in fresh[row.layer_id]:
            features, price = row[6], least_price(parsed_rates(row.rate_card), Quantities(*row[7:]))
            kept = max(0, features - fresh[row.layer_id][held_id, cell])
            found[bought] += kept_credit(kept, (paid[bought, cell, held_id], sum(tiles.values())), (price, features))
    return found
