"""Encodings by their declared names, and decoding that loses the one letter that is broken and nothing else."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import Any

REPLACED = "\ufffd"
"""What stands for a letter whose bytes cannot be read."""

_SPELLINGS = (
    (re.compile(r"(?:x-)?(?:windows|win|cp|ibm|dos|oem|ansi|ms|codepage)?[ _-]*(\d{3,5})"), "cp{}"),
    (re.compile(r"(?:iso[ _-]*)?8859[ _-]*(\d{1,2})"), "iso8859-{}"),
)
_WIDER = {"euc_kr": "cp949", "johab": "johab", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "ascii": "utf-8"}
"""A codec that reads all of what one is used for: Korean Windows writes cp949 and calls it EUC-KR."""


def codec_of(declared: str) -> str | None:
    """Python's name of an encoding as files spell it (`EUC-KR`, `949`, `windows-949`, `ANSI 1252`, `88591`); None when it is none."""
    name = declared.strip().strip("\"'").lower()
    spelt = [form.format(*found.groups()) for pattern, form in _SPELLINGS if (found := pattern.fullmatch(name))]
    for one in (name, *reversed(spelt)):
        try:
            about = codecs.lookup(one)
        except (LookupError, ValueError):  # a NUL in the name is a ValueError
            continue
        if about._is_text_encoding:
            return _WIDER.get(about.name, about.name)
    return None


def decoded(raw: bytes, codec: str) -> tuple[str, bool]:
    """The text of some bytes, each broken letter replaced by `REPLACED`; and whether there was one."""
    try:
        return raw.decode(codec), False
    except UnicodeDecodeError:
        return raw.decode(codec, errors="replace"), True


def printable(text: str) -> tuple[str, bool]:
    r"""The text with each half of a letter (`\udcff`, a lone surrogate) replaced; and whether there was one. No file can hold such halves."""
    if text.isascii():
        return text, False
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves that belong together are one letter; what remains alone is replaced.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), True
    return text, False


def best_of(values: Iterable[bytes], candidates: tuple[str, ...]) -> str:
    """The candidate in which the fewest values have a broken letter; of equals the first."""
    broken = dict.fromkeys(candidates, 0)
    for value in values:
        for codec in candidates:
            broken[codec] += decoded(value, codec)[1]
    return min(candidates, key=lambda codec: broken[codec])


class Decoder:
    """Decodes a stream in pieces; `broken` counts the pieces in which a letter had to be replaced."""

    def __init__(self, codec: str) -> None:
        self._decoder: Any = codecs.getincrementaldecoder(codec)()
        self.broken = 0

    def decode(self, piece: bytes, *, final: bool) -> str:
        """The text of the next piece."""
        before = self._decoder.getstate()
        try:
            text: str = self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            self.broken += 1
            self._decoder.errors = "replace"
            self._decoder.setstate(before)
            text = self._decoder.decode(piece, final)
            self._decoder.errors = "strict"
        return text
