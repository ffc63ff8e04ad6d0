"""A sample of a point cloud to look at before buying: few points, coarse, and without its place.

Bytes (little endian): magic `MXC1`, u32 number of points, f32 metres of one step, u32 flags (1: colours are of the source), then for
each point i16 x, y, z steps around the middle of the cloud (east, north, up) and u8 r, g, b, intensity. Points are shuffled, so that
any prefix is a fair sample. Where the middle is, is not in it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tiles.arrays import Float64s
from tiles.errors import InvalidContent

MOST_POINTS = 1_000_000
SHARE = 4
"""At most one point in so many is shown."""
FINEST_STEP = 0.05
"""Metres; a larger cloud has larger steps, so that it fits 16 bits."""
COLOURED = 1

POINT = np.dtype([("xyz", "<i2", 3), ("rgbi", "u1", 4)])
_HEAD = struct.Struct("<4sIfI")
_MAGIC = b"MXC1"


@dataclass(frozen=True, slots=True)
class Sample:
    """Points around their middle: `xyz` (n, 3) metres, `rgbi` (n, 4) u8 or intensity alone in the last column."""

    xyz: Float64s
    rgbi: npt.NDArray[np.uint8]
    is_coloured: bool


def encode(sample: Sample, seed: int = 1) -> tuple[bytes, float]:
    """The bytes of a sample, shuffled, and the metres of a step; the same points give the same bytes."""
    low, high = sample.xyz.min(axis=0), sample.xyz.max(axis=0)
    middle = (low + high) / 2
    step = max(FINEST_STEP, float(np.ceil((high - low).max() / 65_000 * 1000) / 1000))
    rows = np.zeros(len(sample.xyz), POINT)
    rows["xyz"] = np.clip(np.rint((sample.xyz - middle) / step), -32_767, 32_767)
    rows["rgbi"] = sample.rgbi
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]
    return _HEAD.pack(_MAGIC, len(rows), step, COLOURED if sample.is_coloured else 0) + rows.tobytes(), step


def check(body: bytes) -> int:
    """Number of points of these bytes.

    Raises: InvalidContent: they are no sample, or a finer or larger one than may be shown.
    """
    magic, count, step, flags = _HEAD.unpack_from(body.ljust(_HEAD.size, b"\0"))
    fits = len(body) == _HEAD.size + count * POINT.itemsize and 0 < count <= MOST_POINTS
    if magic != _MAGIC or not fits or not FINEST_STEP * 0.999 <= step < 1e4 or flags > COLOURED:
        raise InvalidContent("These bytes are no sample of a cloud.", code="preview.broken")
    return int(count)
