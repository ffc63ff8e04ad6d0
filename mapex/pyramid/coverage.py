"""What is on offer where: kinds of layers per cell, for the map and its list. No content and no seller; how many, how fresh, how good.

A withdrawn, a masked, a foreign draft and an absent cell are all the same here: nothing (see `mapex.pyramid.shown`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text

from mapex.database import db
from mapex.database.live_offers import live_layers, live_offers
from mapex.database.schema import layer, tile
from mapex.exchange import Exchange
from mapex.pyramid import cell_sums
from mapex.rules import quality
from tiles.box import Box
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM

MOST_CELLS = 2000


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


def bounds(ex: Exchange) -> Box | None:
    """Where the cells of the newest offer are, in degrees; None when nothing is on offer."""
    newest = select(live_offers.c.version_id).order_by(live_offers.c.created_ns.desc(), live_offers.c.id).limit(1).scalar_subquery()
    query = select(layer.c.about).where(layer.c.cells > 0, layer.c.version_id == newest)
    with db.read(ex) as conn:
        boxes = [grid.around(box) for about in conn.execute(query).scalars() if (box := json.loads(about).get("box"))]
    return Box.around(boxes) or everywhere(ex)


def example(ex: Exchange) -> Box | None:
    """An area of up to four sale cells in the middle of the newest offer; None when nothing is on offer."""
    largest = (
        select(layer.c.id, layer.c.cells)
        .select_from(live_layers)
        .where(layer.c.cells > 0)
        .order_by(live_offers.c.created_ns.desc(), layer.c.cells.desc(), layer.c.id)
        .limit(1)
    )
    middle = select(tile.c.cell).order_by(tile.c.cell).limit(1)
    with db.read(ex) as conn:
        found = conn.execute(largest).first()
        if found is None:
            return None
        cell = conn.execute(middle.where(tile.c.layer_id == found.id).offset(found.cells // 2)).scalar_one()
    return grid.bounds(grid.parent(int(cell), ZOOM, ZOOM - 1), ZOOM - 1)


def everywhere(ex: Exchange) -> Box | None:
    """Where anything is on offer, to the next cell of the coarsest zooms; None when nothing is."""
    statement = text("SELECT DISTINCT cell FROM kind_sum WHERE z = :z")
    with db.read(ex) as conn:
        for z in (cell_sums.ZMIN + 4, cell_sums.ZMIN):
            found = [int(row[0]) for row in conn.execute(statement, {"z": z})]
            if len(found) <= MOST_CELLS:
                break
    return Box.around(grid.bounds(cell, z) for cell in found)


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
