"""Every route has a policy; tokens, sessions and forged requests; errors tell no more than they should."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer

from mapex.exchange import Exchange
from mapex.people import persons, roles, tokens
from tests.support.exchange import a_person, an_exchange
from web import create_app
from web.edge.policy import POLICIES, authorize, check_routes, policy, policy_of

PASSWORD = "correct horse battery"


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


@pytest.fixture
def app(ex: Exchange) -> APIFlask:
    return create_app(ex)


def token_of(ex: Exchange, email: str, *scopes: str) -> dict[str, str]:
    person = persons.get_person(ex, email=email)
    assert person
    return {"Authorization": "Bearer " + tokens.create(ex, person, scopes=scopes or ("*",))}


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD) -> int:
    page = client.get("/login").get_data(as_text=True)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found
    return client.post("/login", data={"email": email, "password": password, "csrf_token": found[1]}).status_code


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "///evil.example", "javascript:alert(1)", "https:evil.example"]
)
@pytest.mark.parametrize("where", ["address", "form"])
def test_log_in_leads_to_no_other_site(ex: Exchange, app: APIFlask, elsewhere: str, where: str) -> None:
    """A link that somebody prepared lets one in all the same, to where everybody begins."""
    by, client = a_person(ex, "hanbit"), app.test_client()
    persons.set_password(ex, None, by.email, PASSWORD)
    address = f"/login?next={quote(elsewhere)}" if where == "address" else "/login"
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(address).get_data(as_text=True))
    assert found
    form = {"email": by.email, "password": PASSWORD, "csrf_token": found[1]} | ({"next": elsewhere} if where == "form" else {})
    answer = client.post(address, data=form)
    assert answer.status_code == 302
    assert re.fullmatch(r"/(explore|evil\.example)", answer.location)  # a path of this site


def test_every_route_declares_a_policy(app: APIFlask) -> None:
    assert [str(r) for r in app.url_map.iter_rules() if policy_of(app.view_functions[r.endpoint]) is None] == []


def test_a_route_without_policy_stops_the_start(app: APIFlask) -> None:
    app.view_functions["bare"] = lambda: "x"
    app.url_map.add(app.url_rule_class("/bare", endpoint="bare"))
    with pytest.raises(RuntimeError, match="/bare"):
        check_routes(app)


def test_an_unknown_policy_cannot_be_declared() -> None:
    with pytest.raises(KeyError):
        policy("anything")


def test_no_token_is_401_and_json(app: APIFlask) -> None:
    answer = app.test_client().get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.json is not None and answer.json["code"] == "login.required"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_says_who_it_is(ex: Exchange, app: APIFlask) -> None:
    by = a_person(ex, "hanbit")
    answer = app.test_client().get("/api/v1/me", headers=token_of(ex, by.email))
    purchase = {"may_pay": True, "order_limit": None, "month_limit": None, "spent": 0}
    who = {"person": by.person_id, "email": by.email, "role": "member", "org": "hanbit", "scopes": ["*"]}
    assert answer.json == {**who, "purchase": purchase}


@pytest.mark.parametrize(("name", "method", "stops"), [("own", "POST", True), ("audit", "DELETE", True), ("browse", "POST", False)])
def test_a_route_where_a_token_that_may_only_look_changes_something_stops_the_start(
    app: APIFlask, name: str, method: str, stops: bool
) -> None:
    app.add_url_rule("/api/v1/loose", view_func=policy(name)(lambda: ""), endpoint="loose", methods=[method])
    if not stops:
        check_routes(app)
        return
    with pytest.raises(RuntimeError, match="/api/v1/loose"):
        check_routes(app)


@pytest.mark.parametrize("scope", ["read", "audit"])
def test_a_token_that_may_only_look_removes_and_renames_nothing(ex: Exchange, app: APIFlask, scope: str) -> None:
    headers = token_of(ex, a_person(ex, "hanbit").email, scope)
    client = app.test_client()
    for method, path in (
        ("DELETE", "/areas/are_x"),
        ("PATCH", "/areas/are_x"),
        ("PATCH", "/quotes/quo_x"),
        ("POST", "/quotes/quo_x/renew"),
    ):
        answer = client.open(f"/api/v1{path}", method=method, json={"name": "x"}, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (403, "token.scope"), path


def test_a_wrong_token_is_refused_even_with_a_good_session(ex: Exchange, app: APIFlask) -> None:
    by = a_person(ex, "hanbit")
    persons.set_password(ex, None, by.email, PASSWORD)
    client = app.test_client()
    assert sign_in(client, by.email) == 302
    assert client.get("/api/v1/me").status_code == 200
    assert client.get("/api/v1/me", headers={"Authorization": "Bearer mpx_x_y"}).status_code == 401


def test_the_cookie_of_the_version_before_opens_nothing(ex: Exchange, app: APIFlask) -> None:
    """Until then the session was in the cookie, signed with the secret key; the tokens of that library were never taken."""
    by, client = a_person(ex, "hanbit"), app.test_client()
    person = persons.get_person(ex, email=by.email)
    assert person
    signer = URLSafeTimedSerializer(ex.settings.secret_key, salt="cookie-session", signer_kwargs={"key_derivation": "hmac"})
    session = signer.dumps({"_user_id": person.session_key, "_fresh": True, "fs_cc": "set"})
    client.set_cookie("mapex", str(session))
    answers = [
        client.get("/api/v1/me"),
        client.get("/api/v1/me", headers={"Authentication-Token": str(session)}),
        client.get("/api/v1/me", query_string={"auth_token": str(session)}),
        client.post("/api/v1/tokens", json={"auth_token": str(session)}),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401]


def test_a_suspended_person_is_out_at_the_next_request(ex: Exchange, app: APIFlask) -> None:
    by = a_person(ex, "hanbit")
    persons.set_password(ex, None, by.email, PASSWORD)
    client, token = app.test_client(), token_of(ex, by.email)
    assert sign_in(client, by.email) == 302
    roles.set_state(ex, None, by.email, "suspended")
    assert client.get("/api/v1/me").status_code == 401
    assert client.get("/api/v1/me", headers=token).status_code == 401


def test_wrong_password_and_unknown_person_look_the_same(ex: Exchange, app: APIFlask) -> None:
    by = a_person(ex, "hanbit")
    persons.set_password(ex, None, by.email, PASSWORD)
    pages = []
    for email in (by.email, "nobody@nowhere.example"):
        client = app.test_client()
        assert sign_in(client, email, "wrong password 123") == 200
        assert client.get("/api/v1/me").status_code == 401
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").get_data(as_text=True))
        assert token
        body = client.post("/login", data={"email": email, "password": "wrong password 123", "csrf_token": token[1]}).get_data(as_text=True)
        pages.append(re.sub(r'value="[^"]*"', "", body))
    assert pages[0] == pages[1]


def test_log_in_is_limited(ex: Exchange, app: APIFlask) -> None:
    by, client = a_person(ex, "hanbit"), app.test_client()
    statuses = [sign_in(client, by.email, "wrong password 123") for _ in range(7)]
    assert statuses[:5] == [200] * 5 and statuses[-1] == 429


def test_log_in_without_the_form_secret_is_refused(ex: Exchange, app: APIFlask) -> None:
    by = a_person(ex, "hanbit")
    persons.set_password(ex, None, by.email, PASSWORD)
    client = app.test_client()
    client.post("/login", data={"email": by.email, "password": PASSWORD})
    assert client.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_limited_token_can_only_do_what_its_scope_says(ex: Exchange, name: str) -> None:
    wanted = POLICIES[name]
    by = a_person(ex, "hanbit")
    limited = type(by)(by.person_id, by.email, by.role, by.org_id, by.org_slug, frozenset({"nothing"}))
    if wanted.is_public:
        authorize(None, wanted)
    else:
        with pytest.raises(Exception, match="."):
            authorize(limited, wanted)


def test_an_unexpected_failure_is_logged_once_and_not_shown(app: APIFlask, caplog: pytest.LogCaptureFixture) -> None:
    @policy("public")
    def broken() -> str:
        raise ZeroDivisionError("the secret reason")

    app.add_url_rule("/api/v1/broken", view_func=broken)
    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get("/api/v1/broken")
    assert answer.status_code == 500 and answer.json is not None
    assert answer.json["code"] == "internal" and "secret reason" not in answer.get_data(as_text=True)
    logged = [record for record in caplog.records if answer.json["details"]["request"] in record.getMessage()]
    assert len(logged) == 1 and answer.headers["X-Request-Id"] == answer.json["details"]["request"]


def test_a_foreign_host_name_is_refused(app: APIFlask) -> None:
    assert app.test_client().get("/api/v1/me", headers={"Host": "evil.example"}).status_code == 400


def test_answers_carry_a_strict_content_policy(app: APIFlask) -> None:
    answer = app.test_client().get("/login")
    content_policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in content_policy and "unsafe" not in content_policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_openapi_is_served(app: APIFlask) -> None:
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200 and answer.json is not None
    assert answer.json["openapi"].startswith("3.1") and "/api/v1/me" in answer.json["paths"]


def signed_in(ex: Exchange, app: APIFlask) -> tuple[FlaskClient, str]:
    """A browser with a session, and the secret that its pages know."""
    by = a_person(ex, "hanbit")
    persons.set_password(ex, None, by.email, PASSWORD)
    client = app.test_client()
    assert sign_in(client, by.email) == 302
    found = re.search(r'"csrf": "([^"]+)"', client.get("/explore").get_data(as_text=True))
    assert found
    return client, found[1]


def test_a_session_cannot_write_without_the_secret_of_its_pages(ex: Exchange, app: APIFlask) -> None:
    client, secret = signed_in(ex, app)
    body = {"slug": "seoul", "title": "Seoul"}
    for headers, code in (
        ({}, "csrf.token"),
        ({"X-CSRF-Token": "guessed"}, "csrf.token"),
        ({"X-CSRF-Token": secret, "Sec-Fetch-Site": "cross-site"}, "csrf.origin"),
        ({"X-CSRF-Token": secret, "Sec-Fetch-Site": "same-site"}, "csrf.origin"),
    ):
        answer = client.post("/api/v1/datasets", json=body, headers=headers)
        assert answer.status_code == 403 and answer.json is not None and answer.json["code"] == code
    headers = {"X-CSRF-Token": secret, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/datasets", json=body, headers=headers).status_code == 201


def test_a_secret_of_another_session_is_no_use(ex: Exchange, app: APIFlask) -> None:
    (_, secret), (victim, _) = signed_in(ex, app), signed_in(ex, app)
    answer = victim.post("/api/v1/datasets", json={"slug": "x"}, headers={"X-CSRF-Token": secret})
    assert answer.status_code == 403


def test_unknown_fields_are_named(ex: Exchange, app: APIFlask) -> None:
    by = a_person(ex, "hanbit")
    answer = app.test_client().post("/api/v1/datasets", json={"slug": "seoul", "owner": "me", "price": 1}, headers=token_of(ex, by.email))
    assert answer.status_code == 422 and answer.json is not None
    assert answer.json["code"] == "request.unknown_field" and answer.json["details"]["fields"] == ["owner", "price"]


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[1]", 422), (b"x" * 9_000_000, 413)])
def test_malformed_bodies_get_a_code_and_no_traceback(ex: Exchange, app: APIFlask, body: bytes, status: int) -> None:
    by = a_person(ex, "hanbit")
    headers = {**token_of(ex, by.email), "Content-Type": "application/json"}
    answer = app.test_client().post("/api/v1/datasets", data=body, headers=headers)
    assert answer.status_code == status and answer.json is not None
    assert set(answer.json) == {"code", "message", "details", "request_id"} and "Traceback" not in answer.get_data(as_text=True)


def test_the_auditor_changes_nothing(ex: Exchange, app: APIFlask) -> None:
    auditor = a_person(ex, role="auditor")
    client, headers = app.test_client(), token_of(ex, auditor.email)
    tried = 0
    for rule in app.url_map.iter_rules():
        wanted = policy_of(app.view_functions[rule.endpoint])
        for method in (rule.methods or set()) & {"POST", "PUT", "DELETE"}:
            if not rule.rule.startswith("/api/v1") or wanted is None or wanted.name in ("account", "read", "browse"):
                continue
            path = re.sub(r"<int:\w+>", "1", re.sub(r"<\w+>", "x", rule.rule))
            assert client.open(path, method=method, json={}, headers=headers).status_code == 403, rule.rule
            tried += 1
    assert tried > 10


def test_pages_of_others_are_absent_and_of_no_one_ask_to_sign_in(ex: Exchange, app: APIFlask) -> None:
    client, _ = signed_in(ex, app)
    absent = [client.get(path).status_code for path in ("/quotes/quo_x", "/orders/ord_x", "/sell/nothing/1", "/nowhere")]
    assert absent == [404, 404, 404, 404]
    answer = app.test_client().get("/orders?after=x")
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/login?next=")


def test_static_files_are_immutable_compressed_and_inside_their_folder(app: APIFlask) -> None:
    client = app.test_client()
    page = client.get("/login").get_data(as_text=True)
    address = re.search(r'href="(/static/[^"]+app\.css)"', page)
    assert address
    answer = client.get(address[1], headers={"Accept-Encoding": "gzip"})
    assert "immutable" in answer.headers["Cache-Control"] and answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" not in client.get("/static/old/app.css").headers["Cache-Control"]
    for path in ("/static/vendor/../../auth.py", "/static/x/../auth.py", "/static/x/%2e%2e/auth.py", "/static/vendor//etc/passwd"):
        assert client.get(path).status_code in (308, 404)


def test_a_stray_link_to_log_out_asks_and_signs_nobody_out(ex: Exchange, app: APIFlask) -> None:
    client = app.test_client()
    assert (client.get("/logout").status_code, client.get("/logout").headers["Location"]) == (302, "/")
    by = a_person(ex, "hanbit")
    persons.set_password(ex, None, by.email, PASSWORD)
    sign_in(client, by.email)
    page = client.get("/logout", headers={"Accept-Language": "ko"})
    assert page.status_code == 200 and by.email in page.text and "로그아웃할까요?" in page.text
    without_secret = client.post("/logout", data={})
    assert without_secret.status_code == 200 and 'role="alert"' in without_secret.text
    assert client.get("/api/v1/me").status_code == 200
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found and client.post("/logout", data={"csrf_token": found[1]}).headers["Location"] == "/"
    assert client.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_licence_page_names_the_models_behind_the_previews(app: APIFlask, language: str) -> None:
    page = app.test_client().get(f"/about/licences?lang={language}")
    assert page.status_code == 200
    assert all(word in page.text for word in ("CenterFace", "Star-Clouds", "MIT", "OpenCV", "Apache 2.0"))
