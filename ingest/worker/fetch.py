"""Uploads on the work disk: fetched from the store, compared with what was promised, and laid out for the cages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path

from ingest.conversion.convert import SourceTask
from ingest.conversion.layout import lay_out, safe_members
from ingest.findings import error
from ingest.grouping import Grouping, group
from ingest.worker.lease import Lease
from mapex.catalogue import requests
from mapex.catalogue.finding import Finding
from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.intake import jobs
from mapex.intake.placement import Placement
from tiles.store.protocol import Bucket

_SPARE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """An upload on the work disk: `path` is ours, `name` the uploader's, `sha256` what the bytes really have."""

    name: str
    path: Path
    size: int
    sha256: str


def fetch(ex: Exchange, sources: Sequence[requests.UploadedFile], folder: Path, lease: Lease, found: list[Finding]) -> list[Fetched]:
    """Bring the uploads onto the work disk; the sha256 is of what arrived, and must be what the uploader promised.

    Args:
        found: takes what is wrong with the files.
    Raises: Unavailable: `disk.full`; tiles.errors.StoreError; what `Lease.check` raises.
    """
    total = sum(one.size for one in sources)
    if shutil.disk_usage(folder).free < total + _SPARE_BYTES:
        raise _full(folder, total)
    (folder / "fetched").mkdir()
    files: list[Fetched] = []
    done = 0
    for number, one in enumerate(sources):
        lease.report(jobs.JobProgress("fetch", done, total, one.name))
        path = folder / "fetched" / str(number)
        sha256 = ex.store.fetch(Bucket.STAGING, one.store_key, path)
        files.append(Fetched(one.name, path, path.stat().st_size, sha256))
        found += _doubts(one, files[-1])
        done += files[-1].size
    return files


def _doubts(promised: requests.UploadedFile, file: Fetched) -> Iterator[Finding]:
    if promised.sha256 is not None and promised.sha256 != file.sha256:
        text = f"{file.name} arrived with sha256 {file.sha256}, but {promised.sha256} was promised."
        yield error("upload.corrupt", text, "Upload the file again.", file=file.name, value=file.sha256)
    elif file.size != promised.size:
        text = f"{file.name} arrived with {file.size} bytes, but {promised.size} were promised."
        yield error("upload.corrupt", text, "Upload the file again.", file=file.name, value=file.size)


def tasks_of(files: Sequence[Fetched], folder: Path, placement: Placement, cage: str) -> tuple[list[SourceTask], Grouping]:
    """One task a source, numbered in the order of names: the same uploads give the same parts."""
    by_name = {file.name: file for file in files}
    grouping = group(by_name)
    tasks = []
    for part, one in enumerate(grouping.groups):
        members = safe_members({name: by_name[name].path for name in one.members})
        own = folder / "parts" / str(part)
        own.mkdir(parents=True)
        reads = _laid_out(members, folder / "named" / str(part))
        size = sum(by_name[name].size for name in one.members)
        task = SourceTask(reads, own, one.name, part, size, placement, folder / "stop", cage, step=len(grouping.groups))
        tasks.append(task)
    return tasks, grouping


def _laid_out(members: dict[str, Path], named: Path) -> Path:
    """What the cage is shown: one file under its own name, or a folder of several."""
    if len(members) > 1:
        return lay_out(members, named)
    ((name, path),) = members.items()
    named.mkdir(parents=True)
    os.link(path, named / Path(name).name)
    return named / Path(name).name


@contextmanager
def full_disk_is_unavailable(folder: Path) -> Iterator[None]:
    """Turn a full work disk into `Unavailable` (`disk.full`): nobody's fault, the job is tried again."""
    try:
        yield
    except OSError as why:
        if why.errno in (ENOSPC, EDQUOT):
            raise _full(folder, 0) from why
        raise


def _full(folder: Path, needed: int) -> Unavailable:
    text = f"The disk of the work folder {folder.parent.parent} is full" + (f" ({needed} bytes are needed)" if needed else "")
    return Unavailable("disk.full", f"{text}. Free some space; the job is tried again by itself.")
