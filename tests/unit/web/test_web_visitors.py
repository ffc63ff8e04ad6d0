"""Visitors without a session: which routes answer them, who counts as one, and the limit on what they may cost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from apiflask import APIFlask

from mapex.exchange import Exchange
from mapex.people import persons, tokens
from tests.support.exchange import a_person, an_exchange
from web import create_app
from web.edge.limits import visitors
from web.edge.limits.visitors import SECONDS, SECONDS_BACK, Allowances, address_key
from web.edge.policy import policy_of

BOX = {"type": "Polygon", "coordinates": [[[126.97, 37.55], [126.98, 37.55], [126.98, 37.56], [126.97, 37.56], [126.97, 37.55]]]}
OPEN = {"/api/v1/search", "/api/v1/estimates", "/api/v1/estimates/tiles", "/api/v1/coverage"}
OPEN_PLACES = {"GET /api/v1/places", "GET /api/v1/places/<path:name>", "POST /api/v1/places/names", "POST /api/v1/outlines"}


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


@pytest.fixture
def app(ex: Exchange) -> APIFlask:
    return create_app(ex)


def test_these_routes_of_the_api_answer_visitors_and_no_others(app: APIFlask) -> None:
    client = app.test_client()
    answers = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            path = re.sub(r"<int:\w+>", "1", re.sub(r"<(path:)?\w+>", "x", rule.rule))
            for method in (rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}:
                answers[f"{method} {rule.rule}"] = client.open(path, method=method, json={"region": BOX}).status_code
    signing_in = {"POST /api/passkeys/login", "POST /api/passkeys/login/challenge"}
    assert {answers.pop(route) for route in signing_in} == {422}  # they read the form before they say no
    assert {route for route, status in answers.items() if status != 401} == {f"POST {path}" for path in OPEN} | OPEN_PLACES
    assert {answers[f"POST {path}"] for path in OPEN} == {200}


def test_the_description_says_which_routes_need_no_token(app: APIFlask) -> None:
    paths = (app.test_client().get("/openapi.json").json or {})["paths"]
    report = {
        path.replace("{name}", "<path:name>")
        for path, methods in paths.items()
        for one in methods.values()
        if "Needs no token" in one.get("description", "")
    }
    assert (
        report
        == OPEN | {route.split()[1] for route in OPEN_PLACES}
        == {str(r) for r in app.url_map.iter_rules() if (found := policy_of(app.view_functions[r.endpoint])) and found.visitors}
    )


def test_a_token_that_is_not_valid_is_no_visitor(app: APIFlask) -> None:
    answer = app.test_client().post("/api/v1/estimates", json={"region": BOX}, headers={"Authorization": "Bearer mpx_x_y"})
    assert (answer.status_code, (answer.json or {})["code"]) == (401, "token.unknown")


def test_a_page_whose_session_ended_is_informed(app: APIFlask) -> None:
    """It shows prices as of its organisation, and must not go on with those of a visitor."""
    answer = app.test_client().post("/api/v1/estimates", json={"region": BOX}, headers={"X-CSRF-Token": "of a session that ended"})
    assert (answer.status_code, (answer.json or {})["code"]) == (401, "login.required")


def test_a_cookie_alone_asks_as_a_visitor(ex: Exchange, app: APIFlask) -> None:
    """A page that was opened before signing in in another tab goes on; another site learns nothing of the organisation."""
    by, client = a_person(ex, "hanbit"), app.test_client()
    persons.set_password(ex, None, by.email, "correct horse battery")
    form = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)
    assert form
    client.post("/login", data={"email": by.email, "password": "correct horse battery", "csrf_token": form[1]})
    assert client.get("/api/v1/me").status_code == 200
    app.extensions["visitors"].spend("127.0.0.1", 2 * SECONDS)
    assert client.post("/api/v1/estimates", json={"region": BOX}).status_code == 429


def test_visitors_of_an_address_that_asked_too_much_wait_and_members_do_not(ex: Exchange, app: APIFlask) -> None:
    client = app.test_client()
    assert client.post("/api/v1/estimates", json={"region": BOX}).status_code == 200
    assert len(app.extensions["visitors"]) == 1, "what it took is counted"
    app.extensions["visitors"].spend("127.0.0.1", SECONDS + 10)
    answer = client.post("/api/v1/estimates", json={"region": BOX})
    assert (answer.status_code, (answer.json or {})["code"]) == (429, "rate.limited")
    assert int(answer.headers["Retry-After"]) > 30, "what is owed, and what the first question took"
    elsewhere = client.post("/api/v1/estimates", json={"region": BOX}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 200
    token = tokens.create(ex, a_person(ex, "hanbit"))
    assert client.post("/api/v1/estimates", json={"region": BOX}, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_request_that_fails_costs_too(app: APIFlask) -> None:
    app.test_client().post("/api/v1/estimates", json={"region": {"type": "Polygon", "coordinates": []}})
    assert len(app.extensions["visitors"]) == 1


def test_a_visitors_request_is_small_and_so_is_the_list(ex: Exchange, app: APIFlask) -> None:
    client, token = app.test_client(), tokens.create(ex, a_person(ex, "hanbit"))
    many = {"quadkeys": ["1321103200112233"] * 40_000}
    signed_in = {"Authorization": f"Bearer {token}"}
    refused = client.post("/api/v1/estimates", json=many)
    assert (refused.status_code, (refused.json or {})["code"]) == (413, "request.too_large")
    assert client.post("/api/v1/estimates", json=many, headers=signed_in).status_code == 200
    large = {"region": {"type": "Polygon", "coordinates": [[[126, 37], [126.4, 37], [126.4, 37.4], [126, 37.4], [126, 37]]]}, "limit": 2000}
    for headers, count in ((None, 1000), (signed_in, 2000)):
        found = client.post("/api/v1/estimates/tiles", json=large, headers=headers).json or {}
        assert (len(found["tiles"]), found["truncated"]) == (count, True)


def test_an_allowance_is_used_up_comes_back_and_is_forgotten() -> None:
    at = [100.0]
    allowances = Allowances(now=lambda: at[0])
    allowances.spend("a", SECONDS)
    assert allowances.wait("a") == 0, "as much as it may"
    allowances.spend("a", 1)
    assert allowances.wait("a") == 1 / SECONDS_BACK and allowances.wait("b") == 0
    at[0] += 1 / SECONDS_BACK
    assert allowances.wait("a") == 0
    allowances.spend("b", 1)
    assert len(allowances) == 2
    at[0] += SECONDS / SECONDS_BACK
    allowances.spend("c", 1)
    assert len(allowances) == 1, "those whose allowance is whole again take no room"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "local"),
        (None, "local"),
    ],
)
def test_an_address_of_ipv6_is_its_network(address: str | None, key: str) -> None:
    assert address_key(address) == key


def test_the_limits_are_in_the_operators_page() -> None:
    text = (Path(visitors.__file__).parents[3] / "docs/operator.md").read_text(encoding="utf-8")
    for word in (f"{visitors.SECONDS:.0f} seconds", f"{visitors.LONGEST_BODY >> 10} KiB", f"{visitors.MOST_TILES:,} tiles"):
        assert word in text
