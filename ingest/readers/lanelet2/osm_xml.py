"""OSM XML as a stream of elements, by expat: no tree, no DTD, no entity, bounded depth, attributes and children.

lxml's iterparse builds elements that must be thrown away again; expat only calls us, which is faster and needs no memory at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from mapex.errors import Invalid

MAX_DEPTH = 64
MAX_ATTRIBUTES = 256
MAX_CHILDREN = 2_000_000
_CHUNK = 1 << 20
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

    def elements(self) -> Iterator[Element]:
        """All nodes, ways and relations in file order; what comes before a break is given.

        Raises: Invalid: `xml.dtd`, `xml.limit`, `format.unsupported` (not an OSM file).
        """
        handler = _Handler(self)
        handler.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.StartDoctypeDeclHandler = handler.doctype
        parser.EntityDeclHandler = handler.entity
        with self.path.open("rb") as file:
            while True:
                piece = file.read(_CHUNK)
                try:
                    parser.Parse(piece, not piece)
                except expat.ExpatError as why:
                    self.broken = str(why)
                ready, handler.ready = handler.ready, []
                yield from ready
                if self.broken or not piece:
                    return


class _Handler:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.ready: list[Element] = []
        self.depth = 0
        self.current: Element | None = None
        self.children = 0
        self.parser: expat.XMLParserType | None = None

    def doctype(self, *_: object) -> None:
        raise Invalid(
            "xml.dtd", f"{self.document.name} declares a document type; OSM files have none. Remove the DOCTYPE.", file=self.document.name
        )

    def entity(self, *_: object) -> None:
        raise Invalid("xml.dtd", f"{self.document.name} declares an entity; it is refused.", file=self.document.name)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES:
            raise Invalid(
                "xml.limit",
                f"{self.document.name} is nested deeper than {MAX_DEPTH} or has over {MAX_ATTRIBUTES} attributes in <{name[:40]}>.",
            )
        if self.depth == 1:
            if name != "osm":
                raise Invalid(
                    "format.unsupported", f"{self.document.name} is an XML document <{name[:40]}>, not <osm>.", file=self.document.name
                )
            self.document.root = attributes
        elif self.depth == 2 and name in ELEMENTS:
            self.current, self.children = Element(name, attributes), 0
        elif self.depth == 2:
            if len(self.document.others) < 1000 and self.parser is not None:
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
        if self.depth == 2 and self.parser is not None:
            self.parser.CharacterDataHandler = None
        if self.depth == 2 and self.current is not None:
            self.ready.append(self.current)
            self.current = None
        self.depth -= 1
