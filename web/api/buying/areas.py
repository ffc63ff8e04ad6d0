"""Saved areas of the own organisation, and what a person wants to know of them."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.prices import saved_areas
from mapex.prices.saved_areas import SavedArea
from mapex.times import iso_from_ns
from tiles.grid.region import Region
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.limits.turns import take_turn
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, OneOf, Regexp, area_of, fields, region_of

blueprint = APIBlueprint("areas", __name__, url_prefix="/api/v1", tag="Market")

NAME = Length(1, saved_areas.LONGEST_NAME)

MOST_TILES = 10_000
"""Tiles that can be saved as one area."""


class AreaNameIn(Body):
    """The new name."""

    name = fields.String(required=True, validate=NAME)


def tell(**given: Any) -> Any:
    """What of an area is to come as notices."""
    about = {"description": "what comes to you as a notice: new data, a new version, a lower price"}
    return fields.List(fields.String(validate=OneOf(saved_areas.NEWS), metadata={"enum": list(saved_areas.NEWS)}), **given, metadata=about)


class AreaSaveIn(AreaNameIn):
    """An area, or tiles, and the name."""

    region = fields.Raw(metadata={"type": "object", "description": "GeoJSON, WGS 84; this or `quadkeys`"})
    quadkeys = fields.List(
        fields.String(validate=Regexp(r"^[0-3]{16}$")), validate=Length(1, MOST_TILES), metadata={"description": "sale cells, zoom 16"}
    )
    tell = tell(load_default=list, validate=Length(0, len(saved_areas.NEWS)))


class AreaNewsIn(Body):
    """What is to come as notices from now on; nothing named = nothing."""

    tell = tell(required=True, validate=Length(0, len(saved_areas.NEWS)))


class SavedAreaOut(Answer):
    """A saved area."""

    id = fields.String()
    name = fields.String()
    region = fields.Dict()
    area_km2 = fields.Float()
    created_at = moment()
    tell = tell()


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
    """Save an area, or the ground of tiles, for the own organisation."""
    ex = exchange()
    area = area_of(ex, json_data)
    if not isinstance(area, Region):
        settings = ex.settings
        area = Region.from_cells(area.cells(), max_vertices=settings.max_region_vertices, max_area_km2=settings.max_region_km2)
    return _out(saved_areas.save(ex, current_actor(), json_data["name"], area, tell=json_data["tell"]))


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


@blueprint.put("/areas/<area_id>/news")
@policy("price")
@blueprint.input(AreaNewsIn)
@blueprint.output(SavedAreaOut)
def watch_area(area_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Choose what of a saved area comes to you as notices."""
    return _out(saved_areas.watch(exchange(), current_actor(), area_id, json_data["tell"]))


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
        "tell": list(one.tell),
    }
