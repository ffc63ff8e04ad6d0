"""Shapes (WKB) that are shapes to their last byte: what a geometry column, or `@source` of a curve, may hold."""

from __future__ import annotations

import struct

import numpy as np

from tiles.footage.numbers import wild

_COUNTED = frozenset({2, 8})  # line and circular string: points
_RINGS = frozenset({3, 17})  # polygon and triangle: rings of points
_PARTS = frozenset({4, 5, 6, 7, 9, 10, 11, 12, 15, 16})
_DEEPEST = 32


def is_shape(body: bytes) -> bool:
    """Whether bytes are one WKB geometry (ISO or EWKB), of numbers that can be coordinates, and nothing behind it."""
    try:
        return len(body) >= 9 and _end(body, 0, 0) == len(body)
    except (struct.error, ValueError):
        return False


def _end(body: bytes, at: int, depth: int) -> int:
    """Where the geometry at a place ends. Raises: ValueError, struct.error: there is none."""
    order = {0: ">", 1: "<"}.get(body[at]) if at < len(body) else None
    if order is None or depth > _DEEPEST:
        raise ValueError("no geometry")
    (code,) = struct.unpack_from(order + "I", body, at + 1)
    at += 5
    if code & 0x20000000:
        at += 4
    axes = 2 + bool(code & 0x80000000) + bool(code & 0x40000000) + (0, 1, 1, 2)[min((code & 0xFFFFFFF) // 1000, 3)]
    kind = (code & 0xFFFFFFF) % 1000
    if kind == 1:
        return _points(body, at, axes, order)
    (count,) = struct.unpack_from(order + "I", body, at)
    at += 4
    if kind in _COUNTED:
        return _points(body, at, count * axes, order)
    if kind not in _RINGS | _PARTS:
        raise ValueError("no geometry")
    for _ in range(count):
        if kind in _RINGS:
            (points,) = struct.unpack_from(order + "I", body, at)
            at = _points(body, at + 4, points * axes, order)
        else:
            at = _end(body, at, depth + 1)
    return at


def _points(body: bytes, at: int, numbers: int, order: str) -> int:
    if at + 8 * numbers > len(body):
        raise ValueError("cut")
    if len(wild(np.frombuffer(body, order + "f8", numbers, at))):
        raise ValueError("no coordinates")
    return at + 8 * numbers
