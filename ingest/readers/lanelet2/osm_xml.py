"""OSM XML as a stream of elements, by expat: no tree, no DTD, no entity, bounded depth, attributes and children.

lxml's iterparse builds elements that must be thrown away again; expat only calls us, which is faster and needs no memory at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ingest.checks.encodings import REPLACED
from ingest.checks.xml_text import MAX_ATTRIBUTES, MAX_DEPTH, XmlText
from ingest.readers.packed import opened
from mapex.errors import Invalid

MAX_CHILDREN = 2_000_000
MAX_DAMAGED = 1000
ELEMENTS = ("node", "way", "relation")


@dataclass(slots=True)
class Element:
    """A node, way or relation: its attributes, tags, references of a way, members of a relation (type, ref, role), as text."""

    kind: str
    attributes: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    refs: list[str] = field(default_factory=list)
    members: list[tuple[str, str, str]] = field(default_factory=list)
    repeated: list[tuple[str, str]] = field(default_factory=list)
    """further values of a key that comes twice"""
    other: list[str] = field(default_factory=list)
    """names of children that OSM does not know"""

    @property
    def id(self) -> str:
        """`way/12`: ids of different element types collide in real files."""
        return f"{self.kind}/{self.attributes.get('id', '')}"


@dataclass(slots=True)
class Document:
    """One pass over a file. `root`, `others` and `broken` fill while `elements` runs."""

    path: Path
    name: str
    root: dict[str, str] = field(default_factory=dict)
    others: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    broken: str = ""
    """why the file ended early, "" when it did not"""
    encoding: str = ""
    """what its XML declaration states, "" for UTF-8"""
    damaged: list[tuple[str, str, str]] = field(default_factory=list)
    """feature, key and value of texts in which bytes meant no letter and were replaced: the first thousand"""

    def elements(self) -> Iterator[Element]:
        """All nodes, ways and relations in file order; what comes before a break is given.

        Raises: Invalid: `xml.dtd`, `xml.limit`, `format.unsupported` (not an OSM file).
        """
        text = XmlText(self.path, self.name, opened)
        self.encoding = text.encoding
        handler = _Handler(self, text)
        text.parser.StartElementHandler = handler.start
        text.parser.EndElementHandler = handler.end
        for _ in text.pieces():
            self.broken = text.broken
            ready, handler.ready = handler.ready, []
            yield from ready


def history(name: str) -> Invalid:
    """The refusal of a file that holds several versions of its elements."""
    text = (
        f"{name} holds the history of its elements: several versions of each, deleted ones too. Upload what holds at one time, as "
        "`osmium time-filter` makes it."
    )
    return Invalid("osm.history", text, file=name)


class _Handler:
    def __init__(self, document: Document, source: XmlText) -> None:
        self.document, self.source, self.parser = document, source, source.parser
        self.ready: list[Element] = []
        self.depth = 0
        self.current: Element | None = None
        self.children = 0
        self.before_kind, self.before = "", dict[str, str]()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES:
            self.source.refuse(name)
        if self.depth == 1:
            if name != "osm":
                raise Invalid(
                    "format.unsupported", f"{self.document.name} is an XML document <{name[:40]}>, not <osm>.", file=self.document.name
                )
            self.document.root = attributes
        elif self.depth == 2 and name in ELEMENTS:
            self.current, self.children = Element(name, attributes), 0
        elif self.depth == 2:
            if len(self.document.others) < 1000:
                self.document.others.append((name, attributes))
                self.parser.CharacterDataHandler = self.text
        elif self.current is not None:
            self._child(self.current, name, attributes)

    def _child(self, element: Element, name: str, attributes: dict[str, str]) -> None:
        self.children += 1
        if self.children > MAX_CHILDREN:
            raise Invalid("xml.limit", f"{self.document.name}: {element.id} has over {MAX_CHILDREN} children.", file=self.document.name)
        if name == "tag" and self.depth == 3:
            key, value = attributes.get("k", ""), attributes.get("v", "")
            if key in element.tags:
                element.repeated.append((key, value))
            else:
                element.tags[key] = value
        elif name == "nd" and self.depth == 3:
            element.refs.append(attributes.get("ref", ""))
        elif name == "member" and self.depth == 3:
            element.members.append((attributes.get("type", ""), attributes.get("ref", ""), attributes.get("role", "")))
        else:
            element.other.append(name)

    def text(self, text: str) -> None:
        """What an element that is no feature says in words, as `<note>` does."""
        _, attributes = self.document.others[-1]
        words = f"{attributes.get('text', '')} {' '.join(text.split())}".strip()
        if words:
            attributes["text"] = words[:1000]

    def end(self, _name: str) -> None:
        if self.depth == 2:
            self.parser.CharacterDataHandler = None
        if self.depth == 2 and self.current is not None:
            if self.source.is_damaged:
                self._note_damage(self.current)
            self._refuse_history(self.current)
            self.ready.append(self.current)
            self.current = None
        self.depth -= 1

    def _refuse_history(self, element: Element) -> None:
        """Two versions of one element, one after the other, each with a mark of whether it is deleted: only histories have these."""
        now, before = element.attributes, self.before
        is_again = self.before_kind == element.kind and before.get("id") == now.get("id")
        if is_again and "visible" in now and "visible" in before and before.get("version") != now.get("version"):
            raise history(self.document.name)
        self.before_kind, self.before = element.kind, now

    def _note_damage(self, element: Element) -> None:
        for key, value in [*element.attributes.items(), *element.tags.items(), *((role, role) for _, _, role in element.members)]:
            if (REPLACED in value or REPLACED in key) and len(self.document.damaged) < MAX_DAMAGED:
                self.document.damaged.append((element.id, key, value))
