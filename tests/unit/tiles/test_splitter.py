"""Splitting features: whole, in every cell that they touch, owned once, measured so that the cells add up; refused when they cannot be."""

import json
import struct
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import Geod

from tests.support.features import SEOUL, a_batch, cell, place, random_shapes
from tiles import recount
from tiles.batch import Batch, Content, LayerKind, Quantities
from tiles.errors import InvalidContent
from tiles.features import codec as features_codec
from tiles.features import splitter as split
from tiles.features.splitter import FeatureSplitter
from tiles.grid import grid


def split_all(out, *batches, **options):
    splitter = FeatureSplitter(out, layer="hdmap", part=0, **options)
    for batch in batches:
        splitter.add(batch)
    tiles = list(splitter.finish())
    return splitter, tiles


def rows_of(out, tiles):
    """{feature_id: {cell: row}} of all tiles."""
    found = {}
    for tile in tiles:
        for row in features_codec.read(out / tile.path).to_pylist():
            found.setdefault(row["feature_id"], {})[tile.cell] = row
    return found


def line(*places):
    return shapely.LineString([place(*p) for p in places])


def total(tiles):
    return sum((t.quantities for t in tiles), Quantities())


def test_every_feature_is_whole_in_every_cell_it_touches_and_owned_once(tmp_path):
    shapes = random_shapes(160)
    splitter, tiles = split_all(tmp_path, a_batch(shapes))
    found = rows_of(tmp_path, tiles)
    assert len(found) == 160
    for k, shape in enumerate(shapes):
        cells = found[f"f{k:05d}"]
        owners = [c for c, row in cells.items() if row["owner"]]
        lon, lat = shapely.get_coordinates(shape)[0]
        assert owners == grid.cells_at(lon, lat).tolist()
        assert {row["geometry"] for row in cells.values()} == {shapely.to_wkb(shape, flavor="iso")}
        assert {row["properties"] for row in cells.values()} == {json.dumps({"n": k})}
        (x0, x1), (y0, y1) = (np.floor(v).astype(int) for v in grid.tile_xy(shape.bounds[::2], shape.bounds[:0:-2]))
        near = [grid.morton(x, y) for x in range(x0 - 1, x1 + 2) for y in range(y0 - 1, y1 + 2)]
        boxes = dict(zip(near, shapely.box(*grid.bounds_of(np.array(near, np.uint64)).T), strict=True))
        assert set(cells) == {c for c, box in boxes.items() if shapely.intersects(shape, box)}
    assert total(tiles).features == splitter.placed == splitter.rows == 160
    assert not (tmp_path / ".spill").exists() or not list((tmp_path / ".spill").iterdir())


def test_every_tile_passes_verification_and_opens_in_geopandas(tmp_path):
    kinds = ["lane_centre", "sidewalk", "sidewalk", "sign", "lane_centre", "cycleway", "sidewalk", "crossing"] * 10
    _, tiles = split_all(tmp_path, a_batch(random_shapes(80, seed=4), kinds))
    for tile in tiles:
        recount.verify(tmp_path / tile.path, tile)
        frame = gpd.read_parquet(tmp_path / tile.path)
        assert frame.crs.to_authority() == ("OGC", "CRS84")
        assert tuple(frame.total_bounds) == tile.bbox
        geo = json.loads(pq.read_schema(tmp_path / tile.path).metadata[b"geo"])
        assert geo["version"] == "1.1.0"
        about = geo["columns"]["geometry"]
        assert set(about["geometry_types"]) == {g.geom_type + " Z" * g.has_z for g in frame.geometry}
        assert about["covering"]["bbox"]["ymax"] == ["bbox", "ymax"]
        west, south, east, north = grid.bounds(tile.cell)
        assert len(gpd.read_parquet(tmp_path / tile.path, bbox=(west, south, east, north))) == len(frame)
        assert tile.path == f"hdmap/{grid.quadkey(tile.cell)}-0.parquet"


@pytest.mark.parametrize("kind", ["lane_centre", "sidewalk", "cycleway"])
def test_lengths_of_all_cells_add_up_to_the_geodesic_length(tmp_path, kind):
    geod = Geod(ellps="WGS84")
    rng = np.random.default_rng(7)
    lines = [
        shapely.LineString(np.c_[SEOUL[0] + np.cumsum(rng.normal(0, 0.0008, 20)), SEOUL[1] + np.cumsum(rng.normal(0, 0.0008, 20))])
        for _ in range(80)
    ]
    _, tiles = split_all(tmp_path, a_batch(lines, [kind] * 80))
    for k, cells in rows_of(tmp_path, tiles).items():
        whole = geod.geometry_length(lines[int(k[1:])]) * 1000
        assert abs(sum(row["inside_mm"] for row in cells.values()) - whole) <= 0.51
        for number, row in cells.items():
            part = shapely.intersection(lines[int(k[1:])], shapely.box(*grid.bounds(number)))
            assert abs(row["inside_mm"] - geod.geometry_length(part) * 1000) <= 1.01
    amount = {"lane_centre": "lane_mm", "sidewalk": "footway_mm", "cycleway": "cycleway_mm"}[kind]
    assert getattr(total(tiles), amount) == sum(round(geod.geometry_length(g) * 1000) for g in lines)


def test_a_footway_polygon_counts_half_its_perimeter_and_other_polygons_nothing(tmp_path):
    geod = Geod(ellps="WGS84")
    strip = line((0.2, 0.5), (2.7, 0.6)).buffer(0.00001, cap_style="flat")
    ring = shapely.Point(place(0.5, 0.5)).buffer(0.001).difference(shapely.Point(place(0.5, 0.5)).buffer(0.0009))
    _, tiles = split_all(tmp_path, a_batch([strip, ring, strip, strip], ["sidewalk", "sidewalk", "lane_area", "crossing"]))
    perimeter = sum(geod.geometry_length(r) for g in (strip, ring) for r in (g.exterior, *g.interiors))
    assert abs(total(tiles).footway_mm - perimeter * 500) <= 1
    assert total(tiles).lane_mm == 0
    found = rows_of(tmp_path, tiles)
    assert all(row["inside_mm"] is None for k in ("f00002", "f00003") for row in found[k].values())


def test_a_stated_centreline_is_measured_in_place_of_the_geometry(tmp_path):
    geod = Geod(ellps="WGS84")
    centre = line((0.2, 0.5), (2.7, 0.6))
    area = centre.buffer(0.00002)
    beyond = line((0.2, 0.5), (3.5, 0.5))  # runs into a cell that the area does not touch
    kinds = ["lane_area", "sidewalk", "lane_centre", "sign"]
    _, tiles = split_all(tmp_path, a_batch([area, area, centre, centre], kinds, measure=[centre, beyond, None, centre]))
    assert abs(total(tiles).lane_mm - 2 * geod.geometry_length(centre) * 1000) <= 1
    assert abs(total(tiles).footway_mm - geod.geometry_length(beyond) * 1000) <= 1
    found = rows_of(tmp_path, tiles)
    assert cell(3, 0) in found["f00001"]
    assert {row["inside_mm"] for row in found["f00003"].values()} == {None}
    for tile in tiles:
        recount.verify(tmp_path / tile.path, tile)


def test_counted_things_count_in_the_owner_cell_only(tmp_path):
    wide = line((0.5, 0.5), (2.5, 0.5))
    kinds = ["crossing", "sign", "signal", "pole", "no such kind"]
    _, tiles = split_all(tmp_path, a_batch([wide] * 5, kinds))
    by_cell = {t.cell: t.quantities for t in tiles}
    assert set(by_cell) == {cell(0, 0), cell(1, 0), cell(2, 0)}
    owner = by_cell[cell(0, 0)]
    assert (owner.crossings, owner.signs, owner.signals, owner.features) == (1, 1, 1, 5)
    rest = by_cell[cell(1, 0)] + by_cell[cell(2, 0)]
    assert (rest.crossings, rest.signs, rest.signals, rest.features) == (0, 0, 0, 0)


def test_edges_and_corners_belong_to_the_cell_east_and_south(tmp_path):
    shapes = [
        shapely.Point(place(0, 0)),
        line((0, 0.5), (1, 0.5)),  # ends exactly on the next column
        line((0.5, 0), (0.5, 1)),
        line((0, 0), (1, 1)),  # through a corner to a corner
        shapely.box(*(v for p in (place(0, 1), place(1, 0)) for v in p)),
        shapely.box(*(v for p in (place(0.1, 3.9), place(3.9, 0.1)) for v in p)),  # with whole cells inside
    ]
    _, tiles = split_all(tmp_path, a_batch(shapes))
    found = {k: set(v) for k, v in rows_of(tmp_path, tiles).items()}
    assert found["f00000"] == {cell(0, 0)}
    assert found["f00001"] == {cell(0, 0), cell(1, 0)}
    assert found["f00002"] == {cell(0, 0), cell(0, 1)}
    assert found["f00003"] == {cell(0, 0), cell(1, 1)}
    assert found["f00004"] == {cell(x, y) for x in (0, 1) for y in (0, 1)}
    assert found["f00005"] == {cell(x, y) for x in range(4) for y in range(4)}


def fingerprint(out, tiles):
    return [(t.cell, t.sha256, t.quantities) for t in tiles], {t.path: (out / t.path).read_bytes() for t in tiles}


def test_bytes_depend_neither_on_batches_nor_on_processes_nor_on_memory(tmp_path, monkeypatch):
    shapes = random_shapes(300, seed=2)
    kinds = ["lane_centre", "sidewalk", "sign", "crossing", "cycleway", "sidewalk"] * 50
    ids = [f"f{k % 250}" for k in range(300)]  # some ids twice: then the order of the source counts
    whole = a_batch(shapes, kinds, ids=ids)
    first, expected = tmp_path / "a", None
    monkeypatch.setattr(split, "_PIECE_ROWS", 64)
    for name, options, cut in (("a", {}, 300), ("b", {}, 7), ("c", {"processes": 2}, 60), ("d", {"processes": 3, "memory_mb": 1}, 11)):
        out = tmp_path / name
        parts = [Batch(whole.content, whole.layer, whole.kind, whole.table.slice(i, cut)) for i in range(0, 300, cut)]
        _, tiles = split_all(out, *parts, **options)
        assert [t.cell for t in tiles] == sorted(t.cell for t in tiles)
        expected = expected or fingerprint(out, tiles)
        assert fingerprint(out, tiles) == expected
    assert first.exists()


def read_part(part):
    seed, n = part
    yield a_batch(random_shapes(n, seed), ids=[f"{seed}/{k}" for k in range(n)])


def test_processes_may_read_the_parts_of_a_source_themselves(tmp_path):
    parts = [(1, 40), (2, 50), (3, 60)]
    outs = []
    for name, processes in (("a", 1), ("b", 2)):
        splitter = FeatureSplitter(tmp_path / name, layer="hdmap", part=0, processes=processes)
        splitter.add_each(read_part, parts)
        outs.append(fingerprint(tmp_path / name, list(splitter.finish())))
        assert (splitter.rows, splitter.placed) == (150, 150)
    _, tiles = split_all(tmp_path / "c", *(b for p in parts for b in read_part(p)))
    assert outs[0] == outs[1] == fingerprint(tmp_path / "c", tiles)


def test_extra_columns_and_coded_types_are_kept(tmp_path):
    shapes = random_shapes(16)
    level = pa.array([f"level {k % 3}" for k in range(16)]).dictionary_encode()
    seen = pa.array(range(16), pa.timestamp("ms", "UTC"))
    nested = pa.array([[k, k + 1] for k in range(16)])
    batch = a_batch(shapes, level=level, seen=seen, nested=nested)
    _, tiles = split_all(tmp_path, batch)
    for cells in rows_of(tmp_path, tiles).values():
        for row in cells.values():
            k = json.loads(row["properties"])["n"]
            assert (row["level"], row["nested"]) == (f"level {k % 3}", [k, k + 1])
            assert row["seen"].timestamp() * 1000 == k


def test_batches_with_other_extra_columns_meet_in_one_tile(tmp_path):
    point = [shapely.Point(place(0.5, 0.5))]
    _, tiles = split_all(tmp_path, a_batch(point, ids=["a"], one=pa.array([1])), a_batch(point, ids=["b"], two=pa.array(["x"])))
    rows = features_codec.read(tmp_path / tiles[0].path).to_pylist()
    assert [(r["feature_id"], r["one"], r["two"]) for r in rows] == [("a", 1, None), ("b", None, "x")]


def test_features_without_geometry_are_counted_as_unplaced(tmp_path):
    misfits = []
    splitter, tiles = split_all(tmp_path, a_batch([shapely.Point(SEOUL), None, None]), misfits=misfits)
    assert (splitter.rows, splitter.placed, splitter.unplaced, splitter.rejected) == (3, 1, 2, 0)
    assert [(m.row, m.feature_id, m.code) for m in misfits] == [(1, "f00001", "feature.unplaced"), (2, "f00002", "feature.unplaced")]
    assert total(tiles).features == 1
    assert split_all(tmp_path / "b", a_batch([None]))[1] == []


BAD = {
    "geometry.malformed": b"\x01\x02\x00",
    "geometry.empty": shapely.to_wkb(shapely.LineString()),
    "geometry.not_finite": struct.pack("<BIdd", 1, 1, float("nan"), 37),
    "geometry.out_of_range": struct.pack("<BIdd", 1, 1, 37, 127),
    "geometry.too_wide": shapely.to_wkb(shapely.box(120, 30, 130, 40)),
}


@pytest.mark.parametrize("code", BAD)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_broken_feature_is_refused_by_name_or_left_out_and_reported(tmp_path, monkeypatch, code, processes):
    monkeypatch.setattr(split, "_PIECE_ROWS", 1)
    good = shapely.to_wkb(shapely.Point(SEOUL))
    batch = a_batch(None, wkb=[good, good, good, BAD[code], good])
    with pytest.raises(InvalidContent, match="f00003") as caught:
        split_all(tmp_path / "a", batch, processes=processes)
    assert caught.value.code == code
    misfits = []
    splitter, tiles = split_all(tmp_path / "b", batch, processes=processes, misfits=misfits)
    assert [(m.row, m.feature_id, m.code) for m in misfits] == [(3, "f00003", code)]
    assert (splitter.rows, splitter.placed, splitter.rejected) == (5, 4, 1)
    assert total(tiles).features == 4


def test_a_broken_centreline_is_reported_as_well(tmp_path):
    batch = a_batch([shapely.Point(SEOUL).buffer(0.001)], ["lane_area"])
    table = batch.table.append_column("measure", pa.array([struct.pack("<BIIdddd", 1, 2, 2, 127, 37, float("nan"), 37)]))
    misfits = []
    splitter, tiles = split_all(tmp_path, Batch(batch.content, batch.layer, batch.kind, table), misfits=misfits)
    assert [m.code for m in misfits] == ["geometry.not_finite"]
    assert (splitter.rejected, tiles) == (1, [])


def test_a_large_outline_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tiles.features.assign.MAX_COPIES", 10_000)
    misfits = []
    long = shapely.segmentize(line((0.5, 0.5), (30.5, 0.5)), 0.001)
    splitter, tiles = split_all(tmp_path, a_batch([long, line((0.5, 0.5), (30.5, 0.5))]), misfits=misfits)
    assert [m.code for m in misfits] == []  # 30 cells are few: only wider ones are looked at
    long = shapely.segmentize(line((0.5, 0.5), (90.5, 0.5)), 0.001)
    splitter, tiles = split_all(tmp_path / "b", a_batch([long, line((0.5, 0.5), (90.5, 0.5))]), misfits=misfits)
    assert [(m.feature_id, m.code) for m in misfits] == [("f00000", "geometry.too_wide")]
    assert len(tiles) == 91


@pytest.mark.parametrize(
    "batch",
    [
        Batch(Content.POINTS, "p", LayerKind.POINTCLOUD, pa.table({"x": [1.0]})),
        Batch(Content.FEATURES, "p", LayerKind.HDMAP, pa.table({"feature_id": ["a"]})),
        Batch(Content.FEATURES, "p", LayerKind.HDMAP, a_batch([shapely.Point(SEOUL)]).table, crs="EPSG:5186"),
        a_batch([shapely.Point(SEOUL)], owner=pa.array([True])),
        a_batch([shapely.Point(SEOUL)], bbox=pa.array([1])),
    ],
)
def test_what_cannot_be_split_as_features_is_refused(tmp_path, batch):
    with pytest.raises(InvalidContent):
        split_all(tmp_path, batch)


@pytest.mark.parametrize("layer", ["", "..", "a/b", "/abs", "a b", ".hidden", "x" * 65])
def test_a_layer_name_that_is_no_plain_folder_is_refused(tmp_path, layer):
    with pytest.raises(InvalidContent):
        FeatureSplitter(tmp_path, layer=layer, part=0)
    assert list(tmp_path.iterdir()) == []


def die(part):
    import os

    os._exit(9) if part else None
    yield a_batch([shapely.Point(SEOUL)])


def test_a_worker_that_dies_is_an_error_and_leaves_nothing_behind(tmp_path, monkeypatch):
    splitter = FeatureSplitter(tmp_path, layer="hdmap", part=0, processes=2)
    monkeypatch.setattr(splitter, "_own", SimpleNamespace(read=lambda *_: (0, [])))  # only the worker meets the deadly part
    with pytest.raises(InvalidContent) as caught:
        splitter.add_each(die, [1, 1, 1])
    assert caught.value.code == "split.died"
    splitter.close()
    assert list((tmp_path / ".spill").iterdir()) == []


def test_where_no_process_may_start_one_does_it_all(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError("seccomp")

    shapes = random_shapes(40)
    _, expected = split_all(tmp_path / "a", a_batch(shapes))
    monkeypatch.setattr(split, "_PIECE_ROWS", 4)
    monkeypatch.setattr("multiprocessing.context.ForkProcess.start", refuse)
    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    _, tiles = split_all(tmp_path / "b", a_batch(shapes), processes=4)
    assert tiles == expected
