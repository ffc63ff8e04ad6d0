"""Registration of an organisation: the form, and the applicant's page behind the link."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from mapex.errors import MapexError
from mapex.login import applications
from mapex.login.applications import NewApplication
from mapex.people import mail
from web.edge.auth import check_forgery, exchange
from web.edge.errors import retry_later
from web.edge.policy import policy

blueprint = Blueprint("front_registration", __name__)

FIELDS = ("slug", "name", "contact", "email", "about")
LONGEST = applications.LONGEST_TEXT + 100
"""Characters of a field that are shown again."""


@blueprint.get("/register")
@policy("public")
def form() -> str:
    """Who asks, for what organisation, and what for."""
    return _form({})


@blueprint.post("/register")
@policy("public")
def apply() -> str | tuple[str, int]:
    """Keep the application; whether anything in it is known here, the answer does not show."""
    ex = exchange()
    given = {name: request.form.get(name, "") for name in FIELDS}
    try:
        check_forgery()
        secret = applications.apply(ex, request.remote_addr or "local", NewApplication(**given))
    except MapexError as refusal:
        retry_later(refusal)
        return _form({name: text[:LONGEST] for name, text in given.items()}, refusal), 422
    link = f"{ex.settings.public_url}/register/{secret}" if secret else ""
    return render_template("front/registered.html", link=link, email=given["email"].strip())


@blueprint.get("/register/<secret>")
@policy("public")
def link(secret: str) -> str:
    """How the application stands; who comes by the mail confirms the address with a button, since programs open links too."""
    return render_template("front/application.html", found=applications.look(exchange(), secret))


@blueprint.post("/register/<secret>")
@policy("public")
def prove(secret: str) -> AnyResponse:
    """Confirm the address."""
    applications.look(exchange(), secret)
    check_forgery()
    applications.prove(exchange(), secret)
    return redirect(f"/register/{secret}")


def _form(given: dict[str, str], refusal: MapexError | None = None) -> str:
    return render_template("front/register.html", given=given, refusal=refusal, sends_mail=mail.is_set_up(exchange().settings))
