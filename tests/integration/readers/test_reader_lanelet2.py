"""Lanelet2 on real maps; the lanelet2 library itself is the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from lxml import etree

from ingest.placing.mgrs import square
from ingest.placing.move import lonlat
from tests.support.reading import Received, received

KARLSRUHE, KASHIWA, INTERSECTION = (
    "lanelet2/karlsruhe_mapping_example.osm",
    "lanelet2/kashiwa_mgrs_lanelet2_map.osm",
    "lanelet2/intersection_lanelet2_map.osm",
)
MAPS = (KARLSRUHE, KASHIWA, INTERSECTION)
WITHOUT_NODES = {KARLSRUHE: {"way/44218"}}  # deleted in the editor: it has no node left


@pytest.fixture(scope="module")
def maps(samples: Path) -> dict[str, Received]:
    return {name: received(samples / name) for name in MAPS}


@pytest.fixture(scope="module")
def trees(samples: Path) -> dict[str, Any]:
    return {name: etree.parse(samples / name).getroot() for name in MAPS}


@pytest.mark.parametrize("name", MAPS)
def test_every_node_way_and_relation_is_one_feature(name: str, maps: dict[str, Received], trees: dict[str, Any]) -> None:
    elements = [f"{e.tag}/{e.get('id')}" for e in trees[name] if e.tag in ("node", "way", "relation")]
    assert sorted(maps[name].ids) == sorted(elements)
    unplaced = {feature for feature, shape in maps[name].shapes().items() if shape is None}
    assert unplaced == WITHOUT_NODES.get(name, set())
    assert maps[name].rejected == 0


@pytest.mark.parametrize("name", MAPS)
def test_everything_an_element_says_is_in_its_properties(name: str, maps: dict[str, Received], trees: dict[str, Any]) -> None:
    properties = maps[name].properties()
    for element in trees[name].iter("node", "way", "relation"):
        answer = properties[f"{element.tag}/{element.get('id')}"]
        source = answer.pop("@source")
        assert answer == {tag.get("k"): tag.get("v") for tag in element.iter("tag")}
        assert source["element"] == element.tag
        assert str(source["id"]) == element.get("id")
        assert [str(ref) for ref in source.get("refs", [])] == [nd.get("ref") for nd in element.iter("nd")]
        members = [(m["type"], str(m["ref"]), m["role"]) for m in source.get("members", [])]
        assert members == [(m.get("type"), m.get("ref"), m.get("role")) for m in element.iter("member")]
        for key in ("version", "visible", "action"):
            assert source.get(key) == element.get(key)


@pytest.mark.parametrize("name", MAPS)
def test_coordinates_are_the_numbers_of_the_text(name: str, maps: dict[str, Received], trees: dict[str, Any]) -> None:
    shapes = maps[name].shapes()
    where = {}
    for node in trees[name].iter("node"):
        ele = next((tag.get("v") for tag in node.iter("tag") if tag.get("k") == "ele"), None)
        where[node.get("id")] = (float(node.get("lon")), float(node.get("lat")), None if ele is None else float(ele))
        point = shapes[f"node/{node.get('id')}"]
        assert (point.x, point.y) == where[node.get("id")][:2]
        assert point.has_z == (ele is not None)
        assert ele is None or point.z == float(ele)
    for way in trees[name].iter("way"):
        refs = [nd.get("ref") for nd in way.iter("nd")]
        if not refs:
            continue
        line = shapes[f"way/{way.get('id')}"]
        expected = np.array([[np.nan if v is None else v for v in where[ref]] for ref in refs])
        assert line.has_z == bool(np.isfinite(expected[:, 2]).all())
        found = shapely.get_coordinates(line, include_z=True)
        assert np.array_equal(
            found, expected if line.has_z else np.column_stack([expected[:, :2], np.full(len(refs), np.nan)]), equal_nan=True
        )


def test_ids_of_nodes_and_relations_collide_and_stay_apart(maps: dict[str, Received]) -> None:
    bare = [name.split("/")[1] for name in maps[KARLSRUHE].ids]
    assert len(set(bare)) < len(bare)
    assert len(set(maps[KARLSRUHE].ids)) == len(bare)


def test_sidewalks_are_walkway_lanelets_crosswalks_and_walkway_areas(maps: dict[str, Received]) -> None:
    kinds = maps[KARLSRUHE].kinds()
    assert (kinds["sidewalk"], kinds["crossing"], kinds["cycleway"]) == (2 + 19, 8, 14)
    assert kinds["lane_area"] == 337 + 8  # road and highway; the two rail lanelets are `other`


def test_heights_are_kept_where_known_and_never_invented(maps: dict[str, Received]) -> None:
    """4 of 2,258 nodes carry `ele` in one map, all of them in another."""
    assert maps[KARLSRUHE].finding("height.mixed").count == 2254
    shapes = maps[KARLSRUHE].shapes()
    assert sum(shape.has_z for name, shape in shapes.items() if name.startswith("node/")) == 4
    assert all(shape.has_z for name, shape in maps[KASHIWA].shapes().items() if not name.startswith("node/"))
    assert "height.mixed" not in maps[KASHIWA].codes


def test_flavours_are_kept_apart(maps: dict[str, Received]) -> None:
    assert maps[KARLSRUHE].survey.details["flavour"] == "Lanelet2"
    assert maps[KASHIWA].survey.details["flavour"] == "Lanelet2, Autoware flavour"
    assert "MetaInfo" in maps[KASHIWA].raw[0].meta["osm"]


def test_local_metres_and_mgrs_square_give_the_degrees_to_the_millimetre(samples: Path, trees: dict[str, Any]) -> None:
    """Autoware's local_x, local_y is UTM minus the 100-km square of its code."""
    rows = []
    for node in trees[KASHIWA].iter("node"):
        tags = {tag.get("k"): tag.get("v") for tag in node.iter("tag")}
        found = square(tags["mgrs_code"])
        assert found is not None
        assert (found.crs, found.easting, found.northing) == ("EPSG:32654", 400_000.0, 3_900_000.0)
        rows.append(
            (
                float(tags["local_x"]) + found.easting,
                float(tags["local_y"]) + found.northing,
                float(node.get("lon")),
                float(node.get("lat")),
            )
        )
    east, north, lon, lat = np.array(rows).T
    made_lon, made_lat = lonlat(east, north, "EPSG:32654")
    assert np.max(np.abs(made_lon - lon)) * 111_320 < 0.001
    assert np.max(np.abs(made_lat - lat)) * 111_320 < 0.001


def test_a_regulatory_element_is_where_it_acts(maps: dict[str, Received]) -> None:
    properties = maps[KARLSRUHE].properties()
    elements = [name for name, answer in properties.items() if answer.get("type") == "regulatory_element"]
    shapes = maps[KARLSRUHE].shapes()
    for name in elements:
        of = properties[name]["@source"]["placed_by"]
        assert shapes[name].equals(shapes[of])


class Library:
    """The lanelet2 library's own reading of a map."""

    def __init__(self, path: Path) -> None:
        lanelet2 = pytest.importorskip("lanelet2", reason="the lanelet2 wheel is for Linux on x86-64")
        from lanelet2.projection import UtmProjector

        tree = etree.parse(path).getroot()
        first = next(tree.iter("node"))
        self.projector = UtmProjector(lanelet2.io.Origin(float(first.get("lat")), float(first.get("lon"))))
        self.map, self.errors = lanelet2.io.loadRobust(str(path), self.projector)
        self.geometry = lanelet2.geometry


@pytest.mark.parametrize(
    ("name", "lanelets", "areas", "errors"), [(KARLSRUHE, 371, 76, 0), (KASHIWA, 48, 0, 5), (INTERSECTION, 161, 0, None)]
)
def test_lanelets_and_areas_are_those_of_the_library(
    name: str, lanelets: int, areas: int, errors: int | None, samples: Path, maps: dict[str, Received]
) -> None:
    """An error count of the library is not a failure: Autoware's regulatory elements are unknown to it, the lanelets come in."""
    library = Library(samples / name)
    assert errors is None or len(library.errors) == errors
    properties, shapes = maps[name].properties(), maps[name].shapes()
    mine = {f for f, answer in properties.items() if answer.get("type") == "lanelet" and f.startswith("relation/")}
    assert mine == {f"relation/{lane.id}" for lane in library.map.laneletLayer}
    assert len(mine) == lanelets
    surfaces = {f for f, answer in properties.items() if answer.get("type") == "multipolygon"}
    assert surfaces == {f"relation/{area.id}" for area in library.map.areaLayer}
    assert len(surfaces) == areas
    assert all(shapes[f].geom_type == "Polygon" for f in mine)
    assert all(shapes[f].geom_type in ("Polygon", "MultiPolygon") for f in surfaces)


@pytest.mark.parametrize("name", MAPS)
def test_points_lines_and_regulatory_elements_are_those_of_the_library(name: str, samples: Path, maps: dict[str, Received]) -> None:
    """Beside those that only Autoware knows; what a regulatory element refers to is there under its id."""
    library, properties = Library(samples / name), maps[name].properties()
    layers = library.map
    assert len([feature for feature in properties if feature.startswith("node/")]) == len(layers.pointLayer)
    lines = {feature for feature in properties if feature.startswith("way/")} - WITHOUT_NODES.get(name, set())
    assert lines == {f"way/{line.id}" for layer in (layers.lineStringLayer, layers.polygonLayer) for line in layer}
    mine = {feature: answer for feature, answer in properties.items() if answer.get("type") == "regulatory_element"}
    known = {f"relation/{element.id}" for element in layers.regulatoryElementLayer}
    assert known <= mine.keys()
    assert {mine[feature]["subtype"] for feature in mine.keys() - known} <= {"detection_area", "no_stopping_area", "road_marking"}
    for answer in mine.values():
        members = answer["@source"]["members"]
        assert members and all(f"{member['type']}/{member['ref']}" in properties for member in members)


@pytest.mark.parametrize("name", MAPS)
def test_lanelet_polygons_have_the_area_of_the_librarys(name: str, samples: Path, maps: dict[str, Received]) -> None:
    library = Library(samples / name)
    shapes = maps[name].shapes()
    for lane in library.map.laneletLayer:
        ring = np.array([[p.x, p.y] for p in lane.polygon2d()])
        ring = ring[:-1] if np.array_equal(ring[0], ring[-1]) else ring  # the library repeats a first vertex that both bounds share
        expected = shapely.Polygon(ring)
        mine = shapely.get_coordinates(shapes[f"relation/{lane.id}"])[:-1]
        assert len(mine) == len(ring)
        if expected.is_valid:
            here = shapely.transform(shapes[f"relation/{lane.id}"], lambda c, e=ring, m=mine: _metres(c, m, e))
            assert here.area == pytest.approx(expected.area, rel=0.02, abs=0.05)


@pytest.mark.parametrize("name", MAPS)
def test_the_measured_line_is_as_long_as_the_librarys_centreline(name: str, samples: Path, maps: dict[str, Received]) -> None:
    library = Library(samples / name)
    table = maps[name].table
    measured = dict(zip(maps[name].ids, table.column("measure").to_pylist(), strict=True))
    worst = []
    for lane in library.map.laneletLayer:
        wkb = measured[f"relation/{lane.id}"]
        if wkb is None:
            assert lane.attributes["subtype"] in ("crosswalk", "rail")
            continue
        line = shapely.get_coordinates(shapely.from_wkb(wkb))
        scale = np.cos(np.radians(line[0, 1]))
        mine = np.hypot(np.diff(line[:, 0]) * scale, np.diff(line[:, 1])).sum() * 111_320
        worst.append(abs(mine - library.geometry.length2d(lane)) / max(library.geometry.length2d(lane), 5.0))
    assert np.median(worst) < 0.005
    assert np.quantile(worst, 0.98) < 0.05


def _metres(coordinates: Any, mine: Any, theirs: Any) -> Any:
    """Degrees to the library's metres by the affine map that fits this one polygon (its projection is not under test)."""
    lead = np.column_stack([mine - mine[0], np.ones(len(mine))])
    solved, *_ = np.linalg.lstsq(lead, theirs, rcond=None)
    return np.column_stack([coordinates - mine[0], np.ones(len(coordinates))]) @ solved
