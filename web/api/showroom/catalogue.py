"""The catalogue: what is on sale, found by words and filters; attributes of a dataset; a seller."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint

from mapex.offers import products
from mapex.showroom import attributes, search, sellers
from mapex.showroom.listings import OnSale
from mapex.showroom.search import LONGEST_QUESTION, SORTS, CatalogueQuery
from mapex.times import iso_from_ns
from web.edge.auth import exchange
from web.edge.kinds import CLASSES, LAYER_KINDS, LICENCE_CODES, moment, update_policy, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Length, Query, Range, fields

blueprint = APIBlueprint("catalogue", __name__, url_prefix="/api/v1", tag="Market")


class CatalogueIn(Query):
    """What is looked for: words (`q`) and filters; of everything on sale what fits all of them."""

    q = fields.String(load_default="", validate=Length(0, LONGEST_QUESTION))
    kind = fields.String(load_default="", validate=Length(0, 16))
    handling_class = fields.String(load_default="", data_key="class", validate=Length(0, 16))
    licence = fields.String(load_default="", validate=Length(0, 32))
    purpose = fields.String(load_default="", validate=Length(0, 32), metadata={"description": "that the licence allows"})
    place = fields.String(load_default="", validate=Length(0, LONGEST_QUESTION), metadata={"description": "name of a place"})
    unit = fields.String(load_default="", validate=Length(0, 32), metadata={"description": "that the rate card charges"})
    seller = fields.String(load_default="", validate=Length(0, 63))
    fresh = fields.Integer(load_default=0, validate=Range(0, 36500), metadata={"description": "days since it was seen, at most; 0 = any"})
    sort = fields.String(load_default="", validate=Length(0, 16), metadata={"description": ", ".join(SORTS)})
    page = fields.Integer(load_default=1, validate=Range(1, 100_000))


class CatalogueLayerOut(Answer):
    """A layer on sale."""

    name = fields.String()
    kind = word(LAYER_KINDS)
    handling_class = word(CLASSES, data_key="class")
    tiles = fields.Integer()
    age = fields.Integer(metadata={"description": "days since it was seen"})
    quality = fields.Integer(allow_none=True)


class OnSaleDatasetOut(Answer):
    """A dataset on sale, with what the catalogue shows of it."""

    slug = fields.String()
    org = fields.String()
    seller = fields.String(metadata={"description": "name of the organisation"})
    title = fields.String()
    description = fields.String()
    version = fields.Integer()
    versions = fields.Integer(metadata={"description": "how many were published"})
    published_at = moment()
    licence = word(LICENCE_CODES)
    attribution = fields.String()
    updates = update_policy()
    rates = fields.Dict(keys=fields.String(), values=fields.Integer())
    places = fields.List(fields.String())
    layers = fields.List(fields.Nested(CatalogueLayerOut))


class CatalogueOut(Answer):
    """One page of what was found. `counts` says of each filter how many there are with each value, the other filters kept."""

    datasets = fields.List(fields.Nested(OnSaleDatasetOut))
    total = fields.Integer()
    pages = fields.Integer()
    counts = fields.Dict()


class AttributeOut(Answer):
    """An attribute. `how`: `values` are all that there are, `some` of them, the `range` (least, most), or none is shown (empty)."""

    name = fields.String()
    type = fields.String()
    count = fields.Integer()
    how = fields.String()
    values = fields.List(fields.Raw())


class LayerAttributesOut(Answer):
    """The attributes of a layer, of `of` features or points that were looked at; not `known`: it was converted before there were any."""

    layer = fields.String()
    of = fields.Integer()
    known = fields.Boolean()
    kinds = fields.Dict(keys=fields.String(), values=fields.Integer())
    attributes = fields.List(fields.Nested(AttributeOut))


class AttributesOut(Answer):
    """The attributes of a dataset on sale, by layer."""

    layers = fields.List(fields.Nested(LayerAttributesOut))


class SellerOut(Answer):
    """A seller with something on sale."""

    org = fields.String()
    name = fields.String()
    ko = fields.String()
    en = fields.String()
    since = moment()
    versions = fields.Integer()
    datasets = fields.List(fields.Nested(OnSaleDatasetOut))


@blueprint.get("/catalogue")
@policy("read")
@blueprint.input(CatalogueIn, location="query", unknown=None)
@blueprint.output(CatalogueOut)
def catalogue(query_data: dict[str, Any]) -> dict[str, Any]:
    """What is on sale, by words and filters, 20 a page. Words are compared letter by letter; first consonants find, too."""
    return found(query_data)


@blueprint.get("/datasets/<org>/<slug>/attributes")
@policy("read")
@blueprint.output(AttributesOut)
def attributes_of(org: str, slug: str) -> dict[str, Any]:
    """What the features of a dataset on sale carry: attributes with type, how many have them, some values."""
    product = products.get(exchange(), org, slug)
    tables = attributes.of_product(exchange(), product)
    return {
        "layers": [
            {
                "layer": name,
                "of": table.of,
                "known": table.is_known,
                "kinds": dict(table.kinds),
                "attributes": [asdict(row) for row in table.rows],
            }
            for name, table in tables.items()
        ]
    }


@blueprint.get("/sellers/<org>")
@policy("read")
@blueprint.output(SellerOut)
def seller(org: str) -> dict[str, Any]:
    """A seller: what it says about itself, since when and what it sells."""
    one = sellers.get(exchange(), org)
    described = {"ko": one.described.ko, "en": one.described.en, "versions": one.versions, "since": iso_from_ns(one.since_ns)}
    return {"org": one.org, "name": one.name, **described, "datasets": [listed(each) for each in one.datasets]}


def found(asked: dict[str, Any]) -> dict[str, Any]:
    """A page of the catalogue as the API has it."""
    page = search.find(exchange(), CatalogueQuery(**asked))
    return {"datasets": [listed(one) for one in page.found], "total": page.total, "pages": page.pages, "counts": page.counts}


def listed(one: OnSale) -> dict[str, Any]:
    """A dataset on sale as the API has it."""
    same = ("slug", "org", "title", "version", "versions", "licence", "attribution", "updates")
    return {
        **{name: getattr(one, name) for name in same},
        "seller": one.org_name,
        "description": one.described.ko or one.described.en or one.description,
        "published_at": iso_from_ns(one.published_ns),
        "rates": dict(one.rates),
        "places": list(one.places),
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "handling_class": layer.handling_class,
                "tiles": layer.tiles,
                "age": layer.age,
                "quality": None if layer.quality < 0 else layer.quality,
            }
            for layer in one.layers
        ],
    }
