"""From one source to tiles, inside the cage: read, place, check, split, encode; in bounded memory, counting everything.

What it emits (JSON lines; checked outside by `ingest.cage.answer`, never believed): `progress` now and then, one `tile` a written file,
and at the end one `report` {format, layers, findings, counts}. `read` = `placed` + `unplaced` + `rejected` holds for each layer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.checks.quality import Checker
from ingest.checks.screen import check
from ingest.findings import FindingLog, error
from ingest.reader import Placed, Reader, Source, Survey
from ingest.readers.choose import reader_for
from ingest.tasks.unpack import is_zip, unpack
from mapex.catalogue.draft import Counts
from mapex.catalogue.finding import Finding, Severity
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, EncodedTile, LayerKind, Quantities
from tiles.box import Box
from tiles.formats import Splitter, of_kind

if TYPE_CHECKING:
    from ingest.tasks.sketch import Sketch

Emit = Callable[[Mapping[str, Any]], None]

_PROGRESS_S = 0.5
_TEXT = 1500


@dataclass(slots=True)
class LayerState:
    """One layer while it is read."""

    kind: LayerKind
    content: Content
    read: int = 0
    placed: int = 0
    unplaced: int = 0
    rejected: int = 0
    box: Box | None = None
    own: tuple[float, float, float, float] | None = None
    footage: bool = False
    first_ns: int | None = None
    last_ns: int | None = None
    splitter: Splitter | None = None

    def widen(self, box: Box | None) -> None:
        """Take a box into the layer's own, which never runs over the 180 degree meridian."""
        for half in box.halves() if box is not None else ():
            self.box = self.box.joined(half) if self.box is not None else half

    def stretch(self, batch: Batch) -> None:
        """Take the numbers of an unplaced batch into the layer's own box (least x, least y, greatest x, greatest y)."""
        low, high = _extent(batch)
        if all(map(math.isfinite, (*low, *high))):
            old = self.own or (*low, *high)
            self.own = (min(old[0], low[0]), min(old[1], low[1]), max(old[2], high[0]), max(old[3], high[1]))

    def span(self, times: tuple[int, int] | None) -> None:
        """Take a span of UTC nanoseconds in."""
        if times is not None:
            self.first_ns = times[0] if self.first_ns is None else min(self.first_ns, times[0])
            self.last_ns = times[1] if self.last_ns is None else max(self.last_ns, times[1])


@dataclass(slots=True)
class Flow:
    """One source on its way through the cage. `out` is where tiles go, None for a dry run (`inspect`)."""

    source: Source
    reader: Reader
    survey: Survey
    part: int
    emit: Emit
    out: Path | None
    scratch: Path
    sketch: Sketch | None = None
    log: FindingLog = field(default_factory=FindingLog)
    layers: dict[str, LayerState] = field(default_factory=dict)
    checker: Checker = field(default_factory=Checker)
    _told: float = 0.0

    @property
    def placed(self) -> Placed:
        """Where the source lies."""
        return self.survey.placed

    def through(self) -> dict[str, Any]:
        """Read all, write the tiles, and return the report."""
        for finding in self._said():
            self._note(finding)
        if self.out is not None and self.reader.format == "las" and self.placed.is_known:
            self._split_whole()
        else:
            self._read_all()
            self._finish()
        return self._report()

    def _said(self) -> Iterable[Finding]:
        """What the survey found; and what the placement leaves to be said, where the reader has not said it."""
        from ingest.placing import resolve

        yield from self.survey.findings
        if not any(finding.code.startswith("crs.") for finding in self.survey.findings):
            yield from resolve.findings(self.placed, file=self.source.name)

    def _note(self, finding: Finding) -> None:
        self.log.add(finding)
        if finding.rejected:
            state = self._layer(finding.layer or self.reader.layer, self.reader.kind, self.reader.content)
            state.read += finding.rejected
            state.rejected += finding.rejected

    def _layer(self, name: str, kind: LayerKind, content: Content) -> LayerState:
        return self.layers.setdefault(name, LayerState(kind, content))

    def _read_all(self) -> None:
        for entry in self.reader.read(self.source, self.placed):
            if isinstance(entry, Finding):
                self._note(entry)
            else:
                self._take(entry)
            self._tell("read", sum(state.read for state in self.layers.values()), self.survey.claimed or 0)
        for finding in self.checker.finish():
            self.log.add(finding)

    def _take(self, batch: Batch) -> None:
        from ingest.placing.resolve import settle

        state = self._layer(batch.layer, batch.kind, batch.content)
        state.read += batch.table.num_rows
        state.footage |= batch.content is Content.FRAMES and batch.meta.get("footage") != "no"
        if not self.placed.is_known:
            state.unplaced += batch.table.num_rows
            state.stretch(batch)
            return
        settled, found = settle(batch, self.placed, file=self.source.name)
        checked = check(settled, self.source.name)
        for finding in (*found, *checked.findings):
            self.log.add(finding)
        state.rejected += sum(finding.rejected for finding in found)
        state.placed += checked.batch.table.num_rows
        state.unplaced += checked.unplaced
        state.rejected += checked.rejected
        state.widen(checked.box)
        state.span(checked.times)
        for finding in self.checker.check(checked.batch):
            self.log.add(finding)
        if self.sketch is not None:
            self.sketch.add(checked.batch)
        if self.out is not None and checked.batch.table.num_rows:
            if state.splitter is None:
                state.splitter = of_kind(checked.batch.kind).open_splitter(self.out, checked.batch, self.part)
            state.splitter.add(checked.batch)

    def _finish(self) -> None:
        for name, state in sorted(self.layers.items()):
            if state.splitter is not None:
                tiles = list(state.splitter.finish())
                self._left_out(name, state, state.splitter)
                self._tiles(name, state, tiles)

    def _left_out(self, name: str, state: LayerState, splitter: Splitter) -> None:
        """What the splitter could not put into any cell: broken geometry, or off the grid."""
        rejected, unplaced = splitter.rejected, splitter.unplaced
        state.placed -= rejected + unplaced
        state.rejected += rejected
        state.unplaced += unplaced
        where = {"file": self.source.name, "layer": name}
        told = 0
        for misfit in splitter.misfits[:20]:
            self.log.add(error(misfit.code, misfit.message, "Mend the geometry.", feature=misfit.feature_id, rejected=1, **where))
            told += 1
        if rejected > told:
            text = f"{rejected - told} records could not be put into any cell."
            self.log.add(
                error("geometry.unusable", text, "Check geometry and CRS.", count=rejected - told, rejected=rejected - told, **where)
            )

    def _split_whole(self) -> None:
        """LAS and LAZ: the tiles are cut from the file itself, and the points are counted where they arrive."""
        from ingest.readers.cloud.cloud import file_of
        from tiles.points.las_split import split_laz
        from tiles.points.records import SplitCounts

        assert self.out is not None  # noqa: S101 - the caller asked
        assert self.placed.crs is not None  # noqa: S101 - the caller asked
        name, counts = self.reader.layer, SplitCounts()
        state = self._layer(name, self.reader.kind, Content.POINTS)
        path = file_of(self.source, ".las", ".laz").path
        tiles = split_laz(path, self.out, layer=name, part=self.part, crs=self.placed.crs, processes=1, counts=counts)
        written = list(tiles)
        state.read += counts.placed + counts.rejected
        state.placed += counts.placed
        state.rejected += counts.rejected
        where = {"file": self.source.name, "layer": name}
        if counts.rejected:
            text = f"{counts.rejected} points have no place on the grid ({counts.first_rejected})."
            self.log.add(error("points.out_of_range", text, "Check the CRS.", count=counts.rejected, rejected=counts.rejected, **where))
        if counts.lost:
            text = f"The header promises {counts.claimed} points, {counts.lost} of them are not there or unreadable ({counts.fault})."
            self.log.add(
                error("points.missing", text, "The file was cut or damaged: export or upload it again.", count=counts.lost, **where)
            )
        self._tiles(name, state, written)

    def _tiles(self, name: str, state: LayerState, tiles: Iterable[EncodedTile]) -> None:
        written = Quantities()
        for number, tile in enumerate(tiles, 1):
            self.emit({"tile": {**asdict(tile), "bbox": list(tile.bbox)}})
            written += tile.quantities
            state.widen(tile.bbox)
            self._tell("tile", number, 0)
        owned = written.owned(state.content)
        if owned != state.placed:
            text = f"{state.placed} records of layer {name} were placed, but the tiles own {owned}: the split lost or doubled some."
            self.log.add(error("counts.split", text, "This is a fault of mapex: tell the operator.", file=self.source.name, layer=name))

    def _tell(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told >= _PROGRESS_S:
            self._told = now
            found = {"errors": self.log.count(Severity.ERROR), "warnings": self.log.count(Severity.WARNING)}
            self.emit({"progress": {"stage": stage, "done": done, "total": total, "file": self.source.name, **found}})

    def _report(self) -> dict[str, Any]:
        if not any(state.read for state in self.layers.values()) and not any(f.severity == "error" for f in self.log.all()):
            fix = "Check the file; nothing in it can be sold."
            self.log.add(error("file.no_records", f"{self.source.name} holds no records.", fix, file=self.source.name))
        return {
            "format": self.reader.format,
            "name": self.source.name,
            "crs": self.placed.crs,
            "crs_source": str(self.placed.crs_source),
            "height_datum": self.placed.height_datum,
            "height_source": str(self.placed.height_source),
            "note": self.placed.note[:_TEXT],
            "layers": {name: _layer_json(state) for name, state in sorted(self.layers.items())},
            "findings": [_clipped(finding) for finding in self.log.all()],
        }


def _layer_json(state: LayerState) -> dict[str, Any]:
    box = list(state.box) if state.box is not None and all(map(math.isfinite, state.box)) else None
    return {
        "kind": str(state.kind),
        "content": str(state.content),
        "counts": asdict(Counts(state.read, state.placed, state.unplaced, state.rejected)),
        "box": box,
        "own": list(state.own) if state.own is not None else None,
        "footage": state.footage,
        "first_ns": state.first_ns,
        "last_ns": state.last_ns,
    }


def _extent(batch: Batch) -> tuple[tuple[float, float], tuple[float, float]]:
    """Least and greatest x and y of a batch as its source wrote them; not finite when it has none."""
    import numpy as np

    nothing = (math.nan, math.nan), (math.nan, math.nan)
    if batch.content is Content.FRAMES or not batch.table.num_rows:
        return nothing
    if batch.content is Content.POINTS:
        axes = [batch.table.column(name).to_numpy() for name in ("x", "y")]
    else:
        import shapely

        from ingest.placing.resolve import geometries

        coordinates = shapely.get_coordinates(geometries(batch.table.column("geometry")))
        axes = [coordinates[:, 0], coordinates[:, 1]]
    good = np.isfinite(axes[0]) & np.isfinite(axes[1])
    if not good.any():
        return nothing
    x, y = axes[0][good], axes[1][good]
    return (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))


def _clipped(finding: Finding) -> dict[str, Any]:
    """A finding as JSON, its texts cut to what the check outside lets pass: a file may hold a property of any length."""
    record: dict[str, Any] = {name: value[:_TEXT] if isinstance(value, str) else value for name, value in finding.as_json().items()}
    for axis in ("lon", "lat"):
        if record[axis] is not None and not math.isfinite(record[axis]):
            record[axis] = None
    return record


def start(request: Mapping[str, Any], emit: Emit, out: Path | None, scratch: Path, sketch: Sketch | None = None) -> Flow:
    """Open the source of a request (unpacking a zip) and ask its reader what it is."""
    path = Path(request["reads"])
    name = request["name"]
    source = unpack(path, name, scratch / ".unpacked") if is_zip(path) else Source.of(path, name)
    reader = reader_for(source)
    survey = reader.survey(source, Placement.from_json(request["placement"]))
    emit({"progress": {"stage": "read", "done": 0, "total": survey.claimed or 0, "file": name}})
    return Flow(source, reader, survey, int(request["part"]), emit, out, scratch, sketch, checker=Checker(name))


def convert(request: Mapping[str, Any], emit: Emit) -> None:
    """The caged task `convert`: request {name, part, placement} -> lines of `progress`, `tile`, and one `report`."""
    out = Path(request["writes"])
    emit({"report": start(request, emit, out, out).through()})


def inspect(request: Mapping[str, Any], emit: Emit) -> None:
    """The caged task `inspect`: reads all, writes no tile; with request["picture"] a `picture.png` of where it lies."""
    from ingest.tasks.sketch import Sketch

    out = Path(request["writes"])
    sketch = Sketch() if request["picture"] else None
    report = start(request, emit, None, out, sketch).through()
    if sketch is not None:
        sketch.draw(out / "picture.png")
    emit({"report": report})
