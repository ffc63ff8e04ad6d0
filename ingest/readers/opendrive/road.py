"""A `<road>` as values: its plan view, its profiles, and its lanes from section to section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ingest.readers.opendrive.cubics import Cubics
from ingest.readers.opendrive.lanes import RoadLane, Section, sections_of
from ingest.readers.opendrive.plan import PlanView, Record, record_of
from ingest.readers.opendrive.tree import XmlElement

LONGEST_M = 1_000_000.0
"""A road that states to be longer is none."""
_GAP_M = 0.05


@dataclass(frozen=True, slots=True)
class LateralShape:
    """The lateral profile of one place along a road: heights as cubics of t."""

    s: float
    heights: Cubics


@dataclass(frozen=True, slots=True)
class Strip:
    """Something that runs along the road without a break (a guard rail, a bridge): where it is, and how high above the road."""

    node: XmlElement
    start: float
    end: float
    t: Cubics = field(default_factory=Cubics)
    height: Cubics = field(default_factory=Cubics)


@dataclass(frozen=True, slots=True)
class Road:
    """One road. `fault` tells why nothing on it can be drawn, "" when all can. `plan` is sorted by distance."""

    node: XmlElement
    id: str
    plan: tuple[Record, ...] = ()
    fault: str = ""
    elevation: Cubics = field(default_factory=Cubics)
    superelevation: Cubics = field(default_factory=Cubics)
    crossfall: tuple[Cubics, Cubics] = field(default_factory=lambda: (Cubics(), Cubics()))
    """of the left and of the right side"""
    shapes: tuple[LateralShape, ...] = ()
    offset: Cubics = field(default_factory=Cubics)
    sections: tuple[Section, ...] = ()
    strips: tuple[Strip, ...] = ()

    @property
    def start(self) -> float:
        """The distance at which its plan view begins."""
        return self.plan[0].s if self.plan else 0.0

    @property
    def end(self) -> float:
        """The distance at which its plan view ends."""
        return self.plan[-1].s + self.plan[-1].length if self.plan else 0.0

    @property
    def is_left_hand(self) -> bool:
        """Whether traffic keeps to the left."""
        return self.node.text_of("rule").upper() == "LHT"

    @property
    def has_heights(self) -> bool:
        """Whether it states how high it is; a height of 0 would be an invention."""
        return len(self.elevation.s) > 0

    def goes_forward(self, lane: RoadLane) -> bool:
        """Whether traffic on a lane runs with the reference line."""
        return ((lane.id < 0) != self.is_left_hand) != (lane.node.text_of("direction") == "reversed")


def road_of(node: XmlElement) -> Road:
    """The road of a `<road>` element."""
    plan, fault = _plan(node)
    end = plan[-1].s + plan[-1].length if plan else node.number("length")
    falls = node.inside("lateralProfile", "crossfall")
    return Road(
        node,
        node.text_of("id"),
        plan,
        fault,
        Cubics.of(node.inside("elevationProfile", "elevation")),
        Cubics.of(node.inside("lateralProfile", "superelevation")),
        (_fall(falls, "left"), _fall(falls, "right")),
        _shapes(node),
        Cubics.of(node.inside("lanes", "laneOffset")),
        sections_of(node.inside("lanes", "laneSection"), end),
        _strips(node),
    )


def _plan(node: XmlElement) -> tuple[tuple[Record, ...], str]:
    made = [record_of(one) for one in node.inside("planView", "geometry")]
    fault = next((one for one in made if isinstance(one, str)), "")
    records = sorted((one for one in made if isinstance(one, Record)), key=lambda one: one.s)
    if not fault and not records:
        fault = "it has no plan view"
    if not fault and not records[-1].s + records[-1].length - records[0].s <= LONGEST_M:
        fault = f"it is longer than {LONGEST_M / 1000:g} km"
    return (() if fault else tuple(records)), fault


def _fall(nodes: Sequence[XmlElement], side: str) -> Cubics:
    return Cubics.of([node for node in nodes if node.text_of("side", "both") in (side, "both")])


def _shapes(node: XmlElement) -> tuple[LateralShape, ...]:
    found: dict[float, list[XmlElement]] = {}
    for one in node.inside("lateralProfile", "shape"):
        s = one.number("s")
        if math.isfinite(s):
            found.setdefault(s, []).append(one)
    return tuple(LateralShape(s, Cubics.of(nodes, start="t")) for s, nodes in sorted(found.items()))


def _strips(node: XmlElement) -> tuple[Strip, ...]:
    """Repeated objects without a distance between them, tunnels and bridges."""
    found = []
    for one in node.inside("objects", "object"):
        for repeat in one.all("repeat"):
            start, length = repeat.number("s"), repeat.number("length")
            if repeat.number("distance") == 0.0 and length > 0.0:
                found.append(Strip(one, start, start + length, _ramp(repeat, "t", "t"), _ramp(repeat, "zOffset", "zOffset")))
    for name in ("tunnel", "bridge"):
        found += [Strip(one, one.number("s"), one.number("s") + one.number("length")) for one in node.inside("objects", name)]
    return tuple(strip for strip in found if strip.end > strip.start)


def _ramp(repeat: XmlElement, name: str, otherwise: str) -> Cubics:
    """What runs evenly from `...Start` to `...End` of a repeat."""
    start = repeat.number(f"{name}Start", repeat.number(otherwise))
    end = repeat.number(f"{name}End", start)
    slope = (end - start) / repeat.number("length")
    values = [0.0 if math.isnan(value) else value for value in (start, slope)]
    return Cubics(np.array([repeat.number("s")]), np.array([[*values, 0.0, 0.0]]))


def gaps(roads: Sequence[Road]) -> list[tuple[Road, float, float]]:
    """Road, distance and metres of each place where a record of a plan view does not begin where the one before it ends."""
    owner = [road for road in roads for _ in road.plan]
    plan = PlanView.of([record for road in roads for record in road.plan])
    row = np.array([at for at in range(len(owner) - 1) if owner[at] is owner[at + 1]], dtype=np.int64)
    x, y, _ = plan.at(row, plan.s[row + 1])
    off = np.hypot(x - plan.x[row + 1], y - plan.y[row + 1])
    return [(owner[row[at]], float(plan.s[row[at] + 1]), float(off[at])) for at in np.flatnonzero(~(off <= _GAP_M)).tolist()]


def moved(road: Road, x: float, y: float, z: float, heading: float) -> Road:
    """The road turned by `heading` and then moved, as the offset of a header says."""
    cos, sin = math.cos(heading), math.sin(heading)
    plan = tuple(replace(r, x=r.x * cos - r.y * sin + x, y=r.x * sin + r.y * cos + y, heading=r.heading + heading) for r in road.plan)
    lifted = replace(road.elevation, numbers=road.elevation.numbers + np.array([z, 0.0, 0.0, 0.0]))
    return replace(road, plan=plan, elevation=lifted)
