"""An R-tree over the outlines of things that are not cells and overlap each other in any size: the areas of permits.

Cells are found by their Morton ranges (`tiles.grid.cover`). This is for shapes of which there are thousands and a question meets few: an
index is made once, kept as long as the process, extended with what is new, and asked at every move of a map (`mapex.rights.permits`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tiles.box import Box
from tiles.errors import InvalidRegion

if TYPE_CHECKING:
    from shapely import Geometry

K = TypeVar("K")


class FootprintIndex(Generic[K]):
    """Footprints under hashable keys: insert, delete, and ask what meets a box or a shape; from several threads.

    A footprint is a box, or a box with its exact shape: `query` answers by boxes, `meeting` by shapes where they are known.
    """

    def __init__(self, footprints: Iterable[tuple[K, Box, Geometry | None]] = ()) -> None:
        from rtree import index

        self._lock = threading.Lock()  # libspatialindex has none
        self._keys: dict[int, K] = {}
        self._numbers: dict[K, int] = {}
        self._boxes: dict[K, Box] = {}
        self._shapes: dict[K, Geometry] = {}
        numbered = [(self._register(key, box, shape), box) for key, box, shape in footprints]
        entries = [(number, half) for number, box in numbered for half in box.halves()]
        # A bulk load packs the tree; the library wants no empty stream.
        self._tree: Any = index.Index(((number, half, None) for number, half in entries)) if entries else index.Index()

    def __len__(self) -> int:
        return len(self._boxes)

    def __contains__(self, key: K) -> bool:
        return key in self._boxes

    def _register(self, key: K, box: Box, shape: Geometry | None) -> int:
        if key in self._boxes:
            raise _TakenError(f"{key!r} is in the index already; delete it first.", code="index.taken")
        _check(box)
        number = next(reversed(self._keys), -1) + 1  # keys are inserted by rising number and never changed
        self._keys[number], self._numbers[key], self._boxes[key] = key, number, box
        if shape is not None:
            self._shapes[key] = shape
        return number

    def insert(self, key: K, box: Box, shape: Geometry | None = None) -> None:
        """Add a footprint. Raises InvalidRegion: the box is not one, or the key is taken."""
        with self._lock:
            number = self._register(key, box, shape)
            for half in box.halves():
                self._tree.insert(number, half)

    def extend(self, footprints: Iterable[tuple[K, Box, Geometry | None]]) -> None:
        """Add those footprints whose keys are not there yet: what another thread added in the meantime is no error."""
        for key, box, shape in footprints:
            with contextlib.suppress(_TakenError):
                self.insert(key, box, shape)

    def delete(self, key: K) -> bool:
        """Remove a footprint; False when there was none."""
        with self._lock:
            if key not in self._boxes:
                return False
            number = self._numbers.pop(key)
            for half in self._boxes.pop(key).halves():
                self._tree.delete(number, half)
            del self._keys[number]
            self._shapes.pop(key, None)
            return True

    def query(self, box: Box) -> list[K]:
        """Keys whose boxes meet a box (touching counts), in the order in which they were inserted."""
        _check(box)
        with self._lock:
            numbers = {number for half in box.halves() for number in self._tree.intersection(half)}
            return [self._keys[number] for number in sorted(numbers)]

    def meeting(self, shape: Geometry) -> Iterator[K]:
        """Keys whose shapes (their boxes, when no shape is known) meet a shape; touching counts."""
        import shapely

        if shapely.is_empty(shape):
            return
        shapely.prepare(shape)
        for key in self.query(Box(*shapely.bounds(shape).tolist())):
            known = self._shapes.get(key)
            own = known if known is not None else shapely.union_all([shapely.box(*half) for half in self._boxes[key].halves()])
            if shapely.intersects(shape, own):
                yield key


class _TakenError(InvalidRegion):
    """The key has a footprint already."""


def _check(box: Box) -> None:
    if not box.is_on_earth:
        raise InvalidRegion(f"{tuple(box)} is not a box (west, south, east, north) in degrees.", code="region.out_of_range")
