"""Security headers on every answer, with a strict content security policy from day one; and no answer leads to another site."""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from mapex.exchange import Exchange
from web.edge.access import request_id

_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x1f\x7f-\x9f\ud800-\udfff]*")


def local_path(wish: str, otherwise: str = "/") -> str:
    """A wish of where to go next when it is a path of this site, else the other one; nothing that a caller names is followed unasked.

    Browsers take a backslash for a slash, and two slashes for another site; they leave out tabs and ends of lines before they look.
    """
    return wish if _LOCAL.fullmatch(wish) else otherwise


def install(app: Flask) -> None:
    """Add the headers to every answer of `app`."""
    ex: Exchange = app.extensions["mapex"]
    elsewhere = " ".join(sorted(_origins(ex)))

    def add(response: Response) -> Response:
        if response.location is not None:  # an address of ours is whole where a router made it
            response.headers["Location"] = local_path(response.location.removeprefix(request.host_url.rstrip("/")))
        response.headers.setdefault("Content-Security-Policy", _policy(elsewhere))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
        # What a signed-in person sees must not stay in a shared cache or the back button of a shared machine.
        response.headers.setdefault("Cache-Control", "no-store")
        if response.cache_control.public:  # a cookie in a shared cache would be everybody's
            del response.headers["Set-Cookie"]
        response.headers["X-Request-Id"] = request_id()
        if ex.settings.public_url.startswith("https:"):
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response

    app.after_request(add)
    app.jinja_env.globals["csp_nonce"] = nonce


def nonce() -> str:
    """The nonce of this request; used for the import map only, which cannot be a file."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    found: str = g.csp_nonce
    return found


def _policy(elsewhere: str) -> str:
    scripts = f"script-src 'self' 'nonce-{g.csp_nonce}'" if "csp_nonce" in g else "script-src 'self'"
    return (
        f"default-src 'none'; {scripts}; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; font-src 'self'; "
        f"connect-src 'self' {elsewhere}; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ).replace(" ;", ";")


def _origins(ex: Exchange) -> set[str]:
    """Other origins that the pages speak to: the store, and a basemap that the operator chose."""
    own = urlsplit(ex.settings.public_url)
    found = set()
    for address in (ex.settings.store_public_url, ex.settings.basemap):
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.netloc != own.netloc:
            found.add(f"{parts.scheme}://{parts.netloc}")
    return found
