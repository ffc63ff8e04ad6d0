"""Uploading: the API signs and counts, the bytes go straight to the store."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.intake import uploads
from mapex.intake.uploads import PartRequest, Upload
from web.edge.auth import current_actor, exchange
from web.edge.kinds import address, digest
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, Regexp, fields

blueprint = APIBlueprint("uploads", __name__, url_prefix="/api/v1", tag="Uploads")


class UploadIn(Body):
    """A file that is about to be sent."""

    name = fields.String(required=True, validate=Length(1, uploads.MAX_NAME))
    size = fields.Integer(required=True, strict=True, metadata={"description": "bytes"})
    sha256 = digest(metadata={"description": "of the whole file, hex; the worker compares it"})


class UploadOut(Answer):
    """An upload: send parts 1 to `parts`, each of `part_size` bytes but the last."""

    id = fields.String()
    name = fields.String()
    size = fields.Integer()
    part_size = fields.Integer()
    parts = fields.Integer()
    state = fields.String(metadata={"enum": ["open", "complete", "aborted", "removed"]})


class ReceivedOut(UploadOut):
    """An upload and the numbers of the parts that arrived."""

    received = fields.List(fields.Integer())


class PartIn(Body):
    """One part."""

    number = fields.Integer(required=True, strict=True)
    size = fields.Integer(required=True, strict=True)
    sha256 = fields.String(required=True, validate=Regexp(r"^[0-9a-f]{64}$"))


class PartsIn(Body):
    """The parts that are about to be sent."""

    parts = fields.List(fields.Nested(PartIn), required=True, validate=Length(1, uploads.PARTS_A_CALL))


class SignedOut(Answer):
    """The request that sends one part: method, address and headers exactly so."""

    number = fields.Integer()
    method = fields.String()
    url = address()
    headers = fields.Dict(keys=fields.String(), values=fields.String())


class SignedPartsOut(Answer):
    """One request a part."""

    parts = fields.List(fields.Nested(SignedOut))


@blueprint.post("/uploads")
@policy("sell")
@blueprint.input(UploadIn)
@blueprint.output(UploadOut, status_code=201)
@blueprint.doc(responses=[409])
def stage(json_data: dict[str, Any]) -> dict[str, Any]:
    """Begin an upload; the same name, size and sha256 again find the upload that was begun."""
    return _shown(uploads.stage(exchange(), current_actor(), json_data["name"], json_data["size"], json_data.get("sha256")))


@blueprint.get("/uploads/<upload_id>")
@policy("sell")
@blueprint.output(ReceivedOut)
def received(upload_id: str) -> dict[str, Any]:
    """An upload and what of it arrived."""
    ex, by = exchange(), current_actor()
    upload = uploads.get(ex, by, upload_id)
    return {**_shown(upload), "received": [part.number for part in uploads.received(ex, by, upload_id)]}


@blueprint.post("/uploads/<upload_id>/parts")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(PartsIn)
@blueprint.output(SignedPartsOut)
def sign_parts(upload_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Addresses to which the parts are sent; each works for these bytes only, for an hour."""
    wanted = [PartRequest(**part) for part in json_data["parts"]]
    signed = uploads.sign_parts(exchange(), current_actor(), upload_id, wanted)
    return {
        "parts": [
            {"number": part.number, "method": request.method, "url": request.url, "headers": dict(request.headers)}
            for part, request in zip(wanted, signed, strict=True)
        ]
    }


@blueprint.post("/uploads/<upload_id>/complete")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output(UploadOut)
def complete(upload_id: str) -> dict[str, Any]:
    """Join the parts; asked again, it answers the same."""
    return _shown(uploads.complete(exchange(), current_actor(), upload_id))


@blueprint.delete("/uploads/<upload_id>")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.output({}, status_code=204)
def abort(upload_id: str) -> str:
    """Forget an open upload."""
    uploads.abort(exchange(), current_actor(), upload_id)
    return ""


def _shown(upload: Upload) -> dict[str, Any]:
    return {name: getattr(upload, name) for name in ("id", "name", "size", "part_size", "parts", "state")}
