"""Datasets and their immutable versions: from a request to ingest, over the draft, to publication.

A version is `ingesting`, then `unplaced` (waits for an answer), `rejected` (errors), `failed` (its job did) or `draft`; a draft is
`published` as a whole and later `superseded`, `withdrawn` or `recalled`. What a stranger may not see does not exist for him.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.catalogue.draft import Draft, DraftFinding, DraftLayer, DraftPreview, DraftSource
from mapex.catalogue.drafts import ALL_LAYERS, classify, clear_footage, store_draft
from mapex.catalogue.versions import (
    Dataset,
    Layer,
    Version,
    all_versions,
    dataset_from,
    find_dataset,
    find_version,
    layers_of,
    may_see,
    own_dataset,
    version_by,
    version_from,
    visible_datasets,
)
from mapex.database import db, schema
from mapex.errors import Conflict, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs
from mapex.intake.keys import object_key, preview_key
from mapex.intake.placement import Placement, check_placement
from mapex.people.participants import check_slug
from mapex.rules import licences
from mapex.texts import check_text

__all__ = [
    "ALL_LAYERS",
    "Dataset",
    "Description",
    "Draft",
    "DraftFinding",
    "DraftLayer",
    "DraftPreview",
    "DraftSource",
    "Found",
    "Layer",
    "Placement",
    "Publication",
    "Source",
    "Task",
    "Version",
    "answer_placement",
    "classify",
    "clear_footage",
    "coverage",
    "create_dataset",
    "datasets",
    "describe",
    "find_dataset",
    "find_version",
    "get_dataset",
    "get_version",
    "layers_of",
    "manifest",
    "object_key",
    "own_dataset",
    "preview_key",
    "publish",
    "start_version",
    "store_draft",
    "task_of",
    "versions",
    "withdraw",
]

MAX_UPLOADS = 5000
_LAYER = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Found:
    """A stored finding."""

    severity: str
    code: str
    file: str
    layer: str
    feature: str
    value: str
    message: str
    fix: str
    lon: float | None
    lat: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Description:
    """A version with what is in it. Findings are for the owner, auditors and operators; others get none."""

    version: Version
    layers: Sequence[Layer]
    findings: Sequence[Found]
    job: jobs.Job | None


@dataclass(frozen=True, slots=True)
class Source:
    """An upload as a worker needs it."""

    upload_id: str
    name: str
    size: int
    sha256: str | None
    store_key: str


@dataclass(frozen=True, slots=True)
class Task:
    """What an ingest job is to do."""

    version: Version
    sources: Sequence[Source]


@dataclass(frozen=True, slots=True)
class Publication:
    """What `publish` did: `superseded_id` is the version that was on sale before; `is_new` is False when nothing changed."""

    version: Version
    layers: Sequence[Layer]
    superseded_id: str | None
    is_new: bool


# ---- datasets ----------------------------------------------------------------------------------------------------------------------


def create_dataset(ex: Exchange, by: Actor, slug: str, title: str = "", description: str = "") -> tuple[Dataset, bool]:
    """The actor's own dataset of this slug, and whether it is new; one that exists stays as it is.

    Raises: Denied, Invalid (`slug.malformed`, `text.malformed`).
    """
    org_id = authority.member(by)
    check_slug(slug)
    values = {
        "id": ids.new("dat"),
        "org_id": org_id,
        "slug": slug,
        "title": check_text(title or slug, "title", 200),
        "description": check_text(description, "description", 10_000) if description else "",
    }

    def work(conn: Connection) -> tuple[Dataset, bool]:
        row = schema.dataset.c
        if conn.execute(select(row.id).where(row.org_id == org_id, row.slug == slug)).first():
            return find_dataset(conn, by, f"{by.org_slug}/{slug}"), False
        conn.execute(insert(schema.dataset).values(**values, created_ns=ex.now()))
        log.append(conn, ex, by, log.AuditEntry(log.Action.DATASET_CREATED, dataset=slug, details={"title": values["title"]}))
        return find_dataset(conn, by, f"{by.org_slug}/{slug}"), True

    return db.run(ex, work)


def datasets(ex: Exchange, by: Actor) -> Sequence[Dataset]:
    """The datasets that `by` may see: own ones first, then by organisation and slug."""
    with db.read(ex) as conn:
        found = [dataset_from(row) for row in conn.execute(visible_datasets(by)).mappings()]
    return sorted(found, key=lambda dataset: (dataset.org_id != by.org_id, dataset.org, dataset.slug))


def get_dataset(ex: Exchange, by: Actor, ref: str) -> Dataset:
    """As `find_dataset`, in its own transaction."""
    with db.read(ex) as conn:
        return find_dataset(conn, by, ref)


# ---- from request to draft ---------------------------------------------------------------------------------------------------------


def start_version(
    ex: Exchange,
    by: Actor,
    dataset: str,
    upload_ids: Sequence[str],
    classes: Mapping[str, str] | str | None = None,
    placement: Placement | None = None,
) -> tuple[Version, jobs.Job]:
    """A new version of an own dataset from complete uploads, and the job that ingests them; asked twice, the same.

    Args:
        classes: handling class by layer name (`*` = all others), or one for all; None = none yet.
    Raises: Denied, NotFound (`dataset.unknown`, `upload.unknown`), Conflict (`upload.open`), Invalid.
    """
    request = _request(upload_ids, classes, placement or Placement())
    with db.begin(ex) as conn:
        found = own_dataset(conn, by, dataset)
        _check_uploads(conn, found.org_id, upload_ids)
        row = schema.dataset_version.c
        newest = conn.execute(select(schema.dataset_version).where(row.dataset_id == found.id).order_by(row.number.desc()).limit(1))
        last = newest.mappings().first()
        if last is not None and last["state"] in ("ingesting", "draft") and last["request"] == request:
            running = jobs.newest_of(conn, last["id"])
            if running is not None:
                return version_by(conn, row.id == last["id"]), running
        parent = select(row.id).where(row.dataset_id == found.id, row.published_ns.is_not(None)).order_by(row.number.desc()).limit(1)
        version_id = ids.new("ver")
        conn.execute(
            insert(schema.dataset_version).values(
                id=version_id,
                dataset_id=found.id,
                number=last["number"] + 1 if last is not None else 1,
                state="ingesting",
                parent_id=conn.execute(parent).scalar(),
                request=request,
                created_ns=ex.now(),
            )
        )
        version = version_by(conn, row.id == version_id)
        job = jobs.enqueue(conn, ex, by, "ingest", version_id=version_id)
        about: dict[str, Any] = {
            "version": version.number,
            "job": job.id,
            "uploads": list(upload_ids)[:100],
            "classes": dict(version.classes),
        }
        log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_STARTED, dataset=found.slug, details=about))
        return version, job


def answer_placement(ex: Exchange, by: Actor, dataset: str, number: int, placement: Placement) -> jobs.Job:
    """Say where an unplaced version lies, and ingest it again. What was said before stays unless said anew.

    Raises: Denied, NotFound, Invalid, Conflict (`version.not_unplaced`).
    """
    check_placement(placement)
    if placement == Placement():
        raise Invalid("placement.empty", "say a crs, or an origin for data in local metres")
    with db.begin(ex) as conn:
        found = own_dataset(conn, by, dataset)
        row = schema.dataset_version.c
        version = version_by(conn, and_(row.dataset_id == found.id, row.number == number))
        if version.state != "unplaced":
            message = f"version {number} of {dataset} is {version.state}; only an unplaced one waits for a placement"
            raise Conflict("version.not_unplaced", message, state=version.state)
        said = Placement(
            placement.crs or version.placement.crs,
            placement.origin or version.placement.origin,
            placement.height_datum or version.placement.height_datum,
        )
        request = _request(version.uploads, version.classes, said)
        conn.execute(update(schema.dataset_version).where(row.id == version.id).values(request=request, state="ingesting"))
        job = jobs.enqueue(conn, ex, by, "ingest", version_id=version.id)
        entry = log.AuditEntry(
            log.Action.VERSION_PLACED, dataset=found.slug, details={"version": number, "job": job.id, "placement": asdict(said)}
        )
        log.append(conn, ex, by, entry)
        return job


def task_of(ex: Exchange, job: jobs.Job) -> Task:
    """What a claimed ingest job is to do."""
    with db.read(ex) as conn:
        version = version_by(conn, schema.dataset_version.c.id == job.version_id)
        row = schema.upload.c
        found = {
            upload["id"]: Source(upload["id"], upload["name"], upload["size"], upload["sha256"], upload["store_key"])
            for upload in conn.execute(select(schema.upload).where(row.id.in_(version.uploads))).mappings()
        }
        return Task(version, [found[upload_id] for upload_id in version.uploads])


# ---- reading -----------------------------------------------------------------------------------------------------------------------


def versions(ex: Exchange, by: Actor, ref: str) -> Sequence[Version]:
    """The versions of a dataset that `by` may see, newest first."""
    with db.read(ex) as conn:
        dataset = find_dataset(conn, by, ref)
        row = schema.dataset_version.c
        query = all_versions().where(row.dataset_id == dataset.id).order_by(row.number.desc())
        return [version_from(found) for found in conn.execute(query).mappings() if may_see(by, found["org_id"], found["state"])]


def get_version(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> Version:
    """Version `number` (None: the newest that `by` may see).

    Raises: NotFound.
    """
    with db.read(ex) as conn:
        return find_version(conn, by, ref, number)


def describe(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> Description:
    """A version with its layers, findings and newest job.

    Raises: NotFound.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        is_insider = authority.sees_all(by) or version.org_id == by.org_id
        found: Sequence[Found] = []
        if is_insider:
            row = schema.finding.c
            query = select(schema.finding).where(row.version_id == version.id).order_by(row.ordinal)
            found = [Found(**{name: line[name] for name in Found.__dataclass_fields__}) for line in conn.execute(query).mappings()]
        return Description(version, layers_of(conn, version.id), found, jobs.newest_of(conn, version.id) if is_insider else None)


def manifest(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> str:
    """Canonical JSON of a version: sources, layers, counts, tools, digest of the tiles.

    Raises: NotFound: also while there is none yet.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        text: str | None = conn.execute(select(schema.dataset_version.c.manifest).where(schema.dataset_version.c.id == version.id)).scalar()
    if text is None:
        raise NotFound("version.no_manifest", "the version has no manifest yet")
    return text


def coverage(ex: Exchange, by: Actor, ref: str, number: int | None = None, *, layer: str | None = None) -> Mapping[str, Sequence[int]]:
    """Cells (z16 Morton numbers, sorted) of each layer of a version.

    Raises: NotFound.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        found = [one for one in layers_of(conn, version.id) if layer in (None, one.name)]
        if layer is not None and not found:
            raise NotFound("layer.unknown", "there is no such layer")
        row = schema.tile.c
        query = select(row.cell).distinct().order_by(row.cell)
        return {one.name: list(conn.execute(query.where(row.layer_id == one.id)).scalars()) for one in found}


# ---- publication -------------------------------------------------------------------------------------------------------------------


def publish(conn: Connection, ex: Exchange, by: Actor, dataset: str, number: int | None = None, **details: Any) -> Publication:
    """Publish a draft of an own dataset, all layers or none, in the caller's transaction; the version on sale is superseded.

    Args:
        number: None = the newest draft, or else the version that is published already.
        details: go into the audit row `version.published`, which is written exactly once a version.
    Raises: Denied, NotFound, Conflict (`version.not_draft`, `version.empty`, `class.missing`, `version.has_errors`).
    """
    found = own_dataset(conn, by, dataset)
    row = schema.dataset_version.c
    query = all_versions().where(row.dataset_id == found.id)
    query = query.where(row.number == number) if number is not None else query.where(row.state.in_(("draft", "published")))
    chosen = conn.execute(query.order_by(row.number.desc()).limit(1)).mappings().first()
    if chosen is None:
        raise NotFound("version.unknown", f"{dataset} has no such version, or none that is ready; see its findings")
    version = version_from(chosen)
    layers = layers_of(conn, version.id)
    if version.state == "published":
        return Publication(version, layers, None, is_new=False)
    if version.state != "draft":
        message = f"version {version.number} of {dataset} is {version.state}; only a draft can be published"
        raise Conflict("version.not_draft", message, state=version.state)
    _check_publishable(conn, version, layers)
    superseded = conn.execute(select(row.id).where(row.dataset_id == found.id, row.state == "published")).scalar()
    conn.execute(update(schema.dataset_version).where(row.id == superseded).values(state="superseded"))
    conn.execute(update(schema.dataset_version).where(row.id == version.id).values(state="published", published_ns=ex.now()))
    about = {"version": version.number, "manifest_sha256": version.manifest_sha256, **details}
    log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_PUBLISHED, dataset=found.slug, details=about))
    return Publication(version_by(conn, row.id == version.id), layers, superseded, is_new=True)


def withdraw(conn: Connection, ex: Exchange, by: Actor, dataset: str) -> Version:
    """Take the published version of an own dataset out of the market, in the caller's transaction; what was bought stays bought.

    Raises: Denied, NotFound, Conflict (`version.not_published`).
    """
    found = own_dataset(conn, by, dataset)
    row = schema.dataset_version.c
    version_id = conn.execute(select(row.id).where(row.dataset_id == found.id, row.state == "published")).scalar()
    if version_id is None:
        raise Conflict("version.not_published", f"no version of {dataset} is on sale", dataset=dataset)
    conn.execute(update(schema.dataset_version).where(row.id == version_id).values(state="withdrawn"))
    version = version_by(conn, row.id == version_id)
    log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_WITHDRAWN, dataset=found.slug, details={"version": version.number}))
    return version


# ---- rows ---------------------------------------------------------------------------------------------------------------------------


def _request(upload_ids: Sequence[str], classes: Mapping[str, str] | str | None, placement: Placement) -> str:
    if not 1 <= len(upload_ids) <= MAX_UPLOADS or len(set(upload_ids)) != len(upload_ids):
        raise Invalid("version.uploads", f"name 1 to {MAX_UPLOADS} different uploads, not {len(upload_ids)}", uploads=len(upload_ids))
    asked = {ALL_LAYERS: classes} if isinstance(classes, str) else dict(classes or {})
    for name, handling_class in asked.items():
        licences.check_class(handling_class)
        if name != ALL_LAYERS and not _LAYER.fullmatch(name):
            raise Invalid("layer.malformed", f"{name[:80]!r} cannot be the name of a layer", layer=name[:80])
    check_placement(placement)
    return json.dumps({"uploads": list(upload_ids), "classes": asked, "placement": asdict(placement)}, sort_keys=True)


def _check_uploads(conn: Connection, org_id: str, upload_ids: Sequence[str]) -> None:
    row = schema.upload.c
    query = select(row.id, row.state).where(row.id.in_(upload_ids), row.org_id == org_id)
    states = {found.id: found.state for found in conn.execute(query)}
    for upload_id in upload_ids:
        if states.get(upload_id, "aborted") in ("aborted", "removed"):
            raise NotFound("upload.unknown", "there is no such upload", upload=upload_id)
        if states[upload_id] != "complete":
            raise Conflict("upload.open", f"upload {upload_id} is not complete yet; send its parts and complete it", upload=upload_id)


def _check_publishable(conn: Connection, version: Version, layers: Sequence[Layer]) -> None:
    row = schema.finding.c
    errors = conn.execute(select(func.count()).where(row.version_id == version.id, row.severity == "error")).scalar_one()
    if errors:
        raise Conflict("version.has_errors", f"version {version.number} has {errors} errors; mend the files and upload them again")
    if not any(layer.cells for layer in layers):
        raise Conflict("version.empty", f"version {version.number} has no tiles; nothing could be sold")
    unclassified = [layer.name for layer in layers if layer.handling_class is None]
    if unclassified:
        message = f"say a handling class ({', '.join(licences.HandlingClass)}) for {', '.join(unclassified)} before publishing"
        raise Conflict("class.missing", message, layers=unclassified)
