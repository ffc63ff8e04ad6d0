"""What an area holds of each layer on offer, and what of that a buyer owns: all of it, and the tiles at its edge."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from mapex.pyramid import cell_sums, unbilled
from mapex.pyramid.cell_sums import Sum
from mapex.pyramid.unbilled import Owner, Unbilled
from tiles.batch import QUANTITIES
from tiles.grid.cover import Cover

Part = TypeVar("Part", Sum, Unbilled)


@dataclass(frozen=True, slots=True)
class AreaSums:
    """Sums by layer id: of the tiles for sale (`total`, of which `own` need not be paid), and of the edge tiles (`edge`, `own_edge`).

    `edge_cells` are the edge tiles that hold something of a layer.
    """

    total: Mapping[str, Sum]
    own: Mapping[str, Unbilled]
    edge: Mapping[str, Sum]
    own_edge: Mapping[str, Unbilled]
    edge_cells: Mapping[str, frozenset[int]]


def area_sums(
    conn: Connection, owner: Owner, cells: Cover, edge: Cover, *, left_out: bool, columns: Collection[str] = QUANTITIES
) -> AreaSums:
    """What `cells` hold, and what `edge` does: cells of the same set, unless they are `left_out` of it.

    Quantities that are not among `columns` are 0: an estimate asks for those alone that have a price.
    """
    inner = cells if left_out or not edge.count else cells.difference(edge)
    total = cell_sums.sums(conn, inner.pyramid(cell_sums.ZMIN), columns) if inner.count else {}
    found = cell_sums.cell_sums(conn, edge.ranges, columns) if edge.count else {}
    of_edge = {layer_id: one for layer_id, (_, one) in found.items()}
    own, own_edge = unbilled.sums(conn, owner, [inner, edge], columns)
    if not left_out:
        total, own = _added(total, of_edge), _added(own, own_edge)
    return AreaSums(total, own, of_edge, own_edge, {layer_id: held for layer_id, (held, _) in found.items()})


def _added(a: Mapping[str, Part], b: Mapping[str, Part]) -> dict[str, Part]:
    return {**a, **{layer_id: a[layer_id] + one if layer_id in a else one for layer_id, one in b.items()}}
