"""A cookie that somebody copied: it is worth nothing once its session has ended, however that came."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from mapex.audit import log
from mapex.audit.log import Action
from mapex.database import schema
from mapex.errors import Denied, NotFound
from mapex.exchange import Exchange
from mapex.login import factors, sessions
from mapex.login.sessions import Caller
from mapex.people import orgs, persons, roles
from mapex.people.persons import Person
from tests.support.exchange import a_person
from tests.support.signing_in import (
    PASSWORD,
    a_member,
    at_a_browser,
    clock,
    is_in,
    is_open,
    next_code,
    present,
    send,
    sign_in,
    the_person,
    with_app,
)
from web import create_app
from web.pages.login import DEVICE


def copy_of(app: APIFlask, client: FlaskClient) -> FlaskClient:
    """A thief's browser with the same cookie."""
    thief, cookie = app.test_client(), client.get_cookie("mapex")
    assert cookie
    thief.set_cookie("mapex", cookie.value)
    return thief


def sign_out(ex: Exchange, client: FlaskClient, person: Person) -> None:
    send(client, "/logout")


def suspend_person(ex: Exchange, client: FlaskClient, person: Person) -> None:
    for state in ("suspended", "active"):
        roles.set_state(ex, None, person.email, state)


def suspend_firm(ex: Exchange, client: FlaskClient, person: Person) -> None:
    for state in ("suspended", "active"):
        orgs.set_org_state(ex, None, person.org_slug, state)


def change_role(ex: Exchange, client: FlaskClient, person: Person) -> None:
    roles.set_role(ex, None, person.email, "auditor")


def change_organisation(ex: Exchange, client: FlaskClient, person: Person) -> None:
    orgs.add_org(ex, None, "nuri")
    roles.set_role(ex, None, person.email, "member", org="nuri")


def set_password(ex: Exchange, client: FlaskClient, person: Person) -> None:
    persons.set_password(ex, None, person.email, PASSWORD + "!")


def end_at_the_machine(ex: Exchange, client: FlaskClient, person: Person) -> None:
    assert sessions.end_all(ex, None, person.email) == 1


def reset_factors(ex: Exchange, client: FlaskClient, person: Person) -> None:
    factors.reset(ex, None, person.email)


def end_elsewhere(ex: Exchange, client: FlaskClient, person: Person) -> None:
    by, _ = at_a_browser(ex, person)
    [other] = [one for one in sessions.of(ex, person.id) if one.id != by.presence.session_id]  # type: ignore[union-attr]
    sessions.end(ex, by, other.id)


def end_others(ex: Exchange, client: FlaskClient, person: Person) -> None:
    assert sessions.end_others(ex, at_a_browser(ex, person)[0]) == 1


def change_password_elsewhere(ex: Exchange, client: FlaskClient, person: Person) -> None:
    persons.change_password(ex, at_a_browser(ex, person)[0], PASSWORD, PASSWORD + "!")


def add_factor_elsewhere(ex: Exchange, client: FlaskClient, person: Person) -> None:
    with_app(ex, at_a_browser(ex, person)[0])


def idle(ex: Exchange, client: FlaskClient, person: Person) -> None:
    clock(ex).forward(seconds=ex.settings.session_idle_minutes * 60)


def grow_old(ex: Exchange, client: FlaskClient, person: Person) -> None:
    for _ in range(ex.settings.session_hours):
        client.get("/api/v1/me").close()
        clock(ex).forward(seconds=3600)


ENDS = (
    *(sign_out, suspend_person, suspend_firm, change_role, change_organisation, set_password, end_at_the_machine, reset_factors),
    *(end_elsewhere, end_others, change_password_elsewhere, add_factor_elsewhere, idle, grow_old),
)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_a_copied_cookie_is_dead_once_its_session_has_ended(
    exchange: Exchange, end: Callable[[Exchange, FlaskClient, Person], None]
) -> None:
    app, person = create_app(exchange), a_member(exchange)
    client = sign_in(app, person.email)
    thief = copy_of(app, client)
    assert is_in(client) and is_in(thief)
    end(exchange, client, person)
    assert not is_in(client)
    assert not is_in(thief)


@pytest.mark.parametrize("change", [change_password_elsewhere, add_factor_elsewhere, end_others], ids=lambda change: change.__name__)
def test_the_session_that_changes_something_goes_on_itself(
    exchange: Exchange, change: Callable[[Exchange, FlaskClient, Person], None]
) -> None:
    person = a_member(exchange)
    client = sign_in(create_app(exchange), person.email)
    change(exchange, client, person)
    assert len(sessions.of(exchange, person.id)) == 1


def test_a_removed_factor_ends_the_others_and_its_codes(exchange: Exchange) -> None:
    person = a_member(exchange)
    by, secret = at_a_browser(exchange, person)
    with_app(exchange, by)
    _, other = at_a_browser(exchange, person)
    [factor] = factors.of(exchange, person.id)
    factors.remove(exchange, by, factor.id)
    assert is_open(exchange, secret) and not is_open(exchange, other)
    assert factors.of(exchange, person.id) == []


def test_a_log_in_under_way_while_the_person_is_stopped_comes_to_nothing(exchange: Exchange) -> None:
    """The password was right before; the session would be opened after."""
    before = a_member(exchange)
    suspend_firm(exchange, create_app(exchange).test_client(), before)
    with pytest.raises(Denied) as refused:
        sessions.start(exchange, before, Caller(), ["password"])
    assert refused.value.code == "login.refused"


def test_signing_in_anew_ends_the_session_of_before_and_each_has_its_own_secret(exchange: Exchange) -> None:
    app, person = create_app(exchange), a_member(exchange)
    client = sign_in(app, person.email)
    thief = copy_of(app, client)
    assert send(client, "/login", email=person.email, password=PASSWORD).status_code == 302
    assert is_in(client) and not is_in(thief)


def test_showing_again_who_one_is_changes_the_secret(exchange: Exchange) -> None:
    person = a_member(exchange)
    by, secret = at_a_browser(exchange, person)
    fresh = sessions.prove(exchange, by, "password")
    assert not is_open(exchange, secret)
    assert present(exchange, fresh).presence.session_id == by.presence.session_id  # type: ignore[union-attr]


def test_nobody_ends_the_session_of_another(exchange: Exchange) -> None:
    mine, other = at_a_browser(exchange, a_member(exchange))[0], at_a_browser(exchange, a_member(exchange))[0]
    with pytest.raises(NotFound):
        sessions.end(exchange, mine, other.presence.session_id)  # type: ignore[union-attr]
    for by in (mine, a_person(exchange, role="auditor")):
        with pytest.raises(Denied):
            sessions.end_all(exchange, by, other.email)
        with pytest.raises(Denied):
            factors.reset(exchange, by, other.email)


def test_the_secret_is_not_in_the_database(exchange: Exchange) -> None:
    _, secret = at_a_browser(exchange, a_member(exchange))
    with exchange.engine.connect() as conn:
        [row] = conn.execute(select(schema.session)).all()
    assert secret not in repr(row) and len(row.hash) == 64


@pytest.mark.parametrize("given", ["", "x", "x" * 43, "x" * 5000, "ü" * 43, "' OR 1=1 --", "\0" * 43])
def test_what_is_no_secret_opens_nothing(exchange: Exchange, given: str) -> None:
    at_a_browser(exchange, a_member(exchange))
    assert not is_open(exchange, given)


def test_each_end_is_an_entry_of_the_log(exchange: Exchange) -> None:
    person, auditor = a_member(exchange), a_person(exchange, role="auditor")
    by, _ = at_a_browser(exchange, person)
    sessions.end_others(exchange, by)
    sessions.close(exchange, by)
    sessions.end_all(exchange, None, person.email)
    found = [one.action for one in log.events(exchange, auditor).events if one.action.startswith("session.")]
    assert found == [Action.SESSION_ENDED, Action.SESSION_CLOSED, Action.SESSION_ENDED, Action.SESSION_OPENED]


@contextmanager
def statements(ex: Exchange) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    seen: list[str] = []

    def note(conn: object, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(ex.engine, "before_cursor_execute", note)
    yield seen
    event.remove(ex.engine, "before_cursor_execute", note)


def test_a_page_costs_one_read_of_the_session_and_no_write_within_a_minute(exchange: Exchange) -> None:
    client = sign_in(create_app(exchange), a_member(exchange).email)
    with statements(exchange) as seen:
        client.get("/about/shortcuts").close()
    asked = [one for one in seen if "session" in one]
    assert len(asked) == 1 and asked[0].startswith("SELECT")
    clock(exchange).forward(seconds=61)
    with statements(exchange) as seen:
        client.get("/about/shortcuts").close()
        client.get("/about/shortcuts").close()
    assert len([one for one in seen if one.startswith("UPDATE session")]) == 1


def test_answers_renew_nothing_and_static_files_know_no_cookie(exchange: Exchange) -> None:
    client = sign_in(create_app(exchange), a_member(exchange).email)
    page = client.get("/explore")
    assert "Set-Cookie" not in page.headers
    address = re.search(r'href="(/static/[^"]+app\.css)"', page.text)
    assert address
    for path in (address[1], address[1] + "?lang=ko", "/favicon.ico?lang=ko", "/store/x?lang=ko", "/static/old/app.css"):
        with statements(exchange) as seen:
            answer = client.get(path)
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
        assert seen == []


@pytest.mark.parametrize(
    ("public_url", "name", "secure"),
    [("https://mapex.example", "__Host-mapex", True), ("http://127.0.0.1:8080", "mapex", False), ("http://localhost", "mapex", False)],
)
def test_the_cookie_is_bound_to_the_site_where_there_is_https(exchange: Exchange, public_url: str, name: str, secure: bool) -> None:
    ex = replace(exchange, settings=replace(exchange.settings, public_url=public_url))
    person, client = a_member(ex), create_app(ex).test_client()
    assert "Set-Cookie" not in client.get("/login").headers
    answer = send(client, "/login", email=person.email, password=PASSWORD)
    cookies = {cookie.partition("=")[0]: cookie.split("; ") for cookie in answer.headers.getlist("Set-Cookie")}
    assert cookies.keys() == {name, DEVICE} and len(cookies[name][0]) == len(name) + 44
    for parts, path in ((cookies[name], "/"), (cookies[DEVICE], "/login")):
        assert ("Secure" in parts) == secure
        assert {"HttpOnly", f"Path={path}", "SameSite=Lax"} <= set(parts) and not any(part.startswith("Domain") for part in parts)
    assert answer.headers["Cache-Control"] == "no-store"
    out = send(sign_in(create_app(ex), person.email) if not secure else client, "/logout")
    assert out.status_code == 302


def test_what_is_kept_of_a_browser_is_short_and_names_no_address(exchange: Exchange) -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"
    safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1"
    assert Caller.of("203.0.113.77", chrome) == Caller("203.0.113.0/24", "Chrome · Windows")
    assert Caller.of("2001:db8:1:2::3", safari) == Caller("2001:db8:1::/48", "Safari · iPhone")
    assert Caller.of("", "x" * 10_000) == Caller("", "")
    person = the_person(exchange, a_member(exchange).email)
    sessions.start(exchange, person, Caller("n" * 500, "a" * 500), ["password"])
    [kept] = sessions.of(exchange, person.id)
    assert (len(kept.network), len(kept.agent)) == (64, 64)


def test_a_form_of_another_site_signs_nobody_in(exchange: Exchange) -> None:
    """Else somebody works, unknowingly, in the account of who prepared the form."""
    person, client = a_member(exchange), create_app(exchange).test_client()
    fields = {**dict(re.findall(r'name="(csrf_token)" value="([^"]+)"', client.get("/login").text)), "email": person.email}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        client.post("/login", data={**fields, "password": PASSWORD}, headers=headers)
        assert not is_in(client)


def test_a_code_of_before_the_suspension_does_not_finish_a_log_in(exchange: Exchange) -> None:
    app, person = create_app(exchange), a_member(exchange)
    phone = with_app(exchange, at_a_browser(exchange, person)[0])
    client = app.test_client()
    page = send(client, "/login", email=person.email, password=PASSWORD)
    ticket = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
    suspend_firm(exchange, client, person)
    client.post("/login/second", data={**ticket, "code": next_code(exchange, phone)})
    assert not is_in(client)
