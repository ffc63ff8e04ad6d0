"""OpenDRIVE XML as a stream of its parts: header, one road, one junction, one controller at a time, each a small tree; bounded.

Namespaces are left out of names (`od:road` is a road), comments and processing instructions out of the tree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from ingest.checks.encodings import REPLACED
from ingest.checks.xml_text import MAX_ATTRIBUTES, MAX_DEPTH, XmlText
from ingest.readers.packed import opened
from mapex.errors import Invalid

MOST_NODES = 400_000
"""Elements of one part: a road of 50 km with all of its lanes has half as many."""
MOST_BYTES = 16 << 20
"""Of one part, in UTF-8."""
LARGEST = 1e12
"""No measure on the Earth is larger, and cubes of it are numbers still."""
_MOST_DAMAGED = 1000
_SPECIAL = re.compile(r"""[&<>"\n\r\t]""")
_QUOTES = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


@dataclass(slots=True)
class XmlElement:
    """One XML element with what is in it; `text` is all of its own character data."""

    name: str
    attributes: dict[str, str]
    children: list[XmlElement] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> list[XmlElement]:
        """Its children of this name."""
        return [child for child in self.children if child.name == name]

    def first(self, name: str) -> XmlElement | None:
        """Its first child of this name."""
        return next((child for child in self.children if child.name == name), None)

    def inside(self, *names: str) -> list[XmlElement]:
        """All that is reached by these names, one step each: `inside("lanes", "laneSection")`."""
        found = [self]
        for name in names:
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def count(self) -> int:
        """How many elements it is of."""
        found, waiting = 0, [self]
        while waiting:
            found += 1
            waiting += waiting.pop().children
        return found

    def text_of(self, name: str, otherwise: str = "") -> str:
        """An attribute without blanks around it; `otherwise` where it is not there."""
        return self.attributes.get(name, otherwise).strip()

    def number(self, name: str, otherwise: float = 0.0) -> float:
        """An attribute as a number of at most `LARGEST`; `otherwise` where it is not there, NaN where it is none."""
        text = self.attributes.get(name)
        if text is None:
            return otherwise
        try:
            value = float(text)
        except ValueError:
            return math.nan
        return value if abs(value) <= LARGEST else math.nan


def xml_of(node: XmlElement) -> str:
    """The element as XML text without blanks between elements.

    Trees are at most `ingest.checks.xml_text.MAX_DEPTH` deep.
    """
    named = "".join([f' {name}="{_quoted(value)}"' for name, value in node.attributes.items()])
    inner = _quoted(node.text) + "".join([xml_of(child) for child in node.children])
    return f"<{node.name}{named}>{inner}</{node.name}>" if inner else f"<{node.name}{named}/>"


def _quoted(text: str) -> str:
    return escape(text, _QUOTES) if _SPECIAL.search(text) else text


@dataclass(slots=True)
class OpenDriveParts:
    """One pass over a file. `root`, `broken`, `encoding` and `damaged` fill while `all` runs."""

    path: Path
    name: str
    root: dict[str, str] = field(default_factory=dict)
    broken: str = ""
    """why the file ended early, "" when it did not"""
    encoding: str = ""
    read: int = 0
    """bytes up to here, unpacked and in UTF-8"""
    damaged: list[tuple[str, str, str]] = field(default_factory=list)
    """part, key and value of texts in which bytes meant no letter and were replaced: the first thousand"""

    def all(self) -> Iterator[XmlElement]:
        """The children of the root in the order of the file; one that is cut is not given.

        Raises: Invalid: `xml.dtd`, `xml.limit`, `xml.encoding`, `format.unsupported` (no OpenDRIVE).
        """
        source = XmlText(self.path, self.name, opened)
        self.encoding = source.encoding
        builder = _Builder(self, source)
        source.parser.StartElementHandler = builder.start
        source.parser.EndElementHandler = builder.end
        source.parser.CharacterDataHandler = builder.text
        for _ in source.pieces():
            self.broken, self.read = source.broken, source.parser.CurrentByteIndex
            ready, builder.ready = builder.ready, []
            yield from ready


class _Builder:
    def __init__(self, parts: OpenDriveParts, source: XmlText) -> None:
        self.parts, self.source = parts, source
        self.ready: list[XmlElement] = []
        self.open: list[XmlElement] = []
        self.words: list[list[str]] = []
        self.depth = self.nodes = self.begin = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES:
            self.source.refuse(name)
        if ":" in name:
            name = name.rpartition(":")[2]
        if self.depth == 1:
            if name != "OpenDRIVE":
                text = f"{self.parts.name} is an XML document <{name[:40]}>, not <OpenDRIVE>."
                raise Invalid("format.unsupported", text, file=self.parts.name)
            self.parts.root = attributes
            return
        node = XmlElement(name, attributes)
        if self.open:
            self.open[-1].children.append(node)
        else:
            self.nodes, self.begin = 0, self.source.parser.CurrentByteIndex
        self.open.append(node)
        self.words.append([])
        self.nodes += 1
        self._check()

    def text(self, text: str) -> None:
        if self.open and (self.words[-1] or not text.isspace()):
            self._check()
            self.words[-1].append(text)

    def end(self, _name: str) -> None:
        self.depth -= 1
        if not self.open:
            return
        node = self.open.pop()
        node.text = "".join(self.words.pop()).strip()
        if not self.open:
            if self.source.is_damaged:
                self._note_damage(node)
            self.ready.append(node)

    def _check(self) -> None:
        if self.nodes > MOST_NODES or self.source.parser.CurrentByteIndex - self.begin > MOST_BYTES:
            name, part = self.open[0].name, self.open[0].text_of("id")[:40]
            text = (
                f"{self.parts.name}: <{name} id={part!r}> has over {MOST_NODES} elements or {MOST_BYTES >> 20} MiB. "
                "Cut it into shorter ones."
            )
            raise Invalid("xml.limit", text, file=self.parts.name)

    def _note_damage(self, part: XmlElement) -> None:
        waiting = [part]
        while waiting and len(self.parts.damaged) < _MOST_DAMAGED:
            node = waiting.pop()
            waiting += node.children
            for key, value in [*node.attributes.items(), (node.name, node.text)]:
                if REPLACED in value:
                    self.parts.damaged.append((f"{part.name}/{part.text_of('id')}", key, value))
