"""Curves of WKB drawn as lines: arcs become chords within a stated distance, surfaces of flat pieces become polygons exactly.

Nothing behind the readers knows arcs: tiles hold points, lines, polygons and collections of them. What stands in the file is kept beside.

Source: ISO/IEC 13249-3 (SQL/MM Spatial), codes 8 to 17; an arc goes through three points, and a circle begins and ends in its first, with
the middle one across.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.checks.wkb import EWKB, MAX_DEPTH, MAX_VERTICES, codes, one_array
from ingest.placing import systems

CHORD_M = 0.01
"""The farthest that a chord may be from its arc, in metres."""

_LINE, _POLYGON, _MULTILINE, _MULTIPOLYGON, _COLLECTION = 2, 3, 5, 6, 7
_ARCS, _COMPOUND, _CURVE_POLYGON, _MULTICURVE, _MULTISURFACE, _POLYHEDRAL, _TIN, _TRIANGLE = 8, 9, 10, 11, 12, 15, 16, 17
_BECOMES = {
    _ARCS: _LINE, _COMPOUND: _LINE, _CURVE_POLYGON: _POLYGON, _MULTICURVE: _MULTILINE, _MULTISURFACE: _MULTIPOLYGON,
    _POLYHEDRAL: _MULTIPOLYGON, _TIN: _MULTIPOLYGON, _TRIANGLE: _POLYGON,
}  # fmt: skip
_LINES = frozenset({_LINE, _ARCS, _COMPOUND})
_MEMBERS = {
    4: frozenset({1}), _MULTILINE: frozenset({_LINE}), _MULTIPOLYGON: frozenset({_POLYGON}), _MULTICURVE: _LINES,
    _MULTISURFACE: frozenset({_POLYGON, _CURVE_POLYGON}), _POLYHEDRAL: frozenset({_POLYGON}), _TIN: frozenset({_TRIANGLE, _POLYGON}),
}  # fmt: skip
"""Code of a geometry of members -> what these may be; a collection may hold anything."""
_MOST_CHORDS = 10_000
_STEP = math.pi / 8
_DEGREE_M = 111_320.0

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Straight:
    """A column of WKB without curves.

    `arcs`: rows that had arcs, with the bytes that stand in the file; `surfaces`: how many had surfaces or curve types that became polygons
    and lines exactly. A row that cannot be drawn is left as it is.
    """

    column: Any
    arcs: dict[int, bytes]
    surfaces: int


def straightened(column: Any, crs: str) -> Straight:
    """The column with its curves as lines; `crs` is what it is in, "" when nobody knows."""
    array = one_array(column)
    base = codes(array)
    rows = np.flatnonzero((base >= _COLLECTION) & (base <= _TRIANGLE)).tolist()
    arcs: dict[int, bytes] = {}
    surfaces = 0
    texts: list[bytes | None] | None = None
    for row in rows:
        body = array[row].as_py()
        drawing = _Drawing(body, crs)
        try:
            line = drawing.whole()
        except (ValueError, struct.error):
            continue
        if not drawing.met:
            continue
        if _ARCS in drawing.met:
            arcs[row] = body
        else:
            surfaces += 1
        texts = array.to_pylist() if texts is None else texts
        texts[row] = line
    return Straight(column if texts is None else pa.array(texts, pa.binary()), arcs, surfaces)


def allowed(crs: str, points: Points) -> float:
    """`CHORD_M` in the unit of the coordinates; where nobody knows the unit, numbers like degrees are taken for such."""
    metres = _metres(crs)
    if metres is None:
        metres = 1.0 if np.abs(points[:, :2]).max(initial=0.0) > 360.0 else _DEGREE_M
    return CHORD_M / metres


@lru_cache(maxsize=64)
def _metres(crs: str) -> float | None:
    """Metres in a unit of a system's coordinates, for degrees at the equator; None of no system."""
    known = systems.crs_from(crs)
    if known is None:
        return None
    axes = systems.horizontal(known).axis_info
    factor = float(axes[0].unit_conversion_factor) if axes else 1.0
    return factor * math.degrees(1.0) * _DEGREE_M if known.is_geographic else factor


@dataclass(slots=True)
class _Drawing:
    """One geometry on its way from WKB to WKB. `met`: the codes of curves and surfaces in it."""

    body: bytes
    crs: str
    at: int = 0
    met: set[int] = field(default_factory=set)
    vertices: int = 0

    def whole(self) -> bytes:
        """The geometry without curves, little-endian ISO WKB.

        Raises: ValueError, struct.error: it is cut, nested too deep, too large, or no geometry.
        """
        drawn = self._geometry(None, 1)
        if self.at != len(self.body):
            raise ValueError("bytes behind the geometry")
        return drawn

    def _geometry(self, may_be: frozenset[int] | None, depth: int) -> bytes:
        mark, code, dims, stride = self._head()
        if depth > MAX_DEPTH or (may_be is not None and code not in may_be):
            raise ValueError("nested too deep, or a member that cannot be there")
        own = struct.pack("<BI", 1, _BECOMES.get(code, code) + dims)
        self.met |= {code} & _BECOMES.keys()
        if code == 1:
            return own + self._points(mark, 1, stride).tobytes()
        if code in _LINES:
            return own + _counted(self._line(mark, code, stride, depth))
        if code in (_POLYGON, _TRIANGLE, _CURVE_POLYGON):
            rings = [self._ring(mark, code, stride, depth) for _ in range(self._count(mark))]
            return own + struct.pack("<I", len(rings)) + b"".join(map(_counted, rings))
        if code != _COLLECTION and code not in _MEMBERS:
            raise ValueError("no geometry")
        members = [self._geometry(_MEMBERS.get(code), depth + 1) for _ in range(self._count(mark))]
        return own + struct.pack("<I", len(members)) + b"".join(members)

    def _head(self) -> tuple[str, int, int, int]:
        """Byte order, code without dimensions, what dimensions add to the code, bytes of a vertex."""
        mark = "<" if self.body[self.at : self.at + 1] == b"\x01" else ">"
        (word,) = struct.unpack_from(mark + "I", self.body, self.at + 1)
        self.at += 5 + (4 if word & EWKB["srid"] else 0)
        code = word & 0x0FFFFFFF
        z = bool(code // 1000 & 1 or word & EWKB["z"])
        m = bool(code // 1000 & 2 or word & EWKB["m"])
        return mark, code % 1000, 1000 * z + 2000 * m, 8 * (2 + z + m)

    def _count(self, mark: str) -> int:
        (count,) = struct.unpack_from(mark + "I", self.body, self.at)
        self.at += 4
        if count > len(self.body) // 4:
            raise ValueError("more members than bytes")
        return int(count)

    def _points(self, mark: str, count: int, stride: int) -> Points:
        if self.at + count * stride > len(self.body):
            raise ValueError("cut")
        points = np.frombuffer(self.body, mark + "f8", count * stride // 8, self.at).reshape(count, stride // 8)
        self.at += count * stride
        return self._limited(points.astype("<f8"))

    def _limited(self, points: Points) -> Points:
        self.vertices += len(points)
        if self.vertices > 2 * MAX_VERTICES:
            raise ValueError("too many vertices")
        return points

    def _line(self, mark: str, code: int, stride: int, depth: int) -> Points:
        count = self._count(mark)
        if code == _COMPOUND:
            return _joined([self._member_line(depth + 1) for _ in range(count)], stride)
        points = self._points(mark, count, stride)
        return points if code == _LINE else self._limited(chords(points, allowed(self.crs, points)))

    def _ring(self, mark: str, code: int, stride: int, depth: int) -> Points:
        return self._member_line(depth + 1) if code == _CURVE_POLYGON else self._line(mark, _LINE, stride, depth)

    def _member_line(self, depth: int) -> Points:
        mark, code, _, stride = self._head()
        if code not in _LINES or depth > MAX_DEPTH:
            raise ValueError("a member that is no line")
        self.met |= {code} & _BECOMES.keys()
        return self._line(mark, code, stride, depth)


def _counted(points: Points) -> bytes:
    return struct.pack("<I", len(points)) + points.tobytes()


def _joined(lines: list[Points], stride: int) -> Points:
    """Lines of which each begins where the one before ends, as one."""
    lines = [line for line in lines if len(line)]
    for before, after in zip(lines, lines[1:], strict=False):
        if not np.array_equal(before[-1, :2], after[0, :2]):
            raise ValueError("parts of a curve that do not join")
    pieces = [lines[0], *(line[1:] for line in lines[1:])] if lines else [np.zeros((0, stride // 8))]
    return np.concatenate(pieces)


def chords(points: Points, most: float) -> Points:
    """A string of arcs (every second point is the middle of one) as chords at most `most` away from it; the given points stay vertices.

    Heights and measures go evenly from point to point.

    Raises: ValueError: not an odd number of points, or a coordinate that is not a number.
    """
    if not len(points):
        return points
    if len(points) < 3 or len(points) % 2 == 0 or not np.isfinite(points[:, :2]).all():
        raise ValueError("no arcs")
    pieces = [points[:1]]
    for first in range(0, len(points) - 2, 2):
        pieces += _arc(points[first], points[first + 1], points[first + 2], most)
    return np.concatenate(pieces)


def _arc(a: Points, b: Points, c: Points, most: float) -> list[Points]:
    """The vertices behind `a` of the arc from a through b to c, in two halves."""
    centre, sweeps = _circle(a[:2], b[:2], c[:2])
    if centre is None:
        return [b[None], c[None]]
    radius = float(np.hypot(*(a[:2] - centre)))
    step = min(_STEP, 2 * math.acos(max(-1.0, 1 - most / radius))) if radius > 0 else _STEP
    return [_half(p, q, centre, sweep, step) for (p, q), sweep in zip(((a, b), (b, c)), sweeps, strict=True)]


def _half(p: Points, q: Points, centre: Points, sweep: float, step: float) -> Points:
    count = math.ceil(abs(sweep) / step) if step > 0 else _MOST_CHORDS + 1
    if count > _MOST_CHORDS:
        raise ValueError("an arc of too many chords")
    part = np.arange(1, count + 1)[:, None] / max(1, count)
    found = p + (q - p) * part
    turn = sweep * part[:, 0]
    away = p[:2] - centre
    found[:, 0] = centre[0] + away[0] * np.cos(turn) - away[1] * np.sin(turn)
    found[:, 1] = centre[1] + away[0] * np.sin(turn) + away[1] * np.cos(turn)
    if count:
        found[-1] = q
    return found


def _circle(a: Points, b: Points, c: Points) -> tuple[Points | None, tuple[float, float]]:
    """Centre of the circle through three points, None when they are on a line, and the turns from a to b and from b to c."""
    if np.array_equal(a, c):
        return ((a + b) / 2, (math.pi, math.pi)) if not np.array_equal(a, b) else (None, (0.0, 0.0))
    u, v = b - a, c - a
    cross = float(u[0] * v[1] - u[1] * v[0])
    if abs(cross) <= 1e-12 * float(np.hypot(*u) * np.hypot(*v)):
        return None, (0.0, 0.0)
    uu, vv = float(u @ u), float(v @ v)
    centre = a + np.array([v[1] * uu - u[1] * vv, u[0] * vv - v[0] * uu]) / (2 * cross)
    angles = [math.atan2(*(p - centre)[::-1]) for p in (a, b, c)]
    sign = 1 if cross > 0 else -1
    turns = [(sign * (angles[i + 1] - angles[i])) % (2 * math.pi) for i in range(2)]
    return centre, (sign * turns[0], sign * turns[1])
