"""`mapex join`: what a buyer opens in GIS tools holds each feature once, with its attributes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas
import pytest
from pyproj import CRS

from mapex.errors import Unavailable
from mapex.writers.vector import opening

MAPEX = [sys.executable, "-c", "from mapex.cli import main; main()"]


def mapex(*words: str | Path) -> tuple[int, Any]:
    done = subprocess.run([*MAPEX, *map(str, words), "--json"], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def tiles(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiles")
    status, report = mapex("tile", samples / "lanelet2" / "kashiwa_mgrs_lanelet2_map.osm", "--out", out)
    assert status == 0 and report["layers"][0]["tiles"] > 1, "the map must reach over a tile edge for this test to say anything"
    return out


def test_geopackage_holds_each_feature_once_with_its_attributes(tiles: Path, tmp_path: Path) -> None:
    import pyogrio

    status, report = mapex("join", tiles, "--out", tmp_path / "map.gpkg")
    assert status == 0 and report["features"] == 997
    rows = {kind: pyogrio.read_dataframe(tmp_path / "map.gpkg", layer=kind) for kind in report["layers"]}
    ids = [i for frame in rows.values() for i in frame["feature_id"]]
    assert len(ids) == len(set(ids)) == 997
    assert set(rows["lane_area"]["subtype"]) == {"road", "road_shoulder"}
    assert json.loads(rows["lane_area"]["source"][0])["element"] == "relation"


def test_join_moves_to_the_crs_that_was_asked_for(tiles: Path, tmp_path: Path) -> None:
    import geopandas

    mapex("join", tiles, "--out", tmp_path / "utm.parquet", "--crs", "EPSG:32654")
    frame = geopandas.read_parquet(tmp_path / "utm.parquet")
    assert frame.crs == "EPSG:32654"
    node = frame[frame["kind"] == "node"].iloc[0]
    # Autoware's local_x is UTM 54N less the 100 km square of the MGRS code (54SVE: 400,000 m east).
    assert node.geometry.x - 400_000 == pytest.approx(float(node["local_x"]), abs=0.01)


def test_join_overwrites_nothing(tiles: Path, tmp_path: Path) -> None:
    (tmp_path / "map.gpkg").write_text("mine")
    status, report = mapex("join", tiles, "--out", tmp_path / "map.gpkg")
    assert (status, report["error"]["code"]) == (5, "join.exists")
    assert (tmp_path / "map.gpkg").read_text() == "mine"


@pytest.mark.parametrize(("name", "code"), [("map.shp", "join.format"), ("empty/map.gpkg", "join.no_tiles")])
def test_join_says_what_is_wrong(tiles: Path, tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "empty").mkdir()
    folder = tmp_path / "empty" if "empty" in name else tiles
    status, report = mapex("join", folder, "--out", tmp_path / name)
    assert (status, report["error"]["code"]) == (2, code)


def a_tile(folder: Path, rows: list[dict[str, Any]], *, part: int = 0) -> Path:
    """A folder with the tiles of some features: a line each, from 127.1 to `east` (or from `west`)."""
    import pyarrow as pa
    import shapely

    from tiles.batch import Batch, Content, LayerKind
    from tiles.features.splitter import FeatureSplitter

    lines = [shapely.LineString([(row.pop("west", 127.1), 37.4), (row.pop("east", 127.1001), 37.4)]) for row in rows]
    table = pa.table(
        {
            "feature_id": [f"f{k}" for k in range(len(rows))],
            "kind": [row.pop("is", "lane_centre") for row in rows],
            "geometry": [shapely.to_wkb(line, flavor="iso") for line in lines],
            "properties": [json.dumps(row) for row in rows],
        }
    )
    folder.mkdir(exist_ok=True)
    splitter = FeatureSplitter(folder, layer="hdmap", part=part)
    splitter.add(Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table))
    list(splitter.finish())
    return folder


def test_64_bit_numbers_and_truth_values_beside_nulls_stay_what_they_are(samples: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyogrio

    mapex("tile", samples / "reports" / "j_ids_null.parquet", "--out", tmp_path / "tiles")
    given = pq.read_table(samples / "reports" / "j_ids_null.parquet").select(["id", "link_id", "oneway"]).sort_by("id")
    for name in ("map.gpkg", "map.parquet"):
        assert mapex("join", tmp_path / "tiles", "--out", tmp_path / name)[0] == 0
        path = tmp_path / name
        table = pq.read_table(path) if name.endswith("parquet") else pyogrio.read_arrow(path, layer="lane_centre")[1]
        found = pa.table(table.select(["id", "link_id", "oneway"])).sort_by("id")
        assert found.to_pylist() == given.to_pylist()
        assert [found.schema.field(k).type for k in ("link_id", "oneway")] == [pa.int64(), pa.bool_()]
    mapex("join", tmp_path / "tiles", "--out", tmp_path / "map.geojson")
    features = json.loads((tmp_path / "map.geojson").read_text())["features"]
    assert [{k: f["properties"][k] for k in ("id", "link_id", "oneway")} for f in features] == given.to_pylist()


def test_names_that_a_geopackage_cannot_hold_apart_are_renamed_and_told(samples: Path, tmp_path: Path) -> None:
    import pyogrio

    mapex("tile", samples / "reports" / "j_case.geojson", "--out", tmp_path / "tiles")
    status, report = mapex("join", tmp_path / "tiles", "--out", tmp_path / "map.gpkg")
    (row,) = pyogrio.read_arrow(tmp_path / "map.gpkg", layer=report["layers"][0])[1].to_pylist()
    assert status == 0 and (row["fixme"], row["FIXME_2"], row["Name"], row["name_2"]) == ("x", "y", "N", "n")
    assert {(c["change"], c["column"], c["as"]) for c in report["changes"]} == {
        ("renamed", "FIXME", "FIXME_2"),
        ("renamed", "name", "name_2"),
    }


@pytest.mark.parametrize("model", ["model2020", "model2024"])
def test_every_feature_of_an_ngii_order_comes_into_a_geopackage(samples: Path, tmp_path: Path, model: str) -> None:
    import pyogrio

    (source,) = (samples / "ngii_synthetic" / model).rglob("HDMap_UTM52N*")
    _, tiled = mapex("tile", source, "--out", tmp_path / "tiles")
    status, report = mapex("join", tmp_path / "tiles", "--out", tmp_path / "map.gpkg")
    assert status == 0 and report["features"] == sum(layer["counts"]["placed"] for layer in tiled["layers"])
    assert sum(pyogrio.read_info(tmp_path / "map.gpkg", layer=k)["features"] for k in report["layers"]) == report["features"]


def test_a_column_of_several_types_over_tiles_is_text_and_told(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = [
        {"n": 1, "v": 1, "big": 1},
        {"west": 127.2, "east": 127.2001, "n": 2.5, "v": "x", "big": 1 << 64},
        {"n": None, "v": [1], "big": None},
    ]
    folder = a_tile(tmp_path / "tiles", rows)
    status, report = mapex("join", folder, "--out", tmp_path / "map.parquet")
    found = {row["feature_id"]: row for row in pq.read_table(tmp_path / "map.parquet").to_pylist()}
    assert status == 0 and [found[f"f{k}"]["n"] for k in range(3)] == [1.0, 2.5, None]
    assert [found[f"f{k}"]["v"] for k in range(3)] == ["1", "x", "[1]"]
    assert [found[f"f{k}"]["big"] for k in range(3)] == ["1", "18446744073709551616", None]
    assert [(c["change"], c["column"]) for c in report["changes"]] == [("mixed_text", "v"), ("number_text", "big")]


def test_geojson_has_no_nan_and_says_how_many_values_it_leaves_empty(tmp_path: Path) -> None:
    folder = a_tile(tmp_path / "tiles", [{"w": 1.5, "deep": {"a": [1]}}, {"w": "NaN"}, {"w": "-Infinity"}])
    status, report = mapex("join", folder, "--out", tmp_path / "map.geojson")
    features = json.loads((tmp_path / "map.geojson").read_text(), parse_constant=pytest.fail)["features"]
    assert status == 0 and [f["properties"]["w"] for f in features] == [1.5, None, None]
    assert features[0]["properties"]["deep"] == {"a": [1]}
    assert [(c["change"], c["column"], c["count"]) for c in report["changes"]] == [("not_finite", "w", 2)]


def test_a_feature_whose_owner_was_not_bought_is_joined_once(tmp_path: Path) -> None:
    rows = [{"east": 127.13}, {"east": 127.13}, {"west": 127.125, "east": 127.126}]
    folder = a_tile(tmp_path / "tiles", rows)
    whole = mapex("join", folder, "--out", tmp_path / "whole.geojson")[1]
    assert (whole["features"], whole["guests"]) == (3, 0)
    first, *_ = sorted((folder / "hdmap").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    first.unlink()  # the cell in which the long lines begin
    part = mapex("join", folder, "--out", tmp_path / "part.geojson")[1]
    ids = [f["properties"]["feature_id"] for f in json.loads((tmp_path / "part.geojson").read_text())["features"]]
    assert (part["features"], part["guests"], sorted(ids)) == (3, 2, ["f0", "f1", "f2"])


def test_files_that_are_no_vector_tiles_are_named_and_manifests_are_not(tmp_path: Path) -> None:
    folder = a_tile(tmp_path / "tiles", [{"a": 1}])
    for name in ("cloud.laz", "drive.mcap", "_manifest.json", "manifest.json", ".hidden.parquet"):
        (folder / name).write_bytes(b"-")
    status, report = mapex("join", folder, "--out", folder / "map.parquet")
    assert (status, report["features"], report["not_joined"]) == (0, 1, {".laz": 1, ".mcap": 1})
    assert mapex("join", folder, "--out", folder / "map.parquet", "--overwrite")[1]["features"] == 1, "its own file is no tile"
    assert mapex("join", folder, "--out", folder / "b.geojson")[1]["not_joined"] == {".laz": 1, ".mcap": 1, ".parquet": 1}


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "parquet"])
def test_a_full_disk_leaves_no_half_file_and_the_old_one_as_it_was(tiles: Path, tmp_path: Path, ending: str) -> None:
    import resource

    out = tmp_path / f"map.{ending}"
    out.write_text("mine")
    words = [*MAPEX, "join", str(tiles), "--out", str(out), "--overwrite", "--json"]
    small = (50_000, 50_000)
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, small)
    )
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (7, "join.write")
    assert [p.name for p in tmp_path.iterdir()] == [out.name] and out.read_text() == "mine"


def test_a_join_is_written_over_only_when_asked(tiles: Path, tmp_path: Path) -> None:
    (tmp_path / "map.parquet").write_text("mine")
    assert mapex("join", tiles, "--out", tmp_path / "map.parquet", "--overwrite")[1]["features"] == 997


@pytest.mark.parametrize(
    ("crs", "code"), [("EPSG:99999999", "join.crs"), ("nonsense", "join.crs"), ("+proj=gnom +lat_0=-36 +lon_0=-40", "join.outside")]
)
def test_a_system_that_cannot_hold_the_map_is_refused_in_a_sentence(tiles: Path, tmp_path: Path, crs: str, code: str) -> None:
    status, report = mapex("join", tiles, "--out", tmp_path / "map.parquet", "--crs", crs)
    assert (status, report["error"]["code"]) == (2, code) and not list(tmp_path.iterdir())


def test_a_damaged_tile_is_named(tiles: Path, tmp_path: Path) -> None:
    folder = a_tile(tmp_path / "tiles", [{"a": 1}])
    (path,) = folder.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    status, report = mapex("join", folder, "--out", tmp_path / "map.gpkg")
    assert (status, report["error"]["code"]) == (2, "join.damaged") and path.name in report["error"]["message"]


def test_a_folder_of_tiles_opens_as_one_dataset(samples: Path, tmp_path: Path) -> None:
    import geopandas
    import pyarrow as pa
    import pyarrow.parquet as pq

    for number, name in enumerate(("lanelet2/kashiwa_mgrs_lanelet2_map.osm", "reports/j_ids_null.parquet", "reports/j_case.geojson")):
        _, report = mapex("tile", samples / name, "--out", tmp_path / str(number))
        rows = geopandas.read_parquet(tmp_path / str(number))
        assert rows["owner"].sum() == sum(layer["counts"]["placed"] for layer in report["layers"])
    assert pa.unify_schemas([pq.read_schema(path).remove_metadata() for path in tmp_path.rglob("*.parquet")])


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".parquet"])
def test_a_file_that_does_not_hold_what_was_written_is_not_kept(tmp_path: Path, ending: str) -> None:
    frame = geopandas.GeoDataFrame({"a": [1, 2]}, geometry=geopandas.points_from_xy([127.0, 127.1], [37.0, 37.1]), crs="EPSG:4326")
    path = tmp_path / f"map{ending}"
    frame.to_parquet(path) if ending == ".parquet" else frame.to_file(path)
    opening.check(path, 2, CRS("EPSG:4326"))
    for count, crs in ((3, "EPSG:4326"), (2, "EPSG:5186")):
        with pytest.raises(Unavailable) as refused:
            opening.check(path, count, CRS(crs))
        assert refused.value.code == "join.unreadable"
