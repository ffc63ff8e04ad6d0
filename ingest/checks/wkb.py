"""Well-known binary before any library sees it: nesting, types, sizes; and the measure (M) of ESRI taken aside.

shapely 2.2 dies with SIGSEGV on a collection nested 20,000 deep, so every collection is walked here first. Simple
types cannot nest and are judged by their header alone, for a whole column at once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MAX_DEPTH = 16
MAX_VERTICES = 1_000_000

_HEADER = 9  # byte order, type, count: the least that one level of nesting costs
_COLLECTION = 7
_NO_MEASURE = -1e38  # "any floating point number smaller than -10^38" is none: ESRI's description of shapefiles
EWKB = {"z": 0x80000000, "m": 0x40000000, "srid": 0x20000000}

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the headers of a WKB column say, row by row. A row that is null is in none of the masks."""

    bad: Flags
    """too deep, too large, cut, or of a type that is neither point, line, polygon nor a collection of them"""
    measured: Flags
    """with M ordinates"""
    foreign: Flags
    """good, but not little-endian ISO WKB without M: to be written anew"""


def scan(column: Any) -> Seen:
    """Judge a binary (or large_binary) Arrow column of WKB by its bytes, without building geometries."""
    array = one_array(column)
    starts, lengths, data = _layout(array)
    rows = len(array)
    present = lengths >= 5
    valid = np.asarray(array.is_valid()) if array.null_count else np.ones(rows, dtype=bool)
    bad = valid & ~present
    order, word = _heads(starts, present, data)
    extended = (word & np.uint32(0xE0000000)) != 0
    code = word & np.uint32(0x0FFFFFFF)
    base, flavour = code % 1000, code // 1000
    measured = valid & present & (((flavour & 2) != 0) | ((word & np.uint32(EWKB["m"])) != 0))
    bad |= valid & present & ((order > 1) | (base < 1) | (base > _COLLECTION) | (flavour > 3))
    vertices = lengths // 16
    bad |= valid & (vertices > MAX_VERTICES)
    # A nest of n levels needs n headers, so short rows cannot be deep. One-member multis of the right kind cannot be either.
    nested = valid & present & ~bad & (base >= 4) & (lengths > _HEADER * MAX_DEPTH)
    for row in np.flatnonzero(nested).tolist():
        start = int(starts[row])
        if not _is_shallow(data[start : start + int(lengths[row])].tobytes()):
            bad[row] = True
    foreign = valid & present & ~bad & ((order != 1) | extended | measured)
    return Seen(bad, measured & ~bad, foreign)


def codes(array: Any) -> NDArray[np.uint32]:
    """The code of each row's geometry without its dimensions, 0 where there is none."""
    starts, lengths, data = _layout(array)
    present = lengths >= 5
    if array.null_count:
        present &= np.asarray(array.is_valid())
    _, word = _heads(starts, present, data)
    return (word & np.uint32(0x0FFFFFFF)) % np.uint32(1000)


def _heads(starts: NDArray[np.int64], present: Flags, data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Byte order and type word of each row; 0 where there is none."""
    order = np.zeros(len(starts), dtype=np.uint8)
    order[present] = data[starts[present]]
    word = np.zeros(len(starts), dtype=np.uint32)
    for shift in range(4):
        place = np.where(order == 1, shift, 3 - shift)
        word[present] |= data[starts[present] + 1 + place[present]].astype(np.uint32) << np.uint32(8 * shift)
    return order, word


def normalised(column: Any, seen: Seen) -> tuple[Any, dict[int, list[float]]]:
    """The column as little-endian ISO WKB of two or three dimensions, bad rows null; and the M values of rows that have real ones.

    Rows that need no change keep their bytes.
    """
    import shapely

    array = one_array(column)
    if pa.types.is_large_binary(array.type):
        array = array.cast(pa.binary())
    if not (seen.bad.any() or seen.foreign.any()):
        return array, {}
    measures: dict[int, list[float]] = {}
    rows = np.flatnonzero(seen.foreign)
    replaced = shapely.from_wkb([array[int(row)].as_py() for row in rows], on_invalid="ignore")
    for at, row in enumerate(rows.tolist()):
        if seen.measured[row] and replaced[at] is not None:
            values = shapely.get_coordinates(replaced[at], include_m=True)[:, -1]
            values[values < _NO_MEASURE] = np.nan
            if np.isfinite(values).any():
                measures[row] = [float(v) for v in values]
    texts: list[bytes | None] = array.to_pylist()
    for row, wkb in zip(rows.tolist(), shapely.to_wkb(_without_m(replaced), flavor="iso", byte_order=1).tolist(), strict=True):
        texts[row] = wkb
    for row in np.flatnonzero(seen.bad).tolist():
        texts[row] = None
    return pa.array(texts, pa.binary()), measures


def _without_m(shapes: Any) -> Any:
    import shapely

    has = shapely.has_m(shapes)
    out = shapes.copy()
    if has.any():  # to_wkb with three dimensions keeps XYZ of XYZM
        solid = shapely.has_z(shapes) & has
        out[solid] = shapely.from_wkb(shapely.to_wkb(shapes[solid], output_dimension=3, flavor="iso"))
        flat = has & ~solid
        out[flat] = shapely.force_2d(shapes[flat])
    return out


def one_array(column: Any) -> Any:
    """A column as one array."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def _layout(array: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Start and length of each row in the data buffer, without copying it."""
    width = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    _, offsets_buffer, data_buffer = array.buffers()
    if offsets_buffer is None or not len(array):
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0, dtype=np.uint8)
    offsets = np.frombuffer(offsets_buffer, dtype=width)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else np.zeros(0, dtype=np.uint8)
    return offsets[:-1], np.diff(offsets), data


def _is_shallow(wkb: bytes) -> bool:
    """Walk every member of one geometry; False when it is deeper than `MAX_DEPTH`, cut, or has a member that cannot be there."""
    at, stack = 0, [1]  # members still to read on each open level
    while stack:
        if stack[-1] == 0:
            stack.pop()
            continue
        stack[-1] -= 1
        if at + 5 > len(wkb):
            return False
        mark = "<" if wkb[at] == 1 else ">"
        (word,) = struct.unpack_from(mark + "I", wkb, at + 1)
        at += 5 + (4 if word & EWKB["srid"] else 0)
        code = word & 0x0FFFFFFF
        base, flavour = code % 1000, code // 1000
        width = 8 * (2 + bool(flavour & 1 or word & EWKB["z"]) + bool(flavour & 2 or word & EWKB["m"]))
        if base == 1:
            at += width
            continue
        if not 2 <= base <= _COLLECTION or at + 4 > len(wkb):
            return False
        (count,) = struct.unpack_from(mark + "I", wkb, at)
        at += 4
        if base == 2:
            at += count * width
        elif base == 3:
            for _ in range(count):
                if at + 4 > len(wkb):
                    return False
                (vertices,) = struct.unpack_from(mark + "I", wkb, at)
                at += 4 + vertices * width
        else:
            if len(stack) >= MAX_DEPTH or count > len(wkb) // 5:
                return False
            stack.append(count)
        if at > len(wkb):
            return False
    return True
