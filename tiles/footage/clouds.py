"""Points that are points: their columns looked at for bytes of pictures, for numbers that nothing measures, and for rasters of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.footage import signatures
from tiles.footage.messages import Sweep, WrongMessage
from tiles.footage.numbers import LEAST, NumberProof, is_random

Column = NDArray[Any]

MOST_BYTE_COLUMNS = 16
"""Columns of single bytes: a point has a class, a ring, a few flags; not a line of a picture."""
MOST_ROWS = 256
"""Rows of a sweep: no lidar has so many lasers, every camera has more lines."""
_LEAST = 1024
_WIDE = 4
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_COLOURS = frozenset({"rgb", "rgba", "r", "g", "b", "red", "green", "blue", "bgr"})


class CloudProof:
    """The columns of one layer or channel of points, in pieces of any size: what is cut over small ones is looked at when it is enough."""

    def __init__(self) -> None:
        self._numbers: dict[str, NumberProof] = {}
        self._octets: dict[str, bytearray] = {}

    def doubts(self, columns: Mapping[str, Column]) -> Mapping[str, str]:
        """What cannot be proven of some points, by column; `columns` has x, y, z, which are only looked at as a raster."""
        found: dict[str, str] = {}
        values = {name: column for name, column in columns.items() if name not in ("x", "y", "z", "X", "Y", "Z") and _varies(column)}
        octets = [name for name, column in values.items() if column.dtype.itemsize == 1]
        if sum(columns[name][0].size for name in octets) > MOST_BYTE_COLUMNS:
            found[octets[0]] = f"each point holds more than {MOST_BYTE_COLUMNS} single bytes"
        for name, column in values.items():
            if (why := self._of_column(name, column)) is not None:
                found[name] = why
        if values and (why := raster(columns)) is not None:
            found[next(iter(values))] = why
        return found

    def axis(self, name: str, column: Column) -> str | None:
        """Why a coordinate as a sensor gave it cannot be proven to be one."""
        return self._numbers.setdefault(name, NumberProof()).doubt(np.ascontiguousarray(column).ravel())

    def _of_column(self, name: str, column: Column) -> str | None:
        if column.dtype.kind == "f":
            why = self._numbers.setdefault(name, NumberProof()).doubt(np.ascontiguousarray(column).ravel())
            if why is not None:
                return why
        is_bytes = column.dtype.itemsize == 1
        plain = np.ascontiguousarray(column)
        pieces = [plain.view(np.uint8).ravel()]
        if not is_bytes and column.dtype.kind in "iu":
            pieces.append(np.ascontiguousarray((plain & 0xFF).astype(np.uint8)).ravel())
        for piece in pieces:
            if (what := signatures.found_in(piece.data, packed=is_bytes)) is not None:
                return f"its values are {what}"
        return self._of_octets(name, pieces[0]) if is_bytes or column.dtype.kind in "iu" and column.dtype.itemsize >= _WIDE else None

    def _of_octets(self, name: str, octets: Column) -> str | None:
        """Single bytes, and whole numbers so wide that nothing fills them evenly; with those of the pieces before while they are few."""
        waiting = self._octets.setdefault(name, bytearray())
        waiting += octets.data
        if len(waiting) < LEAST:
            return None
        why = "its bytes are as random as packed ones" if is_random(waiting) else None
        waiting.clear()
        return why


def _varies(column: Column) -> bool:
    return bool(len(column)) and bool((column != column[0]).any())


def raster(columns: Mapping[str, Column]) -> str | None:
    """Why points with values cannot be proven to be no picture: they stand on the crossings of a full grid, one on each."""
    x, y = (columns.get(axis, columns.get(axis.upper())) for axis in "xy")
    if x is None or y is None or len(x) < _LEAST:
        return None
    across, down = np.unique(x), np.unique(y)
    if min(len(across), len(down)) < 16 or len(across) * len(down) > 4 * len(x):
        return None
    places = np.searchsorted(across, x).astype(np.int64) * len(down) + np.searchsorted(down, y)
    if len(np.unique(places)) < len(x) // 2:
        return None
    return f"its points stand on a grid of {len(across)} by {len(down)} places, like the pixels of a picture"


def columns_of(sweep: Sweep) -> dict[str, Column]:
    """The fields of a sweep as columns, each to its last byte.

    Raises: WrongMessage: the sweep is not what its own numbers say, or holds bytes that no field describes.
    """
    step, points = sweep.point_step, sweep.height * sweep.width
    if sweep.row_step != step * sweep.width or len(sweep.data) != sweep.row_step * sweep.height:
        raise WrongMessage("a sweep has another number of bytes than its points")
    if not points:
        return {}  # nothing is there that the step of a point could be held against
    described = np.zeros(step, np.bool_)
    found: dict[str, Column] = {}
    body = np.frombuffer(sweep.data, np.uint8).reshape(points, step)
    for name, offset, datatype, stated in sweep.fields:
        kind, count = _TYPES.get(datatype), max(stated, 1)
        size = np.dtype(kind).itemsize * count if kind else 0
        if kind is None or offset + size > step or described[offset : offset + size].any() or name in found:
            raise WrongMessage(f"the field {name!r} of a sweep does not fit into its points")
        described[offset : offset + size] = True
        column = np.ascontiguousarray(body[:, offset : offset + size]).view((">" if sweep.order == ">" else "<") + kind)
        found[name] = column.ravel() if count == 1 else column
    left = body[:, ~described]
    if len(left) and (left != left[0]).any():
        raise WrongMessage("a sweep holds bytes that none of its fields describes")
    return found


def of_sweep(sweep: Sweep, proof: CloudProof) -> str | None:
    """Why a sweep cannot be proven to be one of a lidar, None when it can."""
    try:
        columns = columns_of(sweep)
    except WrongMessage as misfit:
        return str(misfit)
    if any(name.lower() in _COLOURS for name in columns):
        return "its sweeps have colours, which come from a camera"
    if min(sweep.height, sweep.width) > MOST_ROWS:
        return f"its sweeps have {sweep.height} rows of {sweep.width} points, like a picture"
    for axis in "xyz":
        if (column := columns.get(axis)) is not None and column.dtype.kind == "f" and (why := proof.axis(axis, column)) is not None:
            return why
    return next(iter(proof.doubts(columns).values()), None)
