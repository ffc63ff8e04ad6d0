"""An area of interest as people give it (GeoJSON, WKT, a box), checked before any geometry library sees it.

Coordinates are degrees WGS 84, longitude first; heights are ignored. Regions do not wrap at 180 degrees.
`tiles.grid.scan.cover` gives the exact cells of a region.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tiles import plain_json
from tiles.arrays import Int64s, UInt64s
from tiles.box import Box
from tiles.errors import InvalidRegion
from tiles.grid import grid
from tiles.grid.ellipsoid import authalic
from tiles.grid.overlaps import joined_areas

if TYPE_CHECKING:
    from shapely import Geometry

MAX_TEXT = 16 << 20
"""Longest text of a region in characters."""

MAX_DEPTH = 16
"""Deepest nesting of geometry collections."""

_LEVELS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
_WGS84 = re.compile(r"(CRS:?84|EPSG:{1,2}4326)$", re.IGNORECASE)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


Placing = Callable[[float, float], tuple[float, float]]
"""What two numbers of a position are as longitude and latitude."""


@dataclass(frozen=True, slots=True)
class Region:
    """A checked region: valid, not empty, two-dimensional, inside the grid. `geometry` is a shapely geometry."""

    geometry: Geometry

    @classmethod
    def from_geojson(
        cls,
        given: Mapping[str, Any] | str | bytes,
        *,
        max_vertices: int = 5000,
        max_area_km2: float | None = None,
        to_degrees: Placing | None = None,
    ) -> Region:
        """The region of a GeoJSON geometry, Feature or FeatureCollection; overlapping areas are joined.

        Args:
            to_degrees: makes longitude and latitude of its numbers, when they are in another system than WGS 84.

        Raises:
            InvalidRegion: `region.malformed`, `region.empty`, `region.out_of_range`, `region.crossing` (the message names the
                point), `region.too_many_vertices`, `region.too_large`.
        """
        import shapely

        obj = _load(given) if isinstance(given, str | bytes) else given
        budget = _Budget(max_vertices, to_degrees)
        parts = [_build(geometry, budget) for geometry in _geometries(obj, is_wgs84=to_degrees is None)]
        return _checked(shapely.geometrycollections(parts) if len(parts) != 1 else parts[0], max_area_km2)

    @classmethod
    def from_wkt(cls, text: str, *, max_vertices: int = 5000, max_area_km2: float | None = None) -> Region:
        """The region of a WKT geometry; errors as `from_geojson`."""
        import shapely

        if len(text) > MAX_TEXT:
            _refuse("too_many_vertices", f"The text of the region has {len(text):,} characters; at most {MAX_TEXT:,} are read.")
        if text.count(",") + 1 > max_vertices + text.count("("):
            _refuse("too_many_vertices", f"The region has more than {max_vertices:,} vertices; simplify it.", limit=max_vertices)
        depth = np.cumsum([(c == "(") - (c == ")") for c in text if c in "()"]).max(initial=0)
        if depth > MAX_DEPTH:
            _refuse("malformed", f"The region is nested more than {MAX_DEPTH} deep.")
        try:
            geometry = shapely.force_2d(shapely.from_wkt(text))
        except shapely.errors.GEOSException as error:
            _refuse("malformed", f"The region is not well-formed WKT: {error}.")
        lon_lat = shapely.get_coordinates(geometry)
        _Budget(max_vertices).take(len(lon_lat))
        for lon, lat in lon_lat.tolist():
            _check_place(lon, lat)
        return _checked(geometry, max_area_km2)

    @classmethod
    def from_bbox(cls, west: float, south: float, east: float, north: float, *, max_area_km2: float | None = None) -> Region:
        """The region of a box in degrees; `west` must be less than `east` (no wrap at 180 degrees)."""
        import shapely

        for lon, lat in ((west, south), (east, north)):
            _check_place(lon, lat)
        if west > east:
            _refuse(
                "out_of_range",
                f"The box runs from {west} to {east}: boxes over the 180 degree meridian must be given as two.",
                west=west,
                east=east,
            )
        if south > north:
            _refuse("malformed", f"The box has its south {south} above its north {north}.", south=south, north=north)
        if west == east or south == north:
            _refuse("empty", "The box has no ground: give west < east and south < north.")
        return _checked(shapely.box(west, south, east, north), max_area_km2)

    @classmethod
    def from_cells(cls, cells: UInt64s, *, max_vertices: int = 5000, max_area_km2: float | None = None) -> Region:
        """The ground of sale cells; `tiles.grid.scan.cover` of it gives exactly these cells.

        Raises: InvalidRegion: `region.empty`, `region.too_many_vertices`, `region.too_large`.
        """
        import shapely

        joined = shapely.union_all(shapely.box(*grid.bounds_of(cells).T)) if len(cells) else shapely.MultiPolygon()
        return cls.from_geojson(shapely.to_geojson(joined), max_vertices=max_vertices, max_area_km2=max_area_km2)

    @property
    def geojson(self) -> dict[str, Any]:
        """The region as a GeoJSON geometry object."""
        import shapely

        obj: dict[str, Any] = json.loads(shapely.to_geojson(self.geometry))
        return obj

    @property
    def bounds(self) -> Box:
        """The box of the region."""
        return Box(*self.geometry.bounds)  # type: ignore[attr-defined]

    @property
    def area_m2(self) -> float:
        """Area on the WGS 84 ellipsoid in m2, edges straight in longitude and latitude; 0 for lines and points.

        The areas of the cells of `grid.area_m2` are measured in the same way: cells that tile a region add up to it.
        """
        import shapely

        rings = shapely.get_rings(polygons_of(self.geometry))
        if not len(rings):
            return 0.0
        lon_lat, ring = shapely.get_coordinates(shapely.get_rings(shapely.orient_polygons(polygons_of(self.geometry))), return_index=True)
        a = np.flatnonzero(ring[1:] == ring[:-1])
        d_lon = np.radians(lon_lat[a + 1, 0] - lon_lat[a, 0])
        lat, d_lat = lon_lat[a, 1], lon_lat[a + 1, 1] - lon_lat[a, 1]
        # Green's theorem: the integral of the zone's area along the outline; the zone is taken from the region's own south for precision.
        zone = authalic(lat[:, None] + d_lat[:, None] * (_NODES + 1) / 2) - authalic(lon_lat[:, 1].min())
        return abs(float(((zone @ _WEIGHTS) / 2 * d_lon).sum()))


def _refuse(code: str, message: str, **details: Any) -> NoReturn:
    raise InvalidRegion(message, code=f"region.{code}", **details)


@dataclass(slots=True)
class _Budget:
    """Counts vertices while they are read, and an empty geometry as one, so that a huge region is refused before it is built."""

    limit: int
    to_degrees: Placing | None = None
    used: int = 0

    def take(self, n: int) -> None:
        self.used += n
        if self.used > self.limit:
            _refuse(
                "too_many_vertices", f"The region has more than {self.limit:,} vertices; simplify it or ask in parts.", limit=self.limit
            )


def _load(text: str | bytes) -> Any:
    if len(text) > MAX_TEXT:
        _refuse("too_many_vertices", f"The text of the region has {len(text):,} characters; at most {MAX_TEXT:,} are read.")

    def not_a_number(word: str) -> NoReturn:
        _refuse("malformed", f"The region contains {word}, which JSON does not have.")

    try:
        return plain_json.loads(text, parse_constant=not_a_number)
    except RecursionError:
        _refuse("malformed", "The region is nested too deep.")
    except ValueError as error:  # also bytes that are not UTF-8
        _refuse("malformed", f"The region is not JSON: {error}.")


def _geometries(obj: Any, *, is_wgs84: bool = True) -> Iterator[Mapping[str, Any]]:
    """Geometry objects of a GeoJSON object, collections taken apart, without recursion into unknown depth."""
    stack: list[tuple[Any, int, bool]] = [(obj, 0, True)]
    while stack:
        obj, depth, outer = stack.pop()
        if not isinstance(obj, Mapping):
            _refuse("malformed", f"A GeoJSON object was expected, not {_show(obj)}.")
        kind = obj.get("type")
        if is_wgs84 and obj.get("crs") is not None:
            _check_crs(obj["crs"])
        if depth > MAX_DEPTH:
            _refuse("malformed", f"The region is nested more than {MAX_DEPTH} deep.")
        if kind == "FeatureCollection" and outer and depth == 0:
            stack.extend((member, depth + 1, True) for member in reversed(_members(obj, "features")))
        elif kind == "Feature" and outer:
            if obj.get("geometry") is not None:
                stack.append((obj["geometry"], depth + 1, False))
        elif kind == "GeometryCollection":
            stack.extend((member, depth + 1, False) for member in reversed(_members(obj, "geometries")))
        elif isinstance(kind, str) and kind in _LEVELS:
            yield obj
        else:
            _refuse("malformed", f"{_show(kind)} is not a type that a region can have here.")


def _members(obj: Mapping[str, Any], name: str) -> list[Any]:
    members = obj.get(name)
    if not isinstance(members, list | tuple):
        _refuse("malformed", f"The {obj['type']} has no list {name!r}.")
    return list(members)


def _check_crs(crs: Any) -> None:
    """GeoJSON is WGS 84; the old `crs` member is accepted when it names that."""
    name = crs.get("properties", {}).get("name") if isinstance(crs, Mapping) and isinstance(crs.get("properties"), Mapping) else crs
    if not (isinstance(name, str) and _WGS84.search(name)):
        _refuse("malformed", f"The region is in {_show(name)}; give it in WGS 84 longitude and latitude.")


def _show(value: Any) -> str:
    return repr(value)[:80]


def _build(obj: Mapping[str, Any], budget: _Budget) -> Geometry:
    import shapely
    from shapely import geometry as shape

    kind = str(obj["type"])
    coordinates = obj.get("coordinates")
    if not isinstance(coordinates, Sequence) or isinstance(coordinates, str):
        _refuse("malformed", f"The {kind} has no coordinates.")
    if not coordinates:
        budget.take(1)
        empty: Geometry = shapely.geometrycollections([])
        return empty
    places = _places(coordinates, _LEVELS[kind], budget, kind)
    try:
        if kind == "Polygon":
            built: Geometry = _polygon(places)
        elif kind == "MultiPolygon":
            built = shape.MultiPolygon([_polygon(rings) for rings in places])
        else:
            built = getattr(shape, kind)(places)
    except (ValueError, shapely.errors.GEOSException) as error:
        _refuse("malformed", f"The {kind} cannot be built: {error}.")
    return built


def _polygon(rings: list[list[tuple[float, float]]]) -> Any:
    from shapely import geometry as shape

    if not rings:
        _refuse("malformed", "A polygon of the region has no ring.")
    for k, ring in enumerate(rings):
        if len(ring) < 4:
            _refuse("malformed", f"Ring {k} has {len(ring)} positions; a ring has at least four, the last equal to the first.", ring=k)
        if ring[0] != ring[-1]:
            _refuse(
                "malformed", f"Ring {k} is not closed: it starts at {ring[0]} and ends at {ring[-1]}.", ring=k, start=ring[0], end=ring[-1]
            )
    return shape.Polygon(rings[0], rings[1:])


def _places(value: Any, level: int, budget: _Budget, kind: str) -> Any:
    """Nested lists of positions, exactly `level` deep, as lists of (lon, lat)."""
    if level == 0:
        budget.take(1)
        if not isinstance(value, list | tuple) or not 2 <= len(value) <= 4:
            _refuse("malformed", f"{_show(value)} in a {kind} is not a position [lon, lat].")
        for number in value:
            if isinstance(number, bool) or not isinstance(number, int | float):
                _refuse("malformed", f"{_show(value)} in a {kind} is not a position [lon, lat]: {_show(number)} is not a number.")
        return _check_place(*(budget.to_degrees(value[0], value[1]) if budget.to_degrees else value[:2]))
    if not isinstance(value, list | tuple):
        _refuse("malformed", f"{_show(value)} in a {kind} is not a list of positions.")
    return [_places(member, level - 1, budget, kind) for member in value]


def _check_place(lon: float, lat: float) -> tuple[float, float]:
    try:
        lon, lat = float(lon), float(lat)
    except OverflowError:
        _refuse("out_of_range", "A coordinate has hundreds of digits.")
    if not (math.isfinite(lon) and math.isfinite(lat)):
        _refuse("malformed", f"The position [{lon}, {lat}] is not finite.")
    if abs(lon) > 180:
        _refuse(
            "out_of_range",
            f"Longitude {lon} is outside ±180; a region over the 180 degree meridian must be given as two parts.",
            lon=lon,
            lat=lat,
        )
    if abs(lat) > grid.MAX_LATITUDE:
        _refuse("out_of_range", f"Latitude {lat} is outside ±85.0511, where the grid ends (positions are [lon, lat]).", lon=lon, lat=lat)
    return lon, lat


def positions_of(given: Mapping[str, Any], *, max_vertices: int = 5000) -> list[tuple[float, float]]:
    """The numbers of every position of a GeoJSON object, wherever on earth they may be; as many as are read of a region.

    Raises: InvalidRegion: `region.malformed`, `region.too_many_vertices`.
    """
    found: list[tuple[float, float]] = []

    def keep(x: float, y: float) -> tuple[float, float]:
        found.append((x, y))
        return 0.0, 0.0

    budget = _Budget(max_vertices, keep)
    for obj in _geometries(given, is_wgs84=False):
        _places(obj.get("coordinates"), _LEVELS[str(obj["type"])], budget, str(obj["type"]))
    return found


def parts_of(geometry: Geometry | NDArray[np.object_]) -> tuple[NDArray[np.object_], Int64s]:
    """Points, lines and polygons of one or (n,) shapely geometries, collections taken apart, and which geometry each is of."""
    import shapely

    parts = np.atleast_1d(np.asarray(geometry, object))
    owner = np.arange(len(parts))
    while (shapely.get_type_id(parts) > 3).any():  # collections inside collections too
        parts, index = shapely.get_parts(parts, return_index=True)
        owner = owner[index]
    return parts, owner


def polygons_of(geometry: Geometry) -> NDArray[np.object_]:
    """Every polygon of a geometry, collections taken apart."""
    import shapely

    parts, _ = parts_of(geometry)
    areas: NDArray[np.object_] = parts[shapely.get_dimensions(parts) == 2]
    return areas


def _checked(geometry: Geometry, max_area_km2: float | None) -> Region:
    """The region of a parsed geometry: valid, areas joined where they overlap, not too large."""
    import shapely

    if shapely.is_empty(geometry):
        _refuse("empty", "The region is empty.")
    parts, _ = parts_of(geometry)
    parts = parts[~shapely.is_empty(parts)]
    for bad in parts[~shapely.is_valid(parts)]:
        _refuse_invalid(str(shapely.is_valid_reason(bad)))
    areas = parts[shapely.get_dimensions(parts) == 2]
    if len(areas) > 1 and not shapely.is_valid(shapely.multipolygons(areas)):
        joined = shapely.get_parts(joined_areas(areas))
        parts = np.concatenate([joined, parts[shapely.get_dimensions(parts) != 2]])
    region = Region(_gather(parts))
    if max_area_km2 is not None and (area := region.area_m2 / 1e6) > max_area_km2:
        _refuse(
            "too_large",
            f"The region has {area:,.1f} km2; at most {max_area_km2:,.1f} km2 can be asked for at once.",
            area_km2=area,
            limit=max_area_km2,
        )
    return region


def _gather(parts: Any) -> Geometry:
    """One geometry of many parts, of the plainest type that holds them."""
    import shapely

    dims = set(shapely.get_dimensions(parts).tolist())
    gather: Any = (
        (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[dims.pop()]
        if len(dims) == 1
        else shapely.geometrycollections
    )
    whole: Geometry = parts[0] if len(parts) == 1 else gather(parts)
    return whole


def _refuse_invalid(reason: str) -> NoReturn:
    """Turn the reason that GEOS gives, such as `Self-intersection[127.1 37.5]`, into our sentence."""
    at = re.search(r"\[(\S+) (\S+)\]", reason)
    if "Self-intersection" in reason and at:
        lon, lat = float(at[1]), float(at[2])
        _refuse(
            "crossing",
            f"The outline of the region crosses itself at lon {lon:.7g}, lat {lat:.7g}; draw it without a crossing.",
            lon=lon,
            lat=lat,
        )
    where = f" at lon {at[1]}, lat {at[2]}" if at else ""
    _refuse("malformed", f"The region is not valid{where}: {reason.split('[', maxsplit=1)[0].lower()}.")
