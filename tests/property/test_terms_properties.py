"""The rule of uses: partial orders, and no purchase that another one makes cheaper than it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex.rules import licences, terms
from mapex.rules.licences import LICENCES, Purpose

purposes = st.sampled_from([str(one) for one in Purpose])
codes = st.sampled_from(sorted(LICENCES))
uses = st.tuples(purposes, codes)

ORDERS: list[tuple[Callable[..., bool], st.SearchStrategy[object]]] = [
    (terms.covers_purpose, purposes),
    (terms.covers_licence, codes),
    (terms.covers, uses),
]


@pytest.mark.parametrize(("covers", "things"), ORDERS)
def test_each_is_a_partial_order(covers: Callable[..., bool], things: st.SearchStrategy[object]) -> None:
    @given(things, things, things)
    def holds(a: object, b: object, c: object) -> None:
        assert covers(a, a)
        assert not (covers(a, b) and covers(b, c)) or covers(a, c)
        assert not (covers(a, b) and covers(b, a)) or a == b

    holds()


@given(uses, purposes)
def test_what_counts_for_a_use_could_be_used_so(held: tuple[str, str], purpose: str) -> None:
    """A right counts for nothing that its own licence forbids, so long as it was one that can be bought."""
    if licences.allows(held[1], held[0]):
        for licence in LICENCES:
            if terms.covers(held, (purpose, licence)):
                assert licences.allows(held[1], purpose)
                assert LICENCES[held[1]].freedoms >= LICENCES[licence].freedoms


@given(st.lists(st.tuples(uses, st.integers(0, 100)), max_size=12))
def test_no_chain_of_purchases_gets_a_wide_use_for_less_than_a_newcomer_pays(steps: list[tuple[tuple[str, str], int]]) -> None:
    """Each step: the use, and what a newcomer pays for it then. Whoever holds a use holds one that was paid in full and covers it."""
    held: list[tuple[str, str]] = []
    in_full: list[tuple[str, str]] = []
    for use, price in steps:
        if not any(terms.covers(one, use) for one in held):
            in_full.append(use)
            assert price >= 0
        held.append(use)
        assert any(terms.covers(paid, use) for paid in in_full)


@given(st.text(max_size=20), purposes, codes)
def test_unknown_words_cover_nothing_and_are_covered_by_nothing(word: str, purpose: str, code: str) -> None:
    if word not in list(Purpose):
        assert not terms.covers_purpose(word, purpose)
        assert not terms.covers_purpose(purpose, word)
        assert not terms.covers_purpose(word, word)
    if word not in LICENCES:
        assert not terms.covers_licence(word, code)
        assert not terms.covers_licence(code, word)


@given(purposes)
def test_what_counts_for_a_purpose_is_listed(purpose: str) -> None:
    assert set(terms.covering(purpose)) == {str(one) for one in Purpose if terms.covers_purpose(one, purpose)}
    assert set(terms.covering(terms.ANY_PURPOSE)) == set(Purpose)


@given(codes, st.text(max_size=40), codes, st.text(max_size=40))
def test_terms_have_one_digest_and_other_terms_another(a: str, words: str, b: str, other: str) -> None:
    assert (terms.digest(a, words) == terms.digest(b, other)) == ((a, words) == (b, other))
