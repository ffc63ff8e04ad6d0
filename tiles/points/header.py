"""The head of a LAS or LAZ file: read with arithmetic that trusts nothing, and written as LAS 1.4.

laspy trusts a header (a count of 1e8 in 675 bytes costs it 2.9 GB, a VLR count of 2**32-1 a minute and more), so every size is
checked here against the length of the file before a library or an array is given it.

Source: ASPRS LAS 1.4-R15 (and 1.0 to 1.3 for what came before); LASzip 3 for bit 7 of the point format.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple

from tiles.errors import InvalidContent

RECORD_LENGTHS = (20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67)
"""Bytes of a point of each format without extra bytes."""
WAVEFORM_FORMATS = frozenset({4, 5, 9, 10})
_WITHOUT_WAVES = {4: 1, 5: 3, 9: 6, 10: 8}
"""The formats that have the same fields but for the reference to a waveform packet, which stands behind them."""
WAVE_BYTES = 29
"""Bytes of that reference."""
MAX_VLRS = 1000
"""Records of each kind that are read of what somebody sent."""
TILE_VLRS = 2 * MAX_VLRS + 16
"""As `MAX_VLRS`, of a tile: those of both kinds of its source, and the few that the tile adds."""
MAX_EVLR_BYTES = 64 * 1024 * 1024
HEADER_14 = 375
SOFTWARE = b"mapex"
WKT_FLAG = 1 << 4
_GLOBAL_ENCODING_MASK = {0: 0, 1: 0, 2: 0x01, 3: 0x0F, 4: 0x1F}
_WAVEFORM_BITS = 0x06
_FIXED = struct.Struct("<4sHH16sBB32s32sHHHIIBHI5I12d")  # 227 bytes: what LAS 1.0 to 1.4 have in common
_ADDED_14 = struct.Struct("<QQIQ15Q")
_VLR = struct.Struct("<H16sHH32s")
_EVLR = struct.Struct("<H16sHQ32s")


class Vlr(NamedTuple):
    """A variable length record as it stands in the file; names without their trailing NULs."""

    user: str
    record: int
    text: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a LAS file states. Coordinates are `integer * scale + offset` in the file's own CRS and units.

    `waves`: bytes of a stored point that refer to its waveform; they are cut out, and `point_format` and `record_length` are those of the
    rest. `count` is what the header claims; `room` is how many whole records the file has bytes for (None when compressed). `end` is the
    first byte behind the point data that the header knows of (EVLRs or the end of the file). `size` is the length of the file.
    """

    version: tuple[int, int]
    source_id: int
    encoding: int
    guid: bytes
    system: bytes
    software: bytes
    day: int
    year: int
    point_offset: int
    point_format: int
    compressed: bool
    record_length: int
    count: int
    by_return: tuple[int, ...]
    scales: tuple[float, float, float]
    offsets: tuple[float, float, float]
    mins: tuple[float, float, float]
    maxs: tuple[float, float, float]
    vlrs: tuple[Vlr, ...]
    evlrs: tuple[Vlr, ...]
    end: int
    size: int
    waves: int = 0

    @classmethod
    def blank(
        cls,
        *,
        point_format: int,
        record_length: int,
        scales: tuple[float, float, float],
        offsets: tuple[float, float, float],
        vlrs: tuple[Vlr, ...],
    ) -> Header:
        """The header of a source that never was a LAS file: LAS 1.4, no points, no date, no ids."""
        nowhere = (0.0, 0.0, 0.0)
        return cls(
            version=(1, 4), source_id=0, encoding=0, guid=bytes(16), system=b"", software=b"", day=0, year=0, point_offset=0,
            point_format=point_format, compressed=False, record_length=record_length, count=0, by_return=(0,) * 15, scales=scales,
            offsets=offsets, mins=nowhere, maxs=nowhere, vlrs=vlrs, evlrs=(), end=0, size=0,
        )  # fmt: skip

    @property
    def extra_bytes(self) -> int:
        """Bytes of a record beyond its point format."""
        return self.record_length - RECORD_LENGTHS[self.point_format]

    @property
    def room(self) -> int | None:
        """Whole records that the file has bytes for; None when the points are compressed."""
        return None if self.compressed else max(0, self.end - self.point_offset) // self.stored_length

    @property
    def stored_length(self) -> int:
        """Bytes of a point as the file has it, unpacked."""
        return self.record_length + self.waves

    def vlr(self, user: str, record: int) -> Vlr | None:
        """The first record of this name, of the VLRs, then of the EVLRs."""
        return next((v for v in (*self.vlrs, *self.evlrs) if v.user == user and v.record == record), None)


def read_header(stream: BinaryIO, most: int = MAX_VLRS) -> Header:
    """The checked header of the LAS or LAZ file in `stream` (seekable; its position is lost), of at most `most` records of each kind.

    Raises: InvalidContent: `las.signature`, `las.cut`, `las.header`, `las.vlr`, `las.evlr`; the message names the byte or the field.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(HEADER_14)
    if head[:4] != b"LASF":
        raise InvalidContent(f"No LAS file: it starts with {head[:4]!r}, not with 'LASF'.", code="las.signature")
    if len(head) < _FIXED.size:
        raise InvalidContent(f"The file ends after {size} bytes, inside its header of {_FIXED.size}; send the whole file.", code="las.cut")
    (_, source_id, encoding, guid, major, minor, system, software, day, year, header_size, point_offset, vlr_count, raw_format, length,
     count, r1, r2, r3, r4, r5, sx, sy, sz, ox, oy, oz, x1, x0, y1, y0, z1, z0) = _FIXED.unpack_from(head)  # fmt: skip
    by_return: tuple[int, ...] = (r1, r2, r3, r4, r5)
    if major != 1 or minor > 4:
        raise InvalidContent(f"LAS version {major}.{minor} is not known; 1.0 to 1.4 are.", code="las.header", field="version")
    evlr_at = evlr_count = 0
    if minor == 4:
        if header_size < HEADER_14 or len(head) < HEADER_14:
            raise InvalidContent(f"A LAS 1.4 header has {HEADER_14} bytes, this one {header_size}.", code="las.header", field="header_size")
        _, evlr_at, evlr_count, long_count, *long_returns = _ADDED_14.unpack_from(head, _FIXED.size)
        if long_count or not count:
            count, by_return = long_count, tuple(long_returns)
    point_format = raw_format & 0x3F  # LASzip sets bit 7 (and once used bit 6) to mark that the points are compressed
    header = Header(
        version=(major, minor), source_id=source_id, encoding=encoding, guid=guid, system=system, software=software, day=day, year=year,
        point_offset=point_offset, point_format=point_format, compressed=bool(raw_format & 0xC0), record_length=length, count=count,
        by_return=by_return, scales=(sx, sy, sz), offsets=(ox, oy, oz), mins=(x0, y0, z0), maxs=(x1, y1, z1), vlrs=(), evlrs=(),
        end=size, size=size,
    )  # fmt: skip
    _check_numbers(header, header_size)
    vlrs = _read_vlrs(stream, header_size, (vlr_count, most), point_offset)
    evlrs, end = _read_evlrs(stream, evlr_at, (evlr_count, most), size, point_offset) if evlr_count else ((), size)
    if header.point_format in WAVEFORM_FORMATS and not header.compressed:
        wave_at = int.from_bytes(head[_FIXED.size : _FIXED.size + 8], "little") if header_size >= _FIXED.size + 8 else 0
        end = min(end, wave_at) if point_offset <= wave_at <= size else end
        form, rest = _WITHOUT_WAVES[header.point_format], header.record_length - WAVE_BYTES
        header = replace(header, point_format=form, record_length=rest, waves=WAVE_BYTES)
    return replace(header, vlrs=vlrs, evlrs=evlrs, end=end)


def _check_numbers(header: Header, header_size: int) -> None:
    if header.point_format >= len(RECORD_LENGTHS):
        raise InvalidContent(f"Point format {header.point_format} does not exist; 0 to 10 do.", code="las.header", field="point_format")
    if header.record_length < RECORD_LENGTHS[header.point_format]:
        raise InvalidContent(
            f"Points of format {header.point_format} do not fit into the {header.record_length} bytes that the header gives them.",
            code="las.header", field="record_length",
        )  # fmt: skip
    if not _FIXED.size <= header_size <= header.point_offset <= header.size:
        raise InvalidContent(
            f"The points shall start at byte {header.point_offset}, but the header has {header_size} bytes and the file {header.size}.",
            code="las.cut" if header.point_offset > header.size else "las.header", field="point_offset",
        )  # fmt: skip
    finite = all(abs(v) < float("inf") for v in (*header.scales, *header.offsets))  # false for NaN too
    if not finite or 0.0 in header.scales:
        raise InvalidContent(
            f"Scale {header.scales} or offset {header.offsets} is zero or not a number; no coordinate can be known.",
            code="las.header", field="scale",
        )  # fmt: skip


def _read_vlrs(stream: BinaryIO, at: int, claimed: tuple[int, int], end: int) -> tuple[Vlr, ...]:
    count, most = claimed
    if count > most:
        raise InvalidContent(f"The header claims {count} records (VLR); at most {most} are read.", code="las.vlr", count=count)
    found = []
    for i in range(count):
        stream.seek(at)
        head = stream.read(_VLR.size)
        if at + _VLR.size > end or len(head) < _VLR.size:
            raise InvalidContent(f"Record (VLR) {i + 1} of {count} is outside of the header, at byte {at}.", code="las.vlr", count=count)
        _, user, record, length, text = _VLR.unpack(head)
        at += _VLR.size + length
        if at > end:
            raise InvalidContent(
                f"Record (VLR) {i + 1} of {count} reaches to byte {at}, into the points at {end}.", code="las.vlr", count=count
            )
        found.append(Vlr(_name(user), record, text.rstrip(b"\0"), stream.read(length)))
    return tuple(found)


def _read_evlrs(stream: BinaryIO, at: int, claimed: tuple[int, int], size: int, lowest: int) -> tuple[tuple[Vlr, ...], int]:
    count, most = claimed
    if count > most:
        raise InvalidContent(f"The header claims {count} records (EVLR); at most {most} are read.", code="las.evlr", count=count)
    if not lowest <= at <= size:
        raise InvalidContent(f"The extended records shall start at byte {at} of a file of {size}.", code="las.evlr", count=count)
    found, begin, kept = [], at, 0
    for i in range(count):
        stream.seek(at)
        head = stream.read(_EVLR.size)
        if len(head) < _EVLR.size:
            raise InvalidContent(f"Record (EVLR) {i + 1} of {count} is outside of the file, at byte {at}.", code="las.evlr", count=count)
        _, user, record, length, text = _EVLR.unpack(head)
        at += _EVLR.size + length
        if at > size:
            raise InvalidContent(f"Record (EVLR) {i + 1} of {count} ends at byte {at} of a file of {size}.", code="las.evlr", count=count)
        if (_name(user), record) == ("LASF_Spec", 65535):
            continue  # waveform packets, which are left out, and may be larger than memory
        kept += length
        if kept > MAX_EVLR_BYTES:
            raise InvalidContent(f"Extended records of more than {MAX_EVLR_BYTES} bytes are not read.", code="las.evlr", count=count)
        found.append(Vlr(_name(user), record, text.rstrip(b"\0"), stream.read(length)))
    return tuple(found), begin


def _name(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("latin-1")


NOT_CARRIED = frozenset({("laszip encoded", 22204), ("copc", 1), ("copc", 1000), ("copc", 10000), ("LASF_Spec", 65535)})
"""Records about the arrangement of the source file, which are untrue in a tile: packing, octree, waveform packets."""
_WAVE_RECORDS = range(100, 355)
"""Records that describe waveform packets."""


def carried(vlrs: Sequence[Vlr]) -> tuple[Vlr, ...]:
    """The records that go over into a tile unchanged."""
    return tuple(v for v in vlrs if (v.user, v.record) not in NOT_CARRIED and not (v.user == "LASF_Spec" and v.record in _WAVE_RECORDS))


def tile_template(source: Header, vlrs: Sequence[Vlr], *, wkt: bool, laszip: bytes) -> Header:
    """The header of a tile of `source`: LAS 1.4 with the same point format, scale, offset, GUID and date, nothing else of the time.

    `vlrs` are the records to carry, `wkt` whether the CRS is to be read from the WKT record, `laszip` the packing record.
    A record that came from behind the points (EVLR) moves to the front when it is short enough for a VLR.
    """
    encoding = source.encoding & _GLOBAL_ENCODING_MASK[source.version[1]] & ~_WAVEFORM_BITS & ~WKT_FLAG
    front = tuple(v for v in vlrs if len(v.data) <= 0xFFFF)
    behind = tuple(v for v in vlrs if len(v.data) > 0xFFFF)
    front += (Vlr("laszip encoded", 22204, b"lazrs", laszip),)
    point_offset = HEADER_14 + sum(_VLR.size + len(v.data) for v in front)
    return replace(
        source, version=(1, 4), encoding=encoding | (WKT_FLAG if wkt else 0), software=SOFTWARE, compressed=True, point_offset=point_offset,
        vlrs=front, evlrs=behind, count=0, by_return=(0,) * 15, mins=(0.0,) * 3, maxs=(0.0,) * 3, end=0, size=0,
    )  # fmt: skip


def header_bytes(header: Header, evlr_at: int = 0) -> bytes:
    """The LAS 1.4 header and its VLRs, up to the first byte of the point data; the length does not depend on counts and bounds."""
    legacy = header.count if header.point_format < 6 and header.count < 1 << 32 else 0
    legacy_returns = header.by_return[:5] if legacy else (0,) * 5
    bounds = [v for pair in zip(header.maxs, header.mins, strict=True) for v in pair]
    fixed = _FIXED.pack(
        b"LASF", header.source_id, header.encoding, header.guid, 1, 4, header.system, header.software, header.day, header.year, HEADER_14,
        header.point_offset, len(header.vlrs), header.point_format | 0x80, header.record_length, legacy, *legacy_returns, *header.scales,
        *header.offsets, *bounds,
    )  # fmt: skip
    added = _ADDED_14.pack(0, evlr_at, len(header.evlrs) if evlr_at else 0, header.count, *(*header.by_return, *(0,) * 15)[:15])
    records = [_VLR.pack(0, v.user.encode("latin-1"), v.record, len(v.data), v.text) + v.data for v in header.vlrs]
    return b"".join((fixed, added, *records))


def evlr_bytes(header: Header) -> bytes:
    """The extended records, for the end of the file."""
    return b"".join(_EVLR.pack(0, v.user.encode("latin-1"), v.record, len(v.data), v.text) + v.data for v in header.evlrs)
