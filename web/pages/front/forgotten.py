"""A forgotten password: asking for a link, and the page behind it."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from mapex.errors import MapexError
from mapex.login import resets
from web.edge import afterwards
from web.edge.auth import MOST_CHARACTERS, check_forgery, exchange
from web.edge.errors import retry_later
from web.edge.policy import policy

blueprint = Blueprint("front_forgotten", __name__)


@blueprint.get("/forgot")
@policy("public")
def form() -> str:
    """The address to which the link goes; without mail, whom to ask."""
    return _form()


@blueprint.post("/forgot")
@policy("public")
def ask() -> str:
    """One answer for known, unknown and suspended, equally fast: the mail is written when the answer is out."""
    ex, email = exchange(), request.form.get("email", "").strip()[:MOST_CHARACTERS]
    if not resets.is_possible(ex):
        return _form()
    try:
        check_forgery()
        if resets.admit(ex, request.remote_addr or "local", email):
            afterwards.do(partial(resets.send_quietly, ex, email))
    except MapexError as refusal:
        retry_later(refusal)
        return _form(refusal=refusal)
    return _form(asked=True)


@blueprint.get("/reset/<secret>")
@policy("public")
def link(secret: str) -> str:
    """The page behind a link: a new password."""
    return render_template("front/reset.html", whose=resets.look(exchange(), secret), refusal=None)


@blueprint.post("/reset/<secret>")
@policy("public")
def choose(secret: str) -> AnyResponse | tuple[str, int]:
    """Choose it; signing in, with the second factor where there is one, comes next."""
    ex = exchange()
    person = resets.look(ex, secret)
    try:
        check_forgery()
        resets.redeem(ex, secret, request.form.get("password", ""))
    except MapexError as refusal:
        if refusal.code == "reset.unknown":
            raise
        retry_later(refusal)
        return render_template("front/reset.html", whose=person, refusal=refusal), 422
    return redirect("/login?done=reset")


def _form(*, asked: bool = False, refusal: MapexError | None = None) -> str:
    page = {"minutes": resets.MINUTES, "sends_mail": resets.is_possible(exchange())}
    return render_template("front/forgot.html", asked=asked, refusal=refusal, **page)
