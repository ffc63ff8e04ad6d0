"""PCD, the point cloud format of PCL: ascii, binary and binary_compressed, all fields whatever they are called.

A PCD states neither where nor when. Source: "The PCD (Point Cloud Data) file format", PCL documentation.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ingest.checks.encodings import head_text
from ingest.findings import error
from ingest.placing.resolve import findings as placement_findings
from ingest.reader import Placed, Source, Survey
from ingest.readers.cloud import lzf
from ingest.readers.cloud.cloud import LAYER, ROWS, Cloud, Columns, box, file_of, free_name, local_axes, settle, text_end
from ingest.readers.cloud.text import lines_of, table_of
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.errors import InvalidContent
from tiles.points.splitter import COORDINATES

_HEAD_BYTES = 64 * 1024
_MOST_FIELDS, _MOST_NAME, _MOST_COUNT = 256, 100, 4096
_PIECE = 32 << 20
_PADDING = "_"
"""What PCL calls bytes between two fields; their type and size mean nothing."""
_KINDS = {
    "F4": "<f4", "F8": "<f8", "U1": "u1", "U2": "<u2", "U4": "<u4", "U8": "<u8", "I1": "i1", "I2": "<i2", "I4": "<i4", "I8": "<i8",
}  # fmt: skip
_DEFAULT_VIEW = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
_AXES = frozenset("xyz")


@dataclass(frozen=True, slots=True)
class PcdHead:
    """What the head of a PCD states. `record` is the dtype of a point, x, y, z in lower case, other names as they are; `data` the form."""

    record: np.dtype[np.void]
    points: int
    width: int
    height: int
    data: str
    offset: int
    viewpoint: tuple[float, ...]

    @property
    def float32(self) -> bool:
        """Whether the coordinates are 32-bit floats."""
        return self.record["x"] == np.dtype("<f4")

    @property
    def kinds(self) -> dict[str, np.dtype[Any]]:
        """Name and type of each column; padding is none."""
        return {name: self.record[name] for name in self.record.names or () if self.record[name].base.kind != "V"}


class Pcd:
    """Reader of PCD files."""

    format = "pcd"
    layer = LAYER
    kind = LayerKind.POINTCLOUD
    content = Content.POINTS

    def survey(self, source: Source, given: Placement) -> Survey:
        """The head, and the first points where they are not compressed.

        Raises: InvalidContent: `pcd.head`: the head cannot be understood.
        """
        source = file_of(source, ".pcd")
        with source.path.open("rb") as stream:
            head = read_head(stream)
            sample = _sample(stream, head, source.size)
        placed, found = settle(
            None, given, sample, "" if given.crs or given.origin else "A PCD file has no field for a coordinate system.", source.name
        )
        found += placement_findings(placed, file=source.name, layer=LAYER) if placed.is_known or not found else []
        found += local_axes(placed, source.name)
        if head.width * head.height != head.points:
            text = f"The head states {head.points} points and {head.width} x {head.height}, which is {head.width * head.height}."
            found.append(error("points.missing", text, "Export it again.", file=source.name, layer=LAYER))
        low, high = (np.array([f(v) if len(v) else np.nan for v in sample]) for f in (np.min, np.max))
        details = {"data": head.data, "fields": " ".join(head.kinds), "viewpoint": " ".join(map(repr, head.viewpoint))}
        whole = head.data != "binary_compressed" and head.points <= len(sample[0])
        return Survey(self.format, (LAYER,), head.points, placed, box(placed.crs, low, high) if whole else None, tuple(found), details)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All points with all their fields."""
        source = file_of(source, ".pcd")
        with source.path.open("rb") as stream:
            head = read_head(stream)
            cloud = Cloud(source, placed, _meta(head, placed), head.float32)
            try:
                for columns in _columns(stream, head, source):
                    yield from cloud.batches(columns)
            except InvalidContent as why:
                yield error(why.code, why.message, "Export or upload it again.", file=source.name, layer=LAYER)
            if head.data == "ascii":
                yield from text_end(stream, source.name)
            yield from cloud.findings(head.points)


def _meta(head: PcdHead, placed: Placed) -> dict[str, str]:
    meta = {"format": "pcd", COORDINATES: "float32" if head.float32 else "float64"}
    if list(head.viewpoint) != _DEFAULT_VIEW:
        meta["viewpoint"] = " ".join(map(repr, head.viewpoint))
    if placed.origin is not None:
        meta["origin"] = " ".join(map(repr, placed.origin))
    return meta


def read_head(stream: BinaryIO) -> PcdHead:
    """The head of the PCD in `stream`.

    Raises: InvalidContent: `pcd.head`: a line is missing, has another length than FIELDS, or a number that cannot be.
    """
    stream.seek(0)
    raw = stream.read(_HEAD_BYTES)
    end = re.search(rb"^[ \t]*DATA[ \t,]+(\w+)[ \t]*\r?(\n|$)", raw, re.MULTILINE | re.IGNORECASE)
    if end is None:
        raise InvalidContent(f"The first {len(raw)} bytes have no line DATA: this is no PCD, or it was cut.", code="pcd.head")
    words: dict[str, list[str]] = {}
    for line in re.split(r"[\r\n]+", head_text(raw[: end.start()])):
        parts = re.split(r"[\s,]+", line.split("#", 1)[0].strip())
        if parts[0]:
            words.setdefault(parts[0].upper(), parts[1:])
    names = words.get("FIELDS") or words.get("COLUMNS") or []
    data = end.group(1).decode().lower()
    if data not in ("ascii", "binary", "binary_compressed"):
        raise InvalidContent(f"DATA {data} is not known; ascii, binary and binary_compressed are.", code="pcd.head")
    record = _record(names, words)
    width, height = _number(words, "WIDTH", None), _number(words, "HEIGHT", 1)
    points = _number(words, "POINTS", width * height)
    view = tuple(_floats(words.get("VIEWPOINT", [])) or _DEFAULT_VIEW)
    return PcdHead(record, points, width, height, data, end.end(), view)


def _record(names: list[str], words: dict[str, list[str]]) -> np.dtype[np.void]:
    if not 0 < len(names) <= _MOST_FIELDS:
        raise InvalidContent(f"The head names {len(names)} fields (1 to {_MOST_FIELDS} are read).", code="pcd.head")
    sizes, types = words.get("SIZE", []), words.get("TYPE", [])
    counts = words.get("COUNT") or ["1"] * len(names)
    if not len(names) == len(sizes) == len(types) == len(counts):
        raise InvalidContent(
            f"FIELDS, SIZE, TYPE and COUNT have {len(names)}, {len(sizes)}, {len(types)} and {len(counts)} entries.", code="pcd.head"
        )
    fields: list[tuple[Any, ...]] = []
    used: set[str] = set()
    for name, size, kind, count in zip(names, sizes, types, counts, strict=True):
        known = _type_of(name, kind.upper(), size)
        if known is None or len(name.encode()) > _MOST_NAME or not count.isdecimal() or not 1 <= int(count) <= _MOST_COUNT:
            raise InvalidContent(f"Field {name[:40]!r} has type {kind} of size {size}, {count} times, which is not known.", code="pcd.head")
        own = name.lower() if name.lower() in _AXES and name.lower() not in used else free_name(name, used)
        used.add(own)
        fields.append((own, known) if count == "1" else (own, known, (int(count),)))
    record: np.dtype[np.void] = np.dtype(fields)
    if not used >= _AXES or any(record[axis].kind != "f" for axis in "xyz"):
        raise InvalidContent(f"The fields {names} do not name x, y and z as numbers with a fraction.", code="pcd.head")
    return record


def _type_of(name: str, kind: str, size: str) -> str | None:
    """The type of one value of a field; padding is so many bytes, whatever it calls itself."""
    if name == _PADDING:
        return f"V{size}" if size.isdecimal() and 1 <= int(size) <= _MOST_COUNT else None
    return _KINDS.get(f"{kind}{size}")


def _number(words: dict[str, list[str]], name: str, default: int | None) -> int:
    value = words.get(name, [])
    if not value and default is not None:
        return default
    if not value or not value[0].isdigit() or int(value[0]) > 1 << 40:
        raise InvalidContent(f"{name} {' '.join(value)[:40]!r} is no number of points.", code="pcd.head")
    return int(value[0])


def _floats(texts: list[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return []


def _columns(stream: BinaryIO, head: PcdHead, source: Source) -> Iterator[Columns]:
    room = source.size - head.offset
    yield from {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}[head.data](stream, head, room)


def _binary(stream: BinaryIO, head: PcdHead, room: int) -> Iterator[Columns]:
    left = min(head.points, room // head.record.itemsize)
    stream.seek(head.offset)
    while left:
        n = min(left, ROWS, max(1, _PIECE // head.record.itemsize))
        yield _named(np.frombuffer(stream.read(n * head.record.itemsize), head.record), head)
        left -= n


def _compressed(stream: BinaryIO, head: PcdHead, room: int) -> Iterator[Columns]:
    stream.seek(head.offset)
    sizes = stream.read(8)
    packed, unpacked = struct.unpack("<II", sizes) if len(sizes) == 8 else (0, 0)
    names = list(head.record.names or ())
    wanted = head.points * head.record.itemsize
    if unpacked != wanted:  # PCL leaves padding out when it compresses
        names = list(head.kinds)
        wanted = head.points * sum(kind.itemsize for kind in head.kinds.values())
    if packed > room - 8 or unpacked != wanted or unpacked > lzf.MOST * max(1, packed):
        raise InvalidContent(
            f"{packed} compressed bytes shall become {unpacked}; the file has {max(0, room - 8)} and {head.points} points have {wanted}.",
            code="pcd.compressed",
        )
    body = lzf.unpack(stream.read(packed), unpacked)
    columns: dict[str, NDArray[Any]] = {}
    at = 0
    for name in names:  # one field after the other, all points of each
        kind = head.record[name]
        values = np.frombuffer(body, kind.base, head.points * int(np.prod(kind.shape, dtype=int)), at)
        columns[name] = values.reshape(head.points, *kind.shape)
        at += head.points * kind.itemsize
    yield {name: columns[name] for name in head.kinds}


def _ascii(stream: BinaryIO, head: PcdHead, room: int) -> Iterator[Columns]:
    del room
    for lines in lines_of(stream, head.offset, head.points):
        yield _named(table_of(lines, head.record), head)


def _named(rows: NDArray[np.void], head: PcdHead) -> Columns:
    return {name: rows[name] for name in head.kinds}


def _sample(stream: BinaryIO, head: PcdHead, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Finite coordinates of the first points; none where they are compressed or cannot be read (`read` reports why)."""
    none = np.empty(0)
    if head.data == "binary_compressed" or not head.points:
        return none, none, none
    room = size - head.offset
    try:
        columns = next((_binary if head.data == "binary" else _ascii)(stream, head, room), None)
    except InvalidContent:
        columns = None
    if columns is None:
        return none, none, none
    xyz = np.column_stack([np.asarray(columns[axis], np.float64) for axis in "xyz"])
    xyz = xyz[np.isfinite(xyz).all(axis=1)]
    return xyz[:, 0], xyz[:, 1], xyz[:, 2]
