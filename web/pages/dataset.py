"""The page of a dataset on offer: for everybody, signed in or not; samples are for those who are."""

from __future__ import annotations

from flask import Blueprint, render_template

from mapex.offers import products
from tiles.batch import LayerKind
from web.edge import static_files
from web.edge.auth import exchange
from web.edge.policy import policy
from web.words.licences import licence_words

blueprint = Blueprint("pages_dataset", __name__)


@blueprint.get("/datasets/<org>/<slug>")
@policy("public")
def dataset(org: str, slug: str) -> str:
    """What it is, versions, where, how fresh and good, what it costs, under which licence."""
    found = products.get(exchange(), org, slug)
    offered = {str(good.layer.kind) for good in found.goods if good.layer.cells}
    kinds = [kind.value for kind in LayerKind if kind.value in offered]
    page = {
        "kinds": kinds,
        "bounds": found.box,
        "tiles": f"/map/coverage/{org}/{slug}/{{z}}/{{x}}/{{y}}.mvt",
        "hasVendor": static_files.has_vendor(),
    }
    return render_template("buy/dataset.html", product=found, kinds=kinds, page=page, licence=licence_words(found.licence))
