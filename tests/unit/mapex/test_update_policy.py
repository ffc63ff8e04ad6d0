"""What updates cost, as a word, and the day in Korea on which they are free for the last time."""

from __future__ import annotations

import pytest

from mapex.errors import Invalid
from mapex.rules import terms
from mapex.rules.update_policy import DIFFERENCE, MAX_MONTHS, PAID, free_months, free_until_ns, read_updates
from mapex.times import KST, ns_from_iso

LAST_DAYS = [
    ("2026-11-30T12:00", 12, "2027-11-30"),
    ("2026-01-31T12:00", 1, "2026-02-28"),
    ("2028-01-31T12:00", 1, "2028-02-29"),
    ("2028-02-29T12:00", 12, "2029-02-28"),
    ("2028-02-29T12:00", 24, "2030-02-28"),
    ("2026-12-31T12:00", 2, "2027-02-28"),
    ("2026-12-15T12:00", 36, "2029-12-15"),
    ("2026-03-31T12:00", 1, "2026-04-30"),
    ("2026-09-30T23:59:59.999999", 1, "2026-10-30"),
    ("2026-10-01T00:00", 1, "2026-11-01"),
]


@pytest.mark.parametrize(("ordered", "months", "last"), LAST_DAYS)
def test_updates_are_free_until_midnight_in_korea_after_the_last_day(ordered: str, months: int, last: str) -> None:
    end = free_until_ns(f"free:{months}", ns_from_iso(ordered, KST))
    assert ns_from_iso(f"{last}T23:59:59.999999", KST) + 1000 == end


def test_updates_that_are_paid_never_were_free() -> None:
    for policy in (PAID, DIFFERENCE):
        assert free_until_ns(policy, ns_from_iso("2026-11-30", KST)) == free_months(policy) == 0


@pytest.mark.parametrize("policy", [PAID, DIFFERENCE, "free:1", "free:12", f"free:{MAX_MONTHS}"])
def test_a_policy_is_stored_as_it_is_named(policy: str) -> None:
    assert read_updates(policy) == policy


WRONG = [
    "",
    "free",
    "free:0",
    "free:37",
    "free:-1",
    "free:012",
    "free:1.5",
    "free:12 ",
    "FREE:12",
    "free:１２",
    "difference:12",
    None,
    12,
    ["paid"],
]


@pytest.mark.parametrize("policy", WRONG)
def test_whatever_is_no_policy_is_refused(policy: object) -> None:
    with pytest.raises(Invalid) as caught:
        read_updates(policy)
    assert caught.value.code == "offer.updates"


def test_a_policy_is_part_of_the_terms_and_offers_without_one_have_the_digest_that_they_had() -> None:
    digests = {terms.digest("research", "hanbit", False, policy) for policy in (PAID, DIFFERENCE, "free:1", "free:2")}
    assert len(digests) == 4
    assert terms.digest("research", "hanbit") == terms.digest("research", "hanbit", False, PAID)
