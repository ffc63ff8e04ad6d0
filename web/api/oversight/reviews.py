"""Reviews of pseudonymised footage: asked for by sellers, decided by operators, read by them and auditors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from mapex.errors import Invalid
from mapex.offers import looks, reviews
from mapex.offers.review import MOST_DOCUMENT, STATES, Criterion, Review, ReviewDecision, ReviewDocument, Reviewer, ReviewRequest
from mapex.rights.grants import MIN_NONCE
from mapex.times import iso_from_ns, ns_from_iso
from web.edge.auth import bearer, current_actor, exchange
from web.edge.kinds import address, content, digest, moment, quadkey, word
from web.edge.policy import policy
from web.edge.schemas import NUMBERED, Answer, Body, Length, OneOf, Query, fields

blueprint = APIBlueprint("reviews", __name__, url_prefix="/api/v1", tag="Reviews of footage")


class DocumentIn(Body):
    """A file: its name and its bytes."""

    name = fields.String(required=True, validate=Length(1, 200))
    base64 = fields.String(required=True, validate=Length(1, (MOST_DOCUMENT + 2) // 3 * 4))


class ReviewIn(Body):
    """What was done to the footage of a layer of a draft, and what was looked at."""

    layer = fields.String(required=True, validate=Length(1, 64))
    method = fields.String(required=True, validate=Length(1, 200))
    tool = fields.String(required=True, validate=Length(1, 200))
    sample = fields.Integer(required=True, validate=NUMBERED, metadata={"description": "frames that were looked at"})
    statement = fields.String(required=True, validate=Length(1, 2000), metadata={"description": "who looked, and what they found"})
    document = fields.Nested(DocumentIn, load_default=None, metadata={"description": f"at most {MOST_DOCUMENT >> 20} MiB"})


class ReviewerIn(Body):
    """A reviewer."""

    name = fields.String(required=True, validate=Length(1, 100))
    organisation = fields.String(required=True, validate=Length(1, 200))


class DecisionIn(Body):
    """What the reviewers decided; accepted needs every criterion and a day until which it holds, refused needs reasons."""

    accepted = fields.Boolean(required=True)
    reviewers = fields.List(fields.Nested(ReviewerIn), required=True, validate=Length(1, 20))
    criteria = fields.List(fields.String(validate=OneOf(list(Criterion))), load_default=list)
    residual_risk = fields.String(required=True, validate=Length(1, 2000))
    reasons = fields.String(load_default="", validate=Length(0, 2000))
    valid_to = fields.String(load_default=None, allow_none=True)


class BeginIn(Body):
    """Nothing is to be given."""


class LookIn(Body):
    """Which tile of the layer is to be looked at, counted from 0; a browser names the random `holder` that it will send."""

    tile = fields.Integer(load_default=0, validate=NUMBERED)
    holder = fields.String(validate=Length(MIN_NONCE, 128))


class ReviewsQuery(Query):
    """What is asked for."""

    state = fields.String(load_default="", validate=OneOf(["", *STATES]), metadata={"description": "empty: in any state"})


class StepOut(Answer):
    """A state that the review came into, when, and by whom."""

    state = word(STATES)
    at = moment()
    person = fields.String()


class DecisionOut(Answer):
    """What the reviewers decided."""

    accepted = fields.Boolean()
    reviewers = fields.List(fields.Nested(ReviewerIn))
    criteria = fields.List(fields.String(metadata={"enum": list(Criterion)}))
    residual_risk = fields.String()
    reasons = fields.String()
    valid_to = moment(allow_none=True)


class ReviewOut(Answer):
    """A review of the footage of a layer."""

    id = fields.String()
    org = fields.String()
    dataset = fields.String()
    version = fields.Integer()
    layer = fields.String()
    state = word(STATES)
    method = fields.String()
    tool = fields.String()
    sample = fields.Integer()
    statement = fields.String()
    document = fields.String(metadata={"description": "name of the file, empty without one"})
    document_sha256 = digest(allow_none=True)
    steps = fields.List(fields.Nested(StepOut))
    decision = fields.Nested(DecisionOut, allow_none=True)


class ReviewsOut(Answer):
    """Reviews, the newest first."""

    reviews = fields.List(fields.Nested(ReviewOut))


class LookOut(Answer):
    """A tile that may be read until `expires_at`, with the header `x-mapex-holder` as for grants of original footage."""

    id = fields.String()
    tile = quadkey()
    part = fields.Integer()
    size = fields.Integer()
    name = fields.String()
    method = fields.String()
    url = address()
    headers = fields.Dict(keys=fields.String(), values=fields.String())
    expires_at = moment()


@blueprint.post("/datasets/<slug>/versions/<int:number>/review")
@policy("sell")
@blueprint.doc(responses=[409])
@blueprint.input(ReviewIn)
@blueprint.output(ReviewOut, status_code=201)
def request_review(slug: str, number: int, json_data: dict[str, Any]) -> dict[str, Any]:
    """Ask that the footage of a draft be accepted as pseudonymised."""
    return shown(reviews.request(exchange(), current_actor(), slug, number, _asked(json_data)))


@blueprint.get("/reviews")
@policy("read")
@blueprint.input(ReviewsQuery, location="query", unknown=None)
@blueprint.output(ReviewsOut)
def listed(query_data: dict[str, Any]) -> dict[str, Any]:
    """The reviews of the own organisation; for operators and auditors all."""
    return {"reviews": [shown(one) for one in reviews.all_reviews(exchange(), current_actor(), state=query_data["state"])]}


@blueprint.get("/reviews/<review_id>")
@policy("read")
@blueprint.output(ReviewOut)
def review(review_id: str) -> dict[str, Any]:
    """One review."""
    return shown(reviews.get(exchange(), current_actor(), review_id))


@blueprint.get("/reviews/<review_id>/document")
@policy("read")
@blueprint.doc(
    responses={
        200: content("the file that the seller added", "application/octet-stream", schema={"type": "string", "format": "binary"}),
        404: "",
    }
)
def document(review_id: str) -> Response:
    """The document of a review; that it was read is logged."""
    found, body = reviews.document(exchange(), current_actor(), review_id)
    answer = Response(body, mimetype="application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename=f"{found.id}-{found.document_sha256[:12]}")
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@blueprint.post("/reviews/<review_id>/begin")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(BeginIn)
@blueprint.output(ReviewOut)
def begin(review_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Take a request up."""
    del json_data
    return shown(reviews.begin(exchange(), current_actor(), review_id))


@blueprint.post("/reviews/<review_id>/look")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(LookIn)
@blueprint.output(LookOut, status_code=201)
def look(review_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """The address of one tile under review, for a minute; it is logged before it is given."""
    at, nonce = json_data["tile"], json_data.get("holder")
    found = looks.look(exchange(), current_actor(), review_id, at, holder_token=bearer(), holder_nonce=nonce)
    about = {name: getattr(found, name) for name in ("id", "tile", "part", "size", "name")}
    signed = {"method": found.request.method, "url": found.request.url, "headers": dict(found.request.headers)}
    return {**about, **signed, "expires_at": iso_from_ns(found.expires_ns)}


@blueprint.post("/reviews/<review_id>/decision")
@policy("operate")
@blueprint.doc(responses=[409])
@blueprint.input(DecisionIn)
@blueprint.output(ReviewOut)
def decide(review_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Enter what the reviewers decided; what is accepted can be sold as pseudonymised."""
    made = ReviewDecision(
        accepted=json_data["accepted"],
        reviewers=tuple(Reviewer(one["name"], one["organisation"]) for one in json_data["reviewers"]),
        criteria=tuple(Criterion(one) for one in json_data["criteria"]),
        residual_risk=json_data["residual_risk"],
        reasons=json_data["reasons"],
        valid_to_ns=ns_from_iso(json_data["valid_to"]) if json_data["valid_to"] else None,
    )
    return shown(reviews.decide(exchange(), current_actor(), review_id, made))


def _asked(given: Mapping[str, Any]) -> ReviewRequest:
    file = given["document"]
    try:
        added = ReviewDocument(file["name"], base64.b64decode(file["base64"], validate=True)) if file else None
    except (binascii.Error, ValueError) as why:
        raise Invalid("review.document", "The document is not base64; send its bytes in that form.") from why
    return ReviewRequest(**{name: given[name] for name in ("layer", "method", "tool", "sample", "statement")}, document=added)


def shown(one: Review) -> dict[str, Any]:
    """A review as JSON."""
    about = {name: getattr(one, name) for name in ("id", "org", "dataset", "version", "state")}
    stated = {name: getattr(one.request, name) for name in ("layer", "method", "tool", "sample", "statement")}
    return {
        **about,
        **stated,
        "document": one.document_name,
        "document_sha256": one.document_sha256 or None,
        "steps": [{"state": step.state, "at": iso_from_ns(step.at_ns), "person": step.person} for step in one.steps],
        "decision": one.decision.as_json() if one.decision else None,
    }
