"""An R-tree over footprints that are not cells: permit areas, outlines of datasets, tracks of recordings.

Cells are found by their Morton ranges (`tiles.grid.cover`); this is for the few shapes of any size that overlap each other. It lives in
memory and is built in bulk. Boxes are (west, south, east, north) in degrees WGS 84; a box over the 180 degree meridian has west > east.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tiles.errors import InvalidRegion

if TYPE_CHECKING:
    from shapely import Geometry

K = TypeVar("K")
Box = tuple[float, float, float, float]


class FootprintIndex(Generic[K]):
    """Footprints under hashable keys: insert, delete, and ask what meets a box or a shape.

    A footprint is a box, or a box with its exact shape: `query` answers by boxes, `meeting` by shapes where they are known.
    """

    def __init__(self, footprints: Iterable[tuple[K, Box, Geometry | None]] = ()) -> None:
        from rtree import index

        self._keys: dict[int, K] = {}
        self._numbers: dict[K, int] = {}
        self._boxes: dict[K, Box] = {}
        self._shapes: dict[K, Geometry] = {}
        numbered = [(self._register(key, box, shape), box) for key, box, shape in footprints]
        entries = [(number, part) for number, box in numbered for part in _parts(box)]
        # A bulk load packs the tree; the library wants no empty stream.
        self._tree: Any = index.Index(((number, part, None) for number, part in entries)) if entries else index.Index()

    def __len__(self) -> int:
        return len(self._boxes)

    def __contains__(self, key: K) -> bool:
        return key in self._boxes

    def _register(self, key: K, box: Box, shape: Geometry | None) -> int:
        if key in self._boxes:
            raise InvalidRegion(f"{key!r} is in the index already; delete it first", code="index.taken")
        _check(box)
        number = next(reversed(self._keys), -1) + 1  # keys are inserted by rising number and never changed
        self._keys[number], self._numbers[key], self._boxes[key] = key, number, box
        if shape is not None:
            self._shapes[key] = shape
        return number

    def insert(self, key: K, box: Box, shape: Geometry | None = None) -> None:
        """Add a footprint. Raises InvalidRegion: the box is not one, or the key is taken."""
        number = self._register(key, box, shape)
        for part in _parts(box):
            self._tree.insert(number, part)

    def delete(self, key: K) -> bool:
        """Remove a footprint; False when there was none."""
        if key not in self._boxes:
            return False
        number = self._numbers.pop(key)
        for part in _parts(self._boxes.pop(key)):
            self._tree.delete(number, part)
        del self._keys[number]
        self._shapes.pop(key, None)
        return True

    def query(self, box: Box) -> list[K]:
        """Keys whose boxes meet a box (touching counts), in the order in which they were inserted."""
        _check(box)
        numbers = {number for part in _parts(box) for number in self._tree.intersection(part)}
        return [self._keys[number] for number in sorted(numbers)]

    def meeting(self, shape: Geometry) -> Iterator[K]:
        """Keys whose shapes (their boxes, when no shape is known) meet a shape; touching counts."""
        import shapely

        if shapely.is_empty(shape):
            return
        shapely.prepare(shape)
        for key in self.query(tuple(shapely.bounds(shape).tolist())):
            known = self._shapes.get(key)
            own = known if known is not None else shapely.union_all([shapely.box(*part) for part in _parts(self._boxes[key])])
            if shapely.intersects(shape, own):
                yield key


def _check(box: Box) -> None:
    west, south, east, north = box
    if (
        not all(map(math.isfinite, box))
        or south > north
        or not (south >= -90 and north <= 90)
        or not (min(west, east) >= -180 and max(west, east) <= 180)
    ):
        raise InvalidRegion(f"{box} is not a box (west, south, east, north) in degrees", code="region.out_of_range")


def _parts(box: Box) -> list[Box]:
    """The box, or its two halves when it runs over the 180 degree meridian."""
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]
