"""The closed words of trade."""

import pytest

from mapex.errors import Invalid
from mapex.rules import licences
from mapex.rules.licence_texts import TEXTS
from mapex.rules.licences import HandlingClass, Purpose


def test_restricted_and_original_need_a_permit_and_the_others_do_not() -> None:
    assert {c for c in HandlingClass if c.needs_permit} == {HandlingClass.RESTRICTED, HandlingClass.ORIGINAL}


def test_research_data_may_not_enter_products() -> None:
    assert licences.allows("research", "research")
    assert not licences.allows("research", "map_production")
    assert not licences.allows("research", "perception_training")


@pytest.mark.parametrize("purpose", Purpose)
def test_commercial_and_share_alike_allow_every_purpose(purpose: Purpose) -> None:
    assert licences.allows("commercial", purpose)
    assert licences.allows("share_alike", purpose)


def test_unknown_words_allow_nothing() -> None:
    assert not licences.allows("free", "research")
    assert not licences.allows("commercial", "fun")
    assert licences.allows("research", None)
    assert not licences.allows("free", None)


@pytest.mark.parametrize(
    ("check", "code"),
    [(licences.check_purpose, "purpose.unknown"), (licences.check_licence, "licence.unknown"), (licences.check_class, "class.unknown")],
)
def test_unknown_words_are_refused_naming_the_known(check, code: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Invalid) as refused:
        check("Research ")
    assert refused.value.code == code
    assert "research" in refused.value.message or "original" in refused.value.message


def test_each_licence_has_five_lines_in_korean_and_english() -> None:
    for licence in licences.LICENCES.values():
        assert len(licence.lines) == 5
        for korean, english in (licence.name, *licence.lines):
            assert any("가" <= letter <= "힣" for letter in korean)
            assert english.isascii()
    assert set(licences.CLASS_LINES) == set(HandlingClass)


def test_each_licence_has_a_full_text_in_korean_and_english_without_a_clause_twice() -> None:
    assert set(TEXTS) == set(licences.LICENCES)
    for clauses in TEXTS.values():
        assert len(set(clauses)) == len(clauses) >= 10
        for korean, english in clauses:
            assert any("가" <= letter <= "힣" for letter in korean)
            assert english.isascii()
