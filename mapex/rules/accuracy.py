"""When a tile that differs is a change: a shift that is smaller than the stated accuracy of the layer is none. Pure.

What a version changes is known feature by feature (`tiles.features.difference`): a cell has *others* when a feature in it was added,
removed or has other attributes, and a `shift`, the farthest that any vertex moved. Shifts of versions one after another are added up, so
that many small ones do not creep away from what a buyer holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mapex.errors import Invalid

STEPS_MM = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""The accuracies that a seller can state, in millimetres: a closed list, so that what moved is counted for each of them at once."""

DEFAULT_MM = 100
"""Where nobody stated one: what an HD map of a car with LiDAR reaches."""

UNKNOWN_SHIFT = 2**62
"""Micrometres of a shift that cannot be measured (a line that became an area): no accuracy covers it."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What happened to the features of a cell: `others` beside moving, and how far one of them moved at most (micrometres)."""

    others: bool
    um: int


@dataclass(slots=True)
class Drift:
    """What happened to a cell over some versions, from the newest back: whoever holds it is current as long as this `is_none`."""

    accuracy_mm: int
    shift: Shift = field(default_factory=lambda: Shift(others=False, um=0))

    def back(self, step: Shift) -> Drift:
        """The same over one more version."""
        return Drift(self.accuracy_mm, Shift(self.shift.others or step.others, min(self.shift.um + step.um, UNKNOWN_SHIFT)))

    @property
    def is_none(self) -> bool:
        """Whether nothing of it is a change by the stated accuracy."""
        return not is_change(self.shift, self.accuracy_mm)


def is_change(shift: Shift, accuracy_mm: int) -> bool:
    """Whether what happened to a cell is a change for who holds it."""
    return shift.others or shift.um > accuracy_mm * 1000


def moved(steps: Iterable[int], accuracy_mm: int) -> int:
    """How many features moved by more than the accuracy; `steps` counts them by the first of `STEPS_MM` that covers them, then the rest."""
    return sum(count for limit, count in zip((*STEPS_MM, UNKNOWN_SHIFT), steps, strict=False) if limit > accuracy_mm)


def step_of(um: int) -> int:
    """Which of `STEPS_MM` covers a shift; one more when none does."""
    return next((at for at, limit in enumerate(STEPS_MM) if um <= limit * 1000), len(STEPS_MM))


def read_accuracy(metres: object) -> int:
    """An accuracy in millimetres, of one in metres.

    Raises: Invalid: `accuracy.value`.
    """
    for limit in STEPS_MM:
        if isinstance(metres, int | float) and not isinstance(metres, bool) and abs(metres * 1000 - limit) < 1e-6:
            return limit
    choice = ", ".join(f"{limit / 1000:g}" for limit in STEPS_MM)
    raise Invalid("accuracy.value", f"An accuracy is one of {choice} metres, not {str(metres)[:40]}.", accuracy=str(metres)[:40])


def read_accuracies(given: Mapping[str, object]) -> dict[str, int]:
    """Accuracies by layer (`*`: all that are not named), in millimetres. Raises: Invalid: `accuracy.value`."""
    return {str(layer): read_accuracy(metres) for layer, metres in sorted(given.items())}
