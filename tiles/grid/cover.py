"""Sets of cells as disjoint Morton ranges: a region of many cells is few numbers, and sets meet without naming their cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tiles.arrays import Bools, UInt64s, first_of_runs, repeat_ranges
from tiles.grid.grid import ZOOM, area_m2


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """A set of cells of zoom `z`: (n, 2) half-open Morton ranges, sorted, disjoint, and never adjacent."""

    ranges: UInt64s
    z: int = ZOOM

    @classmethod
    def from_cells(cls, cells: UInt64s, z: int = ZOOM) -> Cover:
        """The set of these cells, in any order, repeats allowed."""
        cells = np.sort(np.asarray(cells, np.uint64))
        if not len(cells):
            return cls(np.zeros((0, 2), np.uint64), z)
        first = first_of_runs(np.diff(cells) > 1)
        ranges = np.empty((int(first.sum()), 2), np.uint64)
        ranges[:, 0] = cells[first]
        ranges[:, 1] = cells[_last_of_runs(first)] + np.uint64(1)
        return cls(ranges, z)

    @classmethod
    def from_ranges(cls, ranges: UInt64s, z: int = ZOOM) -> Cover:
        """The set of these half-open ranges, which may overlap and come in any order."""
        ranges = np.asarray(ranges, np.uint64).reshape(-1, 2)
        ranges = ranges[ranges[:, 0] < ranges[:, 1]]
        ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
        if len(ranges) < 2:
            return cls(ranges, z)
        end = np.maximum.accumulate(ranges[:, 1])
        first = first_of_runs(ranges[1:, 0] > end[:-1])
        return cls(np.stack([ranges[first, 0], end[_last_of_runs(first)]], axis=1), z)

    @property
    def count(self) -> int:
        """Number of cells."""
        return int((self.ranges[:, 1] - self.ranges[:, 0]).sum())

    @property
    def area_m2(self) -> float:
        """Ground on the WGS 84 ellipsoid."""
        # Of few large cells instead of many small ones.
        return float(sum(area_m2(Cover(ranges, z).cells(), z).sum() for z, ranges in self.pyramid()))

    def __len__(self) -> int:
        return self.count

    def __hash__(self) -> int:
        return hash((self.z, self.ranges.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cover) and self.z == other.z and np.array_equal(self.ranges, other.ranges)

    def cells(self) -> UInt64s:
        """Every cell, ascending."""
        return np.asarray(repeat_ranges(self.ranges[:, 0], (self.ranges[:, 1] - self.ranges[:, 0]).astype(np.int64)), np.uint64)

    def contains(self, cells: UInt64s) -> Bools:
        """Which of `cells` are in the set."""
        cells = np.asarray(cells, np.uint64)
        if not len(self.ranges):
            return np.zeros(len(cells), np.bool_)
        k = np.searchsorted(self.ranges[:, 0], cells, side="right").astype(np.int64) - 1
        inside: Bools = (k >= 0) & (cells < self.ranges[np.maximum(k, 0), 1])
        return inside

    def at(self, z: int) -> Cover:
        """The same ground at another zoom: all children when finer, every parent that holds some of it when coarser."""
        if z >= self.z:
            return Cover(self.ranges << np.uint64(2 * (z - self.z)), z)
        shift = np.uint64(2 * (self.z - z))
        ranges = self.ranges.copy()
        ranges[:, 0] >>= shift
        ranges[:, 1] = ((ranges[:, 1] - np.uint64(1)) >> shift) + np.uint64(1)
        return Cover.from_ranges(ranges, z)

    def union(self, other: Cover) -> Cover:
        """Cells of either set; both of the same zoom."""
        return Cover.from_ranges(np.concatenate([self.ranges, other.ranges]), self.z)

    def intersection(self, other: Cover) -> Cover:
        """Cells of both sets; both of the same zoom."""
        a, b = self.ranges, other.ranges
        if not len(a) or not len(b):
            return Cover(np.zeros((0, 2), np.uint64), self.z)
        lo = np.searchsorted(b[:, 1], a[:, 0], side="right")  # first range of b that ends behind the start of each range of a
        hi = np.searchsorted(b[:, 0], a[:, 1], side="left")
        n = np.maximum(hi - lo, 0)
        i, j = np.repeat(np.arange(len(a)), n), repeat_ranges(lo, n)
        return Cover.from_ranges(np.stack([np.maximum(a[i, 0], b[j, 0]), np.minimum(a[i, 1], b[j, 1])], axis=1), self.z)

    def difference(self, other: Cover) -> Cover:
        """Cells of this set that are not in the other; both of the same zoom."""
        end = np.uint64(1 << 2 * self.z)
        flat = np.concatenate([np.zeros(1, np.uint64), other.ranges.ravel(), np.array([end], np.uint64)]).reshape(-1, 2)
        return self.intersection(Cover(flat[flat[:, 0] < flat[:, 1]], self.z))

    def pyramid(self, zmin: int = 6) -> list[tuple[int, UInt64s]]:
        """The set as few, mixed cells: (zoom, ranges at that zoom), finest first; disjoint, inside the set, and together all of it.

        Cells are as coarse as they can be, but not coarser than `zmin`: sums kept for each zoom then answer for a region
        with work that grows with its border, not with its ground.
        """
        levels: list[tuple[int, UInt64s]] = []
        a, b = self.ranges[:, 0], self.ranges[:, 1]
        for z in range(self.z, min(zmin, self.z), -1):
            if not len(a):
                break
            up, down = (a + np.uint64(3)) >> np.uint64(2), b >> np.uint64(2)
            whole = up < down  # at least one parent is in the range
            head = np.stack([a, np.where(whole, up << np.uint64(2), b)], axis=1)
            tail = np.stack([down[whole] << np.uint64(2), b[whole]], axis=1)
            rest = np.concatenate([head, tail])
            rest = rest[rest[:, 0] < rest[:, 1]]
            if len(rest):
                levels.append((z, rest[np.argsort(rest[:, 0])]))
            a, b = up[whole], down[whole]
        if len(a):
            levels.append((min(zmin, self.z), np.stack([a, b], axis=1)))
        return levels


def _last_of_runs(first: Bools) -> Bools:
    return first_of_runs(first[:0:-1])[::-1]
