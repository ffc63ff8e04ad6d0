"""Covers that hold for any shape."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.region import Region
from tiles.grid.scan import cover

X, Y = grid.xy(int(grid.cells_at(126.98, 37.57)[0]))
step = st.one_of(st.integers(-5, 5).map(float), st.floats(-5, 5))
places = st.tuples(step, step)


def lon_lat(place):
    """A place in cells from the middle; whole numbers are exactly on the grid."""
    return float(grid.lon_of(X + place[0])), float(grid.lat_of(Y + place[1]))


@settings(max_examples=200, deadline=None)
@given(st.lists(places, min_size=3, max_size=12, unique=True))
def test_cover_of_any_area_is_that_of_geos(points):
    hull = shapely.MultiPoint([lon_lat(p) for p in points]).convex_hull
    if hull.geom_type != "Polygon" or not hull.is_valid:
        return
    x, y = (v.ravel() for v in np.meshgrid(np.arange(X - 7, X + 8), np.arange(Y - 7, Y + 8)))
    cells = grid.morton(x, y)
    want = cells[shapely.relate_pattern(hull, shapely.box(*grid.bounds_of(cells).T), "T********")]
    assert set(cover(Region(hull)).cells().tolist()) == set(want.tolist())


@settings(max_examples=200, deadline=None)
@given(st.lists(places, min_size=2, max_size=8, unique=True))
def test_cells_of_a_line_hold_its_vertices_and_meet_it(points):
    line = shapely.LineString([lon_lat(p) for p in points])
    if not line.is_valid:
        return
    found = cover(Region(line))
    ends = shapely.get_coordinates(line)
    assert found.contains(grid.cells_at(ends[:, 0], ends[:, 1])).all()
    boxes = shapely.box(*grid.bounds_of(found.cells()).T)
    assert shapely.intersects(boxes, line).all()
    x, y = (v.ravel() for v in np.meshgrid(np.arange(X - 7, X + 8), np.arange(Y - 7, Y + 8)))
    cells = grid.morton(x, y)
    inside = cells[shapely.relate_pattern(line, shapely.box(*grid.bounds_of(cells).T), "T********")]
    assert found.contains(inside).all()


@given(st.sets(st.integers(0, 3000), max_size=300), st.integers(0, 16))
def test_ranges_and_pyramid_hold_exactly_the_cells(numbers, zmin):
    cells = np.array(sorted(numbers), np.uint64)
    found = Cover.from_cells(cells)
    assert found.cells().tolist() == cells.tolist()
    parts = [Cover(r, z).at(16).cells() for z, r in found.pyramid(zmin)]
    assert sorted(int(c) for p in parts for c in p) == cells.tolist()
    assert (found.ranges[1:, 0] > found.ranges[:-1, 1]).all()
