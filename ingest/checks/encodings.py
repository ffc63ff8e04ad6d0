"""Encodings by their declared names, and decoding that loses the one letter that is broken and nothing else."""

from __future__ import annotations

import codecs
import re
from typing import Any

REPLACED = "\ufffd"
"""What stands for a letter whose bytes cannot be read."""

_SPELLINGS = (
    (re.compile(r"(?:x-)?(?:windows|win|cp|ibm|dos|oem|ansi|ms|codepage)?[ _-]*(\d{3,5})"), "cp{}"),
    (re.compile(r"(?:iso[ _-]*)?8859[ _-]*(\d{1,2})"), "iso8859-{}"),
)
_WIDER = {"euc_kr": "cp949", "johab": "johab", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "ascii": "utf-8"}
"""A codec that reads all of what one is used for: Korean Windows writes cp949 and calls it EUC-KR."""

_OTHERS = re.compile(r"idna|punycode|(raw[_-])?unicode[_-]escape|undefined|mbcs|oem|utf[_-]?(7|16|32).*")
"""Codecs of Python that are not for bytes of which each below 128 is ASCII, as in every file that can state its encoding."""


def codec_of(declared: str) -> str | None:
    """Python's name of an encoding as files spell it (`EUC-KR`, `949`, `windows-949`, `ANSI 1252`, `88591`); None when it is none."""
    name = declared.strip().strip("\"'").lower()
    spelt = [form.format(*found.groups()) for pattern, form in _SPELLINGS if (found := pattern.fullmatch(name))]
    for one in (name, *reversed(spelt)):
        try:
            about = codecs.lookup(one)
        except (LookupError, ValueError):  # a NUL in the name is a ValueError
            continue
        if about._is_text_encoding and _OTHERS.fullmatch(about.name) is None:
            return _WIDER.get(about.name, about.name)
    return None


def decoded(raw: bytes, codec: str) -> tuple[str, bool]:
    """The text of some bytes, each broken letter replaced by `REPLACED`; and whether there was one."""
    try:
        return raw.decode(codec), False
    except UnicodeDecodeError:
        return raw.decode(codec, errors="replace"), True


def head_text(raw: bytes) -> str:
    """The text of a head that declares no encoding: UTF-8, else Latin-1, in which every byte is a letter."""
    text, broken = decoded(raw, "utf-8")
    return raw.decode("latin-1") if broken else text


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: Python's texts may hold half of a letter (a lone surrogate), files and columns may not."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    r"""The text with each lone surrogate written out (`\udcff`)."""
    return text.encode("utf-8", "backslashreplace").decode()


def without_halves(text: str) -> str:
    """The text with half of a letter replaced: a lone surrogate of JSON, or a byte that Python holds as one ("surrogateescape")."""
    if is_text(text):
        return text
    raw = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # two halves that belong together are one letter
    return "".join(part if is_text(part) else _bytes_of(part) for part in re.split("([\udc80-\udcff]+|[\ud800-\udfff])", raw))


def _bytes_of(halves: str) -> str:
    try:
        return halves.encode("ascii", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return REPLACED


class Decoder:
    """Decodes a stream in pieces; `broken` counts the pieces in which something meant no letter, which `errors` says how to show."""

    def __init__(self, codec: str, errors: str = "replace") -> None:
        self._decoder: Any = codecs.getincrementaldecoder(codec)()
        self._errors = errors
        self.broken = 0

    def decode(self, piece: bytes, *, final: bool) -> str:
        """The text of the next piece."""
        before = self._decoder.getstate()
        try:
            text: str = self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            self.broken += 1
            self._decoder.errors = self._errors
            self._decoder.setstate(before)
            text = self._decoder.decode(piece, final)
            self._decoder.errors = "strict"
        return text
