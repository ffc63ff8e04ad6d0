"""Who am I: the example that the other API modules follow."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.people import purchase_rights
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.edge.schemas import Answer, fields

blueprint = APIBlueprint("me", __name__, url_prefix="/api/v1", tag="Account")


class PurchaseOut(Answer):
    """What a member may pay in KRW with VAT, and paid this month in Korea; null: no limit."""

    may_pay = fields.Boolean()
    order_limit = fields.Integer(allow_none=True)
    month_limit = fields.Integer(allow_none=True)
    spent = fields.Integer()


class MeOut(Answer):
    """The person behind the token or session."""

    person = fields.String()
    email = fields.String()
    role = fields.String(metadata={"enum": ["member", "auditor", "operator"]})
    org = fields.String(allow_none=True)
    scopes = fields.List(fields.String())
    purchase = fields.Nested(PurchaseOut, allow_none=True, metadata={"description": "null: no member"})


@blueprint.get("/me")
@policy("read")
@blueprint.output(MeOut)
def me() -> dict[str, Any]:
    """Who the token or session belongs to."""
    by = current_actor()
    mine = purchase_rights.allowance(exchange(), by) if by.role == "member" else None
    about = {"person": by.person_id, "email": by.email, "role": by.role, "org": by.org_slug or None, "scopes": sorted(by.scopes)}
    return {**about, "purchase": {**mine.right.about, "spent": mine.spent} if mine else None}
