"""The page of a dataset on sale: what it is, where, how fresh and good, what is in it, what it costs, how to get it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template

from mapex.exchange import Exchange
from mapex.offers import products
from mapex.prices import rates_on_sale, saved_areas
from mapex.showroom import attributes, descriptions, samples
from tiles.batch import Content, LayerKind
from tiles.box import Box
from tiles.grid import grid
from web.edge import static_files
from web.edge.auth import current_actor, current_person, exchange
from web.edge.policy import policy
from web.pages.public import permitted
from web.words.language import language
from web.words.licences import licence_words

blueprint = Blueprint("pages_dataset", __name__)


@blueprint.get("/datasets/<org>/<slug>")
@policy("public")
def dataset(org: str, slug: str) -> str:
    """What it is, versions, where, how fresh and good, what it costs, under which licence."""
    ex = exchange()
    found = products.get(ex, org, slug)
    described = descriptions.of_product(ex, found)
    given = samples.of(ex, f"{org}/{slug}")
    own = own_area(ex, found.box)
    page = {
        "kinds": _kinds(found),
        "bounds": own or found.box,
        "tiles": f"/map/coverage/{org}/{slug}/{{z}}/{{x}}/{{y}}.mvt",
        "lines": f"/map/teaser/{org}/{slug}/{{z}}/{{x}}/{{y}}.mvt",
        "samples": [_sample(one) for one in given],
        "hasVendor": static_files.has_vendor(),
    }
    return render_template(
        "buy/dataset.html",
        product=found,
        described=described,
        text=described.text(language()) or found.description,
        tables=attributes.of_product(ex, found),
        samples=given,
        kinds=page["kinds"],
        page=page,
        licence=licence_words(found.licence),
        outline=_outline(found.box),
        box=",".join(f"{side:.5f}" for side in own or found.box or ()),
        ring=_ring(own or found.box),
        is_own_area=own is not None,
        odd=rates_on_sale.unusual_of(ex, found.rates.items()),
        url=ex.settings.public_url,
    )


def own_area(ex: Exchange, box: Box | None) -> Box | None:
    """The part of a dataset that whoever asks is after: in its newest saved area, else in the area of its permit."""
    by = current_actor() if current_person() is not None else None
    if by is None or by.org_id is None or box is None:
        return None
    wanted = [_box_of(one.region) for one in sorted(saved_areas.saved(ex, by), key=lambda one: -one.created_ns)]
    return next((part for one in [*wanted, permitted(ex, by)] if one and (part := _shared(one, box))), None)


def _box_of(region: Any) -> Box | None:
    import shapely

    shape = shapely.geometry.shape(region)
    return None if shape.is_empty else Box(*shape.bounds)


def _shared(one: Box, other: Box) -> Box | None:
    """What two boxes have in common."""
    west, south, east, north = max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
    return Box(west, south, east, north) if west < east and south < north else None


def _kinds(found: products.Product) -> list[str]:
    offered = {str(one.layer.kind) for one in found.layers if one.layer.cells}
    return [kind.value for kind in LayerKind if kind.value in offered]


def _sample(one: samples.SampleTile) -> dict[str, Any]:
    """What the map needs of a sample."""
    is_drawn = one.layer.content == Content.FEATURES
    return {
        "layer": one.layer.name,
        "kind": str(one.layer.kind),
        "box": grid.bounds(*grid.cell_from_quadkey(one.quadkey)),
        "features": f"/datasets/{one.dataset}/samples/{one.layer.name}/features" if is_drawn else "",
    }


def _ring(box: Box | None) -> str:
    """A box as the ring of a polygon in GeoJSON, for the examples; five digits, as their `--bbox` has."""
    if box is None:
        return ""
    west, south, east, north = (f"{side:.5f}" for side in box)
    corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return "[" + ", ".join(f"[{lon}, {lat}]" for lon, lat in corners) + "]"


def _outline(box: Box | None) -> str:
    """A box as the address of the map has an outline; empty when there is none."""
    if box is None:
        return ""
    west, south, east, north = box
    return ";".join(f"{lon:.6f},{lat:.6f}" for lon, lat in ((west, south), (east, south), (east, north), (west, north)))
