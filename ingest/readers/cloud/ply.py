"""PLY: the vertices, with every property; ascii and binary of both byte orders.

A PLY states neither where nor when. Source: G. Turk, "The PLY Polygon File Format" (1994).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ingest.checks.encodings import head_text
from ingest.findings import error, warning
from ingest.placing.resolve import findings as placement_findings
from ingest.reader import Placed, Source, Survey
from ingest.readers.cloud.cloud import LAYER, ROWS, Cloud, Columns, box, file_of, local_axes, settle, text_end
from ingest.readers.cloud.text import lines_of, table_of
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.errors import InvalidContent
from tiles.points.splitter import COORDINATES

_HEAD_BYTES = 64 * 1024
_MOST_PROPERTIES = 256
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True, slots=True)
class PlyHead:
    """What the head of a PLY states: `record` is a vertex, `skip` what comes before the vertices (bytes, or lines in ascii)."""

    form: str
    record: np.dtype[np.void]
    points: int
    offset: int
    skip: int
    others: tuple[tuple[str, int], ...]
    comments: tuple[str, ...]

    @property
    def float32(self) -> bool:
        """Whether the coordinates are 32-bit floats."""
        return self.record["x"].itemsize == 4

    @property
    def kinds(self) -> dict[str, np.dtype[Any]]:
        """Name and type of each property."""
        return {name: self.record[name] for name in self.record.names or ()}


class Ply:
    """Reader of PLY files."""

    format = "ply"
    layer = LAYER
    kind = LayerKind.POINTCLOUD
    content = Content.POINTS

    def survey(self, source: Source, given: Placement) -> Survey:
        """The head, and the first vertices.

        Raises: InvalidContent: `ply.head`: the head cannot be understood.
        """
        source = file_of(source, ".ply")
        with source.path.open("rb") as stream:
            head = read_head(stream)
            sample = _sample(stream, head, source.size)
        placed, found = settle(
            None, given, sample, "" if given.crs or given.origin else "A PLY file has no field for a coordinate system.", source.name
        )
        found += placement_findings(placed, file=source.name, layer=LAYER) if placed.is_known or not found else []
        found += local_axes(placed, source.name)
        for name, count in head.others:
            if count:
                text = f"{count} entries of the element {name!r} are no points and are left out."
                found.append(
                    warning("ply.not_points", text, "Sell surfaces in another format.", file=source.name, layer=LAYER, count=count)
                )
        low, high = (np.array([f(v) if len(v) else np.nan for v in sample]) for f in (np.min, np.max))
        details = {"data": head.form, "fields": " ".join(head.kinds), "comments": " | ".join(head.comments)[:500]}
        where = box(placed.crs, low, high) if head.points <= len(sample[0]) else None
        return Survey(self.format, (LAYER,), head.points, placed, where, tuple(found), details)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All vertices with all their properties."""
        source = file_of(source, ".ply")
        with source.path.open("rb") as stream:
            head = read_head(stream)
            meta = {"format": "ply", COORDINATES: "float32" if head.float32 else "float64"}
            if placed.origin is not None:
                meta["origin"] = " ".join(map(repr, placed.origin))
            cloud = Cloud(source, placed, meta, head.float32)
            try:
                for columns in _columns(stream, head, source):
                    yield from cloud.batches(columns)
            except InvalidContent as why:
                yield error(why.code, why.message, "Export or upload it again.", file=source.name, layer=LAYER)
            if head.form == "ascii" and not any(count for _, count in head.others):
                yield from text_end(stream, source.name)
            yield from cloud.findings(head.points)


@dataclass(slots=True)
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str]]
    lists: bool = False


def read_head(stream: BinaryIO) -> PlyHead:
    """The head of the PLY in `stream`.

    Raises: InvalidContent: `ply.head`: not complete, no vertices with x, y and z, or a list where only numbers can be.
    """
    stream.seek(0)
    raw = stream.read(_HEAD_BYTES)
    end = re.search(rb"(?:^|[\r\n])end_header[ \t]*(\r\n|\n|\r)", raw)
    if not raw.startswith(b"ply") or end is None:
        raise InvalidContent(f"The first {len(raw)} bytes hold no whole PLY head ('ply' to 'end_header').", code="ply.head")
    form, comments, elements = "", [], list[_Element]()
    for line in re.split(r"[\r\n]+", head_text(raw[: end.start()]))[1:]:
        words = line.split()
        match words:
            case ["format", kind, *_]:
                form = kind
            case ["comment" | "obj_info", *rest]:
                comments.append(" ".join(rest))
            case ["element", name, count] if count.isdigit():
                elements.append(_Element(name, int(count), []))
            case ["property", "list", _, _, _] if elements:
                elements[-1].lists = True
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1].properties.append((name, kind))
            case []:
                pass
            case _:
                raise InvalidContent(f"The line {line[:60]!r} of the head is not understood.", code="ply.head")
    if form not in _ORDERS:
        raise InvalidContent(f"Format {form!r} is not known; {', '.join(_ORDERS)} are.", code="ply.head")
    return _head_of(form, elements, comments, end.end())


def _head_of(form: str, elements: list[_Element], comments: list[str], offset: int) -> PlyHead:
    index = next((i for i, element in enumerate(elements) if element.name == "vertex"), None)
    if index is None:
        raise InvalidContent("The head names no element 'vertex'.", code="ply.head")
    vertex, before = elements[index], elements[:index]
    names = [name for name, _ in vertex.properties]
    if not {"x", "y", "z"} <= set(names) or len(set(names)) != len(names) or len(names) > _MOST_PROPERTIES:
        raise InvalidContent(f"The vertices have the properties {names[:20]}, not x, y, z and others, each once.", code="ply.head")
    if any(_TYPES[kind][0] != "f" for name, kind in vertex.properties if name in ("x", "y", "z")):
        raise InvalidContent("x, y and z must be float or double.", code="ply.head")
    if vertex.lists or (form != "ascii" and any(element.lists for element in before)):
        raise InvalidContent("A list stands among or before the vertices; write the vertices first, without lists.", code="ply.head")
    order = _ORDERS[form]

    def record_of(element: _Element) -> np.dtype[np.void]:
        return np.dtype(
            [(f"{i}" if element is not vertex else name, order + _TYPES[kind]) for i, (name, kind) in enumerate(element.properties)]
        )

    skip = sum(element.count * (1 if form == "ascii" else record_of(element).itemsize) for element in before)
    others = tuple((element.name, element.count) for element in elements if element is not vertex)
    return PlyHead(form, record_of(vertex), vertex.count, offset, skip, others, tuple(comments))


def _columns(stream: BinaryIO, head: PlyHead, source: Source) -> Iterator[Columns]:
    if head.form == "ascii":
        yield from _ascii(stream, head, head.points)
        return
    room = source.size - head.offset - head.skip
    yield from _binary(stream, head, min(head.points, max(0, room) // head.record.itemsize))


def _binary(stream: BinaryIO, head: PlyHead, left: int) -> Iterator[Columns]:
    stream.seek(head.offset + head.skip)
    while left:
        n = min(left, ROWS)
        rows = np.frombuffer(stream.read(n * head.record.itemsize), head.record)
        yield {name: rows[name] for name in head.kinds}
        left -= n


def _ascii(stream: BinaryIO, head: PlyHead, left: int) -> Iterator[Columns]:
    skip = head.skip
    for lines in lines_of(stream, head.offset, head.skip + left):
        some, skip = lines[skip:], max(0, skip - len(lines))
        if some:
            rows = table_of(some, head.record)
            yield {name: rows[name] for name in head.kinds}


def _sample(stream: BinaryIO, head: PlyHead, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Finite coordinates of the first vertices; none where they cannot be read (`read` reports why)."""
    room = max(0, size - head.offset - head.skip) // head.record.itemsize
    try:
        columns = next(
            (_ascii if head.form == "ascii" else _binary)(stream, head, min(head.points, ROWS, room if head.form != "ascii" else ROWS)),
            None,
        )
    except InvalidContent:
        columns = None
    if columns is None:
        return np.empty(0), np.empty(0), np.empty(0)
    xyz = np.column_stack([np.asarray(columns[axis], np.float64) for axis in "xyz"])
    xyz = xyz[np.isfinite(xyz).all(axis=1)]
    return xyz[:, 0], xyz[:, 1], xyz[:, 2]
