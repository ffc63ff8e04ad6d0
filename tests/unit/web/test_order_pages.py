"""What the pages of orders work out themselves: days of Korea, harmless cells, differences of licence texts."""

from __future__ import annotations

import pytest
from flask import Flask

from mapex.rules.licence_texts import TEXTS
from mapex.times import DAY_NS, ns_from_iso
from web.edge import tables
from web.pages import buy
from web.words import licences


def test_a_day_of_the_filter_is_a_day_of_korea_and_the_last_one_is_whole() -> None:
    begin = ns_from_iso("2026-11-25T15:00:00Z")
    assert buy._day("2026-11-26") == begin
    assert buy._day("2026-11-26", last=True) == begin + DAY_NS
    assert buy._day("2026-11-26T00:00:00Z", last=True) == ns_from_iso("2026-11-26T00:00:00Z")
    assert buy._day("") is None


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_begins_like_a_formula_is_quoted(text: str) -> None:
    assert tables.harmless(text) == f"'{text}"
    assert tables.harmless(f"a{text}") == f"a{text}"


def test_the_difference_of_two_licences_leads_from_one_text_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "language", lambda: "en")
    with Flask("x").test_request_context():
        found = licences.licence_difference("research", "share_alike")
        assert licences.licence_difference("research", "research") == [("=", clause[1]) for clause in TEXTS["research"]]
    assert [clause for mark, clause in found if mark != "+"] == [clause[1] for clause in TEXTS["research"]]
    assert [clause for mark, clause in found if mark != "-"] == [clause[1] for clause in TEXTS["share_alike"]]
    assert {mark for mark, _ in found} == {"-", "+", "="}
