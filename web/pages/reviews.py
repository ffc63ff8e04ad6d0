"""Reviews of pseudonymised footage, for operators who decide them and auditors who read them."""

from __future__ import annotations

from flask import Blueprint, render_template

from mapex.catalogue import datasets
from mapex.catalogue.finding import Finding
from mapex.offers import reviews
from mapex.offers.review import Review
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy

blueprint = Blueprint("pages_reviews", __name__)

MOST = 200


@blueprint.get("/audit/reviews")
@policy("inspect")
def review_list() -> str:
    """What was asked, what the checks found in it, and what was decided; the open ones first."""
    ex, by = exchange(), current_actor()
    found = sorted(reviews.all_reviews(ex, by), key=lambda one: not one.is_open)[:MOST]
    findings = {one.id: _findings(one) for one in found if one.is_open}
    return render_template("audit/reviews.html", reviews=found, findings=findings, page={})


def _findings(review: Review) -> list[Finding]:
    """What the checks found in the layer under review, and in the version as a whole."""
    described = datasets.describe(exchange(), current_actor(), f"{review.org}/{review.dataset}", review.version)
    return [one for one in described.findings if one.layer in ("", review.request.layer)]
