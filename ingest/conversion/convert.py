"""One source to checked tiles, seen from outside: a cage that reads it, the check of its answer, and a second cage that recounts.

A `Task` holds paths and words only, no secret, so that it may run on another machine that shares the work folder.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest.cage import answer, launch, paths
from ingest.cage.answer import SourceReport
from ingest.cage.child import MIB, Ending, Limits
from ingest.conversion import grouping
from ingest.findings import error
from ingest.reader import Source
from mapex.catalogue.draft import Counts, DraftLayer
from mapex.catalogue.finding import Finding, Severity
from mapex.errors import Invalid, MapexError, Unavailable
from mapex.intake.placement import Placement
from tiles.batch import EncodedTile, Quantities

log = logging.getLogger(__name__)

_LEAST_FREE = 32 * MIB

_HEAVY = (b"LASF", b"\x89MCAP0", b"ply", b"# .PCD", b"VERSION")


class Stopped(Exception):
    """The work was asked to stop (cancelled, or its lease was lost)."""


@dataclass(frozen=True, slots=True)
class Task:
    """One source to convert. `reads` is a file, or a folder of the files of one source; `folder` is for this task alone.

    `recount` opens every tile again in a second cage; only who trusts the source as much as the result may go without.

    What it leaves in `folder`: `done/tiles/` and `done/records.jsonl` (checked), `progress.json` while it runs. It ends early when the
    file `stop` appears.
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
    def tiles(self) -> Path:
        """Where the checked tiles lie."""
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
class _Listener:
    """Takes the lines of a reading child in: tile records go to a file, after a check of each."""

    task: Task
    stream: Any
    report: SourceReport | None = None
    failed: Finding | None = None
    wrong: MapexError | None = None
    tiles: Counter[str] = field(default_factory=Counter)
    paths: set[str] = field(default_factory=set)
    sums: dict[str, Quantities] = field(default_factory=dict)

    def hear(self, line: Mapping[str, Any]) -> None:
        if self.wrong is not None:
            return
        try:
            self._hear(line)
        except MapexError as why:
            self.wrong = why

    def _hear(self, line: Mapping[str, Any]) -> None:
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
            tell(self.task.folder, line["progress"])


def failure(value: object, name: str) -> Finding:
    """The finding of a child that could not read its file at all."""
    record = value if isinstance(value, dict) else {}
    try:
        return answer.finding_from_json(
            {
                **dict.fromkeys(("layer", "feature", "value"), ""),
                "fix": "Correct the file and upload it again.",
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


def tell(folder: Path, progress: object) -> None:
    """Leave word of how far a task is, for whoever looks (the work folder may be shared by machines)."""
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


def convert(task: Task) -> Converted:
    """Read, place, check, split and encode one source in a cage; check its answer; recount its tiles in a second cage.

    Raises: Stopped; Unavailable: `disk.full`.
    """
    shutil.rmtree(task.folder / "done", ignore_errors=True)
    task.tiles.mkdir(parents=True)
    limits = Limits.for_size(task.size, heavy=is_heavy(task.reads))
    heard, ending = _read(task, limits)
    for left in task.tiles.glob(".*"):  # spill and unpacked files: the second cage shall not see the upload
        shutil.rmtree(left, ignore_errors=True)
    _raise_if_stopped_or_full(task, ending)
    wrong = _wrong(task, heard, ending, limits)
    if wrong:
        shutil.rmtree(task.folder / "done", ignore_errors=True)
        found = heard.report.findings if heard.report else ()
        return Converted(task.part, task.name, heard.report, (*wrong, *found))
    assert heard.report is not None  # noqa: S101 - else something was wrong
    bad = _verify(task, heard.tiles.total(), limits) if task.recount else []
    return Converted(task.part, task.name, heard.report, (*bad, *heard.report.findings), dict(heard.tiles))


def _read(task: Task, limits: Limits) -> tuple[_Listener, Ending]:
    with task.records.open("w", encoding="utf-8") as stream:
        heard = _Listener(task, stream)
        ending = launch.run(
            "convert",
            {"name": task.name, "part": task.part, "placement": task.placement.as_json()},
            reads=task.reads,
            writes=task.tiles,
            limits=limits,
            on_line=heard.hear,
            stop=lambda: task.stop.exists() or heard.wrong is not None,
            choice=task.cage,
        )
    return heard, ending


def _wrong(task: Task, heard: _Listener, ending: Ending, limits: Limits) -> list[Finding]:
    """Why nothing of the answer can be used, if so."""
    if heard.failed is not None:
        return [heard.failed]
    if heard.wrong is None and not ending.done:
        if ending.stderr:
            log.warning("caged reader of %s: %s", task.name, ending.stderr[-2000:])
        return [launch.finding_of(ending, task.name, limits)]
    try:
        if heard.wrong is not None:
            raise heard.wrong
        if heard.report is None:
            raise Invalid("reader.bad_answer", "The caged reader ended without a report; nothing of it is used.")
        _check_sums(heard.report, heard.sums)
        for tile in tiles_of(task.records):
            answer.check_file(task.tiles, tile)
    except Invalid as why:
        return [error(why.code, why.message, "The file may be made to break readers. Write it again with another program.", file=task.name)]
    return []


def _check_sums(report: SourceReport, sums: Mapping[str, Quantities]) -> None:
    """What the tiles own must be what the report says was placed."""
    if not set(sums) <= set(report.layers):
        raise Invalid("reader.bad_answer", "The caged reader named tiles of a layer that its report does not have; nothing of it is used.")
    for name, layer in report.layers.items():
        found = sums.get(name, Quantities())
        owned = found.owned(layer.content)
        if owned != layer.facts.counts.placed:
            text = f"Layer {name}: {layer.facts.counts.placed} records were placed, but the tiles hold {owned}; nothing of it is used."
            raise Invalid("counts.lost", text)


def _verify(task: Task, total: int, limits: Limits) -> list[Finding]:
    """Recount every tile in a cage that sees the tiles only."""
    bad: list[Finding] = []
    verified = 0

    def hear(line: Mapping[str, Any]) -> None:
        nonlocal verified
        if "bad" in line:
            message = str(line["bad"].get("message", ""))[:500] if isinstance(line["bad"], dict) else ""
            fix = "The file may be made to break readers. Write it again with another program."
            bad.append(error("tile.bad", f"A tile does not hold what its record says: {message}", fix, file=task.name))
        elif "verified" in line and isinstance(line["verified"], int):
            verified = line["verified"]
        elif "progress" in line:
            tell(task.folder, line["progress"])

    ending = launch.run(
        "verify",
        {"name": task.name, "total": total},
        reads=task.folder / "done",
        writes=None,
        limits=limits,
        on_line=hear,
        stop=task.stop.exists,
        choice=task.cage,
    )
    _raise_if_stopped_or_full(task, ending)
    if not ending.done:
        log.warning("second cage of %s: %s", task.name, ending.stderr[-2000:])
        bad.append(launch.finding_of(ending, task.name, limits))
    elif not bad and verified != total:
        bad.append(error("tile.bad", f"{verified} of {total} tiles were verified.", "Tell the operator.", file=task.name))
    return bad[:20]


def _raise_if_stopped_or_full(task: Task, ending: Ending) -> None:
    if ending.stopped and task.stop.exists():
        raise Stopped(task.name)
    if not ending.done and shutil.disk_usage(task.folder).free < _LEAST_FREE:
        raise Unavailable("disk.full", f"The disk of the work folder is full ({task.folder}). Free some space; the job is tried again.")


def is_heavy(path: Path) -> bool:
    """Whether a source may need the larger memory limit: point clouds, recordings, pictures; a look at the first bytes only."""
    files = sorted(path.iterdir())[:1] if path.is_dir() else [path]
    for file in files:
        if file.is_dir():
            return True
        with file.open("rb") as stream:
            head = stream.read(16)
        if head.startswith((*_HEAVY, b"\xff\xd8\xff", b"PK")):
            return True
    return False


def tiles_of(path: Path) -> Iterator[EncodedTile]:
    """The tile records in a `records.jsonl`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield answer.tile_from_json(json.loads(line))


def layer_json(name: str, about: DraftLayer, tiles: int) -> dict[str, Any]:
    """A layer as `mapex tile` and `inspect` print it."""
    return {
        "name": name,
        "kind": str(about.kind),
        "content": str(about.content),
        "tiles": tiles,
        "counts": asdict(about.facts.counts),
        "box": about.facts.box,
    }


def lay_out(files: Mapping[str, Path], folder: Path) -> Path:
    """Put the files of one source where a cage can see them alone: one file is itself, several become a folder (hard links or copies).

    `files` maps safe relative names to real files.
    """
    if len(files) == 1:
        return next(iter(files.values()))
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    return folder


def local_sources(path: Path, folder: Path) -> list[tuple[str, Path, int]]:
    """(name, what to read, bytes) of each source in a local file or folder; a `.shp` takes its sibling parts along."""
    path = path.absolute()  # a cage has a working folder of its own
    if path.is_dir():
        real = {p.relative_to(path).as_posix(): p for p in Source.of(path).files}
    elif path.suffix.lower() == ".shp":
        real = {p.name: p for p in path.parent.iterdir() if p.is_file() and p.name.partition(".")[0] == path.name.partition(".")[0]}
    else:
        real = {path.name: path}
    found = []
    for number, group in enumerate(grouping.group(real)):
        members = {paths.safe_name(name): real[name] for name in group.members}
        size = sum(p.stat().st_size for p in members.values())
        found.append((group.name, lay_out(members, folder / str(number)), size))
    if not found:
        raise Invalid("format.empty", f"{path.name} holds no file that can be read.", file=path.name)
    return found


def tile_file(
    path: Path,
    out: Path,
    placement: Placement,
    *,
    processes: int = 0,
    progress: Callable[[float, float | None, str | None], None] = lambda done, total, text: None,
    cage: str = "auto",
    recount: bool = False,
) -> dict[str, Any]:
    """Cut a local file or folder into tiles below `out`, without an exchange; returns what `mapex tile` prints.

    Writes `out/<layer>/<quadkey>-<part>.<ending>` and `out/manifest.json` (layers, counts, findings, and path, sha256, size and
    quantities of each tile). Sources are read in parallel by up to `processes` cages (0: one per core). With `recount` every tile is
    opened again in a second cage, as the exchange does with other people's uploads.

    Raises: Invalid: a source cannot be read or has no place; the sentence names the first reason, `findings` all.
    """
    from ingest.conversion.pool import LocalPool

    out = out.absolute()  # a cage has a working folder of its own
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mapex-", dir=out) as name:
        work = Path(name)
        tasks = []
        for part, (title, reads, size) in enumerate(local_sources(path, work / "in")):
            folder = work / str(part)
            folder.mkdir()
            tasks.append(Task(reads, folder, title, part, size, placement, work / "stop", cage, recount))
        with LocalPool(processes) as pool:
            done = []
            for converted in pool.run(convert, tasks):
                done.append(converted)
                progress(len(done), len(tasks), converted.name)
        done.sort(key=lambda converted: converted.part)
        told = _told(done)
        if not any(converted.tiles for converted in done):
            _raise_first(done, told)
        tiles = [tile for task, converted in zip(tasks, done, strict=True) if converted.tiles for tile in tiles_of(task.records)]
        for task in tasks:
            _move(task.tiles, out)
    manifest = {**told, "tiles": [answer.tile_as_json(tile) for tile in tiles]}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return {**told, "manifest": str(out / "manifest.json"), "tiles": len(tiles)}


def _move(tiles: Path, out: Path) -> None:
    """Move files to `out`, below the same names; both are on one disk."""
    for file in [p for p in tiles.rglob("*") if p.is_file()]:
        target = out / file.relative_to(tiles)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)


def _told(done: list[Converted]) -> dict[str, Any]:
    """Sources, layers and findings of some conversions, as JSON."""
    layers: dict[str, dict[str, Any]] = {}
    for converted in done:
        for name, about in converted.report.layers.items() if converted.report else ():
            known = layers.get(name)
            fresh = layer_json(name, about, converted.layer_tiles.get(name, 0) + (known["tiles"] if known else 0))
            if known is not None:
                fresh["counts"] = asdict(Counts(**known["counts"]) + about.facts.counts)
            layers[name] = fresh
    return {
        "sources": [
            {
                "name": c.name,
                "part": c.part,
                "format": c.report.format,
                "crs": c.report.placed.crs,
                "crs_source": str(c.report.placed.crs_source),
            }
            for c in done
            if c.report is not None
        ],
        "layers": [layers[name] for name in sorted(layers)],
        "findings": [finding.as_json() for c in done for finding in c.findings],
    }


def _raise_first(done: list[Converted], told: Mapping[str, Any]) -> None:
    first = next((f for c in done for f in c.findings if f.severity is Severity.ERROR), None)
    if first is not None:
        raise Invalid(first.code, f"{first.message} {first.fix}".strip(), findings=told["findings"])
    names = ", ".join(c.name for c in done if c.report is not None and not c.report.placed.is_known)
    if names:
        text = f"{names}: nobody knows where it lies. Say --crs EPSG:n, or --origin LON,LAT[,H] for a local frame."
        raise Invalid("place.unknown", text, findings=told["findings"])
    raise Invalid("file.no_records", f"{done[0].name} holds nothing that could be put into a tile.", findings=told["findings"])
