"""What is on offer where: kinds of layers per cell, for the map and its list. No content and no seller; how many, how fresh, how good.

A withdrawn, a masked, a foreign draft and an absent cell are all the same here: nothing (see `mapex.pyramid.shown`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text

from mapex.database import db
from mapex.database.live_offers import live_layers
from mapex.database.schema import layer
from mapex.exchange import Exchange
from mapex.pyramid import cell_sums
from mapex.rules import quality
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM


class Shown(NamedTuple):
    """Layers of one kind in a cell: of how many layers x sale cells, whole days since the newest was seen, the best quality.

    `quality` is 0 to 100, or `quality.UNKNOWN`.
    """

    cells: int
    age: int
    quality: int


@dataclass(frozen=True, slots=True)
class Covered:
    """A cell with something on offer, by kind of layer."""

    cell: int
    kinds: dict[str, Shown]


def cells(ex: Exchange, z: int, lo: int, hi: int) -> Sequence[Covered]:
    """The covered cells of zoom `z` (6 to 16) with Morton numbers in [lo, hi), ascending."""
    statement = text(
        "SELECT cell, kind, cells, seen_ns, quality FROM kind_sum WHERE z = :z AND cell >= :lo AND cell < :hi ORDER BY cell, kind"
    )
    with db.read(ex) as conn:
        return _grouped(ex, conn, statement, {"z": z, "lo": lo, "hi": hi})


def sale_cells(ex: Exchange, cover: Cover, *, limit: int) -> Sequence[Covered]:
    """The first `limit` covered sale cells of an area, ascending."""
    with db.read(ex) as conn:
        head, values = cell_sums.with_ranges(conn, [(ZOOM, cover.ranges)])
        statement = text(
            f"{head}, c(cell) AS (SELECT DISTINCT s.cell FROM {cell_sums.join_ranges(conn, 'kind_sum')} ORDER BY s.cell LIMIT :most) "
            "SELECT s.cell, s.kind, s.cells, s.seen_ns, s.quality FROM c CROSS JOIN kind_sum s "
            f"WHERE s.z = {ZOOM} AND s.cell = c.cell ORDER BY s.cell, s.kind"
        )
        return _grouped(ex, conn, statement, {**values, "most": limit})


def kinds(ex: Exchange) -> Sequence[str]:
    """Kinds of layers of which anything is on offer anywhere, sorted."""
    query = select(layer.c.kind).distinct().select_from(live_layers).where(layer.c.cells > 0)
    with db.read(ex) as conn:
        return sorted(str(kind) for kind in conn.execute(query).scalars())


def _grouped(ex: Exchange, conn: Connection, statement: Any, values: dict[str, Any]) -> list[Covered]:
    now = ex.now()
    found: dict[int, dict[str, Shown]] = {}
    known: dict[tuple[int, int, int], Shown] = {}  # a few layers speak for thousands of cells
    for cell, kind, *facts in conn.execute(statement, values).all():
        key = tuple(facts)
        shown = known.get(key)
        if shown is None:
            count, seen_ns, score = facts
            shown = known[key] = Shown(count, quality.age_days(seen_ns, now), score)
        if cell in found:
            found[cell][kind] = shown
        else:
            found[cell] = {kind: shown}
    return [Covered(cell, kinds) for cell, kinds in found.items()]
