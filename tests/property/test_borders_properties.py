"""Outlines of whole squares, however they were rounded: they are those squares, and what only touches them stays out."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mapex.prices.request import of_area
from tiles.grid import grid
from tiles.grid.borders import on_borders
from tiles.grid.region import Region
from tiles.grid.scan import cover

PLACES = st.sampled_from([(126.98, 37.57), (8.4, 49.0), (-122.1, 47.6), (0.0, 0.0), (151.2, -33.9), (25.7, 66.5)])
BLOCKS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20)


def squares(place: tuple[float, float], block: set[tuple[int, int]]) -> np.ndarray:
    x, y = grid.xy(int(grid.cells_at(*place)[0]))
    return np.sort(np.array([grid.morton(x + i, y + j) for i, j in block], np.uint64))


def outline(cells: np.ndarray, digits: int) -> Region:
    whole = shapely.union_all(shapely.box(*grid.bounds_of(cells).T))
    return Region.from_geojson(shapely.to_geojson(shapely.transform(whole, lambda at: at.round(digits))))


@settings(max_examples=150, deadline=None)
@given(PLACES, BLOCKS, st.integers(6, 15))
def test_a_rounded_outline_of_squares_is_these_squares(place: tuple[float, float], block: set[tuple[int, int]], digits: int) -> None:
    cells = squares(place, block)
    asked = of_area(outline(cells, digits))
    assert asked.cover.cells().tolist() == cells.tolist()
    assert asked.edge.cells.count == 0, "none of them is hardly touched"
    assert abs(asked.area_m2 / grid.area_m2(cells).sum() - 1) < 1e-3


@settings(max_examples=150, deadline=None)
@given(PLACES, st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4)), min_size=3, max_size=8))
def test_an_area_of_any_form_is_worth_the_squares_it_is_in(place: tuple[float, float], points: list[tuple[float, float]]) -> None:
    """Asked for by its squares an area has the same cover: to snap changes the outline, and nothing that is bought."""
    x, y = grid.xy(int(grid.cells_at(*place)[0]))
    at = [(float(grid.lon_of(x + i)), float(grid.lat_of(y + j))) for i, j in points]
    hull = shapely.MultiPoint(at).convex_hull
    if hull.geom_type != "Polygon":
        return
    drawn = of_area(Region(hull))
    snapped = of_area(outline(drawn.cover.cells(), 7))
    assert snapped.cover == drawn.cover
    assert snapped.area_m2 >= drawn.area_m2 * (1 - 1e-6)


@settings(max_examples=100, deadline=None)
@given(PLACES, st.floats(1e-9, 3e-7), st.floats(0, 1))
def test_what_is_smaller_than_the_rounding_keeps_its_form(place: tuple[float, float], size: float, within: float) -> None:
    west, south, *_ = grid.bounds(int(grid.cells_at(*place)[0]))
    corner = (west + within * 1e-6, south + within * 1e-6)
    tiny = Region(shapely.box(*corner, corner[0] + size, corner[1] + size))
    if shapely.area(tiny.geometry):
        assert on_borders(tiny).area_m2 >= 0.99 * tiny.area_m2
        assert of_area(tiny).cover.count == cover(on_borders(tiny)).count >= 1
