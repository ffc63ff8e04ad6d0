"""The lines of roads that are drawn: reference lines, both bounds and the middle of each lane, borders between changes of their marks.

Between two neighbouring changes of anything (a record of the plan view, of elevation, of a width, ...) is a *piece*. On a piece each line
is one cubic of the distance: its distance t from the reference line. A *span* is one line on one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ingest.readers.opendrive.cubics import SAME_M, Cubics
from ingest.readers.opendrive.lanes import RoadLane, Section
from ingest.readers.opendrive.plan import PlanView, Record
from ingest.readers.opendrive.road import Road

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OUTER, INNER, MIDDLE, BORDER, REFERENCE, STRIP = range(6)
Line = tuple[int, int, int, int, int]
"""Number of the road among those drawn together, section, lane, what it is (`OUTER` ...), number of the mark or strip."""
Range = tuple[int, int]
Curves = tuple[Floats, Floats | None]
"""Cubics of a line on some pieces, and those of the bound at which a level lane leaves the road's surface."""

ELEVATION, ROLL, FALL_LEFT, FALL_RIGHT = range(4)


@dataclass(slots=True)
class Pieces:
    """Pieces of some roads, road after road. `profiles` is (n, 4, 4): cubics of elevation, superelevation, crossfall left and right."""

    road: Ints
    record: Ints
    start: Floats
    end: Floats
    profiles: Floats


@dataclass(slots=True)
class Spans:
    """Spans, sorted by piece. `t`, `inner`, `height` are (n, 4) cubics; a level lane leaves the road's surface at `inner`.

    `height` is above that surface.
    """

    piece: Ints
    line: Ints
    t: Floats
    inner: Floats
    height: Floats


@dataclass(slots=True)
class RoadLines:
    """All lines of some roads that are drawn together."""

    roads: Sequence[Road]
    plan: PlanView
    pieces: Pieces
    spans: Spans
    names: list[Line]


def spans_of(road: Road) -> int:
    """How many spans the lanes of a road have: a few thousand records of each of a few thousand lanes would be too many to draw."""
    edges = _edges(road)
    total = 0
    for section in road.sections:
        for lane in section.lanes[:1] + section.lanes[-1:]:
            first, last = np.searchsorted(edges, (lane.start, lane.end))
            total += 2 * (int(last) - int(first)) * len(section.lanes)
    return total


def lines_of(roads: Sequence[Road]) -> RoadLines:
    """The lines of some roads that have a plan view."""
    records: list[Record] = []
    firsts: list[int] = []
    for road in roads:
        firsts.append(len(records))
        records += road.plan
    makers = [_RoadLines(number, road, first) for number, (road, first) in enumerate(zip(roads, firsts, strict=True))]
    made = [maker.made() for maker in makers]
    names = [name for maker in makers for name in maker.names]
    counts = np.cumsum([0, *(len(pieces.start) for pieces, _ in made)])
    before = np.cumsum([0, *(len(maker.names) for maker in makers)])
    pieces = Pieces(*(np.concatenate([getattr(one, field) for one, _ in made]) for field in Pieces.__slots__))
    spans = Spans(
        np.concatenate([one.piece + count for (_, one), count in zip(made, counts, strict=False)]),
        np.concatenate([one.line + count for (_, one), count in zip(made, before, strict=False)]),
        *(np.concatenate([getattr(one, field) for _, one in made]) for field in ("t", "inner", "height")),
    )
    order = np.argsort(spans.piece, kind="stable")
    spans = Spans(*(getattr(spans, field)[order] for field in Spans.__slots__))
    return RoadLines(roads, PlanView.of(records), pieces, spans, names)


class _RoadLines:
    """The pieces and spans of one road."""

    def __init__(self, number: int, road: Road, first: int) -> None:
        self.number, self.road, self.first = number, road, first
        self.names: list[Line] = []
        self.edges = _edges(road)
        self._parts: list[tuple[Ints, Floats, Floats, Floats]] = []

    def made(self) -> tuple[Pieces, Spans]:
        road, starts = self.road, self.edges[:-1]
        self._add((-1, 0, REFERENCE, 0), (0, len(starts)), (np.zeros((len(starts), 4)), None), ())
        for section in road.sections:
            self._section(section)
        for number, strip in enumerate(road.strips):
            at = self._range(strip.start, strip.end)
            starts_there = self.edges[at[0] : at[1]]
            self._add((-1, 0, STRIP, number), at, (strip.t.seen_from(starts_there), None), (strip.height,))
        profiles = (road.elevation, road.superelevation, *road.crossfall)
        records = np.searchsorted([record.s for record in road.plan], starts + SAME_M, side="right") - 1
        pieces = Pieces(
            np.full(len(starts), self.number),
            np.maximum(records, 0) + self.first,
            starts,
            self.edges[1:],
            np.stack([one.seen_from(starts) for one in profiles], axis=1),
        )
        counts = [len(part[0]) for part in self._parts]
        columns = [np.concatenate([part[k] for part in self._parts]) for k in range(4)]
        return pieces, Spans(columns[0], np.repeat(np.arange(len(counts)), counts), *columns[1:])

    def _section(self, section: Section) -> None:
        if section.centre is not None:
            self._borders(section.centre, lambda at: (self.road.offset.seen_from(self.edges[at[0] : at[1]]), None), ())
        for side, sign in ((section.left, 1.0), (section.right, -1.0)):
            if side:
                self._side(side, sign)

    def _side(self, side: tuple[RoadLane, ...], sign: float) -> None:
        at = first, last = self._range(side[0].start, side[0].end)
        starts = self.edges[first:last]
        inner = offset = self.road.offset.seen_from(starts)
        for lane in side:
            outer = _outer(lane, starts, inner, offset, sign)
            level = inner if lane.is_level else None
            name = (lane.section, lane.id)
            self._add((*name, OUTER, 0), at, (outer, level), lane.heights[1:])
            self._add((*name, INNER, 0), at, (inner, level), lane.heights[:1])
            self._add((*name, MIDDLE, 0), at, ((inner + outer) / 2, level), lane.heights)
            self._borders(lane, partial(_part, first, outer, level), lane.heights[1:])
            inner = outer

    def _borders(self, lane: RoadLane, line: Callable[[Range], Curves], heights: Sequence[Cubics]) -> None:
        """The border of a lane, cut where its mark changes."""
        ends = [*(start for start, _ in lane.marks[1:]), lane.end]
        for number, ((start, _), end) in enumerate(zip(lane.marks, ends, strict=True)):
            at = self._range(start, end)
            self._add((lane.section, lane.id, BORDER, number), at, line(at), heights)

    def _range(self, start: float, end: float) -> Range:
        """First piece, and the one after the last, between two distances that are edges."""
        first, last = np.searchsorted(self.edges, (start - SAME_M, end - SAME_M))
        return int(first), int(min(max(first, last), len(self.edges) - 1))

    def _add(self, name: tuple[int, int, int, int], at: Range, curves: Curves, heights: Sequence[Cubics]) -> None:
        pieces = np.arange(*at)
        t, inner = curves
        starts = self.edges[at[0] : at[1]]
        stated = [one.seen_from(starts) / len(heights) for one in heights if len(one.s)]
        above = sum(stated, np.zeros((len(pieces), 4)))
        self.names.append((self.number, *name))
        self._parts.append((pieces, t, t if inner is None else inner, above))


def _part(first: int, outer: Floats, level: Floats | None, at: Range) -> Curves:
    some = slice(at[0] - first, at[1] - first)
    return outer[some], None if level is None else level[some]


def _edges(road: Road) -> Floats:
    """Where something of a road changes, its beginning and its end, sorted; what is nearer than `SAME_M` is one."""
    profiles = (road.elevation, road.superelevation, *road.crossfall, road.offset)
    found = [np.array([record.s for record in road.plan]), *(one.s for one in profiles), np.array([shape.s for shape in road.shapes])]
    for section in road.sections:
        for lane in (*section.lanes, *([section.centre] if section.centre else [])):
            found.append(np.array([lane.end, *(s for s, _ in lane.marks)]))
            found += [table.s for table in (lane.width, lane.border, *lane.heights)]
    found += [np.array([strip.start, strip.end]) for strip in road.strips]
    start, end = road.start, road.end
    edges: Floats = np.unique(np.concatenate([*found, [start, end]]))
    edges = edges[(edges >= start) & (edges <= end)]
    edges = edges[np.concatenate([[True], np.diff(edges) > SAME_M])]
    if len(edges) < 2:
        return np.array([start, end])
    edges[-1] = end if end - edges[-1] <= SAME_M else edges[-1]
    return edges


def _outer(lane: RoadLane, starts: Floats, inner: Floats, offset: Floats, sign: float) -> Floats:
    """The outer bound of a lane as cubics: by its width from the inner one, or by its border, which a width overrules."""
    if len(lane.width.s):
        return np.asarray(inner + sign * lane.width.seen_from(starts))
    return np.asarray(offset + lane.border.seen_from(starts)) if len(lane.border.s) else inner
