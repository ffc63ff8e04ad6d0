"""Borders of cells, as people write them: rounded to some digits, so that an outline of whole squares reaches a hair into others.

Addresses keep six digits after the point and files often seven. A corner that is nearer to a border than that rounding was meant to be on
it: a box of four squares is four squares again, whatever it went through, and what only touches at an edge does not come in.
"""

from __future__ import annotations

import numpy as np

from tiles.arrays import Float64s
from tiles.grid import grid
from tiles.grid.grid import ZOOM
from tiles.grid.region import Region

ROUNDING = 6e-7
"""Degrees (about 6 cm) that a coordinate of six digits may be off."""


def on_borders(region: Region, z: int = ZOOM) -> Region:
    """The region with its corners on the borders of the cells of zoom `z` that they are next to.

    A region so small that this would change its form stays as it is.
    """
    import shapely

    corners = shapely.get_coordinates(region.geometry)
    on_border = _moved(corners, z)
    if np.array_equal(on_border, corners):
        return region
    moved = shapely.set_coordinates(region.geometry, on_border)
    if shapely.is_empty(moved) or not shapely.is_valid(moved):
        return region
    on = Region(moved)
    return on if on.area_m2 > 0.99 * region.area_m2 else region


def _moved(lon_lat: Float64s, z: int) -> Float64s:
    x, y = grid.tile_xy(lon_lat[:, 0], lon_lat[:, 1], z)
    borders = np.stack([grid.lon_of(np.rint(x), z), grid.lat_of(np.rint(y), z)], axis=1)
    moved: Float64s = np.where(np.abs(lon_lat - borders) < ROUNDING, borders, lon_lat)
    return moved
