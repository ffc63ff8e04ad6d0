"""A seller's figures: sales by month, statement, demand that nobody meets; recalls."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from mapex.offers import recalls, sales
from mapex.orders import ledger
from mapex.prices import demand
from mapex.times import iso_from_ns
from tiles.grid import grid
from web.edge.auth import current_actor, exchange
from web.edge.kinds import VERSION_STATES, content, quadkey, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Query, Regexp, fields
from web.edge.tables import csv_answer

blueprint = APIBlueprint("seller", __name__, url_prefix="/api/v1", tag="Sales")


class MonthOut(Answer):
    """Sales of a dataset in a month (Korean time), in whole KRW without VAT."""

    month = fields.String()
    dataset = fields.String()
    orders = fields.Integer()
    tiles = fields.Integer()
    amount = fields.Integer()


class MonthTotalOut(Answer):
    """Sales of all datasets in a month; an order of several of them counts once."""

    month = fields.String()
    orders = fields.Integer()
    tiles = fields.Integer()
    amount = fields.Integer()


class SalesOut(Answer):
    """The newest month first."""

    months = fields.List(fields.Nested(MonthOut))
    totals = fields.List(fields.Nested(MonthTotalOut))


class DemandQuery(Query):
    """From which month on."""

    since = fields.String(load_default="", validate=Regexp(r"^(\d{4}-\d{2})?$"), metadata={"example": "2026-11"})


class DemandCellOut(Answer):
    """A cell of zoom 14, and how often a kind of layer (`any`: nothing at all) was asked for there in vain."""

    tile = quadkey()
    kind = fields.String()
    count = fields.Integer()


class DemandOut(Answer):
    """Unmet demand, the most asked for first; never who asked."""

    cells = fields.List(fields.Nested(DemandCellOut))


class HoldersOut(Answer):
    """How many organisations hold tiles of a version, and what its recall returns (KRW): to how many orders, with VAT, given by you."""

    dataset = fields.String()
    version = fields.Integer()
    state = word(VERSION_STATES)
    holders = fields.Integer()
    refunds = fields.Integer()
    returned = fields.Integer()
    given = fields.Integer()


@blueprint.get("/sales")
@policy("sell")
@blueprint.output(SalesOut)
def months() -> dict[str, Any]:
    """What the own organisation sold, by month and dataset; never to whom."""
    ex, by = exchange(), current_actor()
    return {"months": sales.by_month(ex, by), "totals": sales.totals(ex, by)}


@blueprint.get("/wallet/statement.csv")
@policy("own")
@blueprint.doc(responses={200: content("a table", "text/csv", schema={"type": "string"})})
def statement() -> Response:
    """Every entry of the own wallet with the balance after it, oldest first, as CSV."""
    found = ledger.statement(exchange(), current_actor())
    rows = [
        (iso_from_ns(one.at_ns), one.kind, one.transaction, one.order_id or "", one.memo, one.amount, one.balance)
        for one in reversed(found.entries)
    ]
    return csv_answer("mapex-statement.csv", ("at", "kind", "transaction", "order", "memo", "amount_krw", "balance_krw"), rows)


@blueprint.get("/demand")
@policy("sell")
@blueprint.input(DemandQuery, location="query", unknown=None)
@blueprint.output(DemandOut)
def unmet(query_data: dict[str, Any]) -> dict[str, Any]:
    """Areas that buyers asked for and nobody offers."""
    found = demand.unmet(exchange(), current_actor(), since=query_data["since"])
    return {"cells": [{"tile": grid.quadkey(one.cell, demand.DEMAND_ZOOM), "kind": one.kind, "count": one.count} for one in found]}


@blueprint.get("/datasets/<slug>/versions/<int:number>/holders")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output(HoldersOut)
def holders(slug: str, number: int) -> dict[str, Any]:
    """How many organisations hold tiles of a version of an own dataset, never which, and what its recall would return to them."""
    return _recalled(recalls.foresee(exchange(), current_actor(), slug, number))


@blueprint.post("/datasets/<slug>/versions/<int:number>/recall")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output(HoldersOut)
def recall(slug: str, number: int) -> dict[str, Any]:
    """Recall a version of an own dataset: off the market, no longer readable for those who bought it, and paid back to them."""
    return _recalled(recalls.recall(exchange(), current_actor(), slug, number))


def _recalled(one: recalls.Recall) -> dict[str, Any]:
    version, money = one.version, one.returned
    about = {"dataset": version.dataset, "version": version.number, "state": version.state, "holders": one.holders}
    return {**about, "refunds": money.orders, "returned": money.total, "given": money.given}
