"""Cells that a region meets, exactly, by scan-line arithmetic.

An area meets a cell when their insides share ground: touching along an edge or at a corner does not count. A line or a point has the
half-open cells through which it passes. The edges of areas and lines are straight in longitude and latitude (RFC 7946, section 3.1.1).
Every row of cells is one band of latitude: a segment is cut at the bands, and the columns between its two ends are counted. Where a cut
falls too close to a corner of the grid for float64, the side is found with exact arithmetic, so that the answer is that of the
robust predicates of GEOS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tiles.arrays import Bools, Float64s, Int64s, UInt64s, first_of_runs, repeat_ranges
from tiles.errors import InvalidRegion
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM
from tiles.grid.region import Region, parts_of

MAX_CELLS = 1 << 24
"""Most cells of a region: about 2,000 km square at zoom 16."""

MAX_CROSSINGS = 100_000
"""Most rows and columns of cells that an outline, or the lines, of a region run through, each time they do: what computing it costs. A
coast of 5,000 vertices around South Korea has about 30,000."""

_AT_ONCE = 1 << 16
"""Crossings that are in memory together: 10 MB."""

_DOUBT = 1e-7  # tile units; the float64 cut is good to about 1e-10


def cover(region: Region, z: int = ZOOM) -> Cover:
    """Exactly the cells of zoom `z` that a region meets (see the module for what meeting means).

    Raises:
        InvalidRegion: `region.too_large`, the region spans more than 16 million cells; `region.too_winding`: see `MAX_CROSSINGS`.
    """
    import shapely

    parts, _ = parts_of(region.geometry)
    dims = shapely.get_dimensions(parts)
    cells = _cells_of_lines(parts[dims == 1], z)
    if (dims == 0).any():
        lon_lat = shapely.get_coordinates(parts[dims == 0])
        cells = np.concatenate([cells, grid.cells_at(lon_lat[:, 0], lon_lat[:, 1], z)])
    ranges = Cover.from_cells(cells, z).ranges
    if (dims == 2).any():
        ranges = np.concatenate([ranges, _ranges_of_areas(parts[dims == 2], z)])
    found = Cover.from_ranges(ranges, z)
    _check_size(found.count)
    return found


def _check_size(n: int) -> None:
    if n > MAX_CELLS:
        raise InvalidRegion(
            f"The region spans {n:,} cells; at most {MAX_CELLS:,} are possible. Ask for a smaller region.",
            code="region.too_large",
            cells=n,
            limit=MAX_CELLS,
        )


@dataclass(frozen=True, slots=True)
class Cuts:
    """Segments cut at the rows of cells. One entry for each segment and row: `k` segment, `row`, and the real column where the piece
    enters at the top and leaves at the bottom; `through`: it goes on below the row.
    """

    k: Int64s
    row: Int64s
    x_top: Float64s
    x_bottom: Float64s
    through: Bools


@dataclass(frozen=True, slots=True)
class Segments:
    """Straight pieces of lines or rings: degrees WGS 84 and real column `x` and row `y` of the upper (northern) and the lower end."""

    lon_top: Float64s
    lat_top: Float64s
    x_top: Float64s
    y_top: Float64s
    lon_bottom: Float64s
    lat_bottom: Float64s
    x_bottom: Float64s
    y_bottom: Float64s


def segments_of(parts: NDArray[np.object_], z: int) -> Segments:
    """The segments of lines or rings (shapely), in their order."""
    import shapely

    lon_lat, owner = shapely.get_coordinates(parts, return_index=True)
    lon, lat = np.ascontiguousarray(lon_lat[:, 0]), np.ascontiguousarray(lon_lat[:, 1])
    x, y = grid.tile_xy(lon, lat, z)
    a = np.flatnonzero(owner[1:] == owner[:-1])
    upper = lat[a] >= lat[a + 1]
    t, b = np.where(upper, a, a + 1), np.where(upper, a + 1, a)
    return Segments(lon[t], lat[t], x[t], y[t], lon[b], lat[b], x[b], y[b])


def _crossings(segments: Segments) -> Int64s:
    """How many rows and columns of cells each segment runs through, two more at most."""
    down = np.floor(segments.y_bottom) - np.floor(segments.y_top)
    across = np.abs(np.floor(segments.x_bottom) - np.floor(segments.x_top))
    found: Int64s = (down + across).astype(np.int64) + 1
    return found


def cuts_of(segments: Segments, z: int, *, closed: bool = False) -> Iterator[Cuts]:
    """Each segment cut at the rows of cells that it runs through, some thousands of pieces at a time.

    An end that is exactly on the edge between two rows belongs to the one above; with `closed` to that below as well.

    Raises: InvalidRegion: `region.too_winding`, before anything is computed.
    """
    crossings = np.cumsum(_crossings(segments))
    if len(crossings) and crossings[-1] > MAX_CROSSINGS:
        raise InvalidRegion(
            f"The outline of the region runs through {crossings[-1]:,} rows and columns of cells; at most {MAX_CROSSINGS:,} are possible. "
            "Simplify it, or ask in parts.",
            code="region.too_winding",
            crossings=int(crossings[-1]),
            limit=MAX_CROSSINGS,
        )
    r0 = np.floor(segments.y_top).astype(np.int64)
    r1 = np.floor(segments.y_bottom).astype(np.int64) if closed else np.ceil(segments.y_bottom).astype(np.int64) - 1
    turn = (crossings - 1) // _AT_ONCE
    for k in np.split(np.arange(len(turn)), np.flatnonzero(np.diff(turn)) + 1):
        yield _cut(segments, k, r0, np.minimum(r1, (1 << z) - 1) if closed else r1, z)


def _cut(segments: Segments, which: Int64s, r0: Int64s, r1: Int64s, z: int) -> Cuts:
    x_t, y_t, x_b, y_b = segments.x_top, segments.y_top, segments.x_bottom, segments.y_bottom
    lat_t, lat_b = segments.lat_top, segments.lat_bottom
    n = np.maximum(r1[which] - r0[which] + 1, 0)
    k = np.repeat(which, n)
    row = np.asarray(repeat_ranges(r0[which], n), np.int64)
    through = row + 1 <= y_b[k]

    def column(edge: Int64s) -> Float64s:
        """Where the segment crosses the latitude of `edge`, or the end of it that is on this side of the edge."""
        x = np.where(edge <= y_t[k], x_t[k], x_b[k])
        i = np.flatnonzero((y_t[k] < edge) & (edge < y_b[k]))
        j = k[i]
        lat = grid.lat_of(edge[i], z)
        part = (lat - lat_t[j]) / (lat_b[j] - lat_t[j])
        at = x_t[j] + part * (x_b[j] - x_t[j])
        nearest = np.rint(at)
        doubt = np.flatnonzero(
            (np.abs(at - nearest) < _DOUBT) & (np.minimum(x_t[j], x_b[j]) < nearest) & (nearest < np.maximum(x_t[j], x_b[j]))
        )
        if len(doubt):
            side = _sides(segments, j[doubt], grid.lon_of(nearest[doubt], z), lat[doubt])
            at[doubt] = np.where(side == 0, nearest[doubt], np.nextafter(nearest[doubt], np.where(side > 0, np.inf, -np.inf)))
        # A cut strictly between the ends is never on the column edge of an end, unless the segment is vertical.
        lo, hi = np.minimum(x_t[j], x_b[j]), np.maximum(x_t[j], x_b[j])
        above, below = np.nextafter(lo, np.inf), np.nextafter(hi, -np.inf)
        below = np.where(below > lo, below, np.where(np.rint(lo) == lo, hi, lo))  # no float is between: the end off the edge
        x[i] = np.where(lo < hi, np.clip(at, np.minimum(above, below), below), lo)
        return x

    return Cuts(k, row, column(row), column(row + 1), through)


def _sides(segments: Segments, k: Int64s, lon: Float64s, lat: Float64s) -> Int64s:
    """Whether the segments `k` cross the latitude `lat` east (1), west (-1) or exactly at (0) the longitude `lon`."""
    wide = np.longdouble
    lon_t, lat_t, lon_b, lat_b = segments.lon_top[k], segments.lat_top[k], segments.lon_bottom[k], segments.lat_bottom[k]
    first = (lon_t.astype(wide) - lon) * (lat_b.astype(wide) - lat_t)
    second = (lat.astype(wide) - lat_t) * (lon_b.astype(wide) - lon_t)
    det = first + second
    sides: Int64s = -np.sign(det).astype(np.int64)  # the lower end has the smaller latitude: the denominator is negative
    sure = np.abs(det) > 8 * np.finfo(wide).eps * (np.abs(first) + np.abs(second))
    for i in np.flatnonzero(~sure):
        a, b, c, d, e, f = (Fraction(float(v[i])) for v in (lon_t, lat_t, lon_b, lat_b, lon, lat))
        exact = (a - e) * (d - b) + (f - b) * (c - a)
        sides[i] = (exact < 0) - (exact > 0)
    return sides


def _cells_of_lines(lines: NDArray[np.object_], z: int) -> UInt64s:
    """Half-open cells through which lines pass, sorted."""
    last = (1 << z) - 1
    found = [np.zeros(0, np.uint64)]
    for cuts in cuts_of(segments_of(lines, z), z, closed=True) if len(lines) else ():
        lo, hi = np.minimum(cuts.x_top, cuts.x_bottom), np.maximum(cuts.x_top, cuts.x_bottom)
        # The lower end of a piece that goes on belongs to the next row: an end on a column edge then adds no column here.
        open_end = cuts.through & (cuts.x_bottom > cuts.x_top)
        first = np.floor(lo).astype(np.int64)
        final = np.minimum(np.where(open_end, np.ceil(hi) - 1, np.floor(hi)).astype(np.int64), last)
        first = np.minimum(first, last)
        n = final - first + 1
        found.append(_distinct(grid.morton(np.asarray(repeat_ranges(first, n), np.int64), np.repeat(cuts.row, n))))
    return _distinct(np.concatenate(found))


def _ranges_of_areas(areas: NDArray[np.object_], z: int) -> UInt64s:
    """Ranges of the cells whose inside meets the inside of polygons that do not overlap each other; work grows with the outline."""
    import shapely

    segments = segments_of(shapely.get_rings(areas), z)
    pieces = [_outline(segments, cuts, z) for cuts in cuts_of(segments, z)]
    outline, upright, flips = (np.concatenate(each) for each in zip(*pieces, strict=True))
    outline, flips = _distinct(outline), _odd(flips)
    beside = _distinct(np.concatenate([outline, upright, _beside_level_edges(segments, z)]))
    ranges = [np.stack([outline, outline + np.uint64(1)], axis=1)]
    # All ground of a cell without an outline is on one side of it: siblings of cells with one are asked, from fine to coarse.
    touched = outline
    for up in range(z):
        parents = _distinct(beside >> np.uint64(2))
        asked = np.ones((len(parents), 4), np.bool_)
        asked[np.searchsorted(parents, touched >> np.uint64(2)), touched & np.uint64(3)] = False
        at, child = np.nonzero(asked)
        low = (parents[at] << np.uint64(2) | child.astype(np.uint64)) << np.uint64(2 * up)
        low = low[_are_inside(flips, low, z)]
        ranges.append(np.stack([low, low + np.uint64(1 << 2 * up)], axis=1))
        if len(parents) < 2:
            break  # no ground outside this one cell
        beside = touched = parents
    return np.concatenate(ranges)


def _outline(segments: Segments, cuts: Cuts, z: int) -> tuple[UInt64s, UInt64s, Int64s]:
    """Of some pieces of an outline: the cells that they are in, the cells beside those that run along columns, and the flips."""
    first = np.floor(np.minimum(cuts.x_top, cuts.x_bottom)).astype(np.int64)
    n = np.ceil(np.maximum(cuts.x_top, cuts.x_bottom)).astype(np.int64) - first  # 0 on a column edge: no cell
    column, row = first[n == 0], cuts.row[n == 0]
    upright = np.concatenate([_cells(column - 1, row, z), _cells(column, row, z)])
    inside = _cells(np.asarray(repeat_ranges(first, n), np.int64), np.repeat(cuts.row, n), z)
    return _distinct(inside), _distinct(upright), _odd(_flips(segments, cuts, z))


def _distinct(cells: UInt64s) -> UInt64s:
    cells = np.sort(cells)  # several times faster than np.unique, which hashes
    return cells[first_of_runs(cells[1:] != cells[:-1])] if len(cells) else cells


def _cells(x: Int64s, y: Int64s, z: int) -> UInt64s:
    """The cells of these columns and rows that the grid has."""
    on = (x >= 0) & (x < 1 << z) & (y >= 0) & (y < 1 << z)
    return grid.morton(x[on], y[on])


def _odd(flips: Int64s) -> Int64s:
    """Those numbers that come an odd number of times, sorted: two flips at one place are none."""
    flips = np.sort(flips)
    first = first_of_runs(np.diff(flips) > 0) if len(flips) else np.zeros(0, np.bool_)
    at = np.flatnonzero(first)
    found: Int64s = flips[at[np.diff(np.append(at, len(flips))) % 2 == 1]]
    return found


def _beside_level_edges(segments: Segments, z: int) -> UInt64s:
    """The cells on both sides of what runs exactly along an edge between two rows: the outline is in none of them and yet parts them."""
    x_t, y_t, x_b, y_b = segments.x_top, segments.y_top, segments.x_bottom, segments.y_bottom
    level = np.flatnonzero((y_t == y_b) & (np.floor(y_t) == y_t))
    first = np.floor(np.minimum(x_t[level], x_b[level])).astype(np.int64)
    n = np.ceil(np.maximum(x_t[level], x_b[level])).astype(np.int64) - first
    x, y = np.asarray(repeat_ranges(first, n), np.int64), np.repeat(y_t[level].astype(np.int64), n)
    return np.concatenate([_cells(x, y - 1, z), _cells(x, y, z)])


def _flips(segments: Segments, cuts: Cuts, z: int) -> Int64s:
    """Where the middle line of a row goes in or out, as row * (width + 1) + column. It decides only cells without an outline."""
    lat_t, lat_b, x_t, x_b = segments.lat_top, segments.lat_bottom, segments.x_top, segments.x_bottom
    middle = grid.lat_of(cuts.row + 0.5, z)
    i = np.flatnonzero((lat_t[cuts.k] > middle) & (lat_b[cuts.k] <= middle))
    j = cuts.k[i]
    x_middle = x_t[j] + (middle[i] - lat_t[j]) / (lat_b[j] - lat_t[j]) * (x_b[j] - x_t[j])
    width = 1 << z
    found: Int64s = cuts.row[i] * (width + 1) + np.clip(np.ceil(x_middle - 0.5).astype(np.int64), 0, width)
    return found


def _are_inside(flips: Int64s, cells: UInt64s, z: int) -> Bools:
    """Even-odd along the row of each cell: holes and parts need no case of their own, as each row has an even number of flips."""
    x, y = grid.xy(cells)
    at = y.astype(np.int64) * ((1 << z) + 1) + x.astype(np.int64)
    inside: Bools = (np.searchsorted(flips, at, side="right") & 1).astype(np.bool_)
    return inside
