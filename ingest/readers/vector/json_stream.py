"""GeoJSON as a stream: one feature at a time, so that a file of any size needs little memory and one bad feature sinks no other.

Understood: a FeatureCollection (members before and after `features` too), a bare Feature or geometry, and a sequence of them (one a
line, RFC 8142 record separators allowed).
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ingest.checks.encodings import Decoder
from ingest.checks.text import distinct

CHUNK = 4 << 20
MAX_RECORD = 64 << 20
"""Characters of one feature, or of one other member."""
_TAIL = 64 << 10


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a key that comes twice gets `#2`, so that no value is lost."""
    found = dict(pairs)
    return (
        found
        if len(found) == len(pairs)
        else _Doubled(zip(distinct([key for key, _ in pairs]), (value for _, value in pairs), strict=True))
    )


class _Doubled(dict[str, Any]):
    """An object in which a key came twice."""


def _whole(text: str) -> int | str:
    """A whole number; as text when it is longer than Python converts (4,300 digits)."""
    try:
        return int(text)
    except ValueError:
        return text


def _number(text: str) -> float | str:
    """A number with a point or an exponent; as text when no float is so large."""
    value = float(text)
    return value if math.isfinite(value) else text


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
_EXACT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_float=_number, parse_constant=str)
"""Slower: what JSON has no number for (NaN, 1e400) stays the text that it is."""
_SPACE = re.compile(r"[\s\x1e]*")
_SEPARATOR = re.compile(r"[\s\x1e,]*")
_FEATURES = re.compile(r'"features"\s*:\s*\[')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|["{}\[\]]', re.DOTALL)
"""A whole string, a bracket, or a quote that begins a string which does not end here."""
_NEXT = re.compile(r'\{\s*"type"\s*:\s*"Feature"\s*,')


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that is not JSON: its number among the features, its first characters, and why."""

    number: int
    text: str
    why: str
    rejected: int = 1


@dataclass(slots=True)
class Stream:
    """The features of a file; `members` fills with the collection's other members while it is read."""

    path: Path
    members: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    codec: str = "utf-8-sig"
    broken: int = 0
    """pieces of the file in which bytes mean no letter: each is a lone surrogate in what `features` gives"""
    _lists: int = 0
    _last: tuple[int, int] = (0, 0)
    _buffer: str = ""
    _at: int = 0
    _ended: bool = False

    def features(self, *, listed: bool = False) -> Iterator[Any]:
        """Every record: parsed JSON, or `Broken`. `listed` = the file is one list of records, and no GeoJSON."""
        self.codec = codec_of_json(self.path)
        with self.path.open("rb") as file:
            decoder = Decoder(self.codec, "surrogateescape")

            def more() -> bool:
                if self._ended:
                    return False
                raw = file.read(CHUNK)
                self._ended = not raw
                self._buffer = self._buffer[self._at :] + decoder.decode(raw, final=self._ended)
                self._at, self.broken = 0, decoder.broken
                return not self._ended

            more()
            self._skip(_SPACE, more)
            if listed and self._buffer.startswith("[", self._at):
                self._at += 1
                yield from self._records(more, end="]")
            elif self._collection(more):
                yield from self._members(more)
            else:
                yield from self._records(more, end="")

    def _collection(self, more: Any) -> bool:
        """Whether the text is one object with a `features` array, read until that array begins or the object ends."""
        if not self._buffer.startswith("{", self._at):
            return False
        while True:
            found = next(
                (m.start() for m in _FEATURES.finditer(self._buffer, self._at) if _outer(self._buffer[self._at :], m.start() - self._at)),
                None,
            )
            if found is not None:
                return True
            if _closing(self._buffer, self._at) is not None or len(self._buffer) > MAX_RECORD or self._ended:
                return False
            self._double(more)

    def _members(self, more: Any) -> Iterator[Any]:
        self._at += 1
        while True:
            self._skip(_SEPARATOR, more)
            if self._at >= len(self._buffer):
                yield Broken(self.number, "", "the file ends inside the collection", 0)
                return
            if self._buffer[self._at] == "}":
                return
            key = self._value(more)
            self._skip(_SPACE, more)
            if not isinstance(key, str) or self._at >= len(self._buffer) or self._buffer[self._at] != ":":
                yield Broken(self.number, self._buffer[self._at : self._at + 60], "the collection is not JSON here", 0)
                return
            self._at += 1
            self._skip(_SPACE, more)
            if key == "features" and self._buffer.startswith("[", self._at):
                self._lists += 1
                self._at += 1
                yield from self._records(more, end="]")
                continue
            value = self._value(more)
            if isinstance(value, Broken):
                yield Broken(self.number, value.text, f"member {key!r}: {value.why}", 0)
                return
            self._keep(key, value)

    def _keep(self, key: str, value: Any) -> None:
        """Keep a member of the collection; one that comes again gets `#2`."""
        if key in self.members:
            self.members = _object([*self.members.items(), (key, value)])
        else:
            self.members[key] = value

    @property
    def repeated(self) -> list[str]:
        """Members of the collection that stand twice."""
        return [*(["features"] if self._lists > 1 else []), *doubled_keys(self.members)]

    def _records(self, more: Any, *, end: str) -> Iterator[Any]:
        while True:
            self._skip(_SEPARATOR, more)
            if self._at >= len(self._buffer):
                if end:
                    yield Broken(self.number, "", "the file ends inside the list of features", 0)
                return
            if end and self._buffer[self._at] == end:
                self._at += 1
                return
            value = self._value(more)
            self.number += 1
            yield value
            if isinstance(value, Broken) and self._at >= len(self._buffer):
                return

    def _skip(self, pattern: re.Pattern[str], more: Any) -> None:
        while True:
            match = pattern.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer) or not more():
                return

    def _value(self, more: Any) -> Any:
        """The next JSON value; on a bad one `Broken`, and the reading goes on behind its closing bracket."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError:
                return self._past("it is nested too deep", more)
            except ValueError as why:
                if (exact := self._long(why)) is not None:
                    return exact
                if _is_complete(self._buffer, self._at) or self._ended or len(self._buffer) - self._at > MAX_RECORD:
                    return self._past(str(why), more)
                self._double(more)
                continue
            if end == len(self._buffer) and not self._ended and not isinstance(value, dict | list | str):
                more()  # a number may go on in the next chunk
                continue
            self._last = (self._at, end)
            self._at = end
            return value

    def _long(self, why: ValueError) -> Any:
        """The next record when only a number of thousands of digits was wrong with it, else None."""
        if isinstance(why, json.JSONDecodeError) or not _is_complete(self._buffer, self._at):
            return None
        try:
            value, end = _EXACT.raw_decode(self._buffer, self._at)
        except ValueError:
            return None
        self._last, self._at = (self._at, end), end
        return value

    def exact(self) -> Any:
        """The record that `features` gave last, with the text of what JSON has no number for."""
        value, _ = _EXACT.raw_decode(self._buffer[slice(*self._last)])
        return value

    def _double(self, more: Any) -> None:
        """Read until the buffer has doubled, so that one long record is scanned a few times only."""
        wanted = 2 * (len(self._buffer) - self._at)
        while len(self._buffer) - self._at < wanted and more():
            pass

    def _past(self, why: str, more: Any) -> Broken:
        start, text = self.number, self._buffer[self._at : self._at + 80]
        while True:
            end = _closing(self._buffer, self._at)
            # A quote too many swallows what follows; the next feature that begins as usual ends the damage.
            again = _NEXT.search(self._buffer, self._at + 1, end if end is not None else len(self._buffer))
            if again is not None or end is not None:
                self._at = again.start() if again is not None else end or self._at
                return Broken(start, text, why)
            if len(self._buffer) - self._at > MAX_RECORD or not more():
                self._at = len(self._buffer)
                self._ended = True
                return Broken(start, text, f"{why}; and it never ends")


def _closing(text: str, start: int) -> int | None:
    """Where the bracketed value that begins at `start` ends; None when it does not end in this text."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        mark = token.group()
        if mark == '"':
            return None
        if mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
            if depth <= 0:
                return token.end()
    return None


def _is_complete(text: str, start: int) -> bool:
    return text[start : start + 1] in ("{", "[") and _closing(text, start) is not None


def doubled_keys(value: Any) -> list[str]:
    """The keys that came twice in an object or in one within it (`name` for `name` and `name#2`); looks no deeper than into objects."""
    found: list[str] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, _Doubled):
            found += [key.rpartition("#")[0] for key in one if "#" in key and key.rpartition("#")[0] in one]
        if isinstance(one, dict):
            waiting += [inner for inner in one.values() if isinstance(inner, dict)]
    return list(dict.fromkeys(found))


def _outer(head: str, at: int) -> bool:
    """Whether position `at` is directly inside the outermost object."""
    depth = 0
    for token in _TOKEN.finditer(head):
        if token.start() >= at:
            return depth == 1
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
    return False


def codec_of_json(path: Path) -> str:
    """The codec of a file of JSON, which is UTF-8; a file that is not, and is Korean (cp949) from its first byte to its last, is that."""
    return _codec_of(path, path.stat().st_size, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _codec_of(path: Path, _size: int, _changed_ns: int) -> str:
    with path.open("rb") as file:
        if file.read(3) == codecs.BOM_UTF8:
            return "utf-8-sig"
    return "utf-8-sig" if _reads(path, "utf-8") or not _reads(path, "cp949") else "cp949"


def _reads(path: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    with path.open("rb") as file:
        try:
            while piece := file.read(CHUNK):
                decoder.decode(piece)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return False
    return True


def tail_members(path: Path) -> dict[str, Any]:
    """The collection's members that come after its `features`, read from the end of the file only."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        text = file.read(_TAIL).decode(codec_of_json(path).removesuffix("-sig"), errors="replace").rstrip("\x1e \r\n\t")
    found: dict[str, Any] = {}
    for match in list(re.finditer(r"\]\s*,", text))[-200:][::-1]:
        try:
            members = json.loads("{" + text[match.end() :], object_pairs_hook=_object)
        except (ValueError, RecursionError):
            continue
        if isinstance(members, dict) and "geometry" not in members:
            found = members
    return found


def head_members(path: Path) -> dict[str, Any]:
    """The collection's members that come before its `features`, from the first 64 KiB."""
    with path.open("rb") as file:
        text = file.read(_TAIL).decode(codec_of_json(path), errors="replace").lstrip("\x1e \r\n\t")
    start = _FEATURES.search(text)
    if start is None or not text.startswith("{"):
        return {}
    try:
        members = json.loads(text[: start.start()].rstrip().rstrip(",") + "}", object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}
