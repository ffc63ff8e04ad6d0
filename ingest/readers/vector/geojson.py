"""GeoJSON (RFC 7946, and the `crs` member of 2008), read by our own stream: exact numbers, nothing flattened, nothing renamed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from ingest.findings import beside, error, warning
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.vector import kinds as vector_kinds
from ingest.readers.vector.json_stream import Broken, Stream, head_members, tail_members
from ingest.readers.vector.layer import LAYERS, id_column
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, Kind, LayerKind

BATCH = 20_000
_SAMPLE = 200
_DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
_DEEPEST = 16


class GeoJson:
    """GeoJSON files: collections, single features, and sequences of features, one a line."""

    format = "geojson"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """The collection's members, and the first features: are they degrees at all?"""
        members = {**tail_members(source.path), **head_members(source.path)}
        stated = crs_member(members)
        box, number = _sample_box(source.path)
        if number == 0:
            raise Invalid("file.no_records", f"{source.name} holds no GeoJSON feature that can be read.", file=source.name)
        degrees = box is None or (max(abs(box[0]), abs(box[2])) <= 360 and max(abs(box[1]), abs(box[3])) <= 360)
        if stated is None and not degrees:
            note = f"GeoJSON is in degrees by RFC 7946, but its numbers are not ({box[0]:.1f}, {box[1]:.1f})." if box else ""
            placed = resolve.resolve(None, given, note=note)
        else:
            placed = resolve.resolve(stated or "OGC:CRS84", given)
        found = resolve.findings(placed, file=source.name)
        return Survey(self.format, (Path(source.name).stem,), None, placed, None, tuple(found), details=texts_of(members))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All features, in file order."""
        stream = Stream(source.path)
        meta = texts_of({**tail_members(source.path), **head_members(source.path)})
        rows = Rows(Path(source.name).stem, placed.crs or "", source.name, meta)
        yield from rows.of(stream)
        yield from rows.findings()
        yield from beside(stated_beside(meta), file=source.name)


def crs_member(members: Mapping[str, Any]) -> str | None:
    """The CRS that the `crs` member of 2008 names (`urn:ogc:def:crs:EPSG::5179`); linked ones are not followed."""
    crs = members.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return name if isinstance(name, str) else None


def texts_of(members: Mapping[str, Any]) -> dict[str, str]:
    """The members of a collection as texts, for `Batch.meta` (licence, timestamp, schema stay known)."""
    texts = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in members.items() if k not in ("type", "features")}
    return {printable(k): printable(v) for k, v in texts.items()}


def stated_beside(meta: Mapping[str, str]) -> dict[str, str]:
    """The members (see `texts_of`) that say something for all features: licence, time, source."""
    return {name: value for name, value in meta.items() if name not in ("crs", "name", "bbox", "$schema")}


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: Python's texts may hold lone surrogates, files and columns may not."""
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


class Rows:
    """Gathers parsed features into batches of one layer; what cannot be used becomes findings."""

    def __init__(self, name: str, crs: str, file: str, meta: Mapping[str, str], *, kind: LayerKind | None = None) -> None:
        self.name, self.crs, self.file, self.meta, self.kind = name, crs, file, meta, kind
        self.read = self.unknown = 0
        self._ids: list[str] = []
        self._kinds: list[str] = []
        self._properties: list[str] = []
        self._shapes: list[Shape | None] = []
        self._replaced = False

    def of(self, stream: Stream, *, osm: bool = False) -> Iterator[Batch | Finding]:
        """The batches and findings of a stream; `osm` = the properties are OSM tags (OpenSidewalks)."""
        for number, record in enumerate(stream.features()):
            if isinstance(record, Broken):
                text = f"Feature {record.number} of {self.name} is not JSON ({record.why}): {record.text[:60]!r}"
                cut = "end" in record.why
                fix = "The file was cut: upload it again." if cut else "Repair this feature."
                yield error(
                    "file.damaged" if cut else "feature.not_json", text, fix, **self._where(str(record.number)), rejected=record.rejected
                )
                continue
            found = self._take(record, number, osm)
            if found is not None:
                yield found
            if len(self._ids) >= BATCH:
                yield self._batch()
        if self._ids:
            yield self._batch()

    def findings(self) -> Iterator[Finding]:
        """What is to be reported at the end."""
        if self._replaced:
            text = f"{self.name} is not UTF-8 everywhere; wrong letters were replaced."
            yield warning("text.encoding_unknown", text, "Save the file as UTF-8.", **self._where(""))

    def _where(self, feature: str) -> dict[str, Any]:
        return {"file": self.file, "layer": LAYERS[self.kind or LayerKind.HDMAP], "feature": feature}

    def _take(self, record: Any, number: int, osm: bool) -> Finding | None:
        if isinstance(record, dict) and (record.get("type") in _DEPTH or record.get("type") == "GeometryCollection"):
            record = {"type": "Feature", "geometry": record, "properties": {}}
        if not isinstance(record, dict) or record.get("type") != "Feature":
            text = f"Record {number} of {self.name} is not a GeoJSON feature."
            return error("feature.not_one", text, "Give it type, geometry and properties.", **self._where(str(number)), rejected=1)
        properties = record.get("properties")
        tags = properties if isinstance(properties, dict) else {}
        feature_id = self._id(record, tags, number)
        geometry = record.get("geometry")
        shape: Shape | None = None
        if geometry is not None:
            try:
                shape = checked(geometry)
            except ValueError as why:
                text = f"The geometry of {feature_id} cannot be used: {why}."
                return error(
                    "geometry.refused", text, "Repair the geometry.", **self._where(feature_id), value=str(geometry)[:80], rejected=1
                )
        source: dict[str, Any] = {"layer": self.name, **{k: v for k, v in record.items() if k not in ("type", "geometry", "properties")}}
        if properties is not None and not isinstance(properties, dict):
            source["properties"] = properties
        if isinstance(geometry, dict) and len(geometry) > 2:
            extra = {k: v for k, v in geometry.items() if k not in ("type", "coordinates", "geometries")}
            source |= {"geometry": extra} if extra else {}
        text = _with_source(tags, source)
        if not (is_text(feature_id) and is_text(text)):
            return self._half_a_letter(feature_id, record)
        self._append(feature_id, self._kind(tags, osm), text, shape)
        return None

    def _half_a_letter(self, feature_id: str, record: Mapping[str, Any]) -> Finding:
        r"""JSON may escape half of a surrogate pair (`\udcff`); no text can hold it, and no column of ours."""
        members = {"id": record.get("id"), **(record.get("properties") or {})} if isinstance(record.get("properties"), dict | None) else {}
        where = next((k for k, v in members.items() if not is_text(k) or not is_text(json.dumps(v, ensure_ascii=False))), "")
        name, at = printable(feature_id), f" in {printable(str(where))}" if where else ""
        text = f"Feature {name} of {self.name} has half of a letter{at} (a lone surrogate), which no text can hold."
        fix = "Write the whole letter, or leave the escape out, and upload the file again."
        value = printable(str(members.get(where, "")))[:80]
        return error("text.lone_surrogate", text, fix, **self._where(name), value=value, rejected=1)

    def _append(self, feature_id: str, kind: Kind, properties: str, shape: Shape | None) -> None:
        self.read += 1
        self.unknown += kind is Kind.OTHER
        self._replaced |= "�" in properties
        self._ids.append(feature_id)
        self._kinds.append(str(kind))
        self._properties.append(properties)
        self._shapes.append(shape)

    def _id(self, record: Mapping[str, Any], tags: Mapping[str, Any], number: int) -> str:
        given = record.get("id")
        if given is None:
            name = id_column(list(tags))
            given = tags[name] if name is not None else None
        usable = isinstance(given, str | int) and not isinstance(given, bool) and str(given).strip() != ""
        return str(given) if usable else f"{self.name}/{number}"

    def _kind(self, tags: Mapping[str, Any], osm: bool) -> Kind:
        if osm:
            return vector_kinds.kind_of_osm(tags)
        words = {k.lower(): str(v) for k, v in tags.items() if isinstance(v, str | int) and not isinstance(v, bool)}
        return vector_kinds.kind_of(words, self.name)

    def _batch(self) -> Batch:
        kinds = pa.array(self._kinds, pa.string())
        if self.kind is None:
            self.kind = vector_kinds.layer_kind(kinds)
        table = pa.table(
            {
                "feature_id": pa.array(self._ids, pa.string()),
                "kind": kinds,
                "geometry": wkb_of(self._shapes),
                "properties": pa.array(self._properties, pa.string()),
            }
        )
        self._ids, self._kinds, self._properties, self._shapes = [], [], [], []
        return Batch(Content.FEATURES, LAYERS[self.kind], self.kind, table, self.crs, dict(self.meta))


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry whose form is right. `flat` holds all numbers of a one-part geometry in a row, `nested` the coordinates of the others."""

    kind: str
    dimensions: int
    flat: list[float] | None
    nested: Any = None


def checked(geometry: Any, depth: int = 0) -> Shape:
    """A GeoJSON geometry of known type and right nesting, two or three numbers a vertex (a fourth is cut off), all finite.

    It is 3D when every vertex has a height.

    Raises: ValueError: says what is wrong.
    """
    if not isinstance(geometry, dict):
        raise ValueError("it is not an object")
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if depth >= _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST}")
        if not isinstance(members, list):
            raise ValueError("it has no list of geometries")
        return Shape(kind, 0, None, [checked(member, depth + 1) for member in members])
    if kind not in _DEPTH:
        raise ValueError(f"unknown type {kind!r}")
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list):
        raise ValueError("it has no coordinates")
    vertices = _vertices(coordinates, _DEPTH[kind])
    if kind == "LineString" and len(coordinates) == 1:
        raise ValueError("a line needs two vertices")
    rings = coordinates if kind == "Polygon" else list(chain.from_iterable(coordinates)) if kind == "MultiPolygon" else []
    for ring in rings:
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise ValueError("a ring is not closed, or has fewer than four vertices")
    dimensions, flat = _flat(vertices)
    one_part = vertices and (kind in ("Point", "LineString") or (kind == "Polygon" and len(coordinates) == 1))
    return Shape(kind, dimensions, flat if one_part else None, coordinates)


def _vertices(coordinates: list[Any], depth: int) -> list[Any]:
    if depth == 0:
        return [coordinates] if coordinates else []
    vertices = coordinates
    for _ in range(depth - 1):
        if set(map(type, vertices)) - {list}:
            raise ValueError("its coordinates are not nested as its type asks")
        vertices = list(chain.from_iterable(vertices))
    return vertices


def _flat(vertices: list[Any]) -> tuple[int, list[float]]:
    """Number of dimensions, and all numbers in a row. Every step runs in C: files have millions of vertices."""
    if set(map(type, vertices)) - {list}:
        raise ValueError("its coordinates are not nested as its type asks")
    lengths = set(map(len, vertices))
    if lengths and min(lengths) < 2:
        raise ValueError("a vertex is not two or three numbers")
    dimensions = 3 if lengths and min(lengths) >= 3 else 2
    if lengths - {dimensions}:
        vertices = [vertex[:dimensions] for vertex in vertices]
    flat = list(chain.from_iterable(vertices))
    if set(map(type, flat)) - {int, float}:
        raise ValueError("a vertex is not two or three numbers")
    if not math.isfinite(sum(flat)):
        raise ValueError(f"a coordinate is not a finite number: {next((v for v in flat if not math.isfinite(v)), flat[0])!r}")
    return dimensions, flat


def wkb_of(shapes: Sequence[Shape | None]) -> pa.Array:
    """ISO WKB of checked geometries; those of one part are built for a whole batch at once."""
    out: list[bytes | None] = [None] * len(shapes)
    groups: dict[tuple[str, int], list[int]] = {}
    for at, shape in enumerate(shapes):
        if shape is not None:
            groups.setdefault((shape.kind if shape.flat is not None else "", shape.dimensions), []).append(at)
    for (kind, dimensions), rows in groups.items():
        some = [shape for row in rows if (shape := shapes[row]) is not None]
        built = _many(kind, dimensions, some) if kind else np.array([_one(shape) for shape in some], dtype=object)
        for row, wkb in zip(rows, shapely.to_wkb(built, flavor="iso", byte_order=1).tolist(), strict=True):
            out[row] = wkb
    return pa.array(out, pa.binary())


def _many(kind: str, dimensions: int, shapes: list[Shape]) -> Any:
    flats = [shape.flat or [] for shape in shapes]
    coordinates = np.fromiter(chain.from_iterable(flats), dtype=np.float64).reshape(-1, dimensions)
    if kind == "Point":
        return shapely.points(coordinates)
    owner = np.repeat(np.arange(len(flats)), [len(flat) // dimensions for flat in flats])
    return (
        shapely.linestrings(coordinates, indices=owner)
        if kind == "LineString"
        else shapely.polygons(shapely.linearrings(coordinates, indices=owner))
    )


def _one(shape: Shape) -> Any:
    return _built(shape.kind, shape.dimensions, shape.nested)


def _built(kind: str, dimensions: int, c: Any) -> Any:  # noqa: PLR0911 - one line a type
    def cut(vertices: Any) -> list[Any]:
        return [v[:dimensions] for v in vertices]

    if kind == "GeometryCollection":
        return shapely.GeometryCollection([_one(member) for member in c])
    if kind == "Point":
        return shapely.Point(c[:dimensions]) if c else shapely.Point()
    if kind == "LineString":
        return shapely.LineString(cut(c))
    if kind == "Polygon":
        return shapely.Polygon(cut(c[0]), [cut(ring) for ring in c[1:]]) if c else shapely.Polygon()
    if kind == "MultiPoint":
        return shapely.MultiPoint(cut(c))
    if kind == "MultiLineString":
        return shapely.MultiLineString([cut(line) for line in c])
    return shapely.MultiPolygon([_built("Polygon", dimensions, polygon) for polygon in c])


def _with_source(tags: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    own = {f"{k}#" if k == "@source" else k: v for k, v in tags.items()} if "@source" in tags else dict(tags)
    own["@source"] = source
    try:
        return json.dumps(own, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(own), ensure_ascii=False)


def _without_nan(value: Any) -> Any:
    """NaN and the infinities as their names, since JSON has no such numbers."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _sample_box(path: Path) -> tuple[tuple[float, float, float, float] | None, int]:
    """Box of the first features in their own numbers, and how many records were seen."""
    box, number = None, 0
    for record in Stream(path).features():
        if isinstance(record, Broken):
            continue
        geometry = record.get("geometry", record) if isinstance(record, dict) else None
        number += isinstance(record, dict) and record.get("type") in {"Feature", "GeometryCollection", *_DEPTH}
        try:
            shape = checked(geometry)
        except ValueError:
            continue
        x0, y0, x1, y1 = (float(v) for v in shapely.bounds(shapely.from_wkb(wkb_of([shape])[0].as_py())))
        if math.isfinite(x0):
            box = (x0, y0, x1, y1) if box is None else (min(box[0], x0), min(box[1], y0), max(box[2], x1), max(box[3], y1))
        if number >= _SAMPLE:
            break
    return box, number
