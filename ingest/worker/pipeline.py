"""One ingest job from uploads to a stored draft: fetch, read, recount, store, draft.

Nothing of it can be seen before the last step, one fenced transaction (`mapex.catalogue.drafts`). Objects are addressed by their content,
so a job that is killed at any point and started again puts the same objects and ends in the same manifest.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from ingest.cage import paths
from ingest.cage.answer import LayerReport, SourceReport
from ingest.conversion import grouping, previews
from ingest.conversion.convert import Converted, Task, convert, lay_out, tiles_of
from ingest.conversion.pool import open_pool
from ingest.findings import Counts, Finding, FindingLog, Severity, error, info
from ingest.formats import is_junk
from ingest.reader import Known, Placement
from ingest.worker.lease import Heart
from mapex.catalogue import drafts, requests
from mapex.catalogue.draft import Box, Draft, DraftLayer, DraftPreview, DraftSource
from mapex.database import failpoints
from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.intake import jobs, keys
from mapex.rules.licences import HandlingClass
from tiles.batch import EncodedTile
from tiles.store.protocol import Bucket

log = logging.getLogger(__name__)

_SPARE_BYTES = 64 << 20
_PUTS = 4
_STALE_S = 86_400
_TOOLS = (
    "mapex",
    "av",
    "laspy",
    "lazrs",
    "mcap",
    "numpy",
    "open3d-cpu",
    "opencv-python-headless",
    "pillow",
    "pyarrow",
    "pyogrio",
    "pyproj",
    "rosbags",
    "shapely",
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An upload on the work disk: `path` is ours, `name` the uploader's, `sha256` what the bytes really have."""

    name: str
    path: Path
    size: int
    sha256: str


def build(ex: Exchange, job: jobs.Job, asked: threading.Event | None = None) -> str:
    """Do a claimed ingest job to its end and return the state of its version: draft, unplaced or rejected.

    Args:
        asked: set when the worker shall stop; the job is then left at the next step.
    Raises: jobs.Lost, jobs.Cancelled, ingest.conversion.convert.Stopped, Unavailable (`disk.full`), tiles.errors.StoreError.
    """
    folder = work_folder(ex) / job.id / str(job.attempts)
    with _cleared(folder), _full_disk_said(folder), Heart(ex, job, folder / "stop", asked or threading.Event()) as heart:
        try:
            draft = _draft(ex, job, folder, heart)
            heart.now(lambda: jobs.JobProgress("draft"))
            return drafts.store_draft(ex, job, draft).state
        except Exception:
            heart.check()  # what failed after the job was lost or cancelled failed because of that
            raise


def work_folder(ex: Exchange) -> Path:
    """Where jobs work: below the folder of the exchange; with a cluster, all its machines must see it under the same path."""
    return ex.settings.dir / "work"


def sweep(ex: Exchange) -> None:
    """Remove what killed workers left behind, once nobody can work on it any more."""
    for folder in work_folder(ex).glob("*"):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _STALE_S:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _cleared(folder: Path) -> Iterator[None]:
    """An empty folder for one attempt; what earlier attempts of the job left goes away, and this one too in the end."""
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


@contextmanager
def _full_disk_said(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as why:
        if why.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder, 0) from why
        raise


def _full(folder: Path, needed: int) -> Unavailable:
    text = f"The disk of the work folder {folder.parent.parent} is full" + (f" ({needed} bytes are needed)" if needed else "")
    return Unavailable("disk.full", f"{text}. Free some space; the job is tried again by itself.")


def _draft(ex: Exchange, job: jobs.Job, folder: Path, heart: Heart) -> Draft:
    task = requests.task_of(ex, job)
    found: list[Finding] = []
    files = _fetch(ex, task.sources, folder, heart, found)
    failpoints.hit("ingest.after_fetch")
    said = task.version.placement
    placement = Placement(said.crs, said.origin, said.height_datum)
    tasks, groups = _tasks(files, folder, placement, ex.settings.cage)
    done = _convert(ex, tasks, heart) if tasks else []
    failpoints.hit("ingest.after_read")
    found += [_asked(finding, converted) for converted in done for finding in converted.findings]
    formats = {name: c.report.format for c, g in zip(done, groups, strict=True) if c.report is not None for name in g.members}
    unplaced = any(converted.report is not None and converted.report.unplaced for converted in done)
    blocked = any(finding.severity is Severity.ERROR for finding in found)
    layers = _layers(done, found)
    tiles: list[EncodedTile] = []
    shown: list[DraftPreview] = []
    if not (unplaced or blocked):
        tiles = sorted(
            (tile for one, converted in zip(tasks, done, strict=True) if converted.tiles for tile in tiles_of(one.records)),
            key=lambda tile: (tile.layer, tile.cell, tile.part),
        )
        shown = _previews(ex, job.org_id, folder, layers, task.version.classes, heart, found)
        _put(ex, job.org_id, tasks, tiles, heart)
    return Draft(
        sources=[DraftSource(f.name, f.sha256, f.size, formats.get(f.name, "ignored" if is_junk(f.name) else "unknown")) for f in files],
        layers=layers,
        tiles=tiles,
        findings=_bounded(found),
        unplaced=unplaced,
        tools=_tools(),
        previews=shown,
    )


def _asked(finding: Finding, converted: Converted) -> Finding:
    """An unknown place is no error of the version: it is asked for, and the version waits as `unplaced`."""
    waits = converted.report is not None and converted.report.unplaced and finding.code.startswith("crs.")
    return replace(finding, severity=Severity.WARNING) if waits else finding


def _fetch(ex: Exchange, sources: Sequence[requests.UploadedFile], folder: Path, heart: Heart, found: list[Finding]) -> list[Fetched]:
    """Bring the uploads onto the work disk; the sha256 is of what arrived, and must be what the uploader promised."""
    total = sum(one.size for one in sources)
    free = shutil.disk_usage(folder).free
    if free < total + _SPARE_BYTES:
        raise _full(folder, total)
    (folder / "fetched").mkdir()
    files: list[Fetched] = []
    done = 0
    for number, one in enumerate(sources):
        progress = jobs.JobProgress("fetch", done, total, one.name)
        heart.now(lambda progress=progress: progress)  # type: ignore[misc]  # mypy knows no lambda with a default here
        path = folder / "fetched" / str(number)
        sha256 = ex.store.fetch(Bucket.STAGING, one.store_key, path)
        size = path.stat().st_size
        if one.sha256 is not None and one.sha256 != sha256:
            text = f"{one.name} arrived with sha256 {sha256}, but {one.sha256} was promised."
            found.append(error("upload.corrupt", text, "Upload the file again.", file=one.name, value=sha256))
        elif size != one.size:
            text = f"{one.name} arrived with {size} bytes, but {one.size} were promised."
            found.append(error("upload.corrupt", text, "Upload the file again.", file=one.name, value=size))
        elif is_junk(one.name):
            found.append(info("file.ignored", f"{one.name} is only what a desktop leaves behind; it was not read.", file=one.name))
        files.append(Fetched(one.name, path, size, sha256))
        done += size
    return files


def _tasks(files: Sequence[Fetched], folder: Path, placement: Placement, cage: str) -> tuple[list[Task], list[grouping.Group]]:
    """One task a source, numbered in the order of names: the same uploads give the same parts."""
    by_name = {file.name: file for file in files}
    groups = grouping.group(by_name)
    tasks = []
    for part, group in enumerate(groups):
        members = {paths.safe_name(name): by_name[name] for name in group.members}
        named = folder / "named" / str(part)
        paths = {}
        for name, file in members.items():
            if len(members) == 1:
                named.mkdir(parents=True)
                os.link(file.path, named / Path(name).name)
                paths[name] = named / Path(name).name
            else:
                paths[name] = file.path
        own = folder / "parts" / str(part)
        own.mkdir(parents=True)
        reads = lay_out(paths, named)
        tasks.append(Task(reads, own, group.name, part, sum(f.size for f in members.values()), placement, folder / "stop", cage))
    return tasks, groups


def _convert(ex: Exchange, tasks: Sequence[Task], heart: Heart) -> list[Converted]:
    heart.now(lambda: _looked_up(tasks))
    done: dict[int, Converted] = {}
    with open_pool(ex.settings) as pool:
        for converted in pool.run(convert, tasks):
            done[converted.part] = converted
            heart.check()
    return [done[task.part] for task in tasks]


def _looked_up(tasks: Sequence[Task]) -> jobs.JobProgress:
    """Progress of all tasks together: the newest word of each, summed over those at the earliest stage."""
    heard = []
    for task in tasks:
        try:
            heard.append(json.loads((task.folder / "progress.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    if not heard:
        return jobs.JobProgress("read", 0, 0, tasks[0].name)
    stage = min((h["stage"] for h in heard), key=lambda name: ("read", "tile", "verify").index(name) if name in ("tile", "verify") else 0)
    there = [h for h in heard if h["stage"] == stage]
    done, total = sum(h["done"] for h in there), sum(h["total"] for h in there)
    errors, warnings = (sum(h.get(name, 0) for h in heard) for name in ("errors", "warnings"))
    return jobs.JobProgress(stage, done, total, there[0]["file"], errors, warnings)


def _previews(
    ex: Exchange,
    org_id: str,
    folder: Path,
    layers: Sequence[DraftLayer],
    classes: Mapping[str, str],
    heart: Heart,
    found: list[Finding],
) -> list[DraftPreview]:
    """Make the previews of all layers and put them into the store; what cannot be made is a finding that blocks nothing.

    Pictures are made only when the seller asks for a class that may show them: nothing is derived from originals.
    """
    heart.now(lambda: jobs.JobProgress("preview"))
    wishes = []
    for layer in layers:
        asked = classes.get(layer.name, classes.get(drafts.ALL_LAYERS))
        shows = asked is not None and asked != HandlingClass.ORIGINAL
        wishes.append(previews.Wish(layer.name, str(layer.kind), str(layer.content), shows))
    out = previews.cleared(folder / "previews")
    answer = previews.make(folder / "parts", out, wishes, stop=(folder / "stop").exists, cage=ex.settings.cage)
    heart.check()
    found += answer.findings
    for preview, path in answer.made:
        if path is not None:
            key = keys.preview_key(org_id, preview.sha256)
            ex.store.put(Bucket.DATA, key, path, sha256=preview.sha256, media_type=preview.media_type)
    failpoints.hit("ingest.after_previews")
    return [preview for preview, _ in answer.made]


def _put(ex: Exchange, org_id: str, tasks: Sequence[Task], tiles: Sequence[EncodedTile], heart: Heart) -> None:
    """Put every tile under the sha256 of its content; what is there already is left alone."""
    done = 0
    heart.now(lambda: jobs.JobProgress("store", done, len(tiles)))
    folders = {task.part: task.tiles for task in tasks}

    def put(tile: EncodedTile) -> None:
        key = keys.object_key(org_id, tile.sha256)
        ex.store.put(Bucket.DATA, key, folders[tile.part] / tile.path, sha256=tile.sha256, media_type=tile.media_type)

    with ThreadPoolExecutor(_PUTS, thread_name_prefix="put") as threads:
        waiting: set[Future[None]] = set()
        try:
            for tile in tiles:
                waiting.add(threads.submit(put, tile))
                if len(waiting) >= 4 * _PUTS:
                    ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    done = _settled(ended, done)
                heart.check()
            done = _settled(wait(waiting).done, done)
        finally:
            for future in waiting:
                future.cancel()
    failpoints.hit("ingest.after_objects")


def _settled(ended: set[Future[None]], done: int) -> int:
    """Raise what a put raised; count."""
    for number, future in enumerate(ended, done + 1):
        future.result()
        if number == 1:
            failpoints.hit("ingest.after_first_object")
    return done + len(ended)


def _layers(done: Sequence[Converted], found: list[Finding]) -> list[DraftLayer]:
    """Layers of all sources together; a layer that several sources fill has their counts, box and times in one."""
    layers: dict[str, DraftLayer] = {}
    for converted in done:
        for name, about in converted.report.layers.items() if converted.report is not None else ():
            assert converted.report is not None  # noqa: S101 - mypy does not see it
            fresh = _layer(name, about, converted.report)
            known = layers.get(name)
            if known is not None and (known.kind, known.content) != (fresh.kind, fresh.content):
                text = f"{converted.name} fills layer {name} with {fresh.content}, another source with {known.content}."
                found.append(error("layer.mixed", text, "Upload them as two datasets.", file=converted.name, layer=name))
                continue
            layers[name] = fresh if known is None else _merged(known, fresh)
    return [layers[name] for name in sorted(layers)]


def _layer(name: str, about: LayerReport, report: SourceReport) -> DraftLayer:
    counts: Counts = about.counts
    return DraftLayer(
        name=name,
        kind=about.kind,
        content=about.content,
        read=counts.read,
        placed=counts.placed,
        unplaced=counts.unplaced,
        rejected=counts.rejected,
        footage=about.footage,
        box=about.box,
        crs=report.crs,
        crs_source=str(report.crs_source),
        height_datum=report.height_datum,
        height_source=str(report.height_source),
        note=report.note,
        first_ns=about.first_ns,
        last_ns=about.last_ns,
        own=about.own,
    )


def _merged(a: DraftLayer, b: DraftLayer) -> DraftLayer:
    box = _union(a.box, b.box)
    firsts = [t for t in (a.first_ns, b.first_ns) if t is not None]
    lasts = [t for t in (a.last_ns, b.last_ns) if t is not None]
    weakest = [str(known) for known in Known]
    return replace(
        a,
        read=a.read + b.read,
        placed=a.placed + b.placed,
        unplaced=a.unplaced + b.unplaced,
        rejected=a.rejected + b.rejected,
        footage=a.footage or b.footage,
        box=box,
        own=_union(a.own, b.own),
        crs=a.crs if a.crs == b.crs else "several",
        crs_source=max(a.crs_source, b.crs_source, key=weakest.index),
        height_datum=a.height_datum if a.height_datum == b.height_datum else "several",
        height_source=max(a.height_source, b.height_source, key=weakest.index),
        note=a.note if a.note == b.note else "; ".join(note for note in (a.note, b.note) if note)[:2000],
        first_ns=min(firsts, default=None),
        last_ns=max(lasts, default=None),
    )


def _union(a: Box | None, b: Box | None) -> Box | None:
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _bounded(found: Sequence[Finding]) -> list[Finding]:
    """Findings of many files in bounded number, errors first; their counts still sum to what was found."""
    kept = FindingLog(examples=20)
    for finding in found:
        kept.add(finding)
    return kept.all()[:5000]


def _tools() -> dict[str, str]:
    """Versions of what read and wrote, for the manifest."""
    found = {}
    for name in _TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
