"""The id of each request, and the access log: who asked is in the audit log; here is what was asked, how it ended and how long it took.

No query, no header and no body is written: queries hold signatures, headers tokens and cookies. What of a path is a secret is left out.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from urllib.parse import quote

from flask import Flask, Response, g, request

from mapex.exchange import Exchange

log = logging.getLogger("web.access")

LONGEST_PATH = 300
_SECRET = re.compile(r"(?:(?<=^/invite/)|(?<=^/reset/)|(?<=^/register/))[^/]+|mpx_[^/]+")


def install(app: Flask) -> None:
    """Name each request, and log it where the settings say so; first of all, so that the time is that of everything."""
    ex: Exchange = app.extensions["mapex"]
    app.before_request(_begin)
    if ex.settings.access_log:
        app.after_request(_note)


def request_id() -> str:
    """The id of this request: in the header `X-Request-Id`, in errors, in the logs."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    found: str = g.request_id
    return found


def path_for_logs() -> str:
    """The path of this request on one line, of bounded length, and without what is secret in it."""
    shown = quote(_SECRET.sub("-", request.path), safe="/:@!$&'()*+,;=~-._")
    return shown if len(shown) <= LONGEST_PATH else f"{shown[:LONGEST_PATH]}..."


def _begin() -> None:
    request_id()
    g.begun = time.perf_counter()


def _note(response: Response) -> Response:
    size = response.calculate_content_length()
    took = (time.perf_counter() - g.get("begun", time.perf_counter())) * 1000
    log.info(
        "request=%s method=%s path=%s status=%d bytes=%s ms=%.1f",
        request_id(),
        quote(request.method[:16]),
        path_for_logs(),
        response.status_code,
        "-" if size is None else size,
        took,
    )
    return response
