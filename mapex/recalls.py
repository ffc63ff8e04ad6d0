"""Recalls: a seller takes a version back for good. What was bought of it can no longer be read, and its holders are told."""

from __future__ import annotations

from sqlalchemy import Connection, text, update

from mapex import authority, catalogue, db, offers
from mapex.audit import Action, append
from mapex.errors import Conflict
from mapex.exchange import Actor, Exchange
from mapex.schema import dataset_version
from mapex.versions import Version

RELEASED = ("published", "superseded", "withdrawn")
"""States from which a version can be recalled: those in which somebody may hold tiles of it."""


def holders(ex: Exchange, by: Actor, dataset: str, number: int) -> int:
    """How many organisations hold tiles of a version of an own dataset; never which.

    Raises: Denied, NotFound.
    """
    authority.member(by)
    with db.read(ex) as conn:
        return _holders(conn, catalogue.find_version(conn, by, f"{by.org_slug}/{dataset}", number).id)


def recall(ex: Exchange, by: Actor, dataset: str, number: int) -> tuple[Version, int]:
    """Recall a version of an own dataset: it leaves the market, and from the commit on no grant is given for tiles of it.

    Returns: the version, and the number of organisations that hold tiles of it.
    Raises: Denied, NotFound. Conflict: `version.not_released` (a draft is not on anybody's disk; a recalled version is recalled).
    """
    with db.begin(ex) as conn:
        catalogue.own_dataset(conn, by, dataset)  # locked: not published, withdrawn or recalled twice at once
        version = catalogue.find_version(conn, by, f"{by.org_slug}/{dataset}", number)
        if version.state not in RELEASED:
            message = f"version {number} of {dataset} is {version.state}; only a version that was on sale can be recalled"
            raise Conflict("version.not_released", message, state=version.state)
        if version.state == "published":
            offers.end(conn, ex, by, version)
        conn.execute(update(dataset_version).where(dataset_version.c.id == version.id).values(state="recalled"))
        count = _holders(conn, version.id)
        append(conn, ex, by, Action.VERSION_RECALLED, dataset=version.dataset, version=number, holders=count)
        return catalogue.find_version(conn, by, f"{by.org_slug}/{dataset}", number), count


def _holders(conn: Connection, version_id: str) -> int:
    statement = text("SELECT COUNT(DISTINCT e.org_id) FROM entitlement e JOIN layer l ON l.id = e.layer_id WHERE l.version_id = :version")
    return int(conn.execute(statement, {"version": version_id}).scalar_one())
