"""What a seller says about its datasets and about itself."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.showroom import descriptions
from mapex.showroom.descriptions import LONGEST, MOST_ACCURACY_MM, DatasetDescription
from web.api.selling.datasets import OrgQuery, ref_of
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, Range, fields

blueprint = APIBlueprint("descriptions", __name__, url_prefix="/api/v1", tag="Datasets")

STATED = "metres, as the seller states it; nobody has checked it"
SAMPLE = "whether one tile of each layer of the class open or pseudonymised is free for whoever is signed in"


class DescriptionIn(Body):
    """What to change; what is not named stays. Plain text; an empty line begins a paragraph."""

    ko = fields.String(validate=Length(0, LONGEST["ko"]))
    en = fields.String(validate=Length(0, LONGEST["en"]))
    accuracy_m = fields.Float(allow_none=True, validate=Range(0.001, MOST_ACCURACY_MM / 1000), metadata={"description": STATED})
    accuracy_basis = fields.String(
        validate=Length(0, LONGEST["accuracy_basis"]), metadata={"description": "what the number is: 1 sigma, RMSE at check points"}
    )
    method = fields.String(validate=Length(0, LONGEST["method"]))
    sensors = fields.String(validate=Length(0, LONGEST["sensors"]))
    sample = fields.Boolean(metadata={"description": SAMPLE})


class DescriptionOut(Answer):
    """What a seller says about a dataset."""

    ko = fields.String()
    en = fields.String()
    accuracy_m = fields.Float(allow_none=True, metadata={"description": STATED})
    accuracy_basis = fields.String()
    method = fields.String()
    sensors = fields.String()
    sample = fields.Boolean(metadata={"description": SAMPLE})


class SellerTextIn(Body):
    """What to change; what is not named stays."""

    ko = fields.String(validate=Length(0, LONGEST["ko"]))
    en = fields.String(validate=Length(0, LONGEST["en"]))


class SellerTextOut(Answer):
    """What a seller says about itself."""

    ko = fields.String()
    en = fields.String()


@blueprint.get("/datasets/<slug>/description")
@policy("read")
@blueprint.doc(responses=[409])
@blueprint.input(OrgQuery, location="query", unknown=None)
@blueprint.output(DescriptionOut)
def description(slug: str, query_data: dict[str, Any]) -> dict[str, Any]:
    """What the seller says about a dataset."""
    return as_json(descriptions.get(exchange(), current_actor(), ref_of(slug, query_data)))


@blueprint.patch("/datasets/<slug>/description")
@policy("sell")
@blueprint.input(DescriptionIn)
@blueprint.output(DescriptionOut)
def describe(slug: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Say something about an own dataset: text, stated accuracy, method, sensors, whether a sample tile is free."""
    if "accuracy_m" in json_data:
        metres = json_data.pop("accuracy_m")
        json_data["accuracy_mm"] = None if metres is None else round(metres * 1000)
    return as_json(descriptions.describe(exchange(), current_actor(), slug, json_data))


@blueprint.patch("/seller")
@policy("sell")
@blueprint.input(SellerTextIn)
@blueprint.output(SellerTextOut)
def describe_seller(json_data: dict[str, Any]) -> dict[str, Any]:
    """Say something about the own organisation, for its page as a seller."""
    found = descriptions.describe_seller(exchange(), current_actor(), json_data)
    return {"ko": found.ko, "en": found.en}


def as_json(found: DatasetDescription) -> dict[str, Any]:
    """A description as the API has it."""
    same = {name: getattr(found, name) for name in ("ko", "en", "accuracy_basis", "method", "sensors", "sample")}
    return {**same, "accuracy_m": None if found.accuracy_mm is None else found.accuracy_mm / 1000}
