"""GeoJSON (RFC 7946, and the `crs` member of 2008), read by our own stream: exact numbers, nothing flattened, nothing renamed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely

from ingest.checks.encodings import is_text, printable, without_halves
from ingest.checks.text import distinct
from ingest.findings import beside, error, info, warning
from ingest.placing import resolve, systems
from ingest.reader import Placed, Source, Survey
from ingest.readers.vector import kinds as vector_kinds
from ingest.readers.vector.geojson_shape import DEPTH, Shape, checked, wkb_of
from ingest.readers.vector.json_stream import Broken, Stream, doubled_keys, head_members, tail_members
from ingest.readers.vector.layer import LAYERS, id_column
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from mapex.rules.licences import stated_in
from tiles.batch import Batch, Content, Kind, LayerKind

BATCH = 20_000
_SAMPLE = 200


class GeoJson:
    """GeoJSON files: collections, single features, and sequences of features, one a line."""

    format = "geojson"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """The collection's members, and the first features: are they degrees at all?"""
        box, number, streamed = _sample(source.path)
        stated, unclear = crs_of({**streamed, **tail_members(source.path)}, head_members(source.path))
        members = {**tail_members(source.path), **streamed, **head_members(source.path)}
        if number == 0:
            raise Invalid("file.no_records", f"{source.name} holds no GeoJSON feature that can be read.", file=source.name)
        degrees = box is None or (max(abs(box[0]), abs(box[2])) <= 360 and max(abs(box[1]), abs(box[3])) <= 360)
        if unclear:
            placed = resolve.resolve(None, given, note=unclear)
        elif stated is None and not degrees:
            note = f"GeoJSON is in degrees by RFC 7946, but its numbers are not ({box[0]:.1f}, {box[1]:.1f})." if box else ""
            placed = resolve.resolve(None, given, note=note)
        else:
            placed = resolve.resolve(stated or "OGC:CRS84", given)
        found = resolve.findings(placed, file=source.name)
        texts = texts_of(members)
        return Survey(self.format, (Path(source.name).stem,), None, placed, None, tuple(found), texts, stated_in(texts.values()))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All features, in file order."""
        stream = Stream(source.path)
        meta = texts_of({**tail_members(source.path), **head_members(source.path)})
        rows = Rows(Path(source.name).stem, placed.crs or "", source.name, meta)
        yield from rows.of(stream)
        yield from rows.findings()
        late = crs_of(stream.members)
        if late != (None, "") and late != crs_of(meta_of(source.path)):
            text = f"{source.name} states its coordinate system after its features, where it was found only when they had been placed."
            yield error("crs.late", text, "Write the member `crs` before `features`.", file=source.name)
        yield from beside(stated_beside(meta, Path(source.name).stem), file=source.name)


def meta_of(path: Path) -> dict[str, Any]:
    """The members of a collection that its survey knows."""
    return {**tail_members(path), **_sample(path)[2], **head_members(path)}


def crs_of(*members: Mapping[str, Any]) -> tuple[str | None, str]:
    """The CRS that the `crs` member of 2008 names (`urn:ogc:def:crs:EPSG::5179`), and why it is unclear, if so.

    None and "" where nothing is stated: then it is WGS 84 (RFC 7946). What is stated and cannot be used is never taken for that.
    """
    stated = [value for one in members for key, value in one.items() if re.fullmatch(r"crs(#\d+)?", key) and value is not None]
    names = {_crs_name(one) for one in stated}
    if len(names) > 1:
        return None, "The member `crs` stands there more than once, with different systems."
    name = next(iter(names), "")
    if name is None:
        kind = stated[0].get("type") if isinstance(stated[0], dict) else None
        how = "only links to its system, and links are not followed" if kind == "link" else "names no system"
        return None, f"The member `crs` {how}: {printable(str(stated[0]))[:80]}."
    return name or None, ""


def _crs_name(crs: Any) -> str | None:
    """The name in a member `crs`; None when it holds none."""
    properties = crs.get("properties") if isinstance(crs, dict) and not doubled_keys(crs) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return name if isinstance(name, str) and name.strip() else None


def texts_of(members: Mapping[str, Any]) -> dict[str, str]:
    """The members of a collection as texts, for `Batch.meta` (licence, timestamp, schema stay known)."""
    texts = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in members.items() if k not in ("type", "features")}
    return {without_halves(k): without_halves(v) for k, v in texts.items()}


def stated_beside(meta: Mapping[str, str], name: str = "") -> dict[str, str]:
    """The members (see `texts_of`) that state something for all features: licence, time, source, a name other than that of the file."""
    return {key: value for key, value in meta.items() if key not in ("crs", "bbox", "$schema") and (key, value) != ("name", name)}


class Rows:
    """Gathers parsed features into batches of one layer; what cannot be used becomes findings."""

    def __init__(self, name: str, crs: str, file: str, meta: Mapping[str, str], *, kind: LayerKind | None = None) -> None:
        self.name, self.crs, self.file, self.meta, self.kind = name, crs, file, meta, kind
        self.read = self.unknown = self.partly_high = 0
        self._ids: list[str] = []
        self._kinds: list[str] = []
        self._properties: list[str] = []
        self._shapes: list[Shape | None] = []
        self._stream: Stream | None = None

    def of(self, stream: Stream, *, osm: bool = False) -> Iterator[Batch | Finding]:
        """The batches and findings of a stream; `osm` = the properties are OSM tags (OpenSidewalks)."""
        self._stream = stream
        for number, record in enumerate(stream.features()):
            if isinstance(record, Broken):
                text = f"Feature {record.number} of {self.name} is not JSON ({record.why}): {record.text[:60]!r}"
                cut = "end" in record.why
                fix = "The file was cut: upload it again." if cut else "Repair this feature."
                yield error(
                    "file.damaged" if cut else "feature.not_json", text, fix, **self._where(str(record.number)), rejected=record.rejected
                )
                continue
            yield from self._take(record, number, osm)
            if len(self._ids) >= BATCH:
                yield self._batch()
        if self._ids:
            yield self._batch()

    def findings(self) -> Iterator[Finding]:
        """What is to be reported at the end."""
        if self._stream is not None and self._stream.codec == "cp949":
            text = f"{self.name} is not UTF-8, as JSON has to be; it was read as cp949, in which all of it can be read."
            yield warning("text.encoding_guessed", text, "Save the file as UTF-8.", **self._where(""), value="cp949")
        if self._stream is not None and (twice := [printable(key)[:80] for key in self._stream.repeated]):
            text = f"The collection {self.name} has {', '.join(twice[:5])} twice."
            yield warning("json.doubled_key", text, "Keep one of each.", **self._where(""), value=twice[0])
        if self.partly_high:
            text = (
                f"{self.partly_high} features of {self.name} have a height at some vertices only: they are 2D, the heights are in @source."
            )
            yield info("height.mixed", text, "Give every vertex a height.", **self._where(""), count=self.partly_high)

    def _where(self, feature: str) -> dict[str, Any]:
        return {"file": self.file, "layer": LAYERS[self.kind or LayerKind.HDMAP], "feature": feature}

    def _take(self, record: Any, number: int, osm: bool) -> Iterator[Finding]:
        if isinstance(record, dict) and (record.get("type") in DEPTH or record.get("type") == "GeometryCollection"):
            record = {"type": "Feature", "geometry": record, "properties": {}}
        twice = doubled_keys(record)
        if twice and (ambiguous := [key for key in _twice(record, twice) if key in _ONCE]):
            text = f"Record {number} of {self.name} has {', '.join(ambiguous)} twice; nobody can say which is meant."
            yield error("feature.ambiguous", text, "Keep one of them.", **self._where(str(number)), value=ambiguous[0], rejected=1)
            return
        if not isinstance(record, dict) or record.get("type") != "Feature":
            text = f"Record {number} of {self.name} is not a GeoJSON feature."
            yield error("feature.not_one", text, "Give it type, geometry and properties.", **self._where(str(number)), rejected=1)
            return
        geometry = record.get("geometry")
        if why := self._own_crs(record, geometry):
            feature = printable(self._id(record, _tags(record), number))
            text = f"Feature {feature} of {self.name} states a coordinate system of its own: {why}"
            yield error(
                "crs.of_feature", text, "Upload the features of each system in a file of their own.", **self._where(feature), rejected=1
            )
            return
        shape: Shape | None = None
        if geometry is not None:
            try:
                shape = checked(geometry)
            except ValueError as why:
                feature_id = printable(self._id(record, _tags(record), number))
                text = f"The geometry of {feature_id} cannot be used: {why}."
                where = {**self._where(feature_id), "value": printable(str(geometry))[:80]}
                yield error("geometry.refused", text, "Repair the geometry.", **where, rejected=1)
                return
        try:
            text = self._text(record, shape)
        except ValueError:
            text = ""
        if not (text and is_text(text)):
            record, found = self._sound(record, number)
            yield from found
            text = self._text(record, shape)
        tags = _tags(record)
        if twice:
            yield self._doubled(record, number, twice)
        self.partly_high += shape is not None and bool(shape.z())
        self._append(self._id(record, tags, number), self._kind(tags, osm), text, shape)

    def _sound(self, record: dict[str, Any], number: int) -> tuple[dict[str, Any], list[Finding]]:
        r"""The record with nothing that no text or number can hold, and what was found.

        JSON may escape half of a letter (`\udcff`), bytes of the file may mean none, and NaN or 1e400 are no numbers of JSON.
        """
        found: list[Finding] = []
        rest = {key: value for key, value in record.items() if key != "geometry"}
        if self._stream is not None and not _is_finite(rest):
            exact = self._stream.exact()
            exact = exact if exact.get("type") == "Feature" else {"type": "Feature", "geometry": exact, "properties": {}}
            where = _differing({**rest, **_tags(rest)}, {**exact, **_tags(exact)})
            feature = printable(self._id(record, _tags(record), number))
            text = f"Feature {feature} of {self.name} has {where[1]} in {where[0]}, which is no number of JSON; it stays as text."
            found.append(warning("value.not_finite", text, "Write null where there is no value.", **self._where(feature), value=where[1]))
            record = exact
        written = json.dumps({key: value for key, value in record.items() if key != "geometry"}, ensure_ascii=False)
        if not is_text(written):
            found.append(self._half_a_letter(printable(self._id(record, _tags(record), number)), record))
            record = {**_whole_letters({k: v for k, v in record.items() if k != "geometry"}), "geometry": record.get("geometry")}
        return record, found

    def _own_crs(self, record: Mapping[str, Any], geometry: Any) -> str:
        """What a feature or its geometry states against the system of the file; "" when it agrees or states nothing."""
        own = [one for one in (record, geometry) if isinstance(one, dict) and one.get("crs") is not None]
        if not own:
            return ""
        stated, unclear = crs_of(*({"crs": one["crs"]} for one in own))
        crs = systems.crs_from(stated)
        if crs is None or not self.crs:
            return unclear or str(stated)[:80]
        same = systems.horizontal(crs).equals(systems.horizontal(systems.parsed(self.crs)), ignore_axis_order=True)
        return "" if same else crs.name

    def _doubled(self, record: Mapping[str, Any], number: int, keys: list[str]) -> Finding:
        """The finding about names that stand twice in a feature; each value is kept."""
        twice = [printable(key)[:80] for key in keys]
        feature = printable(self._id(record, _tags(record), number))
        text = f"Feature {feature} of {self.name} has {', '.join(twice[:5])} twice; both values are kept, the second as {twice[0]}#2."
        return warning("json.doubled_key", text, "Give each value its own name.", **self._where(feature), value=twice[0])

    def _half_a_letter(self, feature: str, record: Mapping[str, Any]) -> Finding:
        members = {**{key: value for key, value in record.items() if key not in ("geometry", "properties")}, **_tags(record)}
        where = next((k for k, v in members.items() if not is_text(k) or not is_text(json.dumps(v, ensure_ascii=False))), "")
        value = str(members.get(where, "")) if is_text(where) else where
        name = printable(where)
        if self._stream is not None and self._stream.broken and any("\udc80" <= letter <= "\udcff" for letter in value):
            text = f"Feature {feature} of {self.name}, attribute {name}: bytes that mean no letter of UTF-8; only these were replaced."
            fix = "Save the file as UTF-8."
            return warning("text.damaged", text, fix, **self._where(feature), value=without_halves(value)[:200])
        text = f"Feature {feature} of {self.name} has half of a letter in {name} (a lone surrogate): only this was replaced."
        fix = "Write the whole letter, or leave the escape out, and upload the file again."
        return warning("text.lone_surrogate", text, fix, **self._where(feature), value=printable(value)[:80])

    def _text(self, record: Mapping[str, Any], shape: Shape | None) -> str:
        """Properties as JSON text, with what is neither property nor shape under "@source". Raises: ValueError: a number is none."""
        properties, geometry = record.get("properties"), record.get("geometry")
        name = without_halves(self.name)
        source: dict[str, Any] = {"layer": name, **{k: v for k, v in record.items() if k not in ("type", "geometry", "properties")}}
        if properties is not None and not isinstance(properties, dict):
            source["properties"] = properties
        if isinstance(geometry, dict) and len(geometry) > 2:
            extra = _sound_members({k: v for k, v in geometry.items() if k not in ("type", "coordinates", "geometries")})
            source |= {"geometry": extra} if extra else {}
        if shape is not None:
            source |= {key: values for key, values in (("z", shape.z()), ("m", shape.m())) if values}
        return _with_source(_tags(record), source)

    def _append(self, feature_id: str, kind: Kind, properties: str, shape: Shape | None) -> None:
        self.read += 1
        self.unknown += kind is Kind.OTHER
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
        if (own := vector_kinds.own_kind(tags)) is not None:
            return own
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


"""Members of a collection that are used, or follow from its features."""


_ONCE = frozenset({"type", "geometry", "properties", "id", "coordinates", "geometries"})
"""What a feature and its geometry consist of."""


def _twice(record: Any, twice: list[str]) -> list[str]:
    """Members of a record, and of its geometry, that came twice."""
    if not isinstance(record, dict):
        return []
    own = {key: value for key, value in record.items() if key != "properties"}
    return [key for key in twice if f"{key}#2" in own or f"{key}#2" in (own.get("geometry") or {})]


def _tags(record: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = record.get("properties")
    return properties if isinstance(properties, dict) else {}


def _is_finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _differing(seen: Mapping[str, Any], exact: Mapping[str, Any]) -> tuple[str, str]:
    """Names of the values that are no numbers, and the text of the first."""
    names = [key for key, value in seen.items() if key != "properties" and not _is_finite(value)]
    return printable(", ".join(names[:9])), printable(str(exact.get(names[0], "")))[:80] if names else ""


def _whole_letters(value: Any) -> Any:
    """A JSON value with each half of a letter replaced, in keys too."""
    if isinstance(value, str):
        return without_halves(value)
    if isinstance(value, dict):
        return dict(zip(distinct([without_halves(key) for key in value]), map(_whole_letters, value.values()), strict=True))
    return [_whole_letters(one) for one in value] if isinstance(value, list) else value


def _sound_members(members: dict[str, Any]) -> Any:
    """Members of a geometry that GeoJSON does not know, with the names of what is no number, and whole letters."""
    return _whole_letters(json.loads(json.dumps(members), parse_constant=str))


def _with_source(tags: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    own = {f"{k}#" if k == "@source" else k: v for k, v in tags.items()} if "@source" in tags else dict(tags)
    own["@source"] = source
    return json.dumps(own, ensure_ascii=False, allow_nan=False)


def _sample(path: Path) -> tuple[tuple[float, float, float, float] | None, int, dict[str, Any]]:
    """Box of the first features in their own numbers, how many records were seen, and the collection's members before them."""
    box, number, stream = None, 0, Stream(path)
    for record in stream.features():
        if isinstance(record, Broken):
            continue
        geometry = record.get("geometry", record) if isinstance(record, dict) else None
        number += isinstance(record, dict) and record.get("type") in {"Feature", "GeometryCollection", *DEPTH}
        try:
            shape = checked(geometry)
        except ValueError:
            continue
        x0, y0, x1, y1 = (float(v) for v in shapely.bounds(shapely.from_wkb(wkb_of([shape])[0].as_py())))
        if math.isfinite(x0):
            box = (x0, y0, x1, y1) if box is None else (min(box[0], x0), min(box[1], y0), max(box[2], x1), max(box[3], y1))
        if number >= _SAMPLE:
            break
    return box, number, stream.members
