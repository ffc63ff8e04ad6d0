"""Tokens of one's own."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.people import tokens as api_tokens
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, OneOf, Range, fields

blueprint = APIBlueprint("tokens", __name__, url_prefix="/api/v1", tag="Account")


class TokenIn(Body):
    """An API token to be made; `*` = all that the person may do."""

    name = fields.String(load_default="token", validate=Length(1, 255))
    scopes = fields.List(fields.String(validate=OneOf(api_tokens.SCOPES)), load_default=lambda: ["*"], validate=Length(1, 10))
    days = fields.Integer(load_default=api_tokens.TOKEN_DAYS, strict=True, validate=Range(1, api_tokens.MAX_TOKEN_DAYS))


class TokenOut(Answer):
    """A token without its secret."""

    id = fields.String()
    name = fields.String()
    scopes = fields.List(fields.String())
    created_at = moment()
    expires_at = moment()


class MadeTokenOut(Answer):
    """The secret, this once."""

    token = fields.String()


class TokensOut(Answer):
    """Tokens that are not revoked, newest first."""

    tokens = fields.List(fields.Nested(TokenOut))


@blueprint.get("/tokens")
@policy("account")
@blueprint.output(TokensOut)
def tokens() -> dict[str, Any]:
    """The own tokens."""
    found = api_tokens.of(exchange(), current_actor())
    return {
        "tokens": [
            {
                "id": token.id,
                "name": token.name,
                "scopes": list(token.scopes),
                "created_at": iso_from_ns(token.created_ns),
                "expires_at": iso_from_ns(token.expires_ns),
            }
            for token in found
        ]
    }


@blueprint.post("/tokens")
@policy("account")
@blueprint.input(TokenIn)
@blueprint.output(MadeTokenOut, status_code=201)
def create_token(json_data: dict[str, Any]) -> dict[str, Any]:
    """Make a token; its secret is shown this once."""
    by = current_actor()
    return {"token": api_tokens.create(exchange(), by, json_data["name"], json_data["scopes"], json_data["days"], by=by)}


@blueprint.delete("/tokens/<token_id>")
@policy("account")
@blueprint.output({}, status_code=204)
def revoke_token(token_id: str) -> str:
    """Revoke a token; effective on its next request."""
    api_tokens.revoke(exchange(), current_actor(), token_id)
    return ""
