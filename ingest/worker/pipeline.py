"""One ingest job from uploads to a stored draft: fetch, read, recount, store, draft.

Nothing of it can be seen before the last step, one fenced transaction (`mapex.catalogue.drafts`). Objects are addressed by their content,
so a job that is killed at any point and started again puts the same objects and ends in the same manifest.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from ingest.conversion import previews
from ingest.conversion.convert import Converted, tiles_of
from ingest.worker import changes, trust
from ingest.worker.draft import DraftParts
from ingest.worker.fetch import check_room, fetch, full_disk_is_unavailable, tasks_of
from ingest.worker.lease import Lease
from ingest.worker.reading import read_all
from mapex.catalogue import drafts, requests
from mapex.catalogue.draft import Draft, DraftLayer, DraftPreview
from mapex.catalogue.finding import Finding
from mapex.database import failpoints
from mapex.exchange import Exchange
from mapex.intake import jobs, keys
from mapex.rules.licences import HandlingClass
from tiles.batch import EncodedTile
from tiles.store.folder import make_private
from tiles.store.protocol import Bucket

log = logging.getLogger(__name__)

_PUTS = 4
_STALE_S = 86_400


def build(ex: Exchange, job: jobs.Job, asked: threading.Event | None = None) -> str:
    """Do a claimed ingest job to its end and return the state of its version: draft, unplaced or rejected.

    Args:
        asked: set when the worker shall stop; the job is then left at the next step.
    Raises: jobs.Lost, jobs.Cancelled, ingest.conversion.convert.Stopped, Unavailable (`disk.full`), tiles.errors.StoreError.
    """
    folder = work_folder(ex) / job.id / str(job.attempts)
    with _cleared(folder), full_disk_is_unavailable(folder), Lease(ex, job, folder / "stop", asked or threading.Event()) as lease:
        try:
            draft = _draft(ex, job, folder, lease)
            lease.report(jobs.JobProgress("draft"))
            check_room(folder, 0)  # rows of many tiles are written now, and the reserve is for those who buy
            return drafts.store_draft(ex, job, draft).state
        except Exception:
            lease.check()  # what failed after the job was lost or cancelled failed because of that
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
    make_private(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


def _draft(ex: Exchange, job: jobs.Job, folder: Path, lease: Lease) -> Draft:
    wanted = requests.task_of(ex, job)
    level = trust.cage_of(ex.settings)
    trust.check_sender(ex.settings, level, wanted.org)
    trust.check_files(ex.settings, level, [one.name for one in wanted.sources], wanted.version.classes)
    found: list[Finding] = []
    parts = DraftParts(fetch(ex, wanted.sources, folder, lease, found), findings=found)
    failpoints.hit("ingest.after_fetch")
    tasks, grouping = tasks_of(parts.files, folder, wanted.version.placement, str(level), found)
    done = read_all(ex.settings, tasks, lease) if tasks else []
    failpoints.hit("ingest.after_read")
    parts.take(done, grouping)
    trust.check_read(ex.settings, level, [layer.name for layer in parts.layers if layer.facts.footage])
    if parts.is_usable:
        parts.tiles = sorted(
            (tile for folder in _folders(done) for tile in tiles_of(folder / "records.jsonl")),
            key=lambda tile: (tile.layer, tile.cell, tile.part),
        )
        folders = {converted.part: converted.done / "tiles" for converted in done if converted.done is not None}
        made = changes.NewTiles(parts.layers, parts.tiles, folders)
        parts.changes, unknown = changes.find(ex, wanted.version, made, folder, lease)
        found += unknown
        parts.previews = _previews(ex, job.org_id, folder, _wishes(parts.layers, wanted.version.classes), lease, found)
        _put(ex, job.org_id, done, parts.tiles, lease)
    return parts.as_draft()


def _folders(done: Sequence[Converted]) -> list[Path]:
    """Where the tiles are: one folder a bundle."""
    return sorted({converted.done for converted in done if converted.done is not None})


def _wishes(layers: Sequence[DraftLayer], classes: Mapping[str, str]) -> list[previews.Wish]:
    """The previews of each layer: pictures only when the seller asks for a class that may show them; nothing is derived from originals."""
    wishes = []
    for layer in layers:
        asked = classes.get(layer.name, classes.get(drafts.ALL_LAYERS))
        shows = asked is not None and asked != HandlingClass.ORIGINAL
        wishes.append(previews.Wish(layer.name, str(layer.kind), str(layer.content), shows))
    return wishes


def _previews(
    ex: Exchange, org_id: str, folder: Path, wishes: Sequence[previews.Wish], lease: Lease, found: list[Finding]
) -> list[DraftPreview]:
    """Make the previews of all layers and put them into the store; what cannot be made is a finding that blocks nothing."""
    lease.report(jobs.JobProgress("preview"))
    out = previews.cleared(folder / "previews")
    answer = previews.make(folder / "parts", out, wishes, stop=(folder / "stop").exists, cage=str(trust.cage_of(ex.settings)))
    lease.check()
    found += answer.findings
    for preview, path in answer.made:
        if path is not None:
            key = keys.preview_key(org_id, preview.sha256)
            ex.store.put(Bucket.DATA, key, path, sha256=preview.sha256, media_type=preview.media_type)
    failpoints.hit("ingest.after_previews")
    return [preview for preview, _ in answer.made]


def _put(ex: Exchange, org_id: str, done: Sequence[Converted], tiles: Sequence[EncodedTile], lease: Lease) -> None:
    """Put every tile under the sha256 of its content; what is there already is left alone."""
    stored = 0
    lease.watch(lambda: jobs.JobProgress("store", stored, len(tiles)))
    folders = {converted.part: converted.done / "tiles" for converted in done if converted.done is not None}

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
                    stored = _settled(ended, stored)
                lease.check()
            stored = _settled(wait(waiting).done, stored)
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
