"""Pages of buyers: a held price, orders, downloads."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from mapex import estimates, ledger, orders, quotes
from mapex.times import NS, iso_from_ns
from web import words
from web.auth import current_actor, exchange
from web.policy import policy

blueprint = Blueprint("pages_buy", __name__)

PAGE = 50


@blueprint.get("/quotes/<quote_id>")
@policy("own")
def quote(quote_id: str) -> str:
    """Review and buy: lines, licence, purpose, how long the price is held."""
    ex, by = exchange(), current_actor()
    found = quotes.get(ex, by, quote_id)
    document = estimates.document(found.estimate)
    page = {
        "quote": found.id,
        "total": document["total"],
        "purpose": document["purpose"],
        "order": found.order_id,
        "expiresIn": max(0, (found.expires_ns - ex.now()) // NS),
        "expiresAt": iso_from_ns(found.expires_ns),
        "request": {key: value for key, value in dict(found.request).items() if value},
        "region": found.request["region"],
        "cells": [] if found.request["region"] else _quadkeys(found),
    }
    return render_template(
        "quote.html",
        page=page,
        quote=document,
        layers=by_layer(document["lines"]),
        expires_ns=found.expires_ns,
        order=found.order_id,
        balance=ledger.wallet(ex, by, limit=1).balance,
        licences=[words.licence_words(code) for code in document["licences"]],
    )


@blueprint.get("/orders")
@policy("own")
def order_list() -> str:
    """Orders of the own organisation, newest first."""
    page = orders.of(exchange(), current_actor(), after=request.args.get("after", ""), limit=PAGE)
    return render_template("orders.html", orders=page.orders, next=page.next)


@blueprint.get("/orders/<order_id>")
@policy("own")
def order(order_id: str) -> str:
    """One order: what was paid, its tiles, downloads, the command that fetches it."""
    ex = exchange()
    found = orders.get(ex, current_actor(), order_id)
    document = [estimates.line_document(line) for line in found.lines]
    page = {"order": found.id, "grantSeconds": ex.settings.grant_seconds}
    return render_template("order.html", page=page, order=found, layers=by_layer(document), url=ex.settings.public_url)


def by_layer(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of each layer together, with their sum."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        layer = found.setdefault((line["org"], line["dataset"], line["layer"]), {**line, "amount": 0, "lines": []})
        layer["amount"] += line["amount"]
        layer["lines"].append(line)
    return list(found.values())


def _quadkeys(found: quotes.Quote) -> list[str]:
    """The sale cells of a quote that was asked for by tiles; none of a very large one (its map would show nothing)."""
    from tiles import grid

    cover = found.wanted.cover
    return grid.quadkeys(cover.cells()) if cover.count <= MOST_SHOWN else []


MOST_SHOWN = 4000
