"""The ground that a filter of the log names: a point, a box, an outline, GeoJSON or a place by its key."""

from __future__ import annotations

import math
import re

from mapex.atlas import lookup
from mapex.audit.ground import AskedGround
from mapex.errors import Invalid
from mapex.exchange import Exchange
from tiles.grid import scan
from tiles.grid.grid import MAX_LATITUDE
from tiles.grid.region import Region

LONGEST = 16_000
"""Characters of a region in a filter; it stands in addresses and in the log."""

MOST_VERTICES = 1_000_000
"""Of a boundary that the exchange itself knows."""

AROUND_M = 150
"""Ground around a point that belongs to it: a crossing may be at the corner of four tiles."""

_METRES_A_DEGREE = 111_320
_NUMBERS = re.compile(r"[-+\d.,; ]*,[-+\d.,; ]*")


def region_of(ex: Exchange, text: str) -> Region:
    """`lon,lat` in degrees and the ground around it, `W,S,E,N`, `lon,lat;lon,lat;...` around an area, GeoJSON, or the key of a place.

    Raises: Invalid: `audit.region`. NotFound: `place.unknown`. InvalidRegion. Unavailable.
    """
    import shapely

    if len(text) > LONGEST:
        raise Invalid("audit.region", f"The region takes {len(text):,} characters; simplify it to at most {LONGEST:,}.")
    if text.startswith("{"):
        return Region.from_geojson(text)
    if not _NUMBERS.fullmatch(text):
        return Region.from_geojson(shapely.to_geojson(lookup.outline(ex, text)), max_vertices=MOST_VERTICES)
    try:
        corners = [[float(number) for number in corner.split(",")] for corner in text.strip("; ").split(";")]
    except ValueError:
        corners = []
    if len(corners) == 1 and len(corners[0]) == 2:
        return _around(*corners[0])
    if len(corners) == 1 and len(corners[0]) == 4:
        return Region.from_bbox(*corners[0])
    if len(corners) >= 3 and all(len(corner) == 2 for corner in corners):
        return Region.from_geojson({"type": "Polygon", "coordinates": [[*corners, corners[0]]]})
    raise Invalid("audit.region", f"{text[:80]!r} is no region; give lon,lat or W,S,E,N or three or more corners lon,lat;lon,lat;lon,lat.")


def _around(lon: float, lat: float) -> Region:
    if not (abs(lon) < 180 and abs(lat) < MAX_LATITUDE):
        raise Invalid("audit.region", f"{lon},{lat} is no place in degrees; give the longitude first.")
    dy = AROUND_M / _METRES_A_DEGREE
    dx = min(dy / math.cos(math.radians(lat)), 180 - abs(lon))
    return Region.from_bbox(lon - dx, max(lat - dy, -MAX_LATITUDE), lon + dx, min(lat + dy, MAX_LATITUDE))


def read(ex: Exchange, text: str) -> AskedGround:
    """The ground of a filter.

    Raises: as `region_of`.
    """
    return AskedGround(text, scan.cover(region_of(ex, text)))
