"""Shapes of Lanelet2 elements from their members: lanelets from two bounds, areas from rings, and the middle line that is measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def aligned(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """The two bounds of a lanelet running the same way, so that `left` has the lane on its right hand.

    Ways are stored in any direction; as the lanelet2 library does, the ends that are together decide, then the side.
    """
    same = _gap(left[0], right[0]) + _gap(left[-1], right[-1])
    crossed = _gap(left[0], right[-1]) + _gap(left[-1], right[0])
    if crossed < same:
        right = right[::-1]
    ring = np.concatenate([left[:, :2], right[::-1, :2]])
    if _signed_area(ring) > 0:  # left forward and right back run anticlockwise: the lane is on the left hand
        return left[::-1], right[::-1]
    return left, right


def lanelet(left: Floats, right: Floats) -> bytes:
    """WKB polygon of two aligned bounds: every vertex of both, in order; a vertex in which they meet comes once."""
    back = right[::-1]
    back = back[1:] if np.array_equal(back[0], left[-1]) else back
    back = back[:-1] if len(back) and np.array_equal(back[-1], left[0]) else back
    ring = np.concatenate([left, back, left[:1]])
    if len(ring) < 4:  # both bounds are one and the same segment
        ring = np.concatenate([left, right[::-1], left[:1]])
    return wkb(shapely.Polygon(ring))


def middle(left: Floats, right: Floats) -> Floats:
    """The line halfway between two aligned bounds, with a vertex for each vertex of either.

    Both bounds are walked from 0 to 1 by their own length (degrees scaled to the same length east and north).
    """
    scale = np.cos(np.radians(left[0, 1]))
    at_left, at_right = _fractions(left, scale), _fractions(right, scale)
    steps = np.union1d(at_left, at_right)
    columns = [(np.interp(steps, at_left, left[:, axis]) + np.interp(steps, at_right, right[:, axis])) / 2 for axis in range(left.shape[1])]
    return np.column_stack(columns)


def area(outer: Sequence[tuple[list[int], Floats]], inner: Sequence[tuple[list[int], Floats]]) -> tuple[bytes | None, bool]:
    """WKB (Multi)Polygon of the rings that some ways form, and whether every ring closes by itself.

    Args:
        outer, inner: (node ids, coordinates) of each way; ways are chained by the nodes that they share.
    """
    shells, closed = rings(outer)
    holes, holes_closed = rings(inner)
    if not shells:
        return None, False
    if len(shells) == 1:
        return wkb(shapely.Polygon(shells[0], holes)), closed and holes_closed
    polygons = []
    left = list(holes)
    for shell in shells:
        outline = shapely.Polygon(shell)
        mine = [hole for hole in left if outline.is_valid and outline.contains(shapely.Point(hole[0][:2]))]
        left = [hole for hole in left if not any(hole is taken for taken in mine)]
        polygons.append(shapely.Polygon(shell, mine))
    return wkb(shapely.MultiPolygon(polygons)), closed and holes_closed and not left


def rings(ways: Sequence[tuple[list[int], Floats]]) -> tuple[list[Floats], bool]:
    """Rings from ways that may be stored in any order and direction; a chain that does not close is closed by a straight line."""
    rest = [way for way in ways if len(way[0]) > 0]
    found: list[Floats] = []
    closed = True
    while rest:
        ids, coordinates = rest.pop(0)
        chain, line = list(ids), coordinates
        while (
            chain[0] != chain[-1]
            and (at := next((i for i, (other, _) in enumerate(rest) if chain[-1] in (other[0], other[-1])), None)) is not None
        ):
            other, more = rest.pop(at)
            if other[0] != chain[-1]:
                other, more = other[::-1], more[::-1]
            chain += other[1:]
            line = np.concatenate([line, more[1:]])
        if chain[0] != chain[-1]:
            closed = False
            line = np.concatenate([line, line[:1]])
            chain += chain[:1]
        loops = [line[loop] for loop in _loops(chain)] if len(set(chain)) < len(chain) - 1 else [line]
        loops = loops if all(len(loop) >= 4 for loop in loops) else [line]
        found += [loop for loop in loops if len(loop) >= 4]
        closed &= len(loops[0]) >= 4
    return found, closed


def _loops(chain: Sequence[int]) -> list[list[int]]:
    """Places of the vertices of each ring in a closed chain that comes to a node again: rings that touch are rings of their own."""
    path: list[int] = []
    at: dict[int, int] = {}
    found = []
    for place, node in enumerate(chain):
        if node in at:
            begin = at[node]
            found.append([*path[begin:], place])
            for gone in path[begin + 1 :]:
                del at[chain[gone]]
            del path[begin + 1 :]
        else:
            at[node] = len(path)
            path.append(place)
    return found


def wkb(shape: shapely.Geometry) -> bytes:
    """Little-endian ISO WKB."""
    made = shapely.to_wkb(shape, flavor="iso", byte_order=1)
    assert isinstance(made, bytes)  # noqa: S101 - one geometry gives one text
    return made


def _gap(a: Floats, b: Floats) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def _signed_area(ring: Floats) -> float:
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def _fractions(line: Floats, scale: float) -> Floats:
    steps = np.hypot(np.diff(line[:, 0]) * scale, np.diff(line[:, 1]))
    total = float(steps.sum())
    if total == 0.0:
        return np.linspace(0.0, 1.0, len(line))
    walked = np.concatenate([[0.0], np.cumsum(steps)]) / total
    walked[-1] = 1.0
    # np.interp needs rising positions; repeated vertices keep theirs.
    return walked
