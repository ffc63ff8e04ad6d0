"""Newer versions of what was bought: which tiles, and their price."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from mapex.orders import updates
from mapex.rules.accuracy import DEFAULT_MM
from tiles.grid import grid
from web.api.buying.quotes import QuoteOut, quote_document
from web.edge.auth import current_actor, exchange
from web.edge.kinds import LAYER_KINDS, quadkey, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, fields

blueprint = APIBlueprint("updates", __name__, url_prefix="/api/v1", tag="Orders")


class UpdateQuoteIn(Body):
    """Whether tiles that are new in the area are wanted too."""

    added = fields.Boolean(load_default=False)


class ChangedFeaturesOut(Answer):
    """What became of the features (points, frames) of the changed tiles since the version that was bought."""

    added = fields.Integer()
    removed = fields.Integer()
    moved = fields.Integer(metadata={"description": "by more than the stated accuracy"})
    altered = fields.Integer(metadata={"description": "with other attributes"})


class ChangeOut(Answer):
    """What happened to one layer since: quadkeys."""

    dataset = fields.String()
    org = fields.String()
    layer = fields.String()
    kind = word(LAYER_KINDS)
    version = fields.Integer()
    bought_version = fields.Integer()
    changed = fields.List(quadkey())
    added = fields.List(quadkey())
    removed = fields.List(quadkey())
    within = fields.List(quadkey(), metadata={"description": "differ below the stated accuracy, and are not offered"})
    accuracy_m = fields.Float(allow_none=True)
    features = fields.Nested(ChangedFeaturesOut, allow_none=True)


class UpdatesOut(Answer):
    """What of an order has a newer version on sale; a total is null where there is nothing to buy."""

    order = fields.String()
    tiles = fields.Integer()
    changed = fields.Integer()
    added = fields.Integer()
    removed = fields.Integer()
    within = fields.Integer()
    layers = fields.List(fields.Nested(ChangeOut))
    total = fields.Integer(allow_none=True, metadata={"description": "KRW with VAT for the changed tiles"})
    total_with_added = fields.Integer(allow_none=True)
    credit = fields.Integer(metadata={"description": "KRW before VAT taken off in `total`: paid earlier for what did not change"})


@blueprint.get("/orders/<order_id>/updates")
@policy("own")
@blueprint.doc(responses=[409])
@blueprint.output(UpdatesOut)
def list_updates(order_id: str) -> Response:
    """Which tiles of an order have a newer version on sale, and what exactly those cost."""
    found = updates.of_order(exchange(), current_actor(), order_id)
    return jsonify(
        order=found.order_id,
        tiles=found.tiles,
        changed=found.changed,
        added=found.added,
        removed=found.removed,
        within=found.within,
        layers=[_change(one) for one in found.layers],
        total=found.price.total if found.price else None,
        total_with_added=found.price_with_added.total if found.price_with_added else None,
        credit=found.price.credit if found.price else 0,
    )


@blueprint.post("/orders/<order_id>/updates/quote")
@policy("price")
@blueprint.doc(responses=[409])
@blueprint.input(UpdateQuoteIn)
@blueprint.output(QuoteOut, status_code=201)
def quote_updates(order_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Hold the price of exactly the tiles of an order that have a newer version."""
    return quote_document(updates.quote(exchange(), current_actor(), order_id, added=json_data["added"]))


def _change(one: updates.LayerChange) -> dict[str, Any]:
    about = {name: getattr(one, name) for name in ("dataset", "org", "layer", "kind", "version", "bought_version")}
    features: dict[str, int] | None = None
    if one.counts:
        features = {name: getattr(one.counts, name) for name in ("added", "removed", "altered")}
        features["moved"] = one.counts.moved_by(one.accuracy_mm or DEFAULT_MM)
    cells = {name: grid.quadkeys(getattr(one, name)) for name in ("changed", "added", "removed", "within")}
    return {**about, **cells, "accuracy_m": one.accuracy_mm / 1000 if one.accuracy_mm else None, "features": features}
