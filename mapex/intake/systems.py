"""Coordinate systems for people who must name one: a search in PROJ's database, and where a box of numbers would then lie.

Numbers and codes only, never a file: what an upload says about itself is read in the browser and in the cage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mapex.errors import Invalid
from mapex.intake.placement import Placement, check_placement
from tiles.box import Box

if TYPE_CHECKING:
    from pyproj import CRS

Numbers = tuple[float, float, float, float]

KOREAN = ("5186", "5187", "5179", "32652", "5185", "5188", "32651", "4737", "5174", "5176", "5173", "5181", "5183", "5180", "2097", "2096")
"""EPSG codes that files from Korea are in, the likeliest first."""

MOST = 60
_EDGE_DEG = 0.05
"""How far outside of a system's area of use is still inside."""


@dataclass(frozen=True, slots=True)
class System:
    """A coordinate system: `code` as in `EPSG:5186`, its EPSG name, and the name of the area that it is made for."""

    code: str
    name: str
    area: str
    is_projected: bool


@dataclass(frozen=True, slots=True)
class Landing:
    """Where numbers would lie: `box` in degrees WGS 84.

    `is_inside`: within the area that the system is made for. `is_swapped`: outside as they stand, inside with east and north exchanged.
    """

    box: Box
    is_inside: bool
    is_swapped: bool


def find(text: str, names: Mapping[str, str], *, limit: int = 30) -> list[System]:
    """Systems whose code, name, area or own name in `names` (by code) has every word of `text`; the Korean ones first."""
    words = text.casefold().replace("epsg:", " ").split()
    found = [
        system
        for system in _all()
        if all(word in f"{system.code} {system.name} {system.area} {names.get(system.code, '')}".casefold() for word in words)
    ]
    exact = [system for system in found if system.code in {f"EPSG:{word}" for word in words}]
    return [*exact, *(system for system in found if system not in exact)][: min(limit, MOST)]


def land(own: Sequence[float], *, crs: str | None = None, origin: Sequence[float] | None = None) -> Landing:
    """Where a box of a file's own numbers (least x, least y, greatest x, greatest y) would lie.

    Args:
        crs: the system that the numbers would be in.
        origin: (lon, lat, height) of the zero point when they are local metres, east and north.
    Raises: Invalid (`placement.crs`, `placement.origin`, `placement.empty`, `placement.nowhere`).
    """
    check_placement(Placement(crs, (origin[0], origin[1], origin[2]) if origin else None))
    if not all(map(math.isfinite, own)):
        raise Invalid("placement.nowhere", "the numbers of this file are not finite", box=list(own))
    if crs:
        system = _parsed(crs)
    elif origin:
        system = _parsed(f"+proj=tmerc +lat_0={origin[1]!r} +lon_0={origin[0]!r} +k=1 +ellps=WGS84 +units=m +no_defs +type=crs")
    else:
        raise Invalid("placement.empty", "say a crs, or an origin for data in local metres")
    x0, y0, x1, y1 = own
    there = _placed(system, (x0, y0, x1, y1))
    turned = _placed(system, (y0, x0, y1, x1))
    inside = there is not None and _inside(system, there)
    swapped = not inside and crs is not None and turned is not None and _inside(system, turned)
    if there is None:
        hint = "; with east and north exchanged they would lie in its area" if swapped else ""
        raise Invalid("placement.nowhere", f"these numbers lie nowhere in {system.name}{hint}", is_swapped=swapped)
    return Landing(there, inside, swapped)


@lru_cache(maxsize=1)
def _all() -> tuple[System, ...]:
    """All systems of EPSG in two dimensions that are in use, the Korean ones first."""
    from pyproj.database import query_crs_info
    from pyproj.enums import PJType

    kinds = [PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS]
    known = {
        info.code: System(
            f"EPSG:{info.code}", info.name, str(info.area_of_use.name) if info.area_of_use else "", info.type is PJType.PROJECTED_CRS
        )
        for info in query_crs_info(auth_name="EPSG", pj_types=kinds)
    }
    first = [*KOREAN, "4326"]
    return (*(known[code] for code in first), *(system for code, system in known.items() if code not in first))


@lru_cache(maxsize=64)
def _parsed(text: str) -> CRS:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(text).to_2d()
    except CRSError as error:
        raise Invalid("placement.crs", f"there is no coordinate system {text[:80]!r}", crs=text[:80]) from error


def _placed(system: CRS, own: Numbers) -> Box | None:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    if system.is_geocentric:
        return None
    if system.is_geographic and not (abs(own[0]) <= 360 and abs(own[2]) <= 360 and abs(own[1]) <= 90 and abs(own[3]) <= 90):
        return None  # PROJ would wrap them round the Earth
    try:
        box = Box(*Transformer.from_crs(system, CRS.from_epsg(4326), always_xy=True).transform_bounds(*own, densify_pts=21))
    except ProjError:
        return None
    return box if box.is_on_earth and box.west <= box.east else None


def _inside(system: CRS, box: Box) -> bool:
    area = system.area_of_use
    if area is None or area.west > area.east:
        return True
    lon, lat = box.centre
    return bool(area.west - _EDGE_DEG <= lon <= area.east + _EDGE_DEG and area.south - _EDGE_DEG <= lat <= area.north + _EDGE_DEG)
