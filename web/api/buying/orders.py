"""Orders and their tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from mapex.atlas import naming
from mapex.errors import Invalid
from mapex.orders import grounds, orders, refunds
from mapex.prices import estimate, permitted, sold_layers
from mapex.rights import entitlements, named_users
from mapex.times import iso_from_ns
from web.api.buying.choices import PermittedOut
from web.api.buying.prices import LineOut, SoldLayerOut
from web.edge.auth import current_actor, exchange
from web.edge.kinds import CLASSES, LAYER_KINDS, LICENCE_CODES, PURPOSES, digest, moment, quadkey, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, PageQuery, Range, fields, when
from web.words import places
from web.words.documents import readme

blueprint = APIBlueprint("orders", __name__, url_prefix="/api/v1", tag="Orders")


class OrderIn(Body):
    """Which quote is bought."""

    quote = fields.String(required=True, validate=Length(1, 40))
    persons = fields.List(
        fields.String(validate=Length(1, 255)),
        load_default=list,
        validate=Length(0, named_users.MOST),
        metadata={"description": "e-mails of those of your organisation who may download it; empty: all of them"},
    )


class NamedUsersIn(Body):
    """Who may download an order."""

    persons = fields.List(fields.String(validate=Length(1, 255)), required=True, validate=Length(0, named_users.MOST))


class NamedUsersOut(Answer):
    """E-mails of the named users; empty: everybody of the organisation."""

    persons = fields.List(fields.String())


class OrderProgressOut(Answer):
    """How far an order is: files, files that may not be read now, files of which addresses were given out, and files that were read.

    What was read is known with the directory store only: it is null with MinIO, and for an order that was read before this was recorded.
    """

    state = fields.String()
    files = fields.Integer()
    size = fields.Integer()
    withheld = fields.Integer()
    granted = fields.Integer(metadata={"description": "files of which a download address was given out"})
    grants = fields.Integer(metadata={"description": "addresses given out"})
    first_granted_at = moment(allow_none=True)
    last_granted_at = moment(allow_none=True)
    read = fields.Integer(allow_none=True, metadata={"description": "files that were sent to their last byte; null: not known"})
    reads = fields.Integer(allow_none=True, metadata={"description": "addresses through which a file was sent to its last byte"})
    first_read_at = moment(allow_none=True)
    last_read_at = moment(allow_none=True)


class OrderOut(Answer):
    """What was bought."""

    id = fields.String()
    state = fields.String()
    quote = fields.String()
    key = fields.String()
    purpose = word(PURPOSES)
    currency = fields.String()
    lines = fields.List(fields.Nested(LineOut))
    subtotal = fields.Integer()
    vat = fields.Integer()
    total = fields.Integer()
    refunded = fields.Integer(metadata={"description": "what of the total came back when versions were recalled"})
    created_at = moment()
    name = fields.String(metadata={"description": "what your organisation calls the area"})
    person = fields.String(metadata={"description": "who ordered"})
    asked_by = fields.String(metadata={"description": "who asked for it, where an approver paid; else empty"})
    place = fields.String(metadata={"description": "what the ground is called and its squares, in the language of the request"})


class OneOrderOut(OrderOut):
    """What was bought, and what must be known of its layers."""

    layers = fields.List(fields.Nested(SoldLayerOut))
    permits = fields.List(fields.Nested(PermittedOut), metadata={"description": "under which it was sold"})


class OrdersQuery(PageQuery):
    """Which orders."""

    purpose = fields.String(load_default="")
    dataset = fields.String(load_default="", metadata={"description": "slug"})
    from_time = fields.String(load_default="", data_key="from", metadata={"description": "ISO 8601"})
    to_time = fields.String(load_default="", data_key="to", metadata={"description": "ISO 8601; half open"})


class OrdersOut(Answer):
    """A page of orders, newest first."""

    orders = fields.List(fields.Nested(OrderOut))
    next = fields.String(allow_none=True)


class EnclosureOut(Answer):
    """A text in UTF-8, and the name that it has beside the files."""

    path = fields.String()
    sha256 = digest()
    size = fields.Integer()
    text = fields.String()


class EnclosuresOut(Answer):
    """What a download holds beside its files and the manifest."""

    enclosures = fields.List(fields.Nested(EnclosureOut))


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
    kind = word(LAYER_KINDS)
    class_ = word(CLASSES, data_key="class", attribute="class")
    tile = quadkey()
    place = fields.String(metadata={"description": "what the tile is called, in the language of the request"})
    part = fields.Integer()
    sha256 = digest()
    size = fields.Integer()
    media_type = fields.String()
    path = fields.String()
    licence = word(LICENCE_CODES)
    attribution = fields.String()
    purpose = word(PURPOSES)
    state = fields.String()
    paid = fields.Boolean()


class TilesOut(Answer):
    """A page of tiles."""

    tiles = fields.List(fields.Nested(TileOut))
    next = fields.String(allow_none=True)


@blueprint.post("/orders")
@policy("buy")
@blueprint.doc(responses=[402, 404, 409])
@blueprint.input(OrderIn)
@blueprint.output(OneOrderOut, status_code=201)
@blueprint.doc(description="The header `Idempotency-Key` is required: the same key answers the same order again.")
def place(json_data: dict[str, Any]) -> dict[str, Any]:
    """Buy a quote."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise Invalid("order.key", "Send the header Idempotency-Key: a text of your choice for this purchase, the same when you repeat it.")
    return _whole(orders.place(exchange(), current_actor(), json_data["quote"], key, persons=json_data["persons"]))


@blueprint.get("/orders")
@policy("own")
@blueprint.doc(responses=[404])
@blueprint.input(OrdersQuery, location="query", unknown=None)
@blueprint.output(OrdersOut)
def list_orders(query_data: dict[str, Any]) -> dict[str, Any]:
    """Orders of the own organisation, newest first."""
    wanted = orders.OrderFilter(query_data["purpose"], query_data["dataset"], when(query_data["from_time"]), when(query_data["to_time"]))
    page = orders.of(exchange(), current_actor(), after=query_data["after"], limit=query_data["limit"], wanted=wanted)
    return {"orders": _orders(page.orders), "next": page.next}


@blueprint.get("/orders/<order_id>")
@policy("own")
@blueprint.output(OneOrderOut)
def get_order(order_id: str) -> dict[str, Any]:
    """An order of the own organisation."""
    return _whole(orders.get(exchange(), current_actor(), order_id))


@blueprint.get("/orders/<order_id>/tiles")
@policy("own")
@blueprint.input(TilesQuery, location="query", unknown=None)
@blueprint.output(TilesOut)
def list_tiles(order_id: str, query_data: dict[str, Any]) -> Response:
    """The files that an order gives the right to, in a fixed order."""
    page = entitlements.of_order(exchange(), current_actor(), order_id, after=query_data["after"], limit=query_data["limit"])
    named = naming.of_tiles(exchange(), [one.tile for one in page.tiles])
    return jsonify(tiles=[_tile(one, places.area(named[one.tile])) for one in page.tiles], next=page.next)


@blueprint.get("/orders/<order_id>/enclosures")
@policy("own")
@blueprint.output(EnclosuresOut)
def list_enclosures(order_id: str) -> dict[str, Any]:
    """README (Korean and English) and the full text of each licence of an order, as it pins them: a download holds them too."""
    return {"enclosures": [{**one.described, "text": one.text} for one in readme.beside(exchange(), current_actor(), order_id)]}


@blueprint.get("/orders/<order_id>/progress")
@policy("own")
@blueprint.output(OrderProgressOut)
def progress(order_id: str) -> dict[str, Any]:
    """How far an order is: what can be read, and for what download addresses were given out."""
    ex, by = exchange(), current_actor()
    found = entitlements.progress(ex, by, order_id)
    values = asdict(found)
    values |= values.pop("served")
    times = ("first_granted", "last_granted", "first_read", "last_read")
    moments = {f"{name}_at": iso_from_ns(at) if (at := values.pop(f"{name}_ns")) else None for name in times}
    return {"state": orders.get(ex, by, order_id).state, **values, **moments}


@blueprint.get("/orders/<order_id>/persons")
@policy("own")
@blueprint.output(NamedUsersOut)
def list_persons(order_id: str) -> dict[str, Any]:
    """Who of the own organisation may download an order."""
    return {"persons": list(named_users.of_order(exchange(), current_actor(), order_id))}


@blueprint.put("/orders/<order_id>/persons")
@policy("buy")
@blueprint.input(NamedUsersIn)
@blueprint.output(NamedUsersOut)
def change_persons(order_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Name who may download an order; only the one who ordered and those who are named may change it."""
    return {"persons": list(named_users.change(exchange(), current_actor(), order_id, json_data["persons"]))}


def _whole(made: orders.Order) -> dict[str, Any]:
    ex = exchange()
    permits = [permitted.document(one) for one in permitted.of_order(ex, made.id)]
    return {**_orders([made])[0], "layers": sold_layers.documents(ex, made.lines), "permits": permits}


def _orders(found: Sequence[orders.Order]) -> list[dict[str, Any]]:
    named = grounds.of_orders(exchange(), current_actor(), [one.id for one in found])
    returned = refunds.totals(exchange(), current_actor(), [one.id for one in found])
    return [_order(one, places.ground(named.get(one.id)), returned.get(one.id, 0)) for one in found]


def _order(made: orders.Order, place: str, refunded: int) -> dict[str, Any]:
    return {
        "id": made.id,
        "state": made.state,
        "quote": made.quote_id,
        "key": made.key,
        "purpose": made.purpose,
        "currency": "KRW",
        "lines": [estimate.line_document(line) for line in made.lines],
        "subtotal": made.subtotal,
        "vat": made.vat,
        "total": made.total,
        "refunded": refunded,
        "created_at": iso_from_ns(made.created_ns),
        "name": made.name,
        "person": made.person,
        "asked_by": made.asked_by,
        "place": place,
    }


def _tile(one: entitlements.OrderTile, place: str) -> dict[str, Any]:
    values = {**asdict(one), "place": place}
    for name in ("order_id", "object_key", "version_state", "cell"):
        del values[name]
    values["class"] = values.pop("handling_class")
    return values
