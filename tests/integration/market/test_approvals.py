"""Who may pay: a person without the right draws and quotes, and another pays; limits hold, also when many order at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.operation import fsck
from mapex.orders import approvals, orders, renewals
from mapex.people import domains, invitations, persons, purchase_rights, roles, tokens
from mapex.people.purchase_rights import NONE, WHOLE, Right
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.times import ns_from_iso
from tests.support.exchange import Clock, a_person
from tests.support.market import Market, a_market, area

A_QUOTE_LATER = 16 * 60
"""Seconds after which a price is held no more."""


def refused(kind: type[MapexError], code: str, call: Callable[[], object]) -> MapexError:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    return caught.value


def clock(ex: Exchange) -> Clock:
    assert isinstance(ex.now, Clock)
    return ex.now


def a_drawer(ex: Exchange, market: Market, right: Right = NONE) -> Actor:
    """Another person of the buyer's firm, who may not pay."""
    person = a_person(ex, "dongil")
    purchase_rights.set_right(ex, market.buyer, person.email, right)
    return person


def quoted(ex: Exchange, by: Actor, cells: list[int]) -> quotes.Quote:
    return quotes.quote(ex, by, of_area(area(cells), purpose="research"))


def intact(ex: Exchange) -> bool:
    assert [one.message for one in fsck.check(ex) if not one.ok] == []
    return True


def test_who_may_not_pay_asks_and_another_pays_the_same_quote(exchange: Exchange) -> None:
    market = a_market(exchange)
    drawer = a_drawer(exchange, market)
    quote = quoted(exchange, drawer, market.cells)
    refused(Denied, "purchase.right", lambda: orders.place(exchange, drawer, quote.id, "k"))
    asked = approvals.ask(exchange, drawer, quote.id, "For the pilot at the crossing", persons=[drawer.email])
    assert (asked.state, asked.asker, asked.total, asked.persons) == ("open", drawer.email, quote.estimate.total, (drawer.email,))
    refused(Conflict, "approval.open", lambda: approvals.ask(exchange, market.buyer, quote.id, "again"))
    assert [approvals.waiting(exchange, one) for one in (market.buyer, drawer, market.seller)] == [1, 0, 0]
    made = orders.place(exchange, market.buyer, quote.id, "k", persons=asked.persons)
    assert (made.person, made.asked_by, made.total) == (market.buyer.email, drawer.email, quote.estimate.total)
    assert orders.get(exchange, drawer, made.id) == made
    (ended,) = approvals.of(exchange, drawer)
    assert (ended.state, ended.order, ended.ender) == ("paid", made.id, market.buyer.email)
    assert approvals.waiting(exchange, market.buyer) == 0
    assert intact(exchange)


def test_a_refusal_has_a_reason_and_who_asked_withdraws_without_one(exchange: Exchange) -> None:
    market = a_market(exchange)
    drawer, other = a_drawer(exchange, market), a_drawer(exchange, market)
    first, second = (approvals.ask(exchange, drawer, quoted(exchange, drawer, market.cells).id, "please") for _ in range(2))
    refused(Denied, "purchase.right", lambda: approvals.close(exchange, other, first.id, "I do not like it"))
    refused(NotFound, "approval.unknown", lambda: approvals.close(exchange, market.seller, first.id, "not ours"))
    refused(Invalid, "text.malformed", lambda: approvals.close(exchange, market.buyer, first.id))
    closed = approvals.close(exchange, market.buyer, first.id, "Not this year")
    assert (closed.state, closed.reason, closed.ender) == ("refused", "Not this year", market.buyer.email)
    assert approvals.close(exchange, drawer, second.id).state == "withdrawn"
    refused(Conflict, "approval.ended", lambda: approvals.close(exchange, market.buyer, second.id, "late"))
    assert [one.state for one in approvals.of(exchange, drawer)] == ["withdrawn", "refused"]
    assert approvals.of(exchange, market.seller) == []
    assert intact(exchange)


def test_a_price_that_ran_out_is_asked_anew_and_the_request_goes_along(exchange: Exchange) -> None:
    market = a_market(exchange)
    drawer = a_drawer(exchange, market)
    quote = quoted(exchange, drawer, market.cells)
    asked = approvals.ask(exchange, drawer, quote.id, "please")
    clock(exchange).forward(seconds=A_QUOTE_LATER)
    refused(Conflict, "quote.expired", lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    fresh = renewals.renew(exchange, market.buyer, quote.id)
    assert [one.quote for one in approvals.of(exchange, drawer, state="open")] == [fresh.id]
    made = orders.place(exchange, market.buyer, fresh.id, "k")
    assert made.asked_by == drawer.email and approvals.of(exchange, drawer)[0].id == asked.id
    refused(Conflict, "quote.bought", lambda: approvals.ask(exchange, drawer, fresh.id, "again"))
    refused(Conflict, "quote.expired", lambda: approvals.ask(exchange, drawer, quote.id, "again"))
    assert intact(exchange)


def test_nobody_pays_more_than_the_own_limits_and_the_month_is_that_of_korea(exchange: Exchange) -> None:
    market = a_market(exchange)
    once = market.quote(market.cells[:1]).estimate.total
    limited = a_drawer(exchange, market, Right(True, once, 2 * once))
    for cells in (market.cells[:2], market.cells[1:2], market.cells[2:3], market.cells[3:4]):
        quote = quoted(exchange, limited, cells)
        if len(cells) == 2:
            refused(Denied, "purchase.order_limit", lambda quote=quote: orders.place(exchange, limited, quote.id, quote.id))
        elif cells == market.cells[3:4]:
            error = refused(Denied, "purchase.month_limit", lambda quote=quote: orders.place(exchange, limited, quote.id, quote.id))
            assert (error.details["spent"], error.details["month_limit"]) == (2 * once, 2 * once)
        else:
            orders.place(exchange, limited, quote.id, quote.id)
    assert purchase_rights.allowance(exchange, limited).spent == 2 * once
    clock(exchange).at_ns = ns_from_iso("2026-09-30T23:59:59+09:00")
    assert purchase_rights.allowance(exchange, limited).spent == 2 * once
    clock(exchange).forward(seconds=1)
    assert purchase_rights.allowance(exchange, limited).spent == 0


def test_many_orders_at_once_never_exceed_the_limit_of_the_month(exchange: Exchange) -> None:
    market = a_market(exchange)
    once = market.quote(market.cells[:1]).estimate.total
    limited = a_drawer(exchange, market, Right(month_limit=3 * once))
    held = [quoted(exchange, limited, [cell]) for cell in market.cells[:8]]

    def buy(quote: quotes.Quote) -> str:
        try:
            return orders.place(exchange, limited, quote.id, quote.id).state
        except Denied as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(buy, held)) == ["paid"] * 3 + ["purchase.month_limit"] * 5
    assert purchase_rights.allowance(exchange, limited).spent == 3 * once


def test_rights_are_set_by_those_who_have_the_whole_one_and_one_of_them_stays(exchange: Exchange) -> None:
    market = a_market(exchange)
    buyer, limited, operator = market.buyer, a_drawer(exchange, market, Right(order_limit=10)), a_person(exchange, role="operator")

    def change(by: Actor | None, of: Actor, right: Right) -> Callable[[], object]:
        return lambda: purchase_rights.set_right(exchange, by, of.email, right)

    refused(Denied, "purchase.approver", change(limited, limited, WHOLE))
    refused(NotFound, "person.unknown", change(market.seller, limited, WHOLE))
    refused(NotFound, "person.unknown", change(operator, operator, NONE))
    refused(Invalid, "purchase.limit", change(buyer, limited, Right(order_limit=0)))
    for nobody_is_left in (NONE, Right(month_limit=1)):
        refused(Conflict, "purchase.last", change(buyer, buyer, nobody_is_left))
        refused(Conflict, "purchase.last", change(operator, buyer, nobody_is_left))
    change(operator, limited, WHOLE)()
    roles.set_state(exchange, operator, limited.email, "suspended")
    refused(Conflict, "purchase.last", change(buyer, buyer, NONE))
    roles.set_state(exchange, operator, limited.email, "active")
    change(buyer, buyer, NONE)()
    assert purchase_rights.of_members(exchange, buyer) == {buyer.email: NONE, limited.email: WHOLE}
    assert intact(exchange)


def test_whoever_is_invited_by_a_member_without_the_whole_right_may_not_pay_at_first(exchange: Exchange) -> None:
    """Or who may not pay would invite another address of its own and pay with that."""
    market = a_market(exchange)
    domains.add(exchange, None, "dongil", "dongil.example")
    drawer, operator = a_drawer(exchange, market), a_person(exchange, role="operator")
    for n, (inviter, expected) in enumerate([(drawer, NONE), (market.buyer, WHOLE), (operator, WHOLE)]):
        made, _ = invitations.invite(exchange, inviter, f"new{n}@dongil.example", org="dongil")
        _, secret = invitations.hand_out(exchange, operator, made.id)
        invitations.redeem(exchange, secret, name="New", password="long enough for anybody")
        assert purchase_rights.of_members(exchange, market.buyer)[f"new{n}@dongil.example"] == expected
    assert intact(exchange)


def test_a_token_pays_as_its_person_may(exchange: Exchange) -> None:
    market = a_market(exchange)
    drawer = a_drawer(exchange, market)
    person = persons.get_person(exchange, email=drawer.email)
    assert person is not None
    by = tokens.actor_of(exchange, tokens.create(exchange, person, "all", ["*"], 1))
    assert by is not None and by.token_id
    quote = quoted(exchange, by, market.cells)
    refused(Denied, "purchase.right", lambda: orders.place(exchange, by, quote.id, "k"))


def test_a_right_is_of_one_organisation(exchange: Exchange) -> None:
    market = a_market(exchange)
    drawer = a_drawer(exchange, market)
    roles.set_role(exchange, None, drawer.email, "member", org="hanbit")
    assert purchase_rights.of_members(exchange, market.seller)[drawer.email] == WHOLE
    roles.set_role(exchange, None, drawer.email, "member", org="dongil")
    assert purchase_rights.of_members(exchange, market.buyer)[drawer.email] == NONE
    assert intact(exchange)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE purchase_right SET may_pay = true", "the right to pay of"),
        ("DELETE FROM purchase_right", "is in the log and not there"),
        ("UPDATE approval SET note = 'other'", "request for approval"),
        ("UPDATE approval SET state = 'open', order_id = NULL", "request for approval"),
    ],
)
def test_fsck_finds_what_was_changed_behind_the_services(exchange: Exchange, change: str, named: str) -> None:
    market = a_market(exchange)
    drawer = a_drawer(exchange, market)
    quote = quoted(exchange, drawer, market.cells)
    approvals.ask(exchange, drawer, quote.id, "please")
    orders.place(exchange, market.buyer, quote.id, "k")
    with exchange.engine.begin() as conn:
        conn.execute(text(change))
    (broken,) = (one for one in fsck.check(exchange) if not one.ok)
    assert broken.name == "replay" and named in broken.message


def test_an_order_that_is_asked_again_with_its_key_answers_who_asked(exchange: Exchange) -> None:
    market = a_market(exchange)
    drawer = a_drawer(exchange, market)
    quote = quoted(exchange, drawer, market.cells)
    approvals.ask(exchange, drawer, quote.id, "please")
    made = orders.place(exchange, market.buyer, quote.id, "k")
    assert orders.place(exchange, market.buyer, quote.id, "k") == made
