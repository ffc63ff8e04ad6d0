"""Quotes: the price of an area, held for a while."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.orders import renewals
from mapex.prices import permitted, quotes, sold_layers
from mapex.prices.estimate import document
from mapex.times import iso_from_ns
from web.api.buying.choices import PermittedOut
from web.api.buying.prices import EstimateIn, PriceOut, SoldLayerOut, price_request
from web.edge.auth import current_actor, exchange
from web.edge.kinds import digest, moment
from web.edge.policy import policy
from web.edge.schemas import Body, Length, fields

blueprint = APIBlueprint("quotes", __name__, url_prefix="/api/v1", tag="Market")


class QuoteIn(EstimateIn):
    """What is to be held."""

    purpose = fields.String(required=True, validate=Length(1, 32))


class QuoteOut(PriceOut):
    """A price that is held until `expires_at`."""

    id = fields.String()
    layers = fields.List(fields.Nested(SoldLayerOut))
    permits = fields.List(fields.Nested(PermittedOut), metadata={"description": "under which permits it rests"})
    tiles_sha256 = digest()
    created_at = moment()
    expires_at = moment()
    order = fields.String(allow_none=True)
    region = fields.Raw(allow_none=True)
    name = fields.String(metadata={"description": "what your organisation calls the area"})
    replaces = fields.String(allow_none=True, metadata={"description": "the quote that was asked for anew"})
    updates_of = fields.String(allow_none=True, metadata={"description": "the order of which these are the newer tiles"})


class RenewIn(Body):
    """The purpose, when it shall be another."""

    purpose = fields.String(validate=Length(1, 32))


class QuoteNameIn(Body):
    """What the area is called; empty: nothing."""

    name = fields.String(required=True, validate=Length(0, 400))


@blueprint.post("/quotes")
@policy("price")
@blueprint.doc(responses=[404])
@blueprint.input(QuoteIn)
@blueprint.output(QuoteOut, status_code=201)
def make_quote(json_data: dict[str, Any]) -> dict[str, Any]:
    """Hold the price of an area."""
    ex = exchange()
    return quote_document(quotes.quote(ex, current_actor(), price_request(ex, json_data)))


@blueprint.get("/quotes/<quote_id>")
@policy("own")
@blueprint.doc(responses=[409])
@blueprint.output(QuoteOut)
def get_quote(quote_id: str) -> dict[str, Any]:
    """A quote of the own organisation."""
    return quote_document(quotes.get(exchange(), current_actor(), quote_id))


@blueprint.post("/quotes/<quote_id>/renew")
@policy("price")
@blueprint.doc(responses=[409])
@blueprint.input(RenewIn)
@blueprint.output(QuoteOut, status_code=201)
def renew_quote(quote_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Hold the price of the same request anew, for another purpose if one is named; the old quote stays as it is."""
    return quote_document(renewals.renew(exchange(), current_actor(), quote_id, json_data.get("purpose")))


@blueprint.patch("/quotes/<quote_id>")
@policy("price")
@blueprint.doc(responses=[409])
@blueprint.input(QuoteNameIn)
@blueprint.output(QuoteOut)
def rename_quote(quote_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Call the area of a quote, and of its order, something; a note of your organisation, no part of the trade."""
    return quote_document(quotes.rename(exchange(), current_actor(), quote_id, json_data["name"]))


def quote_document(made: quotes.Quote) -> dict[str, Any]:
    """The quote as JSON values."""
    return {
        "id": made.id,
        **document(made.estimate),
        "tiles_sha256": made.tiles_sha256,
        "layers": sold_layers.documents(exchange(), made.estimate.lines),
        "permits": [permitted.document(one) for one in permitted.of_quote(exchange(), made)],
        "created_at": iso_from_ns(made.created_ns),
        "expires_at": iso_from_ns(made.expires_ns),
        "order": made.order_id,
        "region": made.request["region"],
        "name": made.name,
        "replaces": made.request.get("replaces"),
        "updates_of": made.request.get("updates_of"),
    }
