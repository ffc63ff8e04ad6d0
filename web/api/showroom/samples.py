"""Sample tiles: what is free to look at, its files, and the features of vector samples to be drawn."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from mapex.showroom import samples
from tiles.formats import FORMATS
from web.edge.auth import current_actor, exchange
from web.edge.kinds import CLASSES, LAYER_KINDS, address, content, digest, quadkey, word
from web.edge.policy import policy
from web.edge.schemas import Answer, fields

MEDIA_TYPES = tuple(one.media_type for one in FORMATS)
"""Of tiles."""

blueprint = APIBlueprint("samples", __name__, url_prefix="/api/v1", tag="Previews")


class SampleFileOut(Answer):
    """A file of a sample tile."""

    part = fields.Integer()
    name = fields.String()
    url = address()
    sha256 = digest()
    size = fields.Integer()
    type = fields.String()


class SampleOut(Answer):
    """The free tile of a layer."""

    layer = fields.String()
    kind = word(LAYER_KINDS)
    handling_class = word(CLASSES, data_key="class")
    version = fields.Integer()
    tile = quadkey()
    files = fields.List(fields.Nested(SampleFileOut))


class SamplesOut(Answer):
    """The samples of a dataset on sale; none when its seller gives none."""

    samples = fields.List(fields.Nested(SampleOut))


@blueprint.get("/datasets/<org>/<slug>/samples")
@policy("read")
@blueprint.output(SamplesOut)
def of(org: str, slug: str) -> dict[str, Any]:
    """The free sample tiles of a dataset on sale: one of each layer that needs no permit."""
    return {"samples": [_sample(one) for one in samples.of(exchange(), f"{org}/{slug}")]}


@blueprint.get("/datasets/<org>/<slug>/samples/<layer>/<int:part>")
@policy("read")
@blueprint.doc(responses={200: content("the file", *MEDIA_TYPES, schema={"type": "string", "format": "binary"})})
def take(org: str, slug: str, layer: str, part: int) -> Response:
    """A file of a sample; each is written to the audit log first, and 60 an hour are free."""
    ex = exchange()
    file, body = samples.take(ex, current_actor(), f"{org}/{slug}", layer, part)
    answer = Response(body, mimetype=file.media_type, direct_passthrough=True)
    answer.content_length = file.size
    answer.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/datasets/<org>/<slug>/samples/<layer>/features")
@policy("read")
@blueprint.doc(responses={200: content("GeoJSON", "application/geo+json", schema={"type": "object"})})
def features(org: str, slug: str, layer: str) -> Response:
    """The features of the sample of a vector layer as GeoJSON, at most 3,000: `id`, `kind`, and `properties` as JSON text."""
    answer = jsonify(samples.features(exchange(), current_actor(), f"{org}/{slug}", layer))
    answer.mimetype = "application/geo+json"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _sample(one: samples.SampleTile) -> dict[str, Any]:
    base = f"/api/v1/datasets/{one.dataset}/samples/{one.layer.name}"
    return {
        "layer": one.layer.name,
        "kind": str(one.layer.kind),
        "handling_class": str(one.layer.handling_class),
        "version": one.version,
        "tile": one.quadkey,
        "files": [
            {"part": f.part, "name": f.name, "url": f"{base}/{f.part}", "sha256": f.sha256, "size": f.size, "type": f.media_type}
            for f in one.files
        ],
    }
