"""A forgotten password: one link, one new password, half an hour; and nothing that shows who has an account."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from mapex.database import schema
from mapex.errors import Conflict, Denied, Limited, NotFound
from mapex.exchange import Exchange
from mapex.login import factors, resets, sessions
from mapex.people import persons, roles
from tests.support.exchange import a_person
from tests.support.signing_in import PASSWORD, a_member, at_a_browser, clock, form_of, is_open, send, sign_in, with_app
from tests.support.tampering import broken
from web import create_app
from web.edge import afterwards

NEW = "another horse, another battery"


def mailing(ex: Exchange, folder: Path) -> Exchange:
    """The exchange, with a folder for its mail."""
    return replace(ex, settings=replace(ex.settings, mail_folder=folder, mail_from="mapex@mapex.example"))


def letters(folder: Path) -> list[str]:
    from email import message_from_bytes, policy

    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(folder.glob("*.eml"))]
    return [f"To: {one['To']}\n{one.get_content()}" for one in found]


def link_in(letter: str) -> str:
    found = re.search(r"/(?:reset|register)/\S+", letter)
    assert found
    return found[0]


def test_a_link_sets_a_password_once_and_ends_sessions_and_every_other_link(exchange: Exchange) -> None:
    person = a_member(exchange)
    _, cookie = at_a_browser(exchange, person)
    first, second = (resets.hand_out(exchange, None, person.email) for _ in range(2))
    resets.redeem(exchange, first, NEW)
    assert persons.verify_password(exchange, person.email, NEW) and not persons.verify_password(exchange, person.email, PASSWORD)
    assert not is_open(exchange, cookie)
    for secret in (first, second):
        with pytest.raises(NotFound) as refused:
            resets.redeem(exchange, secret, PASSWORD)
        assert refused.value.code == "reset.unknown"
    assert not broken(exchange)


def test_a_link_ends_after_half_an_hour_and_with_whatever_ends_sessions(exchange: Exchange) -> None:
    person = a_member(exchange)
    secret = resets.hand_out(exchange, None, person.email)
    clock(exchange).forward(seconds=29 * 60)
    assert resets.look(exchange, secret).email == person.email
    clock(exchange).forward(seconds=62)
    with pytest.raises(NotFound):
        resets.look(exchange, secret)
    for stop in (
        lambda: persons.set_password(exchange, None, person.email, NEW),
        lambda: sessions.end_all(exchange, None, person.email),
        lambda: roles.set_state(exchange, None, person.email, "suspended"),
    ):
        secret = resets.hand_out(exchange, None, person.email)
        stop()
        with pytest.raises(NotFound):
            resets.redeem(exchange, secret, NEW)
    with pytest.raises(Conflict) as refused:
        resets.hand_out(exchange, None, person.email)
    assert refused.value.code == "reset.suspended"


def test_the_second_factor_stays(exchange: Exchange) -> None:
    person = a_member(exchange)
    by, _ = at_a_browser(exchange, person)
    with_app(exchange, by)
    resets.redeem(exchange, resets.hand_out(exchange, None, person.email), NEW)
    assert len(factors.of(exchange, person.id)) == 1
    answer = send(create_app(exchange).test_client(), "/login", email=person.email, password=NEW)
    assert answer.status_code == 200 and 'name="ticket"' in answer.text, "the second step is asked for"


def test_nothing_of_a_link_is_stored_and_only_the_operator_makes_one(exchange: Exchange) -> None:
    person = a_member(exchange)
    secret = resets.hand_out(exchange, None, person.email)
    with exchange.engine.connect() as conn:
        rows = [conn.execute(select(table)).all() for table in schema.metadata.sorted_tables]
    assert secret not in str(rows)
    with pytest.raises(Denied):
        resets.hand_out(exchange, person.actor, person.email)


def test_known_unknown_and_suspended_addresses_are_answered_alike_and_one_gets_mail(exchange: Exchange, tmp_path: Path) -> None:
    ex = mailing(exchange, tmp_path / "mail")
    known, stopped = a_member(ex), a_member(ex)
    roles.set_state(ex, None, stopped.email, "suspended")
    client = create_app(ex).test_client()
    answers = [send(client, "/forgot", email=email) for email in (known.email, stopped.email, "nobody@nowhere.example", "no address")]
    afterwards.settle()
    assert {answer.status_code for answer in answers} == {200}
    assert len({re.sub(r'value="[^"]*"|"csrf": "[^"]*"', "", answer.text) for answer in answers}) == 1
    (letter,) = letters(tmp_path / "mail")
    assert f"To: {known.email}" in letter
    link = link_in(letter)
    assert known.email in client.get(link).text
    short = client.post(link, data={**form_of(client.get(link).text), "password": "short"})
    assert short.status_code == 422
    done = client.post(link, data={**form_of(client.get(link).text), "password": NEW})
    assert (done.status_code, done.location) == (302, "/login?done=reset")
    assert client.get(link).status_code == 404
    sign_in(create_app(ex), known.email, NEW)


def test_an_account_gets_three_links_an_hour_and_a_network_is_refused_after_twenty(exchange: Exchange, tmp_path: Path) -> None:
    ex = mailing(exchange, tmp_path / "mail")
    person = a_member(ex)
    client = create_app(ex).test_client()
    for _ in range(5):
        assert send(client, "/forgot", email=person.email).status_code == 200
    afterwards.settle()
    assert len(letters(tmp_path / "mail")) == 3
    for number in range(15):
        resets.admit(ex, "127.0.0.1", f"{number}@a.example")
    with pytest.raises(Limited):
        resets.admit(ex, "127.0.0.2", "of-the-same-network@a.example")
    assert send(client, "/forgot", email=person.email).status_code == 429
    resets.admit(ex, "198.51.100.1", "elsewhere@a.example")


def test_without_mail_the_page_sends_to_the_operator_who_makes_a_link(exchange: Exchange) -> None:
    person = a_member(exchange)
    client = create_app(exchange).test_client()
    page = client.get("/forgot").text
    assert 'name="email"' not in page and "operator" in page
    assert client.post("/forgot", data={**form_of(client.get("/login").text), "email": person.email}).status_code == 200
    operator = a_member(exchange, role="operator")
    browser = sign_in(create_app(exchange), operator.email)
    answer = send(browser, "/operate/persons", "/operate/persons/rescue", email=person.email, what="password")
    assert answer.status_code == 200
    found = re.search(r"/reset/[\w=-]+", answer.text)
    assert found and client.get(found[0]).status_code == 200
    assert browser.get("/operate/persons/rescue").status_code == 302, "the link is shown this once"
    assert a_person(exchange).email != person.email
