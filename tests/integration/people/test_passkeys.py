"""Passkeys, with an authenticator in software: as second factor, as log-in without a password, and none of it twice or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mapex.database import schema
from mapex.errors import Conflict, Denied, Invalid
from mapex.exchange import Actor, Exchange
from mapex.login import factors, passkeys, sessions
from mapex.people import roles
from mapex.people.persons import Person
from tests.support.authenticator import Authenticator
from tests.support.signing_in import PASSWORD, a_member, at_a_browser, call, clock, form_of, is_in, on_localhost, send, sign_in
from web import create_app


def with_key(ex: Exchange, by: Actor, **kind: Any) -> Authenticator:
    """Add a passkey to a person at a browser."""
    key = Authenticator(**kind)
    asked = passkeys.ask_new(ex, by)
    passkeys.add(ex, by, asked.ticket, key.make(asked.options), "stick")
    clock(ex).forward(seconds=1)
    return key


def holder(exchange: Exchange, **kind: Any) -> tuple[Exchange, Person, Authenticator]:
    """A person with a passkey, on an exchange at localhost."""
    ex = on_localhost(exchange)
    person = a_member(ex)
    return ex, person, with_key(ex, at_a_browser(ex, person)[0], **kind)


def refused(call_: Callable[[], object], code: str = "passkey.refused", kind: type[Exception] = Denied) -> None:
    with pytest.raises(kind) as caught:
        call_()
    assert getattr(caught.value, "code", "") == code


def test_a_passkey_signs_in_without_a_password(exchange: Exchange) -> None:
    ex, person, key = holder(exchange)
    client = create_app(ex).test_client()
    headers = {"X-CSRF-Token": form_of(client.get("/login").text)["csrf_token"]}
    asked = client.post("/api/passkeys/login/challenge", json={}, headers=headers).json
    assert asked
    body = {"challenge": asked["challenge"], "credential": key.sign(asked["options"])}
    assert client.post("/api/passkeys/login", json=body, headers=headers).status_code == 200
    assert is_in(client)
    assert sessions.of(ex, person.id)[0].factors == ("passkey",)
    again = create_app(ex).test_client()
    headers = {"X-CSRF-Token": form_of(again.get("/login").text)["csrf_token"]}
    assert again.post("/api/passkeys/login", json=body, headers=headers).status_code == 403  # somebody who listened
    assert not is_in(again)


def second(ex: Exchange, email: str) -> tuple[FlaskClient, dict[str, str], dict[str, str]]:
    """After the password: the browser, the headers of its page, the ticket."""
    client = create_app(ex).test_client()
    fields = form_of(send(client, "/login", email=email, password=PASSWORD).text)
    return client, {"X-CSRF-Token": fields["csrf_token"]}, {"ticket": fields["ticket"]}


def test_a_passkey_is_the_second_step(exchange: Exchange) -> None:
    ex, person, key = holder(exchange, verifies=False)
    client, headers, ticket = second(ex, person.email)
    asked = client.post("/api/passkeys/login/challenge", json=ticket, headers=headers).json
    assert asked
    body = {**ticket, "challenge": asked["challenge"], "credential": key.sign(asked["options"])}
    without = {name: value for name, value in body.items() if name != "ticket"}
    assert client.post("/api/passkeys/login", json=without, headers=headers).status_code == 403  # no PIN, no password
    assert not is_in(client)
    assert client.post("/api/passkeys/login", json=body, headers=headers).status_code == 200
    assert is_in(client)


def test_the_passkey_of_another_is_no_second_step(exchange: Exchange) -> None:
    ex, person, _ = holder(exchange)
    other = with_key(ex, at_a_browser(ex, a_member(ex))[0])
    client, headers, ticket = second(ex, person.email)
    asked = client.post("/api/passkeys/login/challenge", json=ticket, headers=headers).json
    assert asked
    body = {**ticket, "challenge": asked["challenge"], "credential": other.sign(asked["options"])}
    assert client.post("/api/passkeys/login", json=body, headers=headers).status_code == 403
    assert not is_in(client)


def test_a_key_without_finger_or_pin_does_not_sign_in_alone(exchange: Exchange) -> None:
    ex, _, key = holder(exchange, verifies=False)
    asked = passkeys.ask(ex)
    refused(lambda: passkeys.use(ex, asked.ticket, key.sign(asked.options)))


def test_an_answer_is_good_once_and_for_its_own_question(exchange: Exchange) -> None:
    ex, person, key = holder(exchange)
    asked, earlier = passkeys.ask(ex), passkeys.ask(ex)
    answer, late = key.sign(asked.options), key.sign(earlier.options)
    refused(lambda: passkeys.use(ex, earlier.ticket, answer))
    assert passkeys.use(ex, asked.ticket, answer).id == person.id
    refused(lambda: passkeys.use(ex, asked.ticket, answer))
    refused(lambda: passkeys.use(ex, earlier.ticket, late))  # asked before the last use
    asked = passkeys.ask(ex)
    clock(ex).forward(seconds=passkeys.SECONDS + 60)
    refused(lambda: passkeys.use(ex, asked.ticket, key.sign(asked.options)))


def test_a_copy_of_a_key_is_noticed_by_its_count(exchange: Exchange) -> None:
    ex, _, key = holder(exchange)
    copy = Authenticator(id=key.id, key=key.key)
    for _ in range(2):
        asked = passkeys.ask(ex)
        passkeys.use(ex, asked.ticket, key.sign(asked.options))
        clock(ex).forward(seconds=1)
    asked = passkeys.ask(ex)
    refused(lambda: passkeys.use(ex, asked.ticket, copy.sign(asked.options)))


@pytest.mark.parametrize("wrong", [{"origin": "https://evil.example"}, {"site": "evil.example"}, {"origin": "http://localhost:1"}])
def test_what_another_site_got_out_of_a_person_is_worth_nothing_here(exchange: Exchange, wrong: dict[str, str]) -> None:
    ex, _, key = holder(exchange)
    by, _ = at_a_browser(ex, a_member(ex))
    for name, value in wrong.items():
        setattr(key, name, value)
    asked = passkeys.ask(ex)
    refused(lambda: passkeys.use(ex, asked.ticket, key.sign(asked.options)))
    new = passkeys.ask_new(ex, by)
    refused(lambda: passkeys.add(ex, by, new.ticket, Authenticator(**wrong).make(new.options)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: {},
        lambda answer: {**answer, "id": "x"},
        lambda answer: {**answer, "id": 5},
        lambda answer: {**answer, "response": []},
        lambda answer: {**answer, "response": {}},
        lambda answer: {**answer, "rawId": "AAAA"},
        lambda answer: {**answer, "type": "x"},
        lambda answer: {**answer, "response": {**answer["response"], "clientDataJSON": "e30"}},
        lambda answer: {**answer, "response": {**answer["response"], "clientDataJSON": "!"}},
        lambda answer: {**answer, "response": {**answer["response"], "authenticatorData": "AA"}},
        lambda answer: {**answer, "response": {**answer["response"], "signature": "AAAA"}},
        lambda answer: {**answer, "response": {**answer["response"], "signature": None}},
        lambda answer: {**answer, "long": "x" * passkeys.LONGEST},
    ],
)
def test_a_spoilt_answer_is_one_refusal(exchange: Exchange, spoil: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    ex, _, key = holder(exchange)
    asked = passkeys.ask(ex)
    answer = spoil(key.sign(asked.options))
    refused(lambda: passkeys.use(ex, asked.ticket, answer))


def test_only_the_public_half_is_stored_and_a_key_is_added_once(exchange: Exchange) -> None:
    ex, person, key = holder(exchange)
    with ex.engine.connect() as conn:
        [row] = conn.execute(select(schema.second_factor)).all()
    assert hex(key.key.private_numbers().private_value)[2:] not in repr(row)
    other, _ = at_a_browser(ex, a_member(ex))
    asked = passkeys.ask_new(ex, other)
    refused(lambda: passkeys.add(ex, other, asked.ticket, key.make(asked.options)), "factor.exists", Conflict)
    asked = passkeys.ask_new(ex, at_a_browser(ex, person)[0])
    refused(lambda: passkeys.add(ex, other, asked.ticket, Authenticator().make(asked.options)))  # asked of somebody else


def test_who_is_stopped_or_has_lost_its_keys_signs_in_by_none(exchange: Exchange) -> None:
    ex, person, key = holder(exchange)
    roles.set_state(ex, None, person.email, "suspended")
    asked = passkeys.ask(ex)
    refused(lambda: passkeys.use(ex, asked.ticket, key.sign(asked.options)))
    roles.set_state(ex, None, person.email, "active")
    factors.reset(ex, None, person.email)
    asked = passkeys.ask(ex)
    refused(lambda: passkeys.use(ex, asked.ticket, key.sign(asked.options)))


def test_a_passkey_confirms_the_own_session_only(exchange: Exchange) -> None:
    ex, person, key = holder(exchange)
    client = sign_in(create_app(ex), a_member(ex).email)
    asked = call(client, "/api/passkeys/confirm/challenge").json
    assert asked
    body = {"challenge": asked["challenge"], "credential": key.sign(asked["options"])}
    assert call(client, "/api/passkeys/confirm", body).status_code == 403


@pytest.mark.parametrize(
    ("public_url", "site"),
    [
        ("https://mapex.example", "mapex.example"),
        ("http://localhost:8080", "localhost"),
        ("http://mapex.example", None),
        ("http://127.0.0.1:8080", None),
        ("https://[::1]:8443", None),
    ],
)
def test_passkeys_are_bound_to_the_host_name_where_browsers_have_them(exchange: Exchange, public_url: str, site: str | None) -> None:
    ex = replace(exchange, settings=replace(exchange.settings, public_url=public_url))
    assert passkeys.site(ex) == site
    if site is None:
        refused(lambda: passkeys.ask(ex), "passkey.site", Invalid)
