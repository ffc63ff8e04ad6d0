"""The cell of a point by fitted cubics equals the cell by pyproj, always."""

from __future__ import annotations

import numpy as np
import pytest

from tiles.grid import grid
from tiles.points.cell_finder import NOWHERE, CellFinder

LAMBERT_FEET = "+proj=lcc +lat_0=41.75 +lon_0=-120.5 +lat_1=43 +lat_2=45.5 +x_0=400000 +y_0=0 +ellps=GRS80 +units=ft +no_defs +type=crs"
PLACES = [
    ("EPSG:32632", 457_000.0, 5_427_000.0),
    ("EPSG:5179", 957_000.0, 1_942_000.0),
    (LAMBERT_FEET, 637_000.0, 849_000.0),
    ("EPSG:4326", 8.41, 49.0),
]


@pytest.mark.parametrize(("crs", "x", "y"), PLACES)
@pytest.mark.parametrize("size", [50.0, 2000.0, 60_000.0, 3_000_000.0])
def test_fitted_cells_equal_exact_cells(crs: str, x: float, y: float, size: float) -> None:
    rng = np.random.default_rng(3)
    size = size / 111_000 if crs == "EPSG:4326" else size
    xs, ys = x + rng.uniform(0, size, 40_000), y + rng.uniform(0, size, 40_000)
    finder = CellFinder(crs)
    assert np.array_equal(finder.cells(xs, ys), finder.exact(xs, ys))


def test_points_within_a_micrometre_of_an_edge_get_their_exact_cell() -> None:
    west, south, east, north = grid.bounds(grid.cells_at([8.41], [49.0])[0])
    rng = np.random.default_rng(4)
    n = 6000
    lon = np.concatenate([np.full(n, east) + rng.normal(0, 1e-11, n), rng.uniform(west, east, n)])
    lat = np.concatenate([rng.uniform(south, north, n), np.full(n, north) + rng.normal(0, 1e-11, n)])
    finder = CellFinder("EPSG:32632")
    x, y = finder._to_lonlat.transform(lon, lat, direction="INVERSE")
    cells = finder.cells(np.asarray(x), np.asarray(y))
    assert np.array_equal(cells, finder.exact(np.asarray(x), np.asarray(y)))
    assert len(np.unique(cells)) > 2


def test_box_inside_one_cell_is_known_and_a_box_over_an_edge_is_not() -> None:
    finder = CellFinder("EPSG:32632")
    west, south, east, north = grid.bounds(grid.cells_at([8.41], [49.0])[0])
    x, y = finder._to_lonlat.transform([(west + east) / 2], [(south + north) / 2], direction="INVERSE")
    inside = finder.cell_of_box(x[0] - 50, y[0] - 50, x[0] + 50, y[0] + 50)
    assert inside == grid.cells_at([8.41], [49.0])[0]
    assert finder.cell_of_box(x[0] - 50, y[0] - 50, x[0] + 600, y[0] + 50) is None


def test_point_outside_of_the_world_has_no_cell_and_does_not_stop_the_others() -> None:
    lon = np.r_[np.full(3000, 8.41), 8.41, np.nan, 200.0]
    lat = np.r_[np.full(3000, 49.0), 89.0, 49.0, 49.0]
    cells = CellFinder("EPSG:4326").cells(lon, lat)
    assert (cells[:3000] == int(grid.cells_at([8.41], [49.0])[0])).all()
    assert (cells[3000:] == NOWHERE).all()


def test_geocentric_points_are_placed_with_their_height_axis() -> None:
    from pyproj import Transformer

    to_xyz = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    lon, lat = np.full(3000, 127.1) + np.linspace(0, 0.02, 3000), np.full(3000, 37.4)
    x, y, z = to_xyz.transform(lon, lat, np.full(3000, 50.0))
    finder = CellFinder("EPSG:4978")
    assert np.array_equal(finder.cells(x, y, z), grid.cells_at(lon, lat).astype(np.int64))
    assert finder.cell_of_box(x.min(), y.min(), x.max(), y.max()) is None
