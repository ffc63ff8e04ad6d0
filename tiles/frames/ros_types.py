"""What a recording's message types call themselves: pictures, lidar sweeps. What proves that nothing is a picture is in `tiles.footage`."""

from __future__ import annotations

PICTURES = frozenset({"Image", "CompressedImage", "RawImage", "CompressedVideo", "FFMPEGPacket", "Theora", "Packet"})
"""Last words of message types that hold pictures, in ROS and Foxglove."""

SWEEPS = frozenset({"PointCloud2", "PointCloud", "VelodyneScan", "LaserScan", "CustomMsg"})
"""Last words of message types that hold a sweep of a lidar (`CustomMsg` is Livox's)."""


def last_word(schema_name: str) -> str:
    """`CompressedImage` of `sensor_msgs/msg/CompressedImage` or `foxglove.CompressedImage`."""
    return schema_name.replace(".", "/").rsplit("/", 1)[-1]


def is_picture(schema_name: str) -> bool:
    """Whether messages of this type are pictures."""
    return last_word(schema_name) in PICTURES


def is_frame(schema_name: str) -> bool:
    """Whether a message of this type counts as a frame: a picture, or a sweep of a lidar."""
    return last_word(schema_name) in PICTURES | SWEEPS
