"""A place is found by whatever people type of its name, and the likeliest comes first."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex.places import divisions
from mapex.places.index import Index, Place
from mapex.places.romanisation import romanised
from mapex.places.spelling import folded, initials, words


@pytest.fixture(scope="module")
def korea() -> Index:
    return Index(divisions.places())


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("백현동", "경기도 성남시 분당구 백현동"),
        ("백현", "경기도 성남시 분당구 백현동"),
        ("백혀", "경기도 성남시 분당구 백현동"),
        ("분당 백현", "경기도 성남시 분당구 백현동"),
        ("백현동, 분당구", "경기도 성남시 분당구 백현동"),
        ("ㅂㄷㄱ", "경기도 성남시 분당구"),
        ("Baekhyeon-dong", "경기도 성남시 분당구 백현동"),
        ("baekhyeon", "경기도 성남시 분당구 백현동"),
        ("Bundang-gu", "경기도 성남시 분당구"),
        ("Pusan", "부산광역시"),
        ("Kangnam-gu", "서울특별시 강남구"),
        ("성남", "경기도 성남시"),
        ("충북", "충청북도"),
        ("세종", "세종특별자치시"),
        ("경기", "경기도"),
        ("종로", "서울특별시 종로구"),
        ("Seoul Jung-gu", "서울특별시 중구"),
        ("강남구 역삼", "서울특별시 강남구 역삼동"),
        ("양서면 양수리", "경기도 양평군 양서면 양수리"),
    ],
)
def test_the_likeliest_division_comes_first(korea: Index, asked: str, first: str) -> None:
    assert " ".join(korea.search(asked)[0].names) == first


def test_every_division_is_found_by_its_full_name_and_in_latin_letters(korea: Index) -> None:
    some = random.Random(1).sample(divisions.places(), 150)
    for place in some:
        for asked in (" ".join(place.names), " ".join(map(romanised, place.names))):
            assert place.names in [one.names for one in korea.search(asked, limit=20)], asked


def test_what_is_nowhere_is_not_found(korea: Index) -> None:
    for asked in ("Karlsruhe", "없는동네이름", "", " , ", "!!!"):
        assert korea.search(asked) == []


def test_a_word_within_a_name_is_found_after_those_that_begin_with_it() -> None:
    index = Index([Place("place", ("현대백화점 판교점",), 127.1, 37.39), Place("place", ("백화점",), 127.0, 37.5)])
    assert [one.name for one in index.search("백화점")] == ["백화점", "현대백화점 판교점"]
    assert [one.name for one in index.search("판교점")] == ["현대백화점 판교점"]


def test_half_a_syllable_of_hangul_begins_the_whole() -> None:
    assert folded("백현").startswith(folded("백혀")) and folded("백혀").startswith(folded("백ㅎ"))
    assert folded("닭").startswith(folded("달")) and folded("과천").startswith(folded("고"))
    assert initials("백현동") == "ㅂㅎㄷ" and initials("종로1가") == "ㅈㄹ1ㄱ" and initials("Seoul") == ""
    assert folded("ㄳ") == "ㄱㅅ"  # a keyboard joins two consonants that follow each other


def test_spellings_of_one_sound_are_one() -> None:
    known = {"Pusan": "Busan", "Taegu": "Daegu", "Cheju": "Jeju", "Baekhyeon-dong": "baekhyeondong", "Zürich": "zurich"}
    for one, other in known.items():
        assert folded(one) == folded(other)


@given(st.text())
def test_any_text_can_be_asked(text: str) -> None:
    for word in words(text):
        assert word


@given(st.text(alphabet="가각간갇갈갉감값강개과궈희흙ㄱㅎㅏㄳ 1a", max_size=12))
def test_any_mixture_of_syllables_and_letters_can_be_asked(text: str) -> None:
    Index([Place("emd", ("경기도", "각과동"), 127.0, 37.0)]).search(text)
