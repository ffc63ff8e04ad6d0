"""Where and when a photo was taken, as its EXIF (or XMP) says. What cannot be believed is left out, with the reason.

Source: EXIF 3.0 (CIPA DC-008) 4.6.6 GPS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from ingest.readers.recordings.xmp import position, stated

GPS_IFD, EXIF_IFD = 0x8825, 0x8769
_LAT_REF, _LAT, _LON_REF, _LON, _ALT_REF, _ALT, _TIME, _STATUS, _DATUM, _DATE = 1, 2, 3, 4, 5, 6, 7, 9, 18, 29
_TAKEN, _TAKEN_OFFSET, _TAKEN_FRACTION = 0x9003, 0x9011, 0x9291

_OF_TODAY = re.compile(r"WGS|ITRF|GRS|JGD|KGD|ETRS|CGCS|GDA|SIRGAS|NAD83|PZ90|WORLDGEODETICSYSTEM")
"""Datums that differ from WGS 84 by a metre or two; what a hand-held receiver does not see."""
_DATUMS = {"TOKYO": 4301, "KOREAN1985": 4162, "KOREA1985": 4162, "NAD27": 4267, "ED50": 4230, "OSGB36": 4277, "PULKOVO1942": 4284}
"""Older ones by the name that EXIF gives, and their EPSG codes."""

_SAME_DAY = timedelta(hours=26)  # a local time without zone is at most 14 h from UTC; a GPS date further off is stale


@dataclass(frozen=True, slots=True)
class Taken:
    """Degrees WGS 84, metres, UTC nanoseconds; None where unknown. `doubts` says what was found and not used, or used with care.

    `above_ellipsoid`: whether the height counts from the ellipsoid (EXIF 3.0), else from the sea.
    """

    lon: float | None = None
    lat: float | None = None
    h: float | None = None
    t_ns: int | None = None
    above_ellipsoid: bool = False
    from_xmp: bool = False
    doubts: tuple[str, ...] = ()


def taken(gps: Mapping[int, Any], photo: Mapping[int, Any], xmp: bytes = b"") -> Taken:
    """Place and time of a photo.

    Args:
        gps: tags of the GPS directory.
        photo: tags of the Exif directory.
        xmp: the XMP packet, asked only when EXIF has no position.
    """
    doubts: list[str] = []
    place = _place(gps, doubts)
    from_xmp = place is None and bool(xmp)
    if from_xmp:
        found = position(xmp, doubts)
        place = _checked(*found, doubts) if found is not None else None
        if place is not None:
            status, datum = (stated(xmp, name) for name in ("GPSStatus", "GPSMapDatum"))
            about = (_letter(status or gps.get(_STATUS)), datum or _text(gps.get(_DATUM)))
            place = _trusted(*place, about, doubts)
    lon, lat = place if place is not None else (None, None)
    h, above_ellipsoid = _height(gps)
    return Taken(lon, lat, h, _time(gps, photo, doubts), above_ellipsoid, from_xmp and place is not None, tuple(dict.fromkeys(doubts)))


def _place(gps: Mapping[int, Any], doubts: list[str]) -> tuple[float, float] | None:
    if _LAT not in gps and _LON not in gps:
        return None
    lat, lon = _degrees(gps.get(_LAT)), _degrees(gps.get(_LON))
    south, west = _letter(gps.get(_LAT_REF)), _letter(gps.get(_LON_REF))
    if lat is None or lon is None:
        doubts.append("its GPS position is not a number")
        return None
    if south not in ("N", "S") or west not in ("E", "W"):
        doubts.append("its GPS position does not say which hemisphere it is in")
        return None
    place = _checked(lon if west == "E" else -lon, lat if south == "N" else -lat, doubts)
    return None if place is None else _trusted(*place, (_letter(gps.get(_STATUS)), _text(gps.get(_DATUM))), doubts)


def _trusted(lon: float, lat: float, about: tuple[str, str], doubts: list[str]) -> tuple[float, float] | None:
    """The position in WGS 84, when the receiver had a fix and the datum is known: an older one is some hundred metres beside it.

    `about`: status of the receiver (V = void: the position is its last one, or none) and name of the datum, as the photo gives them.
    """
    status, datum = about
    if status == "V":
        doubts.append("its receiver had no fix (GPSStatus V), so its position was not used")
        return None
    name = re.sub(r"[^A-Z0-9]", "", datum.upper())
    if not name or _OF_TODAY.match(name):
        return lon, lat
    code = next((code for known, code in _DATUMS.items() if name.startswith(known)), None)
    if code is None:
        doubts.append(f"its GPS position counts in the datum {datum[:40]!r}, which is not known here, so it was not used")
        return None
    import numpy as np

    from ingest.placing.move import lonlat

    there = lonlat(np.array([lon]), np.array([lat]), f"EPSG:{code}")
    doubts.append(f"its GPS position counts in the datum {datum[:40]!r}, not in WGS 84; it was moved there, to some ten metres")
    return float(there[0][0]), float(there[1][0])


def _checked(lon: float, lat: float, doubts: list[str]) -> tuple[float, float] | None:
    if abs(lat) > 90 or abs(lon) > 180:
        turned = "; latitude and longitude may be exchanged" if abs(lat) <= 180 and abs(lon) <= 90 else ""
        doubts.append(f"its GPS position is outside the world ({lon}, {lat}){turned}")
        return None
    if lon == lat == 0:
        doubts.append("its GPS position is 0,0: the camera had no fix")
        return None
    return lon, lat


def _letter(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\x00 ").upper()[:1]


def _numbers(value: Any) -> list[float] | None:
    """Finite numbers of an EXIF value; a rational with denominator 0 is none."""
    values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    try:
        numbers = [float(v) for v in values]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def _degrees(value: Any) -> float | None:
    """Degrees from one to three numbers; cameras write minutes with decimals and no seconds, or degrees with decimals alone."""
    numbers = _numbers(value)
    if numbers is None or len(numbers) > 3 or any(number < 0 for number in numbers):
        return None
    return float(sum(number / 60.0**power for power, number in enumerate(numbers)))


def _height(gps: Mapping[int, Any]) -> tuple[float | None, bool]:
    numbers = _numbers(gps.get(_ALT))
    if numbers is None or _ALT not in gps:
        return None, False
    reference = gps.get(_ALT_REF, 0)
    code = reference[0] if isinstance(reference, bytes) and reference else reference
    code = code if isinstance(code, int) else 0
    return (-numbers[0] if code in (1, 3) else numbers[0]), code in (2, 3)


def _time(gps: Mapping[int, Any], photo: Mapping[int, Any], doubts: list[str]) -> int | None:
    """UTC nanoseconds: from GPS when its date fits the photo's, else from the photo's own time with its offset."""
    by_gps, local, offset = _gps_time(gps), _moment(photo.get(_TAKEN)), _offset(photo.get(_TAKEN_OFFSET))
    by_camera = None if local is None or offset is None else (local - offset).replace(tzinfo=UTC)
    reference = by_camera or (local.replace(tzinfo=UTC) if local else None)
    if by_gps is not None and reference is not None and abs(by_gps - reference) > _SAME_DAY:
        doubts.append(f"its GPS date ({by_gps:%Y-%m-%d}) is not that of the photo ({reference:%Y-%m-%d})")
        by_gps = None
    if by_gps is not None:
        return _nanoseconds(by_gps)
    return None if by_camera is None else _nanoseconds(by_camera) + _fraction_ns(photo.get(_TAKEN_FRACTION))


def _nanoseconds(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000


def _gps_time(gps: Mapping[int, Any]) -> datetime | None:
    clock = _numbers(gps.get(_TIME))
    named = re.fullmatch(r"(\d{4})[:\-/](\d{1,2})[:\-/](\d{1,2})\D*", _text(gps.get(_DATE)))
    if clock is None or len(clock) != 3 or not named:
        return None
    try:
        day = datetime(int(named[1]), int(named[2]), int(named[3]), tzinfo=UTC)
    except ValueError:
        return None
    seconds = clock[0] * 3600 + clock[1] * 60 + clock[2]
    return day + timedelta(seconds=seconds) if 0 <= seconds < 86_401 and day.year > 1980 else None


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.strptime(_text(value), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - a camera's local time has no zone
    except ValueError:
        return None


def _offset(value: Any) -> timedelta | None:
    named = re.fullmatch(r"([+-])(\d\d):(\d\d)", _text(value))
    if not named:
        return None
    size = timedelta(hours=int(named[2]), minutes=int(named[3]))
    shift = -size if named[1] == "-" else size
    return shift if timezone.min.utcoffset(None) <= shift <= timezone.max.utcoffset(None) else None


def _fraction_ns(value: Any) -> int:
    digits = _text(value)
    return int(digits[:9].ljust(9, "0")) if digits.isdecimal() else 0


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\x00 ")
