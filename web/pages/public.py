"""Pages that everybody may open: the start, the map, a dataset on offer, documentation."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request

from mapex.atlas import regions
from mapex.exchange import Actor, Exchange
from mapex.offers import products
from mapex.prices import rates_on_sale
from mapex.pyramid import coverage
from mapex.rights import permits
from mapex.rules.licences import LICENCES
from tiles.batch import LayerKind
from tiles.box import Box
from web.edge import static_files
from web.edge.auth import current_actor, current_person, exchange
from web.edge.policy import policy
from web.words import places
from web.words.licences import licence_words

blueprint = Blueprint("pages", __name__)

MOST_REGIONS = 100
"""Regions of the list on the map page, the largest."""
FIRST_REGIONS = 3
"""Those of them that the first page names."""


@blueprint.get("/")
@policy("public")
def start() -> Response | str:
    """What this is, for those who are not signed in; the map for those who are."""
    if current_person() is not None:
        return redirect("/explore")  # type: ignore[return-value]
    ex = exchange()
    page = {
        "bounds": regions.home(ex),
        "regions": [{"name": places.area(one.named), "squares": one.squares} for one in regions.regions(ex)[:FIRST_REGIONS]],
        "kinds": coverage.kinds(ex),
        "hasVendor": static_files.has_vendor(),
    }
    return render_template("public/start.html", page=page)


@blueprint.get("/explore")
@policy("public")
def explore() -> str:
    """The map: what is on offer, an area drawn on it, its price."""
    ex = exchange()
    offered = coverage.kinds(ex)
    kinds = [kind.value for kind in LayerKind if kind.value in offered]
    page = {
        "bounds": products.box_of(ex, request.args.get("dataset", "")) or permitted(ex, _reader()) or regions.home(ex),
        "named": bool(request.args.get("dataset")),
        "regions": [{"name": places.area(one.named), "squares": one.squares, "box": one.box} for one in regions.regions(ex)[:MOST_REGIONS]],
        "example": regions.example(ex),
        "kinds": kinds,
        "hasVendor": static_files.has_vendor(),
    }
    return render_template("buy/explore.html", kinds=kinds, page=page)


def _reader() -> Actor | None:
    return current_actor() if current_person() is not None else None


def permitted(ex: Exchange, by: Actor | None) -> Box | None:
    """The area of the newest permit that names the organisation of `by` and is valid now."""
    if by is None or by.org_id is None:
        return None
    valid = [one for one in permits.all_permits(ex, by) if one.state == "active" and one.valid_from_ns <= ex.now() < one.valid_to_ns]
    return max(valid, key=lambda one: one.valid_from_ns).box if valid else None


@blueprint.get("/datasets/<org>/<slug>")
@policy("public")
def dataset(org: str, slug: str) -> str:
    """What it is, versions, where, how fresh and good, what it costs, under which licence."""
    found = products.get(exchange(), org, slug)
    offered = {str(one.layer.kind) for one in found.layers if one.layer.cells}
    kinds = [kind.value for kind in LayerKind if kind.value in offered]
    page = {
        "kinds": kinds,
        "bounds": found.box,
        "tiles": f"/map/coverage/{org}/{slug}/{{z}}/{{x}}/{{y}}.mvt",
        "hasVendor": static_files.has_vendor(),
    }
    return render_template(
        "buy/dataset.html",
        product=found,
        kinds=kinds,
        page=page,
        licence=licence_words(found.licence),
        outline=_outline(found),
        odd=rates_on_sale.unusual_of(exchange(), found.rates.items()),
    )


def _outline(product: products.Product) -> str:
    """The box of a dataset, as the address of the map has an outline; empty when it has none."""
    if product.box is None:
        return ""
    west, south, east, north = product.box
    return ";".join(f"{lon:.6f},{lat:.6f}" for lon, lat in ((west, south), (east, south), (east, north), (west, north)))


@blueprint.get("/docs")
@policy("public")
def docs() -> str:
    """The API, shown from openapi.json."""
    return render_template("account/docs.html")


@blueprint.get("/about/licences")
@policy("public")
def licences() -> str:
    """Licences of data and of the software in the pages."""
    return render_template("public/licences.html", licences=[licence_words(code) for code in LICENCES], software=static_files.licences())


@blueprint.get("/about/shortcuts")
@policy("public")
def shortcuts() -> str:
    """The keys of the map and of the cloud viewer."""
    return render_template("account/shortcuts.html")
