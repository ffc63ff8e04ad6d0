"""Camera Motion Metadata (CAMM): a track of an MP4 file that states where the camera was; read from cameras, and written into tiles.

Source: developers.google.com/streetview/publish/camm-spec. A packet is two bytes of zero, two of type, and its values, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from tiles.arrays import Float64s, Int64s

HANDLER = b"camm"
GPS_EPOCH_S = 315_964_800
"""Seconds from 1970 to 6 January 1980, where GPS time begins."""
_MIN_GPS = struct.Struct("<3d")
_GPS = struct.Struct("<dI2d7f")
POSITION, FULL_POSITION = 5, 6
ROW = np.dtype(
    [("zero", "<u2"), ("type", "<u2"), ("time", "<f8"), ("fix", "<i4"), ("lat", "<f8"), ("lon", "<f8"), ("h", "<f4"), ("rest", "<f4", (6,))]
)
SIZE = ROW.itemsize

_LEAPS = np.array(
    [
        46828800, 78364801, 109900802, 173059203, 252028804, 315187205, 346723206, 393984007, 425520008, 457056009, 504489610, 551750411,
        599184012, 820108813, 914803214, 1025136015, 1119744016, 1167264017,
    ], np.float64,
)  # fmt: skip
"""GPS seconds at which a leap second has been added to UTC; none since 2017 (IERS Bulletin C)."""


@dataclass(frozen=True, slots=True)
class Position:
    """A packet that states a position: degrees WGS 84, metres; `gps_s` is its time since the GPS epoch, `fix` 0, 2 or 3; None unknown."""

    lon: float
    lat: float
    h: float
    gps_s: float | None = None
    fix: int | None = None


def position(packet: bytes) -> Position | None:
    """The position in a packet; None when it states something else."""
    if len(packet) < 4:
        return None
    kind = int.from_bytes(packet[2:4], "little")
    if kind == POSITION and len(packet) >= 4 + _MIN_GPS.size:
        lat, lon, h = _MIN_GPS.unpack_from(packet, 4)
        return Position(lon, lat, h)
    if kind == FULL_POSITION and len(packet) >= 4 + _GPS.size:
        time, fix, lat, lon, h, *_ = _GPS.unpack_from(packet, 4)
        return Position(lon, lat, h, time, fix)
    return None


def packets(t_ns: Int64s, places: Float64s) -> bytes:
    """One packet a frame, 60 bytes each: time (0: unknown), place and height; accuracy and speed are not known.

    Args:
        t_ns: UTC nanoseconds.
        places: lon, lat, height (NaN: unknown), one row a time.
    """
    rows = np.zeros(len(t_ns), ROW)
    rows["type"] = FULL_POSITION
    rows["time"] = np.where(t_ns > 0, gps_seconds(t_ns), 0.0)
    rows["fix"] = np.where(np.isfinite(places[:, 2]), 3, 2)
    rows["lon"], rows["lat"], rows["h"] = places[:, 0], places[:, 1], places[:, 2]
    rows["rest"] = np.nan
    return rows.tobytes()


def gps_seconds(t_ns: Int64s) -> Float64s:
    """Seconds since the GPS epoch of UTC nanoseconds."""
    without = t_ns / 1e9 - GPS_EPOCH_S
    return np.asarray(without + np.searchsorted(_LEAPS - np.arange(len(_LEAPS)), without, side="right"), np.float64)


def utc_ns(gps_s: Float64s) -> Int64s:
    """UTC nanoseconds of seconds since the GPS epoch."""
    leaps = np.searchsorted(_LEAPS, gps_s, side="right")
    return np.rint((gps_s + (GPS_EPOCH_S - leaps)) * 1e9).astype(np.int64)
