"""Which of several offers is bought where more than one sells the same: one of each group of alternatives, by a rule in words. Pure.

*Alternatives* are layers of one kind and handling class that share ground in the area, directly or through others between them. Of each
group one dataset is taken, never the sum: one that is not marked as unusually dear, of the best quality, then the newest (by the day),
then the cheapest for each tile. A buyer may name others instead, or several. Original footage is never taken unless it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from mapex.rules.licences import HandlingClass


class Preference(StrEnum):
    """What decides first among alternatives; the others decide after it, in this order."""

    QUALITY = "quality"
    NEWEST = "newest"
    CHEAPEST = "cheapest"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a buyer chose. Names are `ORG/DATASET/LAYER`, or `ORG/DATASET` for all layers of a dataset but original ones.

    Attributes:
        taken: wanted, in the place of whatever the rule would take of their groups.
        left: not wanted.
        prefer: what decides first in groups of which nothing is named.
        only: nothing but what is `taken`.
    """

    taken: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    prefer: Preference = Preference.QUALITY
    only: bool = False

    def takes(self, one: Candidate) -> bool:
        """Whether it is named. Original footage is so by its full name alone: nobody buys it by the way."""
        return one.name in self.taken or (one.dataset in self.taken and not one.is_original)

    @property
    def document(self) -> dict[str, Any]:
        """As JSON values; `of_document` reads them."""
        return {"take": sorted(self.taken), "leave": sorted(self.left), "prefer": str(self.prefer), "only": self.only}

    def leaves(self, one: Candidate) -> bool:
        """Whether it is named as not wanted."""
        return one.name in self.left or one.dataset in self.left


BY_RULE = Choice()
"""Nothing is named."""


def of_document(values: Mapping[str, Any]) -> Choice:
    """The choice that `Choice.document` described; what is missing is as in `BY_RULE`."""
    return Choice(
        frozenset(values.get("take", ())),
        frozenset(values.get("leave", ())),
        Preference(values.get("prefer", Preference.QUALITY)),
        bool(values.get("only", False)),
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A layer that could be bought in an area: `amount` (KRW before VAT) is what its `tiles` cost this buyer.

    `group` is the same for layers of one kind and class that share ground; `day` counts to when it was seen last (`quality.seen_ns`).
    """

    name: str
    dataset: str
    handling_class: str
    group: str
    quality: int
    day: int
    amount: int
    tiles: int
    is_unusual: bool = False

    @property
    def is_original(self) -> bool:
        """Whether it must be named to be bought."""
        return self.handling_class == HandlingClass.ORIGINAL


def chosen(candidates: Iterable[Candidate], choice: Choice = BY_RULE) -> frozenset[str]:
    """The names of what is bought, whatever order the candidates come in."""
    taken: set[str] = set()
    for group in groups(candidates).values():
        named = [one for one in group if choice.takes(one)]
        found = named or ([] if choice.only else _by_rule(group, choice.prefer))
        taken |= {one.name for one in found if not choice.leaves(one)}
    return frozenset(taken)


def groups(candidates: Iterable[Candidate]) -> Mapping[str, Sequence[Candidate]]:
    """The candidates of each group, by name."""
    ordered = sorted(candidates, key=lambda one: (one.group, one.name))
    return {group: list(members) for group, members in groupby(ordered, key=lambda one: one.group)}


def _by_rule(group: Sequence[Candidate], prefer: Preference) -> Sequence[Candidate]:
    """The layers of the one dataset that the rule takes; none of original footage."""
    datasets: dict[str, list[Candidate]] = {}
    for one in group:
        if not one.is_original:
            datasets.setdefault(one.dataset, []).append(one)
    if len(datasets) == 1:
        return next(iter(datasets.values()))
    best = list(datasets.values())
    for rank in (_unusual, _RANKS[prefer], *_RANKS.values(), _name):
        if len(best) <= 1:
            break
        ranks = [rank(layers) for layers in best]
        least = min(ranks)
        best = [layers for layers, one in zip(best, ranks, strict=True) if one == least]
    return best[0] if best else []


def _unusual(layers: Sequence[Candidate]) -> bool:
    return any(one.is_unusual for one in layers)


def _quality(layers: Sequence[Candidate]) -> int:
    return -min(one.quality for one in layers)


def _age(layers: Sequence[Candidate]) -> int:
    return -min(one.day for one in layers)


def _price(layers: Sequence[Candidate]) -> int:
    # As exact as a fraction, and quicker: two that differ, of less than 2**32 tiles each, do so by more than one part in 2**64.
    return (sum(one.amount for one in layers) << 64) // max(1, sum(one.tiles for one in layers))


def _name(layers: Sequence[Candidate]) -> str:
    return layers[0].dataset


_RANKS: Mapping[Preference, Callable[[Sequence[Candidate]], Any]] = {
    Preference.QUALITY: _quality,
    Preference.NEWEST: _age,
    Preference.CHEAPEST: _price,
}
"""The smallest is taken, one after the other decides. A dataset is as good and as new as the worst of its layers."""
