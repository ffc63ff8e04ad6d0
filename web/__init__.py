"""HTTP in and out: JSON API, pages, sessions, the map application. No rule, no SQL, no file formats here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from apiflask import APIFlask

from mapex.people import signers
from tiles.store.directory import DirectoryStore
from web.edge import access, auth, bodies, description, errors, headers, static_files, store_files
from web.edge.limits import calls, turns, visitors
from web.edge.policy import check_routes
from web.edge.schemas import Error, LongInteger, ShortInteger
from web.pages import shared, theme
from web.words import language

if TYPE_CHECKING:
    from mapex.exchange import Exchange

PAGES = (
    "public",
    "showroom.datasets",
    "showroom.sellers",
    "showroom.questions",
    "login",
    "buy",
    "sell",
    "publish",
    "audit",
    "account",
    "security",
    "operate",
    "theme",
    "front.registration",
    "front.forgotten",
    "front.help",
)
"""Modules of `web.pages` with a `blueprint`; the menu is `web.pages.navigation`."""

API = (
    "oversight.health",
    "oversight.me",
    "oversight.tokens",
    "oversight.notices",
    "oversight.passkeys",
    "oversight.participants",
    "oversight.applications",
    "oversight.purchasing",
    "selling.uploads",
    "selling.systems",
    "selling.datasets",
    "selling.descriptions",
    "selling.versions",
    "selling.previews",
    "selling.jobs",
    "buying.prices",
    "buying.quotes",
    "buying.areas",
    "buying.places",
    "selling.offers",
    "selling.appraisals",
    "buying.orders",
    "buying.approvals",
    "buying.invoices",
    "buying.updates",
    "buying.grants",
    "buying.wallet",
    "oversight.ledger",
    "oversight.permits",
    "oversight.reviews",
    "oversight.permit_requests",
    "oversight.audit",
    "selling.sales",
    "buying.coverage",
    "showroom.catalogue",
    "showroom.samples",
    "showroom.questions",
)
"""Modules of `web.api` with a `blueprint`, in the order of the API's description."""


def create_app(ex: Exchange) -> APIFlask:
    """The web application of an open exchange.

    Raises: RuntimeError: a route declares no policy, or has no limit.
    """
    app = APIFlask(__name__, title="mapex", version="1", docs_path=None, spec_path=None, static_folder=cast(str, None))
    app.extensions["mapex"] = ex
    app.url_map.converters |= {"int": ShortInteger, "long": LongInteger}
    app.config.update(_configuration(ex))
    app.json.sort_keys = False  # type: ignore[attr-defined]
    for part in (access, errors, headers, language, theme, visitors, turns, calls, auth):
        part.install(app)
    app.before_request(auth.guard)
    for part in (bodies, static_files, shared):  # after the guard: nobody's body is looked through who may not ask
        part.install(app)
    _register(app, ex)
    if ex.settings.proxies:
        from werkzeug.middleware.proxy_fix import ProxyFix

        # Each proxy adds the address that it saw at the right end; what is further left may be made up by the caller.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=ex.settings.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    check_routes(app)
    calls.check_routes(app)
    return app


def _configuration(ex: Exchange) -> dict[str, Any]:
    return {
        "MAX_CONTENT_LENGTH": bodies.LONGEST_BODY,
        "MAX_FORM_MEMORY_SIZE": bodies.LONGEST_FORM,
        "TRUSTED_HOSTS": _hosts(ex),
        "OPENAPI_VERSION": "3.1.0",
        "AUTO_SERVERS": False,
        "SERVERS": [{"url": ex.settings.public_url}],
        "DESCRIPTION": "The exchange over HTTP. Every route needs a token, or a session, except where it says that it needs none. "
        "Errors are {code, message, details, request_id}; the id is also in the header X-Request-Id. Unknown fields are refused.",
        "VALIDATION_ERROR_SCHEMA": Error,
        "HTTP_ERROR_SCHEMA": Error,
    }


def _register(app: APIFlask, ex: Exchange) -> None:
    """All routes: pages, API, and where there are such, the demonstration's door and the directory store."""
    for name in (*PAGES, "demo") if ex.settings.demo else PAGES:
        app.register_blueprint(importlib.import_module(f"web.pages.{name}").blueprint, enable_openapi=False)
    for name in API:
        app.register_blueprint(importlib.import_module(f"web.api.{name}").blueprint)
    if ex.settings.store == "directory":
        files = store_files.blueprint(ex, cast(DirectoryStore, ex.store), lambda signer: signers.is_current(ex, signer))
        app.register_blueprint(files, enable_openapi=False)
    description.install(app)


def _hosts(ex: Exchange) -> list[str]:
    """Host names that requests may name; anything else is answered with 400 (no cache or link poisoning)."""
    named = {urlsplit(ex.settings.public_url).hostname, urlsplit(ex.settings.store_public_url).hostname}
    listening = {ex.settings.host} - {"0.0.0.0", "::"}
    return sorted({host for host in named | listening if host} | {"127.0.0.1", "localhost", "[::1]"})
