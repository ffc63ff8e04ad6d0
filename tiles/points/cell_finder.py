"""The cell of each point of a cloud: a cubic fitted on the box of the points, exact where it matters.

pyproj costs about 0.25 us a point, half as much as unpacking it. Over the box of some 50,000 neighbouring points every projection is
smooth enough for a polynomial of degree three (error of some 1e-8 m). The error is measured on points that the fit has not seen; above
1 mm the fit is not used, and points nearer to a cell's edge than twice the error go through pyproj too: the answer is always the same
as `grid.cells_at` gives for the transformed point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyproj

from tiles.arrays import Float64s, Int64s
from tiles.grid import grid
from tiles.grid.ellipsoid import SEMI_MAJOR_M

Cells: TypeAlias = Int64s

NOWHERE = -1
"""Cell of a point that has no place on the grid (outside of the projection, or of the grid's latitudes)."""

_CELL_M = 2 * np.pi * SEMI_MAJOR_M / (1 << grid.ZOOM)  # width of a cell on the equator, metres
_TOLERANCE_M = 1e-3
_WORTH_A_FIT = 2000  # points; below it, pyproj is quicker than fit and check
_U, _V = (g.ravel() for g in np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)))
_TERMS = np.stack([_U**i * _V**j for i in range(4) for j in range(4 - i)], axis=1)
_SOLVE = np.linalg.pinv(_TERMS)
_CU, _CV = (g.ravel() for g in np.meshgrid(np.linspace(-0.93, 0.93, 8), np.linspace(-0.93, 0.93, 8)))
_BLOCK = 32_768  # points; eight columns of them stay in the cache


@dataclass(frozen=True, slots=True)
class _Fit:
    """Tile column and row as cubics of u and v, which run from -1 to 1 over the box; `error` in tile units, twice what was measured."""

    centre: tuple[float, float]
    half: tuple[float, float]
    column: Float64s
    row: Float64s
    error: float

    def at(self, x: Float64s, y: Float64s) -> tuple[Float64s, Float64s]:
        u = (x - self.centre[0]) / self.half[0]
        v = (y - self.centre[1]) / self.half[1]
        return _cubic(self.column, u, v), _cubic(self.row, u, v)


def _cubic(f: Float64s, u: Float64s, v: Float64s) -> Float64s:
    # Horner in v inside Horner in u; the coefficients are ordered as in _TERMS.
    value: Float64s = f[0] + v * (f[1] + v * (f[2] + v * f[3])) + u * (f[4] + v * (f[5] + v * f[6]) + u * (f[7] + v * f[8] + u * f[9]))
    return value


class CellFinder:
    """Finds cells for coordinates in `crs` (x east or longitude first).

    Only the horizontal part of a compound CRS is used; a geocentric CRS needs z and is never fitted.
    """

    def __init__(self, crs: str | pyproj.CRS) -> None:
        system = pyproj.CRS.from_user_input(crs)
        self.crs = system
        self.geocentric = system.is_geocentric
        flat = system.sub_crs_list[0] if system.is_compound else system
        self._to_lonlat = pyproj.Transformer.from_crs(flat, "EPSG:4979" if self.geocentric else "EPSG:4326", always_xy=True)

    def lonlat(self, x: Float64s, y: Float64s, z: Float64s | None = None) -> tuple[Float64s, Float64s]:
        """Degrees WGS 84 of each point; infinite where the projection has no answer."""
        if self.geocentric:
            lon, lat, _ = self._to_lonlat.transform(x, y, np.zeros_like(x) if z is None else z)
        else:
            lon, lat = self._to_lonlat.transform(x, y)
        return np.asarray(lon, np.float64), np.asarray(lat, np.float64)

    def exact(self, x: Float64s, y: Float64s, z: Float64s | None = None) -> Cells:
        """Cell of each point by pyproj; NOWHERE where there is none."""
        lon, lat = self.lonlat(x, y, z)
        good = (np.abs(lon) <= 180.0) & (np.abs(lat) <= grid.MAX_LATITUDE)
        cells = np.full(len(lon), NOWHERE, np.int64)
        cells[good] = grid.cells_at(lon[good], lat[good]).astype(np.int64)
        return cells

    def cells(self, x: Float64s, y: Float64s, z: Float64s | None = None) -> Cells:
        """Cell of each point; equal to `exact`, several times quicker where points are neighbours."""
        if len(x) < _WORTH_A_FIT or self.geocentric:
            return self.exact(x, y, z)
        fit = self._fit(float(x.min()), float(y.min()), float(x.max()), float(y.max()))
        if fit is None:
            return self.exact(x, y, z)
        cells = np.empty(len(x), np.int64)
        for i in range(0, len(x), _BLOCK):
            at = slice(i, i + _BLOCK)
            column, row = fit.at(x[at], y[at])
            whole_column, whole_row = np.floor(column), np.floor(row)
            cells[at] = _morton(whole_column, whole_row)
            edge = 0.5 - fit.error
            near = np.flatnonzero((np.abs(column - whole_column - 0.5) >= edge) | (np.abs(row - whole_row - 0.5) >= edge))
            if len(near):
                cells[i + near] = self.exact(x[at][near], y[at][near])
        return cells

    def cell_of_box(self, west: float, south: float, east: float, north: float) -> int | None:
        """The one cell that surely holds the whole box (in the CRS), or None when it may reach into a second."""
        if self.geocentric:
            return None
        fit = self._fit(west, south, east, north)
        if fit is None:
            return None
        column, row = _TERMS @ fit.column, _TERMS @ fit.row
        found = []
        for value in (column, row):
            low, high = float(value.min()), float(value.max())
            slack = fit.error + 0.01 * (high - low)  # a cubic that is nearly straight does not bulge further between the 9 x 9 places
            if np.floor(low - slack) != np.floor(high + slack):
                return None
            found.append(int(np.floor(low)))
        return grid.morton(found[0], found[1])

    def _fit(self, west: float, south: float, east: float, north: float) -> _Fit | None:
        centre = ((west + east) / 2, (south + north) / 2)
        half = (max((east - west) / 2, 1e-9), max((north - south) / 2, 1e-9))
        u, v = np.concatenate([_U, _CU]), np.concatenate([_V, _CV])
        lon, lat = self.lonlat(centre[0] + u * half[0], centre[1] + v * half[1])
        if not (np.all(np.abs(lon) <= 180.0) and np.all(np.abs(lat) < grid.MAX_LATITUDE)):
            return None
        column, row = grid.tile_xy(lon, lat)
        n = len(_U)
        fit = _Fit(centre, half, _SOLVE @ column[:n], _SOLVE @ row[:n], 0.0)
        seen = (np.abs(_TERMS @ fit.column - column[:n]), np.abs(_TERMS @ fit.row - row[:n]))
        unseen = (np.abs(_cubic(fit.column, _CU, _CV) - column[n:]), np.abs(_cubic(fit.row, _CU, _CV) - row[n:]))
        error = max(float(e.max()) for e in (*seen, *unseen))
        if error * _CELL_M > _TOLERANCE_M:
            return None
        return _Fit(centre, half, fit.column, fit.row, 2 * error + 1e-9)


def _morton(column: Float64s, row: Float64s) -> Cells:
    # Few distinct cells are under a run of neighbours: interleave bits once for each, not for each point.
    c0, r0 = column.min(), row.min()
    width = int(column.max() - c0) + 1
    if width == 1 and row.max() == r0:
        return np.full(len(column), grid.morton(int(c0), int(r0)), np.int64)
    key = ((row - r0) * width + (column - c0)).astype(np.int64)
    distinct, where = np.unique(key, return_inverse=True) if len(key) < 4096 or key.max() > 1 << 20 else _distinct(key)
    cells = grid.morton((distinct % width + int(c0)).astype(np.uint64), (distinct // width + int(r0)).astype(np.uint64))
    placed: Cells = cells.astype(np.int64)[where]
    return placed


def _distinct(key: Cells) -> tuple[Cells, Cells]:
    """As numpy.unique with inverse, by counting: keys are small."""
    present = np.bincount(key) > 0
    return np.flatnonzero(present).astype(np.int64), (np.cumsum(present) - 1)[key]
