"""The two things that are read inside ROS messages: the time in a header, and a NavSatFix. All else is carried, not decoded.

ROS 2 messages are CDR (DDS-XTypes 1.3, 7.4; alignment counts from behind the four bytes of encapsulation), ROS 1 messages are packed.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

Bytes = bytes | memoryview

NO_FIX = -1  # sensor_msgs/NavSatStatus STATUS_NO_FIX

_HEADER_FIRST = re.compile(r"\s*(?:#[^\n]*\n\s*|\w+(?:/\w+)*\s+\w+\s*=[^\n]*\n\s*)*(?:std_msgs/(?:msg/)?)?Header\s+\w+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fix:
    """A position as a receiver gave it: degrees WGS 84, metres above the ellipsoid, its own time in nanoseconds."""

    stamp_ns: int
    status: int
    lon: float
    lat: float
    h: float


def begins_with_header(definition: bytes, encoding: str) -> bool:
    """Whether the first field of a message definition (`ros2msg`, `ros1msg`) is a std_msgs Header."""
    if encoding not in ("ros2msg", "ros1msg"):
        return False
    return _HEADER_FIRST.match(definition[:20_000].decode("utf-8", "replace")) is not None


def stamp_of(data: Bytes, encoding: str) -> int | None:
    """The time (nanoseconds) in the header that a message begins with; None when the bytes are too few or of an unknown encoding."""
    if encoding == "cdr" and len(data) >= 12 and data[1] in _ORDER:
        seconds, nanoseconds = struct.unpack_from(_ORDER[data[1]] + "iI", data, 4)
    elif encoding == "ros1" and len(data) >= 12:
        seconds, nanoseconds = struct.unpack_from("<II", data, 4)
    else:
        return None
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


_ORDER = {0: ">", 1: "<", 6: ">", 7: "<"}  # CDR and XCDR2, big and little endian
_WIDEST = {0: 8, 1: 8, 6: 4, 7: 4}  # XCDR2 aligns to four bytes at most


def decode_fix(data: Bytes, encoding: str) -> Fix | None:
    """The position in a sensor_msgs NavSatFix; None when the bytes are not one."""
    try:
        return _decode_cdr(data) if encoding == "cdr" else _decode_ros1(data) if encoding == "ros1" else None
    except struct.error:
        return None


def _decode_cdr(data: Bytes) -> Fix | None:
    if len(data) < 4 or data[1] not in _ORDER:
        return None
    order, widest, body = _ORDER[data[1]], _WIDEST[data[1]], data[4:]
    seconds, nanoseconds, name = struct.unpack_from(order + "iII", body)
    at = 12 + name
    (status,) = struct.unpack_from(order + "b", body, at)
    at = (at + 1 + 1) // 2 * 2 + 2  # the service is a uint16 on an even place
    at = -(-at // widest) * widest
    lat, lon, h = struct.unpack_from(order + "ddd", body, at)
    return Fix(seconds * 1_000_000_000 + nanoseconds, status, lon, lat, h)


def _decode_ros1(data: Bytes) -> Fix:
    _, seconds, nanoseconds, name = struct.unpack_from("<IIII", data)
    status, _, lat, lon, h = struct.unpack_from("<bHddd", data, 16 + name)
    return Fix(seconds * 1_000_000_000 + nanoseconds, status, lon, lat, h)
