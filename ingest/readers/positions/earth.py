"""Poses in a frame of the Earth (REP 105: `earth`, metres from its centre), stated by a message or reached over transforms.

A tree of transforms is kept as it is at the moment; where the frame of the vehicle hangs on the Earth, each change of it is a position.
Source: https://www.ros.org/reps/rep-0105.html; Bowring's formula for geodetic coordinates.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from mcap.records import Schema

from ingest.readers.positions import ros
from ingest.readers.positions.plan import Cursor
from tiles.footage.definitions import short
from tiles.footage.messages import WrongMessage

EARTH = frozenset({"earth", "ecef"})
BASES = ("base_link", "base_footprint", "base", "vehicle", "ego_vehicle")
"""Frames of a vehicle, in the order in which they are looked for."""
POSES = frozenset({"nav_msgs/Odometry", "geometry_msgs/PoseStamped", "geometry_msgs/PoseWithCovarianceStamped"})
TREES = frozenset({"tf2_msgs/TFMessage", "tf/tfMessage"})

_MOST_FRAMES, _MOST_STEPS = 10_000, 64
_A, _B = 6_378_137.0, 6_356_752.314245179  # WGS 84, metres
_NEAR_M = 100_000.0

Vector = tuple[float, float, float]
Turn = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Transform:
    parent: str
    shift: Vector
    turn: Turn


@dataclass(slots=True)
class Poses:
    """Takes poses and transforms in, in the order of recording."""

    _tree: dict[str, _Transform] = field(default_factory=dict)
    _base: str = ""

    def take(self, schema: str, data: memoryview, encoding: str) -> ros.Fix | None:
        """Where the vehicle is by a message of one of `POSES` or `TREES`; None when that is not known."""
        try:
            cursor = Cursor(data, encoding)
            return self._transforms(cursor) if short(schema) in TREES else self._pose(cursor, short(schema))
        except (WrongMessage, struct.error, OverflowError):
            return None

    def _pose(self, cursor: Cursor, schema: str) -> ros.Fix | None:
        stamp, frame = cursor.header()
        if schema == "nav_msgs/Odometry":
            cursor.text()
        place = self._on_earth(_plain(frame), _vector(cursor))
        return None if place is None else _fix(stamp, place)

    def _transforms(self, cursor: Cursor) -> ros.Fix | None:
        latest, moved = 0, set()
        for stamp, child, transform in _listed(cursor):
            if child in self._tree or len(self._tree) < _MOST_FRAMES:
                self._tree[child] = transform
                moved.add(child)
                latest = max(latest, stamp)
        base = self._base or next((name for name in BASES if name in self._tree), "")
        if not moved & set(self._above(base)):
            return None
        place = self._on_earth(base, (0.0, 0.0, 0.0))
        if place is None:
            return None
        self._base = base
        return _fix(latest, place)

    def _above(self, frame: str) -> Iterator[str]:
        """A frame and those that it hangs on; what goes in a circle ends."""
        for _ in range(_MOST_STEPS):
            if frame not in self._tree:
                return
            yield frame
            frame = self._tree[frame].parent

    def _on_earth(self, frame: str, place: Vector) -> Vector | None:
        """A place in a frame, in that of the Earth; None where the frame does not hang on it."""
        for name in self._above(frame):
            if name in EARTH:
                break
            one = self._tree[name]
            turned = _turned(place, one.turn)
            place = (turned[0] + one.shift[0], turned[1] + one.shift[1], turned[2] + one.shift[2])
            frame = one.parent
        return place if frame in EARTH else None


def is_pose(schema: Schema | None, encoding: str) -> bool:
    """Whether messages of a schema may state where the vehicle is on the Earth."""
    return schema is not None and short(schema.name) in POSES | TREES and encoding in ("cdr", "ros1")


def _listed(cursor: Cursor) -> Iterator[tuple[int, str, _Transform]]:
    """Time, frame and transform to its parent of each geometry_msgs/TransformStamped."""
    for _ in range(cursor.count()):
        stamp, parent = cursor.header()
        child = _plain(cursor.text())
        shift, turn = _vector(cursor), cursor.numbers("d", 4)
        yield stamp, child, _Transform(_plain(parent), shift, (turn[0], turn[1], turn[2], turn[3]))


def _plain(frame: str) -> str:
    return frame.lstrip("/").lower() if frame.lstrip("/").lower() in EARTH else frame.lstrip("/")


def _vector(cursor: Cursor) -> Vector:
    x, y, z = cursor.numbers("d", 3)
    return float(x), float(y), float(z)


def _turned(place: Vector, turn: Turn) -> Vector:
    """A vector turned by a quaternion (x, y, z, w) of length one."""
    (x, y, z), (i, j, k, w) = place, turn
    a, b, c = 2 * (j * z - k * y), 2 * (k * x - i * z), 2 * (i * y - j * x)
    return x + w * a + j * c - k * b, y + w * b + k * a - i * c, z + w * c + i * b - j * a


def _fix(stamp: int, place: Vector) -> ros.Fix | None:
    """Degrees and metres above the ellipsoid; None far from the ground, which no vehicle is."""
    x, y, z = place
    out = math.hypot(x, y)
    if not math.isfinite(out + z) or abs(math.hypot(out, z) - _A) > _NEAR_M:
        return None
    about = math.atan2(z * _A, out * _B)
    wide, long = (_A**2 - _B**2) / _B, (_A**2 - _B**2) / _A
    lat = math.atan2(z + wide * math.sin(about) ** 3, out - long * math.cos(about) ** 3)
    across = _A**2 / math.hypot(_A * math.cos(lat), _B * math.sin(lat))
    h = out * math.cos(lat) + z * math.sin(lat) - _A**2 / across
    return ros.Fix(stamp, 0, math.degrees(math.atan2(y, x)), math.degrees(lat), h)
