"""Piecewise cubic polynomials of the distance along a road (elevation, width, ...), and the same polynomials seen from another start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.readers.opendrive.tree import XmlElement

Floats = NDArray[np.float64]

SAME_M = 1e-6
"""Distances along a road that differ by less are one place."""


@dataclass(frozen=True, slots=True)
class Cubics:
    """a + b*d + c*d² + d*d³, d from each start; the first goes on backwards; 0 without any. `s` is (n,), `numbers` (n, 4).

    `odd` counts the records in which something is no number: they are 0 there.
    """

    s: Floats = field(default_factory=lambda: np.zeros(0))
    numbers: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    odd: int = 0

    @staticmethod
    def of(nodes: Sequence[XmlElement], *, start: str = "s", base: float = 0.0, names: Sequence[str] = "abcd") -> Cubics:
        """The records of some elements, sorted; a constant that goes on is one record. `base` is added to each start."""
        if not nodes:
            return NONE
        records, odd = [], 0
        for node in nodes:
            record = [base + node.number(start), *(node.number(name) for name in names)]
            odd += any(map(math.isnan, record))
            records.append([0.0 if math.isnan(value) else value for value in record])
        kept: list[list[float]] = []
        for record in sorted(records, key=lambda one: one[0]):
            goes_on = kept and not any(record[2:]) and not any(kept[-1][2:]) and record[1] == kept[-1][1]
            if not goes_on:
                kept.append(record)
        table = np.array(kept, dtype=np.float64)
        numbers = np.zeros((len(kept), 4))
        numbers[:, : table.shape[1] - 1] = table[:, 1:]
        return Cubics(table[:, 0], numbers, odd)

    def seen_from(self, starts: Floats) -> Floats:
        """(len(starts), 4) coefficients of d = distance - start, for each of some starts."""
        if not len(self.s):
            return np.zeros((len(starts), 4))
        if len(self.s) == 1 and not self.numbers[0, 1:].any():
            return np.tile(self.numbers, (len(starts), 1))
        row = np.maximum(np.searchsorted(self.s, starts + SAME_M, side="right") - 1, 0)
        a, b, c, d = self.numbers[row].T
        on = starts - self.s[row]
        return np.column_stack([a + on * (b + on * (c + on * d)), b + on * (2 * c + on * 3 * d), c + 3 * on * d, d])

    def at(self, s: float) -> float:
        """The value at one distance."""
        return float(self.seen_from(np.array([s]))[0, 0])


NONE = Cubics()
"""No records at all."""


def values(numbers: Floats, on: Floats) -> Floats:
    """The values of polynomials (n, 4) at n distances from their starts."""
    a, b, c, d = numbers.T
    return np.asarray(a + on * (b + on * (c + on * d)))


def slopes(numbers: Floats, on: Floats) -> Floats:
    """Their slopes there."""
    _, b, c, d = numbers.T
    return np.asarray(b + on * (2 * c + on * 3 * d))
