"""Do coordinates fit the system that is stated for them? One set of checks for features, points and frames.

A label is *certainly* wrong when what it says cannot be (degrees as metres, axes exchanged, another part of the world); it is then not
used, or forbids publication. What is only unlikely is a warning: a system is often used beyond the edge of its area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pyproj import CRS

from ingest.findings import error, warning
from ingest.placing import systems
from ingest.placing.move import MAX_LATITUDE, NULL_ISLAND_DEG, Floats, lonlat
from mapex.catalogue.finding import Finding

_EDGE_DEG, _FAR_DEG, _ELSEWHERE_DEG = 0.05, 3.0, 10.0
"""How far outside of an area of use is still inside, is far, and is elsewhere on the Earth."""
_ZONE_DEG, _OVER_DEG = 6.5, 0.5
"""How wide the zones of a series are at most; how far outside of an area is too far in a direction in which none follows."""
_NARROW_DEG, _SWAP_DEG = 3.0, 1.5
"""A zone of this width is used beyond its edges; so far, it may be chance that exchanged axes would be inside (Busan in EPSG:5174)."""
_EARTH_M = (6_340_000.0, 6_390_000.0)
"""Distance of the surface from the Earth's centre, with room for mines and mountains."""
_FOOT_M = 0.3048
_SAMPLE = 1000
_WORLD_DEG = 350.0
_LIKELY = ("EPSG:5186", "EPSG:5179", "EPSG:32652")
"""What Korean numbers without a right label are in, the likeliest first."""

CONTRADICTS, SWAPPED, OUTSIDE = "crs.contradicts", "crs.swapped", "crs.outside_area"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why coordinates are not where their system puts them, in a sentence. `value`: one of them; `certain`: they cannot be there."""

    code: str
    text: str
    value: str
    certain: bool = True

    @property
    def asks(self) -> bool:
        """Whether another system would settle it: the label is not used, and the seller is asked. None mends exchanged axes."""
        return self.certain and self.code != SWAPPED

    def finding(self, where: dict[str, str]) -> Finding:
        """As a finding about coordinates that are placed all the same. `where`: file and layer."""
        if self.code == SWAPPED:
            return error(SWAPPED, self.text, "Write east (longitude) first.", value=self.value, **where)
        if self.code == CONTRADICTS:
            return error(CONTRADICTS, self.text, "Give the right system with --crs EPSG:n.", value=self.value, **where)
        return warning(OUTSIDE, self.text, "Check the CRS.", value=self.value, **where)


def misfit(crs: CRS, x: Floats, y: Floats, z: Floats | None = None, *, given: bool = False) -> Doubt | None:
    """Why these coordinates are not where `crs` puts them; None when they fit, or nobody can tell.

    Args:
        crs: the system that is stated.
        x: some coordinates in the order of the file (east or longitude first); what is not finite is left out.
        y: north or latitude.
        z: height, or the third geocentric axis; None when there is none.
        given: the seller named the system, so that data far outside of its area is meant to be there.
    """
    good = np.isfinite(x) & np.isfinite(y) & (np.isfinite(z) if z is not None and crs.is_geocentric else True)
    step = max(1, int(good.sum()) // _SAMPLE)
    x, y = x[good][::step], y[good][::step]
    if not len(x):
        return None
    if crs.is_geocentric:
        return None if z is None else _not_on_earth(crs, x, y, z[good][::step])
    found = _no_degrees(crs, x, y) if systems.horizontal(crs).is_geographic else _degrees(crs, x, y)
    return found or _outside(crs, x, y, given)


def of_degrees(lon: Floats, lat: Floats) -> Doubt | None:
    """`misfit` of positions in degrees WGS 84: a single latitude beyond 90 tells that axes are exchanged, most of all that it is metres."""
    with np.errstate(invalid="ignore"):
        off = (np.abs(lon) > 180.0) | (np.abs(lat) > MAX_LATITUDE)
        swapped = (np.abs(lat) > 90.0) & (np.abs(lat) <= 180.0) & (np.abs(lon) <= 90.0)
    which = swapped if swapped.any() else off if off.sum() > 0.5 * np.isfinite(lon).sum() else None
    return None if which is None or not which.any() else _no_degrees(systems.parsed(systems.WGS84), lon[which], lat[which])


def _middle(x: Floats, y: Floats) -> tuple[float, float, str]:
    mx, my = float(np.median(x)), float(np.median(y))
    return mx, my, f"{mx:.6g}, {my:.6g}" if abs(mx) <= 360.0 and abs(my) <= 360.0 else f"{mx:.2f}, {my:.2f}"


def _not_on_earth(crs: CRS, x: Floats, y: Floats, z: Floats) -> Doubt | None:
    mx, my, where = _middle(x, y)
    mz = float(np.median(z))
    distance = float(np.sqrt(mx * mx + my * my + mz * mz))
    if _EARTH_M[0] <= distance <= _EARTH_M[1]:
        return None
    text = (
        f"The stated system is geocentric ({crs.name}), but the numbers ({where}, {mz:.2f}) are {distance / 1000:.0f} km from the Earth's "
        f"centre, not 6,357 to 6,378. {_looks_like(mx, my)}"
    )
    return Doubt(CONTRADICTS, text.strip(), where)


def _no_degrees(crs: CRS, x: Floats, y: Floats) -> Doubt | None:
    """Numbers that are no degrees at all, or a latitude beyond 90."""
    mx, my, where = _middle(x, y)
    if abs(mx) <= 360.0 and abs(my) <= 90.0:
        return None
    if abs(mx) <= 90.0 and abs(my) <= 180.0:
        return Doubt(SWAPPED, f"Latitude and longitude are exchanged: {where} has a latitude beyond 90 degrees.", where)
    text = f"The stated system is in degrees ({crs.name}), but the numbers ({where}) are no degrees. {_looks_like(mx, my)}"
    return Doubt(CONTRADICTS, text.strip(), where)


def _degrees(crs: CRS, x: Floats, y: Floats) -> Doubt | None:
    """Degrees in a system of metres or feet: nothing is within 200 m of a false origin unless its area is there."""
    mx, my, where = _middle(x, y)
    if not (abs(mx) <= 180.0 and abs(my) <= 90.0 or abs(mx) <= 90.0 and abs(my) <= 180.0):
        return None
    area = area_of(crs)
    lon, lat = _placed(crs, x, y)
    at_null_island = bool(np.median(np.abs(lon)) < NULL_ISLAND_DEG and np.median(np.abs(lat)) < NULL_ISLAND_DEG)
    if area is None:  # a local frame may well be around zero
        is_wrong = at_null_island
    else:
        is_wrong = share(area, x, y) > 0.5 or share(area, y, x) > 0.5 or not share(area, lon, lat, _EDGE_DEG) > 0.5
    if not is_wrong:
        return None
    turned = " Latitude and longitude are exchanged, too." if area is not None and share(area, y, x) > 0.5 else ""
    return Doubt(CONTRADICTS, f"The stated system is {crs.name}, but the numbers ({where}) look like degrees.{turned}", where)


def _outside(crs: CRS, x: Floats, y: Floats, given: bool) -> Doubt | None:
    """Outside of the area for which `crs` is made: a wrong label, axes exchanged, feet for metres, each tried by placing them so."""
    mx, my, where = _middle(x, y)
    lon, lat = _placed(crs, x, y)
    area = area_of(crs)
    if area is None:
        if np.isfinite(lon).any():
            return None
        text = f"The numbers ({where}) are nowhere in the stated system, {crs.name}. {_looks_like(mx, my)}"
        return Doubt(CONTRADICTS, text.strip(), where)
    if share(area, lon, lat, _EDGE_DEG) > 0.5:
        return None
    distance = _distance(area, lon, lat)
    if share(area, *_placed(crs, y, x), -_EDGE_DEG) > 0.5:
        return _turned(crs, area, where, distance)
    if not _is_beyond(area, lon, lat):
        return None
    at = f"at {np.median(lon):.3f}, {np.median(lat):.3f}, " if np.isfinite([np.median(lon), np.median(lat)]).all() else ""
    how = "far " if distance > _FAR_DEG else ""
    text = f"The stated system is {crs.name}, but the numbers ({where}) would be {at}{how}outside of the area that this system is for."
    text = f"{text} {_other_unit(crs, area, x, y) or _looks_like(mx, my)}".strip()
    return Doubt(OUTSIDE, text, where, certain=distance > (_ELSEWHERE_DEG if given else _FAR_DEG))


def _is_beyond(area: Any, lon: Floats, lat: Floats) -> bool:
    """Whether the middle point is so far outside that no habit explains it: zones are used beyond their eastern and western edges."""
    is_zone = area.east - area.west <= _ZONE_DEG
    with np.errstate(invalid="ignore"):
        east_west = np.maximum(area.west - lon, lon - area.east) > (_FAR_DEG if is_zone else _OVER_DEG)
        north_south = np.maximum(area.south - lat, lat - area.north) > _OVER_DEG
    return bool(np.mean(east_west | north_south | ~np.isfinite(lon)) > 0.5)


def _turned(crs: CRS, area: Any, where: str, distance: float) -> Doubt:
    """Outside as they stand, inside with the axes exchanged; just beyond the edge of a narrow zone that may be chance."""
    if distance <= _SWAP_DEG and area.east - area.west <= _NARROW_DEG:
        text = f"{where} is outside of the area of {crs.name}; with the axes exchanged it would be inside."
        return Doubt(OUTSIDE, text, where, certain=False)
    axes = "Latitude and longitude" if crs.is_geographic else "East and north"
    return Doubt(SWAPPED, f"{axes} are exchanged: {where} is outside of the area of {crs.name}, with the axes swapped it is not.", where)


def _other_unit(crs: CRS, area: Any, x: Floats, y: Floats) -> str:
    """Whether the numbers would be inside if they were feet, or metres, and not what the system counts in."""
    unit = crs.axis_info[0].unit_name if crs.axis_info else ""
    if unit == "metre" and share(area, *_placed(crs, x * _FOOT_M, y * _FOOT_M), _EDGE_DEG) > 0.5:
        return "In feet they would be inside: the system counts in metres."
    if "foot" in unit and share(area, *_placed(crs, x / _FOOT_M, y / _FOOT_M), _EDGE_DEG) > 0.5:
        return "In metres they would be inside: the system counts in feet."
    return ""


def _looks_like(x: float, y: float) -> str:
    """Which systems would put numbers into their own area."""
    if 0 < x < 2_000_000 and 0 < y < 4_500_000:
        fits = [code for code in _LIKELY if _is_inside(systems.parsed(code), x, y)]
        if fits:
            return f"They would be in Korea in {' or '.join(fits)}."
    return "The numbers look like UTM metres." if 100_000 <= x <= 900_000 and 0 < y < 10_000_000 else ""


def _is_inside(crs: CRS, x: float, y: float) -> bool:
    area = area_of(crs)
    return area is not None and share(area, *_placed(crs, np.array([x]), np.array([y])), _EDGE_DEG) > 0.5


def _placed(crs: CRS, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    return lonlat(np.asarray(x, np.float64), np.asarray(y, np.float64), crs.srs)


def area_of(crs: CRS) -> Any:
    """The area that a system is made for: its own, else that of the code it has, else that of its datum; None for none, or the world."""
    flat = systems.horizontal(crs)
    base = flat.source_crs if flat.is_bound else flat
    code = None if base is None else base.to_epsg(min_confidence=70)
    datum = None if base is None or base.geodetic_crs is None else base.geodetic_crs.to_epsg(min_confidence=70)
    area: Any = crs.area_of_use or flat.area_of_use
    for epsg in (code, datum):
        area = area or (CRS.from_epsg(epsg).area_of_use if epsg is not None else None)
    if area is None or area.west > area.east:  # across the antimeridian
        return None
    return None if area.east - area.west > _WORLD_DEG and area.north - area.south > _WORLD_DEG / 2.2 else area


def share(area: Any, lon: Any, lat: Any, margin: float = 0.0) -> float:
    """Part of the points (0 to 1) that is in an area or at most `margin` degrees outside of it; what is not finite is outside."""
    with np.errstate(invalid="ignore"):
        east_west = (lon >= area.west - margin) & (lon <= area.east + margin)
        return float(np.mean(east_west & (lat >= area.south - margin) & (lat <= area.north + margin)))


def _distance(area: Any, lon: Floats, lat: Floats) -> float:
    """How many degrees the middle point is outside of an area, the larger of both directions; infinite when it is nowhere."""
    with np.errstate(invalid="ignore"):
        east_west = np.maximum(np.maximum(area.west - lon, lon - area.east), 0.0)
        away = np.maximum(east_west, np.maximum(np.maximum(area.south - lat, lat - area.north), 0.0))
    return float(np.median(np.where(np.isfinite(away), away, np.inf)))
