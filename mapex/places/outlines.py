"""Areas as people bring them: in degrees, or in metres of a system that they name, and the one thing that is wrong with their numbers.

Exports of surveys are in metres, and half the world writes latitude first. Which of it happened is decided from the numbers; nothing is
moved that was not named: whoever asks is shown how the numbers would be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from mapex.places.coordinates import KOREA, METRES, transformer
from tiles.box import Box
from tiles.errors import InvalidRegion
from tiles.grid.grid import MAX_LATITUDE
from tiles.grid.region import Placing, Region, positions_of

_EPSG = re.compile(r"EPSG:{1,2}(\d{4,6})$", re.IGNORECASE)
_ROUND = 180.0
_MOST_SYSTEMS = 3
"""Systems that are offered; more is no question any more."""

Position = tuple[float, float]


def region_of(given: Any, *, max_vertices: int, max_area_km2: float, known: Callable[[], Sequence[Box]]) -> Region:
    """The region of a GeoJSON object, in degrees or in the system in metres of its `crs`.

    Args:
        known: gives where something is on offer: what falls there with latitude and longitude exchanged was meant so.
    Raises: InvalidRegion: as `Region.from_geojson`, and in the place of `region.out_of_range` what it comes of: `region.swapped`,
        `region.metres` (`systems` in the details), `region.over_180`.
    """
    system = _named_system(given)
    try:
        return Region.from_geojson(given, max_vertices=max_vertices, max_area_km2=max_area_km2, to_degrees=_placing(system))
    except InvalidRegion as error:
        if error.code not in ("region.out_of_range", "region.too_large") or system:
            raise
        raise _meant(positions_of(given, max_vertices=max_vertices), known()) or error from error


def _meant(positions: Sequence[Position], known: Sequence[Box]) -> InvalidRegion | None:
    """What is wrong with these numbers, when it is one thing; None when nobody can tell."""
    if not all(isinstance(x, int | float) and isinstance(y, int | float) and _is_plain(x) and _is_plain(y) for x, y in positions):
        return None
    if _are_exchanged(positions, known):
        return InvalidRegion(
            "Latitude and longitude are exchanged: longitude comes first. Exchange the two numbers of each position.", code="region.swapped"
        )
    if _are_over_180(positions):
        return InvalidRegion(
            "The area goes over the 180 degree meridian; give it as two parts, one on each side, with longitudes within ±180.",
            code="region.over_180",
        )
    if systems := _systems(positions):
        which = " or ".join(systems)
        return InvalidRegion(
            f"The coordinates are metres (as in {which}), not degrees. Give them in WGS 84, longitude first, or name the system in the "
            f'area itself: "crs": {{"type": "name", "properties": {{"name": "{systems[0]}"}}}}.',
            code="region.metres",
            systems=list(systems),
        )
    return None


def _is_plain(value: float) -> bool:
    return abs(value) < 1e9 and math.isfinite(value)


def _are_exchanged(positions: Sequence[Position], known: Sequence[Box]) -> bool:
    """Whether they are out of degrees as they stand and, the other way round, in Korea or where something is on offer."""
    if not any(abs(y) > MAX_LATITUDE for _, y in positions):
        return False
    return any(_is_within([(y, x) for x, y in positions], box) for box in (Box(*KOREA), *known))


def _are_over_180(positions: Sequence[Position]) -> bool:
    """Whether longitudes are counted on beyond 180, or an edge jumps from one side of the meridian to the other."""
    if not all(abs(x) <= 3 * _ROUND and abs(y) <= MAX_LATITUDE for x, y in positions):
        return False
    beyond = any(abs(x) > _ROUND for x, _ in positions)
    return beyond or any(abs(b[0] - a[0]) > _ROUND for a, b in zip(positions, positions[1:], strict=False))


def _systems(positions: Sequence[Position]) -> list[str]:
    """The systems in metres in which all positions are in Korea, the usual first."""
    if not any(abs(value) > 2 * _ROUND for at in positions for value in at):
        return []
    return [f"EPSG:{epsg}" for epsg in METRES if _is_within([_placed(epsg, *at) for at in positions], Box(*KOREA))][:_MOST_SYSTEMS]


def _is_within(positions: Sequence[Position], box: Box) -> bool:
    west, south, east, north = box
    return bool(positions) and all(west <= lon <= east and south <= lat <= north for lon, lat in positions)


def _named_system(given: Any) -> int | None:
    """The EPSG number of a system in metres on a plane that a GeoJSON object names; None for degrees, and for what nobody knows."""
    crs = given.get("crs") if isinstance(given, Mapping) else None
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    name = properties.get("name") if isinstance(properties, Mapping) else None
    found = _EPSG.search(name) if isinstance(name, str) else None
    return int(found[1]) if found and transformer(int(found[1])) is not None else None


def _placing(epsg: int | None) -> Placing | None:
    return None if epsg is None else lambda x, y: _placed(epsg, x, y)


@lru_cache(maxsize=20_000)
def _placed(epsg: int, x: float, y: float) -> Position:
    to_degrees = transformer(epsg)
    assert to_degrees is not None
    lon, lat = to_degrees.transform(x, y)
    return float(lon), float(lat)
