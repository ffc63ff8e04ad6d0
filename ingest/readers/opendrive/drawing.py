"""Lines of roads as vertices: so many that no line is further than 2 cm from its curve, and not many more.

All lines of a piece have their vertices at the same distances along the road, so that neighbouring lanes share theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.readers.opendrive.cubics import slopes, values
from ingest.readers.opendrive.lines import (
    BORDER,
    ELEVATION,
    FALL_LEFT,
    FALL_RIGHT,
    INNER,
    OUTER,
    REFERENCE,
    ROLL,
    STRIP,
    Line,
    RoadLines,
)
from tiles.arrays import repeat_ranges

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEAR_M = 0.02
"""No line that is drawn is further than this from its curve."""
_WANTED_M = 0.9 * NEAR_M
"""Three places between two vertices are looked at; between these a cubic is at most some percent further away."""
_STEP_M = 25.0
_SHORTEST_M = 0.002
_MOST_PARTS = 16
MOST_POINTS = 500_000
"""Vertices of all lines of one road."""
_AT_ONCE = 200_000
_PLACES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


@dataclass(slots=True)
class RoadFrames:
    """Where a road is at some distances, and how it is tilted."""

    x: Floats
    y: Floats
    z: Floats
    heading: Floats
    pitch: Floats
    roll: Floats
    falls: Floats
    """(n, 2): crossfall of the left and of the right side"""
    piece: Ints
    on: Floats
    """metres from the start of the piece"""


@dataclass(slots=True)
class RoadDrawing:
    """Vertices of all lines, (n, 3), line after line; `first` is where each begins."""

    names: list[Line]
    first: Ints
    xyz: Floats


def frames_of(lines: RoadLines, piece: Ints, on: Floats) -> RoadFrames:
    """The frames of roads `on` metres after the starts of pieces."""
    pieces = lines.pieces
    x, y, heading = lines.plan.at(pieces.record[piece], pieces.start[piece] + on)
    profiles = pieces.profiles[piece]
    falls = np.column_stack([values(profiles[:, FALL_LEFT], on), values(profiles[:, FALL_RIGHT], on)])
    pitch = np.arctan(slopes(profiles[:, ELEVATION], on))
    return RoadFrames(x, y, values(profiles[:, ELEVATION], on), heading, pitch, values(profiles[:, ROLL], on), falls, piece, on)


def lifted(lines: RoadLines, frames: RoadFrames, frame: Ints, t: Floats, level: Floats, height: Floats) -> Floats:
    """(n, 3) of points beside the reference line.

    Args:
        frame: which of the frames each is in.
        t: how far to the left; level: from which t on a level lane goes on horizontally (t itself where it does not).
        height: above the surface of the road.
    """
    heading, pitch, roll = frames.heading[frame], frames.pitch[frame], frames.roll[frame]
    falls = frames.falls[frame, (level < 0).astype(np.int64)]
    up = height - np.tan(falls) * np.abs(level) + _shape_heights(lines, frames, frame, level)
    left = np.column_stack([-np.sin(heading), np.cos(heading), np.zeros(len(heading))])
    normal = np.column_stack([-np.sin(pitch) * np.cos(heading), -np.sin(pitch) * np.sin(heading), np.cos(pitch)])
    cos, sin = np.cos(roll), np.sin(roll)
    reference = np.column_stack([frames.x[frame], frames.y[frame], frames.z[frame]])
    across, above = level * cos - up * sin + (t - level), level * sin + up * cos
    return np.asarray(reference + across[:, None] * left + above[:, None] * normal)


def _shape_heights(lines: RoadLines, frames: RoadFrames, frame: Ints, t: Floats) -> Floats:
    """Heights by the lateral profiles of the few roads that have some: cubics of t, linear between their places along the road."""
    found = np.zeros(len(t))
    road = lines.pieces.road[frames.piece[frame]]
    for number, one in enumerate(lines.roads):
        if not one.shapes:
            continue
        mine = np.flatnonzero(road == number)
        s = lines.pieces.start[frames.piece[frame[mine]]] + frames.on[frame[mine]]
        places = np.array([shape.s for shape in one.shapes])
        before = np.clip(np.searchsorted(places, s, side="right") - 1, 0, len(places) - 1)
        after = np.minimum(before + 1, len(places) - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.clip(np.nan_to_num((s - places[before]) / (places[after] - places[before])), 0.0, 1.0)
        for place, share in ((before, 1 - part), (after, part)):
            order = np.argsort(place, kind="stable")
            which, first = np.unique(place[order], return_index=True)
            for at, some in zip(which.tolist(), np.split(order, first[1:]), strict=True):
                on = t[mine[some]]
                found[mine[some]] += share[some] * values(one.shapes[at].heights.seen_from(on), np.zeros(len(on)))
    return found


class Drawing:
    """The vertices of some lines. `too_many`: the numbers of the roads that would have too many; their lines are empty."""

    def __init__(self, lines: RoadLines) -> None:
        self.lines = lines
        count = len(lines.pieces.start)
        self.first = np.searchsorted(lines.spans.piece, np.arange(count + 1))
        self.looked = np.flatnonzero(_are_looked_at(lines)[lines.spans.line])
        self.first_looked = np.searchsorted(lines.spans.piece[self.looked], np.arange(count + 1))
        self.too_many: set[int] = set()
        self.counts = np.zeros(len(lines.roads))
        self.samples, self.starts = self._samples()
        self.points = int((np.diff(self.starts) * np.diff(self.first)).sum())

    def _samples(self) -> tuple[Floats, Ints]:
        """Distances of the vertices from the start of their piece, piece after piece; and where those of each piece begin."""
        pieces = self.lines.pieces
        length = np.maximum(pieces.end - pieces.start, 0.0)
        whole = np.arange(len(length))
        bends = self.lines.plan.bends()[pieces.record]
        waiting = self._cut(whole, np.zeros(len(length)), length, np.ceil(np.maximum(length / _STEP_M, length * bends)).clip(1))
        done: list[tuple[Ints, Floats]] = []
        while len(waiting[0]):
            piece, begin, end = waiting
            off = np.concatenate([self._off(piece[some], begin[some], end[some]) for some in self._slices(piece)])
            fine = ~(off > _WANTED_M) | (end - begin <= _SHORTEST_M)
            done.append((piece[fine], begin[fine]))
            self.counts += self._vertices(piece[fine], np.ones(int(fine.sum())))
            parts = np.ceil(np.sqrt(off[~fine] / _WANTED_M).clip(2, _MOST_PARTS))
            waiting = self._cut(piece[~fine], begin[~fine], end[~fine], parts)
        return self._sorted(done, length)

    def _vertices(self, piece: Ints, parts: Floats) -> Floats:
        """How many vertices intervals on some pieces give to the lines of each road, when each is cut into so many parts."""
        weights = parts * np.diff(self.first)[piece]
        return np.asarray(np.bincount(self.lines.pieces.road[piece], weights=weights, minlength=len(self.counts)), dtype=np.float64)

    def _cut(self, piece: Ints, begin: Floats, end: Floats, parts: Floats) -> tuple[Ints, Floats, Floats]:
        """Intervals cut into equal parts, but for those of roads that would have too many."""
        ahead = self.counts + self._vertices(piece, parts)
        self.too_many |= set(np.flatnonzero(ahead > MOST_POINTS).tolist())
        going = ~np.isin(self.lines.pieces.road[piece], list(self.too_many))
        piece, begin, end, count = piece[going], begin[going], end[going], parts[going].astype(np.int64)
        which = np.repeat(np.arange(len(piece)), count)
        number = repeat_ranges(np.zeros(len(piece), np.int64), count)
        size = ((end - begin) / count)[which]
        start = begin[which] + number * size
        return piece[which], start, np.where(number + 1 == count[which], end[which], start + size)

    def _sorted(self, done: list[tuple[Ints, Floats]], length: Floats) -> tuple[Floats, Ints]:
        kept = ~np.isin(self.lines.pieces.road, list(self.too_many))
        piece = np.concatenate([*(one[0] for one in done), np.flatnonzero(kept)])
        on = np.concatenate([*(one[1] for one in done), length[kept]])
        mine = kept[piece]
        piece, on = piece[mine], on[mine]
        order = np.lexsort((on, piece))
        return on[order], np.searchsorted(piece[order], np.arange(len(length) + 1))

    def _slices(self, piece: Ints) -> Iterator[slice]:
        """Runs of intervals whose lines together are not too many to look at, at once."""
        total = np.cumsum(np.diff(self.first_looked)[piece] * len(_PLACES))
        edges = np.searchsorted(total, np.arange(_AT_ONCE, int(total[-1]) + 1, _AT_ONCE)) if len(total) else np.zeros(0, np.int64)
        whole = np.unique([0, *edges.tolist(), len(piece)])
        yield from (slice(int(a), int(b)) for a, b in zip(whole[:-1], whole[1:], strict=True))

    def _off(self, piece: Ints, begin: Floats, end: Floats) -> Floats:
        """How far the lines are from their chords in each interval, the furthest one."""
        counts = np.diff(self.first_looked)[piece]
        span = self.looked[repeat_ranges(self.first_looked[piece], counts)]
        return self.off(piece, begin[:, None] + (end - begin)[:, None] * _PLACES, span, counts)

    def off(self, piece: Ints, on: Floats, span: Ints, counts: Ints) -> Floats:
        """How far lines are at the inner of some places from the chord between the outer two, the furthest one.

        Args:
            piece, on: (n,) pieces, and (n, k) places on each.
            span: the lines of each piece that are looked at, so many as `counts` (n,) says.
        """
        places = on.shape[1]
        frames = frames_of(self.lines, np.repeat(piece, places), on.ravel())
        span = np.repeat(span, places)
        which = np.repeat(np.arange(len(piece)) * places, counts)
        frame = (which[:, None] + np.arange(places)).ravel()
        away = _from_chord(self._points(span, frames, frame).reshape(-1, places, 3)).max(axis=1)
        return np.asarray(np.maximum.reduceat(away, np.cumsum(counts) - counts))

    def _points(self, span: Ints, frames: RoadFrames, frame: Ints) -> Floats:
        spans, on = self.lines.spans, frames.on[frame]
        t = values(spans.t[span], on)
        return lifted(self.lines, frames, frame, t, values(spans.inner[span], on), values(spans.height[span], on))

    def drawn(self) -> RoadDrawing:
        """The vertices of all lines, two where two pieces meet: they differ where the source jumps."""
        frames = frames_of(self.lines, np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts)), self.samples)
        spans = self.lines.spans
        order = np.argsort(spans.line, kind="stable")
        counts = np.diff(self.starts)[spans.piece[order]]
        frame = repeat_ranges(self.starts[spans.piece[order]], counts)
        span = np.repeat(order, counts)
        line = spans.line[span]
        xyz = np.concatenate(
            [self._points(span[k : k + _AT_ONCE], frames, frame[k : k + _AT_ONCE]) for k in range(0, len(span), _AT_ONCE)]
            or [np.zeros((0, 3))]
        )
        return RoadDrawing(self.lines.names, np.searchsorted(line, np.arange(len(self.lines.names) + 1)), xyz)


def _are_looked_at(lines: RoadLines) -> NDArray[np.bool_]:
    """Which lines show whether all are near their curves: the middle and the inner bound of a lane are no further than two of these."""
    found = []
    for road, _, lane, what, _ in lines.names:
        is_own = what in (OUTER, REFERENCE, STRIP) or (what == INNER and abs(lane) == 1) or (what == BORDER and lane == 0)
        found.append(is_own or bool(lines.roads[road].shapes))
    return np.array(found, dtype=np.bool_)


def _from_chord(xyz: Floats) -> Floats:
    """(n, 3) distances of the inner three of five points from the line between the outer two."""
    begin, chord = xyz[:, :1], xyz[:, -1:] - xyz[:, :1]
    length = (chord**2).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = ((xyz[:, 1:-1] - begin) * chord).sum(axis=2) / length
    along = np.where(length > 0, np.clip(along, 0.0, 1.0), 0.0)
    away = xyz[:, 1:-1] - begin - along[:, :, None] * chord
    return np.asarray(np.sqrt((away**2).sum(axis=2)))
