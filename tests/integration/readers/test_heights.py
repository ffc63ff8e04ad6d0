"""The height datum is asked for where nothing states it, and travels with the data in every format."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from mcap.reader import make_reader

from ingest.conversion.local import tile_file
from ingest.placing import resolve
from ingest.reader import Placed
from mapex.intake.placement import Known, Placement
from tests.support.clouds import a_las, a_pcd, a_ply, sorted_records
from tests.support.reading import report_of
from tiles.points.header import read_header

SEOUL = (127.1, 37.4)


def a_map(path: Path, *, heights: bool = True) -> Path:
    at = (*SEOUL, 30.0) if heights else SEOUL
    gpd.GeoDataFrame({"ID": ["a"]}, geometry=[shapely.Point(*at)], crs="EPSG:4326").to_file(path, engine="pyogrio")
    return path


def a_cloud(path: Path) -> Path:
    if path.suffix == ".las":
        return a_las(path, 50, point_format=6, crs="EPSG:32652", at=(331_800.0, 4_140_900.0, 30.0), spread_m=20)
    columns = {axis: np.linspace(low, low + 9, 10) for axis, low in zip("xyz", (331_800.0, 4_140_900.0, 30.0), strict=True)}
    return (a_pcd if path.suffix == ".pcd" else a_ply)(path, columns)


def report(path: Path, given: Placement, folders: tuple[str, ...] = ()) -> dict[str, Any]:
    return report_of(path, given, folders)


def questions(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f["severity"], f["layer"]) for f in found["findings"] if f["code"] == "height.datum_unknown"]


@pytest.mark.parametrize(("name", "layer"), [("a.gpkg", "hdmap"), ("a.geojson", "hdmap"), ("a.fgb", "hdmap"), ("a.las", "points")])
def test_heights_above_nothing_that_is_stated_are_a_question(tmp_path: Path, name: str, layer: str) -> None:
    path = a_cloud(tmp_path / name) if layer == "points" else a_map(tmp_path / name)
    assert questions(report(path, Placement())) == [("warning", layer)]
    there = report(path, Placement(height_datum="KVD1964"))
    assert (questions(there), there["height_datum"], there["height_source"]) == ([], "KVD1964", "given")


@pytest.mark.parametrize("name", ["a.pcd", "a.ply"])
def test_clouds_without_a_system_are_asked_for_both(tmp_path: Path, name: str) -> None:
    there = report(a_cloud(tmp_path / name), Placement())
    assert questions(there) == [("warning", "points")]
    assert "crs.none" in {f["code"] for f in there["findings"]}


def test_a_flat_map_is_asked_nothing(tmp_path: Path) -> None:
    assert questions(report(a_map(tmp_path / "a.gpkg", heights=False), Placement())) == []


def test_a_system_that_states_its_heights_is_not_asked(tmp_path: Path) -> None:
    there = report(a_cloud(tmp_path / "a.las"), Placement(crs="EPSG:32652+5193"))
    assert (questions(there), there["height_datum"]) == ([], "KVD1964")


@pytest.mark.parametrize("name", ["a.gpkg", "a.las"])
@pytest.mark.parametrize(
    ("folder", "datum"),
    [("HDMap_UTM52N_타원체고", "ellipsoid"), ("HDMap_UTM52N_정표고", "KNGeoid"), ("HDMap_UTM52N_Ellipsoidal", "ellipsoid")],
)
def test_the_name_of_the_folder_states_heights_in_every_format(tmp_path: Path, name: str, folder: str, datum: str) -> None:
    path = a_cloud(tmp_path / name) if name.endswith("las") else a_map(tmp_path / name)
    there = report(path, Placement(), ("SEC01", folder))
    assert (questions(there), there["height_datum"], there["height_source"]) == ([], datum, "guessed")


# --- in the tiles


def tiles_of(path: Path, out: Path, given: Placement) -> tuple[list[Path], dict[str, Any]]:
    tile_file(path, out, given, processes=1, cage="none", recount=True)
    manifest = json.loads((out / "_manifest.json").read_text())
    return [out / tile["path"] for tile in manifest["tiles"]], manifest


def test_a_vector_tile_states_heights_and_the_system_of_its_source(tmp_path: Path) -> None:
    table = gpd.GeoDataFrame({"ID": ["a"]}, geometry=[shapely.Point(208_855, 533_411, 30.0)], crs="EPSG:5186")
    table.to_file(tmp_path / "a.gpkg", engine="pyogrio")
    (tile,), manifest = tiles_of(tmp_path / "a.gpkg", tmp_path / "out", Placement(height_datum="KVD1964"))
    stated = json.loads(pq.read_schema(tile).metadata[b"mapex"])
    assert (stated["height_datum"], stated["height_source"], stated["source_crs"]) == ("KVD1964", "given", "EPSG:5186")
    assert stated["accuracy_m"] == 1.0
    for about in (manifest["sources"][0], manifest["layers"][0]):
        assert (about["crs"], about["height_datum"], about["height_source"], about["accuracy_m"]) == ("EPSG:5186", "KVD1964", "given", 1.0)
    assert gpd.read_parquet(tile).geometry[0].z == 30.0


def test_a_tile_of_which_nothing_is_known_has_the_bytes_that_it_always_had(tmp_path: Path) -> None:
    (tile,), _ = tiles_of(a_map(tmp_path / "a.gpkg"), tmp_path / "out", Placement())
    assert b"mapex" not in pq.read_schema(tile).metadata


@pytest.mark.parametrize("name", ["a.las", "a.pcd"])
def test_a_cloud_tile_states_heights_and_keeps_its_points(tmp_path: Path, name: str) -> None:
    path = a_cloud(tmp_path / name)
    crs = None if name.endswith("las") else "EPSG:32652"
    plain, _ = tiles_of(path, tmp_path / "plain", Placement(crs=crs))
    stating, _ = tiles_of(path, tmp_path / "stating", Placement(crs=crs, height_datum="KVD1964"))
    assert np.array_equal(sorted_records(plain), sorted_records(stating))
    if name.endswith("las"):
        assert np.array_equal(sorted_records(stating), sorted_records([path]))
    for tile in stating:
        with tile.open("rb") as stream:
            record = read_header(stream).vlr("mapex", 2)
        assert record is not None
        assert json.loads(record.data)["height_datum"] == "KVD1964"
    again, _ = tiles_of(path, tmp_path / "again", Placement(crs=crs, height_datum="KVD1964"))
    assert [tile.read_bytes() for tile in again] == [tile.read_bytes() for tile in stating]


def test_a_bought_tile_that_is_sold_again_states_its_heights_once(tmp_path: Path) -> None:
    (tile,), _ = tiles_of(a_cloud(tmp_path / "a.las"), tmp_path / "one", Placement(height_datum="KVD1964"))
    (again,), _ = tiles_of(tile, tmp_path / "two", Placement(height_datum="ellipsoid"))
    with again.open("rb") as stream:
        records = [v for v in read_header(stream).vlrs if v.user == "mapex"]
    assert [json.loads(v.data)["height_datum"] for v in records] == ["ellipsoid"]


@pytest.mark.parametrize("name", ["a.las", "a.gpkg"])
def test_a_bought_tile_still_knows_its_heights(tmp_path: Path, name: str) -> None:
    path = a_cloud(tmp_path / name) if name.endswith("las") else a_map(tmp_path / name)
    (tile,), _ = tiles_of(path, tmp_path / "one", Placement(height_datum="KVD1964"))
    there = report(tile, Placement())
    assert (questions(there), there["height_datum"], there["height_source"]) == ([], "KVD1964", "file")


@pytest.mark.parametrize("record", [b"", b"\xff", b"[]", b'{"height_datum": 7}', b'{"height_datum": "\\u0000"}', b"[" * 100_000])
def test_a_record_that_is_none_states_nothing(record: bytes) -> None:
    placed = Placed("EPSG:4326", Known.FILE)
    assert resolve.with_record(placed, record) == placed


def test_slices_and_archives_of_frames_state_their_heights(samples: Path, tmp_path: Path) -> None:
    photos, _ = tiles_of(samples / "recordings" / "photos_gps", tmp_path / "photos", Placement())
    for tile in photos:
        with tarfile.open(tile) as archive:
            way = archive.extractfile(".trajectory.geojson")
            assert way is not None
            assert json.load(way)["mapex"]["height_datum"] == "mean sea level"
    slices, _ = tiles_of(samples / "recordings" / "ros2_mcap" / "comma2k19_seg40_ros2.mcap", tmp_path / "slices", Placement())
    for tile in slices:
        with tile.open("rb") as stream:
            stated = {record.name: record.metadata for record in make_reader(stream).iter_metadata()}
        assert stated["mapex"]["height_datum"] == "ellipsoid"
