"""NMEA 0183: each sentence with its time, and where the receiver was; lines of bounded length, binary between them passed over.

Source: NMEA 0183 4.x, sentences GGA, GLL, GNS, RMC, ZDA. A sentence without a time of its own has that of the last one with a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import xor
from pathlib import Path

_LONGEST = 1024
_SENTENCE = re.compile(rb"[$!]([A-Z]{2,5}|P[A-Z0-9]{1,7}),[\x20-\x7e]*?(?:\*([0-9A-Fa-f]{2}))?\s*$")
_DAY_S = 86_400
UNDATED = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence. `clock_s` is its time of the day, None without one; `day` the date that it states; `place` its fix.

    `place`: longitude, latitude, height above the ellipsoid (NaN where the sentence lacks it). `is_sound`: its checksum fits.
    """

    text: str
    kind: str
    clock_s: float | None = None
    day: date | None = None
    place: tuple[float, float, float] | None = None
    is_sound: bool = True


def sentences(path: Path) -> Iterator[Sentence | None]:
    """All lines of a file: sentences, and None for a line that is none."""
    for line in _lines(path):
        found = _SENTENCE.search(line)
        yield _sentence(found) if found is not None else None


def is_cut(path: Path) -> bool:
    """Whether the file ends inside of a sentence."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - _LONGEST))
        before, _, last = stream.read(_LONGEST).rpartition(b"\n")
    found = _SENTENCE.search(last)
    is_short = found is not None and found[2] is None and b"*" in before  # the others have checksums
    return bool(last.strip()) and (found is None or is_short or not _sentence(found).is_sound)


def _lines(path: Path) -> Iterator[bytes]:
    """Lines that are not empty, in pieces of bounded length."""
    with path.open("rb") as stream:
        while line := stream.readline(_LONGEST):
            if line.strip():
                yield line


def _sentence(found: re.Match[bytes]) -> Sentence:
    whole = found.group().strip()
    stated = found[2]
    body = whole[1 : whole.rindex(b"*")] if stated is not None else whole[1:]
    text, kind = whole.decode("ascii"), found[1].decode("ascii")[-3:]
    if b"*" in body or (stated is not None and int(stated, 16) != reduce(xor, body, 0)):
        return Sentence(text, kind, is_sound=False)
    parts = body.decode("ascii").split(",")
    reader = _READERS.get(kind)
    try:
        return reader(text, kind, parts) if reader is not None else Sentence(text, kind)
    except (ValueError, IndexError):
        return Sentence(text, kind)


def _gga(text: str, kind: str, parts: list[str]) -> Sentence:
    has_fix = parts[6] not in ("", "0")
    height = _number(parts[9]) + _number(parts[11])
    return Sentence(text, kind, _clock(parts[1]), None, _place(parts[2:6], height) if has_fix else None)


def _gns(text: str, kind: str, parts: list[str]) -> Sentence:
    has_fix = any(mode not in "N" for mode in parts[6])
    return Sentence(text, kind, _clock(parts[1]), None, _place(parts[2:6], _number(parts[9]) + _number(parts[10])) if has_fix else None)


def _rmc(text: str, kind: str, parts: list[str]) -> Sentence:
    day = datetime.strptime(parts[9], "%d%m%y").date() if parts[9] else None
    return Sentence(text, kind, _clock(parts[1]), _day(day), _place(parts[3:7], float("nan")) if parts[2] == "A" else None)


def _gll(text: str, kind: str, parts: list[str]) -> Sentence:
    return Sentence(text, kind, _clock(parts[5]), None, _place(parts[1:5], float("nan")) if parts[6] == "A" else None)


def _zda(text: str, kind: str, parts: list[str]) -> Sentence:
    return Sentence(text, kind, _clock(parts[1]), _day(date(int(parts[4]), int(parts[3]), int(parts[2]))))


_READERS = {"GGA": _gga, "GNS": _gns, "RMC": _rmc, "GLL": _gll, "ZDA": _zda}


def _clock(text: str) -> float | None:
    if not text:
        return None
    seconds = int(text[0:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:])
    return seconds if 0 <= seconds <= _DAY_S else None


def _day(day: date | None) -> date | None:
    """A day that a receiver can have seen, and that a message of ROS can state (32 bits of seconds)."""
    return day if day is not None and 1980 <= day.year < 2038 else None


def _place(parts: list[str], height: float) -> tuple[float, float, float] | None:
    lat, north, lon, east = parts
    if not lat or not lon:
        return None
    return _degrees(lon, 3) * (-1 if east == "W" else 1), _degrees(lat, 2) * (-1 if north == "S" else 1), height


def _degrees(text: str, digits: int) -> float:
    return int(text[:digits]) + float(text[digits:]) / 60


def _number(text: str) -> float:
    return float(text) if text else float("nan")


@dataclass(slots=True)
class Clock:
    """Dates for times of the day: the last date that was stated, and a day later when the time goes back by half a day."""

    day: date = UNDATED
    last_s: float | None = None
    is_dated: bool = False
    t_ns: int | None = field(default=None)

    def take(self, one: Sentence) -> int | None:
        """The time of a sentence, nanoseconds since 1970; None before the first."""
        if one.clock_s is not None:
            if self.last_s is not None and one.clock_s < self.last_s - _DAY_S / 2:
                self.day += timedelta(days=1)
            self.last_s = one.clock_s
        if one.day is not None:
            self.day, self.is_dated = one.day, True
        if one.clock_s is not None:
            midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
            self.t_ns = int(midnight.timestamp()) * 10**9 + round(one.clock_s * 1000) * 10**6
        return self.t_ns


def first_day(path: Path) -> date | None:
    """The day that the file begins on: the first that it states, or the day before where midnight passed before that."""
    clock = Clock()
    for one in sentences(path):
        if one is not None and one.is_sound:
            if one.day is not None:
                passed = clock.last_s is not None and one.clock_s is not None and one.clock_s < clock.last_s - _DAY_S / 2
                return one.day - (clock.day - UNDATED) - timedelta(days=int(passed))
            clock.take(one)
    return None
