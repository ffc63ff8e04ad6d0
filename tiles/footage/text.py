"""Text that is text: words and numbers that people or programs write, and nothing that was packed into letters.

Short text is free. What is looked for: control characters, signatures behind base64, hex or lists of numbers, pictures that are written as
text (SVG, PNM, data addresses), letters as random as packed bytes. A shape (WKB) in hex or base64 is a shape when it decodes as one to its
last byte.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator

from tiles.footage import letters, signatures
from tiles.footage.numbers import is_random
from tiles.footage.shapes import is_shape

PACKED_LETTERS = 512
"""Letters of packed bytes that a column, a channel or a document may hold: keys and checksums have so many, a picture has more."""
LONG = 4096
"""From this length on text has to pack to less than two thirds, as all words and numbers do; base64 packs to three quarters."""
MOST = 16 << 20
"""Letters of one text that are looked at, other than whole documents; whoever writes more in one place writes no text."""
_PACKS_TO = 0.66
_SHORTEST = 40

_RUN = re.compile(r"[A-Za-z0-9+/\-_]{24,}={0,2}")
_HEX = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
# Nothing is given back (+): of a text of millions of numbers the places to go back to would be gigabytes.
_LIST = re.compile(r"(?:\d{1,3}[\s,;|]+){24,}+(?:\d{1,3})?")
_ESCAPES = re.compile(r"(?:\\?[x%][0-9A-Fa-f]{2}[\s,]?){16,}+|(?:(?:0x)?[0-9A-Fa-f]{2}[\s,:]+){24,}+")
_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})|[%=]([0-9A-Fa-f]{2})|\\([0-3][0-7]{2})")
_MANY_ESCAPES = 16
_DRAWN = re.compile(
    r"data:(?:image|video|audio)/|<svg[\s>]|\A\s*P[1-7]\s+(?:#[^\n]*\s+)?\d+\s+\d+\s|/\* XPM|\bbegin [0-7]{3} \S|=ybegin line=", re.I
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
CANDIDATE = (
    r"[A-Za-z0-9+/\-_]{40,}|/9j/|iVBORw|(?i:ffd8ff|89504e47|data:(image|video|audio)|<svg|P[1-7]\s|XPM|begin [0-7]{3}|=ybegin)"
    r"|\\u00[01]|[\x00-\x08\x0b\x0e-\x1f\x7f]|\xff\xd8\xff|(\d{1,3}[\s,;|]+){24,}|([0-9A-Fa-f]{2}[\s,:]+){24,}|([x%][0-9A-Fa-f]{2}){16,}"
    r"|(\\x|[%=])[fF]{2}|\\377|UklGR|R0lGOD|AAAAI?ZnR5|T2dnUw|ZkxhQ|SUQz|GkXfo|H4sI|KLUv|/Td6W|QlpoO|UEsDB"
)
"""For a first look at many texts (RE2): what none of this matches, and is shorter than `LONG`, holds nothing that `TextProof` looks for."""


class TextProof:
    """The texts of one column, channel or document, which together may hold `PACKED_LETTERS` packed ones."""

    def __init__(self) -> None:
        self.packed = 0

    def doubt(self, text: str, *, most: int = MOST) -> str | None:
        """Why a text cannot be proven to be one, None when it can."""
        if not text:
            return None
        if len(text) > most:
            return f"it has {len(text)} letters; {most} are looked at"
        if _CONTROL.search(text):
            return self._of_bytes(text) or "it holds bytes that are no text"
        if (drawn := _DRAWN.search(text)) is not None:
            return f"it holds a picture as text ({drawn[0].strip()[:20]})"
        if not text.isascii() and (found := self._of_bytes(text)) is not None:
            return found
        return _of_escapes(text) or self._of_runs(text) or _of_lists(text) or self._of_length(text)

    @staticmethod
    def _of_bytes(text: str) -> str | None:
        """Bytes that were read as Latin letters."""
        found = signatures.found_in(text.encode("latin-1", "ignore"))
        return f"it holds {found}" if found is not None else None

    def _of_runs(self, text: str) -> str | None:
        for match in _RUN.finditer(text):
            run = match[0]
            body = _decoded(run)
            if body is not None and is_shape(body):
                continue
            for piece in (body, _from_hex(run)):
                if piece is not None and (found := signatures.found_in(piece)) is not None:
                    return f"it holds {found} in letters"
            self.packed += sum(len(piece) for piece in _pieces(run) if _looks_packed(piece))
        if self.packed >= PACKED_LETTERS:
            return f"it holds {self.packed} letters that look like packed bytes"
        return None

    @staticmethod
    def _of_length(text: str) -> str | None:
        if len(text) < letters.LEAST:
            return None
        if letters.is_drawn_evenly(text) and not _is_shape_text(text):
            return "it is long and its letters are as even as packed bytes"
        body = text.encode()
        for begin in range(0, len(body), 1 << 16):
            piece = body[begin : begin + (1 << 16)]
            if len(piece) >= LONG and len(zlib.compress(piece, 6)) > _PACKS_TO * len(piece) and not _is_shape_text(text):
                return "it is long and as random as packed bytes"
        return None


def _pieces(run: str) -> Iterator[str]:
    """A run in pieces that are looked at one by one: of millions of letters a list would be gigabytes."""
    return (run[begin : begin + LONG] for begin in range(0, len(run), LONG))


def _decoded(run: str) -> bytes | None:
    """The bytes of base64 or of hex."""
    if (body := _from_hex(run)) is not None and is_shape(body):
        return body
    plain = run.rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return None


def _from_hex(run: str) -> bytes | None:
    return bytes.fromhex(run) if _is_hex(run) else None


def _is_hex(run: str) -> bool:
    return len(run) % 2 == 0 and _HEX.fullmatch(run) is not None


def _is_shape_text(text: str) -> bool:
    """Whether all of a text is one shape in hex or base64 (JSON of it has a few letters more)."""
    runs = _RUN.findall(text)
    shapes = [run for run in runs if (body := _decoded(run)) is not None and is_shape(body)]
    return sum(map(len, shapes)) > 0.8 * len(text)


def _looks_packed(run: str) -> bool:
    """Whether capitals, small letters and digits change as often as in packed bytes; words, names and numbers keep to one for a while."""
    if len(run) < _SHORTEST:
        return False
    kinds = [0 if c.isdigit() else 1 if c.isupper() else 2 if c.islower() else 3 for c in run]
    changes = sum(a != b for a, b in zip(kinds, kinds[1:], strict=False))
    if _is_hex(run):  # four of its sixteen digits are letters, and checksums have up to 128
        return len(run) > 128 and changes >= len(run) / 4
    return {0, 1, 2} <= set(kinds) and changes >= len(run) / 2


def _of_lists(text: str) -> str | None:
    """Bytes that were written as numbers, in decimals or in hex."""
    for match in _LIST.finditer(text):
        numbers = [int(word) for word in re.findall(r"\d+", match[0])]
        if max(numbers) < 256:
            if (found := signatures.found_in(bytes(numbers))) is not None:
                return f"it holds {found} as a list of numbers"
            if is_random(bytes(numbers)):
                return "it is a list of numbers that are as random as packed bytes"
    for match in _ESCAPES.finditer(text):
        body = bytes.fromhex("".join(re.findall(r"(?:0x|\\?x|%)?([0-9A-Fa-f]{2})", match[0])))
        if (found := signatures.found_in(body)) is not None:
            return f"it holds {found} in hex"
    return None


def _of_escapes(text: str) -> str | None:
    """Bytes of which those that are no letters are escaped, as in Python, JSON, addresses and mail."""
    if len(text) < 4 * _MANY_ESCAPES or not ("\\" in text or "%" in text or "=" in text):
        return None
    body, count = _ESCAPED.subn(lambda hit: bytes([_byte(hit)]), text.encode())
    if count < _MANY_ESCAPES:
        return None
    if (found := signatures.found_in(body)) is not None:
        return f"it holds {found} in escapes"
    try:
        body.decode()
    except UnicodeDecodeError:
        return "it holds bytes in escapes that are no text"
    return None


def _byte(hit: re.Match[bytes]) -> int:
    octal = hit[4]
    return int(octal, 8) if octal is not None else int(hit[1] or hit[2] or hit[3], 16)


def of_document(body: bytes, *, most: int = 64 << 20) -> str | None:
    """Why a whole file or record cannot be proven to be text, None when it can."""
    if (found := signatures.found_in(body)) is not None:
        return f"it holds {found}"
    if len(body) > most:
        return f"it has {len(body)} bytes; {most} are looked at"
    try:
        return TextProof().doubt(body.decode(), most=most)
    except UnicodeDecodeError:
        return "its bytes are no text"
