"""Saved areas of the own organisation."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.prices import saved_areas
from mapex.prices.saved_areas import SavedArea
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.limits.turns import take_turn
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, fields, region_of

blueprint = APIBlueprint("areas", __name__, url_prefix="/api/v1", tag="Market")

NAME = Length(1, saved_areas.LONGEST_NAME)


class AreaNameIn(Body):
    """The new name."""

    name = fields.String(required=True, validate=NAME)


class AreaSaveIn(AreaNameIn):
    """An area and its name."""

    region = fields.Raw(required=True, metadata={"type": "object", "description": "GeoJSON, WGS 84"})


class SavedAreaOut(Answer):
    """A saved area."""

    id = fields.String()
    name = fields.String()
    region = fields.Dict()
    area_km2 = fields.Float()
    created_at = moment()


class OutlineIn(Body):
    """An area as somebody brings it."""

    region = fields.Raw(required=True, metadata={"type": "object", "description": "GeoJSON, WGS 84 or what its member `crs` names"})


class OutlineOut(Answer):
    """The same area as others understand it."""

    region = fields.Dict(metadata={"description": "GeoJSON geometry, WGS 84"})
    area_km2 = fields.Float()


class SavedAreasOut(Answer):
    """Saved areas by name."""

    areas = fields.List(fields.Nested(SavedAreaOut))


@blueprint.get("/areas")
@policy("own")
@blueprint.output(SavedAreasOut)
def list_areas() -> dict[str, Any]:
    """The areas that the own organisation saved."""
    return {"areas": [_out(one) for one in saved_areas.saved(exchange(), current_actor())]}


@blueprint.post("/areas")
@policy("price")
@blueprint.doc(responses=[409])
@blueprint.input(AreaSaveIn)
@blueprint.output(SavedAreaOut, status_code=201)
def save_area(json_data: dict[str, Any]) -> dict[str, Any]:
    """Save an area for the own organisation."""
    ex = exchange()
    return _out(saved_areas.save(ex, current_actor(), json_data["name"], region_of(ex, json_data["region"])))


@blueprint.post("/outlines")
@policy("browse")
@blueprint.input(OutlineIn)
@blueprint.output(OutlineOut)
def outline(json_data: dict[str, Any]) -> dict[str, Any]:
    """What area a GeoJSON object is, in WGS 84; nothing is stored.

    Needs no token. Of an object in metres whose member `crs` names the system it gives the degrees; of one that is no area, why.
    """
    ex = exchange()
    take_turn()
    region = region_of(ex, json_data["region"])
    return {"region": region.geojson, "area_km2": round(region.area_m2 / 1e6, 6)}


@blueprint.patch("/areas/<area_id>")
@policy("price")
@blueprint.doc(responses=[409])
@blueprint.input(AreaNameIn)
@blueprint.output(SavedAreaOut)
def rename_area(area_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Rename a saved area."""
    return _out(saved_areas.rename(exchange(), current_actor(), area_id, json_data["name"]))


@blueprint.delete("/areas/<area_id>")
@policy("price")
@blueprint.output({}, status_code=204)
def delete_area(area_id: str) -> str:
    """Delete a saved area."""
    saved_areas.remove(exchange(), current_actor(), area_id)
    return ""


def _out(one: SavedArea) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "region": one.region,
        "area_km2": round(one.area_m2 / 1e6, 6),
        "created_at": iso_from_ns(one.created_ns),
    }
