"""GPX 1.0 and 1.1 as a stream of points: each with all that stands in it, by expat, in bounded memory.

Source: https://www.topografix.com/GPX/1/1/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.checks.xml_text import XmlText
from mapex.errors import Invalid

POINTS = {"wpt": "wpt", "rtept": "rte", "trkpt": "trk"}
_LINES = ("rte", "trk")
_MOST_TEXT = 1 << 20
"""Letters that may stand in one point, or beside the points of a track."""


@dataclass(frozen=True, slots=True)
class GpxPoint:
    """A point: what it is a part of (wpt, rte, trk), which line of the file and which segment of it, and all that stands in it as text.

    `lon` and `lat` are as they are written.
    """

    kind: str
    line: int
    segment: int
    lon: str
    lat: str
    members: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GpxLine:
    """What a route or a track states beside its points; comes behind them."""

    kind: str
    line: int
    members: dict[str, Any]


Item = GpxPoint | GpxLine


@dataclass(slots=True)
class _Open:
    name: str
    attributes: dict[str, str]
    members: dict[str, Any] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)


class GpxDocument:
    """One pass over a file. `metadata` (of the file), `broken` and `is_damaged` fill while `items` runs."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.metadata: dict[str, Any] = {}
        self._xml = XmlText(path, name)
        self._stack: list[_Open] = []
        self._ready: list[Item] = []
        self._line, self._segment, self._letters = 0, 0, 0

    @property
    def broken(self) -> str:
        """Why the file ended early, "" when it did not."""
        return self._xml.broken

    @property
    def is_damaged(self) -> bool:
        """Whether bytes that mean no letter were replaced."""
        return self._xml.is_damaged

    def items(self) -> Iterator[Item]:
        """All points in file order, and what stands beside them.

        Raises: Invalid: `xml.dtd`, `xml.limit`, `xml.encoding`.
        """
        parser = self._xml.parser
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self._start, self._end, self._text
        for _ in self._xml.pieces():
            ready, self._ready = self._ready, []
            yield from ready

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        own = name.rpartition(":")[2]
        self._xml.check(own, len(self._stack) + 1, len(attributes))
        if own in ("wpt", *_LINES):
            self._line, self._segment = self._line + 1, 0
        self._segment += own == "trkseg"
        if own in POINTS or own in _LINES:
            self._letters = 0
        self._stack.append(_Open(own, attributes))

    def _text(self, data: str) -> None:
        if self._stack:
            self._letters += len(data)
            if self._letters > _MOST_TEXT:
                raise Invalid("xml.limit", f"{self.name} has more than {_MOST_TEXT} letters in one point or beside the points of a track.")
            self._stack[-1].text.append(data)

    def _end(self, _name: str) -> None:
        one = self._stack.pop()
        if one.name in POINTS:
            lon, lat = one.attributes.pop("lon", ""), one.attributes.pop("lat", "")
            self._ready.append(GpxPoint(POINTS[one.name], self._line, self._segment, lon, lat, _members(one)))
            self._letters = 0
        elif one.name in _LINES:
            self._ready.append(GpxLine(one.name, self._line, _members(one)))
        elif one.name == "gpx" or not self._stack:
            self.metadata |= one.members
        elif one.name != "trkseg" or one.members:
            _put(self._stack[-1].members, one.name, _value(one))


def _members(one: _Open) -> dict[str, Any]:
    return {**one.attributes, **one.members}


def _value(one: _Open) -> Any:
    """A text, or an object of what stands in the element."""
    text = "".join(one.text).strip()
    inner = _members(one)
    return {**inner, **({"#text": text} if text else {})} if inner else text


def _put(members: dict[str, Any], name: str, value: Any) -> None:
    """What comes twice becomes a list."""
    if name not in members:
        members[name] = value
    elif isinstance(members[name], list):
        members[name].append(value)
    else:
        members[name] = [members[name], value]


def time_ns(text: object) -> int | None:
    """Nanoseconds since 1970 of a time in ISO 8601, UTC where it names no zone; None when it is none, or before 1970 or after 2037.

    A message of ROS has 32 bits for its seconds.
    """
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        return None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    nanoseconds = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return nanoseconds if 0 <= nanoseconds < 2**31 * 10**9 else None


def number(text: object) -> float:
    """A number as it is written, NaN when it is none."""
    try:
        return float(text) if isinstance(text, str) else float("nan")
    except ValueError:
        return float("nan")
