"""Terms of a quote: against those on sale now, which must be the same, and against those of the buyer's last order of each dataset.

Terms are licence, attribution, whether earlier purchases are credited, and what updates cost; rates are compared for who looks. Offers
never change them: other terms are another offer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, String, and_, bindparam, select, text

from mapex import authority
from mapex.database import db
from mapex.database.schema import dataset, offer, organisation
from mapex.errors import Conflict
from mapex.exchange import Actor, Exchange
from mapex.prices.estimate import Line
from mapex.prices.quotes import Quote
from mapex.rights import entitlements
from mapex.rules.terms import digest


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what a version of a dataset is sold."""

    version: int
    licence: str
    attribution: str
    credits_earlier: bool
    updates: str
    rates: Mapping[str, int]

    @property
    def agreed(self) -> tuple[str, str, bool, str]:
        """What a quote pins of it."""
        return self.licence, self.attribution, self.credits_earlier, self.updates


@dataclass(frozen=True, slots=True)
class Change:
    """A dataset of the quote that the organisation bought from before: the terms then, in `order_id`, and now."""

    dataset: str
    org: str
    order_id: str
    ordered_ns: int
    old: Terms
    new: Terms

    @property
    def rates(self) -> list[tuple[str, int | None, int | None]]:
        """Unit, rate then, rate now, of each rate that differs."""
        units = sorted({*self.old.rates, *self.new.rates})
        pairs = [(unit, self.old.rates.get(unit), self.new.rates.get(unit)) for unit in units]
        return [pair for pair in pairs if pair[1] != pair[2]]

    @property
    def is_same(self) -> bool:
        """Whether nothing but the version differs."""
        return not self.rates and self.old.agreed == self.new.agreed


_AGREED = ("licence", "attribution", "credits_earlier", "updates")
"""The columns of an offer that are its terms."""


def check_same(conn: Connection, quote: Quote) -> None:
    """Hold the live offers of the quote's datasets as they are until the commit; their terms must be those that the quote pinned.

    Raises: Conflict: `quote.terms_changed`, with old and new terms of each dataset where they differ; `offer.withdrawn`.
    """
    old, new = offer.alias("old"), offer.alias("new")
    names = [old.c.id, dataset.c.slug.label("dataset"), organisation.c.slug.label("org")]
    before = [old.c[name].label(f"old_{name}") for name in _AGREED]
    query = (
        select(*names, *before, *(new.c[name].label(f"new_{name}") for name in _AGREED))
        .select_from(old.join(dataset, dataset.c.id == old.c.dataset_id).join(organisation, organisation.c.id == dataset.c.org_id))
        .join(new, and_(new.c.dataset_id == old.c.dataset_id, new.c.state == "live"))
        .where(old.c.id.in_(sorted({pin.offer_id for pin in quote.estimate.pins})))
        .order_by(old.c.id)
        .with_for_update(read=True, of=new)
    )
    pinned = {pin.offer_id: pin.terms for pin in quote.estimate.pins}
    changed = []
    rows = conn.execute(query).mappings().all()
    if len(rows) < len(pinned):
        raise Conflict("offer.withdrawn", "A seller has taken back an offer of this quote; ask for a new quote.", quote=quote.id)
    for row in rows:
        then, now = (_stated(*(row[f"{which}_{name}"] for name in _AGREED)) for which in ("old", "new"))
        if (pinned[row["id"]] or then["sha256"]) != now["sha256"]:
            changed.append({"dataset": row["dataset"], "org": row["org"], "old": then, "new": now})
    if changed:
        which = ", ".join(f"{one['org']}/{one['dataset']}" for one in changed)
        message = f"The terms of {which} are not those of quote {quote.id} any more; read the new ones and ask for a new quote."
        raise Conflict("quote.terms_changed", message, quote=quote.id, terms=changed)


def stated(conn: Connection, quote: Quote) -> Iterator[Line]:
    """The lines of a quote with their terms; quotes from before these were noted get them from the offers that they pinned."""
    by_dataset = {(row["org"], row["dataset"]): row for row in _offers(conn, sorted({pin.offer_id for pin in quote.estimate.pins}))}
    for line in quote.estimate.lines:
        if line.terms:
            yield line
        else:
            attribution = str(by_dataset[line.org, line.dataset]["attribution"])
            yield replace(line, attribution=attribution, terms=digest(line.licence, attribution))


def _stated(licence: str, attribution: str, credits_earlier: bool, updates: str) -> dict[str, Any]:
    """Terms as JSON values."""
    agreed = {"licence": licence, "attribution": attribution, "credits_earlier": credits_earlier, "updates": updates}
    return {**agreed, "sha256": digest(licence, attribution, credits_earlier, updates)}


def since_last(ex: Exchange, by: Actor, quote: Quote) -> list[Change]:
    """What differs from the last order of each dataset of the quote; datasets that were never bought are left out."""
    org_id = authority.member(by)
    with db.read(ex) as conn:
        rows = _offers(conn, sorted({pin.offer_id for pin in quote.estimate.pins}))
        found = [_change(conn, org_id, row, quote.created_ns) for row in rows]
    return sorted((one for one in found if one is not None), key=lambda one: (one.dataset, one.org))


def holding(ex: Exchange, by: Actor, quote: Quote) -> Sequence[str]:
    """Ids of the own orders that hold tiles of the quote's datasets in its area, the one with the most tiles first."""
    org_id = authority.member(by)
    with db.read(ex) as conn:
        datasets = [row["dataset_id"] for row in _offers(conn, sorted({pin.offer_id for pin in quote.estimate.pins}))]
        return entitlements.orders_in(conn, org_id, str(quote.estimate.purpose), datasets, quote.estimate.areas[0])


def _change(conn: Connection, org_id: str, now: RowMapping, before_ns: int) -> Change | None:
    last = text(
        "SELECT p.id, p.created_ns FROM purchase_order p WHERE p.org_id = :org AND p.created_ns < :before AND EXISTS (SELECT 1 "
        "FROM entitlement e WHERE e.order_id = p.id AND e.layer_id IN (SELECT l.id FROM layer l JOIN dataset_version v "
        "ON v.id = l.version_id WHERE v.dataset_id = :dataset)) ORDER BY p.created_ns DESC, p.id DESC LIMIT 1"
    )
    order = conn.execute(last, {"org": org_id, "dataset": now["dataset_id"], "before": before_ns}).first()
    if order is None:
        return None
    query = text("SELECT offer_id FROM entitlement WHERE order_id = :order AND dataset_id = :dataset LIMIT 1")
    offer_id = conn.execute(query, {"order": order.id, "dataset": now["dataset_id"]}).scalar_one()
    old = _offers(conn, [offer_id])[0]
    return Change(now["dataset"], now["org"], order.id, order.created_ns, _terms(old), _terms(now))


def _offers(conn: Connection, offer_ids: Sequence[str]) -> Sequence[RowMapping]:
    statement = text(
        "SELECT o.id, o.dataset_id, o.licence, o.attribution, o.credits_earlier, o.updates, o.rate_card, v.number, d.slug AS dataset, "
        "g.slug AS org FROM offer o "
        "JOIN dataset_version v ON v.id = o.version_id JOIN dataset d ON d.id = o.dataset_id JOIN organisation g ON g.id = d.org_id "
        "WHERE o.id IN :offers ORDER BY o.id"
    ).bindparams(bindparam("offers", expanding=True, type_=String()))
    return conn.execute(statement, {"offers": list(offer_ids)}).mappings().all()


def _terms(row: RowMapping) -> Terms:
    agreed = (row["licence"], row["attribution"], bool(row["credits_earlier"]), row["updates"])
    return Terms(row["number"], *agreed, json.loads(row["rate_card"]))
