"""What a unit usually costs, and which rates are so far from it that one asks: a slip of the keyboard, or worse. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from statistics import median_low

from mapex.rules.pricing import UNITS, parsed_rates

TIMES = 1000
"""A rate of so many times the median of its unit, or more, is unusual."""

ENOUGH = 3
"""Rates of a unit that make a median."""


def usual(cards: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """By unit: the median of the rates on these cards, or its example where there are too few: one absurd rate alone is no measure.

    What is free is no price.
    """
    rates: dict[str, list[int]] = defaultdict(list)
    for card in cards:
        for unit, rate in card.items():
            if rate > 0:
                rates[unit].append(rate)
    return {code: median_low(rates[code]) if len(rates[code]) >= ENOUGH else unit.example for code, unit in UNITS.items()}


def unusual(rates: Mapping[str, int], medians: Mapping[str, int]) -> tuple[str, ...]:
    """The units of a rate card that cost `TIMES` the median or more, sorted."""
    return tuple(sorted(unit for unit, rate in rates.items() if rate >= TIMES * medians[unit]))


@lru_cache(maxsize=16)
def usual_on(cards: frozenset[str]) -> Mapping[str, int]:
    """As `usual`, of stored rate cards: the same ones are on sale for a long time."""
    return usual(parsed_rates(card) for card in sorted(cards))
