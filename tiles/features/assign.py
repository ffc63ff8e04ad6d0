"""Which features go to which cells, who owns them, and how much of each is there.

A feature goes whole into every half-open cell that it touches; it is owned by the cell of its first vertex. What is measured:

* `lane_centre`: its line; `lane_area`: nothing by itself; with a `measure` line (its stated centreline) that line. Gives lane_mm.
* `sidewalk`, `cycleway`: the line; a polygon counts half its perimeter, which is the length of a long strip to within its width;
  with a `measure` line that line. Gives footway_mm, cycleway_mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from tiles.arrays import Bools, Float64s, Int64s, UInt64s, repeat_ranges
from tiles.batch import Kind
from tiles.features import wkb
from tiles.features.measure import Inside, inside, millimetres, total
from tiles.grid import grid
from tiles.grid.grid import ZOOM

MAX_CELLS = 1 << 16
"""Most cells of one feature."""

MAX_COPIES = 256 << 20
"""Most bytes that one feature may have in all its cells together."""

MAX_CROSSINGS = 4 * MAX_CELLS
"""How often the segments of one feature may go over an edge of a cell: each piece is measured."""

LENGTHS = {Kind.LANE_CENTRE: "lane_mm", Kind.LANE_AREA: "lane_mm", Kind.SIDEWALK: "footway_mm", Kind.CYCLEWAY: "cycleway_mm"}
COUNTS = {Kind.CROSSING: "crossings", Kind.SIGN: "signs", Kind.SIGNAL: "signals"}
_BY_LINE = (Kind.LANE_CENTRE, Kind.SIDEWALK, Kind.CYCLEWAY)
_BY_OUTLINE = (Kind.SIDEWALK, Kind.CYCLEWAY)


@dataclass(frozen=True, slots=True)
class Assigned:
    """Pairs of row and cell, sorted by cell, then row. `mm` is -1 where the feature is not measured.

    Of all rows: `status` and `code` (see `wkb.Shapes`) and `bounds` (n, 4), undefined where the status is not `wkb.OK`.
    """

    row: Int64s
    cell: UInt64s
    owner: Bools
    mm: Int64s
    status: NDArray[np.uint8]
    code: NDArray[np.int16]
    bounds: Float64s


def assign(table: pa.Table, z: int = ZOOM, *, most_crossings: int | None = None) -> Assigned:
    """Cells of every feature of a table with `kind`, `geometry` and maybe `measure` (WKB in degrees WGS 84).

    Args:
        most_crossings: features that cross more edges of cells are too wide; None for tiles that are there already.
    """
    n = table.num_rows
    shapes = wkb.decode(table.column("geometry"))
    by_line, by_measure, outline = _measured(table, shapes)
    bounds = shapes.bounds()
    box = _boxes(bounds, z)
    shapes, bounds, box = _narrow(shapes, bounds, box, table, z, most_crossings)
    wide, high = box[:, 1] - box[:, 0] + 1, box[:, 3] - box[:, 2] + 1
    lines = by_line[shapes.rows]
    one_path = np.add.reduceat(shapes.path_end, shapes.start[:-1]) == 1 if len(shapes.rows) else np.zeros(0, np.bool_)
    # A connected shape within one row or column of cells touches every cell of its box; only the others need their outline followed.
    by_box = ((wide == 1) & (high == 1)) | (((wide == 1) | (high == 1)) & one_path)
    followed = lines | ~by_box
    parts = [_spans(shapes.rows[~followed], box[~followed]), inside(shapes.pick(followed), z)]
    parts += _enclosed(shapes, box, table.column("geometry"), followed, parts[1], z)
    pairs = total(*(np.concatenate(v) for v in zip(*((p.row, p.cell, p.um) for p in parts), strict=True)))
    pairs.um[~by_line[pairs.row]] = 0  # outlines that were followed only to find the cells
    if by_measure.any():
        pairs = _with_measures(pairs, table.column("measure"), by_measure & (shapes.status == wkb.OK), shapes.status, z)
    measured = by_line | by_measure
    mm = np.where(measured[pairs.row], millimetres(pairs, np.where(outline[pairs.row], 2000, 1000)), -1)
    first = np.zeros(n, np.uint64)
    at = shapes.start[:-1]
    first[shapes.rows] = grid.cells_of_xy(*grid.tile_xy(shapes.lon[at], shapes.lat[at], z), z)
    order = np.lexsort((pairs.row, pairs.cell))
    row, cell = pairs.row[order], pairs.cell[order]
    all_bounds = np.zeros((n, 4))
    all_bounds[shapes.rows] = bounds
    return Assigned(row, cell, first[row] == cell, mm[order], shapes.status, shapes.code, all_bounds)


def _measured(table: pa.Table, shapes: wkb.Shapes) -> tuple[Bools, Bools, Bools]:
    """Rows measured by their own line or outline, rows measured by `measure`, and rows that count half."""

    def has(kinds: tuple[Kind, ...]) -> Bools:
        found: Bools = pc.fill_null(pc.is_in(table.column("kind"), pa.array([str(k) for k in kinds])), False).to_numpy().astype(np.bool_)
        return found

    by_measure = np.zeros(table.num_rows, np.bool_)
    if "measure" in table.column_names:
        by_measure = table.column("measure").is_valid().to_numpy().astype(np.bool_) & has(tuple(LENGTHS))
    outline = shapes.area & has(_BY_OUTLINE) & ~by_measure
    by_line = ((has(_BY_LINE) & ~shapes.area) | outline) & ~by_measure
    return by_line, by_measure, outline


def _boxes(bounds: Float64s, z: int) -> Int64s:
    """First and last column, first and last row of cells of each box of degrees."""
    last = (1 << z) - 1
    west, north = grid.tile_xy(bounds[:, 0], bounds[:, 3], z)
    east, south = grid.tile_xy(bounds[:, 2], bounds[:, 1], z)
    return np.clip(np.floor(np.stack([west, east, north, south], axis=1)), 0, last).astype(np.int64)


def _narrow(
    shapes: wkb.Shapes, bounds: Float64s, box: Int64s, table: pa.Table, z: int, most_crossings: int | None
) -> tuple[wkb.Shapes, Float64s, Int64s]:
    """Leave out features that would fill too many cells: stored whole in each, one hostile outline could fill the disk."""
    wide, high = box[:, 1] - box[:, 0] + 1, box[:, 3] - box[:, 2] + 1
    suspect = np.flatnonzero(wide * high > 64)
    if not len(suspect):
        return shapes, bounds, box
    sizes = pc.fill_null(pc.binary_length(table.column("geometry")), 0).to_numpy()
    keep = np.ones(len(shapes.rows), np.bool_)
    for i in suspect.tolist():
        row, v = shapes.rows[i], slice(shapes.start[i], shapes.start[i + 1])
        whole, crossings, inner = int(wide[i] * high[i]), 0, ~shapes.path_end[v][:-1]
        if not shapes.area[row] or most_crossings is not None:
            x, y = (np.floor(c) for c in grid.tile_xy(shapes.lon[v], shapes.lat[v], z))
            step = np.abs(np.diff(x)) + np.abs(np.diff(y))
            crossings = int(step[inner].sum())
        cells = whole if shapes.area[row] else min(crossings + int(inner.sum()) + 1, whole)
        keep[i] = cells <= MAX_CELLS and cells * int(sizes[row]) <= MAX_COPIES
        keep[i] &= most_crossings is None or crossings <= most_crossings
    shapes.status[shapes.rows[~keep]] = wkb.TOO_WIDE
    return shapes.pick(keep), bounds[keep], box[keep]


def _spans(rows: Int64s, box: Int64s) -> Inside:
    """Every cell of every box."""
    wide, high = box[:, 1] - box[:, 0] + 1, box[:, 3] - box[:, 2] + 1
    n = wide * high
    i = np.repeat(np.arange(len(n)), n)
    k = repeat_ranges(np.zeros_like(n), n)
    return Inside(rows[i], grid.morton(box[i, 0] + k % wide[i], box[i, 2] + k // wide[i]), np.zeros(len(i), np.int64))


def _enclosed(shapes: wkb.Shapes, box: Int64s, column: pa.ChunkedArray, followed: Bools, outline: Inside, z: int) -> list[Inside]:
    """Cells that are wholly inside polygons: only one of at least 3 x 3 cells can have such."""
    large = followed & shapes.area[shapes.rows] & (box[:, 1] - box[:, 0] >= 2) & (box[:, 3] - box[:, 2] >= 2)
    if not large.any():
        return []
    rows = shapes.rows[large]
    every = _spans(rows, box[large])
    known = np.isin(_keys(every.row, every.cell), _keys(outline.row, outline.cell))
    row, cell = every.row[~known], every.cell[~known]
    at = np.zeros(len(shapes.status), np.int64)
    at[rows] = np.arange(len(rows))
    polygons = shapely.from_wkb(column.take(pa.array(rows)).to_numpy(zero_copy_only=False))
    shapely.prepare(polygons)
    west, south, east, north = grid.bounds_of(cell, z).T
    within = shapely.intersects_xy(polygons[at[row]], (west + east) / 2, (south + north) / 2)  # no outline is in the cell: all or nothing
    return [Inside(row[within], cell[within], np.zeros(int(within.sum()), np.int64))]


def _keys(row: Int64s, cell: UInt64s) -> UInt64s:
    return (row.astype(np.uint64) << np.uint64(32)) | cell  # a cell of zoom 16 has 32 bits, a row of a batch fewer


def _with_measures(pairs: Inside, column: pa.ChunkedArray, rows: Bools, status: NDArray[np.uint8], z: int) -> Inside:
    """Add the lengths, and if need be the cells, of the stated centrelines of some rows."""
    some = np.flatnonzero(rows)
    lines = wkb.decode(column.take(pa.array(some)))
    for reason in (wkb.EMPTY, wkb.MALFORMED, wkb.UNCLOSED, wkb.NOT_FINITE, wkb.OFF_GRID):
        status[some[lines.status == reason]] = reason
    found = inside(lines, z)
    kept = status[pairs.row] == wkb.OK
    return total(
        np.concatenate([pairs.row[kept], some[found.row]]),
        np.concatenate([pairs.cell[kept], found.cell]),
        np.concatenate([pairs.um[kept], found.um]),
    )
