"""How much of each cell an area has: against shapely's own intersections."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from tiles.grid import grid
from tiles.grid.fractions import fractions
from tiles.grid.region import Region
from tiles.grid.scan import cover

CENTRE = (127.03, 37.5)


def star(corners: int, radius: float, seed: int) -> shapely.Polygon:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = radius * rng.uniform(0.5, 1, corners)
    return shapely.Polygon(np.stack([CENTRE[0] + reach * np.cos(angles), CENTRE[1] + reach * np.sin(angles)], axis=1))


HOLE = shapely.Point(CENTRE).buffer(0.004)
SHAPES = {
    "triangle": star(3, 0.01, 1),
    "star": star(40, 0.05, 2),
    "inside one cell": star(12, 0.0003, 3),
    "with a hole": shapely.box(127.0, 37.48, 127.06, 37.52).difference(HOLE),
    "two parts": star(20, 0.02, 4).union(shapely.box(127.3, 37.4, 127.3123, 37.4099)),
    "edges on the grid": shapely.box(*grid.bounds(grid.morton(55_885, 25_377))),
    "half of a cell high": shapely.box(127.0, 37.5, 127.05, 37.5002),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shares_are_those_of_shapely(name: str) -> None:
    shape = SHAPES[name]
    region = Region.from_geojson(shapely.to_geojson(shape))
    cells = cover(region).cells()
    cut, share = fractions(region)
    assert np.isin(cut, cells).all()
    mine = dict(zip(cut.tolist(), share.tolist(), strict=True))
    boxes = shapely.box(*grid.bounds_of(cells, grid.ZOOM).T)
    truth = shapely.area(shapely.intersection(shape, boxes)) / shapely.area(boxes)
    assert np.abs(np.array([mine.get(cell, 1.0) for cell in cells.tolist()]) - truth).max() < 1e-9


def test_lines_and_points_have_no_share() -> None:
    for geo in ({"type": "Point", "coordinates": list(CENTRE)}, {"type": "LineString", "coordinates": [[127.0, 37.5], [127.1, 37.5]]}):
        cut, share = fractions(Region.from_geojson(geo))
        assert not len(cut) and not len(share)
