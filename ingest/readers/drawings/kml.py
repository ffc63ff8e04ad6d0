"""KML 2.2 as a stream of placemarks: name, description, times, extended data and shape of each, by expat, in bounded memory.

Source: OGC 07-147r2 (KML 2.2), and Google's extension `gx:Track`. Links to other documents (NetworkLink) and pictures (overlays) are not
followed; they are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.checks.xml_text import XmlText
from mapex.errors import Invalid

GEOMETRIES = ("Point", "LineString", "LinearRing", "Polygon", "MultiGeometry", "Track", "MultiTrack", "Model")
LINKS = ("NetworkLink", "GroundOverlay", "ScreenOverlay", "PhotoOverlay")
_MOST_TEXT = 64 << 20
"""Letters of one placemark."""


@dataclass(slots=True)
class Node:
    """An element: its name without prefix, its attributes, its own text, the elements in it."""

    name: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its text, without blanks round it."""
        return "".join(self.pieces).strip()

    def child(self, name: str) -> Node | None:
        """The first element of a name in it."""
        return next((one for one in self.children if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Placemark:
    """A placemark, the folders that it is in, and its number in the file."""

    node: Node
    folders: tuple[str, ...]
    number: int


class KmlDocument:
    """One pass over a file. `left_out` (links and overlays by name), `broken` and `is_damaged` fill while `placemarks` runs."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.left_out: Counter[str] = Counter()
        self._xml = XmlText(path, name)
        self._outer: list[str] = []
        self._names: list[str] = []
        self._stack: list[Node] = []
        self._ready: list[Placemark] = []
        self._number, self._letters = 0, 0

    @property
    def broken(self) -> str:
        """Why the file ended early, "" when it did not."""
        return self._xml.broken

    @property
    def is_damaged(self) -> bool:
        """Whether bytes that mean no letter were replaced."""
        return self._xml.is_damaged

    def placemarks(self) -> Iterator[Placemark]:
        """All placemarks in file order.

        Raises: Invalid: `xml.dtd`, `xml.limit`, `xml.encoding`.
        """
        parser = self._xml.parser
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self._start, self._end, self._text
        for _ in self._xml.pieces():
            ready, self._ready = self._ready, []
            yield from ready

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        own = name.rpartition(":")[2]
        self._xml.check(own, len(self._outer) + len(self._stack) + 1, len(attributes))
        if self._stack or own == "Placemark" or (own == "name" and self._outer and self._outer[-1] == "Folder"):
            self._letters = self._letters if self._stack else 0
            node = Node(own, attributes)
            if self._stack:
                self._stack[-1].children.append(node)
            self._stack.append(node)
            return
        self._outer.append(own)
        if own == "Folder":
            self._names.append("")
        self.left_out[own] += own in LINKS

    def _text(self, data: str) -> None:
        if self._stack:
            self._letters += len(data)
            if self._letters > _MOST_TEXT:
                raise Invalid("xml.limit", f"{self.name} has a placemark of more than {_MOST_TEXT} letters.")
            self._stack[-1].pieces.append(data)

    def _end(self, _name: str) -> None:
        if not self._stack:
            if self._outer.pop() == "Folder":
                self._names.pop()
            return
        node = self._stack.pop()
        if self._stack:
            return
        if node.name == "Placemark":
            self._number += 1
            self._ready.append(Placemark(node, tuple(name for name in self._names if name), self._number))
        elif self._names:
            self._names[-1] = node.text


def attributes_of(placemark: Placemark) -> dict[str, Any]:
    """The attributes of a placemark under the names that it gives them; extended data beside its own members."""
    found: dict[str, Any] = {}
    for node in placemark.node.children:
        if node.name in GEOMETRIES:
            continue
        if node.name == "ExtendedData":
            for name, value in _extended(node):
                _put(found, name, value)
        else:
            _put(found, node.name, value_of(node))
    if placemark.folders:
        _put(found, "folder", "/".join(placemark.folders))
    return found


def _extended(node: Node) -> Iterator[tuple[str, Any]]:
    for one in node.children:
        if one.name == "Data":
            value = one.child("value")
            yield one.attributes.get("name", ""), value.text if value is not None else None
        elif one.name == "SchemaData":
            for simple in one.children:
                yield simple.attributes.get("name", simple.name), value_of(simple) if simple.name != "SimpleData" else simple.text
        else:
            yield one.name, value_of(one)


def value_of(node: Node) -> Any:
    """A text, or an object of what stands in the element."""
    if not node.children and not node.attributes:
        return node.text
    found: dict[str, Any] = dict(node.attributes)
    for one in node.children:
        _put(found, one.name, value_of(one))
    return {**found, **({"#text": node.text} if node.text else {})}


def _put(members: dict[str, Any], name: str, value: Any) -> None:
    """What comes twice becomes a list."""
    if name not in members:
        members[name] = value
    elif isinstance(members[name], list):
        members[name].append(value)
    else:
        members[name] = [members[name], value]
