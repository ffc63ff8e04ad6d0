"""A map as its features, cell by cell, and the version that is made of it: what it changes is counted here, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mapex.catalogue.comparison import CellChange, ChangeCounts
from mapex.rules.accuracy import STEPS_MM, Shift, step_of
from tests.support.market import Market, Spec, a_draft
from tiles.batch import Quantities

Place = tuple[str, int]
"""A feature: what it says, and where it is (millimetres from somewhere)."""

Edition = Mapping[int, Mapping[str, Place]]
"""The features of each cell by their names."""


def an_edition(cells: Sequence[int], count: int = 10) -> dict[int, dict[str, Place]]:
    return {cell: {f"f{number}": ("as built", 0) for number in range(count)} for cell in cells}


def a_version(market: Market, now: Edition, before: Edition | None = None) -> None:
    """A draft of the features, each of which counts as one crossing; without `before` it is compared with nothing."""
    layer = Spec(
        parts={cell: [f"{cell} {sorted(features.items())}"] for cell, features in now.items() if features},
        vectors={cell: Quantities(crossings=len(features), features=len(features)) for cell, features in now.items()},
        changes=None if before is None else changes_of(now, before),
    )
    a_draft(market.ex, market.seller, "streets", [layer])


def changes_of(now: Edition, before: Edition) -> list[CellChange]:
    cells = sorted(cell for cell in {*now, *before} if now.get(cell, {}) != before.get(cell, {}))
    return [_of_cell(cell, now.get(cell, {}), before.get(cell, {})) for cell in cells]


def _of_cell(cell: int, now: Mapping[str, Place], before: Mapping[str, Place]) -> CellChange:
    both = now.keys() & before.keys()
    altered = {name for name in both if now[name][0] != before[name][0]}
    shifts = {name: abs(now[name][1] - before[name][1]) * 1000 for name in both}
    moved, alone = [0] * (len(STEPS_MM) + 1), [0] * (len(STEPS_MM) + 1)
    for name, um in shifts.items():
        if um:
            moved[step_of(um)] += 1
            alone[step_of(um)] += name not in altered
    added, removed = len(now.keys() - both), len(before.keys() - both)
    counts = ChangeCounts(added, removed, len(altered), tuple(moved), tuple(alone))
    return CellChange(cell, Shift(bool(added or removed or altered), max(shifts.values(), default=0)), counts)
