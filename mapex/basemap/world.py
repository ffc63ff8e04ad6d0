"""Land of the world but South Korea, from the countries of Natural Earth, with no outline that runs round the world.

Natural Earth comes as TopoJSON whose rings cross the 180th meridian by a jump from 180 to -180; drawn flat, that is a line through
Fiji and bands across Siberia. Each ring is therefore unrolled, and what is then beyond a meridian is cut off and put where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tiles.arrays import Float64s

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

SOUTH_KOREA, NORTH_KOREA = "410", "408"
AT_THE_BORDER = 0.1
"""Degrees: the ground of the South so near to the North is kept, for the two sources have not quite the same line there."""
EDGE = 179.999
"""A line is drawn up to here: beyond it are only cuts."""


@dataclass(frozen=True, slots=True)
class World:
    """The ground of all countries but South Korea, and its coast, in degrees; nothing crosses the 180th meridian, no line follows it."""

    ground: Any
    """Array of polygons."""
    coast: Any
    """Array of lines."""


def read(topology: Mapping[str, Any]) -> World:
    """The world of the countries of Natural Earth."""
    import shapely

    countries = topology["objects"]["countries"]["geometries"]
    arcs = _arcs(topology)
    areas = [(one.get("id"), area) for one in countries if one.get("arcs") for area in _areas(one, arcs)]
    south, north = (shapely.union_all([area for code, area in areas if code == wanted]) for wanted in (SOUTH_KOREA, NORTH_KOREA))
    strip = shapely.intersection(south, shapely.buffer(north, AT_THE_BORDER))
    rest = shapely.union_all([area for code, area in areas if code != SOUTH_KOREA])
    coast = shapely.clip_by_rect(shapely.boundary(rest), -EDGE, -85, EDGE, 85)
    coast = shapely.line_merge(shapely.difference(coast, shapely.buffer(strip, AT_THE_BORDER / 5)))
    return World(shapely.get_parts([rest, strip]), shapely.get_parts(coast))


def split(ring: Float64s) -> Iterator[BaseGeometry]:
    """The polygons between -180 and 180 degrees that a ring encloses; one that never comes back encloses the South Pole."""
    import shapely
    from shapely import affinity

    steps = np.diff(ring[:, 0], prepend=ring[0, 0])
    ring = np.column_stack([ring[:, 0] - 360 * np.cumsum(np.round(steps / 360)), ring[:, 1]])
    if abs(ring[0, 0] - ring[-1, 0]) > 180:
        ring = np.vstack([ring, [ring[-1, 0], -90], [ring[0, 0], -90], ring[:1]])
    if len(ring) < 4:  # an islet that the rounding of the source left as a line
        return
    whole: Any = shapely.polygons(ring)
    if not whole.is_valid:
        whole = shapely.make_valid(whole, method="structure", keep_collapsed=False)
    for turn in (-360, 0, 360):
        part: Any = shapely.clip_by_rect(whole, turn - 180, -90, turn + 180, 90)
        if not part.is_empty:
            yield affinity.translate(part, -turn)


def _areas(country: Mapping[str, Any], arcs: Sequence[Float64s]) -> Iterator[BaseGeometry]:
    import shapely

    for outer, *inner in [country["arcs"]] if country["type"] == "Polygon" else country["arcs"]:
        holes = shapely.union_all([*chain.from_iterable(split(_ring(one, arcs)) for one in inner)])
        yield from (shapely.difference(part, holes) if inner else part for part in split(_ring(outer, arcs)))


def _ring(numbers: Sequence[int], arcs: Sequence[Float64s]) -> Float64s:
    """Arcs one after the other (`~i` is arc i backwards); each begins where the one before ended."""
    lines = [arcs[~number][::-1] if number < 0 else arcs[number] for number in numbers]
    return np.vstack([lines[0], *(line[1:] for line in lines[1:])])


def _arcs(topology: Mapping[str, Any]) -> list[Float64s]:
    scale, origin = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    return [np.cumsum(np.array(arc), axis=0) * scale + origin for arc in topology["arcs"]]
