"""Which of several sets of cells share some, directly or through others between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tiles.arrays import Int64s, UInt64s, repeat_ranges
from tiles.grid.cover import Cover


def groups(covers: Sequence[Cover], kinds: Sequence[int], area: Cover) -> list[int]:
    """For each cover (all of one zoom) the first one of its group: those of its kind that it shares ground of the area with, or that
    such a one does.

    A sweep over all ranges by where they begin: one that begins before the furthest end so far meets the range that ends there.
    """
    if not len(area.ranges):
        return list(range(len(covers)))
    ranges, owners = inside(covers, area)
    ranges += (np.array(kinds, np.uint64)[owners] << np.uint64(2 * area.z + 1))[:, None]  # each kind on ground of its own
    order = np.argsort(ranges[:, 0], kind="stable")
    ranges, owners = ranges[order], owners[order]
    ends = np.maximum.accumulate(ranges[:, 1])
    # Whose range ends furthest, up to each place: the last at which the furthest end grew.
    grew = np.ones(len(ends), np.bool_)
    grew[1:] = ends[1:] > ends[:-1]
    furthest = owners[np.maximum.accumulate(np.where(grew, np.arange(len(ends)), 0))]
    meets = ranges[1:, 0] < ends[:-1]
    found: list[int] = _least_of_groups(owners[1:][meets], furthest[:-1][meets], len(covers)).tolist()
    return found


def inside(covers: Sequence[Cover], area: Cover) -> tuple[UInt64s, Int64s]:
    """The (n, 2) ranges of the covers inside the area, and whose each is; all of them are of one zoom."""
    if not len(area.ranges):
        return np.zeros((0, 2), np.uint64), np.zeros(0, np.int64)
    begin, end = area.ranges[0, 0], area.ranges[-1, 1]
    near = [one.ranges[np.searchsorted(one.ranges[:, 1], begin, "right") : np.searchsorted(one.ranges[:, 0], end)] for one in covers]
    ranges = np.concatenate([np.zeros((0, 2), np.uint64), *near])
    owners = np.repeat(np.arange(len(covers)), [len(one) for one in near])
    low = np.searchsorted(area.ranges[:, 1], ranges[:, 0], side="right")
    count = np.maximum(np.searchsorted(area.ranges[:, 0], ranges[:, 1], side="left") - low, 0)
    which, part = np.repeat(np.arange(len(ranges)), count), repeat_ranges(low, count)
    cut = np.stack([np.maximum(ranges[which, 0], area.ranges[part, 0]), np.minimum(ranges[which, 1], area.ranges[part, 1])], axis=1)
    return cut, owners[which]


def _least_of_groups(one: Int64s, other: Int64s, count: int) -> Int64s:
    """For each number below `count` the least that it is joined with by pairs of `one` and `other`, directly or through others."""
    least = np.arange(count)
    while True:
        joined = least.copy()
        np.minimum.at(joined, least[one], least[other])
        np.minimum.at(joined, least[other], least[one])
        joined = joined[joined]
        if np.array_equal(joined, least):
            return least
        least = joined
