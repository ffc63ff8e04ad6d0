"""Pages of questions to sellers: those that the own organisation asked or received, and one with its messages."""

from __future__ import annotations

from flask import Blueprint, render_template

from mapex.showroom import questions
from web.edge.auth import current_actor, exchange
from web.edge.policy import policy

blueprint = Blueprint("pages_questions", __name__)


@blueprint.get("/questions")
@policy("read")
def listed() -> str:
    """What was asked and received; an operator sees all."""
    return render_template("buy/questions.html", questions=questions.of(exchange(), current_actor()))


@blueprint.get("/questions/<question_id>")
@policy("read")
def one(question_id: str) -> str:
    """A question with its messages, and a field to write on."""
    return render_template("buy/question.html", question=questions.read(exchange(), current_actor(), question_id))
