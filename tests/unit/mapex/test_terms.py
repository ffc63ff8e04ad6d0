"""Which use is narrower than which, spelled out; and that the text of a licence never changes."""

from __future__ import annotations

import pytest

from mapex.rules import terms
from mapex.rules.licences import LICENCES, Purpose

STUDIES = {"research", "simulation", "safety_validation"}


@pytest.mark.parametrize("held", Purpose)
def test_a_product_counts_for_studies_and_a_study_for_itself(held: str) -> None:
    expected = {held} | (set() if held in STUDIES else STUDIES)
    assert {wanted for wanted in Purpose if terms.covers_purpose(held, wanted)} == expected


def test_commercial_and_share_alike_are_wider_than_research_and_odbl_than_all() -> None:
    pairs = {(held, wanted) for held in LICENCES for wanted in LICENCES if held != wanted and terms.covers_licence(held, wanted)}
    over_all = {("odbl", narrower) for narrower in ("research", "commercial", "share_alike")}
    assert pairs == {("commercial", "research"), ("share_alike", "research")} | over_all


@pytest.mark.parametrize(
    ("code", "sha256"),
    [
        ("research", "c387add2541b16c7f133691367fd2c659bb992fe6de0a62d2e17829b282616fa"),
        ("commercial", "a7682b306c6c39442644d8a4f51ff37083181890571010557cbfdbcd9ace96c8"),
        ("share_alike", "20a46c3d947f152bd32b73d64e2e827f18b5f0125c241d32d91d3311a0dfa22e"),
    ],
)
def test_what_was_sold_under_a_licence_is_its_text_for_ever(code: str, sha256: str) -> None:
    """Orders name a licence by its code and the digest of its text. Whoever wants other words makes another licence, with another code."""
    assert terms.digest(code, "") == sha256
