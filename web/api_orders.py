"""Orders and their tiles."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from mapex import entitlements, estimates, orders
from mapex.errors import Invalid
from mapex.times import iso_from_ns
from web.api_market import LineOut
from web.auth import current_actor, exchange
from web.parse import Answer, Body, Length, PageQuery, Range, fields
from web.policy import policy

blueprint = APIBlueprint("orders", __name__, url_prefix="/api/v1", tag="Orders")


class OrderIn(Body):
    """Which quote is bought."""

    quote = fields.String(required=True, validate=Length(1, 40))


class OrderOut(Answer):
    """What was bought."""

    id = fields.String()
    state = fields.String()
    quote = fields.String()
    key = fields.String()
    purpose = fields.String()
    currency = fields.String()
    lines = fields.List(fields.Nested(LineOut))
    subtotal = fields.Integer()
    vat = fields.Integer()
    total = fields.Integer()
    created_at = fields.String()


class OrdersOut(Answer):
    """A page of orders, newest first."""

    orders = fields.List(fields.Nested(OrderOut))
    next = fields.String(allow_none=True)


class TilesQuery(PageQuery):
    """Tiles come a thousand at a time."""

    limit = fields.Integer(load_default=1000, validate=Range(1, 1000))


class TileOut(Answer):
    """One file of an order."""

    id = fields.String()
    dataset = fields.String()
    org = fields.String()
    version = fields.Integer()
    layer = fields.String()
    kind = fields.String()
    class_ = fields.String(data_key="class", attribute="class")
    tile = fields.String(metadata={"description": "quadkey"})
    part = fields.Integer()
    sha256 = fields.String()
    size = fields.Integer()
    media_type = fields.String()
    path = fields.String()
    licence = fields.String()
    attribution = fields.String()
    purpose = fields.String()
    state = fields.String()
    paid = fields.Boolean()


class TilesOut(Answer):
    """A page of tiles."""

    tiles = fields.List(fields.Nested(TileOut))
    next = fields.String(allow_none=True)


@blueprint.post("/orders")
@policy("buy")
@blueprint.input(OrderIn)
@blueprint.output(OrderOut, status_code=201)
@blueprint.doc(description="The header `Idempotency-Key` is required: the same key answers the same order again.")
def place(json_data: dict[str, Any]) -> dict[str, Any]:
    """Buy a quote."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise Invalid("order.key", "send the header Idempotency-Key: a text of your choice for this purchase, the same when you repeat it")
    return _order(orders.place(exchange(), current_actor(), json_data["quote"], key))


@blueprint.get("/orders")
@policy("own")
@blueprint.input(PageQuery, location="query", unknown=None)
@blueprint.output(OrdersOut)
def list_orders(query_data: dict[str, Any]) -> dict[str, Any]:
    """Orders of the own organisation, newest first."""
    page = orders.of(exchange(), current_actor(), after=query_data["after"], limit=query_data["limit"])
    return {"orders": [_order(one) for one in page.orders], "next": page.next}


@blueprint.get("/orders/<order_id>")
@policy("own")
@blueprint.output(OrderOut)
def get_order(order_id: str) -> dict[str, Any]:
    """An order of the own organisation."""
    return _order(orders.get(exchange(), current_actor(), order_id))


@blueprint.get("/orders/<order_id>/tiles")
@policy("own")
@blueprint.input(TilesQuery, location="query", unknown=None)
@blueprint.output(TilesOut)
def list_tiles(order_id: str, query_data: dict[str, Any]) -> Response:
    """The files that an order gives the right to, in a fixed order."""
    page = entitlements.of_order(exchange(), current_actor(), order_id, after=query_data["after"], limit=query_data["limit"])
    return jsonify(tiles=[_tile(one) for one in page.tiles], next=page.next)


def _order(made: orders.Order) -> dict[str, Any]:
    return {
        "id": made.id,
        "state": made.state,
        "quote": made.quote_id,
        "key": made.key,
        "purpose": made.purpose,
        "currency": "KRW",
        "lines": [estimates.line_document(line) for line in made.lines],
        "subtotal": made.subtotal,
        "vat": made.vat,
        "total": made.total,
        "created_at": iso_from_ns(made.created_ns),
    }


def _tile(one: entitlements.OrderTile) -> dict[str, Any]:
    values = asdict(one)
    for name in ("order_id", "object_key", "version_state", "cell"):
        del values[name]
    values["class"] = values.pop("handling_class")
    return values
