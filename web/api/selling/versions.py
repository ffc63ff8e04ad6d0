"""Versions of a dataset: start, place, go on without files, classify, remove, look. (Publishing is trade: `web.api.selling.offers`.)"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint

from mapex.catalogue import datasets as catalogue
from mapex.catalogue import differences, drafts, removals, requests
from mapex.catalogue.comparisons import LayerChanges
from mapex.catalogue.datasets import Description
from mapex.catalogue.finding import Finding, Severity
from mapex.catalogue.versions import Layer, Version
from mapex.intake.placement import COLUMNS, Placement
from mapex.times import iso_from_ns
from tiles.grid import grid
from web.api.selling.datasets import OrgQuery, ref_of
from web.edge.auth import current_actor, exchange
from web.edge.kinds import CLASSES, LAYER_KINDS, VERSION_STATES, content, digest, moment, quadkey, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, fields

blueprint = APIBlueprint("versions", __name__, url_prefix="/api/v1", tag="Datasets")


class CoverageQuery(OrgQuery):
    """One layer only."""

    layer = fields.String(validate=Length(1, 64))


class PlacementIn(Body):
    """Where the data is, when the files do not state it."""

    crs = fields.String(metadata={"example": "EPSG:5186"})
    origin = fields.List(fields.Float(), validate=Length(2, 3), metadata={"description": "lon, lat in degrees, height in metres"})
    height_datum = fields.String()
    columns = fields.Dict(
        keys=fields.String(validate=Length(1, 8)),
        values=fields.String(validate=Length(1, 400)),
        validate=Length(1, len(COLUMNS)),
        metadata={
            "description": f"of tables as text (CSV): which column is what ({', '.join(COLUMNS)}); several: a|b",
            "example": {"lon": "경도", "lat": "위도"},
        },
    )


class VersionIn(PlacementIn):
    """A version to be made of complete uploads."""

    uploads = fields.List(fields.String(), required=True, validate=Length(1, requests.MAX_UPLOADS))
    handling_class = word(CLASSES, data_key="class", metadata={"description": "of every layer that `classes` does not name"})
    classes = fields.Dict(keys=fields.String(), values=fields.String(), metadata={"description": "handling class by layer name"})


class ClassesIn(Body):
    """Handling classes by layer name; `*` = all others."""

    classes = fields.Dict(keys=fields.String(), values=fields.String(), required=True, validate=Length(1, 100))


class LeaveOutIn(Body):
    """Files that are not to be read again."""

    files = fields.List(
        fields.String(validate=Length(1, 1000)),
        required=True,
        validate=Length(1, requests.MAX_UPLOADS),
        metadata={"description": "their names as they were sent; the other parts of a shapefile go with each of them"},
    )


class GeoJsonOut(Answer):
    """A FeatureCollection: one square a cell, with its quadkey (`tile`) and its layers."""

    type = word(["FeatureCollection"])
    features = fields.List(fields.Dict())


CANONICAL = "canonical JSON; its sha256 is the version's manifest_sha256"


class StartedOut(Answer):
    """A version on its way."""

    dataset = fields.String()
    version = fields.Integer()
    state = word(VERSION_STATES)
    job = fields.String()


class ReducedOut(StartedOut):
    """A version on its way without some of its files; `files` are the names of those that are read."""

    left_out = fields.List(fields.String())
    files = fields.List(fields.String())


class VersionLineOut(Answer):
    """A version in a list."""

    dataset = fields.String()
    org = fields.String()
    version = fields.Integer()
    state = word(VERSION_STATES)
    created_at = moment()
    published_at = moment(allow_none=True)
    manifest_sha256 = digest(allow_none=True)


class VersionsOut(Answer):
    """Newest first."""

    versions = fields.List(fields.Nested(VersionLineOut))


class LayerOut(Answer):
    """A layer: `tiles` cells; `counts` of records read = placed + unplaced + rejected; `quantities` in small units (mm, ms, bytes)."""

    name = fields.String()
    kind = word(LAYER_KINDS)
    content = fields.String()
    handling_class = word(CLASSES, data_key="class", allow_none=True)
    tiles = fields.Integer()
    counts = fields.Dict()
    crs = fields.String(allow_none=True)
    crs_source = fields.String()
    height_datum = fields.String()
    height_source = fields.String()
    note = fields.String()
    box = fields.List(fields.Float(), allow_none=True)
    own = fields.List(fields.Float(), metadata={"description": "box in the files' own numbers, while their place is not known"})
    captured = fields.List(fields.String(), allow_none=True)
    footage = fields.Boolean()
    quantities = fields.Dict()


class FindingOut(Answer):
    """One thing found in a source."""

    severity = fields.String(metadata={"enum": list(Severity)})
    code = fields.String()
    file = fields.String()
    layer = fields.String()
    feature = fields.String()
    value = fields.String()
    message = fields.String()
    fix = fields.String()
    lon = fields.Float(allow_none=True)
    lat = fields.Float(allow_none=True)
    count = fields.Integer()


class TwinOut(Answer):
    """A version of the same organisation with the same content."""

    dataset = fields.String()
    version = fields.Integer()
    state = word(VERSION_STATES)


class VersionOut(VersionLineOut):
    """A version with what is in it; findings, job and names of files (in the order of the manifest's sources) are for the owner."""

    layers = fields.List(fields.Nested(LayerOut))
    findings = fields.List(fields.Nested(FindingOut))
    job = fields.String(allow_none=True)
    files = fields.List(fields.String())
    at_fault = fields.List(fields.String(), metadata={"description": "files without which it can go on; see `leave-out`"})
    left_out = fields.List(fields.String(), metadata={"description": "files that were sent with it and left out"})
    same_as = fields.List(fields.Nested(TwinOut), metadata={"description": "what else the owner has with the same content"})


class FeatureChangesOut(Answer):
    """Features (points, frames) of a layer that changed; `moved` by more than the accuracy. Examples (ids) are for the owner."""

    accuracy_m = fields.Float()
    added = fields.Integer()
    removed = fields.Integer()
    moved = fields.Integer()
    altered = fields.Integer(metadata={"description": "with other attributes"})
    unchanged = fields.Integer()
    attributes = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"description": "features by name of what differs"})
    examples = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))
    outdated = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "tiles that are a change, by accuracy in metres"}
    )


class LayerChangesOut(Answer):
    """Quadkeys of a layer that differ from the version published before, and how many tiles do not.

    `within`: tiles that differ by less than the stated accuracy; `features`: null where it was not compared feature by feature.
    """

    kind = word(LAYER_KINDS)
    added = fields.List(quadkey())
    changed = fields.List(quadkey())
    removed = fields.List(quadkey())
    within = fields.List(quadkey())
    unchanged = fields.Integer()
    features = fields.Nested(FeatureChangesOut, allow_none=True)


class ChangesOut(Answer):
    """What a version changes against `parent`, the one published before it; without parent, all is added."""

    dataset = fields.String()
    version = fields.Integer()
    parent = fields.Integer(allow_none=True)
    layers = fields.Dict(keys=fields.String(), values=fields.Nested(LayerChangesOut))


@blueprint.post("/datasets/<slug>/versions")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(VersionIn)
@blueprint.output(StartedOut, status_code=202)
def start(slug: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Start a version from complete uploads; a job reads, places, checks and tiles them."""
    classes = dict(json_data.get("classes", {}))
    if "handling_class" in json_data:
        classes[drafts.ALL_LAYERS] = json_data["handling_class"]
    version, job = requests.start_version(
        exchange(), current_actor(), slug, json_data["uploads"], classes=classes, placement=Placement.from_json(json_data)
    )
    return _started(version.dataset, version.number, version.state, job.id)


@blueprint.get("/datasets/<slug>/versions")
@policy("read")
@blueprint.doc(responses=[409])
@blueprint.input(OrgQuery, location="query", unknown=None)
@blueprint.output(VersionsOut)
def versions(slug: str, query_data: dict[str, Any]) -> dict[str, Any]:
    """The versions of a dataset that you may see."""
    return {"versions": [_line(version) for version in catalogue.versions(exchange(), current_actor(), ref_of(slug, query_data))]}


@blueprint.get("/datasets/<slug>/versions/<int:number>")
@policy("read")
@blueprint.doc(responses=[409])
@blueprint.input(OrgQuery, location="query", unknown=None)
@blueprint.output(VersionOut)
def version(slug: str, number: int, query_data: dict[str, Any]) -> dict[str, Any]:
    """A version: layers, findings, state."""
    return described(catalogue.describe(exchange(), current_actor(), ref_of(slug, query_data), number))


@blueprint.post("/datasets/<slug>/versions/<int:number>/placement")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(PlacementIn)
@blueprint.output(StartedOut, status_code=202)
def place(slug: str, number: int, json_data: dict[str, Any]) -> dict[str, Any]:
    """Give an unplaced version its place; it is read again."""
    job = requests.answer_placement(exchange(), current_actor(), slug, number, Placement.from_json(json_data))
    return _started(slug, number, "ingesting", job.id)


@blueprint.post("/datasets/<slug>/versions/<int:number>/leave-out")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(LeaveOutIn)
@blueprint.output(ReducedOut, status_code=202)
def leave_out(slug: str, number: int, json_data: dict[str, Any]) -> dict[str, Any]:
    """Go on without some files of a version that cannot be sold with them; what is left is read again, and nothing is sent again."""
    ex, by = exchange(), current_actor()
    job, out = requests.leave_out(ex, by, slug, number, json_data["files"])
    files = catalogue.describe(ex, by, f"{by.org_slug}/{slug}", number).files
    return {**_started(slug, number, "ingesting", job.id), "left_out": list(out), "files": list(files)}


@blueprint.delete("/datasets/<slug>/versions/<int:number>")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output({}, status_code=204)
def remove(slug: str, number: int) -> str:
    """Remove a version that was never on sale, and its dataset when it has no other; the log keeps its entries."""
    removals.remove(exchange(), current_actor(), slug, number)
    return ""


@blueprint.post("/datasets/<slug>/versions/<int:number>/classes")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(ClassesIn)
@blueprint.output(VersionOut)
def classify(slug: str, number: int, json_data: dict[str, Any]) -> dict[str, Any]:
    """Give layers of a draft a handling class; footage stays `original`."""
    ex, by = exchange(), current_actor()
    drafts.classify(ex, by, slug, number, json_data["classes"])
    return described(catalogue.describe(ex, by, f"{by.org_slug}/{slug}", number))


@blueprint.get("/datasets/<slug>/versions/<int:number>/changes")
@policy("read")
@blueprint.doc(responses=[409])
@blueprint.input(OrgQuery, location="query", unknown=None)
@blueprint.output(ChangesOut)
def changes(slug: str, number: int, query_data: dict[str, Any]) -> dict[str, Any]:
    """Cells added, changed and removed against the version that was published before, by layer."""
    by = current_actor()
    found = differences.of(exchange(), by, ref_of(slug, query_data), number)
    layers = {
        name: {
            "kind": one.kind,
            **{what: [grid.quadkey(cell) for cell in getattr(one, what)] for what in ("added", "changed", "removed", "within")},
            "unchanged": one.unchanged,
            "features": _features(found.features[name], is_owner=found.version.org == by.org_slug) if name in found.features else None,
        }
        for name, one in found.layers.items()
    }
    return {"dataset": slug, "version": number, "parent": found.against, "layers": layers}


@blueprint.get("/datasets/<slug>/versions/<int:number>/coverage")
@policy("read")
@blueprint.input(CoverageQuery, location="query", unknown=None)
@blueprint.output(GeoJsonOut)
@blueprint.doc(responses=[409])
def coverage(slug: str, number: int, query_data: dict[str, Any]) -> dict[str, Any]:
    """The cells of a version as GeoJSON."""
    found = catalogue.coverage(exchange(), current_actor(), ref_of(slug, query_data), number, layer=query_data.get("layer"))
    names: dict[int, list[str]] = {}
    for name, cells in found.items():
        for cell in cells:
            names.setdefault(cell, []).append(name)
    return {"type": "FeatureCollection", "features": [_square(cell, names[cell]) for cell in sorted(names)]}


@blueprint.get("/datasets/<slug>/versions/<int:number>/manifest")
@policy("read")
@blueprint.input(OrgQuery, location="query", unknown=None)
@blueprint.doc(responses={200: content(CANONICAL, "application/json", schema={"type": "object"}), 409: ""})
def manifest(slug: str, number: int, query_data: dict[str, Any]) -> tuple[str, int, dict[str, str]]:
    """What the version was made of, byte for byte as it was hashed."""
    text = catalogue.manifest(exchange(), current_actor(), ref_of(slug, query_data), number)
    return text, 200, {"Content-Type": "application/json"}


def _features(one: LayerChanges, *, is_owner: bool) -> dict[str, Any]:
    counts = one.comparison.counts
    return {
        "accuracy_m": one.accuracy_mm / 1000,
        **{name: getattr(counts, name) for name in ("added", "removed", "altered")},
        "moved": one.moved,
        "unchanged": one.unchanged,
        "attributes": dict(one.comparison.attributes),
        "examples": dict(one.comparison.examples) if is_owner else {},
        "outdated": {f"{limit / 1000:g}": count for limit, count in one.cells.items()},
    }


def described(found: Description) -> dict[str, Any]:
    """A version with its layers and findings as JSON."""
    return {
        **_line(found.version),
        "layers": [_layer(layer) for layer in found.layers],
        "findings": [_finding(finding) for finding in found.findings],
        "job": found.job.id if found.job else None,
        "files": list(found.files),
        "at_fault": list(found.at_fault),
        "left_out": list(found.version.left_out) if found.job else [],
        "same_as": [{"dataset": one.dataset, "version": one.number, "state": one.state} for one in found.same_as],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    record = finding.as_json()
    del record["rejected"]  # known while a file is read; the database keeps the sums of a layer only
    return record


def _line(found: Version) -> dict[str, Any]:
    return {
        "dataset": found.dataset,
        "org": found.org,
        "version": found.number,
        "state": found.state,
        "created_at": iso_from_ns(found.created_ns),
        "published_at": iso_from_ns(found.published_ns) if found.published_ns else None,
        "manifest_sha256": found.manifest_sha256,
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": str(layer.kind),
        "content": str(layer.content),
        "handling_class": layer.handling_class,
        "tiles": layer.cells,
        **layer.facts.as_json(),
        "quantities": asdict(layer.quantities),
    }


def _started(slug: str, number: int, state: str, job_id: str) -> dict[str, Any]:
    return {"dataset": slug, "version": number, "state": state, "job": job_id}


def _square(cell: int, layers: list[str]) -> dict[str, Any]:
    west, south, east, north = grid.bounds(cell)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": {"tile": grid.quadkey(cell), "layers": layers}}
