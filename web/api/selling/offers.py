"""Putting a version on sale, changing its terms, taking it off the market."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint

from mapex.offers import offers
from mapex.rules.update_policy import PAID
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import LICENCE_CODES, OFFER_STATES, moment, update_policy, word
from web.edge.policy import policy
from web.edge.schemas import NUMBERED, Answer, Body, Length, fields

blueprint = APIBlueprint("offers", __name__, url_prefix="/api/v1", tag="Market")

CREDITS = "whoever bought the same tiles for a narrower use pays the price less what was paid then"


class PublishIn(Body):
    """Terms of sale."""

    version = fields.Integer(validate=NUMBERED)
    rates = fields.Dict(keys=fields.String(), values=fields.Raw(), required=True, metadata={"description": "KRW per unit"})
    licence = fields.String(required=True, validate=Length(1, 32))
    attribution = fields.String(load_default="")
    credits_earlier = fields.Boolean(load_default=False, metadata={"description": CREDITS})
    updates = update_policy(load_default=PAID)
    accuracies = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        load_default=dict,
        metadata={"description": "metres by layer (`*` = all others): a shift below it is no change of a tile, and no update for buyers"},
    )
    confirmed = fields.List(
        fields.String(validate=Length(1, 64)),
        load_default=list,
        metadata={"description": "codes of the questions whose answer is: it is right (those of findings, rates.unusual)"},
    )


class OfferOut(Answer):
    """A version on sale."""

    id = fields.String()
    org = fields.String()
    dataset = fields.String()
    version = fields.Integer()
    state = word(OFFER_STATES)
    licence = word(LICENCE_CODES)
    attribution = fields.String()
    credits_earlier = fields.Boolean(metadata={"description": CREDITS})
    updates = update_policy()
    rates = fields.Dict(keys=fields.String(), values=fields.Integer())
    created_at = moment()
    unpriced = fields.List(fields.String(), metadata={"description": "layers of which the rate card charges nothing"})


@blueprint.post("/datasets/<slug>/publish")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(PublishIn)
@blueprint.output(OfferOut)
def publish(slug: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Publish a version of an own dataset and put it on sale; again with other terms: change them."""
    made = offers.publish(
        exchange(),
        current_actor(),
        slug,
        version=json_data.get("version"),
        rate_card=json_data["rates"],
        licence=json_data["licence"],
        attribution=json_data["attribution"],
        credits_earlier=json_data["credits_earlier"],
        updates=json_data["updates"],
        confirmed=json_data["confirmed"],
        accuracies=json_data["accuracies"],
    )
    return _offer(made)


@blueprint.post("/datasets/<slug>/withdraw")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output(OfferOut)
def withdraw(slug: str) -> dict[str, Any]:
    """Take an own dataset off the market; what was bought stays bought."""
    return _offer(offers.withdraw(exchange(), current_actor(), slug))


def _offer(made: offers.Offer) -> dict[str, Any]:
    values = asdict(made)
    created_ns = values.pop("created_ns")
    return {**values, "rates": dict(made.rates), "created_at": iso_from_ns(created_ns)}
