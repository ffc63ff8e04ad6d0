"""First pass over a file: which lane goes on as which, over sections, roads and junctions; and what is named that is not there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.readers.opendrive.kinds import kind_of_lane
from ingest.readers.opendrive.lanes import follows, whole
from ingest.readers.opendrive.tree import XmlElement
from tiles.batch import Kind

Key = tuple[str, int, int]
"""Road, section, lane."""
START, END = 0, 1
"""Ends of a lane, in the direction of its road."""
_MOST_MISSING = 1000


def lane_id(key: Key) -> str:
    """The id of a lane as a feature."""
    return f"lane/{key[0]}/{key[1]}/{key[2]}"


@dataclass(slots=True)
class _RoadEnds:
    """What a road states of its ends: type and id of what is there, and at which of its ends. `sections`: numbers by side."""

    links: dict[int, tuple[str, str, int]]
    sections: dict[int, list[int]]
    count: int


@dataclass(slots=True)
class Network:
    """Lanes that touch one another, by key and end; `missing` are (what names it, what is not there)."""

    missing: list[tuple[str, str]] = field(default_factory=list)
    _roads: dict[str, _RoadEnds] = field(default_factory=dict)
    _links: dict[tuple[Key, int], tuple[int, ...]] = field(default_factory=dict)
    _forward: dict[Key, bool | None] = field(default_factory=dict)
    _connections: list[tuple[str, str, str, str, tuple[tuple[int, int], ...]]] = field(default_factory=list)
    _junctions: set[str] = field(default_factory=set)
    _touching: dict[tuple[Key, int], dict[tuple[Key, int], None]] = field(default_factory=dict)

    def take(self, part: XmlElement) -> None:
        """Remember the links of a road or a junction; other parts pass."""
        if part.name == "road":
            self._take_road(part)
        elif part.name == "junction":
            self._take_junction(part)

    def _take_road(self, node: XmlElement) -> None:
        road = node.text_of("id")
        links = {}
        for name, end in (("predecessor", START), ("successor", END)):
            for one in node.inside("link", name):
                links[end] = (one.text_of("elementType", "road"), one.text_of("elementId"), _end_of(one))
        sections = node.inside("lanes", "laneSection")
        sides: dict[int, list[int]] = {1: [], -1: []}
        is_left_hand = node.text_of("rule").upper() == "LHT"
        for number, section in enumerate(sections):
            for side, sign in (("left", 1), ("right", -1)):
                if follows(section, side):
                    sides[sign].append(number)
                for lane in section.inside(side, "lane"):
                    self._take_lane(road, number, lane, is_left_hand)
        self._roads[road] = _RoadEnds(links, sides, len(sections))

    def _take_lane(self, road: str, section: int, node: XmlElement, is_left_hand: bool) -> None:
        number = whole(node.text_of("id"))
        if not number:
            return
        key = (road, section, number)
        is_driven = kind_of_lane(node.text_of("type", "none")) is Kind.LANE_AREA
        turned = node.text_of("direction") == "reversed"
        self._forward[key] = ((number < 0) != is_left_hand) != turned if is_driven else None
        for name, end in (("predecessor", START), ("successor", END)):
            ids = tuple(found for one in node.inside("link", name) if (found := whole(one.text_of("id"))))
            if ids:
                self._links[key, end] = ids

    def _take_junction(self, node: XmlElement) -> None:
        junction = node.text_of("id")
        self._junctions.add(junction)
        for one in node.all("connection"):
            pairs = ((whole(link.text_of("from")), whole(link.text_of("to"))) for link in one.all("laneLink"))
            links = tuple((a, b) for a, b in pairs if a and b)
            other = one.text_of("connectingRoad") or one.text_of("linkedRoad")
            self._connections.append((junction, one.text_of("incomingRoad"), other, one.text_of("contactPoint", "start"), links))

    def finish(self) -> None:
        """Join what was taken, once all parts are known."""
        for road, about in self._roads.items():
            for what, name, _ in about.links.values():
                if name not in (self._junctions if what == "junction" else self._roads):
                    self._miss(f"road/{road}", f"{what}/{name}")
        for (key, end), ids in self._links.items():
            self._join(key, end, ids)
        for junction, incoming, other, contact, links in self._connections:
            self._connect(junction, incoming, other, END if contact == "end" else START, links)

    def _join(self, key: Key, end: int, ids: tuple[int, ...]) -> None:
        road, section, number = key
        about = self._roads[road]
        mine = about.sections[1 if number > 0 else -1]
        at = bisect_right(mine, section) if end == END else bisect_left(mine, section) - 1
        if 0 <= at < len(mine):
            self._touch(key, end, [(road, mine[at], one) for one in ids], START if end == END else END)
            return
        what, name, contact = about.links.get(end, ("", "", START))
        if what == "road" and name in self._roads:
            self._touch(key, end, [self._key_at(name, contact, one) for one in ids], contact)

    def _key_at(self, road: str, end: int, lane: int) -> Key:
        """A lane in the first or the last section of a road that states its side."""
        sections = self._roads[road].sections[1 if lane > 0 else -1]
        return (road, (sections[-1] if end == END else sections[0]) if sections else 0, lane)

    def _connect(self, junction: str, incoming: str, other: str, contact: int, links: tuple[tuple[int, int], ...]) -> None:
        for name in (incoming, other):
            if name not in self._roads:
                self._miss(f"junction/{junction}", f"road/{name}")
                return
        end = self._end_at(incoming, junction, other, contact)
        for one, to in links:
            self._touch(self._key_at(incoming, end, one), end, [self._key_at(other, contact, to)], contact)

    def _end_at(self, incoming: str, junction: str, other: str, contact: int) -> int:
        """At which of its ends a road comes into a junction: as the connecting road states, else as it does itself."""
        what, name, end = self._roads[other].links.get(contact, ("", "", START))
        if what == "road" and name == incoming:
            return end
        links = self._roads[incoming].links
        return START if links.get(START, ())[:2] == ("junction", junction) and links.get(END, ())[:2] != ("junction", junction) else END

    def _touch(self, key: Key, end: int, others: list[Key], its_end: int) -> None:
        for other in others:
            if key not in self._forward or other not in self._forward:
                self._miss(lane_id(key), lane_id(other if key in self._forward else key))
                continue
            for one, another in (((key, end), (other, its_end)), ((other, its_end), (key, end))):
                self._touching.setdefault(one, {})[another] = None

    def _miss(self, what: str, missing: str) -> None:
        if len(self.missing) < _MOST_MISSING and (what, missing) not in self.missing[-20:]:
            self.missing.append((what, missing))

    def before(self, key: Key, *, forward: bool) -> list[str]:
        """Ids of the lanes from which traffic comes into one whose traffic runs `forward` along its road."""
        return [lane_id(other) for other in self._at(key, START if forward else END, is_entry=True)]

    def after(self, key: Key, *, forward: bool) -> list[str]:
        """Ids of the lanes into which traffic goes on."""
        return [lane_id(other) for other in self._at(key, END if forward else START, is_entry=False)]

    def _at(self, key: Key, end: int, *, is_entry: bool) -> Iterator[Key]:
        """What touches an end; of two driven lanes only when traffic runs on from one to the other."""
        for other, its_end in self._touching.get((key, end), ()):
            its = self._forward[other]
            if self._forward.get(key) is None or its is None or (its == (its_end == END)) == is_entry:
                yield other


def _end_of(link: XmlElement) -> int:
    return END if link.text_of("contactPoint", "start") == "end" else START
