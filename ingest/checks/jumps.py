"""Jumps: segments that are far longer than is usual in their layer, because a vertex was dragged or mistyped.

Lengths are what a buyer pays for, so a jump is a question that the seller answers before the data is published. What is usual is the
median of all segments of the layer in this source: a typo may be in a line of two vertices, at either end, or in a ring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.findings import info, question
from ingest.placing.move import Floats, Shapes
from mapex.catalogue.finding import Finding
from tiles.batch import Batch

JUMP_M, JUMP_RATIO = 2_000.0, 20.0
"""A segment that is longer, and so many times the usual one, is a jump."""
ALONE_M = 10_000.0
"""A longer segment is one where there are too few others to know what is usual."""
COARSE_M = 50_000.0
"""A longer segment is one in every layer: nothing that is driven or walked on is straight for so long."""
SPIKE_M, RING_SPIKE_M = 100.0, 500.0
"""A vertex is a jump, too, from which the line comes straight back, when both segments are longer and `JUMP_RATIO` times the usual one.
The area of a lane that ends in a point is as long and thin as that, so that rings need longer ones.
"""
LONG_M, LONG_RATIO = 300.0, 50.0
"""A segment that is longer, and so many times the usual one, is worth a look."""
_METRES = 111_320.0
_FEWEST = 5
_CLEARLY = 4.0
"""Times the median of a batch that a segment must be long to be looked at; a fifth of `JUMP_RATIO`, since batches differ."""
_MOST = 20_000
"""Suspects of a layer that are kept: memory stays bounded, and the longest stay."""
_EXAMPLES = 20
_BINS = 20
"""Bins of the histogram for each power of ten, from a millimetre: the median is exact to 12 %."""

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PathSegments:
    """All segments of a batch, as columns: length on the ground and rise in metres (NaN without heights), the row and the path that each
    is of, the place (n, 2) of its first and second vertex in degrees.
    """

    metres: Floats
    rise: Floats
    row: Index
    path: Index
    start: Floats
    end: Floats


def segments(shapes: Shapes) -> PathSegments:
    """The segments of lines and rings, those of all parts of a geometry, in degrees WGS 84; over the 180th meridian the short way.

    Lengths are of a sphere: good to half a percent, which no rule here depends on.
    """
    paths, rows = _paths(shapes, np.arange(len(shapes)))
    coordinates, path = shapely.get_coordinates(paths, include_z=True, return_index=True)
    first = np.flatnonzero(path[1:] == path[:-1])
    step = np.diff(coordinates, axis=0)[first]
    start, end = coordinates[first, :2], coordinates[first + 1, :2]
    east, north, rise = step.T
    far = np.abs(east) > 180.0
    east[far] -= np.copysign(360.0, east[far])
    east *= np.cos(np.radians(start[:, 1]))
    return PathSegments(np.hypot(east, north) * _METRES, rise, rows[path[first]], path[first], start, end)


def _paths(shapes: Shapes, rows: Index) -> tuple[Shapes, Index]:
    """Lines and rings in any geometry, and the row of each."""
    kind = shapely.get_type_id(shapes)
    rings, polygon = shapely.get_rings(shapes[kind == 3], return_index=True)
    found, of_row = [shapes[kind == 1], rings], [rows[kind == 1], rows[kind == 3][polygon]]
    if (kind > 3).any():
        parts, whole = shapely.get_parts(shapes[kind > 3], return_index=True)
        inner, inner_rows = _paths(parts, rows[kind > 3][whole])
        found.append(inner)
        of_row.append(inner_rows)
    return np.concatenate(found), np.concatenate(of_row)


@dataclass(slots=True)
class _Suspect:
    """A path that may have a jump: its longest segment, the longest way out and back to one vertex, and where that is."""

    feature: str
    longest: float
    spike: float
    spot: tuple[float, float]


@dataclass(slots=True)
class _JumpsOfLayer:
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(12 * _BINS, np.int64))
    suspects: dict[str, _Suspect] = field(default_factory=dict)

    def usual(self) -> float | None:
        """The median length of all segments; None where there are too few."""
        total = int(self.counts.sum())
        if total < _FEWEST:
            return None
        at = int(np.searchsorted(np.cumsum(self.counts), (total + 1) // 2))
        return float(10 ** ((at + 0.5) / _BINS - 3))


@dataclass(slots=True)
class Jumps:
    """Looks at the segments of one source, batch by batch; what is usual is known in the end (`findings`)."""

    _layers: dict[str, _JumpsOfLayer] = field(default_factory=dict)

    def look(self, batch: Batch, found: PathSegments) -> None:
        """Take the segments of a batch in: their lengths, and the paths that may have a jump."""
        layer = self._layers.setdefault(batch.layer, _JumpsOfLayer())
        moved = found.metres[found.metres > 0]
        bins = np.clip(((np.log10(moved) + 3) * _BINS).astype(int), 0, len(layer.counts) - 1)
        layer.counts += np.bincount(bins, minlength=len(layer.counts))
        if not len(moved):
            return
        ids = batch.table.column("feature_id")
        middle = np.median(found.start, axis=0)
        # A map whose segments are all long has no suspects: what is usual in the batch says enough to leave most paths alone.
        least = min(max(SPIKE_M, _CLEARLY * float(np.median(moved))), ALONE_M)
        for path in np.unique(found.path[found.metres > least]).tolist():
            first, last = np.searchsorted(found.path, (path, path + 1))
            self._suspect(layer, str(ids[int(found.row[first])]), found, (int(first), int(last)), middle)
        if len(layer.suspects) > _MOST:
            kept = sorted(layer.suspects.items(), key=lambda one: -max(one[1].longest, one[1].spike))
            layer.suspects = dict(kept[: _MOST // 2])

    def _suspect(self, layer: _JumpsOfLayer, feature: str, found: PathSegments, where: tuple[int, int], middle: Floats) -> None:
        part = slice(*where)
        length, start, end = found.metres[part], found.start[part], found.end[part]
        at = int(length.argmax())
        ends = np.stack([start[at], end[at]])
        spot = ends[int(np.hypot(*(ends - middle).T).argmax())]
        spike = 0.0
        is_ring = np.array_equal(start[0], end[-1])
        if is_ring:  # it comes back to its first vertex, which may be the wrong one
            length, start, end = np.append(length, length[:1]), np.append(start, start[:1], axis=0), np.append(end, end[:1], axis=0)
        for turn in _turns(length, start, end, RING_SPIKE_M if is_ring else SPIKE_M).tolist():
            if (out := float(min(length[turn], length[turn + 1]))) > spike:
                spike, spot = out, end[turn]
        one = _Suspect(feature, float(length[at]), spike, (float(spot[0]), float(spot[1])))
        known = layer.suspects.get(feature)
        if known is None or (one.longest, one.spike) > (known.longest, known.spike):
            layer.suspects[feature] = one

    def findings(self, file: str) -> Iterator[Finding]:
        """What jumps, the longest first: a question for each of the first ones, and one for all others together."""
        for name, layer in sorted(self._layers.items()):
            usual = layer.usual()
            suspects = sorted(layer.suspects.values(), key=lambda one: -max(one.longest, one.spike))
            where = {"file": file, "layer": name}
            yield from _reported([one for one in suspects if _jumps(one, usual)], usual, where)
            long = [one for one in suspects if usual and not _jumps(one, usual) and one.longest > max(LONG_M, LONG_RATIO * usual)]
            if long:
                text = f"{len(long)} features have a segment of more than {LONG_RATIO:g} times the usual {_length(usual)}."
                place = {"feature": long[0].feature, "value": _value(long[0]), "lon": long[0].spot[0], "lat": long[0].spot[1]}
                yield info("geometry.long_segment", text, "Check whether a vertex was moved.", count=len(long), **place, **where)


def _turns(length: Floats, start: Floats, end: Floats, shortest: float) -> Index:
    """The segments after which a path comes back to where it was: its ends are nearer to each other than half of either segment."""
    wide = np.cos(np.radians(start[:-1, 1]))
    back = np.hypot((end[1:, 0] - start[:-1, 0]) * wide, end[1:, 1] - start[:-1, 1]) * _METRES
    least = np.minimum(length[:-1], length[1:])
    return np.flatnonzero((least > shortest) & (back < least / 2))


def _jumps(one: _Suspect, usual: float | None) -> bool:
    if usual is None:
        return one.longest > ALONE_M
    is_far = one.longest > max(JUMP_M, JUMP_RATIO * usual)
    return is_far or one.longest > COARSE_M or one.spike > max(SPIKE_M, JUMP_RATIO * usual)


def _reported(jumps: list[_Suspect], usual: float | None, where: dict[str, str]) -> Iterator[Finding]:
    fix = "Correct the vertex and upload again, or confirm the length when you publish (--confirm geometry.jump)."
    for one in jumps[:_EXAMPLES]:
        known = f", where {_length(usual)} is usual" if usual else ""
        text = f"A vertex is far from its neighbours: a segment is {_length(max(one.longest, one.spike))} long{known}."
        yield question("geometry.jump", text, fix, feature=one.feature, value=_value(one), lon=one.spot[0], lat=one.spot[1], **where)
    if more := jumps[_EXAMPLES:]:
        text = f"{len(more)} more features have a vertex that is far from its neighbours."
        value = f"{sum(_extra(one) for one in more):.0f} m"
        yield question("geometry.jump", text, fix, value=value, count=len(more), **where)


def _extra(one: _Suspect) -> float:
    """The length that the jump makes: out and back where the line comes back."""
    return max(one.longest, 2 * one.spike)


def _value(one: _Suspect) -> str:
    return f"{_extra(one):.0f} m"


def _length(value: float | None) -> str:
    return "" if value is None else f"{value / 1000:,.1f} km" if value >= 1000 else f"{value:.2g} m" if value < 10 else f"{value:.0f} m"
