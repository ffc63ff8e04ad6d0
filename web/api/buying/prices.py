"""Search, and prices of an area now; nothing is held."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from mapex.exchange import Exchange
from mapex.offers.search import Listing, listings
from mapex.prices import cell_prices, estimates
from mapex.prices.estimate import document, offers_document
from mapex.prices.request import PriceRequest, of_area
from mapex.times import iso_from_ns
from tiles.grid import grid
from tiles.grid.cover import Cover
from web.api.buying.choices import CREDIT, FREE_TILES, ChoiceIn, OfferRowOut, RefusalOut, choice_of
from web.edge.auth import exchange, maybe_actor
from web.edge.kinds import CLASSES, KNOWN, LAYER_KINDS, LICENCE_CODES, PURPOSES, digest, moment, quadkey, update_policy, word
from web.edge.limits.visitors import most_tiles
from web.edge.policy import policy
from web.edge.schemas import MOST_QUADKEYS, Answer, AreaIn, Length, Range, Regexp, area_of, fields, without_of

blueprint = APIBlueprint("market", __name__, url_prefix="/api/v1", tag="Market")

NAMES = Length(1, 100)
MOST_LISTED = 5000
"""Squares of one answer."""


class SearchIn(AreaIn):
    """Where, and which layers by name or kind."""

    layers = fields.List(fields.String(validate=Length(1, 64)), validate=NAMES)


class EstimateIn(SearchIn):
    """What is to be priced; `dataset` leaves out all others, `choice` says what is taken of several that sell the same."""

    dataset = fields.String(validate=Length(1, 129), metadata={"description": "slug, or org/slug"})
    purpose = fields.String(validate=Length(1, 32))
    without = fields.List(
        fields.String(validate=Regexp(r"^[0-3]{16}$")),
        validate=Length(0, MOST_QUADKEYS),
        metadata={"description": "sale cells (quadkeys, zoom 16) of the area that are not wanted"},
    )
    choice = fields.Nested(ChoiceIn)
    leave_barely = fields.Boolean(
        load_default=False, metadata={"description": "leave out the tiles of which less than 5 % is in the region"}
    )


class CellPricesIn(EstimateIn):
    """As for an estimate; tiles that are left out are listed all the same."""

    limit = fields.Integer(load_default=1000, validate=Range(1, 5000))


class CellPriceOut(Answer):
    """A tile: by kind of layer, empty when it can be bought, else the code of why not; `amount` before VAT."""

    tile = quadkey()
    kinds = fields.Dict(keys=fields.String(), values=fields.String())
    amount = fields.Integer()
    owned = fields.Boolean()
    barely = fields.Boolean()


class CellPricesOut(Answer):
    """The first tiles of an area, ascending."""

    tiles = fields.List(fields.Nested(CellPriceOut))
    truncated = fields.Boolean()


class ListedLayerOut(Answer):
    """A layer of an offer inside the area."""

    name = fields.String()
    kind = word(LAYER_KINDS)
    class_ = word(CLASSES, data_key="class", attribute="class")
    tiles = fields.Integer()
    quantities = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"description": "small units: mm, pieces, ms, bytes"})


class ListingOut(Answer):
    """A dataset on offer."""

    dataset = fields.String()
    org = fields.String()
    title = fields.String()
    version = fields.Integer()
    licence = word(LICENCE_CODES)
    attribution = fields.String()
    credits_earlier = fields.Boolean(metadata={"description": "what was paid for narrower uses of the same tiles is credited"})
    updates = update_policy()
    rates = fields.Dict(keys=fields.String(), values=fields.Integer())
    published_at = moment()
    age_days = fields.Integer()
    own = fields.Boolean()
    layers = fields.List(fields.Nested(ListedLayerOut))


class SearchOut(Answer):
    """What is on offer in an area."""

    datasets = fields.List(fields.Nested(ListingOut))


TERMS = "of the licence's full text, purposes, attribution, whether what was paid for narrower uses is credited, and what updates cost"


class LineOut(Answer):
    """One unit of one layer; `quantity_small` is exact, in `small_unit`."""

    dataset = fields.String()
    org = fields.String()
    version = fields.Integer()
    layer = fields.String()
    kind = word(LAYER_KINDS)
    class_ = word(CLASSES, data_key="class", attribute="class")
    licence = word(LICENCE_CODES)
    attribution = fields.String()
    updates = update_policy()
    terms_sha256 = digest(metadata={"description": TERMS})
    unit = fields.String()
    quantity = fields.Float()
    quantity_small = fields.Integer()
    small_unit = fields.String()
    rate = fields.Integer()
    price = fields.Integer(metadata={"description": "KRW before VAT for whoever bought none of it before"})
    credit = fields.Integer(metadata={"description": f"KRW, as far as they lower the price: {CREDIT}"})
    amount = fields.Integer(metadata={"description": "price less credit"})
    tiles = fields.Integer()
    owned_tiles = fields.Integer()
    free_tiles = fields.Integer(metadata={"description": FREE_TILES})
    bytes = fields.Integer(metadata={"description": "size of the tiles"})
    as_of = moment(allow_none=True, metadata={"description": "when the newest of it was captured, else published"})


class SoldLayerOut(Answer):
    """What must be known of a layer to use its tiles; the same is in the manifest of a download."""

    org = fields.String()
    dataset = fields.String()
    version = fields.Integer()
    layer = fields.String()
    kind = word(LAYER_KINDS)
    licence = word(LICENCE_CODES)
    attribution = fields.String()
    updates = update_policy()
    terms_sha256 = digest(metadata={"description": TERMS})
    crs = fields.String(allow_none=True, metadata={"description": "what the coordinates in the tiles are in"})
    source_crs = fields.String(allow_none=True, metadata={"description": "what the seller's files were in"})
    source_crs_known = word(KNOWN, metadata={"description": "how source_crs is known"})
    accuracy_m = fields.Float(allow_none=True, metadata={"description": "metres that the way from source_crs to WGS 84 may be off"})
    height_datum = fields.String(metadata={"description": "above what heights count; unknown: nobody stated it"})
    height_source = word(KNOWN, metadata={"description": "how height_datum is known"})
    captured = fields.List(moment(), allow_none=True, metadata={"description": "first and last moment of capture"})


class BarelyOut(Answer):
    """Tiles of which less than 5 % is in the region, and what they change in the total."""

    tiles = fields.Integer()
    amount = fields.Integer()
    left_out = fields.Boolean()


class PriceOut(Answer):
    """An itemised price in whole KRW."""

    currency = fields.String()
    purpose = word(PURPOSES, allow_none=True)
    tiles = fields.Integer(metadata={"description": "tiles of all priced layers"})
    cells = fields.Integer(metadata={"description": "tiles of the area"})
    bytes = fields.Integer(metadata={"description": "size of all priced layers"})
    area_km2 = fields.Float(metadata={"description": "drawn_m2 in km2"})
    drawn_m2 = fields.Float(metadata={"description": "ground of the area that was asked for, without the tiles that are not wanted"})
    squares = fields.Integer(metadata={"description": "squares of the grid that are bought, each once for all layers"})
    squares_m2 = fields.Float(metadata={"description": "their ground"})
    files = fields.Integer(metadata={"description": "files that are delivered"})
    lines = fields.List(fields.Nested(LineOut))
    refusals = fields.List(fields.Nested(RefusalOut))
    subtotal = fields.Integer()
    vat = fields.Integer()
    total = fields.Integer()
    licences = fields.List(word(LICENCE_CODES))
    barely = fields.Nested(BarelyOut, allow_none=True)


class PriceNowIn(EstimateIn):
    """What is to be priced now."""

    list_squares = fields.Boolean(load_default=False, metadata={"description": "also list the squares in which something is on offer"})


class EstimateOut(PriceOut):
    """A price, and all that there is to choose from."""

    offers = fields.List(fields.Nested(OfferRowOut))
    on_offer = fields.List(
        quadkey(),
        metadata={
            "description": "where `list_squares` asked for it: the squares of the area in which something can be bought; the price of "
            f"these alone is the same. Else, and when there are more than {MOST_LISTED:,}, empty"
        },
    )


@blueprint.post("/search")
@policy("browse")
@blueprint.doc(responses=[404])
@blueprint.input(SearchIn)
@blueprint.output(SearchOut)
def search(json_data: dict[str, Any]) -> dict[str, Any]:
    """Datasets on offer in an area.

    Needs no token.
    """
    ex = exchange()
    found = listings(ex, maybe_actor(), of_area(area_of(ex, json_data), layers=json_data.get("layers")))
    now = ex.now()
    return {"datasets": [_listing(one, now) for one in found]}


@blueprint.post("/estimates")
@policy("browse")
@blueprint.doc(responses=[404])
@blueprint.input(PriceNowIn)
@blueprint.output(EstimateOut)
def estimate(json_data: dict[str, Any]) -> Response:
    """The price of an area now; nothing is stored.

    Needs no token: without one it is the price of whoever owns nothing yet and holds no permit.
    """
    ex = exchange()
    # Asked while the mouse still draws: the document is JSON already, so that no schema walks through it once more.
    request = replace(price_request(ex, json_data), lists_squares=json_data["list_squares"])
    found = estimates.estimate(ex, maybe_actor(), request)
    return jsonify({**document(found), "offers": offers_document(found), "on_offer": _keys(found.on_offer)})


def _keys(there: Cover | None) -> list[str]:
    return grid.quadkeys(there.cells()) if there is not None and there.count <= most_tiles(MOST_LISTED) else []


@blueprint.post("/estimates/tiles")
@policy("browse")
@blueprint.doc(responses=[404])
@blueprint.input(CellPricesIn)
@blueprint.output(CellPricesOut)
def tiles(json_data: dict[str, Any]) -> dict[str, Any]:
    """Every tile of an area: what can be bought there now, and why not the rest.

    Needs no token: without one it judges as for whoever owns nothing yet and holds no permit, and lists at most 1,000 tiles.
    """
    ex = exchange()
    limit = most_tiles(json_data.pop("limit"))
    found = cell_prices.tiles(ex, maybe_actor(), of_area(area_of(ex, json_data), **_wanted(json_data)), limit=limit + 1)
    rows = [
        {
            "tile": grid.quadkey(one.cell),
            "kinds": one.kinds,
            "amount": one.amount,
            "owned": one.is_owned,
            "barely": one.is_edge,
        }
        for one in found[:limit]
    ]
    return {"tiles": rows, "truncated": len(found) > limit}


def price_request(ex: Exchange, json_data: dict[str, Any]) -> PriceRequest:
    """What the fields of `EstimateIn` ask for."""
    return of_area(area_of(ex, json_data), **_wanted(json_data), without=without_of(json_data), leave_edge=json_data["leave_barely"])


def _wanted(json_data: dict[str, Any]) -> dict[str, Any]:
    return {name: json_data.get(name) for name in ("layers", "dataset", "purpose")} | {"choice": choice_of(json_data)}


def _listing(one: Listing, now: int) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "org": one.org,
        "title": one.title,
        "version": one.version,
        "licence": one.licence,
        "attribution": one.attribution,
        "credits_earlier": one.credits_earlier,
        "updates": one.updates,
        "rates": dict(one.rates),
        "published_at": iso_from_ns(one.published_ns),
        "age_days": (now - one.published_ns) // (24 * 3600 * 10**9),
        "own": one.is_own,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "class": layer.handling_class,
                "tiles": layer.tiles,
                "quantities": asdict(layer.quantities),
            }
            for layer in one.layers
        ],
    }
