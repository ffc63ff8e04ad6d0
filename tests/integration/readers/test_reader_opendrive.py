"""OpenDRIVE on real maps: what their README counts, the same streets in another format, and tiles that hold all of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from lxml import etree
from pyproj import Transformer

from mapex.intake.placement import Placement
from tests.support.reading import Received, received, report_of

FOLDER = "opendrive"
TOWN01, TOWN10, E6, FABRIKSGATAN, BORREGAS = (
    "CARLA_Town01",
    "CARLA_Town10HD",
    "esmini_e6mini",
    "esmini_fabriksgatan",
    "lgsvl_borregasave_old",
)
ROADS = {TOWN01: (122, 12, 4.22), TOWN10: (108, 9, 3.35), E6: (1, 0, 1.46), FABRIKSGATAN: (16, 1, 0.69), BORREGAS: (39, 2, 2.02)}
"""Roads, junctions, kilometres."""
SIDEWALKS = {TOWN01: 88, TOWN10: 74, E6: 0, FABRIKSGATAN: 12, BORREGAS: 4}
"""In Borregas 4 more are centre lanes, which have no width."""
DEAD_ENDS = {TOWN01: 0, TOWN10: 0, FABRIKSGATAN: 4}
"""Driven lanes that leave the map."""
KNOWN = {TOWN01: "none", TOWN10: "none", E6: "none", FABRIKSGATAN: "none", BORREGAS: "guessed"}
IN_SEOUL = Placement(origin=(127.1, 37.4, 0.0))


def path_of(samples: Path, name: str) -> Path:
    return samples / FOLDER / f"{name}.xodr"


@pytest.fixture(scope="module")
def maps(samples: Path) -> dict[str, Received]:
    return {name: received(path_of(samples, name), IN_SEOUL) for name in ROADS}


@pytest.mark.parametrize("name", ROADS)
def test_every_road_junction_and_lane_is_there_at_its_length(name: str, maps: dict[str, Received], samples: Path) -> None:
    root = etree.parse(path_of(samples, name)).getroot()
    found = maps[name]
    elements = Counter(one.partition("/")[0] for one in found.ids)
    roads, junctions, km = ROADS[name]
    assert (elements["road"], elements["junction"]) == (roads, junctions)
    assert elements["lane"] == sum(lane.get("id") != "0" for lane in root.iter("lane"))
    for word in ("object", "signal", "signalReference", "controller"):
        assert elements[word] == len(root.findall(f".//{word}")) - (0 if word != "controller" else len(root.findall("junction/controller")))
    lines = [shapely.from_wkb(wkb) for batch in found.raw for wkb in column(batch.table, "geometry", "road/")]
    assert sum(map(shapely.length, lines)) / 1000 == pytest.approx(km, abs=0.006)
    assert found.kinds().get("sidewalk", 0) == SIDEWALKS[name]
    assert found.rejected == 0
    assert [feature for feature, shape in found.shapes().items() if shape is None] == []


def column(table: Any, name: str, prefix: str) -> list[Any]:
    ids = table.column("feature_id").to_pylist()
    return [value for one, value in zip(ids, table.column(name).to_pylist(), strict=True) if one.startswith(prefix)]


@pytest.mark.parametrize("name", ROADS)
def test_each_file_is_placed_only_where_it_can_be(name: str, samples: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.xodr"
    path.write_bytes(path_of(samples, name).read_bytes())
    report = report_of(path, Placement())
    counts = report["layers"]["hdmap"]["counts"]
    assert report["crs_source"] == KNOWN[name]
    codes = {finding["code"] for finding in report["findings"]}
    assert counts["read"] == counts["placed"] + counts["unplaced"]
    assert ("crs.none" in codes, counts["placed"] == 0) == (KNOWN[name] == "none", KNOWN[name] == "none")
    assert "footage.unproven" not in codes


@pytest.mark.parametrize("name", ROADS)
def test_features_hold_every_attribute_of_their_file(name: str, maps: dict[str, Received], samples: Path) -> None:
    root = etree.parse(path_of(samples, name)).getroot()
    stated = Counter(of(element) for part in root if part.tag != "header" for element in part.iter(etree.Element))
    kept: Counter[Any] = Counter()
    for properties in maps[name].properties().values():
        source = properties["@source"]
        if "xml" in source:
            kept.update(of(element) for element in etree.fromstring(source["xml"]).iter())
    assert kept == stated


def of(element: Any) -> tuple[Any, ...]:
    return element.tag, tuple(sorted(element.attrib.items())), (element.text or "").strip()


@pytest.mark.parametrize("name", DEAD_ENDS)
def test_lanes_end_where_those_begin_that_they_go_on_as(name: str, maps: dict[str, Received]) -> None:
    """The network is the one that is drawn: of driven lanes that follow one another the middle lines meet, and none is cut off."""
    ends: dict[str, np.ndarray[Any, Any]] = {}
    after: dict[str, list[str]] = {}
    for batch in maps[name].raw:
        lanes = [column(batch.table, word, "lane/") for word in ("feature_id", "measure", "properties")]
        for one, wkb, text in zip(*lanes, strict=True):
            properties = json.loads(text)
            if properties["type"] == "driving":
                ends[one] = shapely.get_coordinates(shapely.from_wkb(wkb))[[0, -1]]
                after[one] = properties["@source"]["successors"]
    gaps = [np.linalg.norm(ends[one][1] - ends[other][0]) for one, others in after.items() for other in others if other in ends]
    assert len(gaps) >= len(ends) - DEAD_ENDS[name]
    assert max(gaps) < 0.05
    assert sum(not others for others in after.values()) == DEAD_ENDS[name]


def test_the_same_streets_in_apollos_format_are_within_three_metres(maps: dict[str, Received], samples: Path) -> None:
    """The file's own place, the false origin that its geometry leaves out, against the middle lines of Apollo's lanes in UTM."""
    text = (samples / "apollo" / "borregas_ave.txt").read_text(encoding="utf-8")
    lanes = re.findall(r"^lane \{.*?^\}", text, re.MULTILINE | re.DOTALL)
    curves = [re.search(r"central_curve \{.*?\n  \}", lane, re.DOTALL) for lane in lanes]
    lines = [[(float(x), float(y)) for x, y in re.findall(r"x: ([\d.e+-]+)\s+y: ([\d.e+-]+)", curve[0])] for curve in curves if curve]
    assert len(lines) == 60
    apollo = shapely.union_all([shapely.LineString(line) for line in lines])
    found = received(path_of(samples, BORREGAS))
    middles = [wkb for batch in found.placed for wkb in column(batch.table, "measure", "lane/") if wkb is not None]
    lon, lat = shapely.get_coordinates([shapely.from_wkb(wkb) for wkb in middles]).T
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32610", always_xy=True).transform(lon, lat)
    assert np.median(shapely.distance(apollo, shapely.points(x, y))) < 3.0
