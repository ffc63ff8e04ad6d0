"""The text of an XML file as expat can take it: decoded by us, without what would end the document; no DTD, no entity, in pieces.

expat knows no encoding of several bytes, and ends at the first wrong one. It calls us and builds nothing, which needs no memory at all.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NoReturn, cast
from xml.parsers import expat

from ingest.checks.encodings import REPLACED, Decoder, codec_of
from mapex.errors import Invalid

Opened = Callable[[Path], AbstractContextManager[BinaryIO]]
MAX_DEPTH = 64
MAX_ATTRIBUTES = 256
_CHUNK = 1 << 20
_HEAD = 512
_WIDE = re.compile(r"utf-?(16|32)|ucs", re.IGNORECASE)
_LONGEST_REFERENCE = 12
_REFERENCE = re.compile(r"&#(x[0-9a-fA-F]{1,8}|[0-9]{1,8});")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DECLARATION = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'<>]{1,64})["']""")


def plain(path: Path) -> BinaryIO:
    """The file as it is."""
    return path.open("rb")


class XmlText:
    """One pass over a file: `parser` is made, its handlers are set by the caller, `pieces` feeds it.

    `encoding` is what the XML declaration states, "" for UTF-8. `broken` tells why the file ended early, "" when it did not.
    `is_damaged`: bytes that mean no letter were replaced up to here.
    """

    def __init__(self, path: Path, name: str, opened: Opened = plain) -> None:
        """`opened` opens the file, unpacked where it is packed. Raises: Invalid: `xml.encoding`."""
        self._path, self._name, self._opened = path, name, opened
        self.broken, self.is_damaged = "", False
        with opened(path) as file:
            head = self._read(file, _HEAD)
        self.encoding = _declared(head)
        # A declaration that was read as ASCII is not in UTF-16, whatever it states.
        codec = "utf-8" if _WIDE.match(self.encoding) else codec_of(self.encoding or "utf-8")
        if codec is None:
            text = f"{name} declares the encoding {self.encoding!r}, which is not known here. Save it as UTF-8 and upload it again."
            raise Invalid("xml.encoding", text, file=name)
        # UTF-16 with its mark is what expat reads itself.
        self._decoder = None if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else Decoder(codec)
        self.parser = expat.ParserCreate("utf-8" if self._decoder is not None else None)
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._entity

    def pieces(self) -> Iterator[None]:
        """Feed the parser piece by piece, to the end of the file or to where it breaks.

        Raises: Invalid: `xml.dtd`, and what the handlers raise.
        """
        held, self.broken = "", ""
        with self._opened(self._path) as file:
            while True:
                piece = self._read(file, _CHUNK)
                final = not piece
                if self._decoder is not None:
                    text, held = _split(held + self._decoder.decode(piece, final=final), final=final)
                    text, illegal = _without_illegal(text)
                    self.is_damaged |= illegal or self._decoder.broken > 0
                    piece = text.encode()
                try:
                    self.parser.Parse(piece, final)
                except expat.ExpatError as why:
                    self.broken = self.broken or str(why)
                yield
                if self.broken or final:
                    return

    def _read(self, file: BinaryIO, length: int) -> bytes:
        """The next bytes, b"" at the end and where a packed file is cut or damaged."""
        try:
            return cast(BufferedReader, file).read1(length)
        except (EOFError, OSError, zlib.error) as why:
            self.broken = str(why)
            return b""

    def check(self, name: str, depth: int, attributes: int) -> None:
        """Pass for an element that is not too deep and has not too many attributes. Raises: Invalid: `xml.limit`."""
        if depth > MAX_DEPTH or attributes > MAX_ATTRIBUTES:
            self.refuse(name)

    def refuse(self, name: str) -> NoReturn:
        """Refuse an element that is deeper than `MAX_DEPTH` or has more than `MAX_ATTRIBUTES`. Raises: Invalid: `xml.limit`."""
        text = f"{self._name} is nested deeper than {MAX_DEPTH} or has over {MAX_ATTRIBUTES} attributes in <{name[:40]}>."
        raise Invalid("xml.limit", text)

    def _doctype(self, *_: object) -> None:
        text = f"{self._name} declares a document type; map files have none. Remove the DOCTYPE."
        raise Invalid("xml.dtd", text, file=self._name)

    def _entity(self, *_: object) -> None:
        raise Invalid("xml.dtd", f"{self._name} declares an entity; it is refused.", file=self._name)


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
