"""Offers: a published version on sale under a licence at a rate card. One live offer a dataset; its layers are in the pyramid.

`estimate` and `quote` are here too, as one door for whoever asks for prices; they live in `mapex.prices`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, String, bindparam, insert, select, text, update

from mapex import authority, ids
from mapex.audit.log import Action, AuditEntry, append
from mapex.catalogue import datasets, publication, versions
from mapex.catalogue.versions import version_by
from mapex.database import db, failpoints
from mapex.database.schema import dataset_version
from mapex.database.schema import layer as layer_table
from mapex.database.schema import offer as table
from mapex.errors import Invalid
from mapex.exchange import Actor, Exchange
from mapex.prices.estimates import Area, Estimate, document, estimate, want
from mapex.prices.quotes import Quote, quote
from mapex.pyramid import cell_sums
from mapex.pyramid.live_layers import Offered, offers_in
from mapex.rules import licences
from mapex.rules.pricing import MAIN_UNIT, MEASURES, Unit, read_rates
from tiles.batch import Quantities

__all__ = ["Estimate", "Listing", "Offer", "Quote", "document", "estimate", "latest", "live", "publish", "quote", "search", "withdraw"]

MAX_ATTRIBUTION = 500


@dataclass(frozen=True, slots=True)
class Offer:
    """A version on sale. `unpriced` names layers of which the rate card charges nothing: they go with an order for 0 KRW."""

    id: str
    org: str
    dataset: str
    version: int
    state: str  # live | replaced | withdrawn
    licence: str
    attribution: str
    rates: Mapping[str, int]
    created_ns: int
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedLayer:
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
    rates: Mapping[str, int]
    published_ns: int
    is_own: bool
    layers: tuple[ListedLayer, ...]


def publish(
    ex: Exchange,
    by: Actor,
    dataset: str,
    *,
    rate_card: Mapping[str, object],
    licence: str,
    version: int | None = None,
    attribution: str = "",
) -> Offer:
    """Publish a version of an own dataset and put it on sale, in one transaction; the dataset's earlier offer ends.

    For a version that is published already this changes its price or terms (a new offer replaces the old one), and does nothing
    when they are the same.

    Args:
        version: None = the newest draft, or else the version on sale.
        rate_card: `{unit: KRW}`, see `pricing.Unit`.
        attribution: how the source is to be named; the organisation's slug when empty.
    Raises: Invalid (`rates.*`, `licence.unknown`, `offer.attribution`), and what `catalogue.publish` raises. A layer that no rate of
        the card is made for is `rates.unpriced`.
    """
    rates = read_rates(rate_card)
    licences.check_licence(licence)
    if not isinstance(attribution, str) or len(attribution) > MAX_ATTRIBUTION or not attribution.isprintable():
        raise Invalid("offer.attribution", f"an attribution is one line of at most {MAX_ATTRIBUTION} characters")
    card = json.dumps(rates, sort_keys=True, separators=(",", ":"))
    terms = {"rate_card": card, "licence": licence, "attribution": attribution or by.org_slug}
    with db.begin(ex) as conn:
        offer_id = ids.new("off")
        details = {"offer": offer_id, "rates": rates, "licence": licence}
        published = publication.publish(conn, ex, by, dataset, number=version, details=details)
        on_sale = published.version
        live = conn.execute(select(table).where(table.c.dataset_id == on_sale.dataset_id, table.c.state == "live").with_for_update())
        before = live.mappings().first()
        if before is None or before["version_id"] != on_sale.id or any(before[name] != value for name, value in terms.items()):
            if before is not None:
                _end(conn, ex, before, "replaced")
            values = {"id": offer_id, "org_id": on_sale.org_id, "dataset_id": on_sale.dataset_id, "version_id": on_sale.id, **terms}
            conn.execute(insert(table).values(**values, state="live", created_ns=ex.now()))
            _refill(conn, before, on_sale.id)
            number = on_sale.number
            entry = AuditEntry(
                Action.OFFER_PUBLISHED,
                dataset=on_sale.dataset,
                details={"version": number, "rates": rates, "licence": licence, "offer": offer_id},
            )
            append(conn, ex, by, entry)
        else:
            offer_id = before["id"]
        row = conn.execute(select(table).where(table.c.id == offer_id)).mappings().one()
        made = _offer(row, on_sale, published.layers)
        _refuse_unpriced(made, published.layers)
        failpoints.hit("publish.before_commit")
    failpoints.hit("publish.after_commit")
    return made


def withdraw(ex: Exchange, by: Actor, dataset: str) -> Offer:
    """Take an own dataset off the market; what was bought stays bought, quotes that are held can no longer be ordered.

    Raises: what `catalogue.withdraw` raises (`version.not_published` when nothing is on sale).
    """
    with db.begin(ex) as conn:
        version = publication.withdraw(conn, ex, by, dataset)
        row = conn.execute(select(table).where(table.c.id == end(conn, ex, by, version))).mappings().one()
        return _offer(row, version, versions.layers_of(conn, version.id))


def end(conn: Connection, ex: Exchange, by: Actor, version: versions.Version) -> str:
    """Take the live offer of a version off the market, in the caller's transaction; returns its id."""
    live = conn.execute(select(table).where(table.c.version_id == version.id, table.c.state == "live").with_for_update())
    before = live.mappings().one()
    _end(conn, ex, before, "withdrawn")
    cell_sums.drop(conn, _layer_ids(conn, version.id))
    entry = AuditEntry(Action.OFFER_WITHDRAWN, dataset=version.dataset, details={"version": version.number, "offer": before["id"]})
    append(conn, ex, by, entry)
    return str(before["id"])


def live(ex: Exchange, by: Actor, ref: str) -> Offer | None:
    """The offer under which a dataset (slug or `org/slug`) is on sale, or None.

    Raises: NotFound: `dataset.unknown`.
    """
    dataset = datasets.get_dataset(ex, by, ref)
    if dataset.published is None:
        return None
    version = datasets.get_version(ex, by, f"{dataset.org}/{dataset.slug}", dataset.published)
    with db.read(ex) as conn:
        row = conn.execute(select(table).where(table.c.version_id == version.id, table.c.state == "live")).mappings().first()
        return _offer(row, version, versions.layers_of(conn, version.id)) if row else None


def latest(ex: Exchange, by: Actor, dataset: str) -> Offer | None:
    """The newest offer of an own dataset, live or not: its terms are where the next ones begin. None: there was none yet.

    Raises: Denied, NotFound: `dataset.unknown`.
    """
    authority.member(by)
    with db.read(ex) as conn:
        found = versions.find_dataset(conn, by, f"{by.org_slug}/{dataset}")
        query = select(table).where(table.c.dataset_id == found.id).order_by(table.c.created_ns.desc(), table.c.id.desc()).limit(1)
        row = conn.execute(query).mappings().first()
        if row is None:
            return None
        version = version_by(conn, dataset_version.c.id == row["version_id"])
        return _offer(row, version, versions.layers_of(conn, version.id))


def search(ex: Exchange, by: Actor | None, area: Area, *, layers: Sequence[str] | None = None) -> list[Listing]:
    """The datasets on offer in a region, own ones too, with what each has there; nothing is stored. `by` None = a visitor.

    Raises: Invalid: `region.too_large`. NotFound: `layer.unknown`.
    """
    wanted = want(area, layers=layers)
    with db.read(ex) as conn:
        offered = offers_in(conn, cell_sums.sums(conn, wanted.cover.pyramid(cell_sums.ZMIN)), layers=wanted.layers)
        offered.sort(key=lambda one: (one.dataset, one.org, one.layer))
        terms = {row["id"]: row for row in _terms(conn, sorted({one.offer_id for one in offered}))}
        about = _about(conn, [one.layer_id for one in offered])
    grouped = groupby(offered, key=lambda one: one.offer_id)
    return [_listing(terms[offer_id], list(group), about, by.org_id if by else None) for offer_id, group in grouped]


def _end(conn: Connection, ex: Exchange, before: RowMapping, state: str) -> None:
    conn.execute(update(table).where(table.c.id == before["id"]).values(state=state, ended_ns=ex.now()))


def _refill(conn: Connection, before: RowMapping | None, version_id: str) -> None:
    """Bring the pyramid to the version on sale; a new price of the same version changes no sum."""
    if before is not None and before["version_id"] == version_id:
        return
    if before is not None:
        cell_sums.drop(conn, _layer_ids(conn, before["version_id"]))
    for layer_id in _layer_ids(conn, version_id):
        cell_sums.fill(conn, layer_id)


def _layer_ids(conn: Connection, version_id: str) -> list[str]:
    return list(conn.execute(select(layer_table.c.id).where(layer_table.c.version_id == version_id)).scalars())


def _offer(row: RowMapping, version: versions.Version, layers: Sequence[versions.Layer]) -> Offer:
    rates: dict[str, int] = json.loads(row["rate_card"])
    columns = {MEASURES[Unit(unit)].column for unit in rates}
    unpriced = tuple(layer.name for layer in layers if layer.cells and not any(getattr(layer.quantities, name) for name in columns))
    return Offer(
        id=row["id"],
        org=version.org,
        dataset=version.dataset,
        version=version.number,
        state=row["state"],
        licence=row["licence"],
        attribution=row["attribution"],
        rates=rates,
        created_ns=row["created_ns"],
        unpriced=unpriced,
    )


def _refuse_unpriced(offer: Offer, layers: Sequence[versions.Layer]) -> None:
    """A layer that nothing charges for was forgotten: it must not go out for nothing. A rate of 0 says that it is free."""
    for layer in layers:
        unit = MAIN_UNIT[layer.kind]
        if layer.name in offer.unpriced and unit not in offer.rates:
            message = f"the rate card has no price for the layer {layer.name}; add {unit}=KRW, or {unit}=0 if it shall be free"
            raise Invalid("rates.unpriced", message, layer=layer.name, unit=str(unit))


def _terms(conn: Connection, offer_ids: Sequence[str]) -> Sequence[RowMapping]:
    statement = text(
        "SELECT o.id, o.attribution, o.licence, d.title, v.published_ns FROM offer o JOIN dataset d ON d.id = o.dataset_id "
        "JOIN dataset_version v ON v.id = o.version_id WHERE o.id IN :offers"
    ).bindparams(bindparam("offers", expanding=True, type_=String()))
    return conn.execute(statement, {"offers": list(offer_ids)}).mappings().all()


def _about(conn: Connection, layer_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    rows = conn.execute(select(layer_table.c.id, layer_table.c.about).where(layer_table.c.id.in_(layer_ids)))
    return {row.id: json.loads(row.about) for row in rows}


def _listing(terms: RowMapping, group: Sequence[Offered], about: Mapping[str, Mapping[str, Any]], org_id: str | None) -> Listing:
    first = group[0]
    return Listing(
        dataset=first.dataset,
        org=first.org,
        title=terms["title"],
        version=first.version,
        licence=terms["licence"],
        attribution=terms["attribution"],
        rates=first.rates,
        published_ns=terms["published_ns"],
        is_own=first.seller_id == org_id,
        layers=tuple(
            ListedLayer(one.layer, one.kind, one.handling_class, one.sums.cells, one.sums.quantities, about[one.layer_id]) for one in group
        ),
    )
