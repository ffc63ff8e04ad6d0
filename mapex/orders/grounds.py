"""Where orders and quotes are: one name for the ground of each, and of how many squares it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import String, bindparam, text

from mapex import authority
from mapex.atlas import naming
from mapex.atlas.naming import Named
from mapex.database import db
from mapex.exchange import Actor, Exchange
from mapex.prices.quotes import Quote

MOST_LOOKED_AT = 100
"""Cells of an order by which it is named, evenly over all of them."""
FEWEST_LOOKED_AT = 4
TOGETHER = 5000
"""Cells that are looked at for a list of orders; of a long list fewer of each."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the ground is called, and its squares: sale cells, however many layers are in each."""

    named: Named
    squares: int


def of_orders(ex: Exchange, by: Actor, order_ids: Sequence[str]) -> dict[str, Ground]:
    """The ground of each of these orders of `by`'s organisation."""
    org_id = authority.member(by)
    statement = text(
        "WITH c AS (SELECT DISTINCT order_id, cell FROM entitlement WHERE order_id IN :orders AND org_id = :org), "
        "n AS (SELECT order_id, cell, ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY cell) AS nth, "
        "COUNT(*) OVER (PARTITION BY order_id) AS squares FROM c) "
        "SELECT order_id, cell, squares FROM n WHERE (nth - 1) % (squares / :most + 1) = 0 ORDER BY order_id, cell"
    ).bindparams(bindparam("orders", expanding=True, type_=String()))
    most = min(MOST_LOOKED_AT, max(FEWEST_LOOKED_AT, TOGETHER // max(1, len(order_ids))))
    with db.read(ex) as conn:
        rows = conn.execute(statement, {"orders": list(order_ids), "org": org_id, "most": most}).all()
    cells: dict[str, list[int]] = {}
    for order_id, cell, _ in rows:
        cells.setdefault(order_id, []).append(int(cell))
    squares = {order_id: int(count) for order_id, _, count in rows}
    named = {order_id: naming.of_cells(ex, cells[order_id]) for order_id in cells}
    return {order_id: Ground(one, squares[order_id]) for order_id, one in named.items() if one is not None}


def of_quote(ex: Exchange, quote: Quote) -> Ground | None:
    """The ground that a quote was asked for; None for one of nothing."""
    cover = quote.price_request.cover
    step = cover.count // MOST_LOOKED_AT + 1
    cells = [int(cell) for cell in cover.cells()[::step]] if cover.count else []
    named = naming.of_cells(ex, cells)
    return Ground(named, cover.count) if named else None
