"""The page of a dataset on offer: for everybody, signed in or not; samples are for those who are."""

from __future__ import annotations

from flask import Blueprint, render_template

from mapex import products
from tiles.batch import LayerKind
from web import static_files, words
from web.auth import exchange
from web.policy import policy

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
    return render_template("buy/dataset.html", product=found, kinds=kinds, page=page, licence=words.licence_words(found.licence))
