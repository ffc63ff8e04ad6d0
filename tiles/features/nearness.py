"""How far apart two geometries are at most: in metres on the ground, heights included, as micrometres.

Vertex by vertex where both have as many; else, and for areas, the distance of each vertex from the other geometry (Hausdorff), with the
ends of lines compared by themselves, so that a line that was turned round has moved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.arrays import Bools, Float64s, Int64s
from tiles.grid.ellipsoid import ECCENTRICITY_2, SEMI_MAJOR_M

FARTHEST_M = 10.0
"""Features without a name of their own are the same one up to this distance."""

MOST_PAIRS = 2_000_000
"""Neighbours that are looked at in one cell; more are only made by hostile files."""

UNMEASURED = -1
"""Of two geometries of another type, another number of parts or of dimensions."""

Geometries = NDArray[np.object_]

_LINE, _RING, _POLYGON, _SIMPLE = 1, 2, 3, (0, 1, 2, 3)
_ASKED = 1000


def local(bodies: Sequence[bytes | None], centre: tuple[float, float]) -> Geometries:
    """Geometries of WKB in degrees, in metres from `centre` (longitude, latitude); exact to some micrometres within a few kilometres."""
    lon0, lat0 = centre
    w2 = 1 - ECCENTRICITY_2 * math.sin(math.radians(lat0)) ** 2
    east = math.radians(1) * math.cos(math.radians(lat0)) * SEMI_MAJOR_M / math.sqrt(w2)
    north = math.radians(1) * SEMI_MAJOR_M * (1 - ECCENTRICITY_2) / (w2 * math.sqrt(w2))

    def flat(at: Float64s) -> Float64s:
        made = at.copy()
        made[:, 0], made[:, 1] = (at[:, 0] - lon0) * east, (at[:, 1] - lat0) * north
        return made

    shapes = np.empty(len(bodies), dtype=object)
    shapes[:] = shapely.from_wkb(list(bodies)) if len(bodies) else []
    solid = shapely.has_z(shapes)
    shapes[solid] = shapely.transform(shapes[solid], flat, include_z=True)
    shapes[~solid] = shapely.transform(shapes[~solid], flat)
    return shapes


def shifts(before: Geometries, after: Geometries) -> Int64s:
    """How far each geometry moved, in micrometres; `UNMEASURED` where that has no meaning. Two that are missing are where they were."""
    found = np.full(len(before), UNMEASURED, np.int64)
    gone = shapely.is_missing(before), shapely.is_missing(after)
    found[gone[0] & gone[1]] = 0
    kinds, counts = shapely.get_type_id(before), shapely.get_num_coordinates(before)
    alike = ~gone[0] & ~gone[1] & (kinds == shapely.get_type_id(after)) & (shapely.has_z(before) == shapely.has_z(after))
    alike &= shapely.get_num_geometries(before) == shapely.get_num_geometries(after)
    same = alike & (counts == shapely.get_num_coordinates(after)) & (counts > 0)
    found[same] = _by_vertex(before[same], after[same], counts[same])
    loose = (alike & ~same) | (same & np.isin(kinds, (_POLYGON, 6)) & (found > 0))
    for row in np.flatnonzero(loose).tolist():
        um = _by_distance(before[row], after[row])
        found[row] = um if found[row] == UNMEASURED else found[row] if um == UNMEASURED else min(found[row], um)
    return found


def _by_vertex(before: Geometries, after: Geometries, counts: Int64s) -> Int64s:
    if not len(before):
        return np.zeros(0, np.int64)
    apart = shapely.get_coordinates(before, include_z=True) - shapely.get_coordinates(after, include_z=True)
    apart[np.isnan(apart)] = 0  # geometries without heights
    farthest = np.maximum.reduceat(np.sqrt((apart**2).sum(axis=1)), np.cumsum(counts) - counts)
    return _micrometres(farthest)


def _by_distance(before: Any, after: Any) -> int:
    if before.is_empty or after.is_empty:
        return 0 if before.is_empty and after.is_empty else UNMEASURED
    farthest = shapely.hausdorff_distance(before, after)
    if before.geom_type == "LineString":
        ends = (shapely.distance(shapely.get_point(before, at), shapely.get_point(after, at)) for at in (0, -1))
        farthest = max(farthest, *ends)
    if before.has_z:
        if before.geom_type not in ("LineString", "Polygon"):
            return UNMEASURED
        farthest = math.hypot(farthest, max(_height_apart(before, after), _height_apart(after, before)))
    return int(_micrometres(np.array([farthest]))[0])


def _height_apart(a: Any, b: Any) -> float:
    """The greatest difference in height between the vertices of a line or outline and where they are nearest to the other one."""
    line = b.exterior if b.geom_type == "Polygon" else b
    at = shapely.get_coordinates(a, include_z=True)
    nearest = shapely.line_interpolate_point(line, shapely.line_locate_point(line, shapely.points(at[:, :2])))
    return float(np.nanmax(np.abs(shapely.get_z(nearest) - at[:, 2]), initial=0.0))


def _micrometres(metres: Float64s) -> Int64s:
    """Whole micrometres: what the arithmetic of degrees adds, some nanometres, is none."""
    whole: Int64s = np.minimum(np.floor(metres * 1e6 + 0.5), 2.0**60).astype(np.int64)
    return whole


def near_pairs(before: Geometries, after: Geometries) -> Iterator[tuple[Int64s, Int64s, Int64s]]:
    """Rows before and after that are at most `FARTHEST_M` apart, and how far (micrometres), in pieces; no more than `MOST_PAIRS`.

    Boxes of geometries that are no farther apart than this are not either, side by side: only these are measured.
    """
    rows = [np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes))) for shapes in (before, after)]
    if not len(rows[0]) or not len(rows[1]):
        return
    boxes = [shapely.bounds(shapes[some]) for shapes, some in zip((before, after), rows, strict=True)]
    corners: Any = shapely.points(boxes[0][:, :2])
    tree, left = shapely.STRtree(corners), MOST_PAIRS
    for begin in range(0, len(rows[1]), _ASKED):
        box = boxes[1][begin : begin + _ASKED]
        low, high = box[:, :2] - FARTHEST_M, box[:, :2] + FARTHEST_M
        asked, found = tree.query(shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1]))
        close = cast(Bools, (np.abs(boxes[0][found] - box[asked]) <= FARTHEST_M).all(axis=1))
        old, new = rows[0][found[close]][:left], rows[1][begin + asked[close]][:left]
        um = shifts(before[old], after[new])
        fits = (um != UNMEASURED) & (um <= FARTHEST_M * 1e6)
        yield old[fits], new[fits], um[fits]
        left -= len(old)
        if left <= 0:
            return
