"""Korean and English: which language a request is in, and the words that scripts need.

Scripts call `_("...")` with the English sentence, and `n_("one", "many", count)` where something is counted; the ones they use are found
in their source, translated here, and put into the page as JSON, so that one catalogue serves Python, templates and scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, Response, current_app, request
from flask_babel import Babel, get_domain, gettext

LANGUAGES = ("ko", "en")
NAMES = {"ko": "한국어", "en": "English"}
COOKIE = "lang"
_YEAR = 365 * 86400
_SCRIPTS = Path(__file__).parents[1] / "static" / "js"
_TEXT = r"""("(?:[^"\\]|\\.)*")"""
_CALL = re.compile(rf"\b_\(\s*{_TEXT}")
_COUNTED = re.compile(rf"\bn_\(\s*{_TEXT}\s*,\s*{_TEXT}")


def install(app: Flask) -> None:
    """Babel with our choice of language, and the cookie that remembers it."""
    app.config.update(BABEL_DEFAULT_LOCALE="en", BABEL_TRANSLATION_DIRECTORIES="translations", BABEL_DEFAULT_TIMEZONE="Asia/Seoul")
    Babel(app, locale_selector=language)
    app.after_request(_remember)
    app.jinja_env.globals.update(language=language, other_language=other_language)


def language() -> str:
    """`ko` or `en`: `?lang=`, else the cookie, else what the browser prefers, else English."""
    for wish in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if wish in LANGUAGES:
            return str(wish)
    return request.accept_languages.best_match(LANGUAGES, default="en") or "en"


def other_language() -> tuple[str, str, str]:
    """Code, own name, and address of this page in the other language."""
    code = "en" if language() == "ko" else "ko"
    # Behind a form that was sent there is no page to go back to; its address without the query is one. The path is left out: the browser
    # knows it, and a path that begins with two slashes would be taken for another site.
    words = request.args.to_dict(flat=False) if request.method == "GET" else {}
    return code, NAMES[code], f"?{urlencode({**words, 'lang': [code]}, doseq=True)}"


def script_messages() -> dict[str, str]:
    """The sentences of our scripts in the language of the request; empty for English."""
    if language() == "en":
        return {}
    newest = _newest()
    unfilled = get_domain().get_translations()  # flask_babel's ngettext would fill in the placeholders at once
    counted = {many: unfilled.ngettext(one, many, 2) for one, many in _counted(newest)}  # Korean has one form, for any count
    return {message: gettext(message) for message in _messages(newest)} | counted


def _newest() -> int:
    return max((path.stat().st_mtime_ns for path in _SCRIPTS.glob("**/*.js")), default=0)


@lru_cache(maxsize=4)
def _messages(newest_ns: int) -> tuple[str, ...]:
    del newest_ns
    return tuple(sorted({json.loads(text) for source in _sources() for text in _CALL.findall(source)}))


@lru_cache(maxsize=4)
def _counted(newest_ns: int) -> tuple[tuple[str, str], ...]:
    del newest_ns
    return tuple(sorted({(json.loads(one), json.loads(many)) for source in _sources() for one, many in _COUNTED.findall(source)}))


def _sources() -> Iterator[str]:
    return (path.read_text(encoding="utf-8") for path in _SCRIPTS.glob("**/*.js"))


def _remember(response: Response) -> Response:
    wish = request.args.get("lang")
    if wish in LANGUAGES and request.cookies.get(COOKIE) != wish and response.mimetype == "text/html":
        secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
        response.set_cookie(COOKIE, wish, max_age=_YEAR, secure=secure, httponly=True, samesite="Lax")
    return response
