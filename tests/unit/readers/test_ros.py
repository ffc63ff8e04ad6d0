"""Decoding of ROS messages, against rosbags as the independent reader and writer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from ingest.readers.positions import ros
from tiles.footage.definitions import known_forms
from tiles.frames import ros_types

ROS2, ROS1 = get_typestore(Stores.ROS2_HUMBLE), get_typestore(Stores.ROS1_NOETIC)


def a_fix(store: object = ROS2, frame_id: str = "gnss", status: int = 0) -> object:
    types = store.types  # type: ignore[attr-defined]
    stamp = types["builtin_interfaces/msg/Time"](sec=1_790_000_000, nanosec=123_456_789)
    sequence = {"seq": 7} if store is ROS1 else {}
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id, **sequence)
    return types["sensor_msgs/msg/NavSatFix"](
        header=header,
        status=types["sensor_msgs/msg/NavSatStatus"](status=status, service=1),
        latitude=37.4,
        longitude=127.1,
        altitude=-3.25,
        position_covariance=np.zeros(9),
        position_covariance_type=0,
    )


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "gnss", "gps_link", "x" * 33, "측위"])
@pytest.mark.parametrize("little", [True, False])
def test_fix_is_read_whatever_the_alignment_and_byte_order(frame_id: str, little: bool) -> None:
    data = bytes(ROS2.serialize_cdr(a_fix(frame_id=frame_id), "sensor_msgs/msg/NavSatFix", little_endian=little))
    found = ros.decode_fix(data, "cdr")
    assert found == ros.Fix(1_790_000_000_123_456_789, 0, 127.1, 37.4, -3.25)
    assert ros.stamp_of(data, "cdr") == 1_790_000_000_123_456_789


@pytest.mark.parametrize("frame_id", ["", "a", "gnss"])
def test_ros1_fix_is_read(frame_id: str) -> None:
    data = bytes(ROS1.serialize_ros1(a_fix(ROS1, frame_id), "sensor_msgs/msg/NavSatFix"))
    assert ros.decode_fix(data, "ros1") == ros.Fix(1_790_000_000_123_456_789, 0, 127.1, 37.4, -3.25)
    assert ros.stamp_of(data, "ros1") == 1_790_000_000_123_456_789


@pytest.mark.parametrize("length", [0, 3, 4, 11, 20, 40])
def test_cut_fix_is_none(length: int) -> None:
    data = bytes(ROS2.serialize_cdr(a_fix(), "sensor_msgs/msg/NavSatFix"))
    assert ros.decode_fix(data[:length], "cdr") is None
    assert ros.decode_fix(b"\x00\x09" + data[2:], "cdr") is None
    assert ros.decode_fix(data, "protobuf") is None
    assert ros.decode_fix(b"\x00\x01\x00\x00" + b"\xff" * 100, "cdr") is None


@pytest.mark.parametrize(
    ("definition", "encoding", "expected"),
    [
        (b"# comment\n# another\n\nstd_msgs/Header header\nfloat64 x\n", "ros2msg", True),
        (b"uint8 UNKNOWN=0\nuint8 KNOWN = 1 # said\nstd_msgs/msg/Header header\n", "ros2msg", True),
        (b"Header header\nuint32 height\n", "ros1msg", True),
        (b"float64 x\nstd_msgs/Header header\n", "ros2msg", False),
        (b"string data\n", "ros2msg", False),
        (b"std_msgs/Header header\n", "protobuf", False),
        (b"", "ros2msg", False),
    ],
)
def test_whether_a_message_begins_with_a_header(definition: bytes, encoding: str, expected: bool) -> None:
    assert ros.begins_with_header(definition, encoding) is expected


def test_real_definitions_of_sensors_begin_with_a_header() -> None:
    for name in ("Imu", "CompressedImage", "PointCloud2", "NavSatFix", "Image", "LaserScan"):
        text, _ = ROS2.generate_msgdef(f"sensor_msgs/msg/{name}")
        assert ros.begins_with_header(text.encode(), "ros2msg"), name


@pytest.mark.parametrize(
    ("name", "picture", "frame", "measures"),
    [
        ("sensor_msgs/msg/CompressedImage", True, True, False),
        ("sensor_msgs/Image", True, True, False),
        ("foxglove.CompressedVideo", True, True, False),
        ("sensor_msgs/msg/PointCloud2", False, True, True),
        ("sensor_msgs/msg/NavSatFix", False, False, True),
        ("geometry_msgs/msg/PoseStamped", False, False, True),
        ("std_msgs/msg/UInt8MultiArray", False, False, False),
        ("std_msgs/msg/String", False, False, True),
        ("my_driver/msg/Blob", False, False, False),
        ("", False, False, False),
    ],
)
def test_unknown_types_may_hold_pictures(name: str, picture: bool, frame: bool, measures: bool) -> None:
    assert (ros_types.is_picture(name), ros_types.is_frame(name), bool(known_forms(name))) == (picture, frame, measures)


def test_not_a_number_is_decoded_as_it_is() -> None:
    fix = a_fix()
    object.__setattr__(fix, "latitude", math.nan)
    found = ros.decode_fix(bytes(ROS2.serialize_cdr(fix, "sensor_msgs/msg/NavSatFix")), "cdr")
    assert found is not None and math.isnan(found.lat)
