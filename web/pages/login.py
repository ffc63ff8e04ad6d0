"""Signing in and out: the password, the second step, and confirming later that it is still the same person."""

from __future__ import annotations

from flask import Blueprint, Response, after_this_request, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from mapex.errors import Denied, MapexError
from mapex.login import factors, passkeys, second_step
from mapex.people import persons, tries
from mapex.people.persons import Person
from web.edge.auth import MOST_CHARACTERS, check_forgery, confirm, current_actor, current_person, exchange, sign_in, sign_out
from web.edge.errors import retry_later
from web.edge.headers import local_path
from web.edge.policy import policy

blueprint = Blueprint("security", __name__)

DEVICE = "mapex-device"
"""Cookie of a browser on which somebody signed in; it opens nothing."""

BEGIN = "/explore"
"""Where one is led after signing in without having wanted to be anywhere."""


@blueprint.get("/login")
@policy("public")
def login_form() -> str:
    """E-mail and password, or a passkey."""
    return _form()


@blueprint.post("/login")
@policy("public")
def login() -> AnyResponse | str:
    """One answer for unknown, wrong and suspended, equally slow. Whoever has a second factor is asked for it next."""
    ex, email, password = exchange(), request.form.get("email", ""), request.form.get("password", "")
    try:
        check_forgery()
        long = len(email) > MOST_CHARACTERS or len(password) > MOST_CHARACTERS
        with tries.trying(ex, _caller(), email):
            person = None if long or not email or not password else persons.verify_password(ex, email, password)
            if person is None:
                raise Denied("login.refused", "E-mail or password is wrong; try again.")
        if factors.of(ex, person.id):
            return _second(person, second_step.ticket(ex, person))
        sign_in(person, "password")
        remember_device(person)
    except MapexError as refusal:
        return _form(refusal)
    return redirect(after_login(person))


@blueprint.get("/login/second")
@policy("public")
def second_form() -> AnyResponse:
    """Loaded again there is no second step: it begins with the password."""
    return redirect("/login")


@blueprint.post("/login/second")
@policy("public")
def second() -> AnyResponse | str:
    """The second step: a code of an app, or a recovery code."""
    ex, ticket = exchange(), request.form.get("ticket", "")
    try:
        check_forgery()
        person = second_step.person_of(ex, ticket)
    except MapexError as refusal:
        return _form(refusal)
    try:
        with tries.trying(ex, _caller(), person.email):
            sign_in(person, "password", second_step.check_code(ex, person.actor, request.form.get("code", "")))
        remember_device(person)
    except MapexError as refusal:
        return _second(person, ticket, refusal)
    return redirect(after_login(person))


@blueprint.get("/confirm")
@policy("security")
def confirm_form() -> str:
    """That it is still you: a second factor, or the password where there is none."""
    return _confirm()


@blueprint.post("/confirm")
@policy("security")
def confirmed() -> AnyResponse | str:
    """Confirm, and go on with what one was about to do."""
    try:
        confirm_by(request.form.get("code", ""), request.form.get("password", ""))
    except MapexError as refusal:
        return _confirm(refusal)
    return redirect(_next())


@blueprint.get("/logout")
@policy("public")
def logout_form() -> AnyResponse | str:
    """A link or a bookmark signs nobody out: it asks."""
    if current_person() is None:
        return redirect("/")
    return render_template("public/logout.html")


@blueprint.post("/logout")
@policy("public")
def logout() -> AnyResponse | str:
    """End the session."""
    if current_person() is not None:
        try:
            check_forgery()
        except Denied:
            return render_template("public/logout.html")
    sign_out()
    return redirect("/")


def confirm_by(code: str, password: str) -> None:
    """Confirm the session of the request by a code, or by the password of a person who has no second factor.

    Raises: Denied (`factor.refused`, `factor.tries`, `password.wrong`), Unavailable.
    """
    ex, by = exchange(), current_actor()
    has_factor = by.presence is not None and by.presence.has_factor
    confirm(second_step.check_code(ex, by, code) if has_factor else second_step.check_password(ex, by, password))


def after_login(person: Person) -> str:
    """Where a person who has just signed in goes: to where it wanted, or to make the second factor that its role needs."""
    ex = exchange()
    return "/account/security" if ex.settings.needs_factor(person.role) and not factors.of(ex, person.id) else _next()


def _caller() -> tries.Asker:
    return tries.Asker(request.remote_addr or "local", request.cookies.get(DEVICE, ""))


def remember_device(person: Person) -> None:
    """Mark the browser, so that others who guess the password do not keep the person out (`mapex.people.tries`)."""
    ex = exchange()
    mark, seconds = tries.device_of(ex, person.email), tries.DEVICE_DAYS * 24 * tries.HOUR

    @after_this_request
    def keep(response: Response) -> Response:
        secure = ex.settings.uses_secure_cookies
        response.set_cookie(DEVICE, mark, max_age=seconds, path="/login", secure=secure, httponly=True, samesite="Lax")
        return response


def _next() -> str:
    """Where one wanted to be, if that is a path of this site."""
    return local_path(request.form.get("next") or request.args.get("next", ""), BEGIN)


def _form(refusal: MapexError | None = None) -> str:
    if refusal is not None:
        retry_later(refusal)
    email = request.form.get("email", "")[:MOST_CHARACTERS]
    page = {"next": _next()}
    values = {"next": _next(), "passkeys": passkeys.site(exchange()), "done": request.args.get("done", "")}
    return render_template("public/login.html", refusal=refusal, email=email, page=page, **values)


def _second(person: Person, ticket: str, refusal: MapexError | None = None) -> str:
    if refusal is not None:
        retry_later(refusal)
    kinds = {one.kind for one in factors.of(exchange(), person.id)}
    page = {"next": _next(), "ticket": ticket}
    return render_template("public/second.html", refusal=refusal, ticket=ticket, next=_next(), kinds=kinds, page=page)


def _confirm(refusal: MapexError | None = None) -> str:
    kinds = {one.kind for one in factors.of(exchange(), current_actor().person_id)}
    return render_template("account/confirm.html", refusal=refusal, next=_next(), kinds=kinds, page={"next": _next()})
