"""What is under way while its session or its person is stopped writes nothing: no factor, token, password, order, money, permit, role.

Each service that writes is asked here, or by its route: a route that writes for somebody and does not look again fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import g
from sqlalchemy import select, update

from mapex.database import db, schema
from mapex.errors import MapexError
from mapex.exchange import Actor, Exchange
from mapex.login import applications, factors, recovery_codes, resets, sessions
from mapex.login.applications import NewApplication
from mapex.login.factors import NewFactor
from mapex.orders import ledger, orders
from mapex.people import domains, invitations, orgs, persons, roles, tokens
from mapex.rights import permit_requests, permits
from mapex.rights.permit import NewPermit
from tests.integration.people import test_matrix as matrix
from tests.integration.people.test_matrix import MATRIX, House, Question
from tests.support.exchange import DAY_ONE, a_permit, a_person, square
from tests.support.market import a_market
from tests.support.signing_in import PASSWORD, a_member, at_a_browser, present, with_app

Deed = Callable[[Exchange, Actor], object]

STOPS: Mapping[str, Deed] = {
    "its sessions end": lambda ex, by: sessions.end_all(ex, None, by.email),
    "it is suspended": lambda ex, by: roles.set_state(ex, None, by.email, "suspended"),
    "its factors are reset": lambda ex, by: factors.reset(ex, None, by.email),
    "its password is set": lambda ex, by: persons.set_password(ex, None, by.email, PASSWORD),
    "its role changes": lambda ex, by: roles.set_role(ex, None, by.email, "auditor"),
}

DEEDS: Mapping[str, Deed] = {
    "factor": lambda ex, by: factors.add(ex, by, NewFactor("totp", "x", "x", 0)),
    "removal": lambda ex, by: factors.remove(ex, by, factors.of(ex, by.person_id)[0].id if factors.of(ex, by.person_id) else ""),
    "codes": recovery_codes.make,
    "token": lambda ex, by: tokens.create(ex, by, by=by),
    "invitation": lambda ex, by: invitations.invite(ex, by, "friend@dongil.example", org="dongil"),
    "password": lambda ex, by: persons.change_password(ex, by, PASSWORD, PASSWORD + "!"),
    "others": sessions.end_others,
    "session": lambda ex, by: sessions.end(ex, by, by.presence.session_id if by.presence else ""),
    "language": lambda ex, by: persons.set_language(ex, by, "en"),
    "confirmation": lambda ex, by: sessions.prove(ex, by, "totp"),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_what_was_under_way_when_a_session_ended_comes_to_nothing(exchange: Exchange, stop: Deed, deed: Deed) -> None:
    person = a_member(exchange, "dongil")
    domains.add(exchange, None, "dongil", "dongil.example")
    by, secret = at_a_browser(exchange, person)
    with_app(exchange, by)
    by = present(exchange, secret)
    stop(exchange, by)
    with pytest.raises(MapexError):
        deed(exchange, by)


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_no_order_is_placed_in_a_session_that_has_ended(exchange: Exchange, stop: Deed) -> None:
    market = a_market(exchange)
    by, _ = at_a_browser(exchange, market.buyer)
    quote, before = market.quote(market.cells[:1]), market.balance()
    stop(exchange, by)
    with pytest.raises(MapexError):
        orders.place(exchange, by, quote.id, quote.id)
    assert market.balance() == before


@pytest.mark.parametrize("by_token", [True, False])
def test_no_money_is_booked_for_who_was_an_operator(exchange: Exchange, *, by_token: bool) -> None:
    person, _ = a_member(exchange, role="operator"), a_member(exchange, role="operator")
    a_member(exchange, "dongil")
    by = tokens.actor_of(exchange, tokens.create(exchange, person)) if by_token else at_a_browser(exchange, person)[0]
    roles.set_role(exchange, None, person.email, "member", org="dongil")
    with pytest.raises(MapexError):
        ledger.credit(exchange, by, "dongil", 1000, key="k")


# ---- operators -----------------------------------------------------------------------------------------------------------------------


def _a_permit_of_nuri(ex: Exchange, by: Actor) -> object:
    area = square(126.0, 37.0, 128.0, 38.0)
    return permits.add(ex, by, NewPermit("nuri", f"P-{by.email}", ("research",), ("original",), area, DAY_ONE, DAY_ONE + 10**15))


OPERATE: Mapping[str, Deed] = {
    "permit": _a_permit_of_nuri,
    "state of a permit": lambda ex, by: permits.set_state(ex, by, a_permit(ex, "dongil").number, "suspended"),
    "organisation": lambda ex, by: orgs.add_org(ex, by, "new"),
    "state of an organisation": lambda ex, by: orgs.set_org_state(ex, by, "dongil", "suspended"),
    "domain": lambda ex, by: domains.add(ex, by, "dongil", "new.example"),
    "end of a domain": lambda ex, by: domains.remove(ex, by, "dongil", "dongil.example"),
    "person": lambda ex, by: persons.add_person(ex, by, "new@dongil.example", org="dongil"),
    "proof": lambda ex, by: persons.prove(ex, by, "member@dongil.example"),
    "password of another": lambda ex, by: persons.set_password(ex, by, "member@dongil.example", PASSWORD),
    "role of another": lambda ex, by: roles.set_role(ex, by, "member@dongil.example", "auditor"),
    "state of another": lambda ex, by: roles.set_state(ex, by, "member@dongil.example", "suspended"),
    "sessions of another": lambda ex, by: sessions.end_all(ex, by, "member@dongil.example"),
    "factors of another": lambda ex, by: factors.reset(ex, by, "member@dongil.example"),
    "token of another": lambda ex, by: tokens.create(ex, a_member_of(ex), by=by),
    "invitation": lambda ex, by: invitations.invite(ex, by, "guest@dongil.example", org="dongil"),
    "link": lambda ex, by: invitations.hand_out(ex, by, invitations.invite(ex, None, "guest@dongil.example", org="dongil")[0].id),
    "end of an invitation": lambda ex, by: invitations.revoke(
        ex, by, invitations.invite(ex, None, "guest@dongil.example", org="dongil")[0].id
    ),
    "credit": lambda ex, by: ledger.credit(ex, by, "dongil", 1000, key="k"),
    "link for a password": lambda ex, by: resets.hand_out(ex, by, "member@dongil.example"),
    "acceptance": lambda ex, by: applications.accept(ex, by, an_application(ex), slug=by.person_id[4:].lower()),
    "refusal": lambda ex, by: applications.refuse(ex, by, an_application(ex), "no"),
    "deletion": lambda ex, by: applications.clear(ex, by, an_application(ex)),
    "permit of a request": lambda ex, by: permit_requests.accept(ex, by, a_request_of(ex), matrix.a_request(a_member_of(ex)).permit),
    "refusal of a request": lambda ex, by: permit_requests.refuse(ex, by, a_request_of(ex), "no"),
}


def an_application(ex: Exchange) -> str:
    if not applications.all_applications(ex, None):
        applications.apply(ex, "203.0.113.1", NewApplication("new", "New", "Kim", "kim@new.example", "to buy"))
    return applications.all_applications(ex, None)[0].id


def a_request_of(ex: Exchange) -> str:
    member = a_member_of(ex)
    return permit_requests.request(ex, member, matrix.a_request(member)).id


def a_member_of(ex: Exchange) -> Actor:
    found = persons.get_person(ex, email="member@dongil.example")
    assert found
    return found.actor


@pytest.mark.parametrize("deed", OPERATE.values(), ids=OPERATE)
def test_who_was_an_operator_when_the_request_came_in_changes_nothing_any_more(exchange: Exchange, deed: Deed) -> None:
    a_person(exchange, "nuri")
    a_person(exchange, "dongil", email="member@dongil.example")
    domains.add(exchange, None, "dongil", "dongil.example")
    operator = a_person(exchange, role="operator")
    for stop in ("its sessions end", "it is suspended", "its role changes"):
        by, _ = at_a_browser(exchange, a_person(exchange, role="operator"))
        STOPS[stop](exchange, by)
        with pytest.raises(MapexError) as refused:
            deed(exchange, by)
        assert refused.value.code in ("person.suspended", "session.unknown"), stop
    by, _ = at_a_browser(exchange, operator)
    deed(exchange, by)


def test_two_operators_who_stop_each_other_do_not_wait_for_each_other(exchange: Exchange) -> None:
    both = [a_person(exchange, role="operator") for _ in range(2)]
    a_person(exchange, role="operator")
    start = threading.Barrier(2)
    ends: list[str] = []

    def stop(by: Actor, other: Actor) -> None:
        start.wait()
        try:
            roles.set_state(exchange, by, other.email, "suspended")
            ends.append("done")
        except MapexError as error:
            ends.append(error.code)

    threads = [threading.Thread(target=stop, args=pair) for pair in (both, both[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["done", "person.suspended"], "the first is not undone, and the second is none any more"


# ---- every route ---------------------------------------------------------------------------------------------------------------------

house = matrix.house

AT_A_BROWSER: Mapping[str, str] = {
    "POST /account/security/app": "factor",
    "POST /account/security/codes": "codes",
    "POST /account/security/factors/remove": "removal",
    "POST /account/security/password": "password",
    "POST /account/security/sessions/end": "session others",
    "POST /api/passkeys/confirm": "confirmation",
    "POST /api/passkeys/confirm/challenge": "",  # a question, of which nothing is stored
    "POST /api/passkeys/confirm/code": "confirmation",
    "POST /api/passkeys/new": "factor",
    "POST /api/passkeys/new/challenge": "",
    "POST /confirm": "confirmation",
    "POST /operate/persons/rescue": "sessions of another/factors of another/link for a password",
}
"""Routes that no token opens, and the deeds above that they do."""

WRITES_NOTHING = {
    "POST /api/v1/coverage",
    "POST /api/v1/datasets/<slug>/versions/<int:number>/appraisal",
    "POST /api/v1/estimates",
    "POST /api/v1/estimates/tiles",
    "POST /api/v1/outlines",
    "POST /api/v1/places/names",
    "POST /api/v1/search",
    "POST /api/v1/systems/box",
    "POST /api/v1/uploads/<upload_id>/parts",
    # These do, but not what the matrix asks: `tests/unit/mapex/test_acts.py` shows that their services look again.
    "POST /account/language",  # of a session; a deed above
    "POST /api/v1/datasets/<slug>/versions/<int:number>/leave-out",
    "POST /api/v1/datasets/<slug>/versions/<int:number>/placement",
    "POST /api/v1/jobs/<job_id>/retry",
    "POST /api/v1/ledger/fee-payments",
    "POST /api/v1/ledger/settlements",
    "POST /api/v1/ledger/settlements/payments",
    "POST /api/v1/orders/<order_id>/updates/quote",
    "POST /api/v1/uploads/<upload_id>/complete",
    "PUT /api/v1/orders/<order_id>/persons",
}

COUNTED = {"attempt", "demand", "demand_day", "demand_seen"}
"""Tables of numbers, which count also who is refused."""


def changing() -> list[str]:
    """The routes of the matrix that may change something for somebody who is known."""
    return [route for route, about in MATRIX["routes"].items() if not route.startswith("GET ") and about["gate"] != "public"]


def stored(ex: Exchange, but: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
    with db.read(ex) as conn:
        tables = [table for table in schema.metadata.sorted_tables if table.name not in COUNTED | but]
        return {table.name: [tuple(row) for row in conn.execute(select(table))] for table in tables}


def asking(house: House, route: str) -> list[Question]:
    """Those who are let in, by a token, about what is there."""
    asked = (one for one in matrix.questions(house) if one.route == route and one.by.role and one.by.scope == "*")
    return [one for one in asked if one.expected is None]


def test_every_route_for_persons_at_a_browser_does_a_deed_that_is_tried_here() -> None:
    routes = {route for route in changing() if MATRIX["routes"][route]["gate"] == "security"}
    assert routes == AT_A_BROWSER.keys()
    deeds = {deed for named in AT_A_BROWSER.values() for deed in (named.split("/") if "/" in named else named.split())}
    assert deeds <= DEEDS.keys() | OPERATE.keys()


def test_whatever_writes_for_somebody_who_is_stopped_meanwhile_writes_nothing(house: House) -> None:
    """Between the gate of the route and its service, the person is suspended."""
    is_stopped, before = False, {}

    def stop() -> None:
        if is_stopped:
            with db.begin(house.ex) as conn:
                conn.execute(update(schema.person).where(schema.person.c.id == g.actor.person_id).values(state="suspended"))
        before.update(stored(house.ex))

    def writes(question: Question) -> bool:
        matrix.ask(house, question)
        # What was not granted is logged for the seller: an entry with its number, and nothing else.
        but = frozenset({"audit_event", "log_head"}) if is_stopped and question.route == "POST /api/v1/grants" else frozenset()
        after = stored(house.ex, but)
        house.restore()
        return any(before[name] != rows for name, rows in after.items())

    house.app.before_request_funcs[None].append(stop)  # after the gate
    writing = {}
    for route in sorted(set(changing()) - AT_A_BROWSER.keys()):
        if found := next(filter(writes, asking(house, route)), None):
            writing[route] = found
    assert set(changing()) - AT_A_BROWSER.keys() - writing.keys() == WRITES_NOTHING, "these wrote nothing, so that nothing is shown of them"
    is_stopped = True
    assert [route for route, question in writing.items() if writes(question)] == [], "these do not look at the person again"
