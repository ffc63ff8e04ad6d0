"""Signing in by one click, in a demonstration only: the made-up people of `mapex demo` have nothing to hide.

An exchange that is no demonstration does not have this route at all (`create_app`).
"""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from mapex.errors import NotFound
from mapex.people import persons
from web.edge.auth import check_forgery, exchange, sign_in
from web.edge.policy import policy

blueprint = Blueprint("pages_demo", __name__)

PEOPLE: dict[str, tuple[str, str]] = {
    "buyer": ("buyer@dongil.example", "/explore"),
    "seller": ("maps@hanbit.example", "/sell"),
    "auditor": ("auditor@audit.example", "/audit"),
    "operator": ("operator@mapex.example", "/account"),
}
"""Who may be played, and the page where that begins. The addresses end in `.example`, so they are nobody's."""


@blueprint.post("/demo/<who>")
@policy("public")
def play(who: str) -> Response:
    """Sign in as one of the demonstration's people; from the demonstration's own page only."""
    check_forgery()
    email, begin = PEOPLE.get(who, ("", ""))
    person = persons.get_person(exchange(), email=email) if email else None
    if person is None or not person.is_active:
        raise NotFound("person.unknown", "This demonstration has no such person.")
    sign_in(person, "demo")
    return redirect(begin)
