"""OSM XML as a stream of elements, by expat: no tree, no DTD, no entity, bounded depth, attributes and children.

lxml's iterparse builds elements that must be thrown away again; expat only calls us, which is faster and needs no memory at all.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from ingest.checks.encodings import REPLACED, Decoder, codec_of
from ingest.readers.packed import FAULTS, opened
from mapex.errors import Invalid

MAX_DEPTH = 64
MAX_ATTRIBUTES = 256
MAX_CHILDREN = 2_000_000
MAX_DAMAGED = 1000
_CHUNK = 1 << 20
_HEAD = 512
_WIDE = re.compile(r"utf-?(16|32)|ucs", re.IGNORECASE)
_LONGEST_REFERENCE = 12
_REFERENCE = re.compile(r"&#(x[0-9a-fA-F]{1,8}|[0-9]{1,8});")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DECLARATION = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'<>]{1,64})["']""")
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
        handler = _Handler(self)
        head = self._head()
        self.encoding = _declared(head)
        # A declaration that was read as ASCII is not in UTF-16, whatever it states.
        codec = "utf-8" if _WIDE.match(self.encoding) else codec_of(self.encoding or "utf-8")
        if codec is None:
            text = f"{self.name} declares the encoding {self.encoding!r}, which is not known here. Save it as UTF-8 and upload it again."
            raise Invalid("xml.encoding", text, file=self.name)
        # Decoded by us: expat knows no encoding of several bytes, and ends at the first wrong one. Its own reading is UTF-16 (by its mark).
        decoder = None if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else Decoder(codec)
        handler.parser = parser = expat.ParserCreate("utf-8" if decoder is not None else None)
        parser.buffer_text = True
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.StartDoctypeDeclHandler = handler.doctype
        parser.EntityDeclHandler = handler.entity
        held = ""
        with opened(self.path) as file:
            while True:
                try:
                    piece = file.read1(_CHUNK)  # type: ignore[attr-defined]
                except FAULTS as why:
                    piece, self.broken = b"", str(why)
                final = not piece
                if decoder is not None:
                    text, held = _split(held + decoder.decode(piece, final=final), final=final)
                    text, illegal = _without_illegal(text)
                    handler.is_damaged |= illegal or decoder.broken > 0
                    piece = text.encode()
                try:
                    parser.Parse(piece, final)
                except expat.ExpatError as why:
                    self.broken = self.broken or str(why)
                ready, handler.ready = handler.ready, []
                yield from ready
                if self.broken or not piece:
                    return

    def _head(self) -> bytes:
        with opened(self.path) as file:
            try:
                return file.read1(_HEAD)  # type: ignore[attr-defined,no-any-return]
            except FAULTS:
                return b""


def history(name: str) -> Invalid:
    """The refusal of a file that holds several versions of its elements."""
    text = (
        f"{name} holds the history of its elements: several versions of each, deleted ones too. Upload what holds at one time, as "
        "`osmium time-filter` makes it."
    )
    return Invalid("osm.history", text, file=name)


def _declared(head: bytes) -> str:
    """The encoding that an XML declaration states, "" when there is none."""
    found = _DECLARATION.match(head.removeprefix(codecs.BOM_UTF8))
    return found.group(1).decode("ascii", "replace") if found else ""


def _split(text: str, *, final: bool) -> tuple[str, str]:
    """What can be given to the parser, and the beginning of a reference (`&#x1`) that ends in the next piece."""
    at = -1 if final else text.rfind("&", max(0, len(text) - _LONGEST_REFERENCE))
    return (text, "") if at < 0 or ";" in text[at:] else (text[:at], text[at:])


def _without_illegal(text: str) -> tuple[str, bool]:
    """The text without what ends an XML document: control characters, halves of letters, and references to them; and whether it had any."""
    whole = _REFERENCE.sub(_referred, _ILLEGAL.sub(REPLACED, text)) if "&#" in text or _ILLEGAL.search(text) else text
    return whole, whole is not text and whole != text


def _referred(found: re.Match[str]) -> str:
    digits = found.group(1)
    code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    is_legal = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return found.group() if is_legal else REPLACED


class _Handler:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.ready: list[Element] = []
        self.depth = 0
        self.current: Element | None = None
        self.children = 0
        self.is_damaged = False
        self.parser: expat.XMLParserType | None = None
        self.before_kind, self.before = "", dict[str, str]()

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
            if self.is_damaged:
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
