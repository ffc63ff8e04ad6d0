"""Coordinate reference systems as files spell them: what is exact, what is recognised, what its heights mean."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

WGS84 = "EPSG:4326"
"""What everything is placed in: degrees, longitude first in all arrays (`always_xy`)."""

GEOCENTRIC_M = 6378137.0
"""Half the longer axis of the ellipsoids of WGS 84 and GRS 80, whose datums differ by a metre or two."""

KOREAN_NAMES = {
    "ITRF_2000_UTM_K": 5179,  # real NGII deliveries; `to_epsg()` gives None even at low confidence
    "ITRF2000_UTM_K": 5179,
    "UTM_K": 5179,
    "UTMK": 5179,
    "KOREA_2000_KOREA_UNIFIED_COORDINATE_SYSTEM": 5179,
    "KOREA_2000_KOREA_CENTRAL_BELT_2010": 5186,
    "ITRF_2000_CENTRAL_BELT": 5186,
    "ITRF2000_CENTRAL_BELT_60": 5186,  # the standard node-link
    "KOREA_2000_KOREA_WEST_BELT_2010": 5185,
    "KOREA_2000_KOREA_EAST_BELT_2010": 5187,
    "KOREA_2000_KOREA_EAST_SEA_BELT_2010": 5188,
}
"""Names that Korean .prj files use for EPSG systems without giving the code."""

KOREAN_BESSEL = (5173, 5174, 5175, 5176, 5177, 2096, 2097, 2098, 5178)
"""Systems of Korean 1985, which old cadastral and base maps are in: their .prj files mostly leave the shift of the datum out."""

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


def is_on_earth(crs: CRS) -> bool:
    """Whether a way leads from it to WGS 84: not from an engineering system (LOCAL_CS), a vertical or a temporal one."""
    flat = horizontal(crs)
    base = flat.source_crs if flat.is_bound else flat
    if base is None or base.is_engineering or base.is_vertical or base.geodetic_crs is None:
        return False
    try:
        Transformer.from_crs(flat, CRS.from_epsg(4979 if flat.is_geocentric else 4326), always_xy=True)
    except ProjError:
        return False
    return True


def has_datum(crs: CRS) -> bool:
    """Whether it is known where its ellipsoid is beside that of WGS 84: by a datum that PROJ knows, its own shift, or a common centre."""
    flat = horizontal(crs)
    base = flat.geodetic_crs
    if base is None or flat.is_bound or base.ellipsoid is None or base.ellipsoid.semi_major_metre == GEOCENTRIC_M:
        return True
    code = base.to_epsg(min_confidence=70)
    return code is not None and not str(CRS.from_epsg(code).name).startswith("Unknown")


def _no_datum(crs: CRS, same: str) -> str:
    return (
        f"The file names no datum for its CRS ({crs.name!r}); its projection equals {same} ({CRS.from_user_input(same).name}), which was "
        "assumed. With another datum all of it would be off by hundreds of metres (in Korea 300 to 400 m)."
    )


def twin(crs: CRS) -> str | None:
    """The Korean system on the Bessel ellipsoid whose projection has the numbers of `crs`, which has no datum."""
    wanted = _numbers(crs)
    return next((f"EPSG:{code}" for code in KOREAN_BESSEL if _numbers(CRS.from_epsg(code)) == wanted), None)


def recognise(crs: CRS) -> tuple[str, bool, str]:
    """Short text for a file's CRS, whether it is a guess, and the guess in words.

    A definition that PROJ itself identifies (confidence 70 or more) becomes its EPSG code. A Korean .prj name becomes its code only when
    the projection's numbers agree with that code's: then it is a guess about the datum alone, and so is the code of a projection on an old
    ellipsoid whose datum is not named. Anything else keeps its own WKT.
    """
    if is_wgs84(crs) and not crs.is_compound and len(crs.axis_info) < 3:
        return WGS84, False, ""
    if crs.is_bound:
        return crs.to_wkt(), False, ""
    code = crs.to_epsg(min_confidence=70)
    if not has_datum(crs):  # PROJ identifies a projection even where its datum is not named
        same = f"EPSG:{code}" if code is not None else twin(crs)
        return (same, True, _no_datum(crs, same)) if same is not None else (crs.to_wkt(), False, "")
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


def is_same_projection(one: CRS, other: CRS) -> bool:
    """Whether two systems have the same horizontal coordinates, but for a datum of the same family."""
    a, b = horizontal(one), horizontal(other)
    return bool(a.equals(b, ignore_axis_order=True)) or (not a.is_geographic and _numbers(a)[:2] == _numbers(b)[:2])


def _numbers(crs: CRS) -> tuple[Any, ...]:
    """Projection, origin, false origin, scale and ellipsoid: what the place of a coordinate depends on to a metre."""
    ellipsoid = crs.ellipsoid
    size = (round(ellipsoid.semi_major_metre), round(ellipsoid.inverse_flattening, 4)) if ellipsoid else ()
    operation = crs.coordinate_operation
    values = sorted((p.name, round(float(p.value) * p.unit_conversion_factor, 8)) for p in operation.params) if operation else []
    return (operation.method_name if operation else "", tuple(values), size)
