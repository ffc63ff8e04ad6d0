"""Recordings by the library that others use, with well-known ROS messages written by rosbags: honest ones, and ones that hide pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
S = 1_000_000_000
T0 = 1_790_000_000 * S
LON, LAT = 127.1, 37.4

Type = tuple[str, str, bytes]


def picture(side: int = 96) -> bytes:
    """A JPEG of noise, which hardly packs: some kilobytes."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(7).integers(0, 255, (side, side, 3), np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def definition(name: str) -> Type:
    """The well-known definition of a ROS 2 type as recorders write it."""
    return name, "ros2msg", STORE.generate_msgdef(name)[0].encode()


def stamp(t_ns: int, frame: str = "imu") -> Any:
    time = STORE.types["builtin_interfaces/msg/Time"](sec=t_ns // S, nanosec=t_ns % S)
    return STORE.types["std_msgs/msg/Header"](stamp=time, frame_id=frame)


def cdr(name: str, **fields: Any) -> bytes:
    """A message of a well-known type."""
    return bytes(STORE.serialize_cdr(STORE.types[name](**fields), name))


def imu(t_ns: int, covariance: np.ndarray[Any, Any] | None = None, frame: str = "imu") -> bytes:
    vector, turn = STORE.types["geometry_msgs/msg/Vector3"], STORE.types["geometry_msgs/msg/Quaternion"]
    nine = np.zeros(9) if covariance is None else covariance
    return cdr(
        "sensor_msgs/msg/Imu", header=stamp(t_ns, frame), orientation=turn(x=0.0, y=0.0, z=0.0, w=1.0), orientation_covariance=nine,
        angular_velocity=vector(x=0.0, y=0.01, z=0.02), angular_velocity_covariance=nine,
        linear_acceleration=vector(x=0.1, y=0.0, z=9.81), linear_acceleration_covariance=nine,
    )  # fmt: skip


def fix(t_ns: int, lon: float = LON, lat: float = LAT) -> bytes:
    status = STORE.types["sensor_msgs/msg/NavSatStatus"](status=0, service=1)
    return cdr(
        "sensor_msgs/msg/NavSatFix", header=stamp(t_ns, "gps"), status=status, latitude=lat, longitude=lon, altitude=30.0,
        position_covariance=np.eye(3).ravel(), position_covariance_type=2,
    )  # fmt: skip


def cloud(fields: list[tuple[str, int, int, int]], data: np.ndarray[Any, Any], step: int, t_ns: int = T0, rows: int = 1) -> bytes:
    """A PointCloud2; fields are (name, offset, datatype, count)."""
    made = [STORE.types["sensor_msgs/msg/PointField"](name=n, offset=o, datatype=d, count=c) for n, o, d, c in fields]
    points = len(data) // step
    return cdr(
        "sensor_msgs/msg/PointCloud2", header=stamp(t_ns, "lidar"), height=rows, width=points // rows, fields=made, is_bigendian=False,
        point_step=step, row_step=step * (points // rows), data=data, is_dense=True,
    )  # fmt: skip


class Recorder:
    """A recording that is placed by fixes; `add` and `attach` what the test is about."""

    def __init__(self, path: Path) -> None:
        self.path, self.channels, self.stream = path, dict[str, int](), path.open("wb")
        self.writer = Writer(self.stream)
        self.writer.start(profile="ros2", library="a recorder")
        self.channel("/fix", definition("sensor_msgs/msg/NavSatFix"))
        for second in range(3):
            self.add("/fix", fix(T0 + second * S), T0 + second * S)

    def channel(self, topic: str, schema: Type | None, encoding: str = "cdr", **metadata: str) -> None:
        number = 0 if schema is None else self.writer.register_schema(*schema)
        self.channels[topic] = self.writer.register_channel(topic, encoding, number, metadata)

    def add(self, topic: str, data: bytes, t_ns: int = T0 + S) -> None:
        self.writer.add_message(self.channels[topic], t_ns, data, t_ns)

    def attach(self, name: str, media_type: str, data: bytes) -> None:
        self.writer.add_attachment(T0, T0, name, media_type, data)

    def close(self) -> Path:
        self.writer.finish()
        self.stream.close()
        return self.path


def recorded(path: Path, *steps: Callable[[Recorder], None]) -> Path:
    """A recording with what the steps add."""
    recorder = Recorder(path)
    for step in steps:
        step(recorder)
    return recorder.close()
