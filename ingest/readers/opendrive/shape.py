"""Vertices as ISO WKB, and areas between two bounds."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bound = tuple[Floats, Floats]

NARROW_M = 1e-3
"""Bounds that are nearer to one another enclose nothing; vertices of a line that are nearer are one."""
_POINT, _LINE, _POLYGON, _MANY = 1, 2, 3, 3
"""Codes of ISO WKB; a collection has the code of its parts and `_MANY`."""


def point(at: Floats) -> bytes:
    """A point; 2D or 3D, as all of these, by the width of the array."""
    return _head(_POINT, at[None, :]) + at.tobytes()


def line(vertices: Floats) -> bytes:
    """A line; a point where all of its vertices are one."""
    if len(vertices) < 2:
        return point(vertices[0])
    return _head(_LINE, vertices) + struct.pack("<I", len(vertices)) + _bytes(vertices)


def polygon(ring: Floats) -> bytes:
    """A polygon of one ring that need not be closed."""
    closed = ring if np.array_equal(ring[0], ring[-1]) else np.concatenate([ring, ring[:1]])
    return _head(_POLYGON, closed) + struct.pack("<II", 1, len(closed)) + _bytes(closed)


def many(parts: Sequence[bytes]) -> bytes:
    """The only one, or a collection of parts of one type."""
    if len(parts) == 1:
        return parts[0]
    (code,) = struct.unpack_from("<I", parts[0], 1)
    return struct.pack("<BII", 1, code + _MANY, len(parts)) + b"".join(parts)


def _head(code: int, vertices: Floats) -> bytes:
    return struct.pack("<BI", 1, code + (1000 if vertices.shape[1] == 3 else 0))


def _bytes(vertices: Floats) -> bytes:
    return np.ascontiguousarray(vertices, dtype="<f8").tobytes()


_REACH = 24
"""Segments on each side of a turn back within which the line is looked for that it crosses."""
_MOST_TURNS = 200


def without_loops(vertices: Floats) -> Floats:
    """A line beside a kink or a tight curve, on whose inner side it runs back over itself: the loop is cut where the line crosses itself.

    What is left is on the line as it was; a turn back that crosses nothing near stays.
    """
    step = np.diff(vertices[:, :2], axis=0)
    turns = np.flatnonzero((step[1:] * step[:-1]).sum(axis=1) < 0) + 1
    if len(turns) > _MOST_TURNS:
        return vertices
    kept: list[Floats] = []
    begin = 0
    for turn in turns.tolist():
        if turn < begin:
            continue
        crossing = _crossing(vertices, turn, begin)
        if crossing is not None:
            before, after, at = crossing
            kept += [vertices[begin : before + 1], at[None, :]]
            begin = after
    return np.concatenate([*kept, vertices[begin:]]) if kept else vertices


def _crossing(vertices: Floats, turn: int, first: int) -> tuple[int, int, Floats] | None:
    """Where a line that turns back at a vertex crosses itself: the last vertex before, the first after, the place."""
    before = np.arange(max(first, turn - _REACH), turn)
    after = np.arange(turn, min(turn + _REACH, len(vertices) - 1))
    if not len(before) or not len(after):
        return None
    a, b = vertices[before], vertices[before + 1] - vertices[before]
    c, d = vertices[after], vertices[after + 1] - vertices[after]
    with np.errstate(divide="ignore", invalid="ignore"):
        area = b[:, None, 0] * d[None, :, 1] - b[:, None, 1] * d[None, :, 0]
        x, y = c[None, :, 0] - a[:, None, 0], c[None, :, 1] - a[:, None, 1]
        on, its = (x * d[None, :, 1] - y * d[None, :, 0]) / area, (x * b[:, None, 1] - y * b[:, None, 0]) / area
        hits = (on > 0) & (on < 1) & (its > 0) & (its < 1) & (after[None, :] > before[:, None] + 1)
    if not hits.any():
        return None
    row, column = np.argwhere(hits)[0].tolist()
    return int(before[row]), int(after[column]) + 1, a[row] + on[row, column] * b[row]


def cleaned(xyz: Floats, first: Ints) -> tuple[list[Floats], set[int]]:
    """Each of some lines without vertices that are where the one before is, and without loops; and the numbers of those that had loops.

    Args:
        xyz: (n, 3) vertices, line after line; first: where each line begins, and the end of the last.
    """
    step = np.diff(xyz[:, :2], axis=0, prepend=np.nan)
    apart = ~(np.abs(step).max(axis=1) <= NARROW_M)
    apart[first[:-1][first[:-1] < len(xyz)]] = True
    kept = xyz[apart]
    start = np.concatenate([[0], np.cumsum(apart)])[first]
    step = np.diff(kept[:, :2], axis=0)
    turns = np.flatnonzero((step[1:] * step[:-1]).sum(axis=1) < 0) + 1
    line = np.searchsorted(start, turns, side="right") - 1
    inside = (turns > start[line]) & (turns < start[line + 1] - 1)
    lines = [kept[a:b] for a, b in zip(start[:-1].tolist(), start[1:].tolist(), strict=True)]
    looped = set()
    for number in np.unique(line[inside]).tolist():
        cut = without_loops(lines[number])
        if cut is not lines[number]:
            looped.add(number)
            lines[number] = cut
    return lines, looped


def between(left: Bound, right: Bound, *, forward: bool) -> bytes | None:
    """The area between two bounds that have their vertices in pairs; None where they enclose nothing.

    Its ring begins with the left bound in the direction of traffic: that of the bounds, or against it. Where the bounds meet on the way
    it is of several parts.

    Args:
        left, right: the vertices of a bound as drawn, and cleaned.
    """
    wide = ~(np.abs(left[0][:, :2] - right[0][:, :2]).max(axis=1) <= NARROW_M)
    if wide.all():
        return polygon(_ring(left[1], right[1], forward))
    steps = np.diff(np.concatenate([[False], wide, [False]]).astype(np.int8))
    parts = []
    for begin, end in zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True):
        some = slice(max(begin - 1, 0), end + 1)
        one, other = left[0][some], right[0][some]
        (there, back), _ = cleaned(np.concatenate([one, other]), np.array([0, len(one), len(one) + len(other)]))
        ring = _ring(there, back, forward)
        if len(ring) > 2:
            parts.append(polygon(ring))
    return many(parts) if parts else None


def _ring(left: Floats, right: Floats, forward: bool) -> Floats:
    """The vertices around; where the bounds meet, at the beginning or in the end, there is one."""
    if forward:
        one, other = left, right[::-1]
    else:
        one, other = right[::-1], left
    if np.abs(one[-1, :2] - other[0, :2]).max() <= NARROW_M:
        other = other[1:]
    if len(other) and np.abs(other[-1, :2] - one[0, :2]).max() <= NARROW_M:
        other = other[:-1]
    return np.concatenate([one, other])
