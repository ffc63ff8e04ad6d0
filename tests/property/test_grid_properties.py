"""Rules of the grid that hold for every number."""

import mercantile
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tiles.grid import grid

zooms = st.integers(0, grid.MAX_ZOOM)
lons = st.floats(-180, 179.999)
lats = st.floats(-85.05, 85.05)


@given(zooms, st.data())
def test_quadkey_morton_and_xy_round_trip(z, data):
    cell = data.draw(st.integers(0, (1 << 2 * z) - 1))
    assert grid.cell_from_quadkey(grid.quadkey(cell, z)) == (cell, z)
    assert grid.morton(*grid.xy(cell)) == cell
    assert grid.quadkeys(np.array([cell], np.uint64), z) == [grid.quadkey(cell, z)]


@given(lons, lats, zooms)
def test_a_point_is_in_the_half_open_bounds_of_its_cell(lon, lat, z):
    w, s, e, n = grid.bounds(int(grid.cells_at(lon, lat, z)[0]), z)
    assert w <= lon < e
    assert s < lat <= n


@given(lons, lats, st.integers(0, 16))
def test_the_cell_is_mercantiles_away_from_edges(lon, lat, z):
    t = mercantile.tile(lon, lat, z)
    w, s, e, n = mercantile.bounds(t)
    if min(lon - w, e - lon, lat - s, n - lat) > 1e-9:
        assert grid.xy(int(grid.cells_at(lon, lat, z)[0])) == (t.x, t.y)


@given(lons, lats, st.integers(0, 30), st.integers(0, 30))
def test_the_cell_at_a_coarser_zoom_is_the_parent(lon, lat, a, b):
    to, z = sorted((a, b))
    assert grid.parent(int(grid.cells_at(lon, lat, z)[0]), z, to) == int(grid.cells_at(lon, lat, to)[0])


@given(st.tuples(lons, lons), st.tuples(lats, lats), st.integers(0, 20))
def test_the_box_around_a_box_is_that_of_its_outer_cells(lon, lat, z):
    box = (min(lon), min(lat), max(lon), max(lat))
    west, south, east, north = grid.around(box, z)
    assert west <= box[0] <= box[2] <= east
    assert south <= box[1] <= box[3] <= north
    assert grid.around((west, south, east, north), z) == (west, south, east, north)


@given(zooms, st.data())
def test_the_box_around_a_cell_is_the_cell(z, data):
    cell = data.draw(st.integers(0, (1 << 2 * z) - 1))
    assert grid.around(grid.bounds(cell, z), z) == grid.bounds(cell, z)
