"""Ask the seller: questions about datasets on sale, and what is answered."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.showroom import questions
from mapex.showroom.questions import LONGEST, Question
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import moment
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, fields

blueprint = APIBlueprint("questions", __name__, url_prefix="/api/v1", tag="Market")


class MessageIn(Body):
    """A message, plain text. The other side sees which organisation wrote it, and no person."""

    text = fields.String(required=True, validate=Length(1, LONGEST))


class MessageOut(Answer):
    """A message; `org` wrote it."""

    org = fields.String()
    text = fields.String()
    at = moment()


class QuestionOut(Answer):
    """A question about a dataset (`ORG/SLUG`); `unread`: there is something new for your organisation."""

    id = fields.String()
    dataset = fields.String()
    title = fields.String()
    asker = fields.String()
    seller = fields.String()
    created_at = moment()
    newest_at = moment()
    unread = fields.Boolean()
    messages = fields.List(fields.Nested(MessageOut), metadata={"description": "in the list of questions there are none"})


class QuestionsOut(Answer):
    """Questions, those with something new first."""

    questions = fields.List(fields.Nested(QuestionOut))
    unread = fields.Integer()


@blueprint.get("/questions")
@policy("read")
@blueprint.output(QuestionsOut)
def of() -> dict[str, Any]:
    """The questions that your organisation asked or received; an operator sees all."""
    found = questions.of(exchange(), current_actor())
    return {"questions": [_question(one) for one in found], "unread": sum(one.is_unread for one in found)}


@blueprint.get("/questions/<question_id>")
@policy("read")
@blueprint.output(QuestionOut)
def read(question_id: str) -> dict[str, Any]:
    """A question with its messages; it is then nothing new to your organisation."""
    return _question(questions.read(exchange(), current_actor(), question_id))


@blueprint.post("/datasets/<org>/<slug>/questions")
@policy("talk")
@blueprint.doc(responses=[409])
@blueprint.input(MessageIn)
@blueprint.output(QuestionOut, status_code=201)
def ask(org: str, slug: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Ask the seller of a dataset on sale. Your organisation is named to it."""
    return _question(questions.ask(exchange(), current_actor(), f"{org}/{slug}", json_data["text"]))


@blueprint.post("/questions/<question_id>/messages")
@policy("talk")
@blueprint.doc(responses=[409])
@blueprint.input(MessageIn)
@blueprint.output(QuestionOut, status_code=201)
def answer(question_id: str, json_data: dict[str, Any]) -> dict[str, Any]:
    """Write on in a question that your organisation asked or received."""
    return _question(questions.answer(exchange(), current_actor(), question_id, json_data["text"]))


def _question(one: Question) -> dict[str, Any]:
    same = {name: getattr(one, name) for name in ("id", "dataset", "title", "asker", "seller")}
    return {
        **same,
        "created_at": iso_from_ns(one.created_ns),
        "newest_at": iso_from_ns(one.newest_ns),
        "unread": one.is_unread,
        "messages": [{"org": message.org, "text": message.text, "at": iso_from_ns(message.at_ns)} for message in one.messages],
    }
