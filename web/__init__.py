"""HTTP in and out: JSON API, pages, sessions, the map application. No rule, no SQL, no file formats here."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from apiflask import APIFlask
from flask import Response, current_app, jsonify

from web.edge import auth, bodies, errors, headers, static_files, visitors
from web.edge.policy import check_routes, policy
from web.edge.schemas import Error, LongInteger, ShortInteger
from web.pages import account, audit, buy, dataset, operate, public, publish, sell, theme
from web.words import language

if TYPE_CHECKING:
    from mapex.exchange import Exchange

MODULES = (
    "oversight.me",
    "oversight.participants",
    "selling.uploads",
    "selling.systems",
    "selling.datasets",
    "selling.previews",
    "selling.jobs",
    "buying.prices",
    "buying.areas",
    "selling.appraisals",
    "buying.orders",
    "buying.grants",
    "buying.wallet",
    "oversight.permits",
    "oversight.audit",
    "selling.sales",
    "buying.coverage",
)
"""Modules of `web.api` with a `blueprint`, in the order of the API's description; add yours when it lands."""

LONGEST_BODY = 8 << 20
"""Bytes of a request; room for 400,000 quadkeys. Uploads go to the store, which has its own limit."""


def create_app(ex: Exchange) -> APIFlask:
    """The web application of an open exchange.

    Raises: RuntimeError: a route declares no policy.
    """
    app = APIFlask(__name__, title="mapex", version="1", docs_path=None, spec_path=None, static_folder=cast(str, None))
    app.extensions["mapex"] = ex
    app.url_map.converters |= {"int": ShortInteger, "long": LongInteger}
    app.config.update(
        MAX_CONTENT_LENGTH=LONGEST_BODY,
        MAX_FORM_MEMORY_SIZE=1 << 20,
        TRUSTED_HOSTS=_hosts(ex),
        OPENAPI_VERSION="3.1.0",
        AUTO_SERVERS=False,
        SERVERS=[{"url": ex.settings.public_url}],
        SECURITY_SCHEMES={"token": {"type": "http", "scheme": "bearer", "description": "an API token: mpx_..."}},
        DESCRIPTION="The exchange over HTTP. Every route needs a token, or a session, except where it says that it needs none. "
        "Errors are {code, message, details}; unknown fields are refused.",
        VALIDATION_ERROR_SCHEMA=Error,
        HTTP_ERROR_SCHEMA=Error,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    errors.install(app)
    headers.install(app)
    language.install(app)
    theme.install(app)
    visitors.install(app)
    auth.install(app)
    app.before_request(auth.guard)
    bodies.install(app)
    static_files.install(app)
    public.install(app)
    for part in (buy, dataset, sell, publish, audit, account, operate):
        app.register_blueprint(part.blueprint, enable_openapi=False)
    if ex.settings.demo:
        from web.pages import demo

        app.register_blueprint(demo.blueprint, enable_openapi=False)
    for name in MODULES:
        app.register_blueprint(importlib.import_module(f"web.api.{name}").blueprint)
    if ex.settings.store == "directory":
        from web.edge import store_files

        app.register_blueprint(store_files.blueprint(_directory(ex)), enable_openapi=False)
    if ex.settings.proxies:
        from werkzeug.middleware.proxy_fix import ProxyFix

        # Each proxy adds the address that it saw at the right end; what is further left may be made up by the caller.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=ex.settings.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    app.add_url_rule("/openapi.json", view_func=app.doc(hide=True)(_openapi))
    check_routes(app)
    return app


@policy("public")
def _openapi() -> Response:
    """The description of the API (OpenAPI 3.1); `/docs` shows it."""
    with warnings.catch_warnings():
        # APIFlask names a schema once more when it is met nested first and alone later; both names describe the same.
        warnings.filterwarnings("ignore", message=".*has already been added to the spec", category=UserWarning)
        return jsonify(cast(APIFlask, current_app).spec)


def _directory(ex: Exchange) -> Any:
    return ex.store


def _hosts(ex: Exchange) -> list[str]:
    """Host names that requests may name; anything else is answered with 400 (no cache or link poisoning)."""
    named = {urlsplit(ex.settings.public_url).hostname, urlsplit(ex.settings.store_public_url).hostname}
    listening = {ex.settings.host} - {"0.0.0.0", "::"}
    return sorted({host for host in named | listening if host} | {"127.0.0.1", "localhost", "[::1]"})
