"""Ask the seller: both sides see the question and no person, nobody else does, and what is new is said."""

from __future__ import annotations

import hashlib

import pytest

from mapex.audit import log
from mapex.errors import Conflict, Denied, Limited, MapexError, NotFound
from mapex.exchange import Actor, Exchange
from mapex.operation import fsck
from mapex.showroom import questions
from tests.support.exchange import a_person
from tests.support.market import Market, a_market


@pytest.fixture
def market(exchange: Exchange) -> Market:
    return a_market(exchange, side=2)


def news(market: Market) -> tuple[int, int]:
    """How many questions hold something new for the seller and for the buyer."""
    return questions.unread(market.ex, market.seller), questions.unread(market.ex, market.buyer)


def test_a_question_goes_to_and_fro_and_what_is_new_is_counted_until_it_is_read(market: Market) -> None:
    ex = market.ex
    asked = questions.ask(ex, market.buyer, "hanbit/streets", "How wide?\r\nAll of them?")
    assert news(market) == (1, 0)
    received = questions.read(ex, market.seller, asked.id)
    assert [(one.org, one.text) for one in received.messages] == [("dongil", "How wide?\nAll of them?")] and news(market) == (0, 0)
    questions.answer(ex, market.seller, asked.id, "Three metres.")
    assert news(market) == (0, 1) and [one.is_unread for one in questions.of(ex, market.buyer)] == [True]
    assert [one.org for one in questions.read(ex, market.buyer, asked.id).messages] == ["dongil", "hanbit"] and news(market) == (0, 0)


def test_a_question_is_logged_without_its_text_and_names_no_person_to_the_other_side(market: Market) -> None:
    ex = market.ex
    asked = questions.ask(ex, market.buyer, "hanbit/streets", "A secret plan")
    (entry,) = [one for one in log.events(ex, market.buyer).events if one.payload["action"] == log.Action.QUESTION_SENT]
    assert entry.payload["text_sha256"] == hashlib.sha256(b"A secret plan").hexdigest() and entry.payload["question"] == asked.id
    assert "secret plan" not in str(entry.payload)
    assert market.buyer.email not in str(questions.read(ex, market.seller, asked.id))
    assert all(check.ok for check in fsck.check(ex))


def test_who_is_on_neither_side_sees_no_question(market: Market) -> None:
    ex = market.ex
    asked = questions.ask(ex, market.buyer, "hanbit/streets", "How wide?")
    stranger, operator, auditor = a_person(ex, "nuri"), a_person(ex, role="operator"), a_person(ex, role="auditor")
    for deed in (questions.read, lambda ex, by, id_: questions.answer(ex, by, id_, "I know it.")):
        with pytest.raises(NotFound):
            deed(ex, stranger, asked.id)
    assert questions.of(ex, stranger) == [] and questions.unread(ex, stranger) == 0
    assert [one.id for one in questions.of(ex, operator)] == [asked.id], "for abuse"
    assert questions.read(ex, operator, asked.id).messages and news(market) == (1, 0), "an operator's look is nobody's"
    for look in (questions.of, lambda ex, by: questions.read(ex, by, asked.id)):
        with pytest.raises(Denied):
            look(ex, auditor)


REFUSED: dict[str, tuple[type[MapexError], str]] = {
    "own": (Conflict, "question.own"),
    "absent": (NotFound, "dataset.unknown"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_only_another_seller_of_something_on_sale_is_asked(market: Market, why: str) -> None:
    kind, code = REFUSED[why]
    by: Actor = market.seller if why == "own" else market.buyer
    with pytest.raises(kind) as refused:
        questions.ask(market.ex, by, "hanbit/streets" if why == "own" else "hanbit/absent", "How wide?")
    assert refused.value.code == code and questions.of(market.ex, by) == []


def test_messages_are_bounded_for_each_person_and_each_question(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    ex = market.ex
    asked = questions.ask(ex, market.buyer, "hanbit/streets", "One")
    monkeypatch.setattr(questions, "MOST_MESSAGES", 2)
    questions.answer(ex, market.seller, asked.id, "Two")
    with pytest.raises(Conflict):
        questions.answer(ex, market.seller, asked.id, "Three")
    monkeypatch.setattr(questions, "MOST_A_DAY", 1)
    with pytest.raises(Limited):
        questions.ask(ex, market.buyer, "hanbit/streets", "Two")
