"""The cells of layers on offer, as ranges in memory: a layer never changes, and who shares ground is asked while the mouse draws."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from sqlalchemy import Connection, String, bindparam, text

from tiles.arrays import Int64s, UInt64s
from tiles.grid import shared_ground
from tiles.grid.cover import Cover

MOST_RANGES = 2_000_000
"""Ranges that are remembered, 16 bytes each; those that nobody asked for the longest go first."""

_RANGES = text(
    "SELECT layer_id, MIN(cell), MAX(cell) + 1 FROM (SELECT layer_id, cell, "
    "cell - ROW_NUMBER() OVER (PARTITION BY layer_id ORDER BY cell) AS island "
    "FROM (SELECT DISTINCT layer_id, cell FROM tile WHERE layer_id IN :layers) t) c GROUP BY layer_id, island ORDER BY layer_id, 2"
).bindparams(bindparam("layers", expanding=True, type_=String()))

_SEVERAL = text(
    "SELECT layer_id, cell, COUNT(*) - 1 FROM tile WHERE layer_id IN :layers GROUP BY layer_id, cell HAVING COUNT(*) > 1 ORDER BY 1, 2"
).bindparams(bindparam("layers", expanding=True, type_=String()))


@dataclass(frozen=True, slots=True, eq=False)
class LayerGround:
    """The cells of a layer, and those among them of which it has `more` files than one."""

    cover: Cover
    several: UInt64s
    more: Int64s


class Grounds:
    """What each layer (id) has where, of the last used ones."""

    def __init__(self, most: int = MOST_RANGES) -> None:
        self._most = most
        self._held: OrderedDict[str, LayerGround] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def of(self, conn: Connection, layer_ids: Sequence[str]) -> list[LayerGround]:
        """The ground of each layer; what is not remembered is read at once, with one question."""
        with self._lock:
            known = {layer_id: self._held[layer_id] for layer_id in layer_ids if layer_id in self._held}
            for layer_id in known:
                self._held.move_to_end(layer_id)
        missing = [layer_id for layer_id in layer_ids if layer_id not in known]
        read = _read(conn, missing) if missing else {}
        with self._lock:
            for layer_id, ground in read.items():
                self._remember(layer_id, ground)
        found = {**known, **read}
        return [found[layer_id] for layer_id in layer_ids]

    def _remember(self, layer_id: str, ground: LayerGround) -> None:
        if layer_id in self._held:
            return
        self._held[layer_id] = ground
        self._count += _size(ground)
        while self._count > self._most and len(self._held) > 1:
            self._count -= _size(self._held.popitem(last=False)[1])


_GROUNDS = Grounds()


def inside(conn: Connection, layer_ids: Sequence[str], area: Cover) -> tuple[Cover, int]:
    """The cells of an area in which any of the layers has something, and how many files all of them have there."""
    found = _GROUNDS.of(conn, layer_ids)
    ranges, _ = shared_ground.inside([one.cover for one in found], area)
    more = sum(int(one.more[area.contains(one.several)].sum()) for one in found if len(one.several))
    return Cover.from_ranges(ranges), int((ranges[:, 1] - ranges[:, 0]).sum()) + more


def groups(conn: Connection, cover: Cover, kinds: Mapping[str, Hashable]) -> dict[str, str]:
    """By layer (id): the first id of those of the same kind with which it shares ground of the area, directly or through others.

    Args:
        kinds: what may be compared, by layer id; layers of different kinds never share a group.
    """
    layer_ids = sorted(kinds)
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds.values()))}
    covers = [ground.cover for ground in _GROUNDS.of(conn, layer_ids)]
    first = shared_ground.groups(covers, [numbers[kinds[layer_id]] for layer_id in layer_ids], cover)
    return {layer_id: layer_ids[at] for layer_id, at in zip(layer_ids, first, strict=True)}


def _size(ground: LayerGround) -> int:
    return len(ground.cover.ranges) + len(ground.several)


def _read(conn: Connection, layer_ids: Sequence[str]) -> dict[str, LayerGround]:
    ranges: dict[str, list[tuple[int, int]]] = {layer_id: [] for layer_id in layer_ids}
    several: dict[str, list[tuple[int, int]]] = {layer_id: [] for layer_id in layer_ids}
    for layer_id, low, high in conn.execute(_RANGES, {"layers": list(layer_ids)}):
        ranges[layer_id].append((low, high))
    for layer_id, cell, more in conn.execute(_SEVERAL, {"layers": list(layer_ids)}):
        several[layer_id].append((cell, more))
    return {layer_id: _ground(ranges[layer_id], several[layer_id]) for layer_id in layer_ids}


def _ground(ranges: Sequence[tuple[int, int]], several: Sequence[tuple[int, int]]) -> LayerGround:
    cover = Cover(np.array(ranges, np.uint64).reshape(-1, 2))
    return LayerGround(cover, np.array([cell for cell, _ in several], np.uint64), np.array([more for _, more in several], np.int64))
