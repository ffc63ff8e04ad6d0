"""From sources to tiles, inside the cage: read, screen, report on quality, split, encode; in bounded memory, counting everything.

What it emits (JSON lines; checked outside by `ingest.cage.answer`, never believed): `progress` now and then, one `tile` a written file,
and at the end of each source one `report` {format, layers, findings, counts} or what made it unreadable (`failed`), with its `part` and
with its name where it is in a zip (`inside`). `read` = `placed` + `unplaced` + `rejected` holds for each layer.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely

from ingest.checks.quality import Quality
from ingest.checks.screen import misfit_of, no_shapes, screen
from ingest.findings import FindingLog, error, info, question, unproven
from ingest.fingerprint import Fingerprint
from ingest.placing import resolve
from ingest.placing.move import accuracy_m, shapes_of
from ingest.reader import Placed, Reader, Source, Survey
from ingest.readers.sniff import reader_for
from ingest.tasks.entries import Entry, entries
from ingest.tasks.layers import LayerState
from mapex.catalogue.finding import Finding, Severity
from mapex.errors import MapexError
from mapex.intake.placement import Known, Placement
from tiles.batch import PLACING, Batch, Content, EncodedTile, LayerKind, Quantities
from tiles.errors import TilesError
from tiles.formats import Splitter

if TYPE_CHECKING:
    from ingest.tasks.sketch import Sketch

Emit = Callable[[Mapping[str, Any]], None]

_PROGRESS_S = 0.5
_TEXT = 1500
_NAME = 250
_OWN_PLACE = frozenset({"lanelet2", "osm", "mcap", "photos", "rosbag1", "rosbag2", "video", "gpx", "nmea", "kml"})
"""Formats that state longitude and latitude themselves, so that no other system could be named for them."""


@dataclass(slots=True)
class Conversion:
    """One source on its way through the cage. `out` is where tiles go, None for a dry run (`inspect`).

    `folders`: names of the folders that a local file is in, for what they state about place and height.
    """

    source: Source
    reader: Reader
    survey: Survey
    part: int
    emit: Emit
    out: Path | None
    quality: Quality
    sketch: Sketch | None = None
    folders: tuple[str, ...] = ()
    log: FindingLog = field(default_factory=FindingLog)
    judged: bool = False
    layers: dict[str, LayerState] = field(default_factory=dict)
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    _stated: str | None = None
    _reported_s: float = 0.0

    @property
    def placed(self) -> Placed:
        """Where the source is."""
        return self.survey.placed

    def run(self) -> dict[str, Any]:
        """Read all, write the tiles, and return the report."""
        for finding in self._before():
            self._note(finding)
        if self.out is not None and self.reader.format == "las" and self.placed.is_known:
            self._split_whole(self.out)
        else:
            self._read_all()
            self._finish()
        return self._report()

    def _before(self) -> Iterable[Finding]:
        """What the survey found; and what is to be reported about the placement, where the reader has not done so."""
        yield from self.survey.findings
        if not any(finding.code.startswith("crs.") for finding in self.survey.findings):
            yield from resolve.findings(self.placed, file=self.source.name)
        if self.survey.licence is not None:
            yield resolve.about_licence(self.survey.licence, self.source.name)
        if self.reader.format not in _OWN_PLACE:
            yield from resolve.other_name(self.placed, (*self.folders, *self.source.names), file=self.source.name)

    def _note(self, finding: Finding) -> None:
        self.log.add(finding)
        if finding.rejected:
            state = self._layer(finding.layer or self.reader.layer, self.reader.kind, self.reader.content)
            state.read += finding.rejected
            state.rejected += finding.rejected

    def _note_all(self, found: Iterable[Finding]) -> None:
        """Take findings in whose rejected records are counted by their layer already."""
        for finding in found:
            self.log.add(finding)

    def _layer(self, name: str, kind: LayerKind, content: Content) -> LayerState:
        return self.layers.setdefault(name, LayerState(name, kind, content))

    def _read_all(self) -> None:
        for entry in self.reader.read(self.source, self.placed):
            if isinstance(entry, Finding):
                self._note(entry)
            else:
                self._take(entry)
            self._progress("read", sum(state.read for state in self.layers.values()), self.survey.claimed or 0)
        self._note_all(self.quality.finish())

    def _take(self, batch: Batch) -> None:
        state = self._layer(batch.layer, batch.kind, batch.content)
        state.see(batch)
        self._judge(batch)
        if not self.placed.is_known:
            state.keep_unplaced(batch)
            return
        screened = screen(batch, self.placed, file=self.source.name)
        self._note_all(screened.findings)
        state.keep(screened)
        self._note_all(self.quality.look(screened.batch, screened.shapes))
        if batch.content is Content.FEATURES:
            self.fingerprint += Fingerprint.of_features(screened.batch.table.column("kind"), screened.shapes)
        if self.sketch is not None:
            self.sketch.add(screened.batch)
        if self.out is not None:
            state.split(self._stating(screened.batch), self.out, self.part)

    def _judge(self, batch: Batch) -> None:
        """The first coordinates tell whether the stated system can be meant: if not, it is not used, and the seller is asked."""
        if self.judged or not self.placed.is_known or self.reader.format in _OWN_PLACE:
            return
        shapes = shapes_of(batch.table.column("geometry")) if batch.content is Content.FEATURES else no_shapes()
        self.judged = batch.content is not Content.FEATURES or bool((~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)).any())
        misfit = misfit_of(batch, shapes, self.placed)
        if misfit is not None and misfit.asks:
            self._note(resolve.contradiction(misfit.text, self.placed, file=self.source.name, layer=batch.layer))
            self.survey = replace(self.survey, placed=resolve.unplaced(self.placed, misfit.text))

    def _stating(self, batch: Batch) -> Batch:
        """The batch with what each of its tiles states of the place of the source."""
        placing = self._placing()
        return replace(batch, meta={**batch.meta, PLACING: placing}) if placing else batch

    def _placing(self) -> str:
        if self._stated is None:
            found = resolve.stated_in_tiles(self.placed, self.survey.licence)
            self._stated = json.dumps(found, sort_keys=True, ensure_ascii=False) if found else ""
        return self._stated

    def _finish(self) -> None:
        for _, state in sorted(self.layers.items()):
            if state.splitter is not None:
                tiles = list(state.splitter.finish())
                self._left_out(state, state.splitter)
                self._remarked(state, state.splitter)
                self._tiles(state, tiles)

    def _remarked(self, state: LayerState, splitter: Splitter) -> None:
        """What the splitter had to do to records that it kept."""
        for one in splitter.remarks:
            self.log.add(info(one.code, one.message, file=self.source.name, layer=state.name, count=one.count))

    def _left_out(self, state: LayerState, splitter: Splitter) -> None:
        """What the splitter could not put into any cell: broken geometry, or off the grid."""
        rejected, unplaced = splitter.rejected, splitter.unplaced
        state.placed -= rejected + unplaced
        state.rejected += rejected
        state.unplaced += unplaced
        where = {"file": self.source.name, "layer": state.name}
        named = splitter.misfits[:20]
        for misfit in named:
            about = {"feature": misfit.feature_id, "count": misfit.count, "rejected": misfit.count, **where}
            if state.content is Content.FRAMES:
                self.log.add(question(misfit.code, misfit.message, "Confirm it: what is left can be sold.", **about))
            else:
                self.log.add(error(misfit.code, misfit.message, "Mend the geometry.", **about))
        more = rejected - sum(misfit.count for misfit in named)
        if more > 0:
            text = f"{more} records could not be put into any cell."
            self.log.add(error("geometry.unusable", text, "Check geometry and CRS.", count=more, rejected=more, **where))

    def _split_whole(self, out: Path) -> None:
        """LAS and LAZ: the tiles are cut from the file itself, and the points are counted where they arrive."""
        from ingest.readers.cloud.cloud import file_of
        from tiles.points.las_split import split_laz
        from tiles.points.records import SplitCounts

        assert self.placed.crs is not None  # noqa: S101 - the caller asked
        counts = SplitCounts()
        state = self._layer(self.reader.layer, self.reader.kind, Content.POINTS)
        path = file_of(self.source, ".las", ".laz").path
        crs, placing = self.placed.crs, self._placing()
        tiles = split_laz(path, out, layer=state.name, part=self.part, crs=crs, processes=1, counts=counts, placing=placing)
        written = list(tiles)
        self._look_at_head(path, state)
        state.heights |= counts.placed > 0
        state.read += counts.placed + counts.rejected
        state.placed += counts.placed
        state.rejected += counts.rejected
        where = {"file": self.source.name, "layer": state.name}
        if counts.rejected:
            text = f"{counts.rejected} points have no place on the grid ({counts.first_rejected})."
            self.log.add(error("points.out_of_range", text, "Check the CRS.", count=counts.rejected, rejected=counts.rejected, **where))
        if counts.lost:
            text = f"The header promises {counts.claimed} points, {counts.lost} of them are not there or unreadable ({counts.fault})."
            fix = "The file was cut or damaged: export or upload it again."
            self.log.add(error("points.missing", text, fix, count=counts.lost, **where))
        self._tiles(state, written)

    def _look_at_head(self, path: Path, state: LayerState) -> None:
        """What of a LAS header may be a picture; its points are looked at where all are unpacked, when the tiles are recounted."""
        from tiles.points.header import read_header
        from tiles.points.las_proof import of_header

        with path.open("rb") as stream:
            for doubt in of_header(read_header(stream)):
                state.found.add(*doubt)

    def _tiles(self, state: LayerState, tiles: Iterable[EncodedTile]) -> None:
        written = Quantities()
        for number, tile in enumerate(tiles, 1):
            self.emit({"tile": {**asdict(tile), "bbox": list(tile.bbox)}})
            written += tile.quantities
            state.widen(tile.bbox)
            self._progress("tile", number, 0)
        owned = written.owned(state.content)
        if owned != state.placed:
            text = f"{state.placed} records of layer {state.name} were placed, but the tiles own {owned}: the split lost or doubled some."
            fix = "This is a fault of mapex: report it to the operator."
            self.log.add(error("counts.split", text, fix, file=self.source.name, layer=state.name))

    def _progress(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._reported_s >= _PROGRESS_S:
            self._reported_s = now
            found = {"errors": self.log.count(Severity.ERROR), "warnings": self.log.count(Severity.WARNING)}
            self.emit({"progress": {"stage": stage, "done": done, "total": total, "file": self.source.name, **found}})

    def _report(self) -> dict[str, Any]:
        if not any(state.read for state in self.layers.values()) and not self.log.count(Severity.ERROR):
            fix = "Check the file; nothing in it can be sold."
            self.log.add(error("file.no_records", f"{self.source.name} holds no records.", fix, file=self.source.name))
        if self.placed.height_source is Known.NONE:
            for name, state in sorted(self.layers.items()):
                if state.heights:
                    self.log.add(resolve.without_datum(name, self.source.name))
        for name, state in sorted(self.layers.items()):
            for doubt in state.doubts():
                self.log.add(unproven(doubt, file=self.source.name, layer=name))
        self.fingerprint += sum((state.fingerprint() for state in self.layers.values()), Fingerprint())
        return {
            "format": self.reader.format,
            "name": self.source.name,
            "crs": self.placed.crs,
            "crs_source": str(self.placed.crs_source),
            "height_datum": self.placed.height_datum,
            "height_source": str(self.placed.height_source),
            "note": self.placed.note[:_TEXT],
            "accuracy_m": accuracy_m(self.placed.crs) if self.placed.crs else None,
            "layers": {name: state.as_json() for name, state in sorted(self.layers.items())},
            "findings": [_clipped(finding) for finding in self.log.all()],
            "fingerprint": asdict(self.fingerprint),
        }


def _clipped(finding: Finding) -> dict[str, Any]:
    """A finding as JSON, its texts cut to what the check outside lets pass: a file may hold a property of any length."""
    record: dict[str, Any] = {name: value[:_TEXT] if isinstance(value, str) else value for name, value in finding.as_json().items()}
    for axis in ("lon", "lat"):
        if record[axis] is not None and not math.isfinite(record[axis]):
            record[axis] = None
    return record


def start(entry: Entry, part: int, request: Mapping[str, Any], emit: Emit, sketch: Sketch | None = None) -> Conversion:
    """Open one source of a request and ask its reader what it is."""
    entry.refuse_zip()
    source = entry.source
    reader = reader_for(source)
    survey = reader.survey(source, Placement.from_json(request["placement"]))
    folders = tuple(request.get("folders", ()))
    survey = replace(survey, placed=resolve.with_names(survey.placed, (*folders, *source.names)))
    emit({"progress": {"stage": "read", "done": 0, "total": survey.claimed or 0, "file": source.name}})
    out = Path(request["writes"]) if request["do"] == "convert" else None
    conversion = Conversion(source, reader, survey, part, emit, out, Quality(source.name), sketch, folders)
    for finding in entry.findings:
        conversion.log.add(finding)
    return conversion


def convert(request: Mapping[str, Any], emit: Emit) -> None:
    """The caged task `convert`: request {sources: [{name, part}], step, placement} -> lines of `progress`, `tile`, `report`, `failed`.

    What more a zip holds is numbered part + step, part + 2 * step and so on, so that no two sources of an upload have the same part.
    """
    _read_all(request, emit)


def inspect(request: Mapping[str, Any], emit: Emit) -> None:
    """The caged task `inspect`: reads all, writes no tile; with request["picture"] a `picture.png` of where it is."""
    if request["picture"]:
        from ingest.tasks.sketch import Sketch

        sketch = Sketch()
        _read_all(request, emit, sketch)
        sketch.draw(Path(request["writes"]) / "picture.png")
    else:
        _read_all(request, emit)


def _read_all(request: Mapping[str, Any], emit: Emit, sketch: Sketch | None = None) -> None:
    """One source after another; one that is refused takes no other along."""
    scratch = Path(request["writes"]) / ".unpacked"
    for path, asked in zip(request["reads"], request["sources"], strict=True):
        about: dict[str, Any] = {"part": asked["part"]}
        own = {**request, "folders": asked.get("folders", ())}
        try:
            for number, entry in enumerate(entries(Path(path), asked["name"], scratch / str(asked["part"]), asked.get("labels", {}))):
                about = {"part": asked["part"] + number * request["step"], "inside": entry.inside[:_NAME]}
                _read_one(entry, about, own, emit, sketch)
        except (MapexError, TilesError) as why:
            emit({**about, "failed": failure_of(why)})
        shutil.rmtree(scratch, ignore_errors=True)


def _read_one(entry: Entry, about: Mapping[str, Any], request: Mapping[str, Any], emit: Emit, sketch: Sketch | None) -> None:
    try:
        emit({**about, "report": start(entry, about["part"], request, emit, sketch).run()})
    except (MapexError, TilesError) as why:
        emit({**about, "failed": failure_of(why)})


def failure_of(why: MapexError | TilesError) -> dict[str, str]:
    """What made a source unreadable, as the answer of the cage states it."""
    return {"code": why.code, "message": why.message[:_TEXT]}
