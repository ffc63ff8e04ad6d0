"""Publication: a draft goes on sale as a whole or not at all; the version before is superseded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, and_, func, select, update

from mapex.audit import examination, log
from mapex.catalogue import comparisons
from mapex.catalogue.versions import REMOVED, Dataset, Layer, Version, all_versions, layers_of, own_dataset, version_by, version_from
from mapex.database import schema
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor, Exchange
from mapex.rules import licences


@dataclass(frozen=True, slots=True)
class Publication:
    """What `publish` did: `superseded_id` is the version that was on sale before; `is_new` is False when nothing changed."""

    version: Version
    layers: Sequence[Layer]
    superseded_id: str | None
    is_new: bool


def publish(
    conn: Connection,
    ex: Exchange,
    by: Actor,
    dataset: str,
    *,
    number: int | None = None,
    confirmed: Collection[str] = (),
    accuracies: Mapping[str, int] = MappingProxyType({}),
    details: Mapping[str, Any] | None = None,
) -> Publication:
    """Publish a draft of an own dataset, all layers or none, in the caller's transaction; the version on sale is superseded.

    Args:
        number: None = the newest draft, or else the version that is published already.
        confirmed: codes of the questions among the findings that the seller answers: what they ask about is right.
        accuracies: millimetres by layer, `*` for all others: a shift below it is no change of a tile.
        details: what else goes into the audit row `version.published`, which is written exactly once a version.
    Raises: Denied, NotFound, Conflict (`version.not_draft`, `version.empty`, `class.missing`, `version.has_errors`,
        `version.unanswered`, `accuracy.published`), Invalid (`layer.unknown`).
    """
    found = own_dataset(conn, by, dataset)
    version = _chosen(conn, found, number)
    layers = layers_of(conn, version.id)
    if version.state == "published":
        comparisons.check_stated(conn, version, accuracies)
        return Publication(version, layers, None, is_new=False)
    _check_publishable(conn, version, layers)
    answered = _answered(conn, version, confirmed)
    versions = schema.dataset_version.c
    superseded = conn.execute(select(versions.id).where(versions.dataset_id == found.id, versions.state == "published")).scalar()
    conn.execute(update(schema.dataset_version).where(versions.id == superseded).values(state="superseded"))
    conn.execute(update(schema.dataset_version).where(versions.id == version.id).values(state="published", published_ns=ex.now()))
    stated = comparisons.state_accuracy(conn, version, accuracies)
    about = {"version": version.number, "accuracies_mm": stated, "manifest_sha256": version.manifest_sha256, **(details or {})}
    about |= {"confirmed": answered} if answered else {}
    log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_PUBLISHED, dataset=found.slug, details=about))
    return Publication(version_by(conn, versions.id == version.id), layers, superseded, is_new=True)


def withdraw(conn: Connection, ex: Exchange, by: Actor, dataset: str) -> Version:
    """Take the published version of an own dataset out of the market, in the caller's transaction; what was bought stays bought.

    Raises: Denied, NotFound, Conflict (`version.not_published`).
    """
    found = own_dataset(conn, by, dataset)
    versions = schema.dataset_version.c
    version_id = conn.execute(select(versions.id).where(versions.dataset_id == found.id, versions.state == "published")).scalar()
    if version_id is None:
        raise Conflict("version.not_published", f"No version of {dataset} is on sale.", dataset=dataset)
    conn.execute(update(schema.dataset_version).where(versions.id == version_id).values(state="withdrawn"))
    version = version_by(conn, versions.id == version_id)
    log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_WITHDRAWN, dataset=found.slug, details={"version": version.number}))
    return version


def _chosen(conn: Connection, dataset: Dataset, number: int | None) -> Version:
    """The draft to publish, or the version that is published already."""
    version = schema.dataset_version.c
    which = and_(version.number == number, version.state != REMOVED) if number is not None else version.state.in_(("draft", "published"))
    query = all_versions().where(version.dataset_id == dataset.id, which).order_by(version.number.desc()).limit(1)
    row = conn.execute(query).mappings().first()
    if row is None:
        message = f"{dataset.slug} has no such version, or none that is ready; see its findings."
        raise NotFound("version.unknown", message)
    found = version_from(row)
    if found.state not in ("draft", "published"):
        message = f"Version {found.number} of {dataset.slug} is {found.state}; only a draft can be published."
        raise Conflict("version.not_draft", message, state=found.state)
    return found


def _check_publishable(conn: Connection, version: Version, layers: Sequence[Layer]) -> None:
    finding = schema.finding.c
    errors = conn.execute(select(func.count()).where(finding.version_id == version.id, finding.severity == "error")).scalar_one()
    if errors:
        message = f"Version {version.number} has {errors} errors; mend the files and upload them again."
        raise Conflict("version.has_errors", message)
    if not any(layer.cells for layer in layers):
        raise Conflict("version.empty", f"Version {version.number} has no tiles; nothing could be sold.")
    if any(layer.handling_class == licences.HandlingClass.ORIGINAL for layer in layers) and examination.failing(conn):
        raise Conflict(examination.STOPPED, examination.WHY)
    unclassified = [layer.name for layer in layers if layer.handling_class is None]
    if unclassified:
        message = f"Give {', '.join(unclassified)} a handling class ({', '.join(licences.HandlingClass)}) before publishing."
        raise Conflict("class.missing", message, layers=unclassified)


def _answered(conn: Connection, version: Version, confirmed: Collection[str]) -> dict[str, int]:
    """The questions about a version and how many places each is about, when the seller has confirmed all of them."""
    finding = schema.finding.c
    query = select(finding.code, func.sum(finding.count)).where(finding.version_id == version.id, finding.severity == "question")
    asked = {code: int(count) for code, count in conn.execute(query.group_by(finding.code).order_by(finding.code))}
    if open_ := [code for code in asked if code not in confirmed]:
        message = f"Version {version.number} has questions that are not answered ({', '.join(open_)}). Look at these places; mend the files"
        raise Conflict("version.unanswered", f"{message}, or confirm that they are right.", questions=open_)
    return asked
