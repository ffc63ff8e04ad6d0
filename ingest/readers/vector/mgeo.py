"""MORAI MGeo maps: a folder of lists (`node_set.json`, `link_set.json`, `traffic_light_set.json`, ...) and `global_info.json`.

Points are metres from an origin that `global_info.json` names in a system of its own, as PROJ text; without it nobody knows where they are.
Records without points (groups of crosswalks, junctions, controllers) are placed by what they name.
Source: MORAI-MGeoModule, class_defs/mgeo.py, versions 2 and 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from ingest.checks.encodings import is_text, printable, without_halves
from ingest.findings import beside, error, info, warning
from ingest.formats import is_junk, is_mgeo_part
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.vector.attributes import plain
from ingest.readers.vector.json_stream import Broken, Stream
from ingest.readers.vector.kinds import kind_of_words
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, Kind, LayerKind

_ROWS, _BYTES = 20_000, 32 << 20
MAX_INFO = 1 << 20
"""Bytes of `global_info.json`."""
MAX_SHAPES = 512 << 20
"""Bytes of shapes that are kept for records that are placed by others."""
FREE_BYTES, MOST_REPEATS = 64 << 20, 32
"""Most bytes of shapes that records without one may take from others: these, and each shape so often."""
_FIRST = ("node_set", "link_set", "lane_node_set")
_KINDS = {
    "node": Kind.NODE,
    "lane_node": Kind.NODE,
    "link": Kind.LANE_CENTRE,
    "lane_boundary": Kind.LANE_BORDER,
    "lane_marking": Kind.LANE_BORDER,
    "stoplane_marking": Kind.STOP_LINE,
    "traffic_light": Kind.SIGNAL,
    "traffic_sign": Kind.SIGN,
    "singlecrosswalk": Kind.CROSSING,
    "surface_marking": Kind.MARKING,
    "junction": Kind.JUNCTION,
    "crosswalk": Kind.OTHER,  # a group of crosswalks that are there one by one
    "synced_traffic_light": Kind.OTHER,
    "intersection_controller": Kind.OTHER,
    "parking_space": Kind.OTHER,
    "road_polygon": Kind.OTHER,
}
_LINKS = {"sidewalk": Kind.SIDEWALK, "curb": Kind.KERB}
_AREAS = {"singlecrosswalk", "surface_marking", "parking_space", "road_polygon", "road_mesh_out_line_polygon"}
_STOP_LINE = "530"
"""Code of stop lines in the Korean precise road map, whose lines MORAI takes over."""
_REFERENCES = {
    "from_node_idx": ("node", "lane_node"),
    "to_node_idx": ("node", "lane_node"),
    "left_lane_change_dst_link_idx": ("link",),
    "right_lane_change_dst_link_idx": ("link",),
    "lane_mark_left": ("lane_boundary", "lane_marking"),
    "lane_mark_right": ("lane_boundary", "lane_marking"),
    "link_id_list": ("link",),
    "signal_id_list": ("traffic_light",),
    "single_crosswalk_list": ("singlecrosswalk",),
    "ref_traffic_light_list": ("traffic_light",),
    "TL": ("synced_traffic_light", "traffic_light"),
    "jc_node_indices": ("node",),
    "links": ("link",),
}
"""Members that name other records, and in which lists those are."""


class MGeo:
    """The reader of MORAI's maps."""

    format = "mgeo"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """What `global_info.json` states."""
        stated = info_of(source)
        crs = stated.get("global_coordinate_system")
        origin = _origin(stated)
        note = ""
        if not crs:
            note = "global_info.json names no coordinate system." if stated else "No global_info.json names origin and system."
        elif origin is None:
            note = "global_info.json names no origin for its local metres; they were taken as they are."
        placed = resolve.resolve(crs if isinstance(crs, str) else None, given, note="" if given.crs or given.origin else note)
        found = tuple(resolve.findings(placed, file=source.name))
        details = {key: str(value)[:200] for key, value in stated.items() if isinstance(value, str | int | float | bool)}
        return Survey(self.format, tuple(name for name, _ in parts_of(source)), None, placed, None, found, details)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All lists: nodes and links first."""
        stated = info_of(source)
        offset = np.zeros(3) if placed.origin is not None else np.array(_origin(stated) or (0.0, 0.0, 0.0))
        rest = {key: value for key, value in stated.items() if key not in ("global_coordinate_system", "mgeo_file_hash")}
        yield from beside(rest, file=source.name, layer=self.layer)
        known = _MgeoFacts(source.name)
        for name, path in parts_of(source):
            for record in Stream(path).features(listed=True):
                known.take(name, record)
        crs = (placed.crs or "") if placed.crs_source is not Known.NONE else ""
        rows = _MgeoRows(known, crs, offset)
        for name, path in parts_of(source):
            yield from rows.of(name, path)
        yield from rows.last()


def parts_of(source: Source) -> list[tuple[str, Path]]:
    """(name without `_set`, path) of each list. Raises: Invalid: `file.no_records`: there is none."""
    found = []
    for path in source.files:
        name = PurePosixPath(source.label(path)).name
        stem = name.lower().removesuffix(".json")
        if not is_junk(name) and is_mgeo_part(name) and stem != "global_info":
            found.append((stem, path))
    if not found:
        raise Invalid("file.no_records", f"{source.name} has no list of an MGeo map (link_set.json, node_set.json, ...).", file=source.name)
    found.sort(key=lambda part: (_FIRST.index(part[0]) if part[0] in _FIRST else len(_FIRST), part[0]))
    return [(stem.removesuffix("_set"), path) for stem, path in found]


def info_of(source: Source) -> dict[str, Any]:
    """What `global_info.json` states; empty where it is missing or cannot be read."""
    path = next((path for path in source.files if PurePosixPath(source.label(path)).name.lower() == "global_info.json"), None)
    if path is None or path.stat().st_size > MAX_INFO:
        return {}
    with path.open("rb") as file:
        try:
            stated = json.loads(file.read(MAX_INFO).decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            return {}
    return stated if isinstance(stated, dict) else {}


def _origin(stated: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """The origin of the local metres in the map's system."""
    found = stated.get("local_origin_in_global")
    numbers = [float(one) for one in found if isinstance(one, int | float)] if isinstance(found, list) else []
    if len(numbers) not in (2, 3) or not np.isfinite(numbers).all():
        return None
    return numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else 0.0


@dataclass(slots=True)
class _MgeoFacts:
    """What the first pass found: which records there are, and the shape (in local metres) of those that have points."""

    file: str
    shapes: dict[str, bytes] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    size: int = 0

    def take(self, part: str, record: Any) -> None:
        """Note a record. Raises: Invalid: `mgeo.limit`."""
        if not isinstance(record, dict) or "idx" not in record:
            return
        name = f"{part}/{record['idx']}"
        self.names.add(name)
        self.size += 100 + len(name)
        try:
            shape = _shape(part, record, np.zeros(3))
        except ValueError:
            return
        if shape is not None and part not in ("lane_node", "object"):
            self.shapes[name] = _wkb(shape)
            self.size += len(self.shapes[name])
        if self.size > MAX_SHAPES:
            text = f"{self.file} holds more than is read at once ({MAX_SHAPES >> 20} MiB of shapes). Cut it into smaller areas."
            raise Invalid("mgeo.limit", text, file=self.file)


class _MgeoRows:
    """Second pass: records become rows."""

    def __init__(self, known: _MgeoFacts, crs: str, offset: NDArray[np.float64]) -> None:
        self.known, self.crs, self.offset = known, crs, offset
        self.rows: list[tuple[str, str, bytes | None, str]] = []
        self.size = self.lent = 0
        self.seen: set[str] = set()

    def of(self, part: str, path: Path) -> Iterator[Batch | Finding]:
        """The rows of one list, and what was found."""
        for number, record in enumerate(Stream(path).features(listed=True)):
            if isinstance(record, Broken) or not isinstance(record, dict):
                yield self._unreadable(part, number, record)
                continue
            yield from self._take(part, number, record)
            if len(self.rows) >= _ROWS or self.size >= _BYTES:
                yield self._batch()

    def last(self) -> Iterator[Batch]:
        """What is left."""
        if self.rows:
            yield self._batch()

    def _where(self, feature: str) -> dict[str, Any]:
        return {"file": self.known.file, "layer": "hdmap", "feature": feature}

    def _unreadable(self, part: str, number: int, record: Any) -> Finding:
        feature = f"{part}/#{number}"
        if not isinstance(record, Broken):
            text = f"Record {feature} is no object with members."
            return error("feature.not_one", text, "Give it idx and points.", **self._where(feature), rejected=1)
        text = f"{part}_set.json cannot be read beyond record {record.number} ({record.why}): {printable(record.text[:60])!r}"
        return error("file.damaged", text, "Upload the whole file again.", **self._where(feature), rejected=record.rejected)

    def _take(self, part: str, number: int, record: dict[str, Any]) -> Iterator[Finding]:
        idx = record.get("idx")
        feature = printable(f"{part}/{idx}" if isinstance(idx, str | int) and str(idx).strip() else f"{part}/#{number}")
        if feature in self.seen:
            yield warning("id.duplicate", f"{feature} comes more than once.", "Give every element its own id.", **self._where(feature))
        self.seen.add(feature)
        try:
            shape = _shape(part, record, self.offset)
        except ValueError as why:
            text = f"The geometry of {feature} cannot be used: {why}."
            yield error("geometry.refused", text, "Repair the geometry.", **self._where(feature), rejected=1)
            return
        named = _named(record)
        yield from self._dangling(feature, named)
        source: dict[str, Any] = {"layer": f"{part}_set"}
        body = None if shape is None else _wkb(shape)
        if body is None:
            by = next((name for names in named.values() for name in names if name in self.known.shapes), None)
            if by is not None:
                self._lend(len(self.known.shapes[by]), by)
                body = _wkb(_moved(shapely.from_wkb(self.known.shapes[by]), self.offset))
                source["placed_by"] = by
        own = {key: value for key, value in record.items() if shape is None or key != ("points" if "points" in record else "point")}
        own = {("@source#" if key == "@source" else key): value for key, value in own.items()}
        text = json.dumps(plain({**own, "@source": source}), ensure_ascii=False)
        if not is_text(text):
            yield warning(
                "text.damaged",
                f"{feature}: bytes that mean no letter of UTF-8; only these were replaced.",
                "Save the file as UTF-8.",
                **self._where(feature),
            )
            text = without_halves(text)
        self.rows.append((feature, str(_kind(part, record)), body, text))
        self.size += len(text) + len(body or b"")

    def _lend(self, size: int, name: str) -> None:
        """Count what is placed by others: a small file must not become an enormous one. Raises: Invalid: `mgeo.repeats`."""
        self.lent += size
        if self.lent > FREE_BYTES + MOST_REPEATS * self.known.size:
            text = f"The shapes of {self.known.file} are taken over {MOST_REPEATS} times by what has none; {name} is one of them."
            raise Invalid("mgeo.repeats", text, file=self.known.file)

    def _dangling(self, feature: str, named: Mapping[str, list[str]]) -> Iterator[Finding]:
        missing = []
        for key, names in named.items():
            lists = _REFERENCES[key]
            ids = dict.fromkeys(name.split("/", 1)[1] for name in names)
            missing += [f"{lists[0]}/{one}" for one in ids if not any(f"{part}/{one}" in self.known.names for part in lists)]
        if missing:
            text = f"{feature} refers to {', '.join(missing[:5])}, which the map does not hold."
            fix = "Upload the whole folder of the map."
            yield info("reference.dangling", text, fix, value=missing[0], **self._where(feature))

    def _batch(self) -> Batch:
        rows, self.rows, self.size = self.rows, [], 0
        names, kinds, bodies, texts = zip(*rows, strict=True)
        columns = {"feature_id": names, "kind": kinds, "properties": texts}
        table = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
        table = table.append_column("geometry", pa.array(bodies, pa.binary()))
        return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table, self.crs)


def _kind(part: str, record: Mapping[str, Any]) -> Kind:
    if part == "link":
        return _LINKS.get(str(record.get("link_type")), Kind.LANE_CENTRE)
    codes = record.get("lane_type")
    if part in ("lane_boundary", "lane_marking") and _STOP_LINE in map(str, codes if isinstance(codes, list) else [codes]):
        return Kind.STOP_LINE
    return _KINDS[part] if part in _KINDS else kind_of_words(part)


def _shape(part: str, record: Mapping[str, Any], offset: NDArray[np.float64]) -> shapely.Geometry | None:
    """The shape of a record; None when it has no points. Raises: ValueError: its points are none."""
    given = record.get("points", record.get("point"))
    if given is None or given == []:
        return None
    try:
        points = np.array(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its points are no numbers") from None
    points = points.reshape(1, -1) if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise ValueError("its points are not [x, y, z]")
    points = points + offset[: points.shape[1]]
    with np.errstate(invalid="ignore"):  # what is no number is looked for later
        if len(points) == 1:
            return shapely.Point(points[0])
        if part in _AREAS and len(points) > 2 and np.isfinite(points).all():
            return shapely.Polygon(points)
        return shapely.LineString(points)


def _moved(shape: shapely.Geometry, offset: NDArray[np.float64]) -> shapely.Geometry:
    return shapely.transform(shape, lambda at: at + offset[: at.shape[1]], include_z=bool(shapely.has_z(shape)))


def _wkb(shape: shapely.Geometry) -> bytes:
    made: bytes = shapely.to_wkb(shape, flavor="iso", byte_order=1)
    return made


def _named(record: Mapping[str, Any]) -> dict[str, list[str]]:
    """The records that members of a record name, in each list in which they may be."""
    found: dict[str, list[str]] = {}
    for key, lists in _REFERENCES.items():
        value = record.get(key)
        ids = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str | int) and str(one)]
        if ids:
            found[key] = [f"{part}/{one}" for one in ids for part in lists]
    return found
