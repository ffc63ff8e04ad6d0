"""Objects and signals beside a road: where they stand, and their outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.readers.opendrive import shape
from ingest.readers.opendrive.drawing import RoadFrames, frames_of, lifted
from ingest.readers.opendrive.lines import RoadLines
from ingest.readers.opendrive.tree import XmlElement
from tiles.batch import Kind

Floats = NDArray[np.float64]

_BEYOND_M = 5.0
"""So far beyond the ends of its road something may stand."""
_MOST_COPIES = 20_000
"""Of one repeated object."""
UPRIGHT = (Kind.POLE, Kind.SIGN, Kind.SIGNAL)
"""What is a place on the map, whatever its width."""


@dataclass(frozen=True, slots=True)
class Roadside:
    """One road among those that are drawn together, for what is given by (s, t, height) beside it."""

    lines: RoadLines
    number: int

    def at(self, s: Floats, t: Floats, height: Floats) -> tuple[Floats, RoadFrames] | None:
        """(n, 3) positions and the frames of the road there; None where one of them is no number or beyond the road."""
        if not len(s) or not self._is_there(s, t, height).all():
            return None
        pieces = self.lines.pieces
        first, last = np.searchsorted(pieces.road, (self.number, self.number + 1))
        piece = np.clip(first + np.searchsorted(pieces.start[first:last], s, side="right") - 1, first, last - 1)
        frames = frames_of(self.lines, piece, s - pieces.start[piece])
        return lifted(self.lines, frames, np.arange(len(s)), t, t, height), frames

    def _is_there(self, s: Floats, t: Floats, height: Floats) -> NDArray[np.bool_]:
        road = self.lines.roads[self.number]
        return np.isfinite(s + t + height) & (s >= road.start - _BEYOND_M) & (s <= road.end + _BEYOND_M)

    def points(self, nodes: Sequence[XmlElement]) -> list[bytes | None]:
        """Where signals, references or objects stand; None for those that are nowhere on the road."""
        stated = np.array([[node.number(name, math.nan if name != "zOffset" else 0.0) for name in ("s", "t", "zOffset")] for node in nodes])
        found: list[bytes | None] = [None] * len(nodes)
        there = np.flatnonzero(self._is_there(*stated.T)) if nodes else np.zeros(0, np.int64)
        placed = self.at(*stated[there].T) if len(there) else None
        if placed is not None:
            for row, at in zip(there.tolist(), self._flat(placed[0]), strict=True):
                found[row] = shape.point(at)
        return found

    def object(self, node: XmlElement, kind: Kind, place: bytes | None) -> bytes | None:
        """An object that does not run along the road: its outlines, its copies at a distance, its rectangle, or its `place`."""
        repeats = [one for one in node.all("repeat") if one.number("distance") > 0.0]
        if repeats:
            return self._copies(repeats)
        outlines = [one for one in (*node.all("outline"), *node.inside("outlines", "outline")) if one.text_of("outer") != "false"]
        made = [ring for one in outlines if (ring := self._outline(node, one)) is not None]
        if made:
            same = [one for one in made if one[1:5] == made[0][1:5]]
            return shape.many(same)
        length, width = node.number("length"), node.number("width")
        if length > 0.0 and width > 0.0 and kind not in UPRIGHT:
            corners = np.array([(a * length / 2, b * width / 2, 0.0) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))])
            placed = self._local(node, corners)
            return None if placed is None else shape.polygon(placed)
        return place

    def _copies(self, repeats: list[XmlElement]) -> bytes | None:
        points: list[bytes] = []
        for one in repeats:
            start, length, distance = one.number("s"), max(one.number("length"), 0.0), one.number("distance")
            count = length / distance + 1e-9
            if not count < _MOST_COPIES:
                return None
            part = np.arange(int(count) + 1, dtype=np.float64) * distance
            along = part / length if length > 0.0 else np.zeros(len(part))
            t, height = (_ramp(one, name, along) for name in ("t", "zOffset"))
            found = self.at(start + part, t, height)
            if found is None:
                return None
            points += [shape.point(at) for at in self._flat(found[0])]
        return shape.many(points)

    def _outline(self, node: XmlElement, outline: XmlElement) -> bytes | None:
        """The outline by its corners, in the road's frame or in the object's own: a polygon, or a line where it is open."""
        by_road, local = outline.all("cornerRoad"), outline.all("cornerLocal")
        if by_road:
            found = self.at(*(np.array([one.number(name) for one in by_road]) for name in ("s", "t", "dz")))
            placed = None if found is None else self._flat(found[0])
        elif local:
            placed = self._local(node, np.array([[one.number(name) for name in "uvz"] for one in local]))
        else:
            return None
        if placed is None:
            return None
        return shape.line(placed) if outline.text_of("closed") == "false" or len(placed) < 3 else shape.polygon(placed)

    def _local(self, node: XmlElement, uvz: Floats) -> Floats | None:
        """Positions in the frame of an object: turned by its roll, pitch and heading, from where it stands."""
        place = (np.array([node.number(name, math.nan if name != "zOffset" else 0.0)]) for name in ("s", "t", "zOffset"))
        found = self.at(*place)
        turns = [node.number(name) for name in ("hdg", "pitch", "roll")]
        if found is None or any(map(math.isnan, turns)) or not np.isfinite(uvz).all():
            return None
        (at,), frames = found
        turn = _turned(float(frames.heading[0]) + turns[0], turns[1], turns[2])
        return self._flat(at + uvz @ turn.T)

    def _flat(self, xyz: Floats) -> Floats:
        """Without heights where the road states none."""
        return xyz if self.lines.roads[self.number].has_heights else xyz[:, :2]


def _ramp(repeat: XmlElement, name: str, along: Floats) -> Floats:
    """What runs evenly from `...Start` to `...End` of a repeat, at parts (0 to 1) of its way."""
    start = repeat.number(f"{name}Start")
    return np.asarray(start + along * (repeat.number(f"{name}End", start) - start), dtype=np.float64)


def _turned(heading: float, pitch: float, roll: float) -> Floats:
    """The rotation by roll about u, pitch about v and heading about z, in this order."""
    (ch, sh), (cp, sp), (cr, sr) = ((math.cos(one), math.sin(one)) for one in (heading, pitch, roll))
    about_z = np.array([[ch, -sh, 0], [sh, ch, 0], [0, 0, 1]])
    about_v = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_u = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return np.asarray(about_z @ about_v @ about_u, dtype=np.float64)
