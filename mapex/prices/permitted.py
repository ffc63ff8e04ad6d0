"""Under which permits the layers of a quote or order are sold: what review, order and receipt show of what not everybody may buy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from mapex.database import db
from mapex.database.schema import dataset, dataset_version, entitlement, layer, organisation
from mapex.exchange import Exchange
from mapex.prices.quotes import Quote
from mapex.rights import permits
from mapex.rights.permit import Permit


@dataclass(frozen=True, slots=True)
class Permitted:
    """A permit, and the layers (`ORG/DATASET/LAYER`) of a quote or order that rest on it."""

    permit: Permit
    offers: tuple[str, ...]


def of_quote(ex: Exchange, quote: Quote) -> Sequence[Permitted]:
    """The permits that a quote pinned, by number, as they are now."""
    with db.read(ex) as conn:
        return _permitted(conn, {pin.layer_id: pin.permit_id for pin in quote.estimate.pins if pin.permit_id})


def of_order(ex: Exchange, order_id: str) -> Sequence[Permitted]:
    """The permits under which an order gave its rights, by number, as they are now; for whoever may see the order."""
    rights = entitlement.c
    query = select(rights.layer_id, rights.permit_id).distinct().where(rights.order_id == order_id, rights.permit_id.is_not(None))
    with db.read(ex) as conn:
        return _permitted(conn, {row.layer_id: row.permit_id for row in conn.execute(query)})


def _permitted(conn: Connection, permit_ids: Mapping[str, str]) -> list[Permitted]:
    """By layer (id) the id of its permit."""
    if not permit_ids:
        return []
    names = (
        select(layer.c.id, layer.c.name, dataset.c.slug, organisation.c.slug.label("org"))
        .join_from(layer, dataset_version, dataset_version.c.id == layer.c.version_id)
        .join(dataset, dataset.c.id == dataset_version.c.dataset_id)
        .join(organisation, organisation.c.id == dataset.c.org_id)
        .where(layer.c.id.in_(sorted(permit_ids)))
    )
    offers: dict[str, list[str]] = defaultdict(list)
    for row in conn.execute(names):
        offers[permit_ids[row.id]].append(f"{row.org}/{row.slug}/{row.name}")
    return [Permitted(permit, tuple(sorted(offers[permit.id]))) for permit in permits.by_ids(conn, offers)]


def document(one: Permitted) -> dict[str, Any]:
    """As JSON values."""
    return {**one.permit.terms, "offers": list(one.offers)}
