"""Which points of a cell are the same as before: each is one number, made of all that the file has of it.

Where scales, offsets or the form of records differ, of its coordinates in whole millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tiles.arrays import UInt64s
from tiles.points.codec import unpacked
from tiles.points.header import Header, read_header
from tiles.points.laz import Records

_WEIGHTS: UInt64s = np.random.default_rng(20260930).integers(1, 2**64, 4096, np.uint64, endpoint=False) | np.uint64(1)
"""Odd numbers, always the same: a point is the sum of its bytes by these, mixed."""


def same_form(before: Sequence[Path], after: Sequence[Path]) -> bool:
    """Whether the records of all these tiles can be compared byte by byte."""
    forms = set()
    for path in (*before, *after):
        with path.open("rb") as stream:
            header = read_header(stream)
        forms.add((header.point_format, header.record_length, tuple(header.scales), tuple(header.offsets)))
    return len(forms) <= 1


def marks(paths: Sequence[Path], *, whole: bool) -> UInt64s:
    """A number for each point of some tiles. Raises: InvalidContent: a tile cannot be read."""
    found = [np.zeros(0, np.uint64)]
    for path in paths:
        with path.open("rb") as stream:
            header = read_header(stream)
            found += [_marks(records if whole else _places(records, header)) for records in unpacked(stream, header)]
    return np.concatenate(found)


def _places(records: Records, header: Header) -> Records:
    xyz = records[:, :12].copy().view("<i4") * np.array(header.scales) + np.array(header.offsets)
    return np.ascontiguousarray(np.rint(xyz * 1000).astype("<i8")).view(np.uint8).reshape(len(records), -1)


def _marks(records: Records) -> UInt64s:
    mixed = np.zeros(len(records), np.uint64)
    for at in range(records.shape[1]):
        mixed += (records[:, at].astype(np.uint64) + np.uint64(1)) * _WEIGHTS[at % len(_WEIGHTS)]
        mixed ^= mixed >> np.uint64(29)
    return mixed
