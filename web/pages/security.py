"""The page of one's sign-in: sessions, password, second factors. For persons at a browser only; no token comes here."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from mapex.authority import FRESH_MINUTES
from mapex.errors import MapexError
from mapex.login import factors, passkeys, recovery_codes, second_step, sessions, totp
from mapex.login.totp import Setup
from mapex.people import persons
from mapex.times import MINUTE_NS
from web.edge.auth import confirm, current_actor, current_person, exchange
from web.edge.policy import policy
from web.pages.login import remember_device

blueprint = Blueprint("pages_security", __name__, url_prefix="/account/security")

HERE = "/account/security"


@blueprint.get("")
@policy("security")
def security() -> str:
    """Sessions that are open, the password, second factors."""
    return _page()


@blueprint.post("/sessions/end")
@policy("security")
def end_session() -> Response:
    """End one of one's sessions, or all the others."""
    ex, by, chosen = exchange(), current_actor(), request.form.get("session", "")
    if chosen:
        sessions.end(ex, by, chosen)
    else:
        sessions.end_others(ex, by)
    return redirect(HERE)


@blueprint.get("/password")
@blueprint.get("/codes")
@policy("security")
def sent_before() -> Response:
    """Where the answer to a form was shown; loaded again, or in the other language, it is the page itself."""
    return redirect(HERE)


@blueprint.post("/password")
@policy("security")
def change_password() -> Response | tuple[str, int]:
    """Another password; the old one is asked for."""
    ex, by = exchange(), current_actor()
    old, new = request.form.get("old", ""), request.form.get("new", "")
    try:
        second_step.check_password(ex, by, old)
        persons.change_password(ex, by, old, new)
        person = current_person()
        assert person is not None
    except MapexError as refusal:
        return _page(password_refusal=refusal), 422
    remember_device(person)
    return redirect(f"{HERE}?done=password")


@blueprint.get("/app")
@policy("security")
def new_app() -> str:
    """A new authenticator app: its picture, and the field for its first code."""
    return _setup(totp.begin(exchange(), current_actor()))


@blueprint.post("/app")
@policy("security")
def add_app() -> Response | tuple[str, int]:
    """Add the app whose first code was typed."""
    ex, by, ticket = exchange(), current_actor(), request.form.get("ticket", "")
    try:
        totp.confirm(ex, by, ticket, "".join(request.form.get("code", "").split()), request.form.get("name", ""))
    except MapexError as refusal:
        if refusal.code == "session.stale":
            raise
        setup = totp.begin(ex, by) if refusal.code == "factor.setup" else totp.again(ex, by, ticket)
        return _setup(setup, refusal), 422
    confirm("totp")
    return redirect(HERE)


@blueprint.post("/factors/remove")
@policy("security")
def remove_factor() -> Response:
    """Remove a second factor of one's own."""
    factors.remove(exchange(), current_actor(), request.form.get("factor", ""))
    return redirect(HERE)


@blueprint.post("/codes")
@policy("security")
def new_codes() -> str:
    """Ten new recovery codes, shown this once."""
    return _page(codes=recovery_codes.make(exchange(), current_actor()))


def _page(**more: object) -> str:
    ex, by, person = exchange(), current_actor(), current_person()
    assert by.presence is not None and person is not None
    mine = factors.of(ex, by.person_id)
    return render_template(
        "account/security.html",
        sessions=sessions.of(ex, by.person_id),
        here=by.presence.session_id,
        factors=mine,
        codes_left=recovery_codes.left(ex, by.person_id) if mine else 0,
        needs_factor=ex.settings.needs_factor(by.role) and not mine,
        is_fresh=ex.now() - by.presence.proven_ns <= FRESH_MINUTES * MINUTE_NS,
        has_password=person.has_password,
        passkeys=passkeys.site(ex),
        done=request.args.get("done", ""),
        **more,
    )


def _setup(setup: Setup, refusal: MapexError | None = None) -> str:
    import segno

    picture = segno.make(setup.uri, micro=False).svg_data_uri(scale=5, border=3, dark="#000", light="#fff")
    return render_template("account/app.html", setup=setup, picture=picture, refusal=refusal)
