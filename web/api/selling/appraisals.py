"""What sellers ask while they set a price: what a rate card would cost buyers."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.offers import appraisals
from web.edge.auth import current_actor, exchange
from web.edge.kinds import LAYER_KINDS, quadkey, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, fields

blueprint = APIBlueprint("appraisals", __name__, url_prefix="/api/v1", tag="Selling")


class RatesIn(Body):
    """A rate card that is not published."""

    rates = fields.Dict(keys=fields.String(), values=fields.Raw(), required=True, metadata={"description": "KRW per unit"})


class BillLineOut(Answer):
    """What a unit of a layer costs."""

    layer = fields.String()
    kind = word(LAYER_KINDS)
    unit = fields.String()
    quantity = fields.Float()
    quantity_small = fields.Integer()
    small_unit = fields.String()
    rate = fields.Integer()
    amount = fields.Integer()


class BillOut(Answer):
    """What an area would cost a buyer who owns nothing of it, in whole KRW."""

    lines = fields.List(fields.Nested(BillLineOut))
    subtotal = fields.Integer()
    vat = fields.Integer()
    total = fields.Integer()


class SquareOut(BillOut):
    """A z15 tile, about 1 km2."""

    tile = quadkey()
    area_m2 = fields.Integer()
    per_km2 = fields.Nested(BillOut, metadata={"description": "what 1 km2 costs that is as dense"})


class AppraisalOut(Answer):
    """What the rates ask: of all of the version, of the square in the middle by price, of the dearest one."""

    version = fields.Integer()
    rates = fields.Dict(keys=fields.String(), values=fields.Integer())
    squares = fields.Integer()
    whole = fields.Nested(BillOut)
    median = fields.Nested(SquareOut)
    dearest = fields.Nested(SquareOut)
    unusual = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "by unit whose rate is 1,000 times the usual one or more: the usual one; to be confirmed at publication"},
    )


@blueprint.post("/datasets/<slug>/versions/<int:number>/appraisal")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(RatesIn)
@blueprint.output(AppraisalOut)
def appraise(slug: str, number: int, json_data: dict[str, Any]) -> dict[str, Any]:
    """What a rate card would cost buyers of an own version; nothing is stored."""
    found = appraisals.appraise(exchange(), current_actor(), slug, number, json_data["rates"])
    return {
        "version": found.version,
        "rates": dict(found.rates),
        "squares": found.squares,
        "whole": appraisals.document(found.whole),
        "median": _square(found.median),
        "dearest": _square(found.dearest),
        "unusual": dict(found.unusual),
    }


def _square(one: appraisals.BilledSquare) -> dict[str, Any]:
    return {"tile": one.tile, "area_m2": one.area_m2, "per_km2": appraisals.document(one.per_km2), **appraisals.document(one.bill)}
