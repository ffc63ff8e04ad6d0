"""The one grid of the exchange: WebMercatorQuad cells, and arithmetic on their numbers.

A *cell* is the Morton number of an XYZ tile at a zoom: bit 2k is bit k of x (east), bit 2k+1 is bit k of y (south), so its base-4
digits are the quadkey. Cells are half open: the west and north edge belong to a cell, the east and south edge to its neighbour.
Edges are the float64 degrees that `bounds` gives, and every function here agrees with them to the last bit.

Source: OGC 17-083r4, tile matrix set WebMercatorQuad.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiles.arrays import Float64s, UInt64s
from tiles.box import Box
from tiles.errors import InvalidTile
from tiles.grid.ellipsoid import authalic

ZOOM = 16
"""The sale cell: about 485 m wide in Seoul."""

MAX_ZOOM = 30
"""Morton numbers of deeper zooms would not fit a signed 64-bit integer of SQL."""

MAX_LATITUDE = 85.0511287798066
"""North edge of the grid, degrees; further north and south there are no cells."""


_NEAR_EDGE = 1e-6  # tile units; rounding of the projection is below 1e-9 at zoom 30, so only these are compared with the edge itself
_SPREAD = ((16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F), (2, 0x3333333333333333), (1, 0x5555555555555555))
_SQUEEZE = ((1, 0x3333333333333333), (2, 0x0F0F0F0F0F0F0F0F), (4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF), (16, 0x00000000FFFFFFFF))


def _check_zoom(z: int) -> int:
    if not 0 <= z <= MAX_ZOOM:
        raise InvalidTile(f"Zoom {z} is outside 0..{MAX_ZOOM}.", zoom=z)
    return z


def lon_of(x: ArrayLike, z: int = ZOOM) -> Float64s:
    """West edge of column `x` in degrees; exact in float64 (x * 360 / 2**z has few bits)."""
    return np.asarray(x, np.float64) / float(1 << z) * 360.0 - 180.0


def lat_of(y: ArrayLike, z: int = ZOOM) -> Float64s:
    """North edge of row `y` in degrees."""
    return np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * np.asarray(y, np.float64) / float(1 << z)))))


def tile_xy(lon: ArrayLike, lat: ArrayLike, z: int = ZOOM) -> tuple[Float64s, Float64s]:
    """Column and row as real numbers: their floor is the cell, and they are whole exactly on an edge of `bounds`.

    Args:
        lon: degrees WGS 84, not checked.
        lat: degrees WGS 84 within the grid, not checked.
        z: zoom.
    """
    n = float(1 << _check_zoom(z))
    lon, lat = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
    x = (lon + 180.0) / 360.0 * n
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) * (0.5 * n)
    for value, degrees, edge_of, south in ((x, lon, lon_of, False), (y, lat, lat_of, True)):
        nearest = np.rint(value)
        near = np.flatnonzero(np.abs(value - nearest) < _NEAR_EDGE)
        if len(near):
            k = nearest[near]
            beyond = degrees[near] - edge_of(k, z)
            value[near] = _side_of(k, value[near], -beyond if south else beyond)
    return x, y


def _side_of(k: Float64s, value: Float64s, beyond: Float64s) -> Float64s:
    """`value`, moved to the side of the whole number `k` that the sign of `beyond` names."""
    above, below = np.maximum(value, np.nextafter(k, np.inf)), np.minimum(value, np.nextafter(k, -np.inf))
    return np.where(beyond == 0, k, np.where(beyond > 0, above, below))


def cells_at(lon: ArrayLike, lat: ArrayLike, z: int = ZOOM) -> UInt64s:
    """Cell of each point. Longitude 180 belongs to the last column and the south end of the grid to the last row.

    Args:
        lon: (n,) degrees WGS 84 in [-180, 180].
        lat: (n,) degrees WGS 84 in ±85.0511.
        z: zoom.

    Raises:
        InvalidTile: a coordinate is not finite or is outside; the message names the first row.
    """
    lon, lat = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
    good = (np.abs(lon) <= 180.0) & (np.abs(lat) <= MAX_LATITUDE)  # NaN compares false
    if not good.all():
        row = int(np.argmin(good))
        raise InvalidTile(
            f"Row {row}: lon {lon[row]!r}, lat {lat[row]!r} is not a place on the grid (lon within ±180, lat within ±85.0511).",
            row=row,
            lon=float(lon[row]),
            lat=float(lat[row]),
        )
    return cells_of_xy(*tile_xy(lon, lat, z), z)


def cells_of_xy(x: Float64s, y: Float64s, z: int = ZOOM) -> UInt64s:
    """Cell of each pair of real columns and rows (see `tile_xy`), clamped to the grid."""
    last = (1 << z) - 1
    return morton(np.clip(np.floor(x), 0, last).astype(np.uint64), np.clip(np.floor(y), 0, last).astype(np.uint64))


def _spread(v: UInt64s) -> UInt64s:
    v = v.astype(np.uint64)  # a copy: the steps below work in place
    for shift, mask in _SPREAD:
        v |= v << np.uint64(shift)
        v &= np.uint64(mask)
    return v


def _squeeze(v: UInt64s) -> UInt64s:
    v = v & np.uint64(0x5555555555555555)
    for shift, mask in _SQUEEZE:
        v |= v >> np.uint64(shift)
        v &= np.uint64(mask)
    return v


@overload
def morton(x: int, y: int) -> int: ...
@overload
def morton(x: NDArray[np.integer], y: NDArray[np.integer]) -> UInt64s: ...
def morton(x: int | NDArray[np.integer], y: int | NDArray[np.integer]) -> int | UInt64s:
    """Cell number of column `x` and row `y`: an int for ints, an array for arrays."""
    scalar = not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray)
    cell = _spread(np.atleast_1d(np.asarray(x, np.uint64))) | (_spread(np.atleast_1d(np.asarray(y, np.uint64))) << np.uint64(1))
    return int(cell[0]) if scalar else cell


@overload
def xy(cell: int) -> tuple[int, int]: ...
@overload
def xy(cell: UInt64s) -> tuple[UInt64s, UInt64s]: ...
def xy(cell: int | UInt64s) -> tuple[int, int] | tuple[UInt64s, UInt64s]:
    """Column and row of a cell: ints for an int, arrays for an array."""
    cells = np.atleast_1d(np.asarray(cell, np.uint64))
    x, y = _squeeze(cells), _squeeze(cells >> np.uint64(1))
    return (x, y) if isinstance(cell, np.ndarray) else (int(x[0]), int(y[0]))


def _check_cell(cell: int, z: int) -> int:
    if not 0 <= cell < 1 << 2 * _check_zoom(z):
        raise InvalidTile(f"Cell {cell} does not exist at zoom {z}.", cell=cell, zoom=z)
    return int(cell)


def quadkey(cell: int, z: int = ZOOM) -> str:
    """Quadkey of a cell: `z` digits 0..3."""
    cell = _check_cell(cell, z)
    return "".join("0123"[cell >> 2 * k & 3] for k in range(z - 1, -1, -1))


def quadkeys(cells: UInt64s, z: int = ZOOM) -> list[str]:
    """Quadkeys of many cells."""
    if z == 0:
        return [""] * len(cells)
    shifts = np.arange(2 * (z - 1), -1, -2, dtype=np.uint64)
    digits = ((np.asarray(cells, np.uint64)[:, None] >> shifts) & np.uint64(3)).astype(np.uint8) + np.uint8(ord("0"))
    return [str(k, "ascii") for k in np.ascontiguousarray(digits).view(f"S{z}").ravel().tolist()]


def cell_from_quadkey(text: str) -> tuple[int, int]:
    """Cell and zoom of a quadkey. Raises InvalidTile: a character is not 0..3, or there are more than 30."""
    if len(text) > MAX_ZOOM or not set(text) <= set("0123"):
        raise InvalidTile(f"{text[:40]!r} is not a quadkey (up to {MAX_ZOOM} digits 0..3).", quadkey=text[:40])
    return (int(text, 4) if text else 0), len(text)


def bounds(cell: int, z: int = ZOOM) -> Box:
    """The box of a cell. Raises InvalidTile: no such cell at this zoom."""
    return Box(*bounds_of(np.array([_check_cell(cell, z)], np.uint64), z)[0].tolist())


def bounds_of(cells: UInt64s, z: int = ZOOM) -> Float64s:
    """(n, 4) west, south, east, north of cells, degrees WGS 84."""
    x, y = xy(np.asarray(cells, np.uint64))
    return np.stack([lon_of(x, z), lat_of(y + np.uint64(1), z), lon_of(x + np.uint64(1), z), lat_of(y, z)], axis=1)


def around(box: Sequence[float], z: int = ZOOM) -> Box:
    """The box of all cells that the inside of a box (west, south, east, north; not over the 180 degree meridian) touches."""
    west, south, east, north = box
    x, y = tile_xy([west, east], [north, south], z)
    left, right = lon_of([np.floor(x[0]), np.ceil(x[1])], z).tolist()
    top, bottom = lat_of([np.floor(y[0]), np.ceil(y[1])], z).tolist()
    return Box(left, bottom, right, top)


def parent(cell: int, z: int, to: int) -> int:
    """The cell at the coarser zoom `to` that holds `cell`."""
    _check_cell(cell, z)
    if not 0 <= to <= z:
        raise InvalidTile(f"Zoom {to} is not coarser than {z}.", zoom=to)
    return int(cell) >> 2 * (z - to)


def children(cell: int, z: int, to: int) -> tuple[int, int]:
    """The half-open range of cells at the finer zoom `to` that are in `cell`."""
    _check_cell(cell, z)
    if _check_zoom(to) < z:
        raise InvalidTile(f"Zoom {to} is not finer than {z}.", zoom=to)
    shift = 2 * (to - z)
    return int(cell) << shift, (int(cell) + 1) << shift


def neighbours(cell: int, z: int = ZOOM) -> list[int]:
    """The up to eight cells around a cell, in Morton order; the grid ends at its borders (no wrap at 180 degrees)."""
    x, y = xy(_check_cell(cell, z))
    last = (1 << z) - 1
    around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
    return sorted(morton(i, j) for i, j in around if 0 <= i <= last and 0 <= j <= last)


def area_m2(cells: UInt64s, z: int = ZOOM) -> Float64s:
    """Area of each cell in m2 on the WGS 84 ellipsoid, exact between its two meridians and two parallels."""
    _, y = xy(np.atleast_1d(np.asarray(cells, np.uint64)))
    area: Float64s = np.radians(360.0 / (1 << z)) * (authalic(lat_of(y, z)) - authalic(lat_of(y + np.uint64(1), z)))
    return area
