"""Messages of satellite receivers, by type: which of their fields are degrees, which the height, and which state that there was a fix.

Only what the field's own packages define is taken: of a type that merely has a latitude nobody knows whether it counts in radians.
Heights are those above the ellipsoid; where a type leaves open what its height counts from, it has none here.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from mcap.records import Schema

from ingest.readers.positions import ros
from ingest.readers.positions.plan import Plan, Value
from tiles.footage.definitions import short
from tiles.footage.messages import WrongMessage

FIXES, OTHERS, POSES, BESIDE = range(4)
"""Ranks: what states the position of a receiver and nothing else; what else a receiver states; poses in a frame of the Earth; what the
recording itself does not state."""

_MOST_JSON = 1 << 16


@dataclass(frozen=True, slots=True)
class ReceiverForm:
    """Where a type keeps what counts. `over`: the path of what is added to the height to count from the ellipsoid.

    `status`: the path of the state of the fix, and `good` what it has to be.
    """

    lat: str
    lon: str
    h: str = ""
    over: str = ""
    status: str = ""
    good: Callable[[Value], bool] = lambda value: True
    degrees: float = 1.0
    metres: float = 1.0


_SOLVED = "SOL_COMPUTED"
_BEST = ReceiverForm("lat", "lon", "hgt", "undulation", "sol_status/status", lambda value: value == 0)
_NOVATEL = ReceiverForm("lat", "lon", "height", "undulation", "solution_status", lambda value: value == _SOLVED)
_GPS = ReceiverForm("latitude", "longitude", status="status/status", good=lambda value: isinstance(value, int) and value >= 0)
_FOXGLOVE = ReceiverForm("latitude", "longitude", "altitude")
_UBLOX = ReceiverForm("lat", "lon", "height", degrees=1e-7, metres=1e-3)
_FIXED = frozenset({2, 3, 4})  # in two or three dimensions, or with dead reckoning
_PVT, _PVT_2 = (replace(_UBLOX, status=name, good=_FIXED.__contains__) for name in ("fixType", "fix_type"))

FORMS: Mapping[str, tuple[ReceiverForm, ...]] = {
    "gps_common/GPSFix": (_GPS,),
    "gps_msgs/GPSFix": (_GPS,),
    "foxglove_msgs/LocationFix": (_FOXGLOVE,),
    "novatel_oem7_msgs/BESTPOS": (_BEST,),
    "novatel_oem7_msgs/BESTGNSSPOS": (_BEST,),
    "novatel_oem7_msgs/INSPVA": (ReceiverForm("latitude", "longitude", "height"),),
    "novatel_oem7_msgs/INSPVAX": (ReceiverForm("latitude", "longitude", "height", "undulation"),),
    "novatel_gps_msgs/NovatelPosition": (_NOVATEL,),
    "novatel_gps_msgs/Inspva": (ReceiverForm("latitude", "longitude", "height"),),
    "novatel_gps_msgs/Inspvax": (ReceiverForm("latitude", "longitude", "altitude", "undulation"),),
    "ublox_msgs/NavPVT": (_PVT, _PVT_2),
    "ublox_msgs/NavPVT7": (_PVT, _PVT_2),
    "ublox_msgs/NavPOSLLH": (_UBLOX,),
    "ublox_msgs/NavHPPOSLLH": (replace(_UBLOX, status="flags", good=lambda value: isinstance(value, int) and not value & 1),),
    "geographic_msgs/GeoPointStamped": (ReceiverForm("position/latitude", "position/longitude", "position/altitude"),),
    "geographic_msgs/GeoPoseStamped": (ReceiverForm("pose/position/latitude", "pose/position/longitude", "pose/position/altitude"),),
}
"""Types that are read by the definition that a recording brings; where fields are called otherwise in ROS 1 and 2, each way."""

Decode = Callable[[memoryview], ros.Fix | None]


def decoder_of(schema: Schema | None, encoding: str) -> tuple[int, Decode] | None:
    """Rank and decoder of the messages of a receiver; None for all other messages."""
    if schema is None:
        return None
    name = short(schema.name)
    if name == "sensor_msgs/NavSatFix":
        return FIXES, lambda data: ros.decode_fix(data, encoding)
    if name == "foxglove.LocationFix":
        kinds: Mapping[str, Decode] = {"protobuf": _of_protobuf, "json": _of_json}
        return (FIXES, kinds[encoding]) if encoding in kinds else None
    rank = FIXES if name == "foxglove_msgs/LocationFix" else OTHERS
    for form in FORMS.get(name, ()) if encoding in ("cdr", "ros1") else ():
        paths = [path for path in (form.lat, form.lon, form.h, form.over, form.status) if path]
        with suppress(ValueError):
            plan = Plan(schema.name, schema.data, ros1=encoding == "ros1", paths=paths)
            return rank, partial(_of_form, form, plan, encoding)
    return None


def _of_form(form: ReceiverForm, plan: Plan, encoding: str, data: memoryview) -> ros.Fix | None:
    try:
        values = plan.values(data, encoding)
    except (WrongMessage, struct.error):
        return None
    h = math.nan if not form.h else float(values[form.h]) * form.metres + (float(values[form.over]) if form.over else 0.0)
    status = 0 if not form.status or form.good(values[form.status]) else ros.NO_FIX
    return ros.Fix(0, status, float(values[form.lon]) * form.degrees, float(values[form.lat]) * form.degrees, h)


def _of_protobuf(data: memoryview) -> ros.Fix | None:
    """foxglove.LocationFix: latitude, longitude and altitude are the doubles 1 to 3; proto3 leaves out a value of 0."""
    found = {1: 0.0, 2: 0.0, 3: 0.0}
    try:
        for number, kind, value in _wire(data):
            if kind == 1 and number in found:
                (found[number],) = struct.unpack("<d", value)
    except (IndexError, struct.error):
        return None
    return ros.Fix(0, 0, found[2], found[1], found[3])


def _wire(data: memoryview) -> list[tuple[int, int, memoryview]]:
    """Fields of a protobuf message: number, wire type, bytes (Protocol Buffers, Encoding). Raises: IndexError: it is cut."""
    found, at = [], 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        begin = at
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 2:
            length, begin = _varint(data, at)
            at = begin + length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise IndexError("a wire type that is not known")
        if at > len(data):
            raise IndexError("cut")
        found.append((key >> 3, kind, data[begin:at]))
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError("a number that does not end")


def _of_json(data: memoryview) -> ros.Fix | None:
    if len(data) > _MOST_JSON:
        return None
    try:
        record = json.loads(bytes(data))
        lat, lon, h = (float(record[name]) for name in ("latitude", "longitude", "altitude"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return ros.Fix(0, 0, lon, lat, h)
