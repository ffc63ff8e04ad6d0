"""OpenDRIVE maps (.xodr), 1.4 to 1.8: every road, lane, border, object, signal, junction and controller is a feature.

Two passes: which lane goes on as which (`network`), then roads, some at a time, as curves that are drawn at most 2 cm beside (`drawing`).
Heights are those that a road states; a road without an elevation is 2D, since a height of 0 would be an invention.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely

from ingest.findings import beside, error, info, warning
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.opendrive import kinds
from ingest.readers.opendrive.cubics import SAME_M, Cubics
from ingest.readers.opendrive.drawing import NEAR_M
from ingest.readers.opendrive.head import OpenDriveHead
from ingest.readers.opendrive.lanes import RoadLane
from ingest.readers.opendrive.network import Network, lane_id
from ingest.readers.opendrive.plan import BENT
from ingest.readers.opendrive.road import Road, gaps, moved, road_of
from ingest.readers.opendrive.rows import MOST_BYTES, Maker, RoadPlaces, RoadRows, hull
from ingest.readers.opendrive.tree import OpenDriveParts, XmlElement, xml_of
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, Kind, LayerKind

BATCH = 20_000
_SURVEYED = 100
"""Parts that a survey looks at."""
_ROADS, _NODES = 64, 20_000
"""Roads, and XML elements, that are drawn together."""
_KEPT_BYTES = 16 << 20
"""Bytes up to which all parts are kept from the first pass to the second; as trees they need some six times as much."""
_LENGTH_M = 0.1
_NEGATIVE_M = 0.01
"""Widths below zero by less are noise."""
_KNOWN = ("header", "road", "junction", "controller", "junctionGroup", "station")


class OpenDrive:
    """The reader of .xodr files."""

    format = "opendrive"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """Version and place, from the first parts."""
        parts, head = OpenDriveParts(source.path, source.name), OpenDriveHead()
        complete = True
        for part in parts.all():
            head.take(part)
            if head.parts >= _SURVEYED:
                complete = False
                break
        if head.roads == 0 and complete:
            why = f": {parts.broken}" if parts.broken else ""
            raise Invalid("file.no_records", f"{source.name} is OpenDRIVE without a road{why}.", file=source.name)
        placed = head.placed(given)
        found = resolve.findings(placed, file=source.name)
        return Survey(self.format, (self.layer,), None, placed, head.box(placed), tuple(found), {"version": head.revision})

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """Roads in the order of the file, each with what is on it; then what refers to roads and signals."""
        parts, head, network = OpenDriveParts(source.path, source.name), OpenDriveHead(), Network()
        kept: list[XmlElement] | None = []
        for part in parts.all():
            head.take(part)
            network.take(part)
            if kept is not None:
                kept.append(part)
                kept = kept if parts.read <= _KEPT_BYTES else None
        network.finish()
        where = {"file": source.name, "layer": self.layer}
        yield from _about(parts, network, where)
        yield from beside(head.beside, **where)
        again = iter(kept) if kept is not None else OpenDriveParts(source.path, source.name).all()
        yield from _Reading(source, placed, head, network).run(again)


def _about(parts: OpenDriveParts, network: Network, where: dict[str, str]) -> Iterator[Finding]:
    if parts.broken:
        text = f"{parts.name} ends early or is not well-formed XML ({parts.broken}); what came before was kept."
        yield error("file.damaged", text, "Upload the whole file again.", value=parts.broken, **where)
    for feature, key, value in parts.damaged:
        text = f"{feature}: {key} holds bytes that mean no letter of {parts.encoding or 'UTF-8'}; only these were replaced."
        fix = "Save the file in the encoding that it declares."
        yield warning("text.damaged", text, fix, feature=feature, value=value[:200], **where)
    for what, missing in network.missing:
        text = f"{what} refers to {missing}, which the file does not hold."
        yield warning("reference.dangling", text, "Export the map with everything that it refers to.", feature=what, value=missing, **where)


class _Reading:
    """Second pass: roads become rows."""

    def __init__(self, source: Source, placed: Placed, head: OpenDriveHead, network: Network) -> None:
        self.source, self.head = source, head
        self.where = {"file": source.name, "layer": "hdmap"}
        self.offset = head.shift(placed)
        self.rows, self.places = RoadRows(placed.crs or ""), RoadPlaces()
        stated: dict[str, Any] = {"revision": head.revision}
        if any(self.offset):
            stated["offset"] = dict(zip(("x", "y", "z", "hdg"), self.offset, strict=True))
        if placed.crs:
            stated["crs"] = placed.crs
        if placed.origin is not None and placed.origin[2]:
            stated["lift_m"] = placed.origin[2]
        self.maker = Maker(network, self.rows, self.places, stated)
        self.curved = self.flat = 0
        self.unknown: set[str] = set()

    def run(self, parts: Iterator[XmlElement]) -> Iterator[Batch | Finding]:
        later: list[XmlElement] = []
        waiting: list[Road] = []
        size = 0
        for part in parts:
            if part.name != "road":
                later += [part] if part.name in _KNOWN and part.name != "header" else []
                continue
            waiting.append(self._road(part))
            size += part.count()
            if len(waiting) >= _ROADS or size >= _NODES:
                yield from self._draw(waiting)
                waiting, size = [], 0
        yield from self._draw(waiting)
        for part in sorted(later, key=lambda one: one.name == "junctionGroup"):
            self._refer(part)
            if len(self.rows.ids) >= BATCH:
                yield self.rows.batch()
        if self.rows.ids:
            yield self.rows.batch()
        yield from self._in_the_end()

    def _road(self, node: XmlElement) -> Road:
        """The road where the offset of the header puts it."""
        return moved(road_of(node), *self.offset) if any(self.offset) else road_of(node)

    def _draw(self, roads: list[Road]) -> Iterator[Batch | Finding]:
        yield from self._gaps(roads)
        for road in roads:
            yield from self._look(road)
        for road, fault in self.maker.take(roads):
            text = f"Nothing on road {road.id} can be placed: {fault}."
            fix = "Correct the plan view of the road."
            yield error("road.no_geometry", text, fix, feature=f"road/{road.id}", value=fault, **self.where)
        if len(self.rows.ids) >= BATCH or self.rows.size >= MOST_BYTES:
            yield self.rows.batch()

    def _gaps(self, roads: list[Road]) -> Iterator[Finding]:
        for road, s, metres in gaps(roads):
            text = f"The plan view of road {road.id} jumps by {metres:.2f} m at s={s:.2f}."
            fix, feature = "Export the road again so that its geometries meet.", f"road/{road.id}"
            yield warning("road.gap", text, fix, value=f"{metres:.2f}", feature=feature, **self.where)

    def _look(self, road: Road) -> Iterator[Finding]:
        """What is odd about a road."""
        where = {**self.where, "feature": f"road/{road.id}"}
        self.curved += any(one.shape != BENT or one.numbers[0] for one in road.plan)
        self.flat += not road.has_heights
        stated = road.node.number("length", road.end)
        if road.plan and not abs(stated - road.end) <= max(_LENGTH_M, 1e-3 * road.end):
            text = f"Road {road.id} states a length of {stated:.2f} m; its plan view ends at {road.end:.2f} m, which was used."
            yield warning("road.length", text, "Export the road again.", value=f"{stated:.2f}", **where)
        odd = sum(one.odd for one in _tables(road))
        if odd:
            text = f"{odd} records of road {road.id} hold something that is no number; it was taken as 0."
            yield warning("number.invalid", text, "Correct the numbers.", count=odd, **where)
        for section in road.sections:
            if road.plan and any(lane.end - lane.start <= SAME_M for lane in section.lanes):
                text = f"Section {section.number} of road {road.id} has no length: what is in it is a point."
                yield warning("geometry.zero_length", text, "Leave the section out.", **where)
            for node in section.odd:
                name = node.text_of("id")[:40]
                text = f"Road {road.id}, section {section.number}: {name!r} is no id of a lane on its side; it was left out."
                fix = "Number the lanes of each side from the centre: 1, 2, ... on the left, -1, -2, ... on the right."
                yield error("lane.id", text, fix, value=name, rejected=1, **where)
            for lane in section.lanes:
                yield from self._look_at(road, lane)

    def _look_at(self, road: Road, lane: RoadLane) -> Iterator[Finding]:
        where = {**self.where, "feature": lane_id((road.id, lane.section, lane.id))}
        if kinds.kind_of_lane(lane.type) is None and lane.type not in self.unknown:
            self.unknown.add(lane.type)
            text = f"{lane.type[:40]!r} is no lane type of OpenDRIVE; such lanes are sold as kind 'other'."
            yield warning("kind.unknown", text, "Correct the type.", value=lane.type[:40], **where)
        if not len(lane.width.s) and not len(lane.border.s):
            text = f"Lane {lane.id} of road {road.id}, section {lane.section}, states neither width nor border; it is a line."
            yield warning("lane.no_width", text, "State the width of the lane.", **where)
        lowest = _lowest(lane)
        if lowest < -_NEGATIVE_M:
            text = f"Lane {lane.id} of road {road.id}, section {lane.section}, is {lowest:.2f} m wide at one place."
            yield warning("lane.negative_width", text, "Correct the width of the lane.", value=f"{lowest:.2f}", **where)

    def _refer(self, node: XmlElement) -> None:
        """A junction, a controller, a station, a group: where what it refers to is."""
        name = node.text_of("id")
        source: dict[str, Any] = {"element": node.name}
        geometry = self._hull(node) if node.name == "junction" else None
        if geometry is not None and name in self.places.junctions:
            source["outline"] = "hull of its lanes"
        if geometry is None:
            geometry, of = self._borrowed(node)
            source |= {"placed_by": of} if of else {}
        source["xml"] = xml_of(node)
        kind = Kind.JUNCTION if node.name == "junction" else Kind.OTHER
        self.rows.add(f"{node.name}/{name}", kind, geometry, node.attributes, source)

    def _hull(self, node: XmlElement) -> bytes | None:
        corners = self.places.junctions.get(node.text_of("id"))
        if corners is None:
            return None
        made = shapely.to_wkb(shapely.convex_hull(shapely.multipoints(hull(np.concatenate(corners)))), flavor="iso", byte_order=1)
        assert isinstance(made, bytes)  # noqa: S101 - one geometry gives one text
        return made

    def _borrowed(self, node: XmlElement) -> tuple[bytes | None, str]:
        """The geometry of the first signal, road or junction that an element names, and whose it is."""
        signals, roads = ("signal", self.places.signals), ("road", self.places.roads)
        known = {"signalId": signals, **dict.fromkeys(("road", "roadId", "incomingRoad", "mainRoad"), roads)}
        waiting = deque([node])
        while waiting:
            one = waiting.popleft()
            waiting += one.children
            for attribute, (what, places) in known.items():
                if (there := places.get(one.text_of(attribute))) is not None:
                    return there, f"{what}/{one.text_of(attribute)}"
            junction = one.text_of("junction")
            if one is not node and junction in self.places.junctions:
                return self._hull(XmlElement("junction", {"id": junction})), f"junction/{junction}"
        return None, ""

    def _in_the_end(self) -> Iterator[Finding]:
        if self.curved:
            text = f"{self.curved} roads of {self.source.name} are curves; they are sold as lines at most {NEAR_M * 100:g} cm beside them."
            fix = "Nothing to do; the curves themselves are kept as OpenDRIVE in properties['@source']['xml']."
            yield info("geometry.curve", text, fix, count=self.curved, **self.where)
        if self.maker.looped:
            count = self.maker.looped
            text = f"{count} borders run back over themselves beside a kink or a tight curve of their road; the loops were cut off."
            fix = "Nothing to do; to mend it, draw the reference line without kinks."
            yield info("border.loop", text, fix, count=count, **self.where)
        if self.flat:
            text = f"{self.flat} roads of {self.source.name} state no elevation: what is on them is 2D."
            yield info("height.mixed", text, "State the elevation of every road.", count=self.flat, **self.where)


def _tables(road: Road) -> Iterator[Cubics]:
    yield from (road.elevation, road.superelevation, *road.crossfall, road.offset)
    for section in road.sections:
        for lane in section.lanes:
            yield from (lane.width, lane.border, *lane.heights)


def _lowest(lane: RoadLane) -> float:
    """The least width of a lane below 0, at the ends and turning points of its records."""
    starts = [*lane.width.s.tolist(), max(lane.end, lane.start)]
    lowest = 0.0
    for start, end, (a, b, c, d) in zip(starts[:-1], starts[1:], lane.width.numbers.tolist(), strict=True):
        places = [0.0, max(end - start, 0.0)]
        root = 4 * c * c - 12 * b * d
        if d and root >= 0.0:
            places += [(-2 * c + sign * math.sqrt(root)) / (6 * d) for sign in (1, -1)]
        elif c:
            places.append(-b / (2 * c))
        lowest = min(lowest, *(a + x * (b + x * (c + x * d)) for x in places if 0.0 <= x <= places[1]))
    return lowest
