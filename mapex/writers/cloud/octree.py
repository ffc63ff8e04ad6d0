"""Which node of an octree each point of a cloud belongs to, from counts alone: points come in any order and are never all in memory.

An inner node keeps a random part of the points that reach it, so that few points show a cloud from far; a leaf keeps the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.int64]

LEAF, KEPT = 40_000, 20_000
"""Points of a leaf, and those that an inner node keeps, about."""
_DEEPEST = 12
_LEAST = 0.001


@dataclass(slots=True)
class Octree:
    """A cube from `low`, so wide as `side`, halved `depth` times.

    A node is a number: a 1, then three bits (z, y, x) for each level, so that the parent of `n` is `n >> 3` and the root is 1.
    """

    low: Floats
    side: float
    depth: int
    _seen: list[tuple[Keys, Keys]] = field(default_factory=list)
    _levels: list[tuple[Keys, Floats]] = field(default_factory=list)

    @staticmethod
    def of(low: Floats, high: Floats, points: int) -> Octree:
        """A tree for so many points between two corners. It begins at the least one, where programs look for it too."""
        side = max(float((high - low).max()), _LEAST)
        depth = max(0, math.ceil(math.log(max(points, 1) / LEAF, 4))) + 2  # a surface has four times the cells at each level
        return Octree(low, side, min(depth, _DEEPEST))

    def count(self, xyz: Floats) -> None:
        """Take the places of some points in."""
        import numpy as np

        self._seen.append(np.unique(self._keys(xyz), return_counts=True))
        if len(self._seen) > 64:
            self._seen = [self._merged()]

    def grow(self) -> None:
        """Decide which nodes there are, when all points were counted."""
        import numpy as np

        keys, counts = self._merged()
        survive = np.ones(len(keys))
        for level in range(self.depth + 1):
            nodes, which = np.unique(keys >> 3 * (self.depth - level), return_inverse=True)
            reach = np.bincount(which, counts * survive)
            stays = np.where((reach <= LEAF) | (level == self.depth), 1.0, KEPT / np.maximum(reach, 1.0))
            self._levels.append((nodes, stays))
            survive = survive * (1.0 - stays[which])

    def nodes(self, xyz: Floats, number: int) -> Keys:
        """The node of each point; `number` of the batch makes chance the same in each run."""
        import numpy as np

        chance = np.random.default_rng(number)
        keys = self._keys(xyz)
        found = np.zeros(len(keys), np.int64)
        for level, (nodes, stays) in enumerate(self._levels):
            here = keys >> 3 * (self.depth - level)
            part = stays[np.minimum(np.searchsorted(nodes, here), len(nodes) - 1)]
            found = np.where((found == 0) & (chance.random(len(keys)) < part), here, found)
        return found

    def _keys(self, xyz: Floats) -> Keys:
        import numpy as np

        most = (1 << self.depth) - 1
        cells = np.clip(np.floor((xyz - self.low) / self.side * (most + 1)), 0, most).astype(np.int64)
        keys = np.full(len(cells), 1 << 3 * self.depth, np.int64)
        for bit in range(self.depth):
            for axis in range(3):
                keys |= (cells[:, axis] >> bit & 1) << (3 * bit + axis)
        return keys

    def _merged(self) -> tuple[Keys, Keys]:
        import numpy as np

        keys, which = np.unique(np.concatenate([keys for keys, _ in self._seen]), return_inverse=True)
        counts = np.concatenate([counts for _, counts in self._seen])
        return keys, np.bincount(which, counts).astype(np.int64)


def place_of(node: int) -> tuple[int, int, int, int]:
    """Level, and number of the cube in x, y and z, of a node."""
    level = (node.bit_length() - 1) // 3
    x, y, z = (sum((node >> 3 * bit + axis & 1) << bit for bit in range(level)) for axis in range(3))
    return level, x, y, z
