"""Definitions of ROS messages, field by field: the well-known ones (of rosbags, and a few more), and those that a recording brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tiles import extras

PACKAGES = frozenset(
    {
        "sensor_msgs", "geometry_msgs", "nav_msgs", "tf2_msgs", "tf", "rosgraph_msgs", "rcl_interfaces", "diagnostic_msgs",
        "builtin_interfaces", "gps_msgs", "gps_common", "nmea_msgs", "can_msgs", "statistics_msgs", "std_msgs",
    }
)  # fmt: skip
"""Packages whose types measure or report. Of `std_msgs` only `PLAIN`: its arrays of numbers may be anything."""
PLAIN = frozenset(
    {
        "String", "Bool", "Header", "Time", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64",
    }
)  # fmt: skip

_PICTURES = frozenset({"sensor_msgs/Image", "sensor_msgs/CompressedImage"})


def _lines(kind: str, names: str) -> str:
    return "".join(f"{kind} {name}\n" for name in names.split())


_STATUS = (
    "Header header\nuint16 satellites_used\nint32[] satellite_used_prn\nuint16 satellites_visible\n"
    + _lines("int32[]", "satellite_visible_prn satellite_visible_z satellite_visible_azimuth satellite_visible_snr")
    + "int16 status\n"
    + _lines("uint16", "motion_source orientation_source position_source")
)
_GPS = (
    "Header header\nGPSStatus status\n"
    + _lines("float64", "latitude longitude altitude track speed climb pitch roll dip time gdop pdop hdop vdop tdop")
    + _lines("float64", "err err_horz err_vert err_track err_speed err_climb err_time err_pitch err_roll err_dip")
    + "float64[9] position_covariance\nuint8 position_covariance_type\n"
)
_MORE = {
    "nmea_msgs/Sentence": "Header header\nstring sentence\n",
    "gps_msgs/GPSStatus": _STATUS,
    "gps_msgs/GPSFix": _GPS,
    "gps_common/GPSStatus": _STATUS,
    "gps_common/GPSFix": _GPS,
    "can_msgs/Frame": "Header header\nuint32 id\nbool is_rtr\nbool is_extended\nbool is_error\nuint8 dlc\nuint8[8] data\n",
    "tf2_msgs/TFMessage": "geometry_msgs/TransformStamped[] transforms\n",
    "tf/tfMessage": "geometry_msgs/TransformStamped[] transforms\n",
}
"""Types that rosbags does not bring, without constants and comments."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: a primitive or the name of a type ("geometry_msgs/Vector3"); `length` is None for one value, 0 for a sequence.

    A sequence with an upper bound has the same bytes as one without.
    """

    name: str
    type: str
    length: int | None = None


Fields = tuple[Field, ...]
PRIMITIVES = frozenset(
    {
        "bool", "byte", "char", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string",
        "wstring", "time", "duration",
    }
)  # fmt: skip
_LINE = re.compile(r"([A-Za-z]\w*(?:/\w+)*)(?:<=\d+)?(\[(?:(?:<=)?\d*)\])?\s+([A-Za-z]\w*)\s*(.*)")


def short(name: str) -> str:
    """`sensor_msgs/Imu` of `sensor_msgs/msg/Imu`."""
    return name.replace("/msg/", "/")


def is_listed(name: str) -> bool:
    """Whether a type is of a package that measures or reports."""
    package, _, word = short(name).partition("/")
    return package in PACKAGES and short(name) not in _PICTURES and (package != "std_msgs" or word in PLAIN)


@cache
def known_forms(name: str, *, ros1: bool = False) -> tuple[Fields, ...]:
    """The fields of a type in each release of ROS that has it, newest first; nested types are looked up in the same way."""
    if not is_listed(name):
        return ()
    return tuple(dict.fromkeys(fields for forms in _releases(ros1) if (fields := forms.get(short(name))) is not None))


@cache
def _releases(ros1: bool) -> tuple[Mapping[str, Fields], ...]:
    with extras.needed():
        from rosbags.typesys import Stores, get_typestore

    stores = [one for one in reversed(Stores) if one is not Stores.EMPTY and (one is Stores.ROS1_NOETIC) == ros1]
    more = {name: parsed(text, name.partition("/")[0]) for name, text in _MORE.items()}
    return tuple(more | {short(n): _converted(fields) for n, (_, fields) in get_typestore(one).fielddefs.items()} for one in stores)


def _converted(fields: Any) -> Fields:
    """Fields as rosbags describes them."""
    found = []
    for name, (outer, value) in fields:
        is_many = outer.name in ("ARRAY", "SEQUENCE")
        (node, inner), bound = value if is_many else ((outer, value), None)
        length = bound if outer.name == "ARRAY" else 0 if is_many else None
        found.append(Field(name, inner[0] if node.name == "BASE" else short(inner), length))
    return tuple(found)


def parsed(text: str, package: str) -> Fields:
    """The fields of one definition; constants and comments are left out.

    Raises: ValueError: a line that is no field.
    """
    return tuple(_fields(text, package))


def _fields(text: str, package: str) -> Iterator[Field]:
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip() if "=" not in raw.split("#", 1)[0] else raw.strip()
        if not line:
            continue
        match = _LINE.match(line)
        if match is None:
            raise ValueError(line)
        kind, array, name, rest = match.groups()
        if rest.startswith("="):
            continue
        count = None if array is None else array[1:-1]
        length = None if count is None else int(count) if count.isdigit() else 0
        yield Field(name, _resolved(kind, package), length)


def _resolved(kind: str, package: str) -> str:
    if kind in PRIMITIVES:
        return {"time": "builtin_interfaces/Time", "duration": "builtin_interfaces/Duration"}.get(kind, kind)
    if kind == "Header":
        return "std_msgs/Header"
    return short(kind) if "/" in kind else f"{package}/{kind}"


def definitions(name: str, text: str) -> dict[str, Fields]:
    """The definitions of a type and of those that it names, as recorders join them.

    Raises: ValueError: one cannot be read.
    """
    first, *others = re.split(r"^=+\s*$\n?", text, flags=re.MULTILINE)
    found = {short(name): parsed(first, name.partition("/")[0])}
    for other in others:
        head, _, body = other.lstrip().partition("\n")
        inner = head.removeprefix("MSG:").strip()
        found[short(inner)] = parsed(body, inner.partition("/")[0])
    return found


def types_of(name: str, definition: bytes, *, ros1: bool) -> tuple[Mapping[str, Fields], str | None]:
    """The well-known types that a definition brought along agrees with, by name, the message's own first; or none, and why.

    A recorder that found no definition writes none: the newest forms are then taken, and the bytes have to fit them all the same.
    """
    if not known_forms(name, ros1=ros1):
        return {}, f"the type {name or '(none)'} is not one of those that are known to measure something"
    try:
        brought = definitions(name, definition.decode()) if definition.strip() else {}
    except ValueError:
        return {}, f"its definition of {name} cannot be read"
    found: dict[str, Fields] = {}
    waiting = [short(name)]
    while waiting:
        inner = waiting.pop()
        forms = known_forms(inner, ros1=ros1)
        fits = next((form for form in forms if inner not in brought or _same(brought[inner], form)), None)
        if fits is None or (brought and inner not in brought and inner.split("/")[0] != "builtin_interfaces"):
            return {}, f"its definition of {inner} is not the well-known one"
        found[inner] = fits
        waiting += [field.type for field in fits if field.type not in PRIMITIVES and field.type not in found]
    return found, None


_ALIKE = {"byte": "uint8", "char": "uint8"}


def _same(a: Fields, b: Fields) -> bool:
    """Whether two lists of fields have the same bytes and names."""
    return [(f.name, _ALIKE.get(f.type, f.type), f.length) for f in a] == [(f.name, _ALIKE.get(f.type, f.type), f.length) for f in b]
