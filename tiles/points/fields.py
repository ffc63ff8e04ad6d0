"""The fields of LAS records by name, and records from fields: laspy's names, the file's own integers.

Extra bytes that no record (VLR) describes are kept as the field `undescribed`.
"""

from __future__ import annotations

from typing import Any

import laspy
import numpy as np
from numpy.typing import NDArray

from tiles.errors import InvalidContent
from tiles.points.header import Header
from tiles.points.laz import Records

UNDESCRIBED = "undescribed"
_EXTRA_BYTES = 4
_EXTRA_RECORD = 192


def point_format(header: Header) -> laspy.PointFormat:
    """The point format with its extra bytes.

    Raises: InvalidContent: `las.extra_bytes`: the descriptions do not fit the length of a point.
    """
    form = laspy.PointFormat(header.point_format)
    described = header.vlr("LASF_Spec", _EXTRA_BYTES)
    if described is not None and header.extra_bytes:
        known = laspy.vlrs.known.ExtraBytesVlr()
        whole = len(described.data) // _EXTRA_RECORD * _EXTRA_RECORD
        try:
            known.parse_record_data(described.data[:whole])
            for one in known.type_of_extra_dims():
                form.add_extra_dimension(one)
        except Exception as why:  # laspy raises whatever a damaged description leads it to
            raise InvalidContent(f"The description of the extra bytes cannot be read: {why}.", code="las.extra_bytes") from why
    left = header.record_length - form.size
    if left < 0:
        raise InvalidContent(f"The extra bytes described are {-left} more than a point has.", code="las.extra_bytes")
    if left:
        form.add_extra_dimension(laspy.ExtraBytesParams(UNDESCRIBED, f"{left}u1"))
    return form


def columns_of(records: Records, header: Header, form: laspy.PointFormat) -> dict[str, NDArray[Any]]:
    """x, y, z (float64, in the file's units) and then every field of the records, as the file stores it (no scale applied)."""
    points = laspy.PackedPointRecord(np.ascontiguousarray(records).view(form.dtype()).ravel(), form)
    found: dict[str, NDArray[Any]] = {}
    for axis, name, scale, offset in zip("xyz", "XYZ", header.scales, header.offsets, strict=True):
        found[axis] = points.array[name] * scale + offset
    for name in form.dimension_names:
        if name not in ("X", "Y", "Z"):
            found[name] = points.array[name] if name in points.array.dtype.names else np.asarray(points[name])
    return found


def records_from(rows: NDArray[np.void], header: Header) -> Records:
    """Records again from rows with the fields of `columns_of`; equal byte for byte to what those were taken from."""
    form = point_format(header)
    points = laspy.PackedPointRecord.zeros(len(rows), form)
    for axis, name, scale, offset in zip("xyz", "XYZ", header.scales, header.offsets, strict=True):
        points.array[name] = np.rint((rows[axis] - offset) / scale).astype(np.int32)
    for name in form.dimension_names:
        if name in ("X", "Y", "Z"):
            continue
        if name in points.array.dtype.names:
            points.array[name] = rows[name]
        else:
            points[name] = rows[name]
    packed: Records = np.ascontiguousarray(points.array).view(np.uint8).reshape(len(rows), header.record_length)
    return packed
