"""How far apart two geometries are: vertex by vertex, drawn anew, turned round, with heights."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from tiles.features.nearness import UNMEASURED, shifts


def apart(before: BaseGeometry | None, after: BaseGeometry | None) -> float:
    """Metres; `UNMEASURED` as it is."""
    one, other = np.empty(1, object), np.empty(1, object)
    one[0], other[0] = before, after
    um = int(shifts(one, other)[0])
    return um if um == UNMEASURED else um / 1e6


LINE = shapely.LineString([(0, 0), (10, 0), (20, 0)])
SOLID = shapely.LineString([(0, 0, 5), (10, 0, 5), (20, 0, 5)])
SQUARE = shapely.box(0, 0, 10, 10)


@pytest.mark.parametrize(
    ("before", "after", "metres"),
    [
        (LINE, shapely.LineString([(0, 0), (10, 0.5), (20, 0)]), 0.5),
        (LINE, shapely.LineString([(0, 0), (20, 0)]), 0),
        (LINE, shapely.LineString([(0, 0.3), (5, 0.3), (7, 0.3), (20, 0.3)]), 0.3),
        (LINE, shapely.LineString([(20, 0), (10, 0), (0, 0)]), 20),
        (LINE, shapely.LineString([(20, 0), (0, 0)]), 20),
        (SOLID, shapely.LineString([(0, 0, 5), (10, 0, 6), (20, 0, 5)]), 1),
        (SOLID, shapely.LineString([(0, 0, 5), (3, 0, 7), (10, 0, 5), (20, 0, 5)]), 2),
        (SQUARE, shapely.Polygon([(10, 0), (10, 10), (0, 10), (0, 0), (10, 0)]), 0),
        (SQUARE, shapely.box(0, 0, 10, 10.2), 0.2),
        (SQUARE, SQUARE.difference(shapely.box(4, 4, 6, 6)), 4),
        (shapely.Point(0, 0), shapely.Point(3, 4), 5),
        (LINE, SOLID, UNMEASURED),
        (LINE, SQUARE, UNMEASURED),
        (LINE, None, UNMEASURED),
        (None, None, 0),
    ],
)
def test_the_farthest_vertex_counts(before: BaseGeometry, after: BaseGeometry | None, metres: float) -> None:
    assert apart(before, after) == pytest.approx(metres, abs=1e-6)
    assert apart(after, before) == pytest.approx(metres, abs=1e-6)
