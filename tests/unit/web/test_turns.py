"""Turns: how many areas are computed together in a process, and for one caller."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from apiflask import APIFlask
from werkzeug.exceptions import TooManyRequests

from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.people import tokens
from tests.support.exchange import a_person, an_exchange
from web import create_app
from web.edge.limits.turns import Turns
from web.edge.limits.visitors import Allowances

BOX = {"type": "Polygon", "coordinates": [[[126.97, 37.55], [126.98, 37.55], [126.98, 37.56], [126.97, 37.56], [126.97, 37.55]]]}


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


@pytest.fixture
def app(ex: Exchange) -> APIFlask:
    return create_app(ex)


def test_one_caller_has_so_many_turns_and_others_have_theirs() -> None:
    turns = Turns(at_once=4, of_one=2, wait_s=0)
    turns.take("a")
    turns.take("a")
    with pytest.raises(TooManyRequests) as caught:
        turns.take("a")
    assert caught.value.retry_after == 1
    turns.take("b")
    turns.give_back("a")
    turns.take("a")


def test_whoever_finds_no_turn_free_in_time_is_asked_to_come_back_and_holds_nothing() -> None:
    turns = Turns(at_once=1, of_one=2, wait_s=0)
    turns.take("a")
    for _ in range(3):
        with pytest.raises(Unavailable):
            turns.take("b")
    turns.give_back("a")
    turns.take("b")


def test_whoever_waits_gets_the_turn_that_is_given_back() -> None:
    turns = Turns(at_once=1, of_one=2, wait_s=60)
    turns.take("a")
    waiting = threading.Thread(target=turns.take, args=("b",))
    waiting.start()
    turns.give_back("a")
    waiting.join(60)
    assert not waiting.is_alive()


ASKED = ("/estimates", "/estimates/tiles", "/coverage", "/search", "/quotes")


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("signed_in", [False, True])
def test_every_route_that_computes_an_area_has_turns_and_gives_them_back(
    ex: Exchange, app: APIFlask, path: str, *, signed_in: bool
) -> None:
    if path == "/quotes" and not signed_in:
        return  # visitors get no quote
    headers = {}
    if signed_in:
        headers["Authorization"] = f"Bearer {tokens.create(ex, a_person(ex, 'nuri'), days=30)}"
    app.extensions["turns"] = turns = Turns(at_once=1, of_one=1, wait_s=0)
    body = {"region": BOX, **({"purpose": "research"} if path == "/quotes" else {})}

    def ask() -> int:
        return app.test_client().post(f"/api/v1{path}", json=body, headers=headers).status_code

    free = ask()
    assert free in (200, 201, 409, 422)
    assert ask() == free, "the turn of the first request was given back"
    turns.take("somebody else")
    assert ask() == 503
    turns.give_back("somebody else")
    assert ask() == free


def test_a_person_who_used_up_the_allowance_waits_and_others_do_not(ex: Exchange, app: APIFlask) -> None:
    one, other = a_person(ex, "nuri"), a_person(ex, "hanbit")
    app.extensions["members"] = spent = Allowances(seconds=10, back=0.5)
    spent.spend(one.person_id, 20)
    answers = [
        app.test_client().post(
            "/api/v1/estimates", json={"region": BOX}, headers={"Authorization": f"Bearer {tokens.create(ex, who, days=30)}"}
        )
        for who in (one, other)
    ]
    assert [answer.status_code for answer in answers] == [429, 200]
    assert 15 <= int(answers[0].headers["Retry-After"]) <= 20
