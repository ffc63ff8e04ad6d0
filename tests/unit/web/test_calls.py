"""How often a person may call, and an address try tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from apiflask import APIFlask

from mapex.exchange import Exchange
from mapex.people import tokens
from tests.support.exchange import a_person, an_exchange
from web import create_app
from web.edge.limits.calls import BY_ROUTE, LOG, WRITES, WRONG_TOKENS, check_routes, limit_of
from web.edge.policy import policy, policy_of

FEW = dict.fromkeys(("grants_per_minute", "quotes_per_minute", "secrets_per_minute", "writes_per_minute", "log_reads_per_minute"), 3)


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex", **FEW)


@pytest.fixture
def app(ex: Exchange) -> APIFlask:
    return create_app(ex)


def headers(ex: Exchange, **who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.create(ex, a_person(ex, **who), days=30)}"}


def test_every_route_that_changes_something_or_reads_the_log_has_a_limit(app: APIFlask) -> None:
    check_routes(app)
    for rule in app.url_map.iter_rules():
        wanted = policy_of(app.view_functions[rule.endpoint])
        assert wanted is not None
        if not wanted.is_public and ((rule.methods or set()) & WRITES or wanted.name in LOG):
            assert limit_of(rule.endpoint, wanted) in FEW, rule


def test_a_route_without_a_limit_stops_the_start(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.edge.limits.calls.BY_POLICY", {})
    app.add_url_rule("/new", "new", policy("sell")(lambda: ""), methods=["POST"])
    with pytest.raises(RuntimeError, match="/new"):
        check_routes(app)


def test_a_limit_of_a_route_that_is_gone_stops_the_start(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BY_ROUTE, "gone.route", "writes_per_minute")
    with pytest.raises(RuntimeError, match=r"gone\.route"):
        check_routes(app)


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/grants", "member"),
        ("POST", "/quotes", "member"),
        ("POST", "/tokens", "member"),
        ("POST", "/invitations", "member"),
        ("POST", "/datasets", "member"),
        ("DELETE", "/areas/x", "member"),
        ("GET", "/audit/events", "auditor"),
        ("GET", "/audit/events", "member"),
        ("POST", "/organisations", "operator"),
    ],
)
def test_a_person_who_calls_too_often_waits_and_others_do_not(ex: Exchange, app: APIFlask, method: str, path: str, role: str) -> None:
    one, other = headers(ex, role=role), headers(ex, role=role)
    client = app.test_client()
    body = {"json": {}} if method == "POST" else {}
    statuses = [client.open(f"/api/v1{path}", method=method, headers=one, **body).status_code for _ in range(4)]
    assert 429 not in statuses[:3] and statuses[3] == 429
    refused = client.open(f"/api/v1{path}", method=method, headers=one, **body)
    assert (refused.json or {})["code"] == "rate.limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert client.open(f"/api/v1{path}", method=method, headers=other, **body).status_code == statuses[0]


def test_two_tokens_of_one_person_are_counted_together(ex: Exchange, app: APIFlask) -> None:
    person, client = a_person(ex), app.test_client()
    both = [{"Authorization": f"Bearer {tokens.create(ex, person, days=30)}"} for _ in range(2)]
    statuses = [client.post("/api/v1/datasets", headers=both[n % 2], json={}).status_code for n in range(4)]
    assert statuses[3] == 429


def test_an_address_that_tries_tokens_waits_and_known_tokens_go_on(ex: Exchange, app: APIFlask) -> None:
    good, fresh, client = headers(ex), headers(ex), app.test_client()
    assert client.get("/api/v1/me", headers=good).status_code == 200
    wrong = [client.get("/api/v1/me", headers={"Authorization": f"Bearer mpx_{n}_x"}) for n in range(WRONG_TOKENS + 1)]
    assert [one.status_code for one in wrong] == [401] * WRONG_TOKENS + [429]
    assert (wrong[-1].json or {})["code"] == "token.tries"
    assert client.get("/api/v1/me", headers=good).status_code == 200
    assert client.get("/api/v1/me", headers=fresh).status_code == 429, "a right token that was never seen cannot be told from a guess"
    elsewhere = client.get("/api/v1/me", headers=fresh, environ_base={"REMOTE_ADDR": "198.51.100.7"})
    assert elsewhere.status_code == 200


def test_a_revoked_token_is_not_known_to_be_good(ex: Exchange, app: APIFlask) -> None:
    person, client = a_person(ex), app.test_client()
    secret = tokens.create(ex, person, days=30)
    sent = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/me", headers=sent).status_code == 200
    [listed] = tokens.of(ex, person)
    tokens.revoke(ex, person, listed.id)
    assert [client.get("/api/v1/me", headers=sent).status_code for _ in range(WRONG_TOKENS + 1)] == [401] * WRONG_TOKENS + [429]
