"""Rules of splitting that hold for any features."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from tests.support.features import X, Y, a_batch, place
from tiles import recount
from tiles.batch import Quantities
from tiles.features import codec as features_codec
from tiles.features import wkb
from tiles.features.assign import assign
from tiles.features.measure import Inside, inside, metres, millimetres
from tiles.features.splitter import FeatureSplitter
from tiles.grid import grid

step = st.one_of(st.integers(-3, 3).map(float), st.floats(-3, 3))
spots = st.tuples(step, step).map(lambda p: place(*p))
lines = st.lists(spots, min_size=2, max_size=8, unique=True).map(shapely.LineString)
hulls = st.lists(spots, min_size=3, max_size=8, unique=True).map(lambda p: shapely.MultiPoint(p).convex_hull)
shapes = st.one_of(spots.map(shapely.Point), lines, hulls, st.lists(lines, min_size=1, max_size=3).map(shapely.MultiLineString))
kinds = st.sampled_from(["lane_centre", "sidewalk", "cycleway", "crossing", "sign", "lane_area", "other"])
GEOD = Geod(ellps="WGS84")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(shapes, kinds), min_size=1, max_size=12))
def test_split_conserves_features_bytes_owners_and_lengths(features):
    given_shapes, given_kinds = zip(*features, strict=True)
    batch = a_batch(list(given_shapes), list(given_kinds))
    with tempfile.TemporaryDirectory() as folder:
        splitter = FeatureSplitter(Path(folder), layer="hdmap", part=0)
        splitter.add(batch)
        tiles = list(splitter.finish())
        rows = pa.concat_tables([features_codec.read(Path(folder) / t.path) for t in tiles]).to_pylist()
        assert all(fault is None for _, fault in recount.verify_each((Path(folder) / t.path, t) for t in tiles))
    owned = {row["feature_id"]: row for row in rows if row["owner"]}
    assert len(owned) == len(features) == sum(row["owner"] for row in rows)
    for before in batch.table.to_pylist():
        after = owned[before["feature_id"]]
        assert {name: after[name] for name in before} == before
    total = sum((t.quantities for t in tiles), Quantities())
    assert total.features == len(features)
    for name, kind in (("lane_mm", "lane_centre"), ("cycleway_mm", "cycleway")):
        wholes = [GEOD.geometry_length(g) * 1000 for g, k in features if k == kind and g.geom_type.endswith("LineString")]
        if not any(g.area for g, k in features if k == kind):
            # Half a millimetre a feature for rounding; pieces cut at cell edges are a little longer than the geodesic between their ends.
            assert abs(getattr(total, name) - sum(wholes)) <= 0.5 * len(wholes) + 1e-3 + 1e-8 * sum(wholes)


@settings(max_examples=200, deadline=None)
@given(shapes)
def test_a_feature_goes_to_the_cells_of_its_vertices_and_to_all_it_runs_through(shape):
    found = assign(a_batch([shape]).table)
    if found.status[0] != wkb.OK:
        return
    cells = set(found.cell.tolist())
    assert len(cells) == len(found.cell)
    assert found.owner.sum() == 1
    ends = shapely.get_coordinates(shape)
    assert set(grid.cells_at(ends[:, 0], ends[:, 1]).tolist()) <= cells
    x, y = (v.ravel() for v in np.meshgrid(np.arange(X - 5, X + 5), np.arange(Y - 5, Y + 5)))
    every = grid.morton(x, y)
    boxes = shapely.box(*grid.bounds_of(every).T)
    touched = set(every[shapely.intersects(shape, boxes)].tolist())
    crossed = set(every[shapely.relate_pattern(shape, boxes, "T********")].tolist())
    assert cells <= touched
    # A sliver thinner than rounding may be missed: what is passed for more than a micrometre is not.
    for c in crossed - cells:
        assert shapely.intersection(shape, shapely.box(*grid.bounds(c))).length < 1e-11


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 10**9)), max_size=30), st.sampled_from([1000, 2000]))
def test_millimetres_of_the_cells_of_a_row_add_up_to_its_rounded_whole(entries, divisor):
    unique = sorted({(r, c): um for r, c, um in entries}.items())
    row, cell = (np.array([k[i] for k, _ in unique], np.int64) for i in (0, 1))
    um = np.array([v for _, v in unique], np.int64)
    mm = millimetres(Inside(row, cell.astype(np.uint64), um), np.full(len(row), divisor))
    assert (np.abs(mm * divisor - um) <= divisor).all()
    assert (mm >= 0).all()
    for r in set(row.tolist()):
        assert mm[row == r].sum() == (um[row == r].sum() + divisor // 2) // divisor


@given(st.floats(-84, 84), st.floats(0, 0.005), st.floats(-0.005, 0.005))
def test_short_lengths_are_geodesic_to_a_micrometre(lat, east, north):
    _, _, exact = GEOD.inv(10, lat, 10 + east, lat + north)
    found = metres(np.array([10.0]), np.array([lat]), np.array([10 + east]), np.array([lat + north]))[0]
    assert abs(found - exact) < 1e-6 + 1e-9 * exact


@settings(max_examples=100, deadline=None)
@given(lines)
def test_the_pieces_of_a_line_are_as_long_as_the_line(line):
    if not line.is_valid:
        return
    found = inside(wkb.decode(pa.array([shapely.to_wkb(line)], pa.binary())))
    assert abs(found.um.sum() / 1e6 - GEOD.geometry_length(line)) < 1e-4
