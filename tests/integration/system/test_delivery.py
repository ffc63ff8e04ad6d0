"""Files of the buyer's own format, opened by the tools that read them: in -> tiles -> out -> in is the same map, the same points."""

from __future__ import annotations

import json
import sqlite3
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import yaml
from pyproj import CRS, Transformer

from ingest.conversion.local import tile_file
from mapex.cli import main
from mapex.errors import Conflict, Invalid
from mapex.intake.placement import Placement
from mapex.writers import delivery
from mapex.writers.formats import WRITTEN, format_named
from mapex.writers.target import Target, target_of
from tests.support.clouds import a_las, a_pcd, sorted_records

MM = 0.001
VECTOR = [row.name for row in WRITTEN if not row.is_cloud]
OURS = {"feature_id", "kind", "source", "fid", "@source", "crs"}
"""Columns that a writer adds, and what a reader puts under no attribute."""


def written(tiles: Path, name: str, out: Path, crs: str | None = None, heights: str | None = None) -> delivery.Written:
    row = format_named(name)
    found = delivery.found_in(sorted(tiles.rglob("*.parquet")) + sorted(tiles.rglob("*.laz")))
    (one,) = delivery.write(row, found.of(row), out / f"map{row.ending}", target_of(crs, heights), lambda _done, _all: None)
    return one


def features_in(tiles: Path) -> dict[tuple[str, str], tuple[shapely.Geometry, dict[str, Any]]]:
    """Kind and id of the features that tiles own -> geometry and attributes that are not null."""
    found = {}
    for path in tiles.rglob("*.parquet"):
        for row in pq.ParquetFile(path).read().to_pylist():
            if row["owner"]:
                attributes = {k: v for k, v in json.loads(row["properties"]).items() if v is not None and k not in OURS}
                found[row["kind"], row["feature_id"]] = (shapely.from_wkb(row["geometry"]), attributes)
    return found


def apart_m(one: shapely.Geometry, other: shapely.Geometry) -> float:
    """How far the vertex that moved most is from its place; rings may go round the other way, from the same vertex."""
    assert (one.geom_type, one.has_z) == (other.geom_type, other.has_z)
    far = 0.0
    for part, there in zip(_paths(one), _paths(other), strict=True):
        here, ways = shapely.get_coordinates(part, include_z=True), (there, shapely.reverse(there))
        metres = [111_320 * np.cos(np.radians(here[0, 1])), 111_320, 1.0]
        far = max(far, min(float(np.nanmax(np.abs(here - shapely.get_coordinates(way, include_z=True)) * metres)) for way in ways))
    return far


def _paths(shape: shapely.Geometry) -> list[shapely.Geometry]:
    parts = shapely.get_parts(shape).tolist()
    return [ring for part in parts for ring in (shapely.get_rings(part).tolist() if part.geom_type == "Polygon" else [part])]


@pytest.fixture(scope="module")
def autoware(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiles of a real Lanelet2 map: nested attributes, regulatory elements, points with heights."""
    return tiled(samples / "lanelet2" / "kashiwa_mgrs_lanelet2_map.osm", tmp_path_factory.mktemp("sold"))


@pytest.fixture(scope="module")
def ngii(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiles of an NGII delivery: Korean texts, signs that stand upright, heights above the ellipsoid."""
    return tiled(next((samples / "ngii_synthetic" / "model2020").rglob("HDMap_UTM52N*")), tmp_path_factory.mktemp("sold"))


def tiled(source: Path, out: Path) -> Path:
    tile_file(source, out, Placement())
    return out


@pytest.mark.parametrize(("fixture", "crs"), [("autoware", None), ("ngii", "EPSG:5186")])
@pytest.mark.parametrize("name", VECTOR)
def test_a_map_comes_back_from_each_format_as_it_was_sold(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, fixture: str, crs: str | None
) -> None:
    sold: Path = request.getfixturevalue(fixture)
    before = features_in(sold)
    one = written(sold, name, tmp_path, crs)
    tile_file(one.path, tmp_path / "back", Placement())
    after = features_in(tmp_path / "back")
    changes = one.changes.as_json()
    assert one.count == len(before) and set(after) == set(before)
    labels = {change["column"]: change["as"] for change in changes if change["change"] == "renamed"}
    changed = {change["column"] for change in changes if change["change"] in {"too_long", "rounded", "mixed_text", "blank", "nested_text"}}
    for key, (shape, attributes) in before.items():
        there, found = after[key]
        assert apart_m(shape, there) <= MM
        kept = {labels.get(k, k): v for k, v in attributes.items() if k not in changed}
        assert {k: found.get(k) for k in kept} == kept, key


def test_qgis_finds_a_default_style_for_each_layer_of_a_geopackage(ngii: Path, tmp_path: Path) -> None:
    one = written(ngii, "geopackage", tmp_path)
    with sqlite3.connect(one.path) as db:
        rows = db.execute("SELECT f_table_name, f_geometry_column, styleQML, useAsDefault, f_table_schema FROM layer_styles").fetchall()
        shapes = dict(db.execute("SELECT table_name, geometry_type_name FROM gpkg_geometry_columns").fetchall())
    numbers = {"POINT": 0, "LINESTRING": 1, "POLYGON": 2, "MULTIPOINT": 0, "MULTILINESTRING": 1, "MULTIPOLYGON": 2}
    assert {row[0] for row in rows} == {name for name, shape in shapes.items() if shape in numbers} <= set(one.layers)
    for table, column, qml, is_default, schema in rows:
        style = ET.fromstring(qml)
        symbol = style.find("renderer-v2/symbols/symbol")
        assert (column, is_default, schema) == ("geom", 1, "") and symbol is not None and symbol.find("layer/Option/Option") is not None
        assert style.findtext("layerGeometryType") == str(numbers[shapes[table]])


def test_geojson_keeps_the_right_hand_rule_and_names_whose_rings_it_turned(ngii: Path, tmp_path: Path) -> None:
    one = written(ngii, "geojson", tmp_path)
    features = json.loads(one.path.read_text())["features"]
    areas = [shapely.geometry.shape(f["geometry"]) for f in features if f["geometry"]["type"] == "Polygon"]
    assert all(area.exterior.is_ccw for area in areas if area.area > 1e-14)
    turned = [change for change in one.changes.as_json() if change["change"] == "rings"]
    clockwise = {i for (_, i), (s, _) in features_in(ngii).items() if s.geom_type == "Polygon" and s.area > 1e-14 and not s.exterior.is_ccw}
    assert clockwise <= {i for change in turned for i in change["features"]}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of two LAS files of one form, whose offsets differ by whole steps, and the files."""
    folder = tmp_path_factory.mktemp("cloud")
    a_las(folder / "one.las", 4000, point_format=7, extra=True, seed=1)
    a_las(folder / "two.las", 3000, point_format=7, extra=True, seed=2, at=(457_900.0, 5_427_000.0, 110.0))
    for name in ("one", "two"):
        tile_file(folder / f"{name}.las", folder / "tiles" / name, Placement(height_datum="ellipsoid"))
    return folder


def test_a_laz_of_all_tiles_has_every_point_bit_for_bit(cloud: Path, tmp_path: Path) -> None:
    one = written(cloud / "tiles", "laz", tmp_path)
    given = [laspy.read(cloud / f"{name}.las") for name in ("one", "two")]
    found = laspy.read(one.path)
    assert (one.count, len(found), found.header.parse_crs().to_epsg()) == (7000, 7000, 32632)
    for name in given[0].point_format.dimension_names:
        if name not in ("X", "Y", "Z"):
            assert np.array_equal(np.sort(found[name]), np.sort(np.concatenate([las[name] for las in given]))), name
    for axis in "xyz":
        assert np.abs(np.sort(found[axis]) - np.sort(np.concatenate([las[axis] for las in given]))).max() < 1e-6
    assert found.header.mins == pytest.approx(np.min([las.header.mins for las in given], axis=0), abs=1e-6)
    single = written(cloud / "tiles" / "one", "laz", tmp_path / "single" if (tmp_path / "single").mkdir() is None else tmp_path)
    assert np.array_equal(sorted_records([single.path]), sorted_records([cloud / "one.las"]))


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4326"])
def test_a_cloud_in_another_system_is_where_proj_puts_it(cloud: Path, tmp_path: Path, crs: str) -> None:
    one = written(cloud / "tiles", "laz", tmp_path, crs)
    given = laspy.read(cloud / "one.las")
    x, y = Transformer.from_crs("EPSG:32632", crs, always_xy=True).transform(given.x, given.y)
    found = laspy.read(one.path)
    assert found.header.parse_crs() == CRS(crs) and one.crs == crs
    near = MM if crs == "EPSG:3857" else 1e-8
    times = {time: k for k, time in enumerate(found.gps_time)}
    at = [times[time] for time in given.gps_time if time in times]
    assert len(at) > 1000
    known = np.isin(given.gps_time, found.gps_time)
    for values, there, step in ((x, found.x, near), (y, found.y, near), (given.z, found.z, MM)):
        assert np.abs(np.asarray(values)[known] - np.asarray(there)[at]).max() <= step


@pytest.mark.parametrize(("point_format", "crs"), [(3, None), (7, "EPSG:3857")])
def test_a_copc_is_read_by_range_and_its_nodes_hold_what_they_promise(tmp_path: Path, point_format: int, crs: str | None) -> None:
    import copclib

    given = laspy.read(a_las(tmp_path / "given.las", 120_000, point_format=point_format, extra=True))
    tile_file(tmp_path / "given.las", tmp_path / "tiles", Placement())
    one = written(tmp_path / "tiles", "copc", tmp_path, crs)
    oracle = copclib.FileReader(str(one.path))
    nodes = oracle.GetAllNodes()
    assert oracle.ValidateSpatialBounds() and sum(node.point_count for node in nodes) == one.count == 120_000
    assert len(nodes) > 4 and max(node.point_count for node in nodes) < 60_000
    with one.path.open("rb") as stream:
        reader = laspy.CopcReader(stream)
        found = reader.query()
        assert len(reader.query(level=0)) < len(found) == 120_000 and reader.header.parse_crs() == CRS(crs or "EPSG:32632")
    order = [np.argsort(np.asarray(points["gps_time"])) for points in (given, found)]
    same = ("intensity", "return_number", "classification", "user_data", "point_source_id", "gps_time", "red", "echo_width", "reflectance")
    for field in (*same, *(() if crs else "xyz")):
        here, there = (np.asarray(points[field])[some] for points, some in zip((given, found), order, strict=True))
        assert np.abs(here.astype(np.float64) - there.astype(np.float64)).max() < 1e-6, field
    if point_format == 3:
        ranks = np.asarray(given["scan_angle_rank"])[order[0]]
        assert np.abs(np.asarray(found["scan_angle"])[order[1]] * 0.006 - ranks).max() <= 0.003
        assert [change["as"] for change in one.changes.as_json() if change["change"] == "point_format"] == ["7"]
    assert tile_file(one.path, tmp_path / "back", Placement())["layers"][0]["counts"]["placed"] == 120_000


@pytest.mark.parametrize("name", ["pcd", "ply"])
def test_open3d_reads_every_point_and_field(cloud: Path, tmp_path: Path, name: str) -> None:
    import open3d

    one = written(cloud / "tiles", name, tmp_path)
    found = open3d.t.io.read_point_cloud(str(one.path))
    given = [laspy.read(cloud / f"{part}.las") for part in ("one", "two")]
    xyz = found.point.positions.numpy()
    assert xyz.dtype == np.float64 and len(xyz) == 7000
    for column, axis in enumerate("xyz"):
        assert np.abs(np.sort(xyz[:, column]) - np.sort(np.concatenate([las[axis] for las in given]))).max() < 1e-6
    for field in ("intensity", "gps_time", "reflectance", "classification"):
        values = np.concatenate([np.asarray(las[field]) for las in given])
        assert np.array_equal(np.sort(getattr(found.point, field).numpy().ravel()), np.sort(values)), field


@pytest.mark.parametrize("name", ["pcd", "ply", "laz"])
def test_a_cloud_that_was_no_las_file_comes_back_with_its_own_fields(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(5)
    columns = {axis: rng.uniform(0, 300, 500).round(3) + shift for axis, shift in (("x", 457_000), ("y", 5_427_000), ("z", 110))}
    columns |= {"ring": rng.integers(0, 64, 500).astype("u2"), "intensity": rng.random(500).astype("f4")}
    a_pcd(tmp_path / "given.pcd", columns, data="binary")
    tile_file(tmp_path / "given.pcd", tmp_path / "tiles", Placement(crs="EPSG:32632"))
    one = written(tmp_path / "tiles", name, tmp_path)
    (tmp_path / "again").mkdir()
    tile_file(one.path, tmp_path / "back", Placement(crs="EPSG:32632"))
    head, _, body = written(tmp_path / "back", "pcd", tmp_path / "again").path.read_bytes().partition(b"DATA binary\n")
    names, sizes, types = (next(line.split()[1:] for line in head.decode().splitlines() if line.startswith(word)) for word in PCD_LINES)
    rows = np.frombuffer(body, [(n, f"<{t.lower()}{size}") for n, size, t in zip(names, sizes, types, strict=True)])
    assert set(columns) == set(names) or (name == "laz" and set(columns) <= set(names))
    for field, values in columns.items():
        assert np.abs(np.sort(rows[field].astype(np.float64)) - np.sort(values.astype(np.float64))).max() < 1e-6, field


PCD_LINES = ("FIELDS", "SIZE", "TYPE")


def test_autoware_gets_squares_of_20_m_that_say_where_they_are(tmp_path: Path) -> None:
    import open3d

    given = laspy.read(a_las(tmp_path / "given.las", 2000, point_format=7, spread_m=130.0, extra=True))
    tile_file(tmp_path / "given.las", tmp_path / "tiles", Placement(height_datum="ellipsoid"))
    one = written(tmp_path / "tiles", "autoware", tmp_path)
    about = yaml.safe_load((one.path / "pointcloud_map_metadata.yaml").read_text())
    where = yaml.safe_load((one.path / "map_projector_info.yaml").read_text())
    assert (about.pop("x_resolution"), about.pop("y_resolution")) == (20.0, 20.0)
    assert (where["projector_type"], where["vertical_datum"], one.crs) == ("LocalCartesianUTM", "WGS84", "EPSG:32632")
    origin = Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True).transform(
        *(where["map_origin"][k] for k in ("longitude", "latitude"))
    )
    files = {path.name: path for path in (one.path / "pointcloud_map.pcd").iterdir()}
    assert set(files) == set(about)
    every = []
    for name, (west, south) in about.items():
        points = open3d.t.io.read_point_cloud(str(files[name])).point
        xyz = points.positions.numpy()
        assert xyz.dtype == np.float32 and {k for k, _ in points.items()} == {"positions", "intensity"}
        assert ((xyz[:, :2] >= [west, south]) & (xyz[:, :2] < [west + 20, south + 20])).all() and west % 20 == south % 20 == 0
        every.append(xyz)
    found = np.concatenate(every).astype(np.float64) + [*origin, 0.0]
    assert len(found) == one.count == 2000
    for column, axis in enumerate("xyz"):
        assert np.abs(np.sort(found[:, column]) - np.sort(given[axis])).max() <= MM
    left = {change["column"] for change in one.changes.as_json() if change["change"] == "left_out"}
    assert {"gps_time", "red", "reflectance"} <= left and "intensity" not in left


def test_clouds_of_different_forms_are_files_of_their_own(cloud: Path, tmp_path: Path) -> None:
    a_las(tmp_path / "old.las", 500, point_format=1)
    tile_file(tmp_path / "old.las", tmp_path / "tiles" / "old", Placement())
    tiles = sorted((tmp_path / "tiles").rglob("*.laz")) + sorted((cloud / "tiles").rglob("*.laz"))
    made = delivery.write(format_named("laz"), tiles, tmp_path / "all.laz", Target(), lambda _done, _all: None)
    assert [(one.path.name, one.count) for one in made] == [("all.laz", 500), ("all-2.laz", 7000)]
    assert [laspy.read(one.path).header.point_format.id for one in made] == [1, 7]


def test_a_cloud_states_no_heights_that_it_no_longer_has(tmp_path: Path, a_geoid: float) -> None:
    crs = "EPSG:32632+3855"
    tile_file(a_las(tmp_path / "given.las", 500, point_format=6, crs=crs), tmp_path / "tiles", Placement())
    assert written(tmp_path / "tiles", "pcd", tmp_path).heights == ["EGM2008"]
    one = written(tmp_path / "tiles", "laz", tmp_path, None, "ellipsoid")
    found = laspy.read(one.path)
    assert (one.crs, one.heights, found.header.parse_crs()) == ("EPSG:32632", ["ellipsoid"], CRS("EPSG:32632"))
    assert np.abs(np.sort(found.z) - a_geoid - np.sort(laspy.read(tmp_path / "given.las").z)).max() <= MM
    # What was written beside tiles is no tile.
    (tmp_path / "tiles" / "map.laz").write_bytes(one.path.read_bytes())
    assert delivery.found_in([tmp_path / "tiles" / "map.laz"]).others


def test_feet_become_metres_when_another_system_is_asked_for(samples: Path, tmp_path: Path) -> None:
    source = samples / "pointcloud" / "autzen_trim.laz"
    tile_file(source, tmp_path / "tiles", Placement())
    given = laspy.read(source)
    found = {}
    for crs in (None, "EPSG:32610"):
        out = tmp_path / f"as {crs}"
        out.mkdir()
        found[crs] = written(tmp_path / "tiles", "laz", out, crs).path
    assert np.array_equal(sorted_records([found[None]]), sorted_records([source]))
    wide = laspy.read(found["EPSG:32610"]).header
    assert wide.point_count == len(given) == 110_000
    assert (wide.maxs[0] - wide.mins[0]) == pytest.approx((given.header.maxs[0] - given.header.mins[0]) * 0.3048, rel=0.05)


@pytest.mark.parametrize(
    ("name", "crs", "heights", "code"),
    [
        ("laz", None, "EGM2008", "join.heights"),
        ("copc", "EPSG:4326", None, "join.crs"),
        ("geojson", None, "sea", "join.heights"),
        ("geopackage", "EPSG:4979", "EGM96", "join.heights"),
        ("autoware", "EPSG:5186", None, "join.crs"),
        ("laz", "EPSG:5193", None, "join.crs"),
    ],
)
def test_what_cannot_be_had_is_refused_in_a_sentence_and_nothing_is_left(
    autoware: Path, cloud: Path, tmp_path: Path, name: str, crs: str | None, heights: str | None, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        written(cloud / "tiles" if format_named(name).is_cloud else autoware, name, tmp_path, crs, heights)
    assert refused.value.code == code and not list(tmp_path.iterdir())


def test_heights_are_shifted_by_a_geoid_that_is_there_and_named(cloud: Path, ngii: Path, tmp_path: Path, a_geoid: float) -> None:
    frame = pq.read_table(written(ngii, "geoparquet", tmp_path, "EPSG:5186", "EGM2008").path)
    before = {i: shapely.get_coordinates(shape, include_z=True)[:, 2] for (_, i), (shape, _) in features_in(ngii).items()}
    for name, wkb in zip(frame["feature_id"].to_pylist(), frame["geometry"].to_pylist(), strict=True):
        assert np.abs(shapely.get_coordinates(shapely.from_wkb(wkb), include_z=True)[:, 2] + a_geoid - before[name]).max() <= MM
    one = written(cloud / "tiles", "laz", tmp_path, None, "EGM2008")
    found = laspy.read(one.path)
    assert (one.heights, len(found)) == (["EGM2008"], 7000)
    lifted = np.sort(found.z) + a_geoid
    every = np.sort(np.concatenate([laspy.read(cloud / f"{part}.las").z for part in ("one", "two")]))
    assert np.abs(lifted - every).max() <= MM
    again = tile_file(one.path, tmp_path / "back", Placement())
    assert again["sources"][0]["height_datum"] == "EGM2008"


@pytest.fixture
def a_geoid(tmp_path: Path) -> Any:
    """A geoid 47.5 m above the ellipsoid everywhere, under the name that PROJ knows that of EGM2008 by."""
    import pyproj.datadir

    from mapex.writers import target

    before = pyproj.datadir.get_data_dir()
    folder = tmp_path.parent / f"{tmp_path.name}-proj"
    folder.mkdir()
    head = np.array([-90.0, -180.0, 90.0, 90.0], ">f8").tobytes() + np.array([3, 5], ">i4").tobytes()
    (folder / "egm08_25.gtx").write_bytes(head + np.full(15, 47.5, ">f4").tobytes())
    pyproj.datadir.append_data_dir(str(folder))
    target._way.cache_clear()
    yield 47.5
    pyproj.datadir.set_data_dir(before)
    target._way.cache_clear()


def test_convert_reads_in_the_cage_and_writes_without_an_exchange(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": "a",
                "properties": {"kind": "kerb", "n": 7},
                "geometry": {"type": "LineString", "coordinates": [[127.1, 37.4], [127.13, 37.41]]},
            }
        ],
    }
    (tmp_path / "in.geojson").write_text(json.dumps(shapes))
    with pytest.raises(SystemExit) as done:
        main(["convert", str(tmp_path / "in.geojson"), str(tmp_path / "out" / "map.parquet"), "--to-crs", "EPSG:5186", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert done.value.code in (0, None) and report["counts"] == {"read": 1, "placed": 1, "unplaced": 0, "rejected": 0}
    table = pq.read_table(tmp_path / "out" / "map.parquet")
    assert (report["crs"], report["features"], table["kind"].to_pylist(), table["n"].to_pylist()) == ("EPSG:5186", 1, ["kerb"], [7])
    assert table.schema.field("n").type == pa.int64() and [path.name for path in (tmp_path / "out").iterdir()] == ["map.parquet"]
    with pytest.raises(SystemExit):
        main(["convert", str(tmp_path / "in.geojson"), str(tmp_path / "out" / "map.parquet"), "--json"])
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "join.exists"


def test_a_folder_is_replaced_only_when_asked(ngii: Path, tmp_path: Path) -> None:
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "mine.txt").write_text("mine")
    with pytest.raises(Conflict):
        written(ngii, "flatgeobuf", tmp_path)
    assert (tmp_path / "map" / "mine.txt").exists()
    row, tiles = format_named("flatgeobuf"), sorted(ngii.rglob("*.parquet"))
    delivery.write(row, tiles, tmp_path / "map", Target(), lambda _done, _all: None, replaces=True)
    assert {path.suffix for path in (tmp_path / "map").iterdir()} == {".fgb"} and [path.name for path in tmp_path.iterdir()] == ["map"]
