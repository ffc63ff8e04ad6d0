"""Roads as rows: the road itself, its lanes and their borders, what stands beside it; each with its own part of the XML.

`@source.xml` of a road is the road without lanes, objects and signals, that of a lane the lane, and so on: together they are all of what
the file states of the road (decision 11), and none of it stands twice.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from ingest.readers.opendrive import kinds, shape
from ingest.readers.opendrive.cubics import SAME_M
from ingest.readers.opendrive.drawing import MOST_POINTS, Drawing
from ingest.readers.opendrive.furniture import Roadside
from ingest.readers.opendrive.lanes import RoadLane, Section
from ingest.readers.opendrive.lines import BORDER, INNER, MIDDLE, OUTER, REFERENCE, STRIP, lines_of, spans_of
from ingest.readers.opendrive.network import Network, lane_id
from ingest.readers.opendrive.road import Road
from ingest.readers.opendrive.tree import XmlElement, xml_of
from tiles.batch import Batch, Content, Kind, LayerKind

Floats = NDArray[np.float64]

_MEASURED = (Kind.LANE_AREA, Kind.SIDEWALK, Kind.CYCLEWAY)
_OBJECTS = ("object", "objectReference", "tunnel", "bridge")
_SIGNALS = ("signal", "signalReference")
MOST_BYTES = 32 << 20


@dataclass(slots=True)
class RoadRows:
    """Rows that wait to become a batch."""

    crs: str
    ids: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    geometries: list[bytes | None] = field(default_factory=list)
    properties: list[str] = field(default_factory=list)
    measures: list[bytes | None] = field(default_factory=list)
    size: int = 0

    def add(
        self,
        name: str,
        kind: Kind,
        geometry: bytes | None,
        attributes: Mapping[str, str],
        source: Mapping[str, Any],
        measure: bytes | None = None,
    ) -> None:
        """Take one row in. `attributes`: the element's own; `source`: what goes under "@source"."""
        own = {("@source#" if key == "@source" else key): value for key, value in attributes.items()}
        text = json.dumps({**own, "@source": source}, ensure_ascii=False)
        self.ids.append(name)
        self.kinds.append(str(kind))
        self.geometries.append(geometry)
        self.properties.append(text)
        self.measures.append(measure)
        self.size += len(text) + len(geometry or b"") + len(measure or b"")

    def batch(self) -> Batch:
        """What waits, as a batch; nothing waits then."""
        columns = {
            "feature_id": pa.array(self.ids, pa.string()),
            "kind": pa.array(self.kinds, pa.string()),
            "geometry": pa.array(self.geometries, pa.binary()),
            "properties": pa.array(self.properties, pa.string()),
            "measure": pa.array(self.measures, pa.binary()),
        }
        for waiting in (self.ids, self.kinds, self.geometries, self.properties, self.measures):
            waiting.clear()
        self.size = 0
        return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, pa.table(columns), self.crs)


@dataclass(slots=True)
class RoadPlaces:
    """Where roads and signals are, for what refers to them: junctions, controllers, stations. Vertices are 2D."""

    roads: dict[str, bytes] = field(default_factory=dict)
    signals: dict[str, bytes] = field(default_factory=dict)
    junctions: dict[str, list[Floats]] = field(default_factory=dict)


class Maker:
    """Makes the rows of roads, some at a time."""

    def __init__(self, network: Network, rows: RoadRows, places: RoadPlaces, head: Mapping[str, Any]) -> None:
        self.network, self.rows, self.places, self.head = network, rows, places, head
        self.looped = 0

    def take(self, roads: list[Road]) -> Iterator[tuple[Road, str]]:
        """Rows of some roads; gives those that cannot be drawn, with the reason: their rows have no geometry."""
        roads = [replace(road, fault=_TOO_MANY) if not road.fault and spans_of(road) > MOST_POINTS else road for road in roads]
        drawn = [road for road in roads if not road.fault]
        lines = lines_of(drawn) if drawn else None
        drawing = Drawing(lines) if lines is not None else None
        if drawing is not None and drawing.points > _MOST_POINTS and len(roads) > 1:
            for road in roads:
                yield from self.take([road])
            return
        vertices = _vertices(drawing) if drawing is not None else {}
        number = 0
        for road in roads:
            if road.fault or lines is None:
                yield road, road.fault
                _RowsOfRoad(self, road, None, None).add()
                continue
            if drawing is not None and number in drawing.too_many:
                yield road, _TOO_MANY
                _RowsOfRoad(self, road, None, None).add()
            else:
                _RowsOfRoad(self, road, vertices.get(number), Roadside(lines, number)).add()
            number += 1


_TOO_MANY = "its lines would have too many vertices"
_MOST_POINTS = 1_000_000
"""Vertices that are drawn at once."""


Name = tuple[int, int, int, int]
"""Section, lane, what the line is, number."""


@dataclass(slots=True)
class _RoadVertices:
    """The lines of one road by name: as they are drawn, and cleaned; the names of those that had loops."""

    drawn: dict[Name, Floats] = field(default_factory=dict)
    clean: dict[Name, Floats] = field(default_factory=dict)
    looped: set[Name] = field(default_factory=set)


def _vertices(drawing: Drawing) -> dict[int, _RoadVertices]:
    """The lines of all roads by the number of the road; 2D where a road states no heights."""
    drawn = drawing.drawn()
    clean, looped = shape.cleaned(drawn.xyz, drawn.first)
    found: dict[int, _RoadVertices] = {}
    first = drawn.first.tolist()
    for at, name in enumerate(drawn.names):
        if first[at] == first[at + 1]:
            continue
        width = 3 if drawing.lines.roads[name[0]].has_heights else 2
        mine = found.setdefault(name[0], _RoadVertices())
        mine.drawn[name[1:]], mine.clean[name[1:]] = drawn.xyz[first[at] : first[at + 1], :width], clean[at][:, :width]
        if at in looped:
            mine.looped.add(name[1:])
    return found


class _RowsOfRoad:
    """The rows of one road; without `lines` they have no geometry."""

    def __init__(self, maker: Maker, road: Road, lines: _RoadVertices | None, side: Roadside | None) -> None:
        self.maker, self.rows, self.road = maker, maker.rows, road
        self.lines, self.side = lines or _RoadVertices(), side
        self.taken: Counter[str] = Counter()
        self.limits = _limits(road)

    def add(self) -> None:
        self._add_road()
        for section in self.road.sections:
            self._add_section(section)
        self._add_beside()

    def _drawn(self, *name: *Name) -> bytes | None:
        """A line as WKB; None where there is none."""
        found = self.lines.clean.get(name)
        self.maker.looped += name in self.lines.looped
        return None if found is None else shape.line(found)

    def _name(self, name: str) -> str:
        """The id of a feature, numbered where the road uses it again."""
        self.taken[name] += 1
        return name if self.taken[name] == 1 else f"{name}/{self.taken[name]}"

    def _add_road(self) -> None:
        road = self.road
        geometry = self._drawn(-1, 0, REFERENCE, 0)
        if geometry is not None:
            self.maker.places.roads[road.id] = geometry
        source = {"element": "road", **self.maker.head, "xml": xml_of(skeleton(road))}
        self.rows.add(f"road/{road.id}", Kind.OTHER, geometry, road.node.attributes, source)

    def _add_section(self, section: Section) -> None:
        borders: dict[int, list[str]] = {}
        for lane in (*section.lanes, *([section.centre] if section.centre else [])):
            borders[lane.id] = self._add_borders(lane)
        for side in (section.left, section.right):
            inner = 0
            for lane in side:
                self._add_lane(lane, borders.get(inner, []), borders[lane.id])
                inner = lane.id

    def _add_borders(self, lane: RoadLane) -> list[str]:
        marks = lane.node.all("roadMark")
        names = []
        for number, (start, row) in enumerate(lane.marks):
            mark = marks[row] if row >= 0 else None
            name = f"border/{self.road.id}/{lane.section}/{lane.id}/{number}"
            source: dict[str, Any] = {"element": "roadMark" if mark else "lane", "road": self.road.id, "section": lane.section}
            source |= {"lane": lane.id, "s": start}
            if lane.id == 0 and number == 0:
                source["xml"] = xml_of(lane.node)
            geometry = self._drawn(lane.section, lane.id, BORDER, number) or self._spot(lane)
            self.rows.add(name, kinds.kind_of_border(mark), geometry, mark.attributes if mark else {}, source)
            names.append(name)
        return names

    def _add_lane(self, lane: RoadLane, inner_borders: list[str], outer_borders: list[str]) -> None:
        road, key = self.road, (self.road.id, lane.section, lane.id)
        forward = road.goes_forward(lane)
        is_left = lane.id > 0
        left, right = (outer_borders, inner_borders) if is_left else (inner_borders, outer_borders)
        if not forward:
            left, right = right[::-1], left[::-1]
        kind = kinds.kind_of_lane(lane.type) or Kind.OTHER
        geometry, measure = self._area(lane, forward=forward)
        network = self.maker.network
        source: dict[str, Any] = {
            "element": "lane",
            "road": road.id,
            "section": lane.section,
            "s": lane.start,
            "direction": "forward" if forward else "backward",
            "predecessors": network.before(key, forward=forward),
            "successors": network.after(key, forward=forward),
            "left": left,
            "right": right,
        }
        junction = road.node.text_of("junction", "-1")
        if junction not in ("", "-1"):
            source["junction"] = junction
        source["speed"] = self._speed(lane)
        source["xml"] = xml_of(lane.node)
        self.rows.add(lane_id(key), kind, geometry, lane.node.attributes, {k: v for k, v in source.items() if v is not None},
                      measure if kind in _MEASURED else None)  # fmt: skip

    def _speed(self, lane: RoadLane) -> dict[str, str] | None:
        """The speed limit where a lane begins: its own, else that of the road."""
        own = lane.node.first("speed")
        at = bisect_right(self.limits, lane.start + SAME_M, key=lambda one: one[0]) - 1
        return own.attributes if own is not None else self.limits[at][1] if at >= 0 else None

    def _area(self, lane: RoadLane, *, forward: bool) -> tuple[bytes | None, bytes | None]:
        """The area of a lane and its middle line, in the direction of traffic; a lane without any width is its line."""
        names = [(lane.section, lane.id, what, 0) for what in (OUTER, INNER)]
        middle = self.lines.clean.get((lane.section, lane.id, MIDDLE, 0))
        if middle is None:
            return self._spot(lane), None
        outer, inner = ((self.lines.drawn[name], self.lines.clean[name]) for name in names)
        left, right = (outer, inner) if lane.id > 0 else (inner, outer)
        self._note_junction(outer[0])
        line = shape.line(middle if forward else middle[::-1])
        area = shape.between(left, right, forward=forward) if len(middle) > 1 else None
        return (area, line) if area is not None else (line, None)

    def _spot(self, lane: RoadLane) -> bytes | None:
        """Where a lane of a section without length would be: its place on the reference line."""
        if self.side is None:
            return None
        there = {"s": str(min(lane.start, self.road.end)), "t": "0"}
        return self.side.points([XmlElement("lane", there)])[0]

    def _note_junction(self, vertices: Floats) -> None:
        """Remember where the lanes of a junction are: the corners of their hull."""
        junction = self.road.node.text_of("junction", "-1")
        if junction not in ("", "-1"):
            self.maker.places.junctions.setdefault(junction, []).append(hull(vertices[:, :2]))

    def _add_beside(self) -> None:
        """Objects and signals, placed all at once."""
        node = self.road.node
        objects = [one for parent in node.all("objects") for one in parent.children if one.name in _OBJECTS]
        signals = [one for parent in node.all("signals") for one in parent.children if one.name in _SIGNALS]
        both = [*objects, *signals]
        places = [None] * len(both) if self.side is None else self.side.points(both)
        self._add_objects(objects, places[: len(objects)])
        self._add_signals(signals, places[len(objects) :])

    def _add_objects(self, nodes: list[XmlElement], places: Sequence[bytes | None]) -> None:
        strips: dict[int, list[bytes]] = {}
        for number, strip in enumerate(self.road.strips):
            drawn = self._drawn(-1, 0, STRIP, number)
            if drawn is not None:
                strips.setdefault(id(strip.node), []).append(drawn)
        for node, at in zip(nodes, places, strict=True):
            kind = kinds.kind_of_object(node) if node.name == "object" else Kind.OTHER
            place = at
            if id(node) in strips:
                place = shape.many(strips[id(node)])
            elif self.side is not None and node.name == "object":
                place = self.side.object(node, kind, at)
            self._beside(node, kind, place)

    def _add_signals(self, nodes: list[XmlElement], places: Sequence[bytes | None]) -> None:
        for node, place in zip(nodes, places, strict=True):
            if place is not None and node.name == "signal":
                self.maker.places.signals[node.text_of("id")] = place
            self._beside(node, kinds.kind_of_signal(node) if node.name == "signal" else Kind.OTHER, place)

    def _beside(self, node: XmlElement, kind: Kind, geometry: bytes | None) -> None:
        name = self._name(f"{node.name}/{self.road.id}/{node.text_of('id')}")
        source = {"element": node.name, "road": self.road.id, "xml": xml_of(node)}
        self.rows.add(name, kind, geometry, node.attributes, source)


def skeleton(road: Road) -> XmlElement:
    """A road without what is a feature of its own: the lanes of its sections, objects and signals."""
    lanes = [lane for section in road.sections for lane in (*section.lanes, section.centre) if lane is not None]
    beside = [one for name in ("objects", "signals") for parent in road.node.all(name) for one in parent.children]
    return _bared(road.node, {id(lane.node) for lane in lanes} | {id(one) for one in beside if one.name in (*_OBJECTS, *_SIGNALS)})


def _bared(node: XmlElement, without: set[int]) -> XmlElement:
    """A copy of what leads to the elements that are left out."""
    if node.name not in ("road", "lanes", "laneSection", "left", "center", "right", "objects", "signals"):
        return node
    return XmlElement(node.name, node.attributes, [_bared(one, without) for one in node.children if id(one) not in without], node.text)


def _limits(road: Road) -> list[tuple[float, dict[str, str] | None]]:
    """Where the speed limit of a road changes, and what it is from there."""
    types = [(one.number("s"), one.first("speed")) for one in road.node.all("type")]
    return sorted([(s, None if speed is None else speed.attributes) for s, speed in types if isfinite(s)], key=lambda one: one[0])


def hull(vertices: Floats) -> Floats:
    """The corners of the convex hull of some vertices."""
    return np.asarray(shapely.get_coordinates(shapely.convex_hull(shapely.multipoints(vertices))))
