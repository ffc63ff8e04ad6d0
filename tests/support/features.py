"""Small builders of feature batches for the tests of splitting."""

import json

import numpy as np
import pyarrow as pa
import shapely

from tiles.batch import Batch, Content, LayerKind
from tiles.grid import grid

SEOUL = (126.98, 37.57)
X, Y = grid.xy(int(grid.cells_at(*SEOUL)[0]))


def place(dx, dy):
    """Degrees of a place `dx` columns east and `dy` rows south of the corner of a cell in Seoul; whole numbers are on the grid."""
    return float(grid.lon_of(X + dx)), float(grid.lat_of(Y + dy))


def cell(dx, dy):
    return grid.morton(X + dx, Y + dy)


def a_batch(shapes, kinds=None, *, ids=None, measure=None, wkb=None, **extra):
    """A batch of shapely geometries (None = without geometry)."""
    n = len(shapes if wkb is None else wkb)
    columns = {
        "feature_id": pa.array(ids or [f"f{k:05d}" for k in range(n)]),
        "kind": pa.array(kinds or ["other"] * n),
        "geometry": pa.array(
            wkb if wkb is not None else [None if g is None else shapely.to_wkb(g, flavor="iso") for g in shapes], pa.binary()
        ),
        "properties": pa.array([json.dumps({"n": k}) for k in range(n)]),
    }
    if measure is not None:
        columns["measure"] = pa.array([None if g is None else shapely.to_wkb(g, flavor="iso") for g in measure], pa.binary())
    columns.update(extra)
    return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, pa.table(columns))


def random_shapes(n, seed=0, spread=0.012, size=0.003):
    """Shapes of every type, many with heights, most of them near cell edges."""
    rng = np.random.default_rng(seed)
    shapes = []
    for k in range(n):
        x, y = SEOUL[0] + rng.normal(0, spread), SEOUL[1] + rng.normal(0, spread)
        c = np.c_[x + np.cumsum(rng.normal(0, size, 9)), y + np.cumsum(rng.normal(0, size, 9)), rng.uniform(0, 90, 9)]
        c = c if k % 3 else c[:, :2]
        blob = shapely.Point(x, y).buffer(abs(rng.normal(0, 2 * size)) + 1e-5)
        shapes.append(
            [
                lambda c=c: shapely.Point(c[0]),
                lambda c=c: shapely.LineString(c),
                lambda b=blob: b,
                lambda c=c: shapely.MultiPoint(c),
                lambda c=c: shapely.MultiLineString([c[:4], c[4:]]),
                lambda b=blob: b.difference(shapely.centroid(b).buffer(b.length / 20)),
                lambda b=blob: shapely.MultiPolygon([b, shapely.affinity.translate(b, 0.05, 0.01)]),
                lambda c=c, b=blob: shapely.GeometryCollection([shapely.LineString(c[:, :2]), b, shapely.Point(c[0][:2])]),
            ][k % 8]()
        )
    return shapes
