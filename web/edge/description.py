"""`/openapi.json`: the description of the API (OpenAPI 3.1), with what no route can say alone: who may ask it, and how it refuses.

Who may ask is the policy of the route. Most refusals follow from policy and body (`_statuses`), 404 from a name in the address. What is
left, 402, 404 and 409 of single routes, is declared by them: `@blueprint.doc(responses=[404, 409])`.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, cast

from apiflask import APIFlask
from flask import Response, current_app, jsonify

from web.edge.policy import Policy, policy, policy_of

REFUSALS = {
    400: "The request cannot be read: its JSON, its host or its headers.",
    401: "Nobody is signed in, or the token is unknown, expired or revoked.",
    402: "The wallet does not hold enough.",
    403: "Known and not allowed: role, scope of the token, licence or permit.",
    404: "It does not exist, or not for you.",
    409: "The state has moved on since you looked, or what is named so is there already.",
    411: "The body comes in pieces, without its length; send it with `Content-Length`.",
    413: "The body is larger than is taken.",
    415: "The body is not JSON.",
    422: "Not understood, or against a rule; `details` says where.",
    429: "Too much was asked for at once; ask again after `Retry-After` seconds.",
    503: "Database, store or disk cannot serve now; nothing was changed. Ask again after `Retry-After` seconds.",
}
"""What a status of an error means; all have the body `Error`."""

SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "an API token: mpx_..."},
    "session": {"type": "apiKey", "in": "cookie", "name": "mapex", "description": "the cookie of the pages; `__Host-mapex` over https"},
    "page": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "with a session: the secret of a page that is open"},
}

_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "`Bearer`"}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
    503: {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
}
_HEADERS_READ = {
    ("post", "/api/v1/orders"): [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            "description": "a text of your choice for this purchase: the same key answers the same order again",
        }
    ]
}
_UNSAFE = frozenset({"post", "put", "patch", "delete"})
_ASKS_NOBODY = frozenset({"/healthz"})


def install(app: APIFlask) -> None:
    """Serve the description; comes when all routes are there."""
    app.config["SECURITY_SCHEMES"] = SECURITY_SCHEMES
    app.spec_processor(complete)
    app.add_url_rule("/openapi.json", view_func=app.doc(hide=True)(_openapi))


@policy("public")
def _openapi() -> Response:
    """The description of the API (OpenAPI 3.1); `/docs` shows it."""
    with warnings.catch_warnings():
        # APIFlask names a schema once more when it is met nested first and alone later; both names describe the same.
        warnings.filterwarnings("ignore", message=".*has already been added to the spec", category=UserWarning)
        return jsonify(cast(APIFlask, current_app).spec)


def complete(spec: Any) -> Any:
    """The description with policies and refusals of every route, each tag once."""
    policies = _policies(cast(APIFlask, current_app))
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            _complete(operation, path, method, policies[path, method])
    spec["components"]["responses"] = {_name(status): _refusal(status) for status in REFUSALS}
    # Several modules share a tag, of which OpenAPI wants one line each.
    return {**spec, "tags": list({tag["name"]: tag for tag in spec["tags"]}.values())}


def _policies(app: APIFlask) -> dict[tuple[str, str], Policy]:
    found: dict[tuple[str, str], Policy] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule)
        declared = policy_of(app.view_functions[rule.endpoint])
        assert declared is not None, "check_routes ran at start"
        found |= {(path, method.lower()): declared for method in rule.methods or ()}
    return found


def _complete(operation: dict[str, Any], path: str, method: str, declared: Policy) -> None:
    operation["security"] = _security(declared, method)
    operation["parameters"] += _HEADERS_READ.get((method, path), [])
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if not declared.is_public:
        operation["x-roles"], operation["x-scopes"] = sorted(declared.roles), sorted(declared.scopes)
    given = operation["responses"]
    named = {int(status) for status in given if int(status) >= 400}  # noqa: PLR2004
    for status in named | _statuses(path, method, declared):
        given[str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}
    operation["responses"] = dict(sorted(given.items()))


def _statuses(path: str, method: str, declared: Policy) -> set[int]:
    """The refusals that follow from who may ask, and with what."""
    found = {400}
    if path in _ASKS_NOBODY:
        return found
    found |= {422, 503}  # a text that no database can keep, in whatever place of the request; a database that is away
    if not declared.is_public:
        found |= {401, 403, 429}
    if method in _UNSAFE:
        found |= {411, 413, 415}
    return found


def _security(declared: Policy, method: str) -> list[dict[str, list[str]]]:
    """Who asks: a token, or the session of a page, which proves itself where something may change."""
    if declared.is_public:
        return []
    session: dict[str, list[str]] = {"session": [], **({"page": []} if method in _UNSAFE else {})}
    return [*([{}] if declared.visitors else []), {"token": []}, session]


def _refusal(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": REFUSALS[status], "content": content, **({"headers": _HEADERS[status]} if status in _HEADERS else {})}


def _name(status: int) -> str:
    return f"Refused{status}"
