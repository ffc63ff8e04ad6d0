"""Coordinate systems: a list to choose from, and the place of a file's own box. Numbers only; no file is looked at."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint

from mapex.intake import systems
from web.edge.auth import current_actor
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, Query, Range, fields
from web.words import vocabulary

blueprint = APIBlueprint("systems", __name__, url_prefix="/api/v1/systems", tag="Coordinate systems")


class FindQuery(Query):
    """What is looked for."""

    q = fields.String(load_default="", validate=Length(0, 100), metadata={"description": "words of code, name or area"})
    limit = fields.Integer(load_default=30, validate=Range(1, systems.MOST))


class SystemOut(Answer):
    """A coordinate system; `label` is its name in the language of the request, where it has one."""

    code = fields.String()
    name = fields.String()
    label = fields.String()
    area = fields.String()
    is_projected = fields.Boolean()


class SystemsOut(Answer):
    """Systems, the Korean ones first."""

    systems = fields.List(fields.Nested(SystemOut))


class LandIn(Body):
    """A file's own numbers, and what they may be: a system, or local metres round an origin."""

    box = fields.List(fields.Float(), required=True, validate=Length(4, 4), metadata={"description": "least x, least y, greatest x, y"})
    crs = fields.String(validate=Length(1, 40), metadata={"description": "AUTHORITY:CODE"})
    origin = fields.List(fields.Float(), validate=Length(2, 3), metadata={"description": "lon, lat, height"})


class LandOut(Answer):
    """Their place, in degrees WGS 84."""

    box = fields.List(fields.Float(), metadata={"description": "west, south, east, north"})
    is_inside = fields.Boolean(metadata={"description": "in the area that the system is made for"})
    is_swapped = fields.Boolean(metadata={"description": "it would be inside if east and north were exchanged"})


@blueprint.get("")
@policy("sell")
@blueprint.input(FindQuery, location="query", unknown=None)
@blueprint.output(SystemsOut)
def find(query_data: dict[str, Any]) -> dict[str, Any]:
    """Search coordinate systems by code, name or area."""
    names = {code: str(text) for code, text in vocabulary.SYSTEMS.items()}
    found = systems.find(query_data["q"], names, limit=query_data["limit"])
    return {"systems": [{**asdict(system), "label": names.get(system.code, system.name)} for system in found]}


@blueprint.post("/box")
@policy("sell")
@blueprint.input(LandIn)
@blueprint.output(LandOut)
def land(json_data: dict[str, Any]) -> dict[str, Any]:
    """Where a box of numbers would be."""
    current_actor()
    origin = json_data.get("origin")
    landing = systems.land(json_data["box"], crs=json_data.get("crs"), origin=[*origin, 0.0][:3] if origin else None)
    return asdict(landing)
