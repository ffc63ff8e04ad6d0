"""Recalls: a seller takes a version back for good. What was bought of it can no longer be read and is paid back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text, update

from mapex import authority
from mapex.audit.log import Action, AuditEntry, append
from mapex.catalogue import versions
from mapex.catalogue.versions import Version
from mapex.database import db, failpoints
from mapex.database.acts import act
from mapex.database.schema import audit_event, dataset_version
from mapex.errors import Conflict
from mapex.exchange import Actor, Exchange
from mapex.notices import outbox
from mapex.notices.kind import NoticeKind
from mapex.notices.outbox import MOST_NAMED, News
from mapex.offers import offers
from mapex.orders import refunds
from mapex.orders.refunds import Returned
from mapex.people import signers
from mapex.rights import entitlements

RELEASED = ("published", "superseded", "withdrawn")
"""States from which a version can be recalled: those in which somebody may hold tiles of it."""


@dataclass(frozen=True, slots=True)
class Recall:
    """A version as it is, how many organisations hold tiles of it, never which, and what its recall returns to them."""

    version: Version
    holders: int
    returned: Returned


def foresee(ex: Exchange, by: Actor, dataset: str, number: int) -> Recall:
    """What a recall of a version of an own dataset would do now.

    Raises: Denied, NotFound.
    """
    authority.member(by)
    with db.read(ex) as conn:
        version = versions.find_version(conn, by, f"{by.org_slug}/{dataset}", number)
        return Recall(version, len(_holders(conn, version.id)), refunds.foreseen(conn, version.id))


def recall(ex: Exchange, by: Actor, dataset: str, number: int) -> Recall:
    """Recall a version of an own dataset: it leaves the market, from the commit on no grant is given for tiles of it and no address
    opens one, and what was paid for it is returned.

    Raises: Denied, NotFound. Conflict: `version.not_released` (a draft is not on anybody's disk; a recalled version is recalled).
    """
    with signers.retiring(ex) as retire, act(ex, by) as conn:
        versions.own_dataset(conn, by, dataset)  # locked: not published, withdrawn or recalled twice at once
        version = versions.find_version(conn, by, f"{by.org_slug}/{dataset}", number)
        if version.state not in RELEASED:
            message = f"Version {number} of {dataset} is {version.state}; only a version that was on sale can be recalled."
            raise Conflict("version.not_released", message, state=version.state)
        if version.state == "published":
            offers.end(conn, ex, by, version)
        on_sale = offers.hold_live(conn, version.dataset_id)
        conn.execute(update(dataset_version).where(dataset_version.c.id == version.id).values(state="recalled"))
        holders = _holders(conn, version.id)
        entitlements.recall(conn, version.id)
        if on_sale is not None:
            offers.recount_owned(conn, on_sale)
        _announce(conn, ex, version, holders)
        retire(conn, holders)
        returned = refunds.give_back(conn, ex, version.org_id, version.id)
        details = {"version": number, "holders": len(holders), "refunds": returned.orders, "returned": returned.total}
        append(conn, ex, by, AuditEntry(Action.VERSION_RECALLED, dataset=version.dataset, details=details))
        failpoints.hit("recall.before_commit")
        return Recall(versions.find_version(conn, by, f"{by.org_slug}/{dataset}", number), len(holders), returned)


def _announce(conn: Connection, ex: Exchange, version: Version, holders: Sequence[str]) -> None:
    """Everybody of those who hold tiles of it is to know: what they have is to be deleted."""
    bought = (
        "SELECT DISTINCT e.org_id, e.order_id FROM entitlement e JOIN layer l ON l.id = e.layer_id "
        "WHERE l.version_id = :version ORDER BY e.order_id"
    )
    orders: dict[str, list[str]] = {}
    for org_id, order_id in conn.execute(text(bought), {"version": version.id}):
        orders.setdefault(org_id, []).append(order_id)
    for org_id in holders:
        about = {"dataset": f"{version.org}/{version.dataset}", "version": version.number, "orders": orders[org_id][:MOST_NAMED]}
        outbox.to_orgs(conn, ex, News(NoticeKind.RECALL, version.id, about), [org_id])


@dataclass(frozen=True, slots=True)
class Recalled:
    """A version that was bought and recalled since; `at_ns` is when."""

    org: str
    dataset: str
    version: int
    at_ns: int


def of_order(ex: Exchange, by: Actor, order_id: str) -> list[Recalled]:
    """The recalled versions of which an order of `by`'s organisation has tiles.

    Raises: Denied: `by` is of no organisation.
    """
    statement = text(
        "SELECT DISTINCT g.slug AS org, d.slug AS dataset, v.number FROM entitlement e JOIN layer l ON l.id = e.layer_id "
        "JOIN dataset_version v ON v.id = l.version_id AND v.state = 'recalled' JOIN dataset d ON d.id = v.dataset_id "
        "JOIN organisation g ON g.id = d.org_id WHERE e.order_id = :order AND e.org_id = :buyer ORDER BY g.slug, d.slug, v.number"
    )
    with db.read(ex) as conn:
        found = conn.execute(statement, {"order": order_id, "buyer": authority.member(by)}).all()
        return [Recalled(row.org, row.dataset, row.number, _recalled_ns(conn, row.org, row.dataset, row.number)) for row in found]


def _recalled_ns(conn: Connection, org: str, dataset: str, number: int) -> int:
    """When, by the log, a version was recalled."""
    row = audit_event.c
    query = select(row.at_ns, row.payload).where(row.action == Action.VERSION_RECALLED, row.owner == org, row.dataset == dataset)
    return next(int(one.at_ns) for one in conn.execute(query) if json.loads(one.payload)["version"] == number)


def _holders(conn: Connection, version_id: str) -> Sequence[str]:
    """Ids of the organisations that hold tiles of a version."""
    statement = text("SELECT DISTINCT e.org_id FROM entitlement e JOIN layer l ON l.id = e.layer_id WHERE l.version_id = :version")
    return conn.execute(statement, {"version": version_id}).scalars().all()
