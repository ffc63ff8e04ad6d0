"""MapLayer cut into the tiles of the web map, zoom by zoom.

Positions are those of Web Mercator as parts of the world's side: (0, 0) is its north-western corner, (1, 1) its south-eastern.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mapex.basemap.vector_tile import EXTENT, Value, layer
from tiles.arrays import Float64s

BUFFER = 64 / EXTENT
"""Part of a tile's side by which its lines and areas reach beyond it, so that no seam shows."""
NORTHMOST = 85.051128779806604


class Tile(NamedTuple):
    """Zoom, column, row."""

    z: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class MapLayer:
    """A layer: geometries in degrees (all points, all lines or all areas), and what is known of each."""

    layer: str
    geometries: Any
    values: Sequence[Mapping[str, Value]]


def cut(features: Sequence[MapLayer], zoom: int) -> Iterator[tuple[Tile, bytes]]:
    """The tiles of a zoom that hold something, each as a vector tile; what bears the name of one layer is one layer."""
    import shapely

    found: dict[Tile, dict[str, tuple[list[Any], list[Mapping[str, Value]]]]] = {}
    for one in features:
        geometries = shapely.transform(np.asarray(one.geometries, dtype=object), mercator)
        for tile, pieces, rows in _pieces(geometries, zoom):
            shapes, values = found.setdefault(tile, {}).setdefault(one.layer, ([], []))
            shapes += [*_on_tile(pieces, tile)]
            values += [one.values[row] for row in rows]
    for tile in sorted(found):
        if body := b"".join(layer(name, shapes, values) for name, (shapes, values) in found[tile].items()):
            yield tile, body


def mercator(degrees: Float64s) -> Float64s:
    """Longitude and latitude to parts of the world's side."""
    lat = np.radians(np.clip(degrees[:, 1], -NORTHMOST, NORTHMOST))
    return np.column_stack([degrees[:, 0] / 360 + 0.5, 0.5 - np.arctanh(np.sin(lat)) / (2 * np.pi)])


def _pieces(geometries: Any, zoom: int) -> Iterator[tuple[Tile, Any, Any]]:
    """What is on each tile of a zoom, and the rows it is of: the world is quartered, and each quarter holds what its parent held."""
    import shapely

    kind = int(shapely.get_dimensions(geometries).max(initial=0))
    margin = BUFFER / (1 << zoom) if kind else 0.0
    waiting = [(Tile(0, 0, 0), geometries, np.arange(len(geometries)))]
    while waiting:
        tile, found, rows = waiting.pop()
        side = 1 / (1 << tile.z)
        west, north = tile.x * side, tile.y * side
        found = _clipped(found, (west - margin, north - margin, west + side + margin, north + side + margin), kind)
        there = ~shapely.is_empty(found) & (shapely.get_dimensions(found) == kind)
        found, rows = found[there], rows[there]
        if len(found) and tile.z == zoom:
            yield tile, found, rows
        elif len(found):
            waiting += [(Tile(tile.z + 1, 2 * tile.x + i, 2 * tile.y + j), found, rows) for i in (0, 1) for j in (0, 1)]


def _clipped(geometries: Any, box: tuple[float, float, float, float], kind: int) -> Any:
    """The part of each in a box; only what reaches over its edge is looked at. Areas that touch it may leave a line or a point."""
    import shapely

    bounds = shapely.bounds(geometries)
    is_off = (bounds[:, 0] > box[2]) | (bounds[:, 2] < box[0]) | (bounds[:, 1] > box[3]) | (bounds[:, 3] < box[1])
    is_over = ((bounds[:, :2] < box[:2]) | (bounds[:, 2:] > box[2:])).any(axis=1) & ~is_off
    found, over = geometries.copy(), geometries[is_over]
    found[is_off] = shapely.Point()
    found[is_over] = shapely.intersection(over, shapely.box(*box)) if kind == 2 else shapely.clip_by_rect(over, *box)
    return found


def _on_tile(geometries: Any, tile: Tile) -> Any:
    """In units of the tile, whole numbers."""
    import shapely

    return shapely.transform(geometries, lambda at: np.round((at * (1 << tile.z) - [tile.x, tile.y]) * EXTENT))
