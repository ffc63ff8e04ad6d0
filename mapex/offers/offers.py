"""Offers: a published version on sale under a licence at a rate card. One live offer a dataset; its layers are in the pyramid."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, insert, select, text, update

from mapex import authority, ids
from mapex.audit.log import Action, AuditEntry, append
from mapex.catalogue import datasets, publication, versions
from mapex.catalogue.versions import version_by
from mapex.database import db, failpoints, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid
from mapex.exchange import Actor, Exchange
from mapex.offers import reviews
from mapex.prices import rates_on_sale
from mapex.pyramid import cell_sums, owned
from mapex.rules import bounds, licences
from mapex.rules.accuracy import read_accuracies
from mapex.rules.pricing import MAIN_UNIT, UNITS, read_rates
from mapex.rules.update_policy import PAID, read_updates
from mapex.rules.usual_rates import TIMES, unusual

MAX_ATTRIBUTION = 500

CONFIRM_UNUSUAL = "rates.unusual"
"""What a seller confirms whose rate is far from the usual."""


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
    credits_earlier: bool
    updates: str  # what newer versions cost who buys: `mapex.rules.update_policy`
    rates: Mapping[str, int]
    created_ns: int
    unpriced: tuple[str, ...] = ()


def publish(
    ex: Exchange,
    by: Actor,
    dataset: str,
    *,
    rate_card: Mapping[str, object],
    licence: str,
    version: int | None = None,
    attribution: str = "",
    credits_earlier: bool = False,
    updates: str = PAID,
    confirmed: Collection[str] = (),
    accuracies: Mapping[str, object] = MappingProxyType({}),
) -> Offer:
    """Publish a version of an own dataset and put it on sale, in one transaction; the dataset's earlier offer ends.

    For a version that is published already this changes its price or terms, and does nothing when they are the same.

    Args:
        version: None = the newest draft, or else the version on sale.
        rate_card, updates: `{unit: KRW}`, see `pricing.Unit`; what newer versions cost who buys, see `update_policy`.
        attribution: how the source is to be named; the organisation's slug when empty.
        credits_earlier: whoever bought the same tiles for a narrower use pays the price less what was paid then.
        accuracies: metres by layer, `*` for all others (else as before): what moved by less is no change.
        confirmed: codes of what asks something (findings, `rates.unusual`), and that the seller has looked at: it is right.
    Raises: Invalid (`rates.*`, `licence.unknown`, `offer.*`, `accuracy.value`), Conflict (`rates.unusual`: far from the usual, and not
        confirmed; `review.ended`), and what `catalogue.publish` raises.
    """
    terms = _checked_terms(rate_card, licence, attribution or by.org_slug, updates) | {"credits_earlier": credits_earlier}
    with act(ex, by) as conn:
        stated, usual, offer_id = read_accuracies(accuracies), rates_on_sale.usual(conn), ids.new("off")
        details = {"offer": offer_id, **_logged(terms)}
        published = publication.publish(conn, ex, by, dataset, number=version, confirmed=confirmed, accuracies=stated, details=details)
        on_sale = published.version
        before = conn.execute(_live(schema.offer.c.dataset_id == on_sale.dataset_id).with_for_update(key_share=True)).mappings().first()
        if before is not None and before["version_id"] == on_sale.id and all(before[name] == value for name, value in terms.items()):
            offer_id = before["id"]
        else:
            _replace(conn, ex, before, on_sale, {"id": offer_id, **terms})
            details["version"] = on_sale.number
            append(conn, ex, by, AuditEntry(Action.OFFER_PUBLISHED, dataset=on_sale.dataset, details=details))
        made = _offer(conn.execute(select(schema.offer).where(schema.offer.c.id == offer_id)).mappings().one(), on_sale, published.layers)
        _check_sold(conn, made, published, ex.now())
        if offer_id == details["offer"] and CONFIRM_UNUSUAL not in confirmed:
            _ask_unusual(made.rates, usual)
        failpoints.hit("publish.before_commit")
    failpoints.hit("publish.after_commit")
    return made


def _checked_terms(rate_card: Mapping[str, object], licence: str, attribution: str, updates: str) -> dict[str, Any]:
    """The terms of an offer as they are stored."""
    rates = read_rates(rate_card)
    licences.check_licence(licence)
    if not isinstance(attribution, str) or len(attribution) > MAX_ATTRIBUTION or not attribution.isprintable():
        raise Invalid("offer.attribution", f"An attribution is one line of at most {MAX_ATTRIBUTION} characters.")
    card = json.dumps(rates, sort_keys=True, separators=(",", ":"))
    return {"rate_card": card, "licence": licence, "attribution": attribution, "updates": read_updates(updates)}


def _logged(terms: Mapping[str, Any]) -> dict[str, Any]:
    """The terms of an offer as the log has them."""
    return {"rates": json.loads(terms["rate_card"]), **{name: value for name, value in terms.items() if name != "rate_card"}}


def _replace(conn: Connection, ex: Exchange, before: RowMapping | None, on_sale: versions.Version, offer: Mapping[str, Any]) -> None:
    """Put an offer (its id and terms) of the version on sale in the place of the one before."""
    if before is not None:
        _end(conn, ex, before, "replaced")
    whose = {"org_id": on_sale.org_id, "dataset_id": on_sale.dataset_id, "version_id": on_sale.id}
    conn.execute(insert(schema.offer).values(**whose, **offer, state="live", created_ns=ex.now()))
    _announce(conn, on_sale.dataset_id, offer["id"])
    _refill(conn, before, on_sale.id, offer["licence"])


def _announce(conn: Connection, dataset_id: str, offer_id: str) -> None:
    """Have the worker look whom the offer concerns; of several that nobody has looked at, the newest, by what was before them all."""
    made = schema.offer.c
    earlier = select(made.id).where(made.dataset_id == dataset_id, made.id != offer_id).order_by(made.created_ns.desc(), made.id).limit(1)
    conn.execute(
        text(
            "INSERT INTO offer_news (dataset_id, offer_id, before_id) VALUES (:dataset, :offer, :before) "
            "ON CONFLICT (dataset_id) DO UPDATE SET offer_id = excluded.offer_id"
        ),
        {"dataset": dataset_id, "offer": offer_id, "before": conn.execute(earlier).scalar()},
    )


def withdraw(ex: Exchange, by: Actor, dataset: str) -> Offer:
    """Take an own dataset off the market; what was bought stays bought, quotes that are held can no longer be ordered.

    Raises: what `catalogue.withdraw` raises (`version.not_published` when nothing is on sale).
    """
    with act(ex, by) as conn:
        version = publication.withdraw(conn, ex, by, dataset)
        row = conn.execute(select(schema.offer).where(schema.offer.c.id == end(conn, ex, by, version))).mappings().one()
        return _offer(row, version, versions.layers_of(conn, version.id))


def end(conn: Connection, ex: Exchange, by: Actor, version: versions.Version) -> str:
    """Take the live offer of a version off the market, in the caller's transaction; returns its id."""
    before = conn.execute(_live(schema.offer.c.version_id == version.id).with_for_update(key_share=True)).mappings().one()
    _end(conn, ex, before, "withdrawn")
    cell_sums.drop(conn, _layer_ids(conn, version.id))
    entry = AuditEntry(Action.OFFER_WITHDRAWN, dataset=version.dataset, details={"version": version.number, "offer": before["id"]})
    append(conn, ex, by, entry)
    return str(before["id"])


def hold_live(conn: Connection, dataset_id: str) -> RowMapping | None:
    """The live offer of a dataset, as it is until the commit: nobody orders of it meanwhile."""
    return conn.execute(_live(schema.offer.c.dataset_id == dataset_id).with_for_update(key_share=True)).mappings().first()


def recount_owned(conn: Connection, held: RowMapping) -> None:
    """Find again what buyers own of what is on offer, after some of what they held counts no more."""
    for layer_id in _layer_ids(conn, held["version_id"]):
        owned.fill(conn, layer_id, held["licence"])


def live(ex: Exchange, by: Actor, ref: str) -> Offer | None:
    """The offer under which a dataset (slug or `org/slug`) is on sale, or None.

    Raises: NotFound: `dataset.unknown`.
    """
    dataset = datasets.get_dataset(ex, by, ref)
    if dataset.published is None:
        return None
    version = datasets.get_version(ex, by, f"{dataset.org}/{dataset.slug}", dataset.published)
    with db.read(ex) as conn:
        row = conn.execute(_live(schema.offer.c.version_id == version.id)).mappings().first()
        return _offer(row, version, versions.layers_of(conn, version.id)) if row else None


def latest(ex: Exchange, by: Actor, dataset: str) -> Offer | None:
    """The newest offer of an own dataset, live or not: its terms are where the next ones begin. None: there was none yet.

    Raises: Denied, NotFound: `dataset.unknown`.
    """
    authority.member(by)
    with db.read(ex) as conn:
        found = versions.find_dataset(conn, by, f"{by.org_slug}/{dataset}")
        newest = (schema.offer.c.created_ns.desc(), schema.offer.c.id.desc())
        row = conn.execute(select(schema.offer).where(schema.offer.c.dataset_id == found.id).order_by(*newest).limit(1)).mappings().first()
        if row is None:
            return None
        version = version_by(conn, schema.dataset_version.c.id == row["version_id"])
        return _offer(row, version, versions.layers_of(conn, version.id))


def _ask_unusual(rates: Mapping[str, int], usual: Mapping[str, int]) -> None:
    """A rate that is far from what others ask may be a slip: the seller says that it is not."""
    for unit in unusual(rates, usual):
        message = (
            f"{rates[unit]:,} KRW per {unit} is {TIMES:,} times what it usually costs ({usual[unit]:,} KRW), or more. Mend it, or confirm "
            f"{CONFIRM_UNUSUAL} if it is right; buyers see it marked."
        )
        raise Conflict(CONFIRM_UNUSUAL, message, unit=unit, rate=rates[unit], usual=usual[unit])


def _live(condition: ColumnElement[bool]) -> Select[Any]:
    """Query of the live offer of which the condition holds, whatever became of its seller."""
    return select(schema.offer).where(condition, schema.offer.c.state == "live")


def _end(conn: Connection, ex: Exchange, before: RowMapping, state: str) -> None:
    conn.execute(update(schema.offer).where(schema.offer.c.id == before["id"]).values(state=state, ended_ns=ex.now()))


def _refill(conn: Connection, before: RowMapping | None, version_id: str, licence: str) -> None:
    """Bring the pyramid to the version on sale; a new price changes no sum, and a new licence only what is owned."""
    is_same = before is not None and before["version_id"] == version_id
    if before is not None and is_same and before["licence"] == licence:
        return
    if before is not None and not is_same:
        cell_sums.drop(conn, _layer_ids(conn, before["version_id"]))
    for layer_id in _layer_ids(conn, version_id):
        if not is_same:
            cell_sums.fill(conn, layer_id)
        owned.fill(conn, layer_id, licence)


def _layer_ids(conn: Connection, version_id: str) -> list[str]:
    return list(conn.execute(select(schema.layer.c.id).where(schema.layer.c.version_id == version_id)).scalars())


def _offer(row: RowMapping, version: versions.Version, layers: Sequence[versions.Layer]) -> Offer:
    rates: dict[str, int] = json.loads(row["rate_card"])
    columns = {UNITS[unit].column for unit in rates}
    unpriced = tuple(layer.name for layer in layers if layer.cells and not any(getattr(layer.quantities, name) for name in columns))
    return Offer(
        id=row["id"],
        org=version.org,
        dataset=version.dataset,
        version=version.number,
        state=row["state"],
        licence=row["licence"],
        attribution=row["attribution"],
        credits_earlier=bool(row["credits_earlier"]),
        updates=row["updates"],
        rates=rates,
        created_ns=row["created_ns"],
        unpriced=unpriced,
    )


def _check_sold(conn: Connection, offer: Offer, published: publication.Publication, now_ns: int) -> None:
    """Refuse what cannot be sold as it is: no price, terms that a source forbids, a review that has ended, sums that nobody can pay."""
    _refuse_unpriced(offer, published.layers)
    licences.check_source(_sources(conn, published.version.id), offer.licence, offer.attribution)
    reviews.check_valid(conn, published.version.id, published.layers, now_ns)
    bounds.check_card(((layer.name, layer.kind, layer.quantities) for layer in published.layers), offer.rates)


def _sources(conn: Connection, version_id: str) -> Sequence[str]:
    """The licences that the sources of a version state."""
    finding = schema.finding.c
    stated = select(finding.value).where(finding.version_id == version_id, finding.code == licences.SOURCE_FINDING)
    return conn.execute(stated).scalars().all()


def _refuse_unpriced(offer: Offer, layers: Sequence[versions.Layer]) -> None:
    """A layer that nothing charges for was forgotten: it must not go out for nothing. A rate of 0 makes it free."""
    for layer in layers:
        unit = MAIN_UNIT[layer.kind]
        if layer.name in offer.unpriced and unit not in offer.rates:
            message = f"The rate card has no price for the layer {layer.name}; add {unit}=KRW, or {unit}=0 if it shall be free."
            raise Invalid("rates.unpriced", message, layer=layer.name, unit=str(unit))
