"""`mapex join`: what a buyer opens in GIS tools holds each feature once, with its attributes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
