"""Do the placed coordinates fit their coordinate system? Exchanged axes and wrong labels, from where the features would be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj.enums import TransformDirection

from ingest.findings import error, warning
from ingest.placing import systems
from ingest.placing.move import Floats, lonlat, transformer
from mapex.catalogue.finding import Finding

_EDGE_DEG, _FAR_DEG = 0.05, 3.0
"""How far outside of a CRS's area of use is still inside, and how far is too far."""


def swapped_degrees(coordinates: Floats, off: NDArray[np.bool_], where: dict[str, str]) -> list[Finding]:
    """Latitude beyond 90 whose swap would be a place: the columns were exchanged.

    Args:
        coordinates: (n, 2) longitude and latitude in degrees.
        off: (n,) those that are off the grid.
        where: file and layer, for the finding.
    """
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    swapped = off & (np.abs(lat) > 90.0) & (np.abs(lat) <= 180.0) & (np.abs(lon) <= 90.0)
    if not swapped.any():
        return []
    first = int(np.flatnonzero(swapped)[0])
    value = f"{lon[first]:.6f},{lat[first]:.6f}"
    text = "Latitude and longitude are exchanged: a latitude is beyond 90 degrees."
    return [error("crs.swapped", text, "Write longitude first.", value=value, **where)]


def outside_area(crs: str, placed: Floats, where: dict[str, str]) -> list[Finding]:
    """Far outside of the area for which `crs` is made: wrong label, or the axes are exchanged (tried by placing them exchanged).

    Args:
        crs: system of the source, "" when there is none.
        placed: (n, 2) its coordinates in degrees WGS 84.
        where: file and layer, for the finding.
    """
    area = systems.parsed(crs).area_of_use if crs else None
    if area is None or not len(placed) or systems.is_wgs84(systems.parsed(crs)):
        return []
    if area.west > area.east:  # across the antimeridian
        return []
    if _share(area, placed[:, 0], placed[:, 1], _EDGE_DEG) > 0.5:
        return []
    middle = placed[len(placed) // 2]
    value = f"{middle[0]:.4f},{middle[1]:.4f}"
    sample = placed[:: max(1, len(placed) // 1000)]
    x, y = transformer(crs).transform(sample[:, 0], sample[:, 1], direction=TransformDirection.INVERSE)
    if _share(area, *lonlat(np.asarray(y), np.asarray(x), crs), _EDGE_DEG) > 0.5:
        text = "East and north are exchanged: swapped, the features are where their CRS is used."
        return [error("crs.swapped", text, "Write east (x) first.", value=value, **where)]
    if _share(area, placed[:, 0], placed[:, 1], _FAR_DEG) > 0.5:  # a little outside is common: one zone is used beyond its edge
        return []
    text = f"The features are far outside of the area of use of {crs[:40]}."
    return [warning("crs.outside_area", text, "Check the CRS.", value=value, **where)]


def _share(area: Any, lon: Floats, lat: Floats, margin: float) -> float:
    """Part of the points (0 to 1) that is in pyproj's area of use or at most `margin` degrees outside of it."""
    east_west = (lon >= area.west - margin) & (lon <= area.east + margin)
    return float(np.mean(east_west & (lat >= area.south - margin) & (lat <= area.north + margin)))
