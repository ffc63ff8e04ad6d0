"""What requests may hold: marshmallow schemas with strict fields, and the small words that several routes share.

A field that a schema does not name is refused (422 naming it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from apiflask import Schema, fields
from apiflask.validators import Length, OneOf, Range, Regexp
from marshmallow import RAISE, validate
from werkzeug.routing import IntegerConverter

from mapex.atlas import regions
from mapex.errors import Invalid
from mapex.exchange import Exchange
from mapex.places import outlines
from mapex.times import ns_from_iso
from tiles.arrays import UInt64s
from tiles.box import Box
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.region import Region
from web.edge.limits.turns import take_turn

MOST_QUADKEYS = 400_000
WHOLE = Range(0, 2**53 - 1)
"""A number that every database can keep, and the log (RFC 8785: what a double holds exactly)."""
NUMBERED = Range(0, 2**31 - 1)
"""A number of a version, which PostgreSQL keeps in 32 bits."""

__all__ = [
    "MOST_QUADKEYS",
    "NUMBERED",
    "WHOLE",
    "Answer",
    "AreaIn",
    "Body",
    "Error",
    "Length",
    "OneOf",
    "PageQuery",
    "Query",
    "Range",
    "Regexp",
    "LongInteger",
    "ShortInteger",
    "area_of",
    "box_of",
    "cells_of",
    "entry_number",
    "region_of",
    "without_of",
    "fields",
    "when",
    "words",
]


class ShortInteger(IntegerConverter):
    """`<int:...>` in addresses, 32 bits: what no database can keep names nothing, and is answered with 404."""

    regex = r"\d{1,9}"


class LongInteger(IntegerConverter):
    """`<long:...>` in addresses, within `WHOLE`: an entry of the log."""

    regex = r"\d{1,15}"


def entry_number(text: str) -> int | None:
    """The number of an entry of the log in an address; None when there is none."""
    return int(text) if re.fullmatch(LongInteger.regex, text) else None


class Body(Schema):
    """Base of JSON bodies: unknown fields are refused."""

    class Meta:
        """Strict."""

        unknown = RAISE


class Query(Schema):
    """Base of query strings: unknown names are refused, when the route has `unknown=None` (webargs drops them otherwise)."""

    class Meta:
        """Strict."""

        unknown = RAISE


class Answer(Schema):
    """Base of documented answers."""


class Error(Schema):
    """What every error looks like."""

    code = fields.String(required=True, metadata={"description": "stable slug, for machines and translations"})
    message = fields.String(required=True)
    details = fields.Dict()
    request_id = fields.String(metadata={"description": "of this request, to be quoted when it is reported; as in the header X-Request-Id"})


class PageQuery(Query):
    """Lists go on with `after` = the `next` of the page before."""

    after = fields.String(load_default="")
    limit = fields.Integer(load_default=100, validate=Range(1, 1000))


class AreaIn(Body):
    """Where: a GeoJSON area, or quadkeys of sale cells (zoom 16); one of the two."""

    region = fields.Raw(
        metadata={
            "type": "object",
            "description": "GeoJSON geometry, Feature or FeatureCollection, WGS 84, or the system in metres that its member `crs` names",
        }
    )
    quadkeys = fields.List(
        fields.String(validate=Regexp(r"^[0-3]{16}$")),
        validate=Length(1, MOST_QUADKEYS),
        metadata={"description": "sale cells, zoom 16"},
    )


def without_of(given: Mapping[str, Any]) -> UInt64s | None:
    """The sale cells that `without` of a body names, or None."""
    return cells_of(given["without"]) if given.get("without") else None


def cells_of(quadkeys: Sequence[str]) -> UInt64s:
    """The sale cells of these quadkeys."""
    return np.array([grid.cell_from_quadkey(key)[0] for key in quadkeys], np.uint64)


def area_of(ex: Exchange, given: Mapping[str, Any]) -> Region | Cover:
    """The area that a body with the fields of `AreaIn` names.

    From here on the request has a turn among those that compute areas (`web.edge.limits.turns`).

    Raises: Invalid (`region.missing`), InvalidRegion, InvalidTile, TooManyRequests, Unavailable.
    """
    take_turn()
    if (given.get("region") is None) == (given.get("quadkeys") is None):
        raise Invalid("region.missing", "Give either `region` (GeoJSON) or `quadkeys`.")
    if given.get("quadkeys") is not None:
        return Cover.from_cells(cells_of(given["quadkeys"]))
    return region_of(ex, given["region"])


def region_of(ex: Exchange, given: Any) -> Region:
    """The region of a GeoJSON object as people bring it.

    Raises: InvalidRegion.
    """
    return outlines.region_of(
        given,
        max_vertices=ex.settings.max_region_vertices,
        max_area_km2=ex.settings.max_region_km2,
        known=lambda: [one.box for one in regions.regions(ex)],
    )


def when(text: str) -> int | None:
    """UTC nanoseconds of an ISO 8601 time or date; None for an empty text.

    Raises: Invalid (`time.malformed`).
    """
    return ns_from_iso(text) if text else None


def words(text: str) -> list[str] | None:
    """`a,b` as a list; None for an empty text."""
    return [word for word in (part.strip() for part in text.split(",")) if word] or None


Slug = validate.Regexp(r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")


def box_of(text: str) -> Box:
    """The box `W,S,E,N` in degrees.

    Raises: Invalid: it is not four numbers.
    """
    try:
        return Box.from_text(text)
    except ValueError as error:
        raise Invalid("bbox.malformed", f"`bbox` is W,S,E,N: four numbers in degrees, not {text[:80]!r}.", bbox=text[:80]) from error
