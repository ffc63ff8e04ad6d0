"""How much of a line is in each cell: lines cut at the edges of cells, and geodesic lengths of the pieces.

A piece is shorter than a cell (at zoom 16 at most 865 m), so that its geodesic length is had from the radii of curvature at its middle:
the error is below a micrometre. Lengths are whole micrometres from here on: sums are exact, whatever their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tiles.arrays import Float64s, Int64s, UInt64s, repeat_ranges
from tiles.features.wkb import Shapes
from tiles.grid import grid
from tiles.grid.ellipsoid import ECCENTRICITY_2, SEMI_MAJOR_M
from tiles.grid.grid import ZOOM


@dataclass(frozen=True, slots=True)
class Inside:
    """Micrometres of row `row` inside `cell`: each pair once, sorted by row, then cell."""

    row: Int64s
    cell: UInt64s
    um: Int64s


def metres(lon0: Float64s, lat0: Float64s, lon1: Float64s, lat1: Float64s) -> Float64s:
    """Geodesic length of short segments (up to about 1 km) on WGS 84, degrees in, metres out."""
    middle = np.radians((lat0 + lat1) / 2)
    w2 = 1 - ECCENTRICITY_2 * np.sin(middle) ** 2
    east = np.radians(lon1 - lon0) * np.cos(middle) * (SEMI_MAJOR_M / np.sqrt(w2))  # radius of the prime vertical
    north = np.radians(lat1 - lat0) * (SEMI_MAJOR_M * (1 - ECCENTRICITY_2) / (w2 * np.sqrt(w2)))  # radius of the meridian
    length: Float64s = np.hypot(east, north)
    return length


def inside(shapes: Shapes, z: int = ZOOM) -> Inside:
    """Length of each shape's lines and rings in each cell, and every cell that one of its vertices or segments is in (maybe 0 long)."""
    x, y = grid.tile_xy(shapes.lon, shapes.lat, z)
    cells = grid.cells_of_xy(x, y, z)
    owner = np.repeat(shapes.rows, np.diff(shapes.start))
    a = np.flatnonzero(~shapes.path_end)
    same = cells[a] == cells[a + 1]
    s, c = a[same], a[~same]
    whole = metres(shapes.lon[s], shapes.lat[s], shapes.lon[s + 1], shapes.lat[s + 1])
    seg, cell, length = _pieces(shapes.lon, shapes.lat, x, y, c, z)
    # Vertices count with no length: the cell of a point, or of an end exactly on an edge.
    fresh = np.flatnonzero(np.r_[True, (cells[1:] != cells[:-1]) | (owner[1:] != owner[:-1])] if len(cells) else np.zeros(0, np.bool_))
    return total(
        np.concatenate([owner[s], owner[seg], owner[fresh]]),
        np.concatenate([cells[s], cell, cells[fresh]]),
        np.rint(np.concatenate([whole, length, np.zeros(len(fresh))]) * 1e6).astype(np.int64),
    )


def total(row: Int64s, cell: UInt64s, um: Int64s) -> Inside:
    """Pairs of row and cell, each once, lengths summed."""
    order = np.lexsort((cell, row))
    row, cell, um = row[order], cell[order], um[order]
    if not len(row):
        return Inside(row, cell, um)
    first = np.flatnonzero(np.r_[True, (row[1:] != row[:-1]) | (cell[1:] != cell[:-1])])
    return Inside(row[first], cell[first], np.add.reduceat(um, first))


def _pieces(lon: Float64s, lat: Float64s, x: Float64s, y: Float64s, a: Int64s, z: int) -> tuple[Int64s, UInt64s, Float64s]:
    """Segments (from vertex `a` to the next) cut at every column and row edge: (segment's first vertex, cell, metres) of each piece."""
    if not len(a):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0)
    b = a + 1
    cuts, owners = [np.zeros(len(a)), np.ones(len(a))], [np.arange(len(a)), np.arange(len(a))]
    for value, is_row in ((x, False), (y, True)):
        low, high = np.minimum(value[a], value[b]), np.maximum(value[a], value[b])
        first = np.floor(low).astype(np.int64) + 1
        n = np.maximum(np.ceil(high).astype(np.int64) - first, 0)
        k = np.repeat(np.arange(len(a)), n)
        edge = repeat_ranges(first, n)
        i, j = a[k], b[k]
        part = (grid.lat_of(edge, z) - lat[i]) / (lat[j] - lat[i]) if is_row else (edge - x[i]) / (x[j] - x[i])
        cuts.append(np.clip(part, 0, 1))
        owners.append(k)
    at, k = np.concatenate(cuts), np.concatenate(owners)
    order = np.lexsort((at, k))
    at, k = at[order], k[order]
    p = np.flatnonzero(k[1:] == k[:-1])
    t0, t1, i, j = at[p], at[p + 1], a[k[p]], b[k[p]]
    d_lon, d_lat = lon[j] - lon[i], lat[j] - lat[i]
    length = metres(lon[i] + t0 * d_lon, lat[i] + t0 * d_lat, lon[i] + t1 * d_lon, lat[i] + t1 * d_lat)
    middle = (t0 + t1) / 2
    cell = grid.cells_of_xy(*grid.tile_xy(lon[i] + middle * d_lon, lat[i] + middle * d_lat, z), z)
    some = t1 > t0
    return i[some], cell[some], length[some]


def millimetres(pairs: Inside, divisor: Int64s) -> Int64s:
    """Whole millimetres of each pair, so that the cells of a row add up to its rounded whole.

    Args:
        pairs: sorted by row, then cell.
        divisor: micrometres that count as one millimetre: 1000, or 2000 for a perimeter that counts half.
    """
    if not len(pairs.row):
        return np.zeros(0, np.int64)
    running = np.cumsum(pairs.um)
    new = np.r_[True, pairs.row[1:] != pairs.row[:-1]]
    before = np.maximum.accumulate(np.where(new, running - pairs.um, np.iinfo(np.int64).min))
    upto, since = running - before, running - before - pairs.um
    mm: Int64s = (upto + divisor // 2) // divisor - (since + divisor // 2) // divisor
    return mm
