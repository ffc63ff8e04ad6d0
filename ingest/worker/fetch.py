"""Uploads on the work disk: fetched from the store, compared with what was promised, and laid out for the cages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from errno import EDQUOT, ENOSPC
from pathlib import Path

from ingest.cage.paths import inside_names
from ingest.conversion.convert import SourceTask
from ingest.conversion.layout import distinct_names, lay_out
from ingest.findings import error, info
from ingest.grouping import Grouping, group
from ingest.worker.lease import Lease
from mapex.catalogue import requests
from mapex.catalogue.finding import Finding
from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.intake import jobs
from mapex.intake.placement import Placement
from tiles.store.folder import KEPT_FREE, has_room
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
    check_room(folder, total)
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


def tasks_of(
    files: Sequence[Fetched], folder: Path, placement: Placement, cage: str, found: list[Finding]
) -> tuple[list[SourceTask], Grouping]:
    """One task a source, numbered in the order of names: the same uploads give the same parts.

    Args:
        found: takes what is to be reported about the names.
    """
    by_name = dict(zip(distinct_names(file.name for file in files), files, strict=True))
    found += [_twice(name, file.name) for name, file in by_name.items() if name != file.name]
    grouping = group(by_name)
    tasks = []
    for part, one in enumerate(grouping.groups):
        members = {name: by_name[name].path for name in one.members}
        own = folder / "parts" / str(part)
        own.mkdir(parents=True)
        reads, labels = _laid_out(members, folder / "named" / str(part))
        size = sum(by_name[name].size for name in one.members)
        task = SourceTask(reads, own, one.name, part, size, placement, folder / "stop", cage, step=len(grouping.groups))
        tasks.append(replace(task, labels=labels, kept_free=KEPT_FREE))
    return tasks, grouping


def _twice(name: str, given: str) -> Finding:
    text = f"Several files are called {given}; all are read, this one as {name}."
    return info("file.same_name", text, "Give each file a name of its own if they are not the same thing.", file=name, value=given)


def _laid_out(members: dict[str, Path], named: Path) -> tuple[Path, dict[str, str]]:
    """What the cage is shown: one file under its own name, or a folder of several; and what their names are."""
    if len(members) > 1:
        return lay_out(members, named)
    ((name, path),) = members.items()
    named.mkdir(parents=True)
    leaf = Path(inside_names([name])[name]).name
    os.link(path, named / leaf)
    return named / leaf, {}


def check_room(folder: Path, needed: int) -> None:
    """Pass when the work disk has its reserve left after so many more bytes: the database may be on it, and must go on.

    Raises: Unavailable: `disk.full`.
    """
    if not has_room(folder, needed + _SPARE_BYTES):
        raise _full(folder, needed)


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
