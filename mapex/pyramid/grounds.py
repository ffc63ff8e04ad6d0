"""The cells of layers on offer, as ranges in memory: a layer never changes, and who shares ground is asked while the mouse draws."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from threading import Lock

import numpy as np
from sqlalchemy import Connection, String, bindparam, text

from tiles.grid import shared_ground
from tiles.grid.cover import Cover

MOST_RANGES = 2_000_000
"""Ranges that are remembered, 16 bytes each; those that nobody asked for the longest go first."""

_RANGES = text(
    "SELECT layer_id, MIN(cell), MAX(cell) + 1 FROM (SELECT layer_id, cell, "
    "cell - ROW_NUMBER() OVER (PARTITION BY layer_id ORDER BY cell) AS island "
    "FROM (SELECT DISTINCT layer_id, cell FROM tile WHERE layer_id IN :layers) t) c GROUP BY layer_id, island ORDER BY layer_id, 2"
).bindparams(bindparam("layers", expanding=True, type_=String()))


class Grounds:
    """Covers by layer (id), the last used ones."""

    def __init__(self, most: int = MOST_RANGES) -> None:
        self._most = most
        self._held: OrderedDict[str, Cover] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def covers(self, conn: Connection, layer_ids: Sequence[str]) -> list[Cover]:
        """The cells of each layer; what is not remembered is read at once, with one question."""
        with self._lock:
            known = {layer_id: self._held[layer_id] for layer_id in layer_ids if layer_id in self._held}
            for layer_id in known:
                self._held.move_to_end(layer_id)
        missing = [layer_id for layer_id in layer_ids if layer_id not in known]
        read = _read(conn, missing) if missing else {}
        with self._lock:
            for layer_id, cover in read.items():
                self._remember(layer_id, cover)
        found = {**known, **read}
        return [found[layer_id] for layer_id in layer_ids]

    def _remember(self, layer_id: str, cover: Cover) -> None:
        if layer_id in self._held:
            return
        self._held[layer_id] = cover
        self._count += len(cover.ranges)
        while self._count > self._most and len(self._held) > 1:
            self._count -= len(self._held.popitem(last=False)[1].ranges)


_GROUNDS = Grounds()


def groups(conn: Connection, cover: Cover, kinds: Mapping[str, Hashable]) -> dict[str, str]:
    """By layer (id): the first id of those of the same kind with which it shares ground of the area, directly or through others.

    Args:
        kinds: what may be compared, by layer id; layers of different kinds never share a group.
    """
    layer_ids = sorted(kinds)
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds.values()))}
    first = shared_ground.groups(_GROUNDS.covers(conn, layer_ids), [numbers[kinds[layer_id]] for layer_id in layer_ids], cover)
    return {layer_id: layer_ids[at] for layer_id, at in zip(layer_ids, first, strict=True)}


def _read(conn: Connection, layer_ids: Sequence[str]) -> dict[str, Cover]:
    ranges: dict[str, list[tuple[int, int]]] = {layer_id: [] for layer_id in layer_ids}
    for layer_id, low, high in conn.execute(_RANGES, {"layers": list(layer_ids)}):
        ranges[layer_id].append((low, high))
    return {layer_id: Cover(np.array(found, np.uint64).reshape(-1, 2)) for layer_id, found in ranges.items()}
