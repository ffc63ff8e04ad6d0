"""Korean and English: which language a request is in, and the words that the browser needs."""

from __future__ import annotations

from flask import Flask, Response, current_app, request
from flask_babel import Babel

LANGUAGES = ("ko", "en")
COOKIE = "lang"
_YEAR = 365 * 86400


def install(app: Flask) -> None:
    """Babel with our choice of language, and the cookie that remembers it."""
    app.config.update(BABEL_DEFAULT_LOCALE="en", BABEL_TRANSLATION_DIRECTORIES="translations", BABEL_DEFAULT_TIMEZONE="Asia/Seoul")
    Babel(app, locale_selector=language)
    app.after_request(_remember)
    app.jinja_env.globals["language"] = language


def language() -> str:
    """`ko` or `en`: `?lang=`, else the cookie, else what the browser prefers, else English."""
    for wish in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if wish in LANGUAGES:
            return str(wish)
    return request.accept_languages.best_match(LANGUAGES, default="en") or "en"


def _remember(response: Response) -> Response:
    wish = request.args.get("lang")
    if wish in LANGUAGES and request.cookies.get(COOKIE) != wish:
        secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
        response.set_cookie(COOKIE, wish, max_age=_YEAR, secure=secure, httponly=True, samesite="Lax")
    return response
