"""One source to checked tiles, seen from outside: a cage that reads it, the check of its answer, and a second cage that recounts.

A `SourceTask` holds paths and words only, no secret, so that it may run on another machine that shares the work folder.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.cage import answer, launch
from ingest.cage.answer import SourceReport
from ingest.cage.child import MIB, Ending, Limits
from ingest.conversion.grouping import limits_for
from ingest.findings import error
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid, MapexError, Unavailable
from mapex.intake.placement import Placement
from tiles.batch import EncodedTile, Quantities
from tiles.errors import ExtraMissing

log = logging.getLogger(__name__)

_LEAST_FREE = 32 * MIB
_FIXES = {ExtraMissing.code: "Then read the same file again."}


class Stopped(Exception):
    """The work was asked to stop (cancelled, or its lease was lost)."""


@dataclass(frozen=True, slots=True)
class SourceTask:
    """One source to convert. `reads` is a file, or a folder of the files of one source; `folder` is for this task alone.

    `recount` opens every tile again in a second cage; only who trusts the source as much as the result may go without.

    What it leaves in `folder`: `done/tiles/` and `done/records.jsonl` (checked), `progress.json` while it runs. It ends early when the
    file `stop` appears, or its folder is gone.
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
    """What became of a task: the report of its source (None when it could not be read), all findings, and tiles by layer."""

    part: int
    name: str
    report: SourceReport | None
    findings: tuple[Finding, ...]
    layer_tiles: Mapping[str, int] = field(default_factory=dict)

    @property
    def tiles(self) -> int:
        """Number of tiles of all layers."""
        return sum(self.layer_tiles.values())


@dataclass(slots=True)
class _TileAnswers:
    """Takes the lines of a reading child in: tile records go to a file, after a check of each."""

    task: SourceTask
    stream: Any
    report: SourceReport | None = None
    failed: Finding | None = None
    wrong: MapexError | None = None
    tiles: Counter[str] = field(default_factory=Counter)
    paths: set[str] = field(default_factory=set)
    sums: dict[str, Quantities] = field(default_factory=dict)

    def take(self, line: Mapping[str, Any]) -> None:
        if self.wrong is not None:
            return
        try:
            self._take(line)
        except MapexError as why:
            self.wrong = why

    def _take(self, line: Mapping[str, Any]) -> None:
        if "tile" in line:
            tile = answer.tile_from_json(line["tile"], self.task.part)
            if tile.path in self.paths:
                raise Invalid("reader.bad_answer", f"The caged reader named the tile {tile.path} twice; nothing of it is used.")
            self.paths.add(tile.path)
            self.sums[tile.layer] = self.sums.get(tile.layer, Quantities()) + tile.quantities
            self.tiles[tile.layer] += 1
            self.stream.write(json.dumps(answer.tile_as_json(tile), separators=(",", ":")) + "\n")
        elif "report" in line:
            self.report = answer.report_from_json(line["report"], self.task.name)
        elif "failed" in line:
            self.failed = failure(line["failed"], self.task.name)
        elif "progress" in line:
            leave_progress(self.task.folder, line["progress"])


def failure(value: object, name: str) -> Finding:
    """The finding of a child that could not read its file at all."""
    record = value if isinstance(value, dict) else {}
    try:
        return answer.finding_from_json(
            {
                **dict.fromkeys(("layer", "feature", "value"), ""),
                "fix": _FIXES.get(str(record.get("code")), "Correct the file and upload it again."),
                "count": 1,
                "rejected": 0,
                "severity": "error",
                "file": name,
                "code": record.get("code"),
                "message": record.get("message"),
            },
            name,
        )
    except Invalid:
        return error("reader.failed", f"{name} could not be read.", "Write the file again with another program.", file=name)


def leave_progress(folder: Path, progress: object) -> None:
    """Write how far a task is, for whoever looks (the work folder may be shared by machines)."""
    if not isinstance(progress, dict):
        return
    kept = {
        "stage": str(progress.get("stage", ""))[:32],
        "file": str(progress.get("file", ""))[:255],
        **{name: progress[name] if isinstance(progress.get(name), int) else 0 for name in ("done", "total", "errors", "warnings")},
    }
    written = folder / "progress.new"
    written.write_text(json.dumps(kept), encoding="utf-8")
    written.replace(folder / "progress.json")


def convert(task: SourceTask) -> Converted:
    """Read, place, check, split and encode one source in a cage; check its answer; recount its tiles in a second cage.

    Raises: Stopped; Unavailable: `disk.full`.
    """
    shutil.rmtree(task.folder / "done", ignore_errors=True)
    (task.folder / "done").mkdir()  # not its parents: a task that was given up shall not begin after all
    task.tiles.mkdir()
    limits = limits_for(task.reads, task.size)
    answers, ending = _read(task, limits)
    for left in task.tiles.glob(".*"):  # spill and unpacked files: the second cage shall not see the upload
        shutil.rmtree(left, ignore_errors=True)
    _raise_if_stopped_or_full(task, ending)
    wrong = _wrong(task, answers, ending, limits)
    if wrong:
        shutil.rmtree(task.folder / "done", ignore_errors=True)
        found = answers.report.findings if answers.report else ()
        return Converted(task.part, task.name, answers.report, (*wrong, *found))
    assert answers.report is not None  # noqa: S101 - else something was wrong
    bad = _recount(task, answers.tiles.total(), limits) if task.recount else []
    return Converted(task.part, task.name, answers.report, (*bad, *answers.report.findings), dict(answers.tiles))


def _read(task: SourceTask, limits: Limits) -> tuple[_TileAnswers, Ending]:
    with task.records.open("w", encoding="utf-8") as stream:
        answers = _TileAnswers(task, stream)
        ending = launch.run(
            "convert",
            {"name": task.name, "part": task.part, "placement": task.placement.as_json()},
            reads=task.reads,
            writes=task.tiles,
            limits=limits,
            on_line=answers.take,
            stop=lambda: task.must_stop or answers.wrong is not None,
            choice=task.cage,
        )
    return answers, ending


def _wrong(task: SourceTask, answers: _TileAnswers, ending: Ending, limits: Limits) -> list[Finding]:
    """Why nothing of the answer can be used, if so."""
    if answers.failed is not None:
        return [answers.failed]
    if answers.wrong is None and not ending.done:
        if ending.stderr:
            log.warning("caged reader of %s: %s", task.name, ending.stderr[-2000:])
        return [launch.finding_of(ending, task.name, limits)]
    try:
        if answers.wrong is not None:
            raise answers.wrong
        if answers.report is None:
            raise Invalid("reader.bad_answer", "The caged reader ended without a report; nothing of it is used.")
        _check_sums(answers.report, answers.sums)
        for tile in tiles_of(task.records):
            answer.check_file(task.tiles, tile)
    except Invalid as why:
        return [error(why.code, why.message, "The file may be made to break readers. Write it again with another program.", file=task.name)]
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


def _recount(task: SourceTask, total: int, limits: Limits) -> list[Finding]:
    """Recount every tile in a cage that sees the tiles only."""
    bad: list[Finding] = []
    verified = 0

    def take(line: Mapping[str, Any]) -> None:
        nonlocal verified
        if "bad" in line:
            message = str(line["bad"].get("message", ""))[:500] if isinstance(line["bad"], dict) else ""
            fix = "The file may be made to break readers. Write it again with another program."
            bad.append(error("tile.bad", f"A tile does not hold what its record says: {message}", fix, file=task.name))
        elif "verified" in line and isinstance(line["verified"], int):
            verified = line["verified"]
        elif "progress" in line:
            leave_progress(task.folder, line["progress"])

    ending = launch.run(
        "verify",
        {"name": task.name, "total": total},
        reads=task.folder / "done",
        writes=None,
        limits=limits,
        on_line=take,
        stop=lambda: task.must_stop,
        choice=task.cage,
    )
    _raise_if_stopped_or_full(task, ending)
    if not ending.done:
        log.warning("second cage of %s: %s", task.name, ending.stderr[-2000:])
        bad.append(launch.finding_of(ending, task.name, limits))
    elif not bad and verified != total:
        bad.append(error("tile.bad", f"{verified} of {total} tiles were verified.", "Report it to the operator.", file=task.name))
    return bad[:20]


def _raise_if_stopped_or_full(task: SourceTask, ending: Ending) -> None:
    if ending.stopped and task.must_stop:
        raise Stopped(task.name)
    if not ending.done and shutil.disk_usage(task.folder).free < _LEAST_FREE:
        raise Unavailable("disk.full", f"The disk of the work folder is full ({task.folder}). Free some space; the job is tried again.")


def tiles_of(path: Path) -> Iterator[EncodedTile]:
    """The tile records in a `records.jsonl`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield answer.tile_from_json(json.loads(line))
