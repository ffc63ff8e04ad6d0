"""Types of numpy arrays that every room uses, and ranges and runs of numbers in one array."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

UInt64s: TypeAlias = NDArray[np.uint64]
"""Cells: Morton numbers at a zoom."""
Int64s: TypeAlias = NDArray[np.int64]
Float64s: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


def repeat_ranges(start: NDArray[Any], n: Int64s) -> NDArray[Any]:
    """start[0], start[0] + 1, ... (n[0] of them), start[1], ...; of the type of `start`."""
    ends = np.cumsum(n)
    step = np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64) - np.repeat(ends - n, n)
    numbers: NDArray[Any] = np.repeat(start, n) + step.astype(start.dtype)
    return numbers


def first_of_runs(breaks: Bools) -> Bools:
    """Which entries begin a run, (n + 1,), from where each of n breaks with the one before."""
    first = np.empty(len(breaks) + 1, np.bool_)
    first[0] = True
    first[1:] = breaks
    return first


def gained(before: UInt64s, after: UInt64s) -> tuple[int, int]:
    """How many numbers are there after and not before, and before and not after; what is there twice counts twice."""
    known, inverse = np.unique(np.concatenate([before, after]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(known)) for part in (inverse[: len(before)], inverse[len(before) :])]
    more = counts[1] - counts[0]
    return int(more[more > 0].sum()), int(-more[more < 0].sum())
