"""Lane sections of a road as values: lanes with their widths, heights and road marks, from where to where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.readers.opendrive.cubics import SAME_M, Cubics
from ingest.readers.opendrive.tree import XmlElement

_SIDES = {"left": 1, "center": 0, "right": -1}
"""Side -> sign of the ids of its lanes."""


@dataclass(frozen=True, slots=True)
class RoadLane:
    """A lane of one section, from `start` to `end` along the road; `id` > 0 is on the left of the reference line.

    `heights`: above the road, at its inner and at its outer side. `marks`: (distance, number of the road mark or -1) where the mark of
    its outer border changes, from its start on.
    """

    node: XmlElement
    id: int
    section: int
    start: float
    end: float
    width: Cubics
    border: Cubics
    heights: tuple[Cubics, Cubics]
    marks: tuple[tuple[float, int], ...]

    @property
    def type(self) -> str:
        """The lane type as the file states it."""
        return self.node.text_of("type", "none")

    @property
    def is_level(self) -> bool:
        """Whether it is kept level across, whatever the superelevation."""
        return is_true(self.node.text_of("level"))


@dataclass(frozen=True, slots=True)
class Section:
    """A lane section: the lanes from the innermost to the outermost on each side, and the centre lane where it has one.

    `odd`: elements that are no lane of their side (no whole number as id, the sign of the other side, an id that comes again).
    """

    node: XmlElement
    number: int
    start: float
    left: tuple[RoadLane, ...]
    right: tuple[RoadLane, ...]
    centre: RoadLane | None
    odd: tuple[XmlElement, ...] = ()

    @property
    def lanes(self) -> tuple[RoadLane, ...]:
        """All lanes but the centre lane, from left to right."""
        return (*self.left[::-1], *self.right)


def sections_of(nodes: Sequence[XmlElement], end: float) -> tuple[Section, ...]:
    """The sections; each side of one ends where the next section that has this side begins (`singleSide`), or the road ends."""
    ends = dict.fromkeys(_SIDES, end)
    made = []
    for number, node in reversed(list(enumerate(nodes))):
        start = node.number("s")
        start = start if math.isfinite(start) else 0.0
        odd: list[XmlElement] = []
        left, centre, right = (_side(node, side, (number, start, ends[side]), odd) for side in _SIDES)
        made.append(Section(node, number, start, left, right, centre[0] if centre else None, tuple(odd)))
        ends |= {side: start for side in _SIDES if follows(node, side)}
    return tuple(reversed(made))


def follows(node: XmlElement, side: str) -> bool:
    """Whether a section states a side anew, so that the lanes of the section before end there."""
    return side == "center" or not is_true(node.text_of("singleSide")) or node.first(side) is not None


def _side(node: XmlElement, side: str, place: tuple[int, float, float], odd: list[XmlElement]) -> tuple[RoadLane, ...]:
    lanes: dict[int, RoadLane] = {}
    for one in node.inside(side, "lane"):
        number = whole(one.text_of("id"))
        if number is None or number in lanes or (number > 0) - (number < 0) != _SIDES[side]:
            odd.append(one)
        else:
            lanes[number] = _lane(one, number, place)
    return tuple(sorted(lanes.values(), key=lambda lane: abs(lane.id)))


def _lane(node: XmlElement, number: int, place: tuple[int, float, float]) -> RoadLane:
    section, start, end = place
    heights = node.all("height")
    inner, outer = (Cubics.of(heights, start="sOffset", base=start, names=(name,)) for name in ("inner", "outer"))
    width, border = (Cubics.of(node.all(name), start="sOffset", base=start) for name in ("width", "border"))
    return RoadLane(node, number, section, start, end, width, border, (inner, outer), _marks(node.all("roadMark"), start, end))


def _marks(nodes: Sequence[XmlElement], start: float, end: float) -> tuple[tuple[float, int], ...]:
    """A mark that is repeated without a change goes on."""
    found: list[tuple[float, int]] = []
    for number in sorted(range(len(nodes)), key=lambda one: nodes[one].number("sOffset")):
        s = start + max(nodes[number].number("sOffset"), 0.0)
        if not s < end - SAME_M:
            continue
        if not found and s > start + SAME_M:
            found.append((start, -1))
        if found and found[-1][1] >= 0 and _is_same(nodes[found[-1][1]], nodes[number]):
            continue
        if found and s <= found[-1][0] + SAME_M:
            found.pop()
        found.append((s, number))
    return tuple(found or [(start, -1)])


def _is_same(one: XmlElement, other: XmlElement) -> bool:
    mine, its = ({key: value for key, value in node.attributes.items() if key != "sOffset"} for node in (one, other))
    return mine == its and one.children == other.children and one.text == other.text


def whole(text: str) -> int | None:
    """The integer that a text is, or None."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if abs(number) < 1 << 31 else None


def is_true(text: str) -> bool:
    """Whether an attribute says yes."""
    return text.lower() in ("true", "1", "yes")
