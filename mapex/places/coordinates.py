"""Coordinates as people write them: degrees in either order and notation, metres of the Korean systems and of UTM, numbers of tiles.

A text may be read in more than one way; all readings are returned, and whoever asks chooses. Nothing is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any

from tiles.grid import grid

METRES = (5186, 5179, 32652, 32651, 5187, 5185, 5188)
"""Systems in metres that two large numbers without a name may be in, the usual first."""

KOREA = (124.0, 32.9, 132.1, 38.7)
"""Where numbers without a named system must be to be believed."""

_LAT_LIMIT = 85.05
_DEEPEST = 24  # zoom of a tile that is written as a number
_CROWD = 3  # readings of two numbers in metres; more is no question any more
_QUADKEY = re.compile(r"[0-3]{6,24}")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,8})/(\d{1,8})")
_NAMED = re.compile(
    r"EPSG[:\s]*(\d{4,5})\b|\bUTM[\s-]*(?:zone\s*)?(\d{1,2})\s*([NS]?)\b|^\s*(\d{1,2})\s*([C-HJ-NP-X])\s(?=\d)"
    r"|^\s*(5\d{3}|32[67]\d\d)\s(?=\d{5})",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:[\s.,;]|$))")
_WITH_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?[\s;]+[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SPACED = re.compile(r"(\d{1,3})\s+(\d{1,2})\s+(\d{1,2}(?:\.\d+)?)\s*(?=[NSEW])", re.IGNORECASE)
_SIDES = {"N": 1, "S": -1, "E": 1, "W": -1, "북위": 1, "남위": -1, "동경": 1, "서경": -1}
_LATITUDE = frozenset("NS") | {"북위", "남위"}
_ANGLE = re.compile(
    r"(?P<before>[NSEW]|북위|남위|동경|서경)?\s*(?P<d>[-+]?\d+(?:\.\d+)?)\s*(?:[°º도d:]\s*)?"
    r"(?:(?P<m>\d+(?:\.\d+)?)\s*['′’분m:]\s*)?(?:(?P<s>\d+(?:\.\d+)?)\s*(?:[\"″”초s]|'')\s*)?(?P<after>[NSEW])?(?=$|[\s,;/])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PlaceReading:
    """A point, or with `cell` a tile, that a text may mean; `system` names what its numbers were taken as."""

    lon: float
    lat: float
    system: str = ""
    tile: str = ""


def readings(text: str) -> list[PlaceReading]:
    """All that a text may mean as coordinates or as a tile; none when it is neither."""
    plain = text.strip().removeprefix("geo:").strip("()[] ")
    found = _tile(plain) or _in_named_system(plain) or _degrees(plain) or _metres(plain)
    return list(dict.fromkeys(found))


def _tile(text: str) -> list[PlaceReading]:
    if _QUADKEY.fullmatch(text):
        return [_of_tile(text)]
    if (match := _SLASHED.fullmatch(text)) and int(match[1]) <= _DEEPEST:
        z, x, y = map(int, match.groups())
        if max(x, y) < 1 << z and z:
            return [_of_tile(grid.quadkey(int(grid.morton(x, y)), z))]
    return []


def _of_tile(quadkey: str) -> PlaceReading:
    box = grid.bounds(*grid.cell_from_quadkey(quadkey))
    return PlaceReading((box.west + box.east) / 2, (box.south + box.north) / 2, tile=quadkey)


def _in_named_system(text: str) -> list[PlaceReading]:
    match = _NAMED.search(text)
    if match is None:
        return []
    numbers = _numbers(text[: match.start()] + " " + text[match.end() :])
    code, zone, side, grid_zone, band, bare = match.groups()
    epsg = int(code or bare) if code or bare else _utm(int(zone or grid_zone), (side or band or "N").upper(), is_band=bool(band))
    if len(numbers) != 2 or epsg is None:
        return []
    if epsg == 4326:
        return _degrees(" ".join(map(str, numbers)))
    near = [one for pair in permutations(numbers) if (one := _point(epsg, *pair)) and _inside(one, KOREA)]
    return near or [one for one in [_point(epsg, *numbers)] if one]


def _utm(zone: int, letter: str, *, is_band: bool) -> int | None:
    if not 1 <= zone <= 60:
        return None
    south = letter < "N" if is_band else letter == "S"
    return (32700 if south else 32600) + zone


def _metres(text: str) -> list[PlaceReading]:
    """Two numbers that are no degrees: the readings that are in Korea."""
    numbers = _numbers(text)
    if len(numbers) != 2 or re.search(r"[^\d\s.,;+\-mM]", text) or min(map(abs, numbers)) < 1000:
        return []
    found = [one for epsg in METRES for pair in permutations(numbers) if (one := _point(epsg, *pair)) and _inside(one, KOREA)]
    return found[:_CROWD]


def _degrees(text: str) -> list[PlaceReading]:
    """Two angles: latitude and longitude as far as their letters or sizes show, else both orders."""
    signed = _SPACED.sub(r"\1°\2'\3″", text)
    angles, left = list(_ANGLE.finditer(signed)), _ANGLE.sub("", signed)
    if len(angles) != 2 or re.search(r"[^\s,;/]", left):
        return []
    try:
        (first, a), (second, b) = [_angle(match) for match in angles]
    except ValueError:
        return []
    orders = [(a, b)] if first or second == "lon" else [(a, b), (b, a)]
    if first == "lon" or second == "lat":
        orders = [(b, a)]
    if first and first == second:
        return []
    return [PlaceReading(lon, lat, "WGS 84") for lat, lon in orders if abs(lat) <= _LAT_LIMIT and abs(lon) <= 180]


def _angle(match: re.Match[str]) -> tuple[str, float]:
    """The axis that an angle names (`lat`, `lon` or nothing), and its degrees.

    Raises: ValueError: it has more than 60 minutes or seconds, or two letters.
    """
    minutes, seconds = float(match["m"] or 0), float(match["s"] or 0)
    letters = [letter.upper() for letter in (match["before"], match["after"]) if letter]
    if max(minutes, seconds) >= 60 or len(letters) > 1:
        raise ValueError(match[0])
    degrees = float(match["d"])
    whole = abs(degrees) + minutes / 60 + seconds / 3600
    signed = -whole if match["d"].startswith("-") else whole
    if not letters:
        return "", signed
    return "lat" if letters[0] in _LATITUDE else "lon", signed * _SIDES[letters[0]]


def _numbers(text: str) -> list[float]:
    return [float(one) for one in _NUMBER.findall(_THOUSANDS.sub("", text) if _WITH_THOUSANDS.fullmatch(text.strip()) else text)]


def _inside(one: PlaceReading, box: tuple[float, float, float, float]) -> bool:
    return box[0] <= one.lon <= box[2] and box[1] <= one.lat <= box[3]


def _point(epsg: int, east: float, north: float) -> PlaceReading | None:
    to_degrees = transformer(epsg)
    if to_degrees is None:
        return None
    lon, lat = to_degrees.transform(east, north)
    if not (abs(lon) <= 180 and abs(lat) <= _LAT_LIMIT):
        return None
    return PlaceReading(round(lon, 7), round(lat, 7), f"EPSG:{epsg}")


@lru_cache(maxsize=64)
def transformer(epsg: int) -> Any:
    """From the system to WGS 84, easting first; None for one that is unknown or not in metres on a plane."""
    import pyproj

    try:
        system = pyproj.CRS.from_epsg(epsg)
    except pyproj.exceptions.CRSError:
        return None
    return pyproj.Transformer.from_crs(system, 4326, always_xy=True) if system.is_projected else None
