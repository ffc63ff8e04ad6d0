"""Points of the old formats of LAS (0 to 3) as those of LAS 1.4 (6 and 7): the same fields in other places.

Source: ASPRS LAS 1.4-R15, tables 5 to 16.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiles.points.header import Header
    from tiles.points.laz import Records

_STEP = 0.006
"""Degrees of a step of the scan angle."""
_FORMATS = {0: 6, 1: 6, 2: 7, 3: 7}
_TIME_AT, _COLOUR_AT = {1: 20, 3: 20}, {2: 20, 3: 28}


def is_old(header: Header) -> bool:
    """Whether the points have one of the old formats."""
    return header.point_format in _FORMATS


def modern_header(header: Header) -> Header:
    """The head of the same points in a format of LAS 1.4."""
    from tiles.points.header import RECORD_LENGTHS

    point_format = _FORMATS.get(header.point_format, header.point_format)
    return replace(header, point_format=point_format, record_length=RECORD_LENGTHS[point_format] + header.extra_bytes)


def modern_records(records: Records, header: Header) -> Records:
    """Points in the format of `modern_header`; those that have it already as they are."""
    import numpy as np

    if not is_old(header):
        return records
    made = modern_header(header)
    out = np.zeros((len(records), made.record_length), np.uint8)
    flags, classes = records[:, 14], records[:, 15]
    out[:, :14] = records[:, :14]
    out[:, 14] = (flags & 7) | (flags >> 3 & 7) << 4
    out[:, 15] = (classes >> 5) | flags & 0xC0
    out[:, 16], out[:, 17] = classes & 31, records[:, 17]
    angle = np.rint(records[:, 16].view(np.int8).astype(np.float64) / _STEP).astype("<i2")
    out[:, 18:20] = angle.view(np.uint8).reshape(-1, 2)
    out[:, 20:22] = records[:, 18:20]
    if (time := _TIME_AT.get(header.point_format)) is not None:
        out[:, 22:30] = records[:, time : time + 8]
    if (colour := _COLOUR_AT.get(header.point_format)) is not None:
        out[:, 30:36] = records[:, colour : colour + 6]
    if header.extra_bytes:
        out[:, -header.extra_bytes :] = records[:, -header.extra_bytes :]
    return out
