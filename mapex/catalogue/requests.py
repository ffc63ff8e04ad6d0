"""Requests to ingest: a new version of a dataset from uploads, the answer to where an unplaced one is, going on without some files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from mapex import ids
from mapex.audit import log
from mapex.catalogue import drafts, omissions
from mapex.catalogue.drafts import ALL_LAYERS
from mapex.catalogue.versions import Dataset, Version, find_version, own_dataset, version_by
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs
from mapex.intake.placement import Placement, check_placement
from mapex.rules import licences

MAX_UPLOADS = 5000

OPEN = ("rejected", "unplaced", "failed", "cancelled")
"""States of a version that cannot be sold as it is, and that its seller can still have read again."""

_LAYER = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An upload as a worker needs it: its name, its size in bytes, and where it is in the staging area of the store."""

    upload_id: str
    name: str
    size: int
    sha256: str | None
    store_key: str


@dataclass(frozen=True, slots=True)
class IngestTask:
    """What an ingest job is to do, for the organisation `org` (its slug)."""

    version: Version
    sources: Sequence[UploadedFile]
    org: str


def start_version(
    ex: Exchange,
    by: Actor,
    dataset: str,
    upload_ids: Sequence[str],
    *,
    classes: Mapping[str, str] | str | None = None,
    placement: Placement | None = None,
) -> tuple[Version, jobs.Job]:
    """A new version of an own dataset from complete uploads, and the job that ingests them; asked twice, the same.

    Args:
        classes: handling class by layer name (`*` = all others), or one for all; None = none yet.
    Raises: Denied, NotFound (`dataset.unknown`, `upload.unknown`), Conflict (`upload.open`), Invalid.
    """
    request = _request(upload_ids, classes, placement or Placement())
    with act(ex, by) as conn:
        found = own_dataset(conn, by, dataset)
        _check_uploads(conn, found.org_id, upload_ids)
        running = _running(conn, found, request)
        if running is not None:
            return running
        version = _insert_version(conn, ex, found, request)
        job = jobs.enqueue(conn, ex, by, "ingest", version_id=version.id)
        details = {"version": version.number, "job": job.id, "uploads": list(upload_ids)[:100], "classes": dict(version.classes)}
        log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_STARTED, dataset=found.slug, details=details))
        return version, job


def answer_placement(ex: Exchange, by: Actor, dataset: str, number: int, placement: Placement) -> jobs.Job:
    """State where an unplaced version is, and ingest it again. What was stated before stays unless it is stated anew.

    Raises: Denied, NotFound, Invalid, Conflict (`version.not_unplaced`).
    """
    check_placement(placement)
    if placement == Placement():
        raise Invalid("placement.empty", "Give a crs, an origin for data in local metres, or the columns of a table.")
    with act(ex, by) as conn:
        found = own_dataset(conn, by, dataset)
        version = find_version(conn, by, f"{found.org}/{found.slug}", number)
        if version.state != "unplaced":
            message = f"Version {number} of {dataset} is {version.state}; only an unplaced one waits for a placement."
            raise Conflict("version.not_unplaced", message, state=version.state)
        stated = Placement(
            placement.crs or version.placement.crs,
            placement.origin or version.placement.origin,
            placement.height_datum or version.placement.height_datum,
            placement.columns or version.placement.columns,
        )
        request = _request(version.uploads, version.classes, stated, version.left_out)
        _set(conn, version, request=request, state="ingesting")
        job = jobs.enqueue(conn, ex, by, "ingest", version_id=version.id)
        details = {"version": number, "job": job.id, "placement": stated.as_json()}
        log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_PLACED, dataset=found.slug, details=details))
        return job


def leave_out(ex: Exchange, by: Actor, dataset: str, number: int, names: Sequence[str]) -> tuple[jobs.Job, Sequence[str]]:
    """Ingest a version that cannot be sold as it is again, without some of its files; nothing is sent again.

    Returns: the job, and the names of what is left out with them: of a shapefile all parts.
    Raises: Denied, NotFound, Invalid (`version.no_such_file`, `version.nothing_left`), Conflict (`version.not_open`, `version.files_gone`).
    """
    with act(ex, by) as conn:
        found = own_dataset(conn, by, dataset)
        version = find_version(conn, by, f"{found.org}/{found.slug}", number)
        if version.state not in OPEN:
            message = f"Version {number} of {dataset} is {version.state}; files can be left out of one that is {', '.join(OPEN)}."
            raise Conflict("version.not_open", message, state=version.state)
        upload = schema.upload.c
        sent = {row.id: row for row in conn.execute(select(upload.id, upload.name, upload.state).where(upload.id.in_(version.uploads)))}
        out = omissions.together([sent[upload_id].name for upload_id in version.uploads], names)
        kept = [upload_id for upload_id in version.uploads if sent[upload_id].name not in out]
        if any(sent[upload_id].state != "complete" for upload_id in kept):
            raise Conflict("version.files_gone", f"The files of version {number} are not kept here any more. Upload them as a new version.")
        request = _request(kept, version.classes, version.placement, (*version.left_out, *out))
        drafts.clear(conn, version.id)
        _set(conn, version, request=request, state="ingesting", manifest=None, manifest_sha256=None)
        job = jobs.enqueue(conn, ex, by, "ingest", version_id=version.id)
        details = {"version": number, "job": job.id, "left_out": list(out)[:100], "files": len(kept)}
        log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_REDUCED, dataset=found.slug, details=details))
        return job, out


def _set(conn: Connection, version: Version, **values: str | None) -> None:
    conn.execute(update(schema.dataset_version).where(schema.dataset_version.c.id == version.id).values(**values))


def task_of(ex: Exchange, job: jobs.Job) -> IngestTask:
    """What a claimed ingest job is to do."""
    with db.read(ex) as conn:
        version = version_by(conn, schema.dataset_version.c.id == job.version_id)
        upload = schema.upload.c
        columns = (upload.id, upload.name, upload.size, upload.sha256, upload.store_key)
        rows = conn.execute(select(*columns).where(upload.id.in_(version.uploads)))
        found = {row.id: UploadedFile(*row) for row in rows}
        org = conn.execute(select(schema.organisation.c.slug).where(schema.organisation.c.id == job.org_id)).scalar_one()
        return IngestTask(version, [found[upload_id] for upload_id in version.uploads], org)


def _request(upload_ids: Sequence[str], classes: Mapping[str, str] | str | None, placement: Placement, left_out: Sequence[str] = ()) -> str:
    """The request as it is stored: JSON, equal for equal requests."""
    if not 1 <= len(upload_ids) <= MAX_UPLOADS or len(set(upload_ids)) != len(upload_ids):
        raise Invalid("version.uploads", f"Name 1 to {MAX_UPLOADS} different uploads, not {len(upload_ids)}.", uploads=len(upload_ids))
    asked = {ALL_LAYERS: classes} if isinstance(classes, str) else dict(classes or {})
    for name, handling_class in asked.items():
        licences.check_class(handling_class)
        if name != ALL_LAYERS and not _LAYER.fullmatch(name):
            message = f"{name[:80]!r} cannot be the name of a layer; use small letters, digits and underscores."
            raise Invalid("layer.malformed", message, layer=name[:80])
    check_placement(placement)
    request = {"uploads": list(upload_ids), "classes": asked, "placement": placement.as_json()}
    return json.dumps(request | ({"left_out": list(left_out)} if left_out else {}), sort_keys=True)


def _check_uploads(conn: Connection, org_id: str, upload_ids: Sequence[str]) -> None:
    upload = schema.upload.c
    query = select(upload.id, upload.state).where(upload.id.in_(upload_ids), upload.org_id == org_id)
    states = {row.id: row.state for row in conn.execute(query)}
    for upload_id in upload_ids:
        if states.get(upload_id, "aborted") in ("aborted", "removed"):
            raise NotFound("upload.unknown", "There is no such upload.", upload=upload_id)
        if states[upload_id] != "complete":
            raise Conflict("upload.open", f"Upload {upload_id} is not complete yet; send its parts and complete it.", upload=upload_id)


def _running(conn: Connection, dataset: Dataset, request: str) -> tuple[Version, jobs.Job] | None:
    """The newest version and its job, when it was made by the same request and may still go on sale."""
    version = schema.dataset_version.c
    query = select(version.id, version.state, version.request).where(version.dataset_id == dataset.id)
    last = conn.execute(query.order_by(version.number.desc()).limit(1)).first()
    if last is None or last.state not in ("ingesting", "draft") or last.request != request:
        return None
    job = jobs.newest_of(conn, last.id)
    return (version_by(conn, version.id == last.id), job) if job is not None else None


def _insert_version(conn: Connection, ex: Exchange, dataset: Dataset, request: str) -> Version:
    """A new version, `ingesting`, numbered after the last; its parent is the newest that was ever published."""
    version = schema.dataset_version.c
    of_it = version.dataset_id == dataset.id
    last = conn.execute(select(func.max(version.number)).where(of_it)).scalar()
    parent = select(version.id).where(of_it, version.published_ns.is_not(None)).order_by(version.number.desc()).limit(1)
    version_id = ids.new("ver")
    values = {
        "id": version_id,
        "dataset_id": dataset.id,
        "number": (last or 0) + 1,
        "state": "ingesting",
        "parent_id": conn.execute(parent).scalar(),
        "request": request,
        "created_ns": ex.now(),
    }
    conn.execute(insert(schema.dataset_version).values(**values))
    return version_by(conn, version.id == version_id)
