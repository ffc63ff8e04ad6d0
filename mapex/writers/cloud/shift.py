"""Points of tiles on their way to where the buyer wants them: another system, heights above another datum, metres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mapex.errors import Invalid
from mapex.writers.target import ELLIPSOID, UNKNOWN, WGS84, Target, flat, height_datum_of, shifted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tiles.points.header import Header

    Floats = NDArray[np.float64]

_METRES = {"foot": 0.3048, "US survey foot": 1200 / 3937}


@dataclass(frozen=True, slots=True)
class CloudShift:
    """The way of the points of some tiles.

    Attributes:
        source: the system of the tiles, two-dimensional or geocentric. crs: what the points are in at the end.
        given: above what heights of the tiles count. heights: above what they count at the end.
        metres: in a unit of the heights of the tiles. in_metres: whether they leave in metres: where another system was asked for.
        is_moved: whether x and y become others.
    """

    source: Any
    crs: Any
    given: str
    heights: str
    metres: float
    in_metres: bool
    is_moved: bool

    @staticmethod
    def between(header: Header, heights: str, target: Target) -> CloudShift:
        """From tiles with such a head and such heights to a target.

        Raises: Invalid: `join.heights`.
        """
        from tiles.points.crs import same_place, tile_crs

        found = tile_crs(header)
        crs: Any = found.crs
        if crs.is_geocentric and target.crs is None and target.heights:
            raise Invalid("join.heights", "These points are in geocentric metres, without heights. Choose a system with --crs.")
        stated = heights if heights != UNKNOWN or crs.is_geocentric else height_datum_of(crs) or UNKNOWN
        given = ELLIPSOID if crs.is_geocentric and target.crs is not None else stated
        metres = _METRES.get(found.height_unit, 1.0)
        is_moved = target.crs is not None and not same_place(crs, target.crs)
        made = CloudShift(flat(crs), crs, given, target.heights or given, metres, target.crs is not None, is_moved)
        # A compound system would state heights that are no longer there.
        return replace(made, crs=target.crs if target.crs is not None else flat(crs)) if made.changes else made

    @property
    def changes(self) -> bool:
        """Whether any number becomes another one."""
        return self.is_moved or self.heights != self.given or (self.in_metres and self.metres != 1.0)

    def of(self, xyz: Floats) -> Floats:
        """The points there.

        Raises: Invalid: `join.outside`, `join.heights`.
        """
        import numpy as np

        if not self.changes:
            return xyz
        x, y, z = (xyz[:, axis] * (self.metres if axis == 2 else 1.0) for axis in range(3))
        here = self.source.to_wkt()
        if self.source.is_geocentric:
            x, y, z = _way(here, "EPSG:4979").transform(x, y, z)
            here = WGS84
        if self.heights != self.given:
            lon, lat = _way(here, WGS84).transform(x, y)
            z = shifted(lon, lat, z, (self.given, self.heights))
        if self.is_moved:
            x, y = _way(here, self.crs.to_wkt()).transform(x, y)
        there = np.column_stack([x, y, z if self.in_metres else z / self.metres])
        if not np.isfinite(there).all():
            text = f"Some points are outside of what {self.crs.name} can express. Choose another system with --crs."
            raise Invalid("join.outside", text, crs=str(self.crs))
        return there


@lru_cache(maxsize=64)
def _way(source: str, target: str) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)
