"""Errors at the HTTP edge: kind -> status, one JSON shape `{code, message, details, request_id}`, one page; nothing internal goes out."""

from __future__ import annotations

import json
import logging
from typing import Any, cast
from urllib.parse import urlsplit

from apiflask import APIFlask, HTTPError
from flask import Response, after_this_request, jsonify, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException, InternalServerError

from mapex import errors as mapex_errors
from mapex.errors import MapexError
from tiles import errors as tiles_errors
from tiles.errors import TilesError
from web.edge.access import path_for_logs, request_id
from web.edge.policy import NotSignedIn

log = logging.getLogger(__name__)

STATUS: dict[type[Exception], int] = {
    NotSignedIn: 401,
    mapex_errors.Invalid: 422,
    mapex_errors.NotFound: 404,
    mapex_errors.Denied: 403,
    mapex_errors.Conflict: 409,
    mapex_errors.Unpaid: 402,
    mapex_errors.Limited: 429,
    mapex_errors.Unavailable: 503,
    tiles_errors.InvalidTile: 422,
    tiles_errors.InvalidRegion: 422,
    tiles_errors.InvalidContent: 422,
    tiles_errors.ObjectMissing: 404,
    tiles_errors.RequestRefused: 403,
    tiles_errors.StoreUnavailable: 503,
    tiles_errors.ExtraMissing: 503,
}
"""HTTP status of each kind of error; anything else is 500."""

RETRY_AFTER = "5"
"""Seconds."""

CODES = {
    400: "request.malformed",
    401: "login.required",
    403: "request.refused",
    404: "not_found",
    405: "request.method",
    406: "request.accept",
    411: "request.length",
    413: "request.too_large",
    415: "request.media_type",
    422: "request.invalid",
    429: "rate.limited",
    431: "request.too_large",
}
"""Stable slug of each status that Flask itself answers with."""


_FIRST = {"factor.needed": "pages_security.security", "session.stale": "security.confirm_form"}
"""Pages that lead on where a page is refused for what its person can do at once."""


def install(app: APIFlask) -> None:
    """Register the handlers."""
    app.error_processor(_from_apiflask)
    app.register_error_handler(MapexError, _from_ours)
    app.register_error_handler(TilesError, _from_ours)
    app.register_error_handler(HTTPException, _from_werkzeug)
    app.register_error_handler(RecursionError, _from_a_nest)
    app.register_error_handler(Exception, _from_anything)


def wants_json() -> bool:
    """Whether the asker is a program: API, store and tile addresses; everything else is a page."""
    return request.path.startswith(("/api/", "/store/", "/map/", "/openapi.json", "/healthz", "/readyz"))


def answer(status: int, code: str, message: str, details: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """The error as JSON, or as a page for people."""
    details = cast("dict[str, Any]", json.loads(json.dumps(details, default=str)))
    if wants_json():
        response = jsonify(code=code, message=message, details=details, request_id=request_id())
    elif status == 401 and request.method == "GET":  # noqa: PLR2004
        return cast(Response, redirect(url_for("security.login", next=request.full_path.rstrip("?"))))
    elif code in _FIRST:
        # A form that was sent is lost: what asks for a confirmation so late is short.
        return cast(Response, redirect(url_for(_FIRST[code], next=_page_of_the_person()), 303))
    else:
        page = render_template("base/error.html", status=status, code=code, message=message, request_id=request_id())
        response = Response(page)
    response.status_code = status
    response.headers.extend(headers or {})
    if status == 401:  # noqa: PLR2004
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _page_of_the_person() -> str:
    """Where the person is: the page asked for, or the one with the form."""
    if request.method == "GET":
        return request.full_path.rstrip("?")
    form = urlsplit(request.referrer or "")
    return form.path if form.netloc == request.host else url_for("pages_security.security")


def retry_later(refusal: MapexError) -> None:
    """Give the page that shows this refusal the status of what is only so for a moment, where it is that."""
    status = next(
        (status for kind, status in ((mapex_errors.Unavailable, 503), (mapex_errors.Limited, 429)) if isinstance(refusal, kind)), 0
    )
    if status:

        @after_this_request
        def mark(response: Response) -> Response:
            response.status_code = status
            response.headers["Retry-After"] = str(refusal.details.get("retry_after_s", RETRY_AFTER))
            return response


def _from_ours(error: Exception) -> Response:
    assert isinstance(error, MapexError | TilesError)
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    if status == 500:  # noqa: PLR2004
        return _from_anything(error)
    if status == 503:  # noqa: PLR2004
        log.error("unavailable request=%s path=%s code=%s: %s", request_id(), path_for_logs(), error.code, error.message)
        return answer(status, error.code, error.message, error.details, {"Retry-After": RETRY_AFTER})
    if status == 429:  # noqa: PLR2004
        return answer(status, error.code, error.message, error.details, {"Retry-After": str(error.details["retry_after_s"])})
    return answer(status, error.code, error.message, error.details)


def _from_apiflask(error: HTTPError) -> Any:
    detail = cast("dict[str, Any]", error.detail or {})
    if error.status_code == 422 and detail:  # noqa: PLR2004
        fields = {name: texts for where in detail.values() for name, texts in (where.items() if isinstance(where, dict) else [])}
        unknown = sorted(str(name) for name, texts in fields.items() if texts == ["Unknown field."])
        if unknown:
            message = f"Unknown field {', '.join(unknown)}; /docs lists what is understood."
            return answer(422, "request.unknown_field", message, {"fields": unknown})
        return answer(422, "request.invalid", f"Not understood: {_sentence(fields).rstrip('.')}. See /docs.", {"fields": fields})
    return answer(error.status_code, CODES.get(error.status_code, "request.refused"), error.message or "Refused.", detail)


def _sentence(fields: Any, prefix: str = "") -> str:
    parts = []
    for name, texts in fields.items():
        at = f"{prefix}{name}"
        parts.append(_sentence(texts, f"{at}.") if isinstance(texts, dict) else f"{at}: {' '.join(map(str, texts))}")
    return "; ".join(parts)


def _from_werkzeug(error: HTTPException) -> Any:
    status = error.code or 500
    if isinstance(error, InternalServerError) or status >= 500:  # noqa: PLR2004
        return _from_anything(error)
    if status < 400:  # noqa: PLR2004
        return error.get_response()
    headers = {name: value for name, value in error.get_headers() if name.lower() in ("allow", "retry-after")}
    return answer(status, CODES.get(status, "request.refused"), error.description or error.name, {}, headers)


def _from_a_nest(error: RecursionError) -> Response:
    """A body that is nested deeper than Python's JSON reader goes is the asker's; a recursion of ours is not."""
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_globals.get("__name__") == "json.decoder":
            return answer(400, CODES[400], "The body is nested too deep to be read; nothing of it was done.", {})
        at = at.tb_next
    return _from_anything(error)


def _from_anything(error: Exception) -> Response:
    """Log once with the request id; the asker gets the id and no more."""
    log.error("failed request=%s %s %s", request_id(), request.method, path_for_logs(), exc_info=error)
    message = f"Something went wrong on our side; nothing was changed by us knowingly. Please report {request_id()}."
    return answer(500, "internal", message, {"request": request_id()})
