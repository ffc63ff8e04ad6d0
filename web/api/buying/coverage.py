"""Coverage for the map: vector tiles of squares and of teaser lines, and the squares as a list for those who cannot see a map."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from mapex.basemap.vector_tile import EXTENT, VERSION_2, field, line_layer, packed, varint
from mapex.catalogue import previews
from mapex.errors import NotFound
from mapex.offers import products
from mapex.pyramid import coverage
from mapex.pyramid.coverage import Covered, Shown
from tiles.batch import LayerKind
from tiles.grid import grid
from tiles.grid.borders import on_borders
from tiles.grid.region import Region
from tiles.grid.scan import cover
from web.edge.auth import exchange, signed_in
from web.edge.kinds import quadkey
from web.edge.limits.visitors import most_tiles
from web.edge.policy import policy
from web.edge.schemas import Answer, AreaIn, Range, area_of, fields

blueprint = APIBlueprint("coverage", __name__, tag="Market")

FINER = 5
"""Zoom steps from a map tile to its squares: at most 32 x 32 squares a tile."""

COARSEST = 6
TEASER_ZOOM = 14
TEASER_EXTENT = 1024
"""Units on the side of a teaser tile: about two metres each, on lines that are true to several metres."""
KINDS = tuple(kind.value for kind in LayerKind)
KEYS = tuple(key for kind in KINDS for key in (kind, f"{kind}_age", f"{kind}_q"))
"""Attributes of a square, for each kind that is there: how many, days since the newest was seen, the best quality (absent = unknown)."""


class CoverageIn(AreaIn):
    """Where, and how many cells at most."""

    limit = fields.Integer(load_default=1000, validate=Range(1, 5000))


class CoveredOut(Answer):
    """A sale cell with something on offer."""

    tile = quadkey()
    kinds = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"description": "layers on offer by kind"})
    ages = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"description": "days since the newest capture, by kind"})
    qualities = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "best quality by kind, 0 to 100; absent = unknown"}
    )


class CoverageOut(Answer):
    """Covered sale cells of an area."""

    tiles = fields.List(fields.Nested(CoveredOut))
    truncated = fields.Boolean()


@blueprint.get("/map/coverage/<int:z>/<int:x>/<int:y>.mvt")
@policy("public")
@blueprint.doc(hide=True)
def tile(z: int, x: int, y: int) -> Response:
    """Squares of one map tile."""
    zoom, lo, hi = _cells_of(z, x, y)
    return _answer(encode(coverage.cells(exchange(), zoom, lo, hi), lo, EXTENT >> (zoom - z)))


@blueprint.get("/map/coverage/<org>/<slug>/<int:z>/<int:x>/<int:y>.mvt")
@policy("public")
@blueprint.doc(hide=True)
def tile_of(org: str, slug: str, z: int, x: int, y: int) -> Response:
    """Squares of one map tile, of one dataset on offer."""
    zoom, lo, hi = _cells_of(z, x, y)
    return _answer(encode(products.cells(exchange(), org, slug, zoom, lo, hi), lo, EXTENT >> (zoom - z)))


@blueprint.get(f"/map/teaser/{TEASER_ZOOM}/<int:x>/<int:y>.mvt")
@policy("public")
@blueprint.doc(hide=True)
def teaser(x: int, y: int) -> Response:
    """Generalised lines of one map tile: that there are lanes or footways, and no more. Visitors see those that need no permit."""
    if x >= 1 << TEASER_ZOOM or y >= 1 << TEASER_ZOOM:
        raise NotFound("tile.unknown", "There is no such map tile; zoom, column and row are those of the web map tiles.")
    session = signed_in()  # by the cookie alone: a public address looks at no token
    found = previews.teaser_in_tile(exchange(), session.actor if session else None, TEASER_ZOOM, x, y, extent=TEASER_EXTENT)
    return _answer(line_layer("teaser", [(str(one.kind), one.lines) for one in found], TEASER_EXTENT))


def _cells_of(z: int, x: int, y: int) -> tuple[int, int, int]:
    """Zoom of the squares of a map tile, and the range of their Morton numbers."""
    if z > grid.ZOOM or x >= 1 << z or y >= 1 << z:
        raise NotFound("tile.unknown", "There is no such map tile; zoom, column and row are those of the web map tiles.")
    zoom = min(grid.ZOOM, max(COARSEST, z + FINER))
    lo, hi = grid.children(int(grid.morton(x, y)), z, zoom)
    return zoom, int(lo), int(hi)


def _answer(body: bytes) -> Response:
    answer = Response(body, mimetype="application/vnd.mapbox-vector-tile")
    answer.set_etag(hashlib.sha256(body).hexdigest()[:32])
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.make_conditional(request)
    return answer


@blueprint.post("/api/v1/coverage")
@policy("browse")
@blueprint.input(CoverageIn)
@blueprint.output(CoverageOut)
def covered(json_data: dict[str, Any]) -> dict[str, Any]:
    """Sale cells of an area with something on offer, and of which kinds.

    Needs no token: without one it lists at most 1,000 tiles.
    """
    limit = most_tiles(json_data.pop("limit"))
    area = area_of(exchange(), json_data)
    found = coverage.sale_cells(exchange(), cover(on_borders(area)) if isinstance(area, Region) else area, limit=limit + 1)
    return {"tiles": [_covered(one) for one in found[:limit]], "truncated": len(found) > limit}


def _covered(one: Covered) -> dict[str, Any]:
    return {
        "tile": grid.quadkey(one.cell),
        "kinds": {kind: shown.cells for kind, shown in one.kinds.items()},
        "ages": {kind: shown.age for kind, shown in one.kinds.items()},
        "qualities": {kind: shown.quality for kind, shown in one.kinds.items() if shown.quality >= 0},
    }


def encode(found: Sequence[Covered], lo: int, side: int) -> bytes:
    """A vector tile (MVT 2.1) with the layer `coverage`: one square a cell, id = Morton number, attributes as in `KEYS`.

    Args:
        lo: Morton number of the tile's first cell. side: of a square, in units of 1/4096 of the tile.
    """
    if not found:
        return b""  # the same bytes for a tile that never had anything and one whose offers were withdrawn
    values: dict[int, int] = {}
    known: dict[tuple[str, Shown], bytes] = {}  # neighbours mostly have the same attributes
    parts = [field(1, b"coverage")]
    for one in found:
        tags = b""
        for item in one.kinds.items():
            if item not in known:
                known[item] = _tags(*item, values)
            tags += known[item]
        parts.append(field(2, b"\x08" + varint(one.cell) + field(2, tags) + _square(one.cell - lo, side)))
    parts += [field(3, key.encode()) for key in KEYS]
    parts += [field(4, b"\x28" + varint(value)) for value in values]
    parts.append(b"\x28" + varint(EXTENT) + VERSION_2)
    return field(3, b"".join(parts))


def _tags(kind: str, shown: Shown, values: dict[int, int]) -> bytes:
    """Pairs of key and value, as places in `KEYS` and in `values`, which grows."""
    first = 3 * KINDS.index(kind)
    tags = [(key, values.setdefault(value, len(values))) for key, value in enumerate(shown, start=first) if value >= 0]
    return packed(number for pair in tags for number in pair)


@lru_cache(maxsize=8192)
def _square(offset: int, side: int) -> bytes:
    """Type and geometry of the square of the cell that is `offset` cells after the first in Morton order."""
    x, y = grid.xy(offset)
    left, top = int(x) * side, int(y) * side
    # MoveTo the corner, three LineTo, ClosePath; zigzag numbers; clockwise on the screen = an outer ring.
    outline = (9, left << 1, top << 1, 26, side << 1, 0, 0, side << 1, (side << 1) - 1, 0, 15)
    return b"\x18\x03" + field(4, packed(outline))
