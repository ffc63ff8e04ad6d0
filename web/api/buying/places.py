"""Places by what people call them: names, coordinates and tiles become a point or an outline; tiles become names."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.atlas import lookup, naming
from mapex.atlas.lookup import Found
from tiles.grid import grid
from web.edge.auth import exchange
from web.edge.kinds import quadkey, word
from web.edge.limits.visitors import most_tiles
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, Query, Range, Regexp, fields
from web.words import places

blueprint = APIBlueprint("places", __name__, url_prefix="/api/v1", tag="Market")

KINDS = ("sido", "city", "sigungu", "emd", "ri", "area", "road", "place", "address", "tile", "coordinates")
MOST_NAMED = 5000


class PlacesQuery(Query):
    """What is looked for, and how many answers at most."""

    q = fields.String(
        load_default="",
        validate=Length(0, lookup.LONGEST_QUESTION),
        metadata={
            "description": "name (Korean, in Latin letters, first consonants), coordinates or quadkey; empty = only the list of names"
        },
    )
    limit = fields.Integer(load_default=10, validate=Range(1, lookup.MOST_FOUND))


class FoundOut(Answer):
    """What the question may mean."""

    kind = word(KINDS)
    name = fields.String(metadata={"description": "in the language of the request"})
    within = fields.String(metadata={"description": "the divisions around it; empty where there is none"})
    lon = fields.Float()
    lat = fields.Float()
    box = fields.List(fields.Float(), allow_none=True, metadata={"description": "west, south, east, north; null = a point"})
    key = fields.String(metadata={"description": "name of its outline for `/places/{name}`; empty = it has none"})
    system = fields.String(metadata={"description": "what coordinates were taken as, such as `EPSG:5186`; else empty"})
    tile = fields.String(metadata={"description": "the tile that was asked for, or the sale tile that a point is in"})


class PlacesOut(Answer):
    """Names of the operator's boundaries, and what was found."""

    places = fields.List(fields.String())
    found = fields.List(fields.Nested(FoundOut))


class PlaceOut(Answer):
    """A boundary."""

    name = fields.String()
    region = fields.Dict()


class TilesIn(Body):
    """Tiles of any zoom."""

    tiles = fields.List(fields.String(validate=Regexp(r"^[0-3]{1,24}$")), required=True, validate=Length(1, MOST_NAMED))


class TileNameOut(Answer):
    """A tile and its name."""

    tile = quadkey()
    name = fields.String()


class NamesOut(Answer):
    """Names of tiles, in the order in which they were asked for."""

    names = fields.List(fields.Nested(TileNameOut))


@blueprint.get("/places")
@policy("browse")
@blueprint.input(PlacesQuery, location="query", unknown=None)
@blueprint.output(PlacesOut)
def list_places(query_data: dict[str, Any]) -> dict[str, Any]:
    """What a name, coordinates or a tile may mean, the likeliest first; and the operator's boundaries. Needs no token.

    Coordinates that can be read in more than one way are answered in all of these ways.
    """
    ex, asked = exchange(), query_data["q"]
    found = lookup.find(ex, asked, limit=query_data["limit"]) if asked.strip() else []
    return {"places": list(lookup.supplied(ex).areas), "found": list(map(_found, found))}


@blueprint.get("/places/<path:name>")
@policy("browse")
@blueprint.output(PlaceOut)
def get_place(name: str) -> dict[str, Any]:
    """The outline of a boundary of the operator's by its name, or of a division of Korea by its code. Needs no token."""
    one = lookup.place(exchange(), name)
    return {"name": one.name, "region": one.region}


@blueprint.post("/places/names")
@policy("browse")
@blueprint.input(TilesIn)
@blueprint.output(NamesOut)
def name_tiles(json_data: dict[str, Any]) -> dict[str, Any]:
    """What tiles are called: the division that holds the middle of each, or its degrees. Needs no token; then 1,000 at most."""
    asked = json_data["tiles"][: most_tiles(MOST_NAMED)]
    named = naming.of_tiles(exchange(), asked)
    return {"names": [{"tile": key, "name": places.area(named[key])} for key in asked]}


def _found(one: Found) -> dict[str, Any]:
    place, reading = one.place, one.reading
    name, within = places.found_words(one)
    return {
        "kind": place.kind,
        "name": name,
        "within": within,
        "lon": place.lon,
        "lat": place.lat,
        "box": list(place.box) if place.box else None,
        "key": place.key,
        "system": reading.system if reading else "",
        "tile": reading.tile if reading and reading.tile else grid.quadkey(int(grid.cells_at([place.lon], [place.lat])[0])),
    }
