"""What a version changes against the one before it, feature by feature: of a cell, and of a layer. Values; see `comparisons`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mapex.rules import accuracy
from mapex.rules.accuracy import STEPS_MM, Shift

MOST_ATTRIBUTES = 50
MOST_EXAMPLES = 5
"""Names of features that are kept for each way in which they changed."""

NO_STEPS = (0,) * (len(STEPS_MM) + 1)


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """How many features (points, frames) were added, removed, moved or have other attributes.

    `moved` counts by the first of `STEPS_MM` that covers the shift, the last of all others; `moved_only` those of them of which nothing
    else changed, so that what did not change can be known for each accuracy.
    """

    added: int = 0
    removed: int = 0
    altered: int = 0
    moved: tuple[int, ...] = NO_STEPS
    moved_only: tuple[int, ...] = NO_STEPS

    def __add__(self, other: ChangeCounts) -> ChangeCounts:
        return ChangeCounts(
            self.added + other.added,
            self.removed + other.removed,
            self.altered + other.altered,
            tuple(map(sum, zip(self.moved, other.moved, strict=True))),
            tuple(map(sum, zip(self.moved_only, other.moved_only, strict=True))),
        )

    def moved_by(self, accuracy_mm: int) -> int:
        """How many moved by more than the accuracy."""
        return accuracy.moved(self.moved, accuracy_mm)

    def fresh_by(self, accuracy_mm: int) -> int:
        """How many of those that are there now were not there before, or are not the same."""
        return self.added + self.altered + accuracy.moved(self.moved_only, accuracy_mm)

    def unchanged_of(self, after: int, accuracy_mm: int) -> int:
        """How many of `after` that are there now were there before, and are the same."""
        return max(0, after - self.fresh_by(accuracy_mm))

    def as_json(self) -> dict[str, Any]:
        """As it is stored; what is 0 is left out."""
        numbers: dict[str, Any] = {name: getattr(self, name) for name in ("added", "removed", "altered") if getattr(self, name)}
        return numbers | {name: list(getattr(self, name)) for name in ("moved", "moved_only") if any(getattr(self, name))}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> ChangeCounts:
        """Of a stored record."""
        steps = (tuple(record.get(name, NO_STEPS)) for name in ("moved", "moved_only"))
        return ChangeCounts(record.get("added", 0), record.get("removed", 0), record.get("altered", 0), *steps)


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell of a layer of which the contents differ, or that only one of the two versions has."""

    cell: int
    shift: Shift
    counts: ChangeCounts
    attributes: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """A layer against the one of the same name in the version before (`against_id`), which had `before` features, and now has `after`.

    `attributes`: how many features have another value, by name; `examples`: ids of features that were added, removed, moved, altered.
    """

    name: str
    against_id: str
    before: int
    after: int
    cells: Sequence[CellChange] = ()
    counts: ChangeCounts = ChangeCounts()
    attributes: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @staticmethod
    def of(name: str, against_id: str, sizes: tuple[int, int], cells: Iterable[CellChange]) -> LayerComparison:
        """The sum of the cells."""
        whole, attributes, examples = ChangeCounts(), Counter[str](), dict[str, list[str]]()
        some = sorted(cells, key=lambda one: one.cell)
        for one in some:
            whole += one.counts
            attributes.update(one.attributes)
            for way, names in one.examples.items():
                examples[way] = [*examples.get(way, ()), *names][:MOST_EXAMPLES]
        most = dict(sorted(attributes.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_ATTRIBUTES])
        return LayerComparison(name, against_id, *sizes, some, whole, most, examples)

    def as_text(self) -> str:
        """What is stored of it, but for its cells: canonical JSON."""
        about = {"before": self.before, "after": self.after, "attributes": dict(self.attributes), "examples": dict(self.examples)}
        return json.dumps({**about, **self.counts.as_json()}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
