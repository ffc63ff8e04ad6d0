"""A small picture of a dataset for lists: its public lines, or the squares where it is, in a box. Never of what needs a permit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import bindparam, text

from mapex.catalogue import previews
from mapex.database import db
from mapex.exchange import Exchange
from mapex.offers import products
from mapex.rules.licences import HandlingClass
from tiles.arrays import Float64s
from tiles.features import teaser
from tiles.grid import grid

MOST_LINES = 4000
_FINEST, _COARSEST, _MOST_SQUARES = 16, 6, 900
_EDGE = 0.04
"""Of the side, left free around what is drawn."""


@dataclass(frozen=True, slots=True)
class DrawnDataset:
    """`lines` by kind of layer and `squares`, each (n, 4): x0, y0, x1, y1 from 0 to 1, x to the right, y downwards."""

    lines: Sequence[tuple[str, Float64s]]
    squares: Float64s


def draw(ex: Exchange, org: str, slug: str) -> DrawnDataset:
    """The picture of a dataset on offer: the same for everybody.

    Raises: NotFound (`dataset.unknown`).
    """
    with db.read(ex) as conn:
        version_id = products.on_offer(conn, org, slug)["version_id"]
        rows = conn.execute(_TEASERS, {"version": version_id, "shown": [str(one) for one in HandlingClass if not one.needs_permit]}).all()
        z, cells = _FINEST, list[int]()
        for z in range(_FINEST, _COARSEST - 1, -1):
            cells = list(conn.execute(_CELLS, {"z": z, "version": version_id, "most": _MOST_SQUARES + 1}).scalars())
            if len(cells) <= _MOST_SQUARES:
                break
    x, y = grid.xy(np.array(cells, np.uint64))
    squares = np.column_stack([x, y, x + np.uint64(1), y + np.uint64(1)]).astype(np.float64) / 2.0**z
    store: Any = ex.store  # a protocol does not promise that its implementations can be keys of a cache
    lines = [(kind, _world(previews.teaser_of(store, key))) for kind, key in rows]
    frame = _frame([part for _, part in lines if len(part)] or [squares])
    return DrawnDataset([(kind, _placed(part, frame)) for kind, part in lines], _placed(squares, frame))


def _world(drawn: teaser.Teaser) -> Float64s:
    """Segments in the unit square of the world, no more than a picture can show: evenly some of them."""
    some = drawn.segments[:: max(1, -(-len(drawn.segments) // MOST_LINES))]
    placed: Float64s = (some.astype(np.float64) + 0.5) / 2.0**drawn.zoom
    return placed


def _frame(parts: Sequence[Float64s]) -> tuple[float, float, float]:
    """Left, top and side of the square around all."""
    xy = np.concatenate([part.reshape(-1, 2) for part in parts]) if parts else np.zeros((0, 2))
    if not len(xy):
        return 0.0, 0.0, 1.0
    low, high = np.percentile(xy, 1, axis=0), np.percentile(xy, 99, axis=0)
    side = max(float((high - low).max()), 2.0**-22) * (1 + 2 * _EDGE)
    left, top = (low + high) / 2 - side / 2
    return float(left), float(top), side


def _placed(part: Float64s, frame: tuple[float, float, float]) -> Float64s:
    left, top, side = frame
    placed: Float64s = (part - np.array([left, top, left, top])) / side
    seen = ((placed.max(axis=1) >= 0) & (placed.min(axis=1) <= 1)) if len(placed) else np.zeros(0, np.bool_)
    kept: Float64s = placed[seen]
    return kept


_TEASERS = text(
    "SELECT l.kind, p.object_key FROM preview p JOIN layer l ON l.id = p.layer_id WHERE l.version_id = :version AND p.kind = 'teaser' "
    "AND l.handling_class IN :shown ORDER BY l.name"
).bindparams(bindparam("shown", expanding=True))
_CELLS = text(
    "SELECT DISTINCT s.cell FROM tile_sum s JOIN layer l ON l.id = s.layer_id WHERE l.version_id = :version AND s.z = :z "
    "ORDER BY s.cell LIMIT :most"
)
