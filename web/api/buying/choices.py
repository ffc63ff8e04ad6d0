"""Choosing among offers: what a request may name, and the rows that there are to choose from."""

from __future__ import annotations

from typing import Any

from mapex.prices.alternatives import MOST_NAMED
from mapex.rules import choice
from mapex.rules.choice import Choice, Preference
from web.edge.kinds import CLASSES, LAYER_KINDS, LICENCE_CODES, PURPOSES, moment, update_policy, word
from web.edge.schemas import Answer, Body, Length, OneOf, fields


def _names(description: str) -> Any:
    return fields.List(fields.String(validate=Length(1, 200)), validate=Length(0, MOST_NAMED), metadata={"description": description})


class ChoiceIn(Body):
    """What is bought where several sell the same kind over the same ground; names are ORG/DATASET/LAYER, or ORG/DATASET.

    Of each group of alternatives that is not named one is taken: not unusually dear, of the best quality, newest, cheapest for each tile.
    """

    take = _names("wanted, in the place of their alternatives; original footage is bought only when its layer is named here")
    leave = _names("not wanted")
    prefer = fields.String(
        validate=OneOf(tuple(map(str, Preference))), metadata={"description": "what decides first among alternatives; without: quality"}
    )
    only_ = fields.Boolean(data_key="only", attribute="only", metadata={"description": "nothing but what `take` names"})


class PermitTermsOut(Answer):
    """The permit under which something is sold."""

    number = fields.String()
    rule_set = fields.String()
    purposes = fields.List(word(PURPOSES))
    valid_from = moment()
    valid_to = moment(metadata={"description": "half open"})


CREDIT = "paid earlier for the same tiles under narrower terms, or for what did not change of them"
FREE_TILES = "cells among `tiles` that cost nothing: newer versions of such as an earlier order paid, whose free updates run"


class PermittedOut(PermitTermsOut):
    """A permit, and what is sold under it."""

    offers = fields.List(fields.String(), metadata={"description": "ORG/DATASET/LAYER"})


class OfferLineOut(Answer):
    """What one unit of an offered layer costs this buyer here."""

    unit = fields.String()
    quantity = fields.Float()
    rate = fields.Integer()
    price = fields.Integer(metadata={"description": "before what is credited"})
    credit = fields.Integer(metadata={"description": CREDIT})
    amount = fields.Integer()
    unusual = fields.Boolean(metadata={"description": "1,000 times the usual rate of this unit, or more"})


class RefusalOut(Answer):
    """Tiles that are on offer, but not to this buyer for this purpose."""

    code = fields.String()
    message = fields.String()
    dataset = fields.String()
    org = fields.String()
    layer = fields.String()
    kind = word(LAYER_KINDS)
    class_ = word(CLASSES, data_key="class", attribute="class")
    permit = fields.String(metadata={"description": "number of the permit that comes nearest, or empty"})
    tiles = fields.Integer()


class OfferRowOut(Answer):
    """A layer that could be bought in the area; `amount` is before VAT."""

    offer = fields.String(metadata={"description": "its name in a choice: ORG/DATASET/LAYER"})
    org = fields.String()
    dataset = fields.String()
    version = fields.Integer()
    layer = fields.String()
    kind = word(LAYER_KINDS)
    class_ = word(CLASSES, data_key="class", attribute="class")
    licence = word(LICENCE_CODES)
    updates = update_policy()
    group = fields.Integer(metadata={"description": "rows of one group are alternatives: the same kind and class over the same ground"})
    chosen = fields.Boolean(metadata={"description": "whether it is in the lines and the total"})
    amount = fields.Integer()
    lines = fields.List(fields.Nested(OfferLineOut))
    tiles = fields.Integer()
    owned_tiles = fields.Integer()
    free_tiles = fields.Integer(metadata={"description": FREE_TILES})
    bytes = fields.Integer()
    as_of = moment(allow_none=True)
    quality = fields.Integer(allow_none=True, metadata={"description": "0 to 100; null: nothing was counted"})
    accuracy_m = fields.Float(allow_none=True, metadata={"description": "metres that the way to WGS 84 may be off; null: not known"})
    permit = fields.Nested(PermitTermsOut, allow_none=True, metadata={"description": "under which it may be bought, where one is needed"})
    refusals = fields.List(fields.Nested(RefusalOut), metadata={"description": "what of it may not be bought, so that `tiles` lack it"})


def choice_of(json_data: dict[str, Any]) -> Choice:
    """What the field `choice` of a request asks for."""
    return choice.of_document(json_data.get("choice", {}))
