"""Areas that overlap are joined, unless their outlines cross each other too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tiles.errors import InvalidRegion
from tiles.grid import grid

if TYPE_CHECKING:
    from shapely import Geometry

MAX_OVERLAPS = 10_000
"""Most places where the outlines of areas that overlap cross each other: what joining them costs, and how many corners it makes."""

_SURELY_FEW = 100
"""Vertices of two areas whose outlines are not worth being compared before they are joined."""


def joined_areas(areas: NDArray[np.object_]) -> Geometry:
    """One geometry of areas that overlap: neighbours are joined, and then those, until one is left.

    How often outlines cross is counted before: two combs of 2,500 teeth make six million corners, and cost minutes and gigabytes.

    Raises: InvalidRegion: `region.too_winding`.
    """
    import shapely

    middle = shapely.get_coordinates(shapely.centroid(areas))
    areas, left = areas[np.argsort(grid.cells_at(middle[:, 0], middle[:, 1]), kind="stable")], MAX_OVERLAPS
    while len(areas) > 1:
        first, second = areas[: len(areas) // 2 * 2 : 2], areas[1::2]
        large = (shapely.get_num_coordinates(first) > _SURELY_FEW) | (shapely.get_num_coordinates(second) > _SURELY_FEW)
        for a, b in zip(first[large], second[large], strict=True):
            left -= _crossings_of(a, b, left)
        areas = np.concatenate([shapely.union(first, second), areas[len(first) * 2 :]])
    whole: Geometry = areas[0]
    return whole


def _crossings_of(a: Geometry, b: Geometry, most: int) -> int:
    """How often the outlines of two areas meet. Raises: InvalidRegion: more than `most` times."""
    import shapely

    tree, others = shapely.STRtree(_edges(a)), _edges(b)
    found = 0
    for at in range(0, len(others), _SURELY_FEW):
        found += tree.query(others[at : at + _SURELY_FEW], predicate="intersects").shape[1]
        if found > most:
            raise InvalidRegion(
                f"The areas of the region overlap; their outlines cross more than {MAX_OVERLAPS:,} times. Simplify them.",
                code="region.too_winding",
                limit=MAX_OVERLAPS,
            )
    return found


def _edges(area: Geometry) -> NDArray[np.object_]:
    """Every edge of the outline as a line of two points."""
    import shapely

    lon_lat, owner = shapely.get_coordinates(shapely.get_rings(area), return_index=True)
    a = np.flatnonzero(owner[1:] == owner[:-1])
    return np.asarray(shapely.linestrings(np.stack([lon_lat[a], lon_lat[a + 1]], axis=1)), object)
