"""MORAI MGeo: a folder of lists and its `global_info.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from ingest import grouping
from ingest.placing.move import lonlat
from mapex.intake.placement import Known, Placement
from tests.support.reading import received

ORIGIN = [302459.942, 4122635.537, 28.0]
INFO = {
    "maj_ver": 2,
    "min_ver": 9,
    "global_coordinate_system": "+proj=utm +zone=52 +datum=WGS84 +units=m +no_defs",
    "local_origin_in_global": ORIGIN,
    "license": "MORAI Inc.",
}
LISTS: dict[str, list[dict[str, Any]]] = {
    "node_set": [{"idx": "A1", "point": [0.0, 0.0, 1.0], "on_junction": False}, {"idx": "A2", "point": [10.0, 0.0, 1.5]}],
    "link_set": [
        {
            "idx": "L1",
            "points": [[0.0, 0.0, 1.0], [10.0, 0.0, 1.5]],
            "from_node_idx": "A1",
            "to_node_idx": "A9",
            "max_speed": "50",
            "link_type": "6",
            "link_type_def": "ngii_model2",
        },
        {"idx": "L2", "points": [[0.0, 2.0, 1.0], [10.0, 2.0, 1.0]], "link_type": "sidewalk"},
    ],
    "lane_boundary_set": [
        {"idx": "B1", "points": [[0, 1, 1], [10, 1, 1]], "lane_type": [503]},
        {"idx": "B2", "points": [[9, -1, 1], [9, 1, 1]], "lane_type": 530},
    ],
    "traffic_light_set": [{"idx": "C1", "point": [9.0, 3.0, 6.0], "type": "car", "link_id_list": ["L1"]}],
    "singlecrosswalk_set": [{"idx": "W1", "points": [[8, -1, 1], [9, -1, 1], [9, 1, 1], [8, 1, 1], [8, -1, 1]], "sign_type": "5"}],
    "crosswalk_set": [{"idx": "CW", "single_crosswalk_list": ["W1"], "ref_traffic_light_list": []}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "R_KR_PG_KATRI"
    out.mkdir()
    (out / "global_info.json").write_text(json.dumps(INFO), encoding="utf-8")
    for name, records in LISTS.items():
        (out / f"{name}.json").write_text(json.dumps(records, indent=2), encoding="utf-8")
    return out


def test_a_folder_is_one_map_in_its_own_system(folder: Path) -> None:
    there = received(folder)
    assert there.survey.format == "mgeo"
    assert there.survey.placed.crs == "EPSG:32652"
    kinds = dict(zip(there.ids, there.table.column("kind").to_pylist(), strict=True))
    assert kinds == {
        "node/A1": "node",
        "node/A2": "node",
        "link/L1": "lane_centre",
        "link/L2": "sidewalk",
        "lane_boundary/B1": "lane_border",
        "lane_boundary/B2": "stop_line",
        "traffic_light/C1": "signal",
        "singlecrosswalk/W1": "crossing",
        "crosswalk/CW": "other",
    }
    shapes, answers = there.shapes(), there.properties()
    lon, lat = lonlat(np.array([ORIGIN[0], ORIGIN[0] + 10.0]), np.full(2, ORIGIN[1]), "EPSG:32652")
    assert shapely.get_coordinates(shapes["link/L1"], include_z=True) == pytest.approx(np.column_stack([lon, lat, [29.0, 29.5]]), abs=1e-11)
    assert shapes["singlecrosswalk/W1"].geom_type == "Polygon"
    assert shapes["crosswalk/CW"].equals(shapes["singlecrosswalk/W1"])
    assert answers["crosswalk/CW"]["@source"]["placed_by"] == "singlecrosswalk/W1"
    for name, records in LISTS.items():
        for record in records:
            answer = answers[f"{name.removesuffix('_set')}/{record['idx']}"]
            assert {key: value for key, value in answer.items() if key != "@source"} == {
                k: v for k, v in record.items() if k not in ("point", "points")
            }
    assert there.finding("reference.dangling").value == "node/A9"


def test_without_global_info_the_place_is_asked_for(folder: Path) -> None:
    (folder / "global_info.json").unlink()
    there = received(folder)
    assert there.survey.placed.crs_source is Known.NONE
    assert "global_info.json" in there.finding("crs.none").message
    at = received(folder, Placement(origin=(127.0, 37.0, 10.0))).shapes()["node/A1"]
    assert (at.x, at.y, at.z) == pytest.approx((127.0, 37.0, 11.0))


def test_files_of_a_map_are_one_source_and_others_are_not() -> None:
    names = ["a/link_set.json", "a/global_info.json", "a/traffic_light_set.json", "a/roads.geojson", "b/parking_space_set.json"]
    found = {one.kind: one.members for one in grouping.group(names).groups if len(one.members) > 1}
    assert found == {"mgeo": ("a/global_info.json", "a/link_set.json", "a/traffic_light_set.json")}


@pytest.mark.parametrize("points", [[["a", 0, 0]], [[[1]]], {"x": 1}, [[0, 0, 0, 0]], [[10**400, 0, 0]]])
def test_points_that_are_none_are_refused_by_name(points: object, tmp_path: Path) -> None:
    (tmp_path / "link_set.json").write_text(
        json.dumps([{"idx": "L", "points": points}, {"idx": "M", "points": [[0, 0], [1, 1]]}]), encoding="utf-8"
    )
    there = received(tmp_path / "link_set.json", Placement(crs="EPSG:32652"))
    assert there.finding("geometry.refused").feature == "link/L"
    assert there.rejected == 1
