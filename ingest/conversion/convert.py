"""Sources to checked tiles, seen from outside: a cage that reads them, the check of its answer, and a second cage that recounts.

A `SourceTask` holds paths and words only, no secret, so that it may run on another machine that shares the work folder. Small sources
are read one after another in one cage (a bundle); when such a cage ends badly, each half of them is read again.
"""

from __future__ import annotations

import functools
import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from ingest.cage import answer, faults, launch
from ingest.cage.answer import SourceReport
from ingest.cage.child import MIB, Ending, Limits
from ingest.conversion.answers import Answers, failure
from ingest.conversion.layout import budget_s, limits_for
from ingest.conversion.recount import RecountAnswer, TileSet, raised, recount
from ingest.findings import error
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid, Unavailable
from mapex.intake.placement import Placement
from tiles.batch import EncodedTile, Quantities

log = logging.getLogger(__name__)

_LEAST_FREE = 32 * MIB


class Stopped(Exception):
    """The work was asked to stop (cancelled, or its lease was lost)."""


@dataclass(frozen=True, slots=True)
class SourceTask:
    """One source to convert. `reads` is a file, or a folder of the files of one source; `folder` is for this task alone.

    `step` is the number of sources that were sent; what more a zip holds has the parts `part` + `step`, `part` + 2 * `step`, ...
    `folders`: names of the folders of this machine that it is in. `labels`: what its files are called (`Source.labels`). `kept_free`:
    share of the work disk that stays free. `recount` opens every tile again in a second cage; only who trusts the source as much as the
    result may go without.

    What is left in the `folder` of the first source of a bundle: `done/tiles/` and `done/records.jsonl` (checked), `progress.json` while
    it runs. It ends early when the file `stop` appears, or its folder is gone.
    """

    reads: Path
    folder: Path
    name: str
    part: int
    size: int
    placement: Placement
    stop: Path
    cage: str = "auto"
    recount: bool = True
    step: int = 1
    folders: tuple[str, ...] = ()
    kept_free: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def must_stop(self) -> bool:
        """Whether nobody wants it any more."""
        return self.stop.exists() or not self.folder.exists()

    @property
    def tiles(self) -> Path:
        """Where the checked tiles are."""
        return self.folder / "done" / "tiles"

    @property
    def records(self) -> Path:
        """One JSON line for each checked tile."""
        return self.folder / "done" / "records.jsonl"


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a source: its report (None when it could not be read), all findings, tiles by layer, and the folder they are in.

    `seconds` that the work took, of the first of a bundle.
    """

    part: int
    name: str
    report: SourceReport | None
    findings: tuple[Finding, ...]
    layer_tiles: Mapping[str, int] = field(default_factory=dict)
    done: Path | None = None
    seconds: float = 0.0

    @property
    def tiles(self) -> int:
        """Number of tiles of all layers."""
        return sum(self.layer_tiles.values())


@dataclass(slots=True)
class _Tiles:
    """Takes checked tile records in: they go to a file, and are summed by part and layer."""

    stream: TextIO
    tiles: dict[int, Counter[str]] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)
    sums: dict[tuple[int, str], Quantities] = field(default_factory=dict)

    def take(self, tile: EncodedTile) -> None:
        if tile.path in self.paths:
            raise Invalid("reader.bad_answer", f"The caged reader named the tile {tile.path} twice; nothing of it is used.")
        self.paths.add(tile.path)
        key = (tile.part, tile.layer)
        self.sums[key] = self.sums.get(key, Quantities()) + tile.quantities
        self.tiles.setdefault(tile.part, Counter())[tile.layer] += 1
        self.stream.write(json.dumps(answer.tile_as_json(tile), separators=(",", ":")) + "\n")


def leave_progress(folder: Path, progress: object) -> None:
    """Write how far a task is, for whoever looks (the work folder may be shared by machines)."""
    if not isinstance(progress, dict):
        return
    kept = {
        "stage": _word(progress.get("stage", ""), 32),
        "file": _word(progress.get("file", ""), 255),
        **{name: _count(progress.get(name)) for name in ("done", "total", "errors", "warnings")},
    }
    written = folder / "progress.new"
    written.write_text(json.dumps(kept), encoding="utf-8")
    written.replace(folder / "progress.json")


def _word(value: object, most: int) -> str:
    return str(value)[:most].replace("\x00", "").encode("utf-8", "replace").decode()


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value <= 2**53 else 0


def convert(tasks: Sequence[SourceTask]) -> list[Converted]:
    """Read, place, check, split and encode the sources of a bundle in a cage; check its answer; recount the tiles in a second cage.

    When this ends badly each half is converted again, down to one that breaks its reader, which takes no other along.

    Raises: Stopped; Unavailable: `disk.full`.
    """
    started = time.monotonic()
    done = _halved(tasks, started + budget_s(tasks))
    return [replace(done[0], seconds=time.monotonic() - started), *done[1:]]


def _halved(tasks: Sequence[SourceTask], until: float) -> list[Converted]:
    """The sources, in halves when it ends badly, while there is time (`time.monotonic`)."""
    done, is_good = _attempt(tasks)
    if is_good or len(tasks) == 1:
        return done
    if time.monotonic() > until:
        return [over_budget(task, budget_s(tasks)) for task in tasks]
    half = len(tasks) // 2
    return [*_halved(tasks[:half], until), *_halved(tasks[half:], until)]


def over_budget(task: SourceTask, budget: float) -> Converted:
    """A source that is not read, since those beside it took all of the time."""
    text = f"{task.name} was not read: the files beside it took all of the {budget:.0f} s of work that they may take together."
    fix = "Look for files that take long (outlines that cross themselves, very long lines), or upload fewer at a time."
    return Converted(task.part, task.name, None, (error("reader.limit_all", text, fix, file=task.name),))


def _attempt(tasks: Sequence[SourceTask]) -> tuple[list[Converted], bool]:
    """What one cage makes of the sources, and whether nothing was wrong with the cage itself."""
    first = tasks[0]
    _check_room(first)
    shutil.rmtree(first.folder / "done", ignore_errors=True)
    (first.folder / "done").mkdir()  # not its parents: a task that was given up shall not begin after all
    first.tiles.mkdir()
    limits = limits_for([task.reads for task in tasks], sum(task.size for task in tasks))
    answers, tiles, ending = _read(tasks, limits)
    for left in first.tiles.glob(".*"):  # spill and unpacked files: the second cage shall not see the upload
        shutil.rmtree(left, ignore_errors=True)
    _raise_if_stopped_or_full(first, ending)
    if len(tasks) > 1 and (answers.failed is not None or not (ending.done or answers.wrong)):
        return [], False  # which of them it was is known when each is read alone
    wrong = _wrong(first, answers, tiles, ending, limits)
    ended = answers.ended()
    if not wrong and first.recount:
        again = _recounted(first, len(tiles.paths), limits)
        wrong = again.wrong[:20]
        ended = [replace(one, report=raised(one.report, one.part, again.doubts)) if one.report else one for one in ended]
    if wrong:
        shutil.rmtree(first.folder / "done", ignore_errors=True)
        report = next((one.report for one in ended), None)
        return [Converted(first.part, first.name, report, (*wrong, *(finding for one in ended for finding in one.findings)))], False
    found = {part: dict(layers) for part, layers in tiles.tiles.items()}
    return [Converted(a.part, a.name, a.report, a.findings, found.get(a.part, {}), first.folder / "done") for a in ended], True


def _read(tasks: Sequence[SourceTask], limits: Limits) -> tuple[Answers, _Tiles, Ending]:
    first = tasks[0]
    with first.records.open("w", encoding="utf-8") as stream:
        tiles = _Tiles(stream)
        names = {task.part: task.name for task in tasks}
        answers = Answers(names, first.step, tiles.take, lambda progress: leave_progress(first.folder, progress))
        ending = launch.run(
            "convert",
            request_for({task.part: task for task in tasks}, first.step, first.placement),
            reads=[task.reads for task in tasks],
            writes=first.tiles,
            limits=limits,
            on_line=answers.take,
            stop=lambda: first.must_stop or answers.wrong is not None or (first.kept_free > 0 and _is_full(first)),
            choice=first.cage,
        )
    return answers, tiles, ending


class NamedSource(Protocol):
    """What a cage gets to know of a source: its name, the names of the folders that it is in, and those of its files."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def folders(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102


def request_for(sources: Mapping[int, NamedSource], step: int, placement: Placement) -> dict[str, Any]:
    """What the caged tasks `convert` and `inspect` are asked: the sources by part, in the order of their places."""
    asked = [{"part": part, "name": one.name, "folders": list(one.folders), "labels": dict(one.labels)} for part, one in sources.items()]
    return {"sources": asked, "step": step, "placement": placement.as_json()}


def _wrong(first: SourceTask, answers: Answers, tiles: _Tiles, ending: Ending, limits: Limits) -> list[Finding]:
    """Why nothing of the answer can be used, if so."""
    if answers.failed is not None:
        return [failure(answers.failed, first.name, ending.stderr)]
    if answers.wrong is None and not ending.done:
        return [faults.finding_of(ending, first.name, limits)]
    cut = [one.failed for one in answers.ended() if one.failed is not None and one.part in tiles.tiles]
    if cut:
        return cut  # it gave up in the middle of writing its tiles
    try:
        if answers.wrong is not None:
            raise answers.wrong
        if not answers.is_whole:
            raise Invalid("reader.bad_answer", "The caged reader ended without a report; nothing of it is used.")
        if not {part for part, _ in tiles.sums} <= set(answers.sources):
            raise Invalid("reader.bad_answer", "The caged reader named tiles of a source without a report; nothing of it is used.")
        for one in answers.ended():
            if one.report is not None:
                _check_sums(one.report, {layer: total for (part, layer), total in tiles.sums.items() if part == one.part})
        for tile in tiles_of(first.records):
            answer.check_file(first.tiles, tile)
    except Invalid as why:
        fix = "The file may be made to break readers, or mapex has a fault: tell the operator."
        return [error(why.code, why.message, fix, file=first.name)]
    return []


def _check_sums(report: SourceReport, sums: Mapping[str, Quantities]) -> None:
    """What the tiles own must be what the report states was placed."""
    if not set(sums) <= set(report.layers):
        raise Invalid("reader.bad_answer", "The caged reader named tiles of a layer that its report does not have; nothing of it is used.")
    for name, layer in report.layers.items():
        found = sums.get(name, Quantities())
        owned = found.owned(layer.content)
        if owned != layer.facts.counts.placed:
            text = f"Layer {name}: {layer.facts.counts.placed} records were placed, but the tiles hold {owned}; nothing of it is used."
            raise Invalid("counts.lost", text)


def _recounted(first: SourceTask, total: int, limits: Limits) -> RecountAnswer:
    """What the second cage finds in the tiles."""
    tiles = TileSet(first.folder / "done", first.name, total, first.cage)
    progress = functools.partial(leave_progress, first.folder)
    found, ending = recount(tiles, limits, stop=lambda: first.must_stop, on_progress=progress)
    _raise_if_stopped_or_full(first, ending)
    return found


def _raise_if_stopped_or_full(task: SourceTask, ending: Ending) -> None:
    if ending.stopped and task.must_stop:
        raise Stopped(task.name)
    if not ending.done and _is_full(task):
        raise _full(task)


def _check_room(task: SourceTask) -> None:
    if task.kept_free and task.folder.exists() and _is_full(task):
        raise _full(task)


def _is_full(task: SourceTask) -> bool:
    disk = shutil.disk_usage(task.folder if task.folder.exists() else task.stop.parent)
    return disk.free < max(_LEAST_FREE, task.kept_free * disk.total)


def _full(task: SourceTask) -> Unavailable:
    return Unavailable("disk.full", f"The disk of the work folder is full ({task.folder}). Free some space; the job is tried again.")


def tiles_of(path: Path) -> Iterator[EncodedTile]:
    """The tile records in a `records.jsonl`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield answer.tile_from_json(json.loads(line))
