"""Apollo HD maps (`base_map.txt`, `base_map.bin`): lanes with their borders, crosswalks, signals, signs, junctions, roads and overlaps.

Two passes: where each element is and which there are; then the features. An overlap, which only says that elements meet, is placed by one
of them. The header's box is in degrees where the body is in metres, so the box is only shown, and the projection of the header holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ingest.findings import beside, error, info, warning
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.apollo import binary, shapes, text
from ingest.readers.apollo.features import REFERENCES, Drawn, features, name_of
from ingest.readers.apollo.message import MapElement, Tree
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box

_ROWS, _BYTES = 20_000, 32 << 20
MAX_SHAPES = 512 << 20
"""Bytes of shapes and names that the first pass keeps."""
FREE_BYTES, MOST_REPEATS = 64 << 20, 32
"""Most bytes of shapes that elements without one may take from others: these, and each shape so often."""
_OVERLAPPING = {"yield_sign": "yield", "area": "ad_area"}
"""What overlaps call elements otherwise than the map does."""
_DEGREES = ("left", "bottom", "right", "top")


class Apollo:
    """The reader of Apollo maps, text and binary."""

    format = "apollo"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """What the header states."""
        header = _header(source)
        projection = header.get("projection")
        stated = projection.get("proj") if isinstance(projection, dict) else None
        box = _box(header)
        note = ""
        if not stated:
            zone = f" Its box is in UTM zone {int((box.west + 180) // 6) + 1}." if box is not None and box.south > -80 else ""
            note = f"The header names no projection.{zone}"
        placed = resolve.resolve(stated, given, note="" if given.crs or given.origin else note)
        is_there = box if placed.is_known else None
        found = tuple(resolve.findings(placed, file=source.name))
        details = {key: str(value) for key, value in header.items() if isinstance(value, str)}
        return Survey(self.format, (self.layer,), None, placed, is_there, found, details)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All elements, in the order of the file."""
        known = _ApolloFacts(source.name)
        for number, element in enumerate(_elements(source, known)):
            known.take(element, number)
        where = {"file": source.name, "layer": self.layer}
        if known.broken:
            message = f"{source.name} ends early or is damaged ({known.broken}); the {known.count} elements before were kept."
            yield error("file.damaged", message, "Upload the whole file again.", value=known.broken, **where)
        rows = _ApolloRows(known, placed.crs or "" if placed.crs_source is not Known.NONE else "")
        for number, element in enumerate(_elements(source, _ApolloFacts(source.name))):
            if element.name == "header":
                yield from beside({key: value for key, value in element.fields.items() if key not in ("projection", *_DEGREES)}, **where)
                continue
            yield from rows.of(element, number)
        yield from rows.last()
        yield from known.findings(**where)


@dataclass(slots=True)
class _ApolloFacts:
    """What the first pass found: shapes by element, so that what has none is put where it belongs."""

    file: str
    shapes: dict[str, bytes] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    twice: list[str] = field(default_factory=list)
    count: int = 0
    broken: str = ""
    partly_high: int = 0
    size: int = 0

    def take(self, element: MapElement, number: int) -> None:
        """Note an element. Raises: Invalid: `apollo.limit`."""
        if element.name == "header":
            return
        self.count += 1
        name = name_of(element, number)
        if name in self.names:
            self.twice.append(name)
        self.names.add(name)
        self.size += len(name) + 100
        if element.name not in ("overlap", "rsu"):
            made = shapes.wkb(next(features(element, number)).shape)
            if made is not None:
                self.shapes.setdefault(name, made)
                self.size += len(made)
        if self.size > MAX_SHAPES:
            message = f"{self.file} holds more than is read at once ({MAX_SHAPES >> 20} MiB of shapes). Cut it into smaller areas."
            raise Invalid("apollo.limit", message, file=self.file)

    def findings(self, **where: Any) -> Iterator[Finding]:
        """What is to be reported at the end."""
        for feature in self.twice[:20]:
            yield warning("id.duplicate", f"{feature} comes more than once.", "Give every element its own id.", feature=feature, **where)
        if self.partly_high:
            message = (
                f"{self.partly_high} features of {self.file} have a height at some vertices only: they are 2D, the heights are in @source."
            )
            yield info("height.mixed", message, "Give every vertex a height.", count=self.partly_high, **where)


class _ApolloRows:
    """Second pass: elements become rows."""

    def __init__(self, known: _ApolloFacts, crs: str) -> None:
        self.known, self.crs = known, crs
        self.rows: list[tuple[str, str, bytes | None, str]] = []
        self.size = self.lent = 0

    def of(self, element: MapElement, number: int) -> Iterator[Batch | Finding]:
        missing = _missing(element, self.known.names)
        name = name_of(element, number)
        if missing:
            message = f"{name} refers to {', '.join(missing[:5])}, which the file does not hold."
            fix = "Export the map with everything that it refers to."
            yield warning("reference.dangling", message, fix, value=missing[0], file=self.known.file, layer="hdmap", feature=name)
        for one in features(element, number):
            body = shapes.wkb(one.shape)
            if body is None:
                body = self._borrowed(one)
            self.known.partly_high += shapes.keeps_heights(one.source)
            row = (one.id, str(one.kind), body, one.properties())
            self.rows.append(row)
            self.size += len(row[3]) + len(body or b"")
            if len(self.rows) >= _ROWS or self.size >= _BYTES:
                yield self._batch()

    def last(self) -> Iterator[Batch]:
        """What is left."""
        if self.rows:
            yield self._batch()

    def _borrowed(self, one: Drawn) -> bytes | None:
        """The shape of what an element without one is about, signals and crosswalks before lanes."""
        names = _named(one.attributes)
        for name in sorted(names, key=lambda name: name.startswith("lane/")):
            if name in self.known.shapes:
                one.source["placed_by"] = name
                self._lend(len(self.known.shapes[name]), name)
                return self.known.shapes[name]
        return None

    def _lend(self, size: int, name: str) -> None:
        """Count what is placed by others: a small file must not become an enormous one. Raises: Invalid: `apollo.repeats`."""
        self.lent += size
        if self.lent > FREE_BYTES + MOST_REPEATS * self.known.size:
            message = f"The shapes of {self.known.file} are taken over {MOST_REPEATS} times by what has none; {name} is one of them."
            raise Invalid("apollo.repeats", message, file=self.known.file)

    def _batch(self) -> Batch:
        rows, self.rows, self.size = self.rows, [], 0
        columns = dict(zip(("feature_id", "kind", "geometry", "properties"), zip(*rows, strict=True), strict=True))
        types = {"geometry": pa.binary()}
        table = pa.table({name: pa.array(column, types.get(name, pa.string())) for name, column in columns.items()})
        return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table, self.crs)


def _elements(source: Source, known: _ApolloFacts) -> Iterator[MapElement]:
    """The elements of a map up to a fault, which is noted."""
    with source.path.open("rb") as file:
        is_binary = binary.is_map(file.read(65536))
        file.seek(0)
        try:
            yield from (binary if is_binary else text).elements(file)
        except ValueError as why:
            known.broken = str(why) or type(why).__name__


def _header(source: Source) -> Tree:
    known = _ApolloFacts(source.name)
    with_header = next(_elements(source, known), None)
    if with_header is None:
        why = f" ({known.broken})" if known.broken else ""
        raise Invalid("file.no_records", f"{source.name} is no Apollo map, or an empty one{why}.", file=source.name)
    return with_header.fields if with_header.name == "header" else {}


def _box(header: Tree) -> Box | None:
    """The box that a header states, where it is in degrees, as it should be."""
    sides = [side for name in _DEGREES if isinstance(side := header.get(name), float)]
    if len(sides) != len(_DEGREES):
        return None
    box = Box(*sides)
    return box if box.is_on_earth and box.west <= box.east and box.south <= box.north and box.west != box.east else None


def _named(fields: Tree) -> list[str]:
    """The elements that fields name."""
    found = []
    for key, value in fields.items():
        if key in REFERENCES:
            found += [f"{REFERENCES[key]}/{one}" for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    for one in fields.get("object", []):
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            met = next((key.removesuffix("_overlap_info") for key in one if key.endswith("_overlap_info")), "")
            found.append(f"{_OVERLAPPING.get(met, met)}/{one['id']}")
    for section in fields.get("section", []):
        found += _named(section) if isinstance(section, dict) else []
    return found


def _missing(element: MapElement, names: set[str]) -> list[str]:
    return [name for name in dict.fromkeys(_named(element.fields)) if name not in names]
