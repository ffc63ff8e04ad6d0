"""OpenSidewalks on real exports, as they come in zips."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import shapely

from ingest.tasks.unpack import unpack
from mapex.rules.licences import ODBL
from tests.support.reading import received


@pytest.fixture(scope="module")
def unpacked(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for name in ("osw_microsoft_valid", "osw_uw_zones", "osw_minimal"):
        folders[name] = tmp_path_factory.mktemp(name) / "in"
        unpack(samples / "sidewalk" / f"{name}.zip", f"{name}.zip", folders[name])
    return folders


def features_in(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(folder.rglob("*.geojson")):
        for feature in json.loads(path.read_text())["features"]:
            found[feature["properties"]["_id"]] = feature
    return found


@pytest.mark.parametrize(("name", "count"), [("osw_microsoft_valid", 5817 + 3234 + 133), ("osw_uw_zones", 1565 + 3), ("osw_minimal", 3)])
def test_ids_attributes_and_vertices_of_every_feature_come_through(name: str, count: int, unpacked: dict[str, Path]) -> None:
    there = received(unpacked[name])
    answer = features_in(unpacked[name])
    assert len(there.ids) == count
    assert set(there.ids) == set(answer)
    properties, shapes = there.properties(), there.shapes()
    for feature_id, feature in answer.items():
        own = {key: value for key, value in properties[feature_id].items() if key != "@source"}
        assert own == feature["properties"]
        expected = shapely.geometry.shape(feature["geometry"])
        assert shapely.equals_exact(shapes[feature_id], expected, tolerance=0.0)
    assert there.rejected == 0
    assert all(batch.layer == "sidewalks" for batch in there.placed)


def test_kinds_of_a_real_export(unpacked: dict[str, Path]) -> None:
    """1,284 `footway=sidewalk` and 311 crossings (README of the sample data)."""
    there = received(unpacked["osw_microsoft_valid"])
    kinds = there.kinds()
    tags = [p for p in there.properties().values() if p["@source"]["layer"] == "edges"]
    assert kinds["crossing"] == 311 == sum(p.get("footway") == "crossing" for p in tags)
    assert sum(p.get("footway") == "sidewalk" for p in tags) == 1284
    assert kinds["sidewalk"] >= 1284
    assert kinds["kerb"] > 0


def test_mac_junk_and_sub_folders_are_passed_over(samples: Path, tmp_path: Path) -> None:
    names = zipfile.ZipFile(samples / "sidewalk/osw_microsoft_valid.zip").namelist()
    assert any(name.startswith("__MACOSX/") for name in names)
    with zipfile.ZipFile(samples / "sidewalk/osw_microsoft_valid.zip") as archive:
        archive.extractall(tmp_path / "raw")
    assert set(received(tmp_path / "raw").survey.layers) == {"nodes", "edges", "points"}


def test_licence_and_timestamp_of_the_collection_travel_with_the_batches(unpacked: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "osw"
    shutil.copytree(unpacked["osw_minimal"], folder)
    path = next(folder.rglob("*edges*"))
    collection = json.loads(path.read_text())
    collection |= {"dataSource": {"license": "ODbL-1.0"}, "dataTimestamp": "2024-03-18T00:00:00Z"}
    path.write_text(json.dumps(collection))
    there = received(folder)
    meta = next(batch.meta for batch in there.placed if "dataTimestamp" in batch.meta)
    assert meta["dataTimestamp"] == "2024-03-18T00:00:00Z"
    assert json.loads(meta["dataSource"]) == {"license": "ODbL-1.0"}
    assert meta["$schema"].endswith("0.2/schema.json")


def test_one_bad_feature_does_not_sink_the_others(unpacked: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "osw"
    shutil.copytree(unpacked["osw_microsoft_valid"], folder)
    path = next(folder.rglob("*.nodes.*"))
    text = path.read_text()
    at = text.index('"type": "Feature"', len(text) // 2)
    path.write_text(text[:at] + '"type" "Feature"' + text[at + len('"type": "Feature"') :])
    there = received(folder)
    assert there.finding("feature.not_json").rejected == 1
    assert len(there.ids) + there.rejected == 5817 + 3234 + 133
    assert any(f.code == "reference.dangling" for f in there.findings) or len(there.ids) == 9183


def test_an_edge_without_its_node_is_reported(unpacked: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "osw"
    shutil.copytree(unpacked["osw_minimal"], folder)
    path = next(folder.rglob("*nodes*"))
    collection = json.loads(path.read_text())
    gone = collection["features"].pop()["properties"]["_id"]
    path.write_text(json.dumps(collection))
    found = received(folder).finding("reference.dangling")
    assert (found.feature, found.value) == ("3234", gone)


def test_schema_0_3_is_read_like_0_2(unpacked: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "osw"
    shutil.copytree(unpacked["osw_minimal"], folder)
    for path in folder.rglob("*.geojson"):
        path.write_text(path.read_text().replace("opensidewalks/0.2/", "opensidewalks/0.3/"))
    there = received(folder)
    assert there.survey.details["schema"] == "0.3"
    assert len(there.ids) == 3
    assert not there.findings


def test_extensions_of_0_3_keep_their_place_and_their_words(tmp_path: Path) -> None:
    """Custom points, lines and polygons carry only tags that begin with `ext:`; a zone names its nodes; a licence goes along."""
    head = {"$schema": "https://sidewalks.washington.edu/opensidewalks/0.3/schema.json", "type": "FeatureCollection"}
    head |= {"dataSource": {"license": "ODbL-1.0", "name": "OpenStreetMap"}}
    square = [[[127.0, 37.0], [127.001, 37.0], [127.0, 37.001], [127.0, 37.0]]]
    shapes: dict[str, tuple[str, list[object], dict[str, object]]] = {
        "nodes": ("Point", [127.0, 37.0], {"_id": "1", "barrier": "kerb", "kerb": "lowered", "ext:slope": 0.08}),
        "points": ("Point", [127.0, 37.0], {"_id": "p", "ext:public_transport": "stop", "ext:lines": ["7", "9"]}),
        "lines": ("LineString", [[127.0, 37.0], [127.001, 37.0]], {"_id": "l", "barrier": "fence", "ext:owner": "시"}),
        "polygons": ("Polygon", square, {"_id": "g", "building": "yes"}),
        "zones": ("Polygon", square, {"_id": "z", "highway": "pedestrian", "_w_id": ["1", "2"]}),
    }
    for part, (kind, coordinates, properties) in shapes.items():
        feature = {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}
        (tmp_path / f"seoul.{part}.geojson").write_text(json.dumps({**head, "features": [feature]}), encoding="utf-8")
    there = received(tmp_path)
    kinds = dict(zip(there.ids, there.table.column("kind").to_pylist(), strict=True))
    assert kinds == {"1": "kerb", "p": "other", "l": "barrier", "g": "other", "z": "sidewalk"}
    for properties in (words for _, _, words in shapes.values()):
        answer = there.properties()[str(properties["_id"])]
        assert {key: value for key, value in answer.items() if key != "@source"} == properties
    assert there.finding("reference.dangling").value == "2"
    assert there.survey.licence is ODBL
