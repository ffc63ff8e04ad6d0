"""The divisions of Korea as one mosaic: no gap, no overlap, so that a line between two neighbours is one line and not two.

The boundaries as they come were simplified one by one: neighbours are up to 20 m apart, or overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mapex.places import boundaries
from mapex.places.boundaries import LEVELS, Boundary
from tiles.arrays import Float64s, Int64s

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

GAP, SNAP = 1e-3, 2e-5
"""Degrees: gaps less than about 100 m wide are closed, corners nearer than 2 m are one."""

COAST = len(LEVELS)
"""Level of a line with a division on one side only."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The smallest divisions, and of each its code."""

    codes: Sequence[str]
    areas: Any
    """Array of polygons whose neighbours share their corners."""

    def dissolved(self, level: int) -> Mosaic:
        """The mosaic of the divisions of a level."""
        import shapely

        short = np.array([code[: LEVELS[level].digits] for code in self.codes])
        codes, group = np.unique(short, return_inverse=True)
        order = np.argsort(group, kind="stable")
        whole = [shapely.coverage_union_all(part) for part in np.split(self.areas[order], np.cumsum(np.bincount(group))[:-1])]
        return Mosaic([str(code) for code in codes], np.array(whole, dtype=object))

    def simplified(self, tolerance: float) -> Mosaic:
        """With fewer corners; neighbours still share theirs."""
        import shapely

        return Mosaic(self.codes, shapely.coverage_simplify(self.areas, tolerance))

    def land(self) -> BaseGeometry:
        """All of it as one area."""
        import shapely

        return shapely.coverage_union_all(self.areas)

    def lines(self) -> dict[int, BaseGeometry]:
        """Each line once, by the highest level at which the two sides differ; `COAST` where nothing is beyond."""
        import shapely

        edges, owners = self._edges()
        order = np.lexsort(edges.T)
        edges, owners = edges[order], owners[order]
        is_first = np.append(True, (np.diff(edges, axis=0) != 0).any(axis=1))
        start = np.flatnonzero(is_first)
        is_pair = np.append(start[1:], len(edges)) - start > 1
        sides = owners[start], owners[np.where(is_pair, start + 1, start)]
        level = np.where(is_pair, self._level(*sides), COAST)
        lines: Any = shapely.linestrings(edges[start].reshape(-1, 2, 2))
        return {int(one): shapely.line_merge(shapely.multilinestrings(lines[level == one])) for one in np.unique(level)}

    def _edges(self) -> tuple[Float64s, Int64s]:
        """(n, 4) ends of every edge, the lesser end first, and the row that it is of."""
        import shapely

        parts, of_part = shapely.get_parts(self.areas, return_index=True)
        rings, of_ring = shapely.get_rings(parts, return_index=True)
        at, of_corner = shapely.get_coordinates(rings, return_index=True)
        inside = of_corner[1:] == of_corner[:-1]
        start, end = at[:-1][inside], at[1:][inside]
        back = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
        edges = np.where(back[:, None], np.hstack([end, start]), np.hstack([start, end]))
        return edges, of_part[of_ring[of_corner[1:][inside]]]

    def _level(self, one: Int64s, other: Int64s) -> Int64s:
        """The first level at which the codes of two rows differ."""
        same = np.zeros(len(one), np.int64)
        for level in LEVELS[:-1]:
            _, number = np.unique([code[: level.digits] for code in self.codes], return_inverse=True)
            same += number[one] == number[other]
        return same


def load() -> Mosaic:
    """The mosaic of all ri, and of those eup, myeon and dong that have none; what is too narrow to be left is part of its neighbour."""
    import shapely

    villages = boundaries.load("ri")
    towns = {one.code[:8] for one in villages}
    rows: list[Boundary] = [*villages, *(one for one in boundaries.load("emd") if one.code not in towns)]
    codes = np.array([one.code for one in rows])
    parts, row = shapely.get_parts([one.geometry for one in rows], return_index=True)
    _close(parts, codes[row])
    pieces, part = shapely.get_parts(parts, return_index=True)
    left, place = np.unique(row[part], return_inverse=True)
    order = np.argsort(place, kind="stable")
    return Mosaic(codes[left].tolist(), shapely.multipolygons(pieces[order], indices=place[order]))


def _close(parts: Any, codes: Any) -> None:
    """Close the gaps between parts of divisions, first those within a sigungu, for the time grows with the square of what is to be closed.

    A part that is near no other, such as an islet, has no gap.
    """
    import shapely

    around = shapely.box(*(shapely.bounds(parts) + [-GAP, -GAP, GAP, GAP]).T)
    near, _ = shapely.STRtree(parts).query(around)
    is_near = np.bincount(near, minlength=len(parts)) > 1
    for digits in (LEVELS[1].digits, 0):
        _, group = np.unique([code[:digits] for code in codes], return_inverse=True)
        for here in range(int(group.max()) + 1):
            mine = is_near & (group == here)
            parts[mine] = shapely.coverage_clean(parts[mine], gap_width=GAP, snapping_distance=SNAP)  # type: ignore[attr-defined]
