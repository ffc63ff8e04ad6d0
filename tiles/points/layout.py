"""The LAS form of points that come from elsewhere (PCD, PLY, arrays): which point format, which scale, which extra bytes.

LAS keeps a coordinate as integer * scale + offset. The scale chosen here gives every coordinate back: exactly for decimals and for the
grid of float32, else within half a micrometre (half a nanodegree). All other columns keep their type and their bits.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tiles.arrays import Float64s
from tiles.errors import InvalidContent
from tiles.points.header import RECORD_LENGTHS, Header, Vlr
from tiles.points.laz import Records

Rows: TypeAlias = NDArray[np.void]
"""Structured array: fields x, y, z float64, then every column of the source."""

_DECIMAL = tuple(float(f"1e-{k}") for k in range(10))
_STEPS = tuple(sorted((*_DECIMAL, *(2.0**-k for k in range(1, 20))), reverse=True))
"""Scales tried, from coarse to fine: decimal ones for text, binary ones for the grid of float32."""
_FINEST_M, _FINEST_DEGREES = 1e-6, 1e-9
_INT32 = 2**31 - 2**16
_STANDARD = {
    "intensity": ("intensity", "<u2"), "classification": ("classification", "u1"), "userdata": ("user_data", "u1"),
    "pointsourceid": ("point_source_id", "<u2"), "gpstime": ("gps_time", "<f8"),
    "red": ("red", "<u2"), "green": ("green", "<u2"), "blue": ("blue", "<u2"),
}  # fmt: skip
"""Names (lower case, no separators) that LAS has a place of its own for, and the type there."""
_FORMAT_6 = [
    ("X", "<i4"), ("Y", "<i4"), ("Z", "<i4"), ("intensity", "<u2"), ("returns", "u1"), ("flags", "u1"), ("classification", "u1"),
    ("user_data", "u1"), ("scan_angle", "<i2"), ("point_source_id", "<u2"), ("gps_time", "<f8"),
]  # fmt: skip
_COLOURS = [("red", "<u2"), ("green", "<u2"), ("blue", "<u2")]
_EXTRA_TYPES = {"u1": 1, "i1": 2, "u2": 3, "i2": 4, "u4": 5, "i4": 6, "u8": 7, "i8": 8, "f4": 9, "f8": 10}
_LAS_NAMES = frozenset(name for name, _ in _FORMAT_6) | {
    "x", "y", "z", "return_number", "number_of_returns", "synthetic", "key_point", "withheld", "overlap", "scanner_channel",
    "scan_direction_flag", "edge_of_flight_line",
}  # fmt: skip
MOST_COLUMNS = 0xFFFF // 192 - 1
"""Columns of a point: each beyond those of LAS is described by 192 bytes of one record."""
MOST_BYTES = 60_000
"""Bytes of the columns of a point beside those that LAS itself has."""
_EXTRA_RECORD = struct.Struct("<2xBB32s124x32s")  # no data, least, greatest, scale, offset: not stated


@dataclass(slots=True)
class Axis:
    """What is known about one coordinate while points come in: its range, and which scales give all of it back."""

    float32: bool
    low: float = np.inf
    high: float = -np.inf
    steps: list[float] = field(default_factory=lambda: list(_STEPS))
    rounded: list[float] = field(default_factory=lambda: list(_STEPS))

    def see(self, values: Float64s) -> None:
        """Take some values in (all finite, at least one)."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        near = 4 * np.spacing(np.abs(values))
        steps, rounded = [], []
        for step in sorted({*self.steps, *(self.rounded if self.float32 else ())}, reverse=True):
            back = np.rint(values / step) * step
            if step in self.steps and np.all(np.abs(back - values) <= near):
                steps.append(step)
            # Decimal text that was read as float32: the decimal number is nearer to the text than the float32 is.
            if step in self.rounded and np.array_equal(back.astype(np.float32), values.astype(np.float32)):
                rounded.append(step)
        self.steps, self.rounded = steps, rounded if self.float32 else []

    def scale(self, *, degrees: bool) -> tuple[float, float]:
        """(scale, offset): the coarsest step that is exact, else the coarsest that is exact as float32, else the finest that fits."""
        offset = float(np.floor((self.low + self.high) / 2))
        reach = max(self.high - offset, offset - self.low, 0.0)
        finest = _FINEST_DEGREES if degrees else _FINEST_M
        fits = [step for step in _STEPS if reach / step <= _INT32]
        for step in (*self.steps, *self.rounded):
            if step in fits:
                return step, offset
        decimal = [step for step in _DECIMAL if step in fits and step >= finest]
        if not decimal:
            raise InvalidContent(
                f"Coordinates from {self.low!r} to {self.high!r} reach too far for one tile set; remove the stray points.",
                code="points.too_far",
            )
        return decimal[-1], offset


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows become LAS records: `record` is the record's dtype, `places` maps source column -> record field."""

    point_format: int
    record: np.dtype[np.void]
    places: Mapping[str, str]
    scales: tuple[float, float, float]
    offsets: tuple[float, float, float]

    def records(self, rows: Rows) -> Records:
        """LAS records of rows, byte by byte."""
        out = np.zeros(len(rows), self.record)
        for axis, name, scale, offset in zip("xyz", "XYZ", self.scales, self.offsets, strict=True):
            out[name] = np.rint((rows[axis] - offset) / scale).astype(np.int32)
        out["returns"] = 1 | 1 << 4  # return 1 of 1: a source without returns has single ones; a value 0 is not legal in format 6
        for name, place in self.places.items():
            out[place] = rows[name]
        return out.view(np.uint8).reshape(len(rows), self.record.itemsize)

    def header(self, records: Sequence[Vlr], meta: Mapping[str, str]) -> Header:
        """The header of a source that never was a LAS file; `records` state the CRS, `meta` is written down with the names of columns."""
        extra = [(place, np.dtype(kind[0])) for place, kind in self._fields() if place not in self._own_names()]
        vlrs = [*records]
        if extra:
            body = b"".join(_extra_record(place, kind, name) for (place, kind), name in zip(extra, self._names(extra), strict=True))
            vlrs.append(Vlr("LASF_Spec", 4, b"extra bytes", body))
        names = {"columns": dict(self.places), "source": dict(meta)}
        vlrs.append(Vlr("mapex", 1, b"names in the source", json.dumps(names, sort_keys=True, ensure_ascii=False).encode()))
        return Header.blank(
            point_format=self.point_format,
            record_length=self.record.itemsize,
            scales=self.scales,
            offsets=self.offsets,
            vlrs=tuple(vlrs),
        )

    def _fields(self) -> list[tuple[str, tuple[np.dtype[np.void], int]]]:
        return [(name, (self.record.fields[name][0], 0)) for name in self.record.names or ()] if self.record.fields else []

    def _own_names(self) -> frozenset[str]:
        return _LAS_NAMES | (frozenset(name for name, _ in _COLOURS) if self.point_format == 7 else frozenset())

    def _names(self, extra: Sequence[tuple[str, np.dtype[np.void]]]) -> list[str]:
        source = {place: name for name, place in self.places.items()}
        return [source[place] for place, _ in extra]


def _extra_record(place: str, kind: np.dtype[np.void], source: str) -> bytes:
    return _EXTRA_RECORD.pack(_EXTRA_TYPES[kind.str[1:]], 0, place.encode(), source.encode()[:32])


def layout(columns: np.dtype[np.void], axes: Sequence[Axis], *, degrees: bool) -> Layout:
    """The layout for source columns (structured dtype with x, y, z first).

    A column goes to the place that LAS has for its name when every value of its type fits there; else to extra bytes under its own name.

    Raises: InvalidContent: `points.column`: a type that LAS has no extra bytes for; `points.too_far`.
    """
    names = [n for n in columns.names or () if n not in ("x", "y", "z")]
    kinds = {n: columns.fields[n][0] for n in names} if columns.fields else {}
    standard = {n: place for n in names if (place := _standard_place(n, kinds[n])) is not None}
    colours = [place for place in standard.values() if place in ("red", "green", "blue")]
    if sorted(colours) != ["blue", "green", "red"]:
        standard = {n: p for n, p in standard.items() if p not in ("red", "green", "blue")}
    point_format = 7 if len(colours) == 3 and "red" in standard.values() else 6
    fields = [*_FORMAT_6, *(_COLOURS if point_format == 7 else [])]
    places: dict[str, str] = {}
    used = {*_LAS_NAMES, *(name for name, _ in fields)}
    for name in names:
        if name in standard and standard[name] not in places.values():
            places[name] = standard[name]
            continue
        kind = kinds[name].newbyteorder("<")
        if kind.str[1:] not in _EXTRA_TYPES:
            raise InvalidContent(f"Column {name!r} has the type {kind}, which LAS cannot hold.", code="points.column", column=name)
        place = _free_name(name, used)
        used.add(place)
        places[name] = place
        fields.append((place, kind.str))
    chosen = [axes[0].scale(degrees=degrees), axes[1].scale(degrees=degrees), axes[2].scale(degrees=False)]
    record = np.dtype(fields)
    if record.itemsize > 0xFFFF or record.itemsize < RECORD_LENGTHS[point_format]:
        raise InvalidContent(f"A point of {record.itemsize} bytes does not fit into LAS.", code="points.column")
    scales, offsets = tuple(s for s, _ in chosen), tuple(o for _, o in chosen)
    return Layout(point_format, record, places, (scales[0], scales[1], scales[2]), (offsets[0], offsets[1], offsets[2]))


def _standard_place(name: str, kind: np.dtype[np.void]) -> str | None:
    place = _STANDARD.get(name.lower().replace("_", "").replace(" ", ""))
    if place is None:
        return None
    wanted = np.dtype(place[1])
    return place[0] if np.can_cast(kind, wanted, "safe") and kind.kind == wanted.kind else None


def _free_name(name: str, used: set[str]) -> str:
    """`name` in at most 32 bytes, not taken, neither by LAS itself."""
    short = name.encode()[:32].decode(errors="ignore") or "column"
    number = 1
    while short in used:
        number += 1
        tail = f"_{number}"
        short = name.encode()[: 32 - len(tail)].decode(errors="ignore") + tail
    return short
