"""What a recording's message types mean to us: which are pictures, lidar sweeps, positions, and what proves that nothing is a picture."""

from __future__ import annotations

PICTURES = frozenset({"Image", "CompressedImage", "RawImage", "CompressedVideo", "FFMPEGPacket", "Theora", "Packet"})
"""Last words of message types that hold pictures, in ROS and Foxglove."""

SWEEPS = frozenset({"PointCloud2", "PointCloud", "VelodyneScan", "LaserScan", "CustomMsg"})
"""Last words of message types that hold a sweep of a lidar (`CustomMsg` is Livox's)."""

_PICTURELESS_PACKAGES = frozenset(
    {
        "sensor_msgs", "geometry_msgs", "nav_msgs", "tf2_msgs", "tf", "rosgraph_msgs", "rcl_interfaces", "diagnostic_msgs",
        "builtin_interfaces", "gps_msgs", "gps_common", "nmea_msgs", "can_msgs", "velodyne_msgs", "statistics_msgs",
    }
)  # fmt: skip
_PICTURELESS_TYPES = frozenset(
    {"std_msgs/String", "std_msgs/Bool", "std_msgs/Header", "std_msgs/Float64", "std_msgs/Float32", "std_msgs/Int32"}
)


def last_word(schema_name: str) -> str:
    """`CompressedImage` of `sensor_msgs/msg/CompressedImage` or `foxglove.CompressedImage`."""
    return schema_name.replace(".", "/").rsplit("/", 1)[-1]


def is_picture(schema_name: str) -> bool:
    """Whether messages of this type are pictures."""
    return last_word(schema_name) in PICTURES


def is_frame(schema_name: str) -> bool:
    """Whether a message of this type counts as a frame: a picture, or a sweep of a lidar."""
    return last_word(schema_name) in PICTURES | SWEEPS


def is_pictureless(schema_name: str) -> bool:
    """Whether messages of this type cannot hold a picture. An unknown type may, and so may bytes without a meaning."""
    package, word = schema_name.split("/", 1)[0], last_word(schema_name)
    return word not in PICTURES and (package in _PICTURELESS_PACKAGES or f"{package}/{word}" in _PICTURELESS_TYPES)
