"""Coordinate reference systems as files spell them: what is exact, what is recognised, what its heights mean."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

WGS84 = "EPSG:4326"
"""What everything is placed in: degrees, longitude first in all arrays (`always_xy`)."""

KOREAN_NAMES = {
    "ITRF_2000_UTM_K": 5179,  # real NGII deliveries; `to_epsg()` gives None even at low confidence
    "ITRF2000_UTM_K": 5179,
    "UTM_K": 5179,
    "UTMK": 5179,
    "KOREA_2000_KOREA_UNIFIED_COORDINATE_SYSTEM": 5179,
    "KOREA_2000_KOREA_CENTRAL_BELT_2010": 5186,
    "ITRF_2000_CENTRAL_BELT": 5186,
    "KOREA_2000_KOREA_WEST_BELT_2010": 5185,
    "KOREA_2000_KOREA_EAST_BELT_2010": 5187,
    "KOREA_2000_KOREA_EAST_SEA_BELT_2010": 5188,
}
"""Names that Korean .prj files use for EPSG systems without giving the code."""

HEIGHTS = {
    "EGM96": ("EGM96",),
    "EGM2008": ("EGM2008",),
    "NAVD88": ("NAVD88", "North American Vertical Datum 1988"),
    "KVD1964": ("KVD1964", "Incheon", "Korean Vertical Datum"),
    "DHHN2016": ("DHHN2016",),
    "ellipsoid": ("ellips",),
}
"""Short names of height datums, and the texts in a CRS that mean them."""


def crs_from(text: Any) -> CRS | None:
    """The CRS of a code, WKT, PROJ string or PROJJSON; None when nothing is there or PROJ does not understand it."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return None
    try:
        return CRS.from_user_input(text)
    except CRSError:
        return None


def recognise(crs: CRS) -> tuple[str, bool, str]:
    """Short text for a file's CRS, whether it is a guess, and the guess in words.

    A definition that PROJ itself identifies (confidence 70 or more) becomes its EPSG code. A Korean .prj name becomes its code only when
    the projection's numbers agree with that code's: then it is a guess about the datum alone. Anything else keeps its own WKT.
    """
    if is_wgs84(crs) and not crs.is_compound and len(crs.axis_info) < 3:
        return WGS84, False, ""
    if crs.is_bound:
        return crs.to_wkt(), False, ""
    code = crs.to_epsg(min_confidence=70)
    if code is not None:
        return f"EPSG:{code}", False, ""
    known = KOREAN_NAMES.get(crs.name.upper().replace(" ", "_").replace("/", "_").replace("__", "_"))
    if known is not None and _numbers(crs) == _numbers(CRS.from_epsg(known)):
        return (
            f"EPSG:{known}",
            True,
            f"The file names its CRS {crs.name!r} and gives no code; its projection equals EPSG:{known}, which was assumed.",
        )
    return crs.to_wkt(), False, ""


def is_wgs84(crs: CRS) -> bool:
    """Whether the horizontal part is WGS 84 in degrees, so that its numbers need no change (CRS84 and EPSG:4979 too)."""
    flat = horizontal(crs)
    return bool(flat.is_geographic and flat.equals(CRS.from_epsg(4326), ignore_axis_order=True))


def horizontal(crs: CRS) -> CRS:
    """The two-dimensional horizontal part of a compound or three-dimensional CRS (a geocentric one is returned as it is)."""
    if crs.is_compound:
        return horizontal(crs.sub_crs_list[0])
    if crs.is_geocentric or crs.is_bound:
        return crs
    return crs.to_2d() if len(crs.axis_info) > 2 else crs


def height_datum(crs: CRS) -> str | None:
    """Short name of the height datum that a CRS states, or None when it is two-dimensional."""
    if crs.is_compound:
        name = crs.sub_crs_list[1].name
        return next((short for short, marks in HEIGHTS.items() if any(mark.lower() in name.lower() for mark in marks)), name)
    return "ellipsoid" if crs.is_geocentric or len(crs.axis_info) > 2 else None


def height_factor(crs: CRS) -> float:
    """Metres in one unit of the CRS's own height axis; 1.0 when it has none (the unit is then not known)."""
    if crs.is_compound:
        axes = crs.sub_crs_list[1].axis_info
        return float(axes[0].unit_conversion_factor) if axes else 1.0
    axes = crs.axis_info
    return float(axes[2].unit_conversion_factor) if len(axes) > 2 else 1.0


def local_frame(lon: float, lat: float) -> str:
    """PROJ text of a metric frame whose zero point is (lon, lat): transverse Mercator, east and north, scale 1 at the origin."""
    return f"+proj=tmerc +lat_0={lat!r} +lon_0={lon!r} +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs +type=crs"


@lru_cache(maxsize=64)
def parsed(text: str) -> CRS:
    """The CRS of a text that is known to be good, parsed once."""
    return CRS.from_user_input(text)


def _numbers(crs: CRS) -> tuple[Any, ...]:
    """Projection, origin, false origin, scale and ellipsoid: what the place of a coordinate depends on to a metre."""
    ellipsoid = crs.ellipsoid
    size = (ellipsoid.semi_major_metre, round(ellipsoid.inverse_flattening, 4)) if ellipsoid else ()
    operation = crs.coordinate_operation
    values = sorted((p.name, round(float(p.value) * p.unit_conversion_factor, 9)) for p in operation.params) if operation else []
    return (operation.method_name if operation else "", tuple(values), size)
