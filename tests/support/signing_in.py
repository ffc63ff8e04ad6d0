"""Browsers without a browser: Flask's test client with the forms of the pages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pyotp
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mapex.exchange import Actor, Exchange
from mapex.login import sessions, totp
from mapex.login.sessions import Caller
from mapex.people import persons
from mapex.people.persons import Person
from mapex.times import NS
from tests.support.exchange import Clock, a_person

PASSWORD = "correct horse battery"


def clock(ex: Exchange) -> Clock:
    assert isinstance(ex.now, Clock)
    return ex.now


def a_member(ex: Exchange, org: str = "hanbit", *, role: str = "member") -> Person:
    """A person with a password."""
    email = a_person(ex, org if role == "member" else None, role=role).email
    persons.set_password(ex, None, email, PASSWORD)
    return the_person(ex, email)


def the_person(ex: Exchange, email: str) -> Person:
    found = persons.get_person(ex, email=email)
    assert found
    return found


def at_a_browser(ex: Exchange, person: Person | Actor) -> tuple[Actor, str]:
    """A session of a person by the services, and its secret."""
    secret = sessions.start(ex, the_person(ex, person.email), Caller("203.0.113.0/24", "Firefox · Linux"), ["password"])
    return present(ex, secret), secret


def present(ex: Exchange, secret: str) -> Actor:
    found = sessions.find(ex, secret)
    assert found
    return found.actor


def is_open(ex: Exchange, secret: str) -> bool:
    return sessions.find(ex, secret) is not None


def with_app(ex: Exchange, by: Actor) -> pyotp.TOTP:
    """Add an authenticator app to a person at a browser."""
    setup = totp.begin(ex, by)
    app = pyotp.TOTP(setup.secret)
    totp.confirm(ex, by, setup.ticket, code_of(ex, app), "phone")
    return app


def code_of(ex: Exchange, app: pyotp.TOTP) -> str:
    return app.at(ex.now() // NS)


def next_code(ex: Exchange, app: pyotp.TOTP) -> str:
    """The code of the next half minute, when it has come."""
    clock(ex).forward(seconds=totp.STEP_SECONDS)
    return code_of(ex, app)


def on_localhost(ex: Exchange) -> Exchange:
    """The same exchange at a host name that browsers allow passkeys for."""
    return replace(ex, settings=replace(ex.settings, public_url="http://localhost"))


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the form in the column (the header has one too, its fields are the same)."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


def send(client: FlaskClient, at: str, to: str = "", **fields: str) -> TestResponse:
    """Open the page `at` and send its form."""
    return client.post(to or at, data={**form_of(client.get(at).text), **fields})


def sign_in(app: APIFlask, email: str, password: str = PASSWORD) -> FlaskClient:
    """A browser in which the password was typed."""
    client = app.test_client()
    assert send(client, "/login", email=email, password=password).status_code == 302
    return client


def is_in(client: FlaskClient) -> bool:
    return client.get("/api/v1/me").status_code == 200


def secret_of(client: FlaskClient) -> dict[str, str]:
    """The header by which scripts of a page show that it is ours."""
    found = re.search(r'"csrf": "([^"]+)"', client.get("/explore").text)
    assert found
    return {"X-CSRF-Token": found[1]}


def call(client: FlaskClient, path: str, body: dict[str, Any] | None = None) -> TestResponse:
    return client.post(path, json=body or {}, headers=secret_of(client))
