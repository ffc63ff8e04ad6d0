"""Points of tracks as ROS 2 messages, which every recording of ours is made of: their bytes (CDR), their definitions, the rows of a batch.

Only types that are proven to show no picture (`tiles.footage.definitions`), so that a track alone is no footage.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.readers.recordings.track import Track
from tiles.batch import Batch, Content, LayerKind

_SECOND = 10**9
_RULE = f"\n{'=' * 80}\n"
_HEADER = _RULE.join(
    ["MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id", "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec"]
)
FIX = (
    "sensor_msgs/msg/NavSatFix",
    "std_msgs/Header header\nsensor_msgs/NavSatStatus status\nfloat64 latitude\nfloat64 longitude\nfloat64 altitude\n"
    f"float64[9] position_covariance\nuint8 position_covariance_type{_RULE}{_HEADER}{_RULE}"
    "MSG: sensor_msgs/NavSatStatus\nint8 status\nuint16 service",
)
SENTENCE = ("nmea_msgs/msg/Sentence", f"std_msgs/Header header\nstring sentence{_RULE}{_HEADER}")
TEXT = ("std_msgs/msg/String", "string data")
"""Name and definition of a type, as recorders join them."""

_COLUMNS = pa.schema(
    [
        ("t_ns", pa.int64()), ("lon", pa.float64()), ("lat", pa.float64()), ("h", pa.float64()), ("topic", pa.string()),
        ("seq", pa.int64()), ("name", pa.string()), ("size", pa.int64()), ("payload", pa.large_binary()),
        ("publish_ns", pa.int64()), ("channel", pa.int32()), ("media_type", pa.string()), ("create_ns", pa.int64()),
        ("frame", pa.bool_()), ("fix", pa.bool_()),
    ]
)  # fmt: skip
"""As those of recordings in MCAP (`ingest.readers.recordings.mcap`)."""

BATCH_ROWS = 20_000


def nav_sat_fix(t_ns: int, frame: str, place: tuple[float, float, float]) -> bytes:
    """A NavSatFix: longitude, latitude, height above the ellipsoid (NaN: unknown); without covariance."""
    lon, lat, h = place
    head = _stamp(t_ns) + _text(frame)
    head += struct.pack("<b", 0)
    head += b"\x00" * (-len(head) % 2) + struct.pack("<H", 1)
    head += b"\x00" * (-len(head) % 8)
    return b"\x00\x01\x00\x00" + head + struct.pack("<3d9dB", lat, lon, h, *[0.0] * 9, 0)


def sentence(t_ns: int, frame: str, text: str) -> bytes:
    """A Sentence of NMEA."""
    head = _stamp(t_ns) + _text(frame)
    return b"\x00\x01\x00\x00" + head + b"\x00" * (-len(head) % 4) + _text(text)


def text_message(text: str) -> bytes:
    """A String."""
    return b"\x00\x01\x00\x00" + _text(text)


def _stamp(t_ns: int) -> bytes:
    return struct.pack("<iI", t_ns // _SECOND, t_ns % _SECOND)


def _text(text: str) -> bytes:
    body = text.encode("utf-8", "replace") + b"\x00"
    return struct.pack("<I", len(body)) + body


def about(channels: Sequence[tuple[str, tuple[str, str]]], metadata: Sequence[dict[str, Any]], silent: Sequence[int] = ()) -> str:
    """What the tiles state of the recording: its channels (topic, type) and metadata (`Batch.meta["mcap"]`).

    `silent`: numbers of channels that have no message.
    """
    described = [
        {
            "topic": topic,
            "encoding": "cdr",
            "metadata": {},
            "schema": {"name": name, "encoding": "ros2msg", "data": base64.b64encode(definition.encode()).decode()},
        }
        for topic, (name, definition) in channels
    ]
    record = {"profile": "ros2", "library": "mapex", "channels": described, "metadata": list(metadata), "silent": list(silent)}
    return json.dumps(record, ensure_ascii=False)


@dataclass(slots=True)
class TrackRows:
    """Messages of a track on their way into batches, each placed where the receiver was at its time."""

    layer: str
    track: Track
    about: str
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    written: int = 0

    def add(self, t_ns: int, channel: int, topic: str, payload: bytes, *, is_fix: bool = False) -> None:
        """Take a message in."""
        sequence = self.written + len(self.rows)
        self.rows.append((t_ns, topic, sequence, None, len(payload), payload, t_ns, channel, None, None, False, is_fix))

    @property
    def is_full(self) -> bool:
        """Whether a batch should be taken."""
        return len(self.rows) >= BATCH_ROWS

    def batch(self) -> Batch:
        """What was added since the last one."""
        t_ns, *others = zip(*self.rows, strict=True)
        lon, lat, h, _ = self.track.at(np.array(t_ns, np.int64))
        self.written += len(self.rows)
        self.rows = []
        arrays = [pa.array(values, kind) for values, kind in zip([t_ns, lon, lat, h, *others], _COLUMNS.types, strict=True)]
        arrays[3] = pa.array(h, pa.float64(), mask=np.isnan(h))
        table = pa.Table.from_arrays(arrays, schema=_COLUMNS)
        return Batch(Content.FRAMES, self.layer, LayerKind.RECORDING, table, "EPSG:4326", {"mcap": self.about, "footage": "no"})


def is_place(lon: float, lat: float) -> bool:
    """Whether it is a place: a receiver without a fix writes 0, 0."""
    return math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90 and not lon == lat == 0
