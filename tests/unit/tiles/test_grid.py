"""The grid against mercantile and against its own edges."""

import mercantile
import numpy as np
import pytest
from pyproj import Geod

from tiles.errors import InvalidTile
from tiles.grid import grid


def random_places(n=20_000, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(-180, 180, n), rng.uniform(-85, 85, n)


@pytest.mark.parametrize("z", [0, 1, 5, 12, 16, 22, 30])
def test_cells_are_the_tiles_of_mercantile(z):
    lon, lat = random_places(3_000, z)
    cells = grid.cells_at(lon, lat, z)
    for i in range(0, 3_000, 7):
        t = mercantile.tile(lon[i], lat[i], z)
        assert grid.xy(int(cells[i])) == (t.x, t.y)
        assert grid.quadkey(int(cells[i]), z) == mercantile.quadkey(t)
        assert grid.bounds(int(cells[i]), z) == pytest.approx(tuple(mercantile.bounds(t)), abs=1e-12)
        assert set(grid.neighbours(int(cells[i]), z)) == {grid.morton(u.x, u.y) for u in mercantile.neighbors(t)}


def test_parents_and_children_are_those_of_mercantile():
    t = mercantile.tile(126.98, 37.57, 16)
    cell = grid.morton(t.x, t.y)
    for to in range(17):
        u = mercantile.parent(t, zoom=to) if to < 16 else t
        assert grid.xy(grid.parent(cell, 16, to)) == (u.x, u.y)
    lo, hi = grid.children(cell, 16, 18)
    assert {grid.xy(c) for c in range(lo, hi)} == {(u.x, u.y) for u in mercantile.children(t, zoom=18)}


def test_every_edge_belongs_to_the_cell_east_and_south_of_it():
    x = np.arange(0, 1 << 16, 7)
    w, n = grid.lon_of(x), grid.lat_of(x)
    assert (grid.cells_at(w, n) == grid.morton(x, x)).all()
    before = grid.cells_at(np.nextafter(w, -np.inf)[1:], np.nextafter(n, np.inf)[1:])
    assert (before == grid.morton(x[1:] - 1, x[1:] - 1)).all()


def test_bounds_of_neighbouring_cells_share_their_edges_exactly():
    cell = grid.morton(55873, 25380)
    east, south = grid.morton(55874, 25380), grid.morton(55873, 25381)
    assert grid.bounds(cell)[2] == grid.bounds(east)[0]
    assert grid.bounds(cell)[1] == grid.bounds(south)[3]


def test_ends_of_the_grid_belong_to_the_last_column_and_row():
    last = (1 << 16) - 1
    assert grid.xy(int(grid.cells_at(180.0, -grid.MAX_LATITUDE)[0])) == (last, last)
    assert grid.xy(int(grid.cells_at(-180.0, grid.MAX_LATITUDE)[0])) == (0, 0)


@pytest.mark.parametrize(("lon", "lat"), [(np.nan, 0), (0, np.inf), (0, 85.06), (0, -89), (180.0001, 0), (-181, 0)])
def test_a_place_off_the_grid_is_refused_and_its_row_named(lon, lat):
    with pytest.raises(InvalidTile, match="Row 2"):
        grid.cells_at([1.0, 2.0, lon, lon], [1.0, 2.0, lat, lat])


@pytest.mark.parametrize("text", ["4", "01a", "0" * 31, "-1", " 1"])
def test_what_is_no_quadkey_is_refused(text):
    with pytest.raises(InvalidTile):
        grid.cell_from_quadkey(text)


def test_cells_and_zooms_that_do_not_exist_are_refused():
    for call in (
        lambda: grid.bounds(4, 1),
        lambda: grid.quadkey(-1),
        lambda: grid.parent(0, 3, 4),
        lambda: grid.children(0, 5, 4),
        lambda: grid.lon_of(0, 0) and grid.cells_at(0, 0, 31),
    ):
        with pytest.raises(InvalidTile):
            call()


def test_area_of_a_cell_is_its_geodesic_area():
    geod = Geod(ellps="WGS84")
    for lon, lat, z in ((126.98, 37.57, 16), (8.4, 49.0, 16), (-122, -45, 14), (0.1, 0.1, 16)):
        cell = grid.cells_at(lon, lat, z)
        w, s, e, n = grid.bounds(int(cell[0]), z)
        t = np.linspace(0, 1, 200)
        ring = np.concatenate(
            [np.c_[w + (e - w) * t, np.full(200, s)], np.c_[np.full(200, e), s + (n - s) * t], np.c_[e - (e - w) * t, np.full(200, n)]]
        )
        area, _ = geod.polygon_area_perimeter(ring[:, 0], ring[:, 1])
        assert grid.area_m2(cell, z)[0] == pytest.approx(area, rel=1e-7)


def test_all_cells_together_have_the_area_of_the_grid():
    y = np.arange(1 << 8)
    whole = grid.area_m2(np.zeros(1, np.uint64), 0)[0]
    assert (grid.area_m2(grid.morton(np.zeros_like(y), y), 8) * 256).sum() == pytest.approx(whole, rel=1e-12)
    assert whole == pytest.approx(5.1006562e14, rel=0.01)
