"""Datasets and their immutable versions: from a request to ingest, over the draft, to publication.

A version is `ingesting`, then `unplaced` (waits for an answer), `rejected` (errors), `failed` or `cancelled` (its job was) or `draft`.
A draft is `published` as a whole and later `superseded`, `withdrawn` or `recalled`; what was never on sale can be removed. What a
stranger may not see does not exist for him.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.catalogue import omissions
from mapex.catalogue.finding import Finding, Severity
from mapex.catalogue.twins import twins_of
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
    version_from,
    visible_datasets,
)
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs
from mapex.people.orgs import check_slug
from mapex.texts import check_text


@dataclass(frozen=True, slots=True)
class Description:
    """A version with what is in it. Findings and names of files are for the owner, auditors and operators; others get none.

    `files`: of the sources of the manifest, in its order. `at_fault`: those of them without which it can go on (`requests.leave_out`).
    `same_as`: other versions of the organisation with the same content.
    """

    version: Version
    layers: Sequence[Layer]
    findings: Sequence[Finding]
    job: jobs.Job | None
    files: Sequence[str] = ()
    at_fault: Sequence[str] = ()
    same_as: Sequence[Version] = ()


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

    with act(ex, by, f"datasets:{org_id}") as conn:
        dataset = schema.dataset.c
        known = conn.execute(select(dataset.id, dataset.removed_ns).where(dataset.org_id == org_id, dataset.slug == slug)).first()
        if known is not None and known.removed_ns is None:
            return find_dataset(conn, by, f"{by.org_slug}/{slug}"), False
        if known is not None:  # its versions of before were removed; their numbers stay used up
            fresh = {"title": values["title"], "description": values["description"], "created_ns": ex.now(), "removed_ns": None}
            conn.execute(update(schema.dataset).where(dataset.id == known.id).values(**fresh))
        else:
            conn.execute(insert(schema.dataset).values(**values, created_ns=ex.now()))
        _allow_sample(conn, ex, known.id if known is not None else values["id"])
        made = {"title": values["title"], "gives_sample": True}
        log.append(conn, ex, by, log.AuditEntry(log.Action.DATASET_CREATED, dataset=slug, details=made))
        return find_dataset(conn, by, f"{by.org_slug}/{slug}"), True


def _allow_sample(conn: Connection, ex: Exchange, dataset_id: str) -> None:
    """A new dataset gives a sample tile unless its seller says otherwise; the description of one of before goes with it."""
    conn.execute(delete(schema.dataset_description).where(schema.dataset_description.c.dataset_id == dataset_id))
    conn.execute(insert(schema.dataset_description).values(dataset_id=dataset_id, sample=True, described_ns=ex.now()))


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


# ---- reading -----------------------------------------------------------------------------------------------------------------------


def versions(ex: Exchange, by: Actor, ref: str) -> Sequence[Version]:
    """The versions of a dataset that `by` may see, newest first."""
    with db.read(ex) as conn:
        dataset = find_dataset(conn, by, ref)
        version = schema.dataset_version.c
        query = all_versions().where(version.dataset_id == dataset.id).order_by(version.number.desc())
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
        found: Sequence[Finding] = []
        files: Sequence[str] = []
        at_fault: Sequence[str] = ()
        if is_insider:
            upload = schema.upload.c
            query = select(upload.id, upload.name, upload.state).where(upload.id.in_(version.uploads))
            sent = {row.id: row for row in conn.execute(query)}
            files = [sent[upload_id].name for upload_id in version.uploads if upload_id in sent]
            finding = schema.finding.c
            findings = select(schema.finding).where(finding.version_id == version.id).order_by(finding.ordinal)
            found = [_finding(line) for line in conn.execute(findings).mappings()]
            if version.state == "rejected" and all(one.state == "complete" for one in sent.values()):
                at_fault = omissions.at_fault(files, found)
        job = jobs.newest_of(conn, version.id) if is_insider else None
        same_as = twins_of(conn, version) if is_insider else ()
        return Description(version, layers_of(conn, version.id), found, job, files, at_fault, same_as)


def _finding(row: RowMapping) -> Finding:
    names = ("code", "message", "fix", "file", "layer", "feature", "value", "lon", "lat", "count")
    return Finding(Severity(row["severity"]), **{name: row[name] for name in names})


def manifest(ex: Exchange, by: Actor, ref: str, number: int | None = None) -> str:
    """Canonical JSON of a version: sources by number, layers, counts, tools, digest of the tiles.

    Raises: NotFound: also while there is none yet.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        text: str | None = conn.execute(select(schema.dataset_version.c.manifest).where(schema.dataset_version.c.id == version.id)).scalar()
    if text is None:
        raise NotFound("version.no_manifest", "The version has no manifest yet; wait until its job has ended.")
    return text


def coverage(ex: Exchange, by: Actor, ref: str, number: int | None = None, *, layer: str | None = None) -> Mapping[str, Sequence[int]]:
    """Cells (z16 Morton numbers, sorted) of each layer of a version.

    Raises: NotFound.
    """
    with db.read(ex) as conn:
        version = find_version(conn, by, ref, number)
        found = [one for one in layers_of(conn, version.id) if layer in (None, one.name)]
        if layer is not None and not found:
            raise NotFound("layer.unknown", "There is no such layer.")
        tile = schema.tile.c
        query = select(tile.cell).distinct().order_by(tile.cell)
        return {one.name: list(conn.execute(query.where(tile.layer_id == one.id)).scalars()) for one in found}


# ---- publication -------------------------------------------------------------------------------------------------------------------


# ---- rows ---------------------------------------------------------------------------------------------------------------------------
