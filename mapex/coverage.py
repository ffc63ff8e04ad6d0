"""What is on offer where: kinds of layers per cell, for the map and its list. Counts only, no content and no seller.

A withdrawn, a foreign draft and an absent cell are all the same here: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from mapex import db, pyramid
from mapex.exchange import Exchange
from tiles.cover import Cover
from tiles.grid import ZOOM

_OFFERED = (
    "JOIN layer l ON l.id = s.layer_id JOIN offer o ON o.version_id = l.version_id AND o.state = 'live' "
    "JOIN organisation g ON g.id = o.org_id AND g.state = 'active'"
)


@dataclass(frozen=True, slots=True)
class Covered:
    """A cell with something on offer: for each kind of layer, of how many layers x sale cells."""

    cell: int
    kinds: dict[str, int]


def cells(ex: Exchange, z: int, lo: int, hi: int) -> Sequence[Covered]:
    """The covered cells of zoom `z` (6 to 16) with Morton numbers in [lo, hi), ascending."""
    statement = text(
        "SELECT s.cell, l.kind, CAST(SUM(s.cells) AS bigint) FROM tile_sum s "
        f"{_OFFERED} WHERE s.z = :z AND s.cell >= :lo AND s.cell < :hi GROUP BY s.cell, l.kind ORDER BY s.cell"
    )
    with db.read(ex) as conn:
        return _grouped(conn, statement, {"z": z, "lo": lo, "hi": hi})


def sale_cells(ex: Exchange, cover: Cover, *, limit: int) -> Sequence[Covered]:
    """The first `limit` covered sale cells of an area, ascending."""
    with db.read(ex) as conn:
        head, values = pyramid.with_ranges(conn, [(ZOOM, cover.ranges)])
        statement = text(
            f"{head}, c(cell) AS (SELECT DISTINCT s.cell FROM r CROSS JOIN tile_sum s {_OFFERED} "
            "WHERE s.z = r.z AND s.cell >= r.lo AND s.cell < r.hi ORDER BY s.cell LIMIT :most) "
            "SELECT s.cell, l.kind, CAST(SUM(s.cells) AS bigint) FROM c CROSS JOIN tile_sum s "
            f"{_OFFERED} WHERE s.z = {ZOOM} AND s.cell = c.cell GROUP BY s.cell, l.kind ORDER BY s.cell"
        )
        return _grouped(conn, statement, {**values, "most": limit})


def bounds(ex: Exchange) -> tuple[float, float, float, float] | None:
    """(west, south, east, north) of the newest offer, in degrees; None when nothing is on offer."""
    statement = text(
        "SELECT MIN(t.west), MIN(t.south), MAX(t.east), MAX(t.north) FROM tile t JOIN layer l ON l.id = t.layer_id WHERE l.version_id = "
        "(SELECT o.version_id FROM offer o JOIN organisation g ON g.id = o.org_id AND g.state = 'active' "
        "WHERE o.state = 'live' ORDER BY o.created_ns DESC LIMIT 1)"
    )
    with db.read(ex) as conn:
        row = conn.execute(statement).one()
    return None if row[0] is None else (float(row[0]), float(row[1]), float(row[2]), float(row[3]))


def _grouped(conn: Connection, statement: Any, values: dict[str, Any]) -> list[Covered]:
    found: dict[int, dict[str, int]] = {}
    for cell, kind, tiles in conn.execute(statement, values):
        found.setdefault(int(cell), {})[str(kind)] = int(tiles)
    return [Covered(cell, kinds) for cell, kinds in found.items()]
