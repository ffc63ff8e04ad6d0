"""The rule of quality and freshness, by examples and by what must hold for all counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex.rules import quality
from mapex.times import DAY_NS, ns_from_iso

PUBLISHED = ns_from_iso("2026-06-01")


@pytest.mark.parametrize(
    ("read", "placed", "warnings", "score"),
    [
        (100, 100, 0, 100),
        (100, 100, 10, 95),  # a warning costs half a record
        (100, 90, 0, 90),  # rejected or without a place: nothing
        (100, 90, 200, 45),  # no more records can be warned of than were placed
        (1_000_000, 999_999, 0, 99),  # 100 means that nothing was wrong
        (10, 0, 0, 0),
    ],
)
def test_quality_by_examples(read: int, placed: int, warnings: int, score: int) -> None:
    assert quality.score({"read": read, "placed": placed}, warnings) == score


def test_nothing_counted_is_unknown_and_not_bad() -> None:
    assert quality.score({}, 0) == quality.score({"read": 0, "placed": 0}, 3) == quality.UNKNOWN
    assert quality.of_layer({}, 0, PUBLISHED) == (PUBLISHED, quality.UNKNOWN)


@given(st.integers(1, 10**9), st.data())
def test_quality_is_a_percentage_that_faults_only_lower(read: int, data: st.DataObject) -> None:
    placed = data.draw(st.integers(0, read))
    warnings = data.draw(st.integers(0, 2 * read))
    found = quality.score({"read": read, "placed": placed}, warnings)
    assert 0 <= found <= 100
    assert quality.score({"read": read, "placed": placed}, warnings + 1) <= found
    assert quality.score({"read": read + 1, "placed": placed}, warnings) <= found
    assert (found == 100) == (placed == read and warnings == 0)


def test_freshness_is_the_end_of_the_capture_else_the_publication() -> None:
    assert quality.seen_ns(["2026-01-01T00:00:00Z", "2026-03-02T10:00:00Z"], PUBLISHED) == ns_from_iso("2026-03-02T10:00:00Z")
    assert quality.seen_ns(None, PUBLISHED) == PUBLISHED
    assert quality.seen_ns(["no time"], PUBLISHED) == PUBLISHED
    assert quality.seen_ns(["2031-01-01T00:00:00Z"], PUBLISHED) == PUBLISHED, "a clock that ran ahead makes nothing fresher"


def test_age_is_whole_days_and_never_negative() -> None:
    assert quality.age_days(PUBLISHED, PUBLISHED + 79 * DAY_NS + DAY_NS - 1) == 79
    assert quality.age_days(PUBLISHED, PUBLISHED - DAY_NS) == 0
