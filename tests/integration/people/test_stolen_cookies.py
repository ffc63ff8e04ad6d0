"""A cookie that somebody copied: it is worth nothing once its session has ended, however that came."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from mapex.exchange import Exchange
from mapex.people import orgs, persons, roles
from tests.support.exchange import a_person
from web import create_app

PASSWORD = "correct horse battery"


def sign_in(app: APIFlask, email: str) -> FlaskClient:
    """A browser with a session."""
    client = app.test_client()
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)
    assert found
    assert client.post("/login", data={"email": email, "password": PASSWORD, "csrf_token": found[1]}).status_code == 302
    return client


def copy_of(app: APIFlask, client: FlaskClient) -> FlaskClient:
    """A thief's browser with the same cookies."""
    thief = app.test_client()
    for name in ("mapex", "__Host-mapex"):
        if (cookie := client.get_cookie(name)) is not None:
            thief.set_cookie(name, cookie.value)
    return thief


def is_in(client: FlaskClient) -> bool:
    return client.get("/api/v1/me").status_code == 200


def sign_out(ex: Exchange, client: FlaskClient, email: str) -> None:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/logout").text)
    assert found
    client.post("/logout", data={"csrf_token": found[1]})


def suspend_person(ex: Exchange, client: FlaskClient, email: str) -> None:
    for state in ("suspended", "active"):
        roles.set_state(ex, None, email, state)


def suspend_firm(ex: Exchange, client: FlaskClient, email: str) -> None:
    for state in ("suspended", "active"):
        orgs.set_org_state(ex, None, "hanbit", state)


def change_role(ex: Exchange, client: FlaskClient, email: str) -> None:
    roles.set_role(ex, None, email, "auditor")


def set_password(ex: Exchange, client: FlaskClient, email: str) -> None:
    persons.set_password(ex, None, email, PASSWORD + "!")


@pytest.mark.parametrize("end", [sign_out, suspend_person, suspend_firm, change_role, set_password], ids=lambda end: end.__name__)
def test_a_copied_cookie_is_dead_once_its_session_has_ended(exchange: Exchange, end: Callable[[Exchange, FlaskClient, str], None]) -> None:
    app = create_app(exchange)
    email = a_person(exchange, "hanbit").email
    persons.set_password(exchange, None, email, PASSWORD)
    client = sign_in(app, email)
    thief = copy_of(app, client)
    assert is_in(client) and is_in(thief)
    end(exchange, client, email)
    assert not is_in(client)
    assert not is_in(thief)


def test_answers_renew_nothing_and_static_files_know_no_cookie(exchange: Exchange) -> None:
    app = create_app(exchange)
    email = a_person(exchange, "hanbit").email
    persons.set_password(exchange, None, email, PASSWORD)
    client = sign_in(app, email)
    page = client.get("/explore")
    assert "Set-Cookie" not in page.headers
    address = re.search(r'href="(/static/[^"]+app\.css)"', page.text)
    assert address
    for path in (address[1], address[1] + "?lang=ko", "/favicon.ico?lang=ko"):
        answer = client.get(path)
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
