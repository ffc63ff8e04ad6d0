"""The coordinate system of a LAS file: from its WKT record or its GeoTIFF keys, and the records that state it in a tile.

Source: ASPRS LAS 1.4-R15 chapter 3 (WKT flag), OGC 19-008r4 GeoTIFF 1.1 (keys; user-defined projections have no EPSG code).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyproj
from pyproj.crs import CompoundCRS, ProjectedCRS
from pyproj.crs.coordinate_operation import (
    AlbersEqualAreaConversion,
    LambertConformalConic1SPConversion,
    LambertConformalConic2SPConversion,
    TransverseMercatorConversion,
)
from pyproj.crs.coordinate_system import Cartesian2DCS
from pyproj.exceptions import CRSError, ProjError

from tiles.batch import TILE_KEY
from tiles.points.header import WKT_FLAG, Header, Vlr, carried

_PROJECTION, _WKT, _KEYS, _DOUBLES, _ASCII = "LASF_Projection", 2112, 34735, 34736, 34737
PLACING_RECORD = 2
"""Number of the record in which a tile states what is known of its place (`tiles.batch.PLACING`), under the user `mapex`."""
_SAME_DEG = 5e-5
"""Some five metres: two spellings of one system, or of two datums of today, are not further apart."""
_USER_DEFINED = 32767
_UNITS = {9001: ("metre", 1.0), 9002: ("foot", 0.3048), 9003: ("US survey foot", 1200 / 3937)}
_METHODS = {1: "tm", 8: "lcc2", 9: "lcc1", 11: "albers"}

Keys = Mapping[int, float]


class FileCrs(NamedTuple):
    """What a file states. `crs` None: nothing, or what cannot be used (`problem`: why). `height_unit` "" when it is not stated.

    `other`: what the record states that does not hold (WKT and GeoTIFF keys in one file); `by_wkt`: which of the two holds.
    """

    crs: pyproj.CRS | None
    problem: str = ""
    height_unit: str = ""
    other: pyproj.CRS | None = None
    by_wkt: bool = False


def file_crs(header: Header) -> FileCrs:
    """The CRS of a LAS file: its WKT record's, which says more, unless GeoTIFF keys contradict it; then the WKT flag decides.

    Source: LAS 1.4-R15, 2.4. Point formats 6 and up have WKT only, files before LAS 1.4 have no such flag and mean the keys.
    """
    found = _of(header, prefers_wkt=True)
    means_wkt = header.version >= (1, 4) and (bool(header.encoding & WKT_FLAG) or header.point_format >= 6)
    return found if means_wkt or not contradicts(found, header) else _of(header, prefers_wkt=False)


def tile_crs(header: Header) -> FileCrs:
    """The CRS of a tile: of the WKT record where there is one. Tiles never hold two that contradict (`tile_records`)."""
    return _of(header, prefers_wkt=True)


def _of(header: Header, *, prefers_wkt: bool) -> FileCrs:
    keys = _geo_keys(header)
    unit = _UNITS.get(int(keys.get(4099, 0)), ("", 0.0))[0]
    wkt, wkt_problem = _from_wkt(header)
    flat, keys_problem = _usable_keys(keys)
    by_wkt = wkt is not None and (prefers_wkt or flat is None)
    crs, other = (wkt, flat) if by_wkt else (flat, wkt)
    if crs is None:
        return FileCrs(None, keys_problem or wkt_problem or ("The GeoTIFF keys name no coordinate system." if keys else ""))
    return FileCrs(crs, "", _height_unit(crs) or unit, other, by_wkt)


def _from_wkt(header: Header) -> tuple[pyproj.CRS | None, str]:
    """What the WKT record states, or why it cannot be used."""
    record = header.vlr(_PROJECTION, _WKT)
    if record is None:
        return None, ""
    text = record.data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
    if not text:
        return None, "The WKT record is empty."
    try:
        return pyproj.CRS.from_wkt(text), ""
    except CRSError:
        return None, f"The WKT record cannot be read: {text[:60]!r}."


def _usable_keys(keys: Keys) -> tuple[pyproj.CRS | None, str]:
    """What the GeoTIFF keys state, or why they cannot be used."""
    try:
        return (_from_keys(keys) if keys else None), ""
    except CRSError as why:
        return None, f"The GeoTIFF keys cannot be used: {str(why)[:200]}"


def _height_unit(crs: pyproj.CRS) -> str:
    axes = crs.sub_crs_list[1].axis_info if crs.is_compound else crs.axis_info[2:3]
    return axes[0].unit_name if axes else ""


def _geo_keys(header: Header) -> dict[int, float]:
    """GeoTIFF keys with a number (text is not needed for a CRS)."""
    directory, doubles = header.vlr(_PROJECTION, _KEYS), header.vlr(_PROJECTION, _DOUBLES)
    if directory is None or len(directory.data) < 8:
        return {}
    words = struct.unpack(f"<{len(directory.data) // 2}H", directory.data[: len(directory.data) // 2 * 2])
    numbers: Sequence[float] = struct.unpack(f"<{len(doubles.data) // 8}d", doubles.data[: len(doubles.data) // 8 * 8]) if doubles else ()
    keys: dict[int, float] = {}
    for i in range(4, min(4 * words[3] + 4, len(words) - 3), 4):
        key, where, _, value = words[i : i + 4]
        if where == 0:
            keys[key] = value
        elif where == _DOUBLES and value < len(numbers):
            keys[key] = numbers[value]
    return keys


def _from_keys(keys: Keys) -> pyproj.CRS | None:
    model, projected, geographic = (int(keys.get(k, 0)) for k in (1024, 3072, 2048))
    flat: pyproj.CRS | None = None
    if model == 3:  # geocentric: the keys name its datum by the geographic system
        base = _geodetic(keys)
        return pyproj.CRS.from_epsg(4978) if base is not None and base.to_epsg() in (4326, 4978, 4979) else None
    if projected not in (0, _USER_DEFINED):
        flat = pyproj.CRS.from_epsg(projected)
    elif projected == _USER_DEFINED or model == 1:
        flat = _user_defined(keys)
    elif geographic not in (0, _USER_DEFINED):
        flat = pyproj.CRS.from_epsg(geographic)
    vertical = int(keys.get(4096, 0))
    if flat is None or len(flat.axis_info) > 2 or not 5600 <= vertical < _USER_DEFINED:  # noqa: PLR2004 - vertical systems of EPSG
        return flat
    try:
        return CompoundCRS(f"{flat.name} + {vertical}", [flat, pyproj.CRS.from_epsg(vertical)])
    except CRSError:
        return flat  # a vertical code of the early GeoTIFF tables: the horizontal part stands for itself


def _user_defined(keys: Keys) -> pyproj.CRS | None:
    """A projection that is spelt out. Lengths in the keys are in its own linear unit, conversions of pyproj want metres."""
    method, base = _METHODS.get(int(keys.get(3075, 0))), _geodetic(keys)
    unit, factor = _UNITS.get(int(keys.get(3076, 9001)), ("", 0.0))
    if method is None or base is None or not factor:
        return None
    lat, lon = (next((keys[k] for k in wanted if k in keys), 0.0) for wanted in ((3085, 3081, 3089), (3084, 3080, 3088)))
    east, north = (factor * next((keys[k] for k in wanted if k in keys), 0.0) for wanted in ((3086, 3082), (3087, 3083)))
    first, second, scale = keys.get(3078, 0.0), keys.get(3079, 0.0), keys.get(3092, 1.0)
    conversion: Any
    if method == "tm":
        conversion = TransverseMercatorConversion(lat, lon, east, north, scale)
    elif method == "lcc1":
        conversion = LambertConformalConic1SPConversion(lat, lon, east, north, scale)
    elif method == "lcc2":
        conversion = LambertConformalConic2SPConversion(first, second, lat, lon, east, north)
    else:
        conversion = AlbersEqualAreaConversion(first, second, lat, lon, east, north)
    axes = Cartesian2DCS().to_json_dict()
    for axis in axes["axis"]:
        axis["unit"] = "metre" if factor == 1.0 else {"type": "LinearUnit", "name": unit, "conversion_factor": factor}
    return ProjectedCRS(conversion=conversion, name="unnamed", cartesian_cs=axes, geodetic_crs=base)


def _geodetic(keys: Keys) -> pyproj.CRS | None:
    geographic, datum = int(keys.get(2048, 0)), int(keys.get(2050, 0))
    if geographic not in (0, _USER_DEFINED):
        return pyproj.CRS.from_epsg(geographic)
    if 6120 <= datum < 6900:  # noqa: PLR2004 - the early EPSG datums are numbered 2000 above their geographic systems
        return pyproj.CRS.from_epsg(datum - 2000)
    if 2057 in keys and 2059 in keys:
        return pyproj.CRS.from_user_input(f"+proj=longlat +a={keys[2057]!r} +rf={keys[2059]!r} +no_defs +type=crs")
    return None


def same_place(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Whether two systems mean the same horizontal place, however they spell it."""
    a, b = _flat(one), _flat(other)
    if a.equals(b, ignore_axis_order=True):
        return True
    code = a.to_epsg(min_confidence=70)
    return code is not None and code == b.to_epsg(min_confidence=70)


def contradicts(found: FileCrs, header: Header) -> bool:
    """Whether the two records of a file put it to different places, by more than two spellings or two datums of today do."""
    if found.crs is None or found.other is None or same_place(found.crs, found.other):
        return False
    middle = [(low + high) / 2 for low, high in zip(header.mins, header.maxs, strict=True)]
    try:
        (lon, lat), (other_lon, other_lat) = (
            pyproj.Transformer.from_crs(_flat(crs), "EPSG:4326", always_xy=True).transform(middle[0], middle[1])
            for crs in (found.crs, found.other)
        )
    except ProjError:
        return True
    return not (abs(lon - other_lon) < _SAME_DEG and abs(lat - other_lat) < _SAME_DEG)


def _flat(crs: pyproj.CRS) -> pyproj.CRS:
    if crs.is_compound:
        return _flat(crs.sub_crs_list[0])
    return crs.to_2d() if len(crs.axis_info) > 2 and not crs.is_geocentric and not crs.is_bound else crs


def placing_records(records: Sequence[Vlr], placing: str) -> tuple[Vlr, ...]:
    """Records of a tile with what it states of the place of its source (`tiles.batch.PLACING`), in place of what a bought tile stated."""
    if not placing:
        return tuple(records)
    own = (TILE_KEY, PLACING_RECORD)
    return (*(v for v in records if (v.user, v.record) != own), Vlr(*own, b"heights and place", placing.encode()))


def tile_records(header: Header, crs: pyproj.CRS) -> tuple[tuple[Vlr, ...], bool]:
    """The records of a tile of `header`, and its WKT flag, when its coordinates are in `crs`.

    The file's own records go over as they are when they mean the same place; else (no CRS, a wrong one) they are replaced by a WKT record:
    a tile that names another system than the one it was sold by would be placed wrongly by every buyer. Of two records that contradict,
    only the one that holds goes over.
    """
    kept = carried((*header.vlrs, *header.evlrs))
    found = file_crs(header)
    own = found.crs
    if contradicts(found, header):
        false = (_KEYS, _DOUBLES, _ASCII) if found.by_wkt else (_WKT,)
        kept = tuple(v for v in kept if v.user != _PROJECTION or v.record not in false)
    has_wkt = any(v.user == _PROJECTION and v.record == _WKT for v in kept)
    if own is not None and same_place(own, crs):
        flagged = bool(header.encoding & WKT_FLAG) and header.version >= (1, 4)
        return kept, flagged or (has_wkt and header.point_format >= 6)  # LAS 1.4: formats 6 and up shall have the flag
    kept = tuple(v for v in kept if v.user != _PROJECTION and not (v.user == "liblas" and v.record == _WKT))
    return (*kept, wkt_record(crs)), True


def wkt_record(crs: pyproj.CRS) -> Vlr:
    """The WKT record (LASF_Projection, 2112) of a CRS: WKT 1 as LAS asks for, WKT 2 for what that cannot express."""
    try:
        text = crs.to_wkt("WKT1_GDAL")
    except CRSError:
        text = crs.to_wkt()
    return Vlr(_PROJECTION, _WKT, b"OGC WKT", text.encode() + b"\0")
