"""Pages of buyers: a held price, orders, downloads, receipts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request
from flask_babel import gettext as _

from mapex.atlas import naming
from mapex.errors import Conflict
from mapex.exchange import Actor, Exchange
from mapex.invoices import invoices
from mapex.offers import recalls
from mapex.orders import approvals, grounds, ledger, orders, refunds, renewals, terms, updates
from mapex.people import orgs, persons, purchase_rights
from mapex.prices import estimate, permitted, quotes, rates_on_sale, sold_layers
from mapex.rights import entitlements, named_users
from mapex.rules import licences
from mapex.times import DAY_NS, NS, iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.edge.schemas import when
from web.edge.tables import csv_answer
from web.words import places
from web.words.businesses import business_rows
from web.words.documents import readme
from web.words.licences import licence_words

blueprint = Blueprint("pages_buy", __name__)

PAGE = 50
MOST_SHOWN = 4000
"""Cells on a small map; a picture of more shows nothing."""
ENDED_SHOWN = 5
MOST_ROWS = 10_000
"""Orders of one table to download."""


@blueprint.get("/quotes/<quote_id>")
@policy("own")
def quote(quote_id: str) -> str:
    """Review and buy: lines, licence and what changed in it, purpose, users, how long the price is held."""
    ex, by = exchange(), current_actor()
    found = quotes.get(ex, by, quote_id)
    document = estimate.document(found.estimate)
    before = quotes.get(ex, by, found.request["replaces"]) if found.request.get("replaces") else None
    balance = ledger.wallet(ex, by, limit=1).balance
    asked = next((one for one in approvals.of(ex, by, quote_id=quote_id) if one.state == "open"), None)
    mine = purchase_rights.allowance(ex, by)
    page = {
        "quote": found.id,
        "total": document["total"],
        "named": asked.persons if asked else [],
        "purpose": document["purpose"],
        "order": found.order_id,
        "expiresIn": max(0, (found.expires_ns - ex.now()) / NS),
        "region": found.request["region"],
        "cells": [] if found.request["region"] else _quadkeys(found),
    }
    return render_template(
        "buy/quote.html",
        page=page,
        held=found,
        place=places.ground(grounds.of_quote(ex, found)),
        quote=document,
        layers=by_layer(document["lines"], sold_layers.documents(ex, found.estimate.lines), permitted.of_quote(ex, found)),
        is_for_named=named_users.is_for_named(line.handling_class for line in found.estimate.lines),
        odd=rates_on_sale.unusual_of(ex, {(line.unit, line.rate) for line in found.estimate.lines}),
        before=before,
        pairs=renewals.compare(before.estimate, found.estimate) if before else [],
        balance=balance,
        asked=asked,
        mine=mine,
        barrier=mine.barrier(found.estimate.total),
        me=by.email,
        licences=[licence_words(code) for code in document["licences"]],
        changes=terms.since_last(ex, by, found),
        holding=terms.holding(ex, by, found) if any(line["owned_tiles"] for line in document["lines"]) else [],
        members=[person.email for person in persons.all_persons(ex, by) if person.is_active],
    )


@blueprint.get("/orders")
@policy("own")
def order_list() -> str:
    """Orders of the own organisation, newest first, as far as the filter in the address goes."""
    ex, by = exchange(), current_actor()
    page = orders.of(ex, by, after=request.args.get("after", ""), limit=PAGE, wanted=_filter())
    chosen = {name: request.args[name] for name in FILTERS if request.args.get(name)}
    outdated = updates.counts(ex, by, [one.id for one in page.orders])
    return render_template(
        "buy/orders.html",
        page={"outdated": list(outdated)},
        orders=page.orders,
        places=grounds.of_orders(ex, by, [one.id for one in page.orders]),
        tiles={one.id: tiles_of(one) for one in page.orders},
        outdated=outdated,
        next=page.next,
        chosen=chosen,
        purposes=list(licences.Purpose),
        requests=_requests(ex, by),
        me=by.email,
    )


def _requests(ex: Exchange, by: Actor) -> list[approvals.Approval]:
    """Requests for approval that are open, and those that ended last."""
    found = approvals.of(ex, by)
    return [one for one in found if one.state == "open"] + [one for one in found if one.state != "open"][:ENDED_SHOWN]


@blueprint.get("/orders.csv")
@policy("own")
def order_table() -> Response:
    """The orders that the filter in the address chooses, as a table: a row for each line."""
    found = list(_all_orders())
    where = {id_: places.ground(one) for id_, one in grounds.of_orders(exchange(), current_actor(), [one.id for one in found]).items()}
    rows = (
        (one.id, iso_from_ns(one.created_ns), one.name, one.person, one.purpose, one.state)
        + (line.org, line.dataset, line.version, line.layer, line.licence, line.tiles)
        + (line.quantity, line.unit, line.rate, line.amount, one.vat, one.total, line.price, line.credit, where.get(one.id, ""))
        + (line.updates, line.free_tiles)
        for one in found
        for line in one.lines
    )
    return csv_answer("mapex-orders.csv", COLUMNS, rows)


@blueprint.get("/orders/<order_id>")
@policy("own")
def order(order_id: str) -> str:
    """One order: what was paid, how far it is, its tiles, downloads, what is newer, the command that fetches it."""
    ex, by = exchange(), current_actor()
    found = orders.get(ex, by, order_id)
    document = [estimate.line_document(line) for line in found.lines]
    sold = sold_layers.documents(ex, found.lines)
    newer = updates.of_order(ex, by, order_id)
    named = named_users.of_order(ex, by, order_id)
    return render_template(
        "buy/order.html",
        page={"order": found.id, "purpose": found.purpose, "layers": sold},
        order=found,
        has_vector=any(line.kind in readme.VECTOR for line in found.lines),
        place=_place(order_id),
        layers=by_layer(document, sold, permitted.of_order(ex, order_id)),
        is_for_named=named_users.is_for_named(line.handling_class for line in found.lines),
        progress=entitlements.progress(ex, by, order_id),
        updates=newer,
        recalled=recalls.of_order(ex, by, order_id),
        refunds=refunds.of_orders(ex, by, [order_id]),
        named=named,
        may_name=not named or by.email in (*named, found.person),
        members=[person.email for person in persons.all_persons(ex, by) if person.is_active],
        licences=[licence_words(code) for code in sorted({line.licence for line in found.lines})],
        url=ex.settings.public_url,
    )


@blueprint.get("/orders/<order_id>/receipt")
@policy("own")
def receipt(order_id: str) -> str:
    """What was paid to whom, to be printed."""
    ex, by = exchange(), current_actor()
    found = orders.get(ex, by, order_id)
    document = [estimate.line_document(line) for line in found.lines]
    held = quotes.get(ex, by, found.quote_id)
    names = {slug: orgs.get_org(ex, slug).name for slug in sorted({by.org_slug, *(line.org for line in found.lines)})}
    return render_template(
        "buy/receipt.html",
        order=found,
        price=estimate.document(held.estimate),
        was_drawn=held.request["region"] is not None,
        place=_place(order_id),
        layers=by_layer(document),
        permits=permitted.of_order(ex, order_id),
        named=named_users.of_order(ex, by, order_id),
        names=names,
        buyer=by.org_slug,
        refunds=refunds.of_orders(ex, by, [order_id]),
    )


@blueprint.get("/invoices/<document_id>")
@policy("read")
def invoice(document_id: str) -> str:
    """The data of a tax invoice, to be printed; or what has to be entered first."""
    ex, by = exchange(), current_actor()
    try:
        found, refusal = invoices.get(ex, by, document_id), None
    except Conflict as error:
        found, refusal = None, error
    is_own_order = by.role == "member" and document_id.startswith("ord_")
    sides = ((_("Supplier"), found.invoicer), (_("Supplied"), found.invoicee)) if found else ()
    return render_template(
        "buy/invoice.html",
        document=document_id,
        invoice=found,
        refusal=refusal,
        order=(found.amends if found and found.amends else document_id if is_own_order else "") if by.role == "member" else "",
        parties=[(title, business_rows(side)) for title, side in sides],
        amendments=refunds.of_orders(ex, by, [document_id]) if is_own_order else [],
    )


@blueprint.get("/orders/<order_id>/manifest.json")
@policy("own")
def manifest(order_id: str) -> Response:
    """All files of an order with licence, attribution and checksums, as a download has them beside it."""
    ex, by = exchange(), current_actor()
    found = orders.get(ex, by, order_id)
    bought = list(_tiles(order_id))
    named = naming.of_tiles(ex, [tile.tile for tile in bought])
    files = [{**{name: getattr(tile, name) for name in FILE_FIELDS}, "place": places.area(named[tile.tile])} for tile in bought]
    answer = jsonify(
        order=found.id,
        place=_place(order_id),
        purpose=found.purpose,
        licence=sorted({file["licence"] for file in files}),
        attribution=sorted({file["attribution"] for file in files if file["attribution"]}),
        layers=sold_layers.documents(ex, found.lines),
        enclosures=[one.described for one in readme.beside(ex, by, order_id)],
        files=files,
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="{found.id}-manifest.json"'
    return answer


FILTERS = ("purpose", "dataset", "from", "to")
COLUMNS = (
    *("order", "at", "area", "person", "purpose", "state", "seller", "dataset", "version", "layer", "licence", "tiles"),
    *("quantity", "unit", "rate", "amount", "order_vat", "order_total", "price", "credit", "place", "updates", "free_tiles"),
)
FILE_FIELDS = ("path", "sha256", "size", "dataset", "org", "version", "layer", "tile", "part", "media_type", "licence", "attribution")


def by_layer(
    lines: list[dict[str, Any]], sold: list[dict[str, Any]] | None = None, under: Sequence[permitted.Permitted] = ()
) -> list[dict[str, Any]]:
    """The lines of each layer together, with their sum, as `sold` what must be known of it, and the `permit` that it is sold `under`."""
    known = {(one["org"], one["dataset"], one["layer"]): one for one in sold or ()}
    permits = {offer: one.permit for one in under for offer in one.offers}
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        key = (line["org"], line["dataset"], line["layer"])
        layer = found.setdefault(key, {**line, "amount": 0, "lines": [], "sold": known.get(key), "permit": permits.get("/".join(key))})
        layer["amount"] += line["amount"]
        layer["lines"].append(line)
    return list(found.values())


def tiles_of(one: orders.Order) -> int:
    """The cells of each layer of an order."""
    return sum({(line.org, line.dataset, line.layer): line.tiles for line in one.lines}.values())


def _place(order_id: str) -> str:
    """Where an order is, in words."""
    return places.ground(grounds.of_orders(exchange(), current_actor(), [order_id]).get(order_id))


def _filter() -> orders.OrderFilter:
    given = request.args.get
    return orders.OrderFilter(given("purpose", ""), given("dataset", ""), _day(given("from", "")), _day(given("to", ""), last=True))


def _day(text: str, *, last: bool = False) -> int | None:
    """When a day of the Korean calendar begins, or with `last` ends; other times as they are."""
    if len(text) != len("2026-01-31"):
        return when(text)
    begin = when(f"{text}T00:00:00+09:00")
    return begin + DAY_NS if last and begin is not None else begin


def _all_orders() -> Iterator[orders.Order]:
    after: str | None = ""
    for _page in range(MOST_ROWS // 1000):
        page = orders.of(exchange(), current_actor(), after=after or "", limit=1000, wanted=_filter())
        yield from page.orders
        after = page.next
        if after is None:
            return


def _tiles(order_id: str) -> Iterator[entitlements.OrderTile]:
    after: str | None = ""
    while after is not None:
        page = entitlements.of_order(exchange(), current_actor(), order_id, after=after)
        yield from page.tiles
        after = page.next


def _quadkeys(found: quotes.Quote) -> list[str]:
    """The sale cells of a quote that was asked for by tiles; none of a very large one."""
    from tiles.grid import grid

    cover = found.price_request.cover
    return grid.quadkeys(cover.cells()) if cover.count <= MOST_SHOWN else []
