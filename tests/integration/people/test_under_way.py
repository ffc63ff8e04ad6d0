"""What is under way in a session, while it or its person is stopped, gives nothing that lasts: no factor, token, password, order, money."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mapex.errors import MapexError
from mapex.exchange import Actor, Exchange
from mapex.login import factors, recovery_codes, sessions
from mapex.login.factors import NewFactor
from mapex.orders import ledger, orders
from mapex.people import domains, invitations, persons, roles, tokens
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
