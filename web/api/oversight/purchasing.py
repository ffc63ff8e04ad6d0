"""Who of an organisation may pay, and what stands on its tax invoices."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.invoices import businesses
from mapex.invoices.businesses import Business
from mapex.people import purchase_rights
from mapex.people.purchase_rights import Right
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy
from web.edge.schemas import WHOLE, Answer, Body, Length, fields

blueprint = APIBlueprint("purchasing", __name__, url_prefix="/api/v1", tag="Account")


class RightIn(Body):
    """Whether a member may pay, and up to which amounts in KRW with VAT; null: no limit."""

    may_pay = fields.Boolean(required=True)
    order_limit = fields.Integer(load_default=None, allow_none=True, strict=True, validate=WHOLE)
    month_limit = fields.Integer(load_default=None, allow_none=True, strict=True, validate=WHOLE)


class RightOut(Answer):
    """What a member may pay; null: no limit."""

    email = fields.String()
    may_pay = fields.Boolean()
    order_limit = fields.Integer(allow_none=True)
    month_limit = fields.Integer(allow_none=True)


class RightsOut(Answer):
    """By e-mail."""

    rights = fields.List(fields.Nested(RightOut))


class BusinessIn(Body):
    """What stands on tax invoices; no number: a firm abroad."""

    number = fields.String(load_default="", validate=Length(0, 40), metadata={"description": "사업자등록번호: 123-45-67891 or plain"})
    name = fields.String(required=True, validate=Length(1, 255), metadata={"description": "as registered"})
    representative = fields.String(required=True, validate=Length(1, 255), metadata={"description": "대표자"})
    address = fields.String(required=True, validate=Length(1, 255))
    business_type = fields.String(required=True, validate=Length(1, 255), metadata={"description": "업태"})
    item = fields.String(required=True, validate=Length(1, 255), metadata={"description": "종목"})
    email = fields.String(required=True, validate=Length(3, 255), metadata={"description": "where tax invoices go"})


class BusinessOut(Answer):
    """What stands on tax invoices; a null number: a firm abroad."""

    number = fields.String(allow_none=True)
    name = fields.String()
    representative = fields.String()
    address = fields.String()
    business_type = fields.String()
    item = fields.String()
    email = fields.String()


class MaybeBusinessOut(Answer):
    """Null: not entered yet."""

    business = fields.Nested(BusinessOut, allow_none=True)


@blueprint.get("/purchase-rights")
@policy("account")
@blueprint.output(RightsOut)
def rights() -> dict[str, Any]:
    """What the members of the own organisation may pay, for operators all members."""
    found = purchase_rights.of_members(exchange(), current_actor())
    return {"rights": [{"email": email, **found[email].about} for email in sorted(found)]}


@blueprint.post("/persons/<email>/purchase-right")
@policy("account")
@blueprint.doc(responses=[409])
@blueprint.input(RightIn)
@blueprint.output(RightOut)
def set_right(email: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Let a member pay, or no more, or up to limits: the operator, or a member who may pay without limit."""
    return {"email": email, **purchase_rights.set_right(exchange(), current_actor(), email, Right(**json_data)).about}


@blueprint.get("/organisations/<slug>/business")
@policy("read")
@blueprint.output(MaybeBusinessOut)
def get_business(slug: str) -> dict[str, Any]:
    """What stands on the tax invoices of the own organisation; auditors and operators see that of all."""
    found = businesses.get(exchange(), current_actor(), slug)
    return {"business": dict(found.about) if found else None}


@blueprint.post("/organisations/<slug>/business")
@policy("account")
@blueprint.doc(responses=[409])
@blueprint.input(BusinessIn)
@blueprint.output(BusinessOut)
def set_business(slug: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Enter what stands on the tax invoices of an organisation: the operator, or a member of it who may pay without limit."""
    given = Business(**{**json_data, "number": json_data["number"] or None})
    return dict(businesses.put(exchange(), current_actor(), slug, given).about)
