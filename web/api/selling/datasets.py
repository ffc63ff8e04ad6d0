"""Datasets: make, look."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.catalogue import datasets as catalogue
from mapex.catalogue.versions import Dataset
from mapex.showroom import search
from mapex.showroom.search import LONGEST_QUESTION
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import content, moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, Query, fields

blueprint = APIBlueprint("datasets", __name__, url_prefix="/api/v1", tag="Datasets")


class OrgQuery(Query):
    """Whose dataset, when several organisations have one of that name; the own one comes first."""

    org = fields.String(load_default="", validate=Length(0, 63))


class DatasetsQuery(Query):
    """Words: then only what is on sale and fits them, the best first; `/catalogue` has filters too."""

    q = fields.String(load_default="", validate=Length(0, LONGEST_QUESTION))


class DatasetIn(Body):
    """A dataset to be made."""

    slug = fields.String(required=True)
    title = fields.String(load_default="", validate=Length(0, 200))
    description = fields.String(load_default="", validate=Length(0, 10_000))


class DatasetOut(Answer):
    """A dataset; `published` is the version on sale, `newest` the newest that you may see."""

    slug = fields.String()
    org = fields.String()
    title = fields.String()
    description = fields.String()
    created_at = moment()
    newest = fields.Integer(allow_none=True)
    published = fields.Integer(allow_none=True)


class DatasetsOut(Answer):
    """Own datasets first."""

    datasets = fields.List(fields.Nested(DatasetOut))


@blueprint.post("/datasets")
@policy("sell")
@blueprint.input(DatasetIn)
@blueprint.output(DatasetOut, status_code=201)
@blueprint.doc(responses={200: content("it was there already", "application/json", schema={"$ref": "#/components/schemas/DatasetOut"})})
def create(json_data: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Make a dataset of the own organisation; one that exists is answered as it is (200)."""
    made, is_new = catalogue.create_dataset(exchange(), current_actor(), json_data["slug"], json_data["title"], json_data["description"])
    return _dataset(made), 201 if is_new else 200


@blueprint.get("/datasets")
@policy("read")
@blueprint.input(DatasetsQuery, location="query", unknown=None)
@blueprint.output(DatasetsOut)
def datasets(query_data: dict[str, Any]) -> dict[str, Any]:
    """The datasets that you may see; with `q`, those on sale that the words mean."""
    ex = exchange()
    seen = catalogue.datasets(ex, current_actor())
    if query_data["q"].strip():
        by_ref = {f"{one.org}/{one.slug}": one for one in seen}
        seen = [by_ref[ref] for ref in search.refs(ex, query_data["q"]) if ref in by_ref]
    return {"datasets": [_dataset(dataset) for dataset in seen]}


@blueprint.get("/datasets/<slug>")
@policy("read")
@blueprint.doc(responses=[409])
@blueprint.input(OrgQuery, location="query", unknown=None)
@blueprint.output(DatasetOut)
def dataset(slug: str, query_data: dict[str, Any]) -> dict[str, Any]:
    """One dataset."""
    return _dataset(catalogue.get_dataset(exchange(), current_actor(), ref_of(slug, query_data)))


def ref_of(slug: str, query: dict[str, Any]) -> str:
    """`org/slug` or `slug`, as a query with the fields of `OrgQuery` names it."""
    return f"{query['org']}/{slug}" if query["org"] else slug


def _dataset(found: Dataset) -> dict[str, Any]:
    names = ("slug", "org", "title", "description", "newest", "published")
    return {**{name: getattr(found, name) for name in names}, "created_at": iso_from_ns(found.created_ns)}
