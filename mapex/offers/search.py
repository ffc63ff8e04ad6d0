"""Search: which datasets are on offer in an area, and what each has there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from mapex.database import db
from mapex.database.live_offers import live_offers
from mapex.database.schema import dataset, dataset_version, layer
from mapex.exchange import Actor, Exchange
from mapex.prices.request import PriceRequest
from mapex.pyramid import cell_sums
from mapex.pyramid.live_layers import LiveLayer, offers_in
from tiles.batch import Quantities


@dataclass(frozen=True, slots=True)
class FoundLayer:
    """A layer of an offer inside the region that was searched."""

    name: str
    kind: str
    handling_class: str
    tiles: int
    quantities: Quantities
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """A dataset on offer with tiles in the region that was searched."""

    dataset: str
    org: str
    title: str
    version: int
    licence: str
    attribution: str
    credits_earlier: bool
    updates: str
    rates: Mapping[str, int]
    published_ns: int
    is_own: bool
    layers: tuple[FoundLayer, ...]


def listings(ex: Exchange, by: Actor | None, request: PriceRequest) -> list[Listing]:
    """The datasets on offer in a region, own ones too, with what each has there; nothing is stored. `by` None = a visitor.

    Raises: NotFound: `dataset.unknown`, `layer.unknown`.
    """
    with db.read(ex) as conn:
        sums = cell_sums.sums(conn, request.cover.pyramid(cell_sums.ZMIN))
        offered = offers_in(conn, sums, layers=request.layers, dataset=request.dataset)
        offered.sort(key=lambda one: (one.dataset, one.org, one.layer))
        terms = {row["id"]: row for row in _terms(conn, sorted({one.offer_id for one in offered}))}
        about = _about(conn, [one.layer_id for one in offered])
    grouped = groupby(offered, key=lambda one: one.offer_id)
    return [_listing(terms[offer_id], list(group), about, by.org_id if by else None) for offer_id, group in grouped]


def _terms(conn: Connection, offer_ids: Sequence[str]) -> Sequence[RowMapping]:
    query = (
        select(live_offers.c.id, live_offers.c.attribution, live_offers.c.licence, dataset.c.title, dataset_version.c.published_ns)
        .join_from(live_offers, dataset, dataset.c.id == live_offers.c.dataset_id)
        .join(dataset_version, dataset_version.c.id == live_offers.c.version_id)
        .where(live_offers.c.id.in_(offer_ids))
    )
    return conn.execute(query).mappings().all()


def _about(conn: Connection, layer_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    rows = conn.execute(select(layer.c.id, layer.c.about).where(layer.c.id.in_(layer_ids)))
    return {row.id: json.loads(row.about) for row in rows}


def _listing(terms: RowMapping, group: Sequence[LiveLayer], about: Mapping[str, Mapping[str, Any]], org_id: str | None) -> Listing:
    first = group[0]
    return Listing(
        dataset=first.dataset,
        org=first.org,
        title=terms["title"],
        version=first.version,
        licence=terms["licence"],
        attribution=terms["attribution"],
        credits_earlier=first.credits_earlier,
        updates=first.updates,
        rates=first.rates,
        published_ns=terms["published_ns"],
        is_own=first.seller_id == org_id,
        layers=tuple(
            FoundLayer(one.layer, one.kind, one.handling_class, one.sums.cells, one.sums.quantities, about[one.layer_id]) for one in group
        ),
    )
