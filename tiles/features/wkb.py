"""Coordinates of many WKB geometries at once.

Points, lines and polygons of one ring (nearly all of a map) are read by offsets in numpy, several times faster than building geometry
objects; everything else goes through shapely. Both roads give the same `Shapes`.

Source: OGC 06-103r4 (WKB), ISO/IEC 13249-3 (codes of Z and M).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from tiles.arrays import Bools, Float64s, Int64s
from tiles.grid.grid import MAX_LATITUDE
from tiles.grid.region import parts_of

OK, MISSING, EMPTY, MALFORMED, UNCLOSED, NOT_FINITE, OFF_GRID, TOO_WIDE = range(8)
"""What is wrong with a row; see `REASONS`."""

REASONS = {
    MISSING: ("feature.unplaced", "has no geometry"),
    EMPTY: ("geometry.empty", "has an empty geometry"),
    MALFORMED: ("geometry.malformed", "has a geometry that is not well-formed WKB"),
    UNCLOSED: ("geometry.unclosed", "has a polygon whose ring does not end where it starts"),
    NOT_FINITE: ("geometry.not_finite", "has a coordinate that is not finite"),
    OFF_GRID: ("geometry.out_of_range", "has a coordinate outside ±180 degrees of longitude or ±85.0511 degrees of latitude"),
    TOO_WIDE: ("geometry.too_wide", "spans more cells than one feature may; cut it into parts"),
}

TYPES = ("Unknown", "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
"""Geometry types by their WKB code."""

_STRIDE = np.array([16, 24, 24, 32])  # bytes of a vertex: XY, XYZ, XYM, XYZM
_HEAD = np.array([0, 5, 9, 13])  # bytes before the coordinates of a point, a line, a polygon of one ring
_LEAST = np.array([0, 1, 2, 4])  # vertices


@dataclass(frozen=True, slots=True)
class Shapes:
    """Vertices of the usable rows of a column, one row after the other in storage order.

    `rows` are their row numbers (any order), `start` (len(rows) + 1) their first vertices, `path_end[i]` marks that vertex i is the last
    of its line or ring. Of all rows of the column: `status`, `code` (ISO WKB type), `area` (a polygon is in it).
    """

    lon: Float64s
    lat: Float64s
    rows: Int64s
    start: Int64s
    path_end: Bools
    status: NDArray[np.uint8]
    code: NDArray[np.int16]
    area: Bools

    def bounds(self) -> Float64s:
        """(len(rows), 4) west, south, east, north; NaN when a coordinate is NaN."""
        at = self.start[:-1]
        if not len(at):
            return np.zeros((0, 4))
        reduced = [
            f.reduceat(v, at) for f, v in ((np.minimum, self.lon), (np.minimum, self.lat), (np.maximum, self.lon), (np.maximum, self.lat))
        ]
        return np.stack(reduced, axis=1)

    def pick(self, keep: Bools) -> Shapes:
        """The same of some of `rows` only."""
        if keep.all():
            return self
        n = np.diff(self.start)
        vertices = np.repeat(keep, n)
        start = np.concatenate([[0], np.cumsum(n[keep])])
        return Shapes(
            self.lon[vertices], self.lat[vertices], self.rows[keep], start, self.path_end[vertices], self.status, self.code, self.area
        )


def decode(column: pa.ChunkedArray | pa.Array) -> Shapes:
    """Vertices of a column of WKB (binary or large_binary, null allowed)."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    n = len(column)
    status, code, area = np.zeros(n, np.uint8), np.zeros(n, np.int16), np.zeros(n, np.bool_)
    null = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else np.zeros(n, np.bool_)
    status[null] = MISSING
    data, offset = _buffers(column)
    plain, kind, count = _plain(data, offset, ~null, code)
    area[plain] = kind[plain] == 3
    groups = [_read_plain(data, offset, rows, kind[rows], int(stride), count[rows]) for rows, stride in _by_stride(plain, code)]
    slow = np.flatnonzero(~plain & ~null)
    if len(slow):
        groups.append(_read_any(column, slow, status, code, area))
    lon, lat, rows, counts, ends = (np.concatenate(v) for v in zip(*groups, strict=True)) if groups else _NOTHING
    shapes = Shapes(lon, lat, rows, np.concatenate([[0], np.cumsum(counts)]), ends.astype(np.bool_), status, code, area)
    return _usable(shapes)


_NOTHING = (np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def _buffers(column: pa.Array) -> tuple[NDArray[np.uint8], Int64s]:
    _, offsets, data = column.buffers()
    width = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    offset = np.frombuffer(offsets, width)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return (np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)), offset


def _plain(data: NDArray[np.uint8], offset: Int64s, valid: Bools, code: NDArray[np.int16]) -> tuple[Bools, Int64s, Int64s]:
    """Rows that can be read by offsets (little-endian ISO points, lines, polygons of one ring, of the right length)."""
    size = np.diff(offset)
    plain = valid & (size >= 21)
    head = data[np.minimum(offset[:-1, None] + np.arange(13), max(len(data) - 1, 0))] if len(data) else np.zeros((len(size), 13), np.uint8)
    words = np.ascontiguousarray(head[:, 1:13]).view("<u4").astype(np.int64)
    kind, dims = words[:, 0] % 1000, words[:, 0] // 1000
    plain &= (head[:, 0] == 1) & (dims <= 3) & (kind >= 1) & (kind <= 3)
    kind, dims = np.where(plain, kind, 0), np.where(plain, dims, 0)
    count = np.choose(kind, [0, 1, words[:, 1], words[:, 2]])
    plain &= (count >= _LEAST[kind]) & (size == _HEAD[kind] + count * _STRIDE[dims]) & ((kind != 3) | (words[:, 1] == 1))
    code[plain] = words[plain, 0]
    return plain, kind, count


def _by_stride(plain: Bools, code: NDArray[np.int16]) -> list[tuple[Int64s, int]]:
    stride = np.where(plain, _STRIDE[np.clip(code // 1000, 0, 3)], 0)
    return [(np.flatnonzero(stride == s), s) for s in (16, 24, 32) if (stride == s).any()]


def _read_plain(data: NDArray[np.uint8], offset: Int64s, rows: Int64s, kind: Int64s, stride: int, count: Int64s) -> tuple[Any, ...]:
    view = data.data
    # Slicing and joining is one copy of memory; nothing in numpy gathers runs of unaligned bytes as fast.
    begin, end = (offset[rows] + _HEAD[kind]).tolist(), offset[rows + 1].tolist()
    joined = b"".join([view[i:j] for i, j in zip(begin, end, strict=True)])
    vertices = np.frombuffer(joined, "<f8").reshape(-1, stride // 8)
    ends = np.zeros(len(vertices), np.bool_)
    ends[np.cumsum(count) - 1] = True
    return np.ascontiguousarray(vertices[:, 0]), np.ascontiguousarray(vertices[:, 1]), rows, count, ends


def _read_any(column: pa.Array, rows: Int64s, status: NDArray[np.uint8], code: NDArray[np.int16], area: Bools) -> tuple[Any, ...]:
    shapes = shapely.from_wkb(column.take(pa.array(rows)).to_numpy(zero_copy_only=False), on_invalid="ignore")
    status[rows[shapely.is_missing(shapes)]] = MALFORMED
    status[rows[shapely.is_empty(shapes)]] = EMPTY
    good = ~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)
    shapes, rows = shapes[good], rows[good]
    types = np.array([0, 1, 2, 2, 3, 4, 5, 6, 7])[shapely.get_type_id(shapes) + 1]  # GEOS counts points 0, lines 1, rings 2, polygons 3
    code[rows] = types + 1000 * shapely.has_z(shapes) + 2000 * shapely.has_m(shapes)
    parts, owner = parts_of(shapes)
    polygon = shapely.get_type_id(parts) == 3
    area[rows[owner[polygon]]] = True
    rings, index = shapely.get_rings(parts[polygon], return_index=True)
    paths = np.concatenate([parts[~polygon], rings])
    place = np.concatenate([np.flatnonzero(~polygon), np.flatnonzero(polygon)[index]])
    order = np.argsort(place, kind="stable")
    lon_lat, path = shapely.get_coordinates(paths[order], return_index=True)
    ends = np.r_[path[1:] != path[:-1], True] if len(path) else np.zeros(0, np.bool_)
    counts = np.bincount(owner[place[order]][path], minlength=len(rows)).astype(np.int64)
    return lon_lat[:, 0].copy(), lon_lat[:, 1].copy(), rows, counts, ends


def _usable(shapes: Shapes) -> Shapes:
    """Only rows whose rings close and whose coordinates are finite and on the grid; the others get their status."""
    first, last = shapes.start[:-1], shapes.start[1:] - 1
    # A polygon of one ring may have come by offsets alone; rings of others were closed, or refused, by shapely.
    ring = (shapes.code[shapes.rows] % 1000 == 3) & (np.add.reduceat(shapes.path_end, first, dtype=np.int64) == 1 if len(first) else True)
    closed = (shapes.lon[first] == shapes.lon[last]) & (shapes.lat[first] == shapes.lat[last])
    bounds = shapes.bounds()
    status = np.zeros(len(shapes.rows), np.uint8)
    with np.errstate(invalid="ignore"):
        off = (bounds[:, 0] < -180) | (bounds[:, 2] > 180) | (bounds[:, 1] < -MAX_LATITUDE) | (bounds[:, 3] > MAX_LATITUDE)
    # Later lines win: a NaN also looks unclosed, and WKB writes an empty point as NaN, NaN.
    status[ring & ~closed] = UNCLOSED
    status[off] = OFF_GRID
    status[~np.isfinite(bounds).all(axis=1)] = NOT_FINITE
    point = shapes.code[shapes.rows] % 1000 == 1
    status[point & np.isnan(shapes.lon[first]) & np.isnan(shapes.lat[first])] = EMPTY
    shapes.status[shapes.rows] = status
    return shapes.pick(status == OK)


def to_iso(column: pa.Array, code: NDArray[np.int16]) -> pa.Array:
    """The column with every geometry in a foreign dialect (EWKB, big-endian) written again as little-endian ISO WKB, Z kept."""
    data, offset = _buffers(column)
    size = np.diff(offset)
    head = np.zeros((len(size), 5), np.uint8)
    some = size >= 5
    head[some] = data[offset[:-1][some, None] + np.arange(5)]
    foreign = np.flatnonzero(some & (code != 0) & ((head[:, 0] != 1) | (head[:, 3:5] != 0).any(axis=1)))
    if not len(foreign):
        return column
    values = column.to_numpy(zero_copy_only=False).copy()
    shapes = shapely.set_srid(shapely.from_wkb(values[foreign]), 0)
    values[foreign] = shapely.to_wkb(shapes, flavor="iso", byte_order=1)
    return pa.array(values, column.type)
