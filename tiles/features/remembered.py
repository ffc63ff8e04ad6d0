"""Features of tiles assigned again: a long one that is in many tiles is measured once, and remembered for the others.

It goes whole into every tile that it touches; measured anew in each, a line of a hundred thousand vertices would cost what a map does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tiles.arrays import Bools, Float64s, Int64s, UInt64s
from tiles.features.assign import Assigned, assign

A = TypeVar("A", bound=np.generic)

LONG = 1 << 13
"""Bytes of geometry from which a feature is remembered."""
_MOST_CELLS = 1 << 22


@dataclass(frozen=True, slots=True)
class _Known:
    cell: UInt64s
    owner: Bools
    mm: Int64s
    status: int
    code: int
    bounds: Float64s


@dataclass(slots=True)
class Remembered:
    """What `assign` found of long features, by the digest of kind, geometry and measure; in bounded memory."""

    _known: dict[bytes, _Known] = field(default_factory=dict)
    _cells: int = 0

    def assign(self, table: pa.Table) -> Assigned:
        """As `tiles.features.assign.assign`."""
        length = pc.fill_null(pc.binary_length(table.column("geometry")), 0).to_numpy()
        if not (length >= LONG).any():
            return assign(table)
        if self._cells > _MOST_CELLS:
            self._known, self._cells = {}, 0
        keys = {row: _key(table, row) for row in np.flatnonzero(length >= LONG).tolist()}
        fresh = {key: row for row, key in reversed(keys.items()) if key not in self._known}
        rows = np.sort(np.concatenate([np.flatnonzero(length < LONG), np.array(list(fresh.values()), np.int64)]))
        found = assign(table.take(pa.array(rows)))
        for key, row in fresh.items():
            self._keep(key, found, int(np.searchsorted(rows, row)))
        again = {row: self._known[key] for row, key in keys.items() if fresh.get(key) != row}
        return _joined(table.num_rows, rows, found, again)

    def _keep(self, key: bytes, found: Assigned, at: int) -> None:
        own = found.row == at
        status, code = int(found.status[at]), int(found.code[at])
        self._known[key] = _Known(found.cell[own], found.owner[own], found.mm[own], status, code, found.bounds[at])
        self._cells += int(own.sum())


def _key(table: pa.Table, row: int) -> bytes:
    digest = hashlib.sha256()
    for name in ("kind", "geometry", "measure"):
        value = table.column(name)[row] if name in table.column_names else None
        piece = b"" if value is None or not value.is_valid else value.as_py().encode() if name == "kind" else value.as_buffer()
        digest.update(len(piece).to_bytes(8) + (b"" if value is None or not value.is_valid else b"1"))
        digest.update(piece)
    return digest.digest()


def _joined(count: int, rows: Int64s, found: Assigned, again: dict[int, _Known]) -> Assigned:
    """The rows that were assigned, and those that were known, as one."""
    status, code, bounds = np.zeros(count, np.uint8), np.zeros(count, np.int16), np.zeros((count, 4))
    status[rows], code[rows], bounds[rows] = found.status, found.code, found.bounds
    for at, one in again.items():
        status[at], code[at], bounds[at] = one.status, one.code, one.bounds
    row = _with(rows[found.row], (np.full(len(one.cell), at, np.int64) for at, one in again.items()))
    cell = _with(found.cell, (one.cell for one in again.values()))
    order = np.lexsort((row, cell))
    owner = _with(found.owner, (one.owner for one in again.values()))
    mm = _with(found.mm, (one.mm for one in again.values()))
    return Assigned(row[order], cell[order], owner[order], mm[order], status, code, bounds)


def _with(first: NDArray[A], more: Iterable[NDArray[A]]) -> NDArray[A]:
    joined: NDArray[A] = np.concatenate([first, *more])
    return joined
