"""Removing what was never on sale: rejected, cancelled, not wanted. The log keeps its entries, and the number stays used up."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, func, select, update

from mapex.audit import log
from mapex.catalogue import drafts
from mapex.catalogue.versions import Dataset, find_version, own_dataset
from mapex.database import schema
from mapex.database.acts import act
from mapex.errors import Conflict, Unavailable
from mapex.exchange import Actor, Exchange
from mapex.intake import staged

REMOVABLE = ("rejected", "failed", "cancelled", "unplaced", "draft")
"""States in which nobody but its seller has seen a version, and nobody is reading it."""


def remove(ex: Exchange, by: Actor, dataset: str, number: int) -> bool:
    """Remove a version of an own dataset, and the dataset when it has no other; returns whether the dataset went with it.

    What was found in it goes at once, and so do its staged files that no other version waits for.

    Raises: Denied, NotFound, Conflict (`version.not_removable`).
    """
    with act(ex, by) as conn:
        found = own_dataset(conn, by, dataset)
        version = find_version(conn, by, f"{found.org}/{found.slug}", number)
        if version.state not in REMOVABLE:
            message = f"Version {number} of {dataset} is {version.state}; only what was never on sale and is not being read can be removed."
            raise Conflict("version.not_removable", message, state=version.state)
        drafts.clear(conn, version.id)
        versions = schema.dataset_version.c
        gone = {"state": "removed", "manifest": None, "manifest_sha256": None}
        conn.execute(update(schema.dataset_version).where(versions.id == version.id).values(**gone))
        details = {"version": number, "files": len(version.uploads)}
        log.append(conn, ex, by, log.AuditEntry(log.Action.VERSION_REMOVED, dataset=found.slug, details=details))
        is_empty = _is_empty(conn, found)
        if is_empty:
            conn.execute(update(schema.dataset).where(schema.dataset.c.id == found.id).values(removed_ns=ex.now()))
            log.append(conn, ex, by, log.AuditEntry(log.Action.DATASET_REMOVED, dataset=found.slug))
    with suppress(Unavailable):  # the sweep removes them later
        staged.remove_unneeded(ex, schema.upload.c.id.in_(version.uploads))
    return is_empty


def _is_empty(conn: Connection, dataset: Dataset) -> bool:
    version = schema.dataset_version.c
    others = select(func.count()).where(version.dataset_id == dataset.id, version.state != "removed")
    return conn.execute(others).scalar_one() == 0
