"""Previews over HTTP: what of a version may be looked at, and the bytes, by ranges."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from werkzeug.datastructures import ContentRange

from mapex.catalogue import previews
from mapex.errors import Invalid
from web.edge.auth import current_actor, exchange
from web.edge.kinds import CLASSES, address, content, word
from web.edge.policy import policy
from web.edge.schemas import NUMBERED, Answer, Length, Query, fields

blueprint = APIBlueprint("previews", __name__, url_prefix="/api/v1", tag="Previews")


MEDIA_TYPES = ("application/x-mapex-teaser", "application/x-mapex-cloud", "image/png", "image/jpeg", "video/mp4")


def _bytes(description: str) -> Any:
    return content(description, *MEDIA_TYPES, schema={"type": "string", "format": "binary"})


class VersionQuery(Query):
    """A version; without, the one on sale."""

    version = fields.Integer(validate=NUMBERED)


class KindQuery(Query):
    """A kind of layer."""

    kind = fields.String(required=True, validate=Length(1, 16))


class PreviewOut(Answer):
    """One preview; `url` is null when all of it is in `about`."""

    kind = fields.String(metadata={"enum": ["facts", "teaser", "cloud", "still", "strip", "clip"]})
    ordinal = fields.Integer()
    type = fields.String()
    bytes = fields.Integer()
    url = address(allow_none=True)
    about = fields.Dict()


class LayerPreviewsOut(Answer):
    """A layer; `hidden` is why there is nothing to look at: `original`, `not_made`, or empty."""

    name = fields.String()
    kind = fields.String()
    handling_class = word(CLASSES, data_key="class", allow_none=True)
    hidden = fields.String()
    tiles = fields.Integer()
    captured = fields.List(fields.String(), allow_none=True)
    previews = fields.List(fields.Nested(PreviewOut))


class PreviewsOut(Answer):
    """What of a version may be looked at."""

    org = fields.String()
    dataset = fields.String()
    version = fields.Integer()
    layers = fields.List(fields.Nested(LayerPreviewsOut))


class OnSaleOut(Answer):
    """A layer on sale."""

    org = fields.String()
    dataset = fields.String()
    title = fields.String()
    version = fields.Integer()
    layer = fields.String()


class OnSaleListOut(Answer):
    """Layers on sale of a kind."""

    layers = fields.List(fields.Nested(OnSaleOut))


@blueprint.get("/previews")
@policy("read")
@blueprint.input(KindQuery, location="query", unknown=None)
@blueprint.output(OnSaleListOut)
def on_sale(query_data: dict[str, Any]) -> dict[str, Any]:
    """The layers of a kind that are on sale and can be looked at."""
    return {"layers": previews.on_sale(exchange(), current_actor(), query_data["kind"])}


@blueprint.get("/datasets/<org>/<slug>/previews")
@policy("read")
@blueprint.doc(responses=[409])
@blueprint.input(VersionQuery, location="query", unknown=None)
@blueprint.output(PreviewsOut)
def of_version(org: str, slug: str, query_data: dict[str, Any]) -> dict[str, Any]:
    """What of a version may be looked at, by layer."""
    version, layers = previews.of_version(exchange(), current_actor(), f"{org}/{slug}", query_data.get("version"))
    base = f"/api/v1/datasets/{org}/{slug}/versions/{version.number}/previews"
    return {
        "org": version.org,
        "dataset": version.dataset,
        "version": version.number,
        "layers": [
            {
                "name": one.layer.name,
                "kind": str(one.layer.kind),
                "handling_class": one.layer.handling_class,
                "hidden": one.hidden,
                "tiles": one.layer.cells,
                "captured": one.layer.facts.captured or None,
                "previews": [_shown(base, one.layer.name, preview) for preview in one.previews],
            }
            for one in layers
        ],
    }


@blueprint.get("/datasets/<org>/<slug>/versions/<int:number>/previews/<layer>/<kind>/<int:ordinal>")
@policy("read")
@blueprint.doc(responses={200: _bytes("the bytes"), 206: _bytes("a range of them"), 409: ""})
def bytes_of(org: str, slug: str, number: int, layer: str, kind: str, ordinal: int) -> Response:
    """One preview, whole or by a byte range. Whether it may be shown is asked again each time."""
    ex = exchange()
    opened = previews.open_one(ex, current_actor(), f"{org}/{slug}", number, layer, kind, ordinal)
    size = opened.preview.size
    start, stop, status = 0, size, 200
    if request.range is not None:
        asked = request.range.range_for_length(size)
        if asked is None:
            raise Invalid("preview.range", f"The preview has {size} bytes; ask for a range within.", bytes=size)
        (start, stop), status = asked, 206
    answer = Response(opened.read(ex.store, start, stop - start), status, mimetype=opened.preview.media_type, direct_passthrough=True)
    answer.content_length = stop - start
    answer.accept_ranges = "bytes"
    if status == 206:
        answer.content_range = ContentRange("bytes", start, stop, size)
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.set_etag(opened.preview.sha256)
    return answer


def _shown(base: str, layer: str, preview: previews.Preview) -> dict[str, Any]:
    return {
        "kind": preview.kind,
        "ordinal": preview.ordinal,
        "type": preview.media_type,
        "bytes": preview.size,
        "url": f"{base}/{layer}/{preview.kind}/{preview.ordinal}" if preview.size else None,
        "about": dict(preview.about),
    }
