"""How much of each cell is inside an area: the signed-area sums of a scan converter, for the cells of the outline.

Every edge is cut at the rows and columns of the grid. A piece that runs down `dv` of a cell leaves the ground to its right inside (or
outside, by its direction): its own cell gets the part to the right of the piece, every cell further right in the row all of `dv`. Fractions
are of degrees, within a row of cells, as edges are straight in longitude and latitude.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tiles.arrays import Float64s, Int64s, UInt64s, repeat_ranges
from tiles.grid import grid
from tiles.grid.grid import ZOOM
from tiles.grid.region import Region, polygons_of
from tiles.grid.scan import cuts_of, segments_of


def fractions(region: Region, z: int = ZOOM) -> tuple[UInt64s, Float64s]:
    """The cells of zoom `z` through which the outline of a region runs, sorted, and which fraction (0 to 1) of each is inside.

    All other cells of the region's cover are inside with all of their ground. Lines and points have no fraction of any cell.
    """
    import shapely

    areas = polygons_of(region.geometry)
    if not len(areas):
        return np.zeros(0, np.uint64), np.zeros(0)
    rings = shapely.get_rings(shapely.orient_polygons(areas))
    width = 1 << z
    pieces = list(_pieces(rings, z))
    keys, own, step = pieces[0] if len(pieces) == 1 else _summed(*(np.concatenate(each) for each in zip(*pieces, strict=True)))
    first = np.r_[True, np.diff(keys // (width + 1)) > 0]
    before = np.cumsum(step) - step
    before -= np.repeat(before[first], np.diff(np.r_[np.flatnonzero(first), len(keys)]))
    found = np.abs(before + own)
    y, x = np.divmod(keys, width + 1)
    inside = (found > 1e-12) & (x < width) & (y < width)
    cells = grid.morton(x[inside], y[inside])
    order = np.argsort(cells)
    return cells[order], np.minimum(found[inside], 1.0)[order]


def _summed(keys: Int64s, own: Float64s, step: Float64s) -> tuple[Int64s, Float64s, Float64s]:
    """The sums of `own` and `step` for each key."""
    distinct, at = np.unique(keys, return_inverse=True)
    n = len(distinct)
    return distinct, np.bincount(at, own, n).astype(np.float64), np.bincount(at, step, n).astype(np.float64)


def _pieces(rings: np.ndarray, z: int) -> Iterator[tuple[Int64s, Float64s, Float64s]]:
    """Of some pieces of the edges at a time: the cells (row * (width + 1) + column), what is to the right of the pieces in each, and how
    far they run down; both signed.
    """
    import shapely

    lon_lat, owner = shapely.get_coordinates(rings, return_index=True)
    a = np.flatnonzero(owner[1:] == owner[:-1])
    sign = np.where(lon_lat[a, 1] >= lon_lat[a + 1, 1], 1.0, -1.0)
    segments = segments_of(rings, z)
    for cuts in cuts_of(segments, z):
        top, bottom = grid.lat_of(cuts.row, z), grid.lat_of(cuts.row + 1, z)
        v_top = np.clip((top - segments.lat_top[cuts.k]) / (top - bottom), 0, 1)
        v_bottom = np.clip((top - segments.lat_bottom[cuts.k]) / (top - bottom), 0, 1)
        left, far = np.minimum(cuts.x_top, cuts.x_bottom), np.maximum(cuts.x_top, cuts.x_bottom)
        first = np.floor(left).astype(np.int64)
        n = np.maximum(np.ceil(far).astype(np.int64) - first, 1)
        column = np.asarray(repeat_ranges(first, n), np.int64)
        i = np.repeat(np.arange(len(n)), n)
        lo, hi = np.maximum(left[i], column), np.minimum(far[i], column + 1)
        run = far[i] - left[i]
        part = np.divide(hi - lo, run, out=np.ones(len(i)), where=run > 0)
        down = sign[cuts.k[i]] * (v_bottom - v_top)[i] * part
        right = down * (1 - ((lo + hi) / 2 - column))
        yield _summed(cuts.row[i] * ((1 << z) + 1) + column, right, down)
