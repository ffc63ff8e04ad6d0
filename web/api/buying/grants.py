"""Grants: signed addresses of bought tiles."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from mapex.rights import grants as granting
from mapex.times import iso_from_ns
from web.edge.auth import bearer, current_actor, exchange
from web.edge.kinds import address, digest, moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, fields

blueprint = APIBlueprint("grants", __name__, url_prefix="/api/v1", tag="Orders")


class GrantsIn(Body):
    """Tiles of one order, by the ids that its list of tiles gives."""

    order = fields.String(required=True, validate=Length(1, 40))
    tiles = fields.List(fields.String(validate=Length(1, 40)), required=True, validate=Length(1, granting.MAX_TILES))
    purpose = fields.String(
        validate=Length(1, 32), metadata={"description": "what for, if narrower than the purpose of the order; none: that of the order"}
    )
    holder = fields.String(
        validate=Length(granting.MIN_NONCE, 128),
        metadata={"description": "for sessions: the random x-mapex-holder that the browser will send with original footage"},
    )


class GrantOut(Answer):
    """Permission to read one tile until `expires_at`.

    With `holder_required` the header `x-mapex-holder` must be sent: HMAC-SHA256(secret of the token, "mapex-holder" + id), hex.
    """

    id = fields.String()
    tile_id = fields.String()
    method = fields.String()
    url = address()
    headers = fields.Dict(keys=fields.String(), values=fields.String())
    sha256 = digest()
    size = fields.Integer()
    expires_at = moment()
    holder_required = fields.Boolean()


class GrantsOut(Answer):
    """One grant for each tile, in the order asked for."""

    grants = fields.List(fields.Nested(GrantOut))


@blueprint.post("/grants")
@policy("buy")
@blueprint.doc(responses=[404, 409])
@blueprint.input(GrantsIn)
@blueprint.output(GrantsOut, status_code=201)
def grant(json_data: dict[str, Any]) -> Response:
    """Permission to read up to 1,000 tiles of an order: all of them or none; each is written to the audit log first."""
    granted = granting.grant(
        exchange(),
        current_actor(),
        json_data["order"],
        json_data["tiles"],
        purpose=json_data.get("purpose"),
        holder_token=bearer(),
        holder_nonce=json_data.get("holder"),
    )
    answer = jsonify(grants=[_grant(one) for one in granted])
    answer.status_code = 201
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _grant(one: granting.Grant) -> dict[str, Any]:
    return {
        "id": one.id,
        "tile_id": one.tile.id,
        "method": one.request.method,
        "url": one.request.url,
        "headers": dict(one.request.headers),
        "sha256": one.tile.sha256,
        "size": one.tile.size,
        "expires_at": iso_from_ns(one.expires_ns),
        "holder_required": one.holder_required,
    }
