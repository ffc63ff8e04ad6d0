"""Coordinates of many WKB geometries at once: the same as those of shapely, and bad bytes never pass."""

import struct

import numpy as np
import pyarrow as pa
import pytest
import shapely

from tests.support.features import random_shapes
from tiles.features import wkb


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind or pa.binary())])


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("flavor", ["iso", "extended"])
def test_vertices_bounds_and_types_are_those_of_shapely(kind, order, flavor):
    shapes = random_shapes(160)
    found = wkb.decode(column(shapely.to_wkb(shapes, byte_order=order, flavor=flavor).tolist(), kind))
    assert not found.status.any()
    assert sorted(found.rows.tolist()) == list(range(160))
    assert (found.bounds() == shapely.bounds(shapes)[found.rows]).all()
    for k, row in enumerate(found.rows.tolist()):
        i, j = found.start[k], found.start[k + 1]
        assert (np.c_[found.lon[i:j], found.lat[i:j]] == shapely.get_coordinates(shapes[row])).all()
        assert wkb.TYPES[found.code[row] % 1000] == shapes[row].geom_type
        assert found.code[row] // 1000 == shapes[row].has_z
        assert found.area[row] == ("Polygon" in shapes[row].geom_type or shapes[row].geom_type == "GeometryCollection")
        paths = shapely.get_num_geometries(shapes[row]) if shapes[row].geom_type.startswith("Multi") else 1
        if "Polygon" not in shapes[row].geom_type and shapes[row].geom_type != "GeometryCollection":
            assert found.path_end[i:j].sum() == paths


def test_a_slice_of_a_larger_column_is_read_from_its_own_rows():
    shapes = random_shapes(40)
    whole = pa.array(shapely.to_wkb(shapes, flavor="iso").tolist(), pa.binary())
    found = wkb.decode(whole.slice(10, 20))
    assert (found.bounds()[np.argsort(found.rows)] == shapely.bounds(shapes[10:30])).all()


def a_polygon(points):
    return struct.pack("<BIII", 1, 3, 1, len(points)) + np.asarray(points, "<f8").tobytes()


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (None, wkb.MISSING),
        (b"", wkb.MALFORMED),
        (b"\x01", wkb.MALFORMED),
        (b"not wkb at all, but long enough", wkb.MALFORMED),
        (struct.pack("<BIdd", 1, 1, 127, 37)[:-1], wkb.MALFORMED),
        (struct.pack("<BII", 1, 2, 1000) + b"\0" * 64, wkb.MALFORMED),
        (struct.pack("<BII", 1, 2, 4_000_000_000) + b"\0" * 64, wkb.MALFORMED),
        (struct.pack("<BIIdd", 1, 2, 1, 127, 37), wkb.MALFORMED),
        (shapely.to_wkb(shapely.Point()), wkb.EMPTY),
        (shapely.to_wkb(shapely.LineString()), wkb.EMPTY),
        (shapely.to_wkb(shapely.MultiPolygon()), wkb.EMPTY),
        (struct.pack("<BIdd", 1, 1, np.nan, 37), wkb.NOT_FINITE),
        (struct.pack("<BIdd", 1, 1, 127, np.inf), wkb.NOT_FINITE),
        (struct.pack("<BIIdddd", 1, 2, 2, 127, 37, np.nan, 37), wkb.NOT_FINITE),
        (struct.pack("<BIIdddd", 1, 2, 2, 127, 37, -np.inf, 37), wkb.NOT_FINITE),
        (struct.pack("<BIdd", 1, 1, 180.01, 37), wkb.OFF_GRID),
        (struct.pack("<BIdd", 1, 1, 37, 127), wkb.OFF_GRID),
        (struct.pack("<BIdd", 1, 1, 37, -85.06), wkb.OFF_GRID),
        (a_polygon([(0, 0), (1, 0), (1, 1), (0, 1)]), wkb.UNCLOSED),
        (a_polygon([(0, 0), (1, 0), (1, 1), (0, 0)]), wkb.OK),
        (struct.pack("<BIdd", 1, 1, 127, 37), wkb.OK),
    ],
)
def test_every_fault_has_its_status_and_leaves_its_neighbours_alone(value, status):
    good = shapely.to_wkb(shapely.LineString([(127, 37), (127.1, 37.1)]))
    found = wkb.decode(column([good, value, good]))
    assert found.status.tolist() == [wkb.OK, status, wkb.OK]
    assert sorted(found.rows.tolist()) == ([0, 1, 2] if status == wkb.OK else [0, 2])
    assert status == wkb.OK or status in wkb.REASONS


def test_a_column_of_nothing_is_read():
    assert len(wkb.decode(column([])).rows) == 0
    assert wkb.decode(column([None, None])).status.tolist() == [wkb.MISSING] * 2
    assert len(wkb.decode(column([None])).bounds()) == 0


def test_foreign_dialects_are_written_again_as_iso_and_others_left_alone():
    shape = shapely.set_srid(shapely.Point(127, 37, 5), 4326)
    iso = shapely.to_wkb(shapely.Point(127, 37, 5), flavor="iso", byte_order=1)
    values = [
        shapely.to_wkb(shape, flavor="extended", include_srid=True),
        iso,
        shapely.to_wkb(shape, flavor="iso", byte_order=0),
        None,
        iso,
    ]
    array = pa.array(values, pa.binary())
    assert wkb.to_iso(array, wkb.decode(array).code).to_pylist() == [iso, iso, iso, None, iso]
    same = pa.array([iso, None], pa.binary())
    assert wkb.to_iso(same, wkb.decode(same).code) is same
