"""GPMF, the telemetry of GoPro cameras: positions, their clock, and which other sensors there are.

Source: github.com/gopro/gpmf-parser. A payload of about a second is keys with a type, a size and a count, big-endian, padded to four
bytes; three levels deep (device, stream, values), which is how far is looked. Samples of a stream are spread evenly over its payload.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from ingest.readers.video.positions import Positions

_HEAD = struct.Struct(">4scBH")
_TYPES = {"b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4", "j": ">i8", "J": ">u8", "f": ">f4", "d": ">f8"}
_MOST_COLUMNS = 64
_YEAR_2000_S = 946_684_800.0
_POSITIONS = ("GPS5", "GPS9", "GLPI", "GPRI")
"""Streams of positions, the best first: of a payload that has several the first counts."""
_ABOUT = frozenset(
    (
        *("DVID", "DVNM", "STMP", "TSMP", "STNM", "SIUN", "UNIT", "SCAL", "TYPE", "TMPC", "EMPT", "TICK", "TOCK", "RMRK", "TIMO", "VPTS"),
        *("GPSF", "GPSU", "GPSP", "GPSA", "MTRX", "ORIN", "ORIO"),
    )
)
"""Keys that describe values and are none."""


@dataclass(slots=True)
class Telemetry:
    """What the payloads of a track state."""

    positions: Positions = field(default_factory=Positions)
    device: str = ""
    sensors: Counter[str] = field(default_factory=Counter)
    damaged: int = 0

    def take(self, payload: bytes, begin_s: float, lasts_s: float) -> None:
        """Take a payload in that begins at a time of the film and lasts so long."""
        found: dict[str, _Stream] = {}
        try:
            for key, kind, _, _, body in _entries(payload):
                if key == "DEVC" and kind == "\0":
                    self._device(body, found)
            for key in _POSITIONS:
                if key in found and found[key].put(self.positions, begin_s, lasts_s, found.get("SYST")):
                    break
        except (struct.error, ValueError):
            self.damaged += 1

    def _device(self, body: bytes, found: dict[str, _Stream]) -> None:
        for key, kind, _, _, inner in _entries(body):
            if key == "DVNM":
                self.device = self.device or _text(inner)
            elif key == "STRM" and kind == "\0":
                stream = _Stream.of(inner)
                if stream.key in (*_POSITIONS, "SYST"):
                    found.setdefault(stream.key, stream)
                elif stream.key:
                    self.sensors[stream.key] += stream.count


@dataclass(slots=True)
class _Stream:
    """A stream: its key, its values as they stand, and what describes them."""

    key: str = ""
    kind: str = ""
    size: int = 0
    count: int = 0
    body: bytes = b""
    about: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    @staticmethod
    def of(body: bytes) -> _Stream:
        found = _Stream()
        for key, kind, size, count, inner in _entries(body):
            if key in _ABOUT:
                found.about.setdefault(key, (kind, inner))
            else:
                found.key, found.kind, found.size, found.body = key, kind, size, inner
                found.count += count
        return found

    def rows(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Scaled values, one row a sample. Raises: ValueError: their type is not understood."""
        letters = _text(self.about["TYPE"][1]) if self.kind == "?" and "TYPE" in self.about else self.kind
        if not letters or any(letter not in _TYPES for letter in letters):
            raise ValueError("type")
        if len(letters) == 1:
            letters *= self.size // np.dtype(_TYPES[letters]).itemsize
        if not letters or len(letters) > _MOST_COLUMNS:
            raise ValueError("columns")
        row = np.dtype([(f"f{n}", _TYPES[letter]) for n, letter in enumerate(letters)])
        values = np.frombuffer(self.body, row, len(self.body) // row.itemsize)
        table = np.stack([values[name].astype(np.float64) for name in row.names or ()], axis=1)
        return np.asarray(table / self._scale(table.shape[1]))

    def _scale(self, columns: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        kind, body = self.about.get("SCAL", ("", b""))
        found = np.frombuffer(body, _TYPES[kind]).astype(np.float64) if kind in _TYPES else np.ones(1)
        if (found == 0).any() or len(found) not in (1, columns):
            raise ValueError("scale")
        return found if len(found) == columns else np.repeat(found, columns)

    def put(self, positions: Positions, begin_s: float, lasts_s: float, system: _Stream | None) -> bool:
        """Put the positions of the stream where they belong; whether there was one."""
        rows = self.rows()
        times = begin_s + np.arange(len(rows)) / max(1, len(rows)) * lasts_s
        before = len(positions)
        if self.key == "GPS5":
            self._gps5(positions, rows, times)
        elif self.key == "GPS9" and rows.shape[1] >= 9:
            good = rows[:, 8] >= 2
            positions.add_all(times[good], rows[good][:, [1, 0, 2]])
            positions.read_all(times[good], _YEAR_2000_S + rows[good, 5] * 86_400 + rows[good, 6])
        elif self.key in ("GLPI", "GPRI") and rows.shape[1] >= 4:
            positions.add_all(times, rows[:, [2, 1, 3]])
            positions.read_all(times, rows[:, 0] + _system_s(system, rows[:, 0]))
        kind, datum = self.about.get("GPSA", ("", b""))
        positions.datum = "mean sea level" if kind and _text(datum) == "MSLV" else positions.datum
        return len(positions) > before

    def _gps5(
        self,
        positions: Positions,
        rows: np.ndarray[tuple[int, int], np.dtype[np.float64]],
        times: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> None:
        kind, body = self.about.get("GPSF", ("", b""))
        if (kind and int.from_bytes(body) < 2) or rows.shape[1] < 3 or not len(rows):
            return  # no fix
        positions.add_all(times, rows[:, [1, 0, 2]])
        stated = _utc_s(_text(self.about["GPSU"][1])) if "GPSU" in self.about else None
        if stated is not None:
            positions.read_all(times[:1], np.array([stated]))


def _system_s(system: _Stream | None, own: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Seconds from the clock of a Karma to UTC: its stream SYST pairs both; GPRI states UTC itself."""
    if system is not None and len(own):
        rows = system.rows()
        if len(rows) and rows.shape[1] >= 2 and own[0] < _YEAR_2000_S:
            return float(rows[0, 1] - rows[0, 0])
    return 0.0


def _entries(data: bytes) -> Iterator[tuple[str, str, int, int, bytes]]:
    """Key, type, size, count and values of each entry. Raises: ValueError: one claims more than is there."""
    at = 0
    while at + _HEAD.size <= len(data):
        key, kind, size, count = _HEAD.unpack_from(data, at)
        length = size * count
        begin = at + _HEAD.size
        if begin + length > len(data):
            raise ValueError("cut")
        if key != b"\0\0\0\0":
            yield key.decode("latin-1"), kind.decode("latin-1"), size, count, data[begin : begin + length]
        at = begin + -(-length // 4) * 4


def _text(raw: bytes) -> str:
    return "".join(letter for letter in raw.split(b"\0")[0].decode("latin-1") if letter.isprintable()).strip()[:100]


def _utc_s(text: str) -> float | None:
    """Seconds since 1970 of yymmddhhmmss.sss; None when it is none."""
    try:
        return datetime.strptime(text, "%y%m%d%H%M%S.%f").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
