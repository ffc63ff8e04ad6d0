"""A box of degrees, the one way in which the exchange states roughly where something is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple


class Box(NamedTuple):
    """West, south, east, north in degrees WGS 84; in JSON a list of four. `west` > `east`: it runs over the 180 degree meridian."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def from_text(cls, text: str) -> Box:
        """The box of `W,S,E,N`. Raises ValueError: not four numbers."""
        west, south, east, north = (float(word) for word in text.split(","))
        return cls(west, south, east, north)

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box | None:
        """The box that holds all of some boxes; None for none."""
        every = list(boxes)
        return reduce(cls.joined, every) if every else None

    @property
    def is_on_earth(self) -> bool:
        """Whether it is a box at all: finite, south below north, within ±180 and ±90."""
        west, south, east, north = self
        return all(map(math.isfinite, self)) and -90 <= south <= north <= 90 and min(west, east) >= -180 and max(west, east) <= 180

    @property
    def width(self) -> float:
        """Degrees from west to east, 0 to 360."""
        return self.east - self.west + (360 if self.west > self.east else 0)

    @property
    def height(self) -> float:
        """Degrees from south to north."""
        return self.north - self.south

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of its middle."""
        lon = (self.west + self.east) / 2
        if self.west > self.east:
            lon += 180 if lon <= 0 else -180
        return lon, (self.south + self.north) / 2

    def contains(self, lon: float, lat: float) -> bool:
        """Whether a place is in it or on its edge."""
        between = self.west <= lon <= self.east if self.west <= self.east else lon >= self.west or lon <= self.east
        return between and self.south <= lat <= self.north

    def joined(self, other: Box) -> Box:
        """The box that holds both; over the 180 degree meridian only where one of them is."""
        south, north = min(self.south, other.south), max(self.north, other.north)
        if self.west <= self.east and other.west <= other.east:
            return Box(min(self.west, other.west), south, max(self.east, other.east), north)
        west, east = min((_span(self, other, turn) for turn in (-360.0, 0.0, 360.0)), key=lambda span: span[0])[1]
        return Box(west, south, east, north)

    def halves(self) -> list[Box]:
        """The box, or its two parts when it runs over the 180 degree meridian: none of them does."""
        if self.west <= self.east:
            return [self]
        return [self._replace(east=180.0), self._replace(west=-180.0)]


def _span(one: Box, other: Box, turn: float) -> tuple[float, tuple[float, float]]:
    """How wide both are together when the other is turned by whole circles, and the west and east edge of that."""
    start = min((one.west, one.west), (other.west + turn, other.west))
    end = max((one.west + one.width, one.east), (other.west + turn + other.width, other.east))
    width = end[0] - start[0]
    return (width, (start[1], end[1])) if width < 360 else (360.0, (-180.0, 180.0))
