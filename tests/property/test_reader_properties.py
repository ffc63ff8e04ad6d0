"""Whatever a source says comes out again: attributes, geometries, squares, streams."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.checks import wkb as wkb_checks
from ingest.placing.mgrs import square
from ingest.readers.vector.attributes import json_texts
from ingest.readers.vector.geojson_shape import checked, wkb_of
from ingest.readers.vector.json_stream import Broken, Stream

VALUES = st.one_of(st.none(), st.text(max_size=20))
FLOATS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(VALUES, FLOATS, st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), st.one_of(st.none(), st.booleans())), max_size=20
    )
)
def test_attributes_read_back_the_same(rows: list[tuple[Any, ...]]) -> None:
    text, real, whole, flag = ([row[at] for row in rows] for at in range(4))
    table = pa.table(
        {
            't"': pa.array(text, pa.string()),
            "r": pa.array(real, pa.float64()),
            "w": pa.array(whole, pa.int64()),
            "f": pa.array(flag, pa.bool_()),
        }
    )
    made = [json.loads(one) for one in json_texts(table, {"@source": {"layer": "x"}}).to_pylist()]
    assert made == [{'t"': t, "r": r, "w": w, "f": f, "@source": {"layer": "x"}} for t, r, w, f in rows]


COORDINATE = st.tuples(st.floats(-180, 180), st.floats(-85, 85))


@settings(deadline=None)
@given(st.lists(st.lists(COORDINATE, min_size=2, max_size=8), min_size=1, max_size=6), st.booleans())
def test_geojson_lines_keep_every_vertex(lines: list[list[tuple[float, float]]], solid: bool) -> None:
    shapes = [checked({"type": "LineString", "coordinates": [[*v, 1.5] if solid else list(v) for v in line]}) for line in lines]
    for wkb, line in zip(wkb_of(shapes).to_pylist(), lines, strict=True):
        made = shapely.from_wkb(wkb)
        assert made.has_z == solid
        assert [(x, y) for x, y, *_ in made.coords] == line


SIMPLE = st.one_of(
    st.builds(shapely.Point, st.floats(-9, 9), st.floats(-9, 9)),
    st.lists(COORDINATE, min_size=2, max_size=5).map(shapely.LineString),
    st.lists(COORDINATE, min_size=1, max_size=40).map(shapely.MultiPoint),
)
NESTED = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=4).map(shapely.GeometryCollection), max_leaves=10)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), NESTED), min_size=1, max_size=8), st.sampled_from(["iso", "extended"]), st.sampled_from([0, 1]))
def test_wkb_that_is_good_passes_the_scan_and_means_the_same(shapes: list[Any], flavor: str, order: int) -> None:
    column = pa.array([None if s is None else shapely.to_wkb(s, flavor=flavor, byte_order=order) for s in shapes], pa.binary())
    seen = wkb_checks.scan(column)
    assert not seen.bad.any()
    made, _ = wkb_checks.normalised(column, seen)
    for mine, theirs in zip(made.to_pylist(), shapes, strict=True):
        assert (mine is None) == (theirs is None)
        assert theirs is None or shapely.equals_exact(shapely.from_wkb(mine), theirs, tolerance=0.0)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 3), st.sampled_from([4, 5, 6, 7]))
def test_nests_are_refused_exactly_beyond_the_limit(depth: int, cut: int, kind: int) -> None:
    wkb = struct.pack("<BII", 1, kind, 1) * depth + struct.pack("<BI2d", 1, 1, 1.0, 2.0)
    column = pa.array([wkb[: len(wkb) - cut]], pa.binary())
    refused = bool(wkb_checks.scan(column).bad[0])
    assert refused or depth <= wkb_checks.MAX_DEPTH
    if cut and depth > wkb_checks.MAX_DEPTH:
        assert refused


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_scanned_without_an_error(data: bytes) -> None:
    assert wkb_checks.scan(pa.array([data, None, data + data], pa.binary())).bad.shape == (3,)


@settings(deadline=None)
@given(st.floats(-179.9, 179.9), st.floats(-79.9, 83.9).filter(lambda lat: abs(lat) > 1e-6))
def test_the_mgrs_square_of_a_place_holds_the_place(lon: float, lat: float) -> None:
    """Letters made here by the rule of the standard, read back by `square`; zone exceptions of Norway and Svalbard left aside."""
    from pyproj import Transformer

    zone = int((lon + 180) // 6) + 1
    band = "CDEFGHJKLMNPQRSTUVWX"[min(int((lat + 80) // 8), 19)]
    crs = f"EPSG:{(32600 if band >= 'N' else 32700) + zone}"
    east, north = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    if not 100_000 <= east < 900_000:
        return
    column = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")[(zone - 1) % 3][int(east // 100_000) - 1]
    row = "ABCDEFGHJKLMNPQRSTUV"[(int(north // 100_000) + (5 if zone % 2 == 0 else 0)) % 20]
    found = square(f"{zone}{band}{column}{row}")
    assert found is not None
    assert found.crs == crs
    assert 0 <= east - found.easting < 100_000
    assert 0 <= north - found.northing < 100_000


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda i: st.dictionaries(st.text(max_size=4), i, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=6), st.integers(1, 40))
def test_a_stream_gives_every_record_wherever_it_is_cut_into_chunks(tmp_path_factory: Any, records: list[Any], size: int) -> None:
    path: Path = tmp_path_factory.mktemp("json") / "x.geojson"
    features = [{"type": "Feature", "properties": record} for record in records]
    path.write_text(
        json.dumps({"type": "FeatureCollection", "name": "]}", "features": features, "after": [1]}, ensure_ascii=False), encoding="utf-8"
    )
    from ingest.readers.vector import json_stream

    whole, json_stream.CHUNK = json_stream.CHUNK, size
    try:
        stream = Stream(path)
        seen = list(stream.features())
    finally:
        json_stream.CHUNK = whole
    assert not any(isinstance(record, Broken) for record in seen)
    assert seen == features
    assert stream.members["after"] == [1]


def test_scanning_is_by_column_and_not_by_row() -> None:
    """A column of 200,000 points is judged in a blink: no Python per row."""
    import time

    data = np.tile(np.frombuffer(struct.pack("<BI2d", 1, 1, 1.0, 2.0), dtype=np.uint8), 200_000)
    offsets = pa.py_buffer(np.arange(0, 21 * 200_001, 21, dtype=np.int32))
    column = pa.BinaryArray.from_buffers(pa.binary(), 200_000, [None, offsets, pa.py_buffer(data)])
    start = time.process_time()
    assert not wkb_checks.scan(column).bad.any()
    assert time.process_time() - start < 1.0
