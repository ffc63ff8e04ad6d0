"""Ground in a filter of the log: an entry is on it when its tile is. What people write becomes one in `mapex.atlas.grounds`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import false, func, literal_column, or_

from mapex.database import schema
from mapex.errors import Invalid

if TYPE_CHECKING:
    from tiles.grid.cover import Cover

MOST_PIECES = 10_000
"""Cells of mixed zoom that a ground may take: a province takes some thousand."""


@dataclass(frozen=True, slots=True)
class AskedGround:
    """The sale cells of a ground, and the text that it was written as."""

    text: str
    cover: Cover


def conditions(ground: AskedGround) -> list[Any]:
    """What holds of a row of `audit_event` whose tile is on the ground.

    Raises: Invalid: `audit.region`.
    """
    import numpy as np

    from tiles.grid import grid

    pieces = ground.cover.pyramid()
    if sum(int((ranges[:, 1] - ranges[:, 0]).sum()) for _, ranges in pieces) > MOST_PIECES:
        raise Invalid("audit.region", "The outline of the region is too long for a filter; draw a simpler or smaller one.")
    tile = schema.audit_event.c.tile
    keys: list[str] = []
    beginnings: list[Any] = []
    for z, ranges in pieces:
        cells = np.concatenate([np.arange(low, high, dtype=np.uint64) for low, high in ranges])
        keys += (found := grid.quadkeys(cells, z))
        beginnings.append(func.substr(tile, literal_column("1"), literal_column(str(z))).in_(found))
    if not keys:
        return [false()]
    # The index of tiles serves a range: from the first key to behind the last, whose digits are 0 to 3.
    return [tile >= min(keys), tile < max(keys) + "4", func.length(tile) >= grid.ZOOM, or_(*beginnings)]
