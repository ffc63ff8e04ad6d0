"""Positions in messages: each type that is known, in both encodings of ROS, as rosbags writes them; poses on the Earth against pyproj."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.records import Schema
from pyproj import Transformer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ingest.readers.positions.locator import Locator
from ingest.readers.positions.plan import MOST_STEPS, Plan
from ingest.readers.positions.receivers import BESIDE, FIXES, FORMS, OTHERS, POSES
from ingest.readers.positions.ros import Fix

STAMP = 1_790_000_000
GPS_STATUS = "std_msgs/Header header\nuint16 satellites_used\nint32[] satellite_used_prn\nint16 STATUS_NO_FIX=-1\nint16 status\n"
GPS_FIX = (
    "std_msgs/Header header\nGPSStatus status\nfloat64 latitude\nfloat64 longitude\nfloat64 altitude\nfloat64[9] position_covariance\n"
)
NOV = "std_msgs/Header header\nstring log\nuint8[] more\n"
BEST = (
    "std_msgs/Header header\nOem7Header nov_header\nSolutionStatus sol_status\nfloat64 lat\nfloat64 lon\nfloat64 hgt\nfloat32 undulation\n"
)
GEO = "float64 latitude\nfloat64 longitude\nfloat64 altitude\n"
PVT = "uint32 iTOW\nuint8 fixType\nuint8 FIX_TYPE_3D=3\nuint8[2] reserved\nint32 lon\nint32 lat\nint32 height\nint32 hMSL\n"

DEFINED = {
    "gps_msgs/GPSFix": {"gps_msgs/GPSFix": GPS_FIX, "gps_msgs/GPSStatus": GPS_STATUS},
    "gps_common/GPSFix": {"gps_common/GPSFix": GPS_FIX, "gps_common/GPSStatus": GPS_STATUS},
    "foxglove_msgs/LocationFix": {"foxglove_msgs/LocationFix": "builtin_interfaces/Time timestamp\nstring frame_id\n" + GEO},
    "novatel_oem7_msgs/BESTPOS": {
        "novatel_oem7_msgs/BESTPOS": BEST,
        "novatel_oem7_msgs/Oem7Header": "string message_name\nuint16 message_id\n",
        "novatel_oem7_msgs/SolutionStatus": "uint32 SOL_COMPUTED=0\nuint32 status\n",
    },
    "novatel_gps_msgs/NovatelPosition": {
        "novatel_gps_msgs/NovatelPosition": "std_msgs/Header header\nNovatelHeader[] heads\nstring solution_status\nfloat64 lat\n"
        "float64 lon\nfloat64 height\nfloat32 undulation\n",
        "novatel_gps_msgs/NovatelHeader": NOV,
    },
    "ublox_msgs/NavPVT": {"ublox_msgs/NavPVT": PVT},
    "ublox_msgs/NavPVT7": {"ublox_msgs/NavPVT7": PVT.replace("fixType", "fix_type").replace("iTOW", "i_tow")},
    "ublox_msgs/NavHPPOSLLH": {"ublox_msgs/NavHPPOSLLH": "uint8 version\nuint16 reserved1\nuint8 flags\n" + PVT[PVT.index("int32 lon") :]},
    "geographic_msgs/GeoPointStamped": {
        "geographic_msgs/GeoPointStamped": "std_msgs/Header header\nGeoPoint position\n",
        "geographic_msgs/GeoPoint": GEO,
    },
}
"""Types with the definitions of those in them (shortened behind what counts)."""

GOOD: dict[str, Any] = {
    "solution_status": "SOL_COMPUTED",
    "fixType": 3,
    "fix_type": 4,
    "flags": 2,
    "frame_id": "gps",
    "message_name": "BESTPOS",
}
BAD: dict[str, Any] = {"solution_status": "INSUFFICIENT_OBS", "fixType": 0, "fix_type": 5, "flags": 3}


def store_of(name: str, *, ros1: bool) -> Any:
    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    for inner, text in DEFINED[name].items():
        store.register(get_types_from_msg(text, inner.replace("/", "/msg/")))
    return store


def filled(store: Any, name: str, lon: float, lat: float, *, good: bool) -> Any:
    """A message of a type: its place, 30 m above the ellipsoid, and some value in every other field."""
    scale = 10_000_000 if name.startswith("ublox_msgs") else 1
    values: dict[str, Any] = {}
    for field, (kind, inner) in store.fielddefs[name][1]:
        if field in ("lat", "latitude", "lon", "longitude"):
            degrees = lat if field.startswith("lat") else lon
            values[field] = round(degrees * scale) if scale > 1 else degrees
        elif field in ("h", "hgt", "height", "altitude"):
            values[field] = 30_000 if scale > 1 else 30.0 if "undulation" not in dict(store.fielddefs[name][1]) else 5.0
        elif field == "undulation":
            values[field] = 25.0
        elif field == "status" and kind.name == "BASE":
            values[field] = (0 if good else -1) if name.endswith("GPSStatus") else (0 if good else 1)
        elif kind.name == "NAME":
            values[field] = filled(store, inner, lon, lat, good=good)
        elif kind.name in ("ARRAY", "SEQUENCE"):
            (element, base), length = inner
            count = length if kind.name == "ARRAY" else 3
            if element.name == "NAME":
                values[field] = [filled(store, base, lon, lat, good=good) for _ in range(count)]
            else:
                values[field] = np.arange(count, dtype=base[0])
        else:
            values[field] = (GOOD if good else GOOD | BAD).get(field, "abc" if inner[0] == "string" else 7)
    return store.types[name](**values)


def schema_of(name: str, *, ros1: bool) -> Schema:
    store = store_of(name, ros1=ros1)
    text, _ = store.generate_msgdef(name.replace("/", "/msg/"), ros_version=1 if ros1 else 2)
    return Schema(id=1, name=name if ros1 else name.replace("/", "/msg/"), encoding="ros1msg" if ros1 else "ros2msg", data=text.encode())


def located(name: str, lon: float, lat: float, *, ros1: bool, good: bool = True) -> tuple[int, Fix | None]:
    store, locator = store_of(name, ros1=ros1), Locator()
    message = filled(store, name.replace("/", "/msg/"), lon, lat, good=good)
    write = store.serialize_ros1 if ros1 else store.serialize_cdr
    channel = locator.channel(schema_of(name, ros1=ros1), "ros1" if ros1 else "cdr")
    assert channel is not None
    return channel.rank, locator.position(channel, memoryview(bytes(write(message, name.replace("/", "/msg/")))))


@pytest.mark.parametrize("ros1", [False, True])
@pytest.mark.parametrize("name", sorted(DEFINED))
def test_position_of_a_receiver_is_read_by_the_definition_that_is_inside(name: str, ros1: bool) -> None:
    rank, fix = located(name, 127.1234567, -37.7654321, ros1=ros1)
    assert fix is not None and rank == (FIXES if "LocationFix" in name else OTHERS)
    assert (fix.lon, fix.lat) == pytest.approx((127.1234567, -37.7654321), abs=1e-9)
    assert math.isnan(fix.h) if "GPSFix" in name else fix.h == pytest.approx(30.0)


@pytest.mark.parametrize("name", sorted(name for name in DEFINED if FORMS[name][0].status))
def test_message_without_a_fix_places_nothing(name: str) -> None:
    assert located(name, 127.0, 37.0, ros1=False, good=False)[1] is None


def test_foxglove_fixes_in_protobuf_and_json() -> None:
    schema, locator = Schema(id=1, name="foxglove.LocationFix", encoding="protobuf", data=b""), Locator()
    wire = (
        b"\x3a\x03gps" + b"".join(bytes([n << 3 | 1]) + struct.pack("<d", v) for n, v in ((1, 37.5), (2, 127.5), (3, 30.0))) + b"\x28\x02"
    )
    record = {"timestamp": {"sec": STAMP, "nsec": 0}, "latitude": 37.5, "longitude": 127.5, "altitude": 30.0}
    for encoding, data in (("protobuf", wire), ("json", json.dumps(record).encode())):
        channel = locator.channel(schema, encoding)
        assert channel is not None and channel.rank == FIXES
        assert locator.position(channel, memoryview(data)) == Fix(0, 0, 127.5, 37.5, 30.0)
        assert locator.position(channel, memoryview(data[:-9])) in (None, Fix(0, 0, 127.5, 37.5, 0.0))
        assert locator.position(channel, memoryview(b"")) is None


# ---- poses on the Earth ---------------------------------------------------------------------------------------------------------------

STORE = get_typestore(Stores.ROS2_HUMBLE)
NOETIC = get_typestore(Stores.ROS1_NOETIC)
NOETIC.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms\n", "tf2_msgs/msg/TFMessage"))
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def header(store: Any, frame: str) -> Any:
    time = store.types["builtin_interfaces/msg/Time"](sec=STAMP, nanosec=5)
    more = {"seq": 1} if store is NOETIC else {}
    return store.types["std_msgs/msg/Header"](stamp=time, frame_id=frame, **more)


def pose(store: Any, place: tuple[float, float, float]) -> Any:
    types = store.types
    turn = types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
    return types["geometry_msgs/msg/Pose"](position=types["geometry_msgs/msg/Point"](*place), orientation=turn)


def odometry(store: Any, frame: str, place: tuple[float, float, float]) -> Any:
    types, zero = store.types, np.zeros(36)
    vector = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = types["geometry_msgs/msg/TwistWithCovariance"](twist=types["geometry_msgs/msg/Twist"](vector, vector), covariance=zero)
    with_covariance = types["geometry_msgs/msg/PoseWithCovariance"](pose=pose(store, place), covariance=zero)
    return types["nav_msgs/msg/Odometry"](header(store, frame), "base_link", with_covariance, twist)


def transforms(store: Any, *edges: tuple[str, str, tuple[float, float, float], tuple[float, float, float, float]]) -> Any:
    types = store.types
    made = [
        types["geometry_msgs/msg/TransformStamped"](
            header(store, parent), child,
            types["geometry_msgs/msg/Transform"](types["geometry_msgs/msg/Vector3"](*shift), types["geometry_msgs/msg/Quaternion"](*turn)),
        )
        for parent, child, shift, turn in edges
    ]  # fmt: skip
    return types["tf2_msgs/msg/TFMessage"](made)


def read(locator: Locator, store: Any, name: str, message: Any) -> Fix | None:
    encoding = "cdr" if store is STORE else "ros1"
    channel = locator.channel(Schema(id=1, name=name, encoding=f"{encoding}msg", data=b""), encoding)
    assert channel is not None and channel.rank == POSES < BESIDE
    write = store.serialize_cdr if store is STORE else store.serialize_ros1
    return locator.position(channel, memoryview(bytes(write(message, name))))


@given(st.floats(-180, 180), st.floats(-89.9, 89.9).filter(bool), st.floats(-400, 9000), st.sampled_from([STORE, NOETIC]))
@settings(max_examples=40, deadline=None)
def test_odometry_in_the_frame_of_the_earth_is_a_position(lon: float, lat: float, h: float, store: Any) -> None:
    fix = read(Locator(), store, "nav_msgs/msg/Odometry", odometry(store, "earth", TO_ECEF.transform(lon, lat, h)))
    assert fix is not None and fix.stamp_ns == STAMP * 10**9 + 5
    assert abs((fix.lon - lon + 180) % 360 - 180) * math.cos(math.radians(lat)) < 1e-8
    assert abs(fix.lat - lat) < 1e-8 and abs(fix.h - h) < 1e-3


@pytest.mark.parametrize("store", [STORE, NOETIC])
def test_transforms_that_hang_on_the_earth_are_positions(store: Any) -> None:
    """The map's frame stands on the ground at (lon, lat), its axes east, north and up; the vehicle drives 100 m east and 50 m north."""
    lon, lat = math.radians(127.1), math.radians(37.4)
    up = [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)]
    east = [-math.sin(lon), math.cos(lon), 0.0]
    north = np.cross(up, east)
    m = np.array([east, north, up]).T
    w = math.sqrt(1 + m.trace()) / 2
    turn = ((m[2, 1] - m[1, 2]) / (4 * w), (m[0, 2] - m[2, 0]) / (4 * w), (m[1, 0] - m[0, 1]) / (4 * w), w)
    ground = TO_ECEF.transform(127.1, 37.4, 40.0)
    name = "tf2_msgs/msg/TFMessage"
    still = (0.0, 0.0, 0.0, 1.0)
    locator = Locator()
    assert read(locator, store, name, transforms(store, ("map", "base_link", (0.0, 0.0, 0.0), still))) is None
    assert read(locator, store, "nav_msgs/msg/Odometry", odometry(store, "map", (1.0, 2.0, 3.0))) is None
    assert read(locator, store, name, transforms(store, ("/earth", "map", ground, turn))) is not None
    fix = read(
        locator, store, name, transforms(store, ("map", "base_link", (100.0, 50.0, 2.0), still), ("base_link", "wheel", (0, 0, 0), still))
    )
    again = read(locator, store, "nav_msgs/msg/Odometry", odometry(store, "map", (100.0, 50.0, 2.0)))
    wanted = np.array(ground) + m @ np.array([100.0, 50.0, 2.0])
    for one in (fix, again):
        assert one is not None and np.allclose(TO_ECEF.transform(one.lon, one.lat, one.h), wanted, atol=1e-3)
    assert read(locator, store, name, transforms(store, ("base_link", "wheel", (0.1, 0.0, 0.0), still))) is None


def test_transforms_in_a_circle_place_nothing() -> None:
    still = (0.0, 0.0, 0.0, 1.0)
    edges = [("base_link", "map", (0.0, 0.0, 0.0), still), ("map", "base_link", (0.0, 0.0, 0.0), still)]
    assert read(Locator(), STORE, "tf2_msgs/msg/TFMessage", transforms(STORE, *edges)) is None


# ---- hostile definitions and messages ----------------------------------------------------------------------------------------------------


def test_definitions_that_grow_without_end_are_refused_in_a_moment() -> None:
    doubled = "\n".join(f"{'=' * 80}\nMSG: a/T{n}\nT{n + 1} x\nT{n + 1} y" for n in range(40))
    for text in ("T0 x\nT0 y\n" + doubled, "A x", "T0[] x\n" + doubled):
        with pytest.raises(ValueError, match=r"more than|deeper|not defined"):
            Plan("a/A", f"{text}\n{'=' * 80}\nMSG: a/T41\nint8 z\n".encode(), ros1=False, paths=["lat"])
    assert MOST_STEPS < 10_000


@given(st.binary(max_size=200), st.sampled_from(sorted(DEFINED)), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_position_or_none(data: bytes, name: str, ros1: bool) -> None:
    locator = Locator()
    channel = locator.channel(SCHEMAS[name, ros1], "ros1" if ros1 else "cdr")
    assert channel is not None
    fix = locator.position(channel, memoryview(data if ros1 else b"\x00\x01\x00\x00" + data))
    assert fix is None or (abs(fix.lon) <= 180 and abs(fix.lat) <= 90)


SCHEMAS = {(name, ros1): schema_of(name, ros1=ros1) for name in DEFINED for ros1 in (False, True)}
