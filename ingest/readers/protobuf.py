"""The wire format of Protocol Buffers, bounded: no recursion, no length is believed that the bytes do not hold.

Only what the readers need: the fields of a message, and packed numbers as columns. Source: protobuf.dev, Encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = bytes | memoryview
Ints = NDArray[np.int64]
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_LONGEST = 10
_WIDTHS = {FIXED64: 8, FIXED32: 4}


def varint(body: Bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next one begins. Raises: ValueError: it is cut or too long."""
    value = shift = 0
    for end in range(at, min(at + _LONGEST, len(body))):
        byte = body[end]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, end + 1
        shift += 7
    raise ValueError("a number is cut or too long")


def fields(body: Bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field in order: an unsigned int, or a slice of the body (of 4 or 8 bytes where the number has that width).

    Raises: ValueError: the bytes are no message.
    """
    at, size = 0, len(body)
    while at < size:
        key = body[at]
        if key < 0x80:
            at += 1
        else:
            key, at = varint(body, at)
        kind, number = key & 7, key >> 3
        if kind == VARINT:
            value = body[at] if at < size else 0x80
            if value < 0x80:
                at += 1
            else:
                value, at = varint(body, at)
            yield number, value
            continue
        if kind == LENGTH:
            width, at = varint(body, at)
        elif kind in _WIDTHS:
            width = _WIDTHS[kind]
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if not number or width > size - at:
            raise ValueError("a field is longer than its message")
        yield number, body[at : at + width]
        at += width


def signed(value: int) -> int:
    """A number of the type int64 or int32 as it is meant."""
    return value - (1 << 64) if value >= 1 << 63 else value


def zigzag(value: int) -> int:
    """A number of the type sint64 or sint32 as it is meant."""
    return (value >> 1) ^ -(value & 1)


def packed(body: Bytes) -> Ints:
    """Packed numbers of the types int64, int32, uint32 or enum. Raises: ValueError: one is cut or too long."""
    numbers = np.frombuffer(body, dtype=np.uint8)
    ends = np.flatnonzero(numbers < 0x80)
    if not len(numbers):
        return np.zeros(0, dtype=np.int64)
    if not len(ends) or ends[-1] != len(numbers) - 1:
        raise ValueError("a number is cut")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if int(lengths.max()) > _LONGEST:
        raise ValueError("a number is too long")
    values = numbers[starts].astype(np.uint64) & 0x7F
    for step in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > step)
        values[longer] |= (numbers[starts[longer] + step].astype(np.uint64) & 0x7F) << np.uint64(7 * step)
    whole: Ints = values.view(np.int64)
    return whole


def packed_zigzag(body: Bytes) -> Ints:
    """Packed numbers of the types sint64 or sint32."""
    values = packed(body)
    return (values.view(np.uint64) >> np.uint64(1)).view(np.int64) ^ -(values & 1)


def counts(bodies: list[Bytes], joined: Bytes) -> Ints:
    """How many packed numbers each of some bodies holds, which are joined in `joined`."""
    ends = np.cumsum(np.frombuffer(joined, dtype=np.uint8) < 0x80)
    stops = np.cumsum([len(body) for body in bodies], dtype=np.int64)
    upto = np.where(stops > 0, ends[stops - 1], 0) if len(ends) else np.zeros(len(bodies), dtype=np.int64)
    found: Ints = np.diff(upto, prepend=0)
    return found
