"""Help: the guides, read and searched inside the product."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request

from web.edge.policy import policy
from web.words.documents import guides
from web.words.language import language

blueprint = Blueprint("front_help", __name__)

LONGEST_QUESTION = 200


@blueprint.get("/help")
@policy("public")
def overview() -> str:
    """All guides, and what a search in them finds."""
    asked = " ".join(request.args.get("q", "").split())[:LONGEST_QUESTION]
    hits = guides.search(asked, language())
    return render_template("front/help.html", guides=guides.titles(language()), asked=asked, hits=hits, found=None)


@blueprint.get("/help/<name>")
@policy("public")
def page(name: str) -> str:
    """One guide."""
    found = guides.guide(name, language())
    if found is None:
        abort(404)
    return render_template("front/help.html", guides=guides.titles(language()), asked="", hits=(), found=found)
