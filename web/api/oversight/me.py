"""Who am I: the example that the other API modules follow."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from web.edge.auth import current_actor
from web.edge.policy import policy
from web.edge.schemas import Answer, fields

blueprint = APIBlueprint("me", __name__, url_prefix="/api/v1", tag="Account")


class MeOut(Answer):
    """The person behind the token or session."""

    person = fields.String()
    email = fields.String()
    role = fields.String(metadata={"enum": ["member", "auditor", "operator"]})
    org = fields.String(allow_none=True)
    scopes = fields.List(fields.String())


@blueprint.get("/me")
@policy("read")
@blueprint.output(MeOut)
def me() -> dict[str, Any]:
    """Who the token or session belongs to."""
    by = current_actor()
    return {"person": by.person_id, "email": by.email, "role": by.role, "org": by.org_slug or None, "scopes": sorted(by.scopes)}
