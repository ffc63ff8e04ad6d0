"""Requests that a client gets wrong: every body of the API refuses what it does not know, and says so without a word in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient

from mapex.exchange import Exchange
from mapex.people import tokens as api_tokens
from tests.support.exchange import a_person, an_exchange
from web import create_app

PURE = {"get", "head", "options", "parameters"}


@pytest.fixture(scope="module")
def ex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    there = an_exchange(tmp_path_factory.mktemp("requests") / "ex")
    yield there
    there.engine.dispose()


@pytest.fixture(scope="module")
def client(ex: Exchange) -> FlaskClient:
    return create_app(ex).test_client()


@pytest.fixture(scope="module")
def tokens(ex: Exchange) -> Mapping[str, str]:
    """A token of each role."""
    people = {"member": a_person(ex), "operator": a_person(ex, role="operator"), "auditor": a_person(ex, role="auditor")}
    return {role: api_tokens.create(ex, actor, "test", ("*",), 30) for role, actor in people.items()}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def ask(client: FlaskClient, token: str, method: str, path: str, **given: Any) -> Any:
    return client.open(path, method=method, headers={"Authorization": f"Bearer {token}"}, **given)


def allowed(client: FlaskClient, tokens: Mapping[str, str], method: str, path: str, **given: Any) -> Any:
    """The answer to a role that may ask."""
    answers = [ask(client, token, method, path, **given) for token in tokens.values()]
    return next(answer for answer in answers if answer.status_code != 403)


def bodies(client: FlaskClient) -> list[tuple[str, str]]:
    """Every (method, path) of the API that takes JSON, from its own description; ids are words that exist nowhere."""
    spec = client.get("/openapi.json").json
    found = []
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            if method not in PURE and "requestBody" in operation:
                filled = path.replace("{", "<").replace("}", ">")
                while "<" in filled:
                    start, end = filled.index("<"), filled.index(">")
                    filled = filled[:start] + ("1" if filled[start + 1 : end] in ("number", "version") else "nothing") + filled[end + 1 :]
                found.append((method.upper(), filled))
    return found


def test_every_body_refuses_a_field_that_it_does_not_know_and_names_it(client: FlaskClient, tokens: Mapping[str, str]) -> None:
    routes = bodies(client)
    assert len(routes) >= 15
    for method, path in routes:
        answer = allowed(client, tokens, method, path, json={"surplus_field": 1})
        report = answer.json
        assert answer.status_code == 422, (method, path, report)
        assert report["code"] == "request.unknown_field", (method, path, report)
        assert "surplus_field" in report["message"], (method, path, report)
        assert report["details"]["fields"] == ["surplus_field"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", ""),
        (b"{", "request.malformed"),
        (b"[]", "request.invalid"),
        (b"null", "request.invalid"),
        (b'"text"', "request.invalid"),
        (b"\xff\xfe", "request.malformed"),
        (b'{"a": ' * 100_000, "request.malformed"),
    ],
    ids=["nothing", "cut", "list", "null", "text", "no UTF-8", "deep nest"],
)
def test_no_body_of_the_wrong_form_is_a_fault_of_ours(client: FlaskClient, tokens: Mapping[str, str], body: bytes, code: str) -> None:
    for method, path in bodies(client):
        answer = allowed(client, tokens, method, path, data=body, content_type="application/json")
        report = answer.json
        if not body and answer.status_code in (200, 201, 404):
            continue  # nothing is asked of this body: everything in it has a default; the address names nothing; nothing is changed
        assert answer.status_code in (400, 422), (method, path, report)
        assert not code or report["code"] in (code, "request.invalid"), (method, path, report)
        assert report["message"] and set(report) == {"code", "message", "details", "request_id"}


WRONG = (None, True, -1, 1e308, 10**30, "", "\u0000", "\udcff", "x" * 100_000, [], [None], {}, {"": {}})


MEANT = {("PATCH", "/api/v1/seller"): ("",), ("POST", "/api/v1/notices/read"): (None,), ("PUT", "/api/v1/notices/ways"): ({},)}
"""Of these values what is meant all the same: no text about oneself, all notices, and no change."""


def test_no_field_of_the_wrong_type_is_a_fault_of_ours(client: FlaskClient, tokens: Mapping[str, str]) -> None:
    """Each named field of each body, alone, with values that nobody means."""
    spec = client.get("/openapi.json").json
    names = {name for schema in spec["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert len(names) > 60
    inputs = inputs_of(spec)
    for (method, path), fields in inputs.items():
        for value in WRONG:
            answer = allowed(client, tokens, method, path, json=dict.fromkeys(fields, value))
            assert answer.status_code < 500, (method, path, value, answer.text[:300])
            is_meant = method == "DELETE" or value in MEANT.get((method, path), ())
            assert answer.status_code >= 400 or is_meant, (method, path, value, answer.text[:300])
            assert is_meant or set(answer.json) == {"code", "message", "details", "request_id"}


def inputs_of(spec: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """(method, path) -> names of the fields of its body."""
    found = {}
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            if method in PURE or "requestBody" not in operation:
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            named = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            filled = path.replace("{number}", "1").replace("{version}", "1").replace("{", "").replace("}", "")
            found[method.upper(), filled] = list(named["properties"])
    return found


def test_every_query_refuses_a_name_that_it_does_not_know(client: FlaskClient, tokens: Mapping[str, str]) -> None:
    spec = client.get("/openapi.json").json
    asked = 0
    for path, operations in spec["paths"].items():
        named = [p for p in operations.get("get", {}).get("parameters", []) if p.get("in") == "query"]
        if named and "{" not in path:
            answer = allowed(client, tokens, "GET", f"{path}?surplus_name=1")
            assert (answer.status_code, answer.json["code"]) == (422, "request.unknown_field"), (path, answer.json)
            assert "surplus_name" in answer.json["message"]
            asked += 1
    assert asked >= 3
