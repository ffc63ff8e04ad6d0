"""Passkeys, as the pages speak of them with the browser, and confirming a session from a script. Not part of the described API.

The answers of a browser are checked by the library for WebAuthn, their shape too; no token comes here.
"""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from mapex.login import passkeys as keys
from mapex.login import second_step
from mapex.login.passkeys import Challenge
from mapex.people import tries
from web.edge.auth import check_forgery, confirm, current_actor, exchange, sign_in
from web.edge.policy import policy
from web.edge.schemas import Body, Length, fields

blueprint = APIBlueprint("passkeys", __name__, url_prefix="/api/passkeys", enable_openapi=False)


class TicketIn(Body):
    """The ticket of a second step, if the password was shown before."""

    ticket = fields.String(load_default="", validate=Length(0, 8192))


class AnswerIn(Body):
    """What the browser answers to a challenge (JSON of WebAuthn), with the ticket of the challenge."""

    challenge = fields.String(required=True, validate=Length(1, 8192))
    credential = fields.Dict(required=True)


class LoginIn(AnswerIn):
    """An answer that signs in; with the ticket of the second step where the password was shown before."""

    ticket = fields.String(load_default="", validate=Length(0, 8192))


class NewIn(AnswerIn):
    """A new passkey and the name by which its owner knows it."""

    name = fields.String(load_default="", validate=Length(0, 255))


class CodeIn(Body):
    """A code of an app, or a recovery code."""

    code = fields.String(required=True, validate=Length(1, 64))


@blueprint.post("/login/challenge")
@policy("public")
@blueprint.input(TicketIn)
def ask_login(json_data: dict[str, Any]) -> dict[str, Any]:
    """The question for a passkey that signs in: of the person of a ticket, or of anybody."""
    check_forgery()
    ex, ticket = exchange(), json_data["ticket"]
    return _asked(keys.ask(ex, second_step.person_of(ex, ticket).id if ticket else ""))


@blueprint.post("/login")
@policy("public")
@blueprint.input(LoginIn)
def login(json_data: dict[str, Any]) -> dict[str, Any]:
    """Sign in by a passkey: alone, or after the password."""
    check_forgery()
    ex, ticket = exchange(), json_data["ticket"]
    caller = tries.Asker(request.remote_addr or "local")
    first = second_step.person_of(ex, ticket) if ticket else None
    with tries.trying(ex, caller, ""):
        person = keys.use(ex, json_data["challenge"], json_data["credential"], first.id if first else "")
    sign_in(person, *(("password", "passkey") if first else ("passkey",)))
    return {}


@blueprint.post("/new/challenge")
@policy("security")
def ask_new() -> dict[str, Any]:
    """The question for a new passkey."""
    return _asked(keys.ask_new(exchange(), current_actor()))


@blueprint.post("/new")
@policy("security")
@blueprint.input(NewIn)
def add(json_data: dict[str, Any]) -> dict[str, Any]:
    """Add a passkey as second factor."""
    keys.add(exchange(), current_actor(), json_data["challenge"], json_data["credential"], json_data["name"])
    confirm("passkey")
    return {}


@blueprint.post("/confirm/challenge")
@policy("security")
def ask_confirmation() -> dict[str, Any]:
    """The question for a passkey that confirms the session."""
    return _asked(keys.ask(exchange(), current_actor().person_id))


@blueprint.post("/confirm")
@policy("security")
@blueprint.input(AnswerIn)
def confirm_by_passkey(json_data: dict[str, Any]) -> dict[str, Any]:
    """Confirm the session by a passkey."""
    keys.use(exchange(), json_data["challenge"], json_data["credential"], current_actor().person_id)
    confirm("passkey")
    return {}


@blueprint.post("/confirm/code")
@policy("security")
@blueprint.input(CodeIn)
def confirm_by_code(json_data: dict[str, Any]) -> dict[str, Any]:
    """Confirm the session by a code."""
    confirm(second_step.check_code(exchange(), current_actor(), json_data["code"]))
    return {}


def _asked(challenge: Challenge) -> dict[str, Any]:
    return {"options": challenge.options, "challenge": challenge.ticket}
