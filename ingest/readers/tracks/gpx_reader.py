"""GPX files: tracks with times are a recording without pictures; way points, routes and tracks without times are features.

A file is read twice: once for where the receiver was, once for the messages. Each point of a track is a NavSatFix; what else stands in
it (precision, extensions) goes along as a text beside it. GPX does not state above what its heights are: they stay as they are, and the
seller is asked.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from ingest.findings import error, info, warning
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.recordings.track import Track
from ingest.readers.tracks.gpx import GpxDocument, GpxLine, GpxPoint, number, time_ns
from ingest.readers.tracks.messages import FIX, TEXT, TrackRows, about, is_place, nav_sat_fix, text_message
from ingest.readers.vector.layer import BATCH_ROWS, LayerRows
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, LayerKind

_FIX, _POINT = "/fix", "/gpx/point"
_EXAMPLES = 20
NAMES = {"wpt": "waypoints", "rte": "routes", "trk": "tracks"}


@dataclass(slots=True)
class _TrackSeen:
    """What the first pass finds: where the receiver was, and which segments of the file are recordings."""

    track: Track = field(default_factory=Track)
    timed: Counter[tuple[int, int]] = field(default_factory=Counter)
    points: Counter[tuple[int, int]] = field(default_factory=Counter)
    metadata: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    has_more: bool = False

    def is_recorded(self, point: GpxPoint) -> bool:
        """Whether most points of its segment have a time."""
        segment = point.line, point.segment
        return point.kind == "trk" and self.timed[segment] * 2 > self.points[segment]


class Gpx:
    """The reader of GPX files."""

    format = "gpx"
    layer = "recording"
    kind = LayerKind.RECORDING
    content = Content.FRAMES

    def survey(self, source: Source, given: Placement) -> Survey:
        """GPX is in WGS 84."""
        return Survey(self.format, (self.layer,), None, resolve.resolve("OGC:CRS84", given))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """The recording, then the features."""
        path = source.files[0]
        seen, broken, damaged = _look(path, source.name)
        if not sum(seen.points.values()):
            raise Invalid("file.no_records", f"{source.name} holds no point of a track, route or way. {broken}".strip(), file=source.name)
        features = _Features(source.name, placed.crs or "EPSG:4326")
        yield from _recording(path, source.name, seen, features)
        yield from features.rest()
        if broken:
            text = f"{source.name} ends early or is not well-formed XML ({broken}); what came before was kept."
            yield error("file.damaged", text, "Upload the whole file again.", file=source.name, layer=self.layer)
        if damaged:
            text = f"{source.name} holds bytes that mean no letter, or characters that XML does not allow; only these were replaced."
            yield warning("text.damaged", text, "Write the file in the encoding that it states.", file=source.name, layer=self.layer)


def _look(path: Path, name: str) -> tuple[_TrackSeen, str, bool]:
    """The first pass."""
    seen, document = _TrackSeen(), GpxDocument(path, name)
    for item in document.items():
        if isinstance(item, GpxLine):
            if item.kind == "trk" and item.members:
                seen.lines.append({"track": str(item.line), **item.members})
            continue
        segment, t_ns = (item.line, item.segment), time_ns(item.members.get("time"))
        seen.points[segment] += 1
        seen.timed[segment] += t_ns is not None
        lon, lat = number(item.lon), number(item.lat)
        if item.kind == "trk" and t_ns is not None and is_place(lon, lat):
            seen.track.add(t_ns, lon, lat, number(item.members.get("ele")))
    seen.metadata = document.metadata
    return seen, document.broken, document.is_damaged


def _recording(path: Path, name: str, seen: _TrackSeen, features: _Features) -> Iterator[Batch | Finding]:
    """The messages of timed tracks in batches; all other points go to the features."""
    beside = [_record("gpx", seen.metadata), *(_record("track", line) for line in seen.lines)]
    rows = TrackRows("recording", seen.track, about(((_FIX, FIX), (_POINT, TEXT)), [one for one in beside if one["metadata"]]))
    untimed = outside = texts = 0
    for item in GpxDocument(path, name).items():
        if isinstance(item, GpxLine) or not seen.is_recorded(item):
            yield from features.take(item)
            continue
        t_ns, lon, lat = time_ns(item.members.get("time")), number(item.lon), number(item.lat)
        if t_ns is None or not is_place(lon, lat):
            untimed, outside = untimed + (t_ns is None), outside + (t_ns is not None)
            continue
        h = number(item.members.get("ele"))
        rows.add(t_ns, 0, _FIX, nav_sat_fix(t_ns, f"track {item.line}", (lon, lat, h)), is_fix=True)
        more = {key: value for key, value in item.members.items() if key != "time" and not (key == "ele" and math.isfinite(h))}
        if more:
            rows.add(t_ns, 1, _POINT, text_message(json.dumps(more, ensure_ascii=False)))
            texts += 1
        if rows.is_full:
            yield rows.batch()
    if rows.rows:
        yield rows.batch()
    yield from _about(name, untimed, outside, texts)


def _about(name: str, untimed: int, outside: int, texts: int) -> Iterator[Finding]:
    where = {"file": name, "layer": "recording"}
    if texts:
        text = (
            f"{texts} points hold more than place, height and time; a text ({_POINT}) beside each of them holds it, and counts as a record."
        )
        yield info("track.more", text, "Nothing to do.", count=texts, **where)
    if untimed:
        text = f"{untimed} points of tracks have no time (or not one of 1970 to 2037), others of their segment have; they were left out."
        yield warning("track.no_time", text, "Check the clock of the receiver.", count=untimed, rejected=untimed, **where)
    if outside:
        text = f"{outside} points of tracks have no place: not a number, outside of the world, or exactly 0, 0."
        yield warning("track.no_place", text, "Check where the receiver had no fix.", count=outside, rejected=outside, **where)


def _record(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """A metadata record of a recording: all values as text."""
    texts = {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    return {"name": name, "metadata": texts}


@dataclass(slots=True)
class _Features:
    """Points, routes and tracks without times on their way into batches of features."""

    file: str
    crs: str
    waiting: dict[str, list[tuple[str, Any, dict[str, Any], dict[str, Any]]]] = field(default_factory=dict)
    layers: dict[str, LayerRows] = field(default_factory=dict)
    segments: dict[tuple[int, int], list[GpxPoint]] = field(default_factory=dict)

    def take(self, item: GpxPoint | GpxLine) -> Iterator[Batch | Finding]:
        """Take a way point, a point of a line, or the end of a line in."""
        if isinstance(item, GpxLine):
            for (line, segment), points in sorted(self.segments.items()):
                name = f"{item.kind}/{line}" + (f"/{segment}" if item.kind == "trk" else "")
                yield from self._add(item.kind, name, _shape(points), item.members, _extras(points))
            self.segments = {}
        elif item.kind == "wpt":
            yield from self._add("wpt", f"wpt/{item.line}", _shape([item]), item.members, {})
        else:
            self.segments.setdefault((item.line, item.segment), []).append(item)

    def rest(self) -> Iterator[Batch | Finding]:
        """What waits, and what is to be reported."""
        if self.segments:  # the file ends inside of a line
            (first, *_) = next(iter(self.segments.values()))
            yield from self.take(GpxLine(first.kind, first.line, {}))
        for kind in list(self.waiting):
            yield from self._batch(kind)
        for layer in self.layers.values():
            if layer.rows:
                text = f"{layer.rows} {layer.name} have no times; they are sold as features of kind 'other'."
                yield info("track.features", text, "Nothing to do.", file=self.file, layer="hdmap", count=layer.rows, value=layer.name)

    def _add(self, kind: str, name: str, shape: Any, members: dict[str, Any], source: dict[str, Any]) -> Iterator[Batch | Finding]:
        rows = self.waiting.setdefault(kind, [])
        rows.append((name, shape, members, source))
        if len(rows) >= BATCH_ROWS // 16:
            yield from self._batch(kind)

    def _batch(self, kind: str) -> Iterator[Batch | Finding]:
        rows = self.waiting.pop(kind)
        layer = self.layers.setdefault(kind, LayerRows(NAMES[kind], self.crs, self.file))
        names = list(dict.fromkeys(key for _, _, members, _ in rows for key in members))
        columns = {key: pa.array([_json(members.get(key)) for _, _, members, _ in rows], pa.string()).cast(pa.json_()) for key in names}
        points = [_json(source or None) for _, _, _, source in rows]
        if any(point is not None for point in points):
            columns["points"] = pa.array(points, pa.string()).cast(pa.json_())
        table = pa.table(columns) if columns else pa.table({"name": pa.nulls(len(rows), pa.string())})
        shapes = pa.array([None if shape is None else shapely.to_wkb(shape, flavor="iso") for _, shape, _, _ in rows], pa.binary())
        yield from layer.batches(table, shapes, ids=pa.array([name for name, _, _, _ in rows], pa.string()))


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _extras(points: list[GpxPoint]) -> dict[str, Any]:
    """What stands in single points of a line beside their height, by their number."""
    return {str(n): more for n, point in enumerate(points) if (more := {k: v for k, v in point.members.items() if k != "ele"})}


def _shape(points: list[GpxPoint]) -> Any:
    """A point or a line, with heights where all points have one; None where a coordinate is not a number."""
    places = np.array([[number(point.lon), number(point.lat), number(point.members.get("ele"))] for point in points])
    if not np.isfinite(places[:, :2]).all():
        return None
    flat = places if np.isfinite(places[:, 2]).all() else places[:, :2]
    return shapely.Point(flat[0]) if len(flat) == 1 else shapely.LineString(flat)
