"""Quotes: an estimate that is stored, signed and held for some minutes; it pins the offers and the exact set of tiles."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import rfc8785
from sqlalchemy import Connection, RowMapping, String, bindparam, insert, select, text, update

from mapex import authority, ids, texts
from mapex.audit.log import Action, AuditEntry, append
from mapex.database import db, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from mapex.exchange import Actor, Exchange
from mapex.prices import alternatives, demand, squares
from mapex.prices.estimate import NO_SQUARES, Estimate, LayerRefusal, Line, Pin, Squares
from mapex.prices.estimates import price
from mapex.prices.request import PriceRequest
from mapex.pyramid import cell_sums
from mapex.rules import choice
from mapex.rules.licences import HandlingClass
from mapex.times import MINUTE_NS, iso_from_ns
from tiles.arrays import UInt64s
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quote:
    """A held price. `request` is what was asked for, as JSON; `order_id` is set once it was bought.

    `name` is what the buyer calls the area. `request` may name the quote that this one `replaces`, and the order of which this one
    is the update (`updates_of`).
    """

    id: str
    org_id: str
    request: Mapping[str, Any]
    estimate: Estimate
    tiles_sha256: str
    created_ns: int
    expires_ns: int
    order_id: str | None = None
    name: str = ""
    fee_rate: int = 0  # of the operator, off what the sellers get, in hundredths of a percent; 0 in quotes from before there was one

    @property
    def price_request(self) -> PriceRequest:
        """What was asked for again, to price it anew: of several offers those that are in it, whatever the rule would take by now."""
        layers = self.request["layers"]
        asked = choice.of_document(self.request.get("choice", {}))
        return PriceRequest(
            Cover(self.estimate.areas[0]),
            self.estimate.area_m2,
            None if layers is None else frozenset(layers),
            self.request["dataset"],
            self.estimate.purpose,
            choice=replace(asked, taken=asked.taken | {line.offer for line in self.estimate.lines}),
        )


def quote(ex: Exchange, by: Actor, request: PriceRequest) -> Quote:
    """Hold the price of a region for `settings.quote_minutes`.

    Raises:
        Invalid: `purpose.missing`, `quote.empty` (nothing is on offer there).
            `quote.unchosen` (all that is on offer there was left out, or is original footage that nobody named).
        Denied: `role.member`, or everything in the region needs a permit or licence term that the buyer lacks (`permit.*`,
        `licence.purpose`; all refusals in the details). NotFound: `dataset.unknown`, `layer.unknown`, `offer.unknown`.
    """
    if request.purpose is None:
        raise Invalid("purpose.missing", "A quote needs the purpose of use; it is part of the licence that is bought. Choose one.")
    try:
        made = hold(ex, by, request.document, partial(_named_price, request))
    except (Invalid, Denied):
        _count(ex, by, request)  # nothing is on offer there, and no quote comes of it
        raise
    _count(ex, by, request)
    return made


def _named_price(request: PriceRequest, conn: Connection, org_id: str, now: int) -> Estimate:
    alternatives.check_named(conn, request.choice)
    return price(conn, org_id, request, now)


def _count(ex: Exchange, by: Actor, request: PriceRequest) -> None:
    """Count what nobody offers, after the price: a statistic that finds no room on the disk must not cost the buyer the answer."""
    org_id = authority.member(by)
    try:
        with db.begin(ex) as conn:
            demand.record(conn, ex, org_id, request)
    except Unavailable as error:
        log.warning("what was asked for and is not on offer was not counted: %s", error)


Pricing = Callable[[Connection, str, int], Estimate]
"""What gives the price for an organisation at a time, in the caller's transaction."""


def hold(ex: Exchange, by: Actor, request: Mapping[str, Any], pricing: Pricing, *, name: str = "") -> Quote:
    """Hold the price that `pricing` gives now.

    Raises: what `quote` raises.
    """
    org_id = authority.member(by)
    created_ns = ex.now()
    with db.read(ex) as conn:
        estimate = pricing(conn, org_id, created_ns)
        _refuse_empty(estimate)
        digest = tiles_digest(conn, estimate)
    made = Quote(
        id=ids.new("quo"),
        org_id=org_id,
        request=request,
        estimate=estimate,
        tiles_sha256=digest,
        created_ns=created_ns,
        expires_ns=created_ns + ex.settings.quote_minutes * MINUTE_NS,
        name=name,
        fee_rate=ex.settings.fee_rate,
    )
    values = _values(made, by.person_id)
    with act(ex, by) as conn:
        conn.execute(insert(schema.quote).values(**values, name=name, signature=_signature(ex, values)))
        purpose = str(estimate.purpose)
        entry = AuditEntry(
            Action.QUOTE_MADE, owner="", purpose=purpose, details={"quote": made.id, "total": estimate.total, "tiles_sha256": digest}
        )
        append(conn, ex, by, entry)
    return made


MAX_NAME = 100


def rename(ex: Exchange, by: Actor, quote_id: str, name: str) -> Quote:
    """Call the area of an own quote, and of the order that was made of it, `name`; empty: nothing.

    Raises: NotFound. Invalid: `text.malformed`.
    """
    line = " ".join(name.split())
    checked = texts.check_text(line, "name", MAX_NAME) if line else ""
    found = get(ex, by, quote_id)
    with act(ex, by) as conn:
        conn.execute(update(schema.quote).where(schema.quote.c.id == found.id).values(name=checked))
    return replace(found, name=checked)


def get(ex: Exchange, by: Actor, quote_id: str) -> Quote:
    """A quote of `by`'s organisation.

    Raises: NotFound: absent or foreign. Conflict: `quote.altered`.
    """
    org_id = authority.member(by)
    with db.read(ex) as conn:
        return load(conn, ex, org_id, quote_id)


def load(conn: Connection, ex: Exchange, org_id: str, quote_id: str) -> Quote:
    """As `get`, in the caller's transaction.

    Raises: NotFound. Conflict: the stored quote is not what was signed.
    """
    query = (
        select(schema.quote, schema.order.c.id.label("order_id"))
        .select_from(schema.quote.outerjoin(schema.order, schema.order.c.quote_id == schema.quote.c.id))
        .where(schema.quote.c.id == quote_id, schema.quote.c.org_id == org_id)
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound("quote.unknown", f"There is no quote {quote_id!r} of your organisation; ask for a new one.", quote=quote_id)
    if not is_genuine(ex, row):
        raise Conflict("quote.altered", f"The stored quote {quote_id} is not what was signed; ask for a new one.", quote=quote_id)
    found = _quote(row)
    if found.estimate.bought == NO_SQUARES:  # of a version that did not count them
        return replace(found, estimate=replace(found.estimate, bought=squares.of(conn, found.estimate)))
    return found


def check_open(held: Quote, now: int) -> None:
    """Pass while a quote can be bought.

    Raises: Conflict: `quote.bought`, `quote.expired`.
    """
    if held.order_id is not None:
        raise Conflict("quote.bought", f"Quote {held.id} was bought already, as order {held.order_id}.", order=held.order_id)
    if now >= held.expires_ns:
        when = iso_from_ns(held.expires_ns)
        raise Conflict("quote.expired", f"Quote {held.id} was held until {when}; ask for a new one.", expires_at=when)


def is_genuine(ex: Exchange, row: RowMapping) -> bool:
    """Whether a row of the table carries the signature of its content."""
    return hmac.compare_digest(_signature(ex, row), str(row["signature"]))


def tiles_digest(conn: Connection, estimate: Estimate) -> str:
    """sha256 over the sorted lines `layer_id cell part sha256` of every tile that the estimate prices."""
    rows: list[tuple[str, int, int, str]] = []
    for index, ranges in enumerate(estimate.areas):
        # Through the pyramid's sale zoom, which is in cell order for all layers at once.
        layers = [pin.layer_id for pin in estimate.pins if pin.area == index]
        if layers:
            head, values = cell_sums.with_ranges(conn, [(ZOOM, ranges)])
            tiles = f"{cell_sums.join_ranges(conn, 'tile_sum', 's.layer_id IN :layers')} CROSS JOIN tile t"
            where = "t.layer_id = s.layer_id AND t.cell = s.cell"
            statement = text(f"{head} SELECT t.layer_id, t.cell, t.part, t.sha256 FROM {tiles} WHERE {where}").bindparams(
                bindparam("layers", expanding=True, type_=String())
            )
            rows += [tuple(row) for row in conn.execute(statement, {**values, "layers": layers})]
    return digest_of(rows)


def digest_of(rows: Sequence[tuple[str, int, int, str]]) -> str:
    """sha256 (hex) of a tile set, whatever order it comes in."""
    lines = "".join(f"{layer} {cell} {part} {sha256}\n" for layer, cell, part, sha256 in sorted(rows))
    return hashlib.sha256(lines.encode()).hexdigest()


def _refuse_empty(estimate: Estimate) -> None:
    if estimate.lines:
        return
    # Original footage first: it is what a buyer means who named nothing else, and did not know that its layer has to be named.
    if names := [row.name for row in sorted(estimate.offers, key=lambda row: row.lines[0].handling_class != HandlingClass.ORIGINAL)]:
        which = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        message = f"Nothing of what is on offer in this area is chosen ({which}). Original footage has to be named. Name what is wanted."
        raise Invalid("quote.unchosen", message, offers=names)
    if estimate.refusals:
        first = estimate.refusals[0]
        refusals = [{"code": r.code, "message": r.message, "dataset": r.dataset, "layer": r.layer} for r in estimate.refusals]
        raise Denied(first.code, first.message, refusals=refusals)
    raise Invalid("quote.empty", "Nothing that you do not own yet is on offer in this area; draw it elsewhere or larger.")


def _values(made: Quote, person_id: str) -> dict[str, Any]:
    estimate = made.estimate
    body: dict[str, Any] = {
        "area_m2": round(estimate.area_m2, 2),
        "tiles": estimate.tiles,
        "cells": estimate.cells,
        "bought": asdict(estimate.bought),
        "lines": [asdict(line) for line in estimate.lines],
        "refusals": [asdict(refusal) for refusal in estimate.refusals],
        "subtotal": estimate.subtotal,
        "vat": estimate.vat,
        "total": estimate.total,
        "licences": list(estimate.licences),
        "pins": [asdict(pin) for pin in estimate.pins],
        "areas": [ranges.tolist() for ranges in estimate.areas],
        "fee_rate": made.fee_rate,
    }
    return {
        "id": made.id,
        "org_id": made.org_id,
        "person_id": person_id,
        "purpose": estimate.purpose,
        "request": rfc8785.dumps(dict(made.request)).decode(),
        "body": rfc8785.dumps(body).decode(),
        "tiles_sha256": made.tiles_sha256,
        "total": estimate.total,
        "created_ns": made.created_ns,
        "expires_ns": made.expires_ns,
    }


_SIGNED = ("id", "org_id", "person_id", "purpose", "request", "body", "tiles_sha256", "total", "created_ns", "expires_ns")


def _signature(ex: Exchange, values: Mapping[Any, Any]) -> str:
    signed = rfc8785.dumps({name: str(values[name]) for name in _SIGNED})
    return hmac.new(ex.settings.signing_key.encode(), b"mapex-quote\n" + signed, hashlib.sha256).hexdigest()


def _quote(row: RowMapping) -> Quote:
    body = json.loads(row["body"])
    estimate = Estimate(
        purpose=row["purpose"],
        area_m2=body["area_m2"],
        tiles=body["tiles"],
        lines=tuple(Line(**line) for line in body["lines"]),
        refusals=tuple(LayerRefusal(**refusal) for refusal in body["refusals"]),
        subtotal=body["subtotal"],
        vat=body["vat"],
        total=body["total"],
        licences=tuple(body["licences"]),
        pins=tuple(Pin(**pin) for pin in body["pins"]),
        areas=tuple(_ranges(area) for area in body["areas"]),
        cells=body.get("cells", 0),
        bought=Squares(**body["bought"]) if "bought" in body else NO_SQUARES,
    )
    return Quote(
        row["id"],
        row["org_id"],
        json.loads(row["request"]),
        estimate,
        row["tiles_sha256"],
        row["created_ns"],
        row["expires_ns"],
        row["order_id"],
        row["name"],
        body.get("fee_rate", 0),
    )


def _ranges(pairs: list[list[int]]) -> UInt64s:
    return np.asarray(pairs, dtype=np.uint64).reshape(-1, 2)
