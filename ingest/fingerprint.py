"""The fingerprint of a source: numbers that stay the same when its records are written in another format, order or precision.

Two exports of the same data agree in how many records and vertices they have, in where these are on average, and in how long all of it
is; sums do not depend on the order, and a comparison with a tolerance not on the seventh digit that one format keeps and another does
not. Two different layers of one street (both borders of a lane, a sign and its post) differ in place or kind.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiles.box import Box

_TOLERANCE_DEG = 1e-6


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Counts, and sums over all vertices in degrees WGS 84, each weighted by the kind of its record."""

    records: int = 0
    vertices: int = 0
    x: float = 0.0
    y: float = 0.0
    length: float = 0.0

    @staticmethod
    def of_features(kinds: Any, shapes: Any) -> Fingerprint:
        """Of placed features: their kinds (an Arrow column) and their shapes."""
        import numpy as np
        import shapely

        words, number = np.unique(kinds.to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
        weights = np.array([1 + zlib.crc32(word.encode()) / 2**32 for word in words], dtype=float)[number]
        coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
        x, y = (coordinates * weights[owner, np.newaxis]).sum(axis=0).tolist()
        return Fingerprint(len(shapes), len(coordinates), x, y, float((shapely.length(shapes) * weights).sum()))

    @staticmethod
    def of_points(count: int, box: Box) -> Fingerprint:
        """Of so many points in a box: two scans never have the same number and the same extent."""
        west, south, east, north = box
        return Fingerprint(count, count, (west + east) / 2 * count, (south + north) / 2 * count, (east - west + north - south) * count)

    def __add__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(
            self.records + other.records, self.vertices + other.vertices, self.x + other.x, self.y + other.y, self.length + other.length
        )

    def matches(self, other: Fingerprint) -> bool:
        """Whether it is of the same data; what has no placed record matches nothing."""
        if not self.records or (self.records, self.vertices) != (other.records, other.vertices):
            return False
        most = _TOLERANCE_DEG * self.vertices
        return all(abs(a - b) <= most for a, b in ((self.x, other.x), (self.y, other.y), (self.length, other.length)))
