"""Light or dark: what the browser prefers, or what was chosen (a cookie, so that the first paint is right without a script)."""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, redirect, request
from werkzeug.wrappers import Response

from web.edge.headers import local_path
from web.edge.policy import policy

blueprint = Blueprint("theme", __name__)

THEMES = ("system", "light", "dark")
COOKIE = "theme"
_YEAR = 365 * 86400


def install(app: Flask) -> None:
    """`theme` and `next_theme` for templates."""
    app.jinja_env.globals.update(theme=theme, next_theme=next_theme)


def theme() -> str:
    """The theme of this request; `system` when none was chosen."""
    wish = request.cookies.get(COOKIE, "")
    return wish if wish in THEMES else THEMES[0]


def next_theme() -> str:
    """The theme that the switch in the header leads to."""
    return THEMES[(THEMES.index(theme()) + 1) % len(THEMES)]


@blueprint.post("/theme")
@policy("public")
def choose() -> Response:
    """Remember a theme and go back; only where scripts do not run, which do the same without leaving the page."""
    wish = request.form.get("theme", "")
    answer = redirect(local_path(request.form.get("back", "/")))
    if wish in THEMES:
        secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
        # Not HttpOnly: the switch in the page writes it as well. It is worth nothing to a thief.
        answer.set_cookie(COOKIE, wish, max_age=_YEAR, secure=secure, httponly=False, samesite="Lax")
    return answer
