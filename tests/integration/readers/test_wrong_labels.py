"""Files of every format whose label is wrong, read as the cage reads them: never sold at a place that cannot be."""

from __future__ import annotations

import json
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer

from ingest.cage import answer
from ingest.conversion.convert import Converted
from ingest.grouping import Group, Grouping
from ingest.worker.draft import DraftParts
from mapex.intake.placement import Placement
from tests.support.clouds import a_las, a_pcd, a_ply
from tests.support.reading import report_of

DEGREES = [(127.1 + n / 1000, 37.4 + n / 1000) for n in range(5)]
METRES = [Transformer.from_crs("EPSG:4326", "EPSG:5186", always_xy=True).transform(*at) for at in DEGREES]
TABLES = ("gpkg", "fgb", "shp", "parquet", "geojson")
LOCAL_CS = 'LOCAL_CS["Site",LOCAL_DATUM["Local",0],UNIT["Meter",1],AXIS["X",EAST],AXIS["Y",NORTH]]'


def a_map(folder: Path, ending: str, places: list[tuple[float, float]], crs: str | None) -> Path:
    """A map of points in a format, with the label `crs` whatever its numbers are; a shapefile is its folder."""
    path = folder / f"map.{ending}"
    table = gpd.GeoDataFrame({"ID": [f"P{n}" for n in range(len(places))]}, geometry=[shapely.Point(*p, 30.0) for p in places], crs=crs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if ending == "parquet":
            table.to_parquet(path)
        elif ending == "geojson":
            shapes = [
                {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [*place, 30.0]}} for place in places
            ]
            member = {"crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{crs.replace(':', '::')}"}}} if crs else {}
            path.write_text(json.dumps({"type": "FeatureCollection", **member, "features": shapes}))
        else:
            table.to_file(path, engine="pyogrio")
    return folder if ending == "shp" else path


def report(path: Path, given: Placement | None = None) -> dict[str, Any]:
    """What the caged reader answers about a source."""
    return report_of(path, given or Placement())


def severities(found: dict[str, Any], code: str) -> list[str]:
    return [finding["severity"] for finding in found["findings"] if finding["code"] == code]


@pytest.mark.parametrize("ending", TABLES)
def test_degrees_called_metres_wait_for_an_answer(tmp_path: Path, ending: str) -> None:
    path = a_map(tmp_path, ending, DEGREES, "EPSG:32652")
    there = report(path)
    assert (there["crs"], there["crs_source"]) == (None, "none")
    assert there["layers"]["hdmap"]["counts"] == {"read": 5, "placed": 0, "unplaced": 5, "rejected": 0}
    assert there["layers"]["hdmap"]["own"] == pytest.approx([127.1, 37.4, 127.104, 37.404])
    assert severities(there, "crs.contradicts") == ["error"]
    right = report(path, Placement(crs="EPSG:4326"))
    assert right["layers"]["hdmap"]["counts"]["placed"] == 5
    assert severities(right, "crs.contradicts") == []


@pytest.mark.parametrize("ending", TABLES)
@pytest.mark.parametrize("label", ["EPSG:4326", "EPSG:4737", "EPSG:5179"])
def test_metres_called_something_else_wait_for_an_answer(tmp_path: Path, ending: str, label: str) -> None:
    path = a_map(tmp_path, ending, METRES, label)
    there = report(path)
    assert (there["crs"], there["layers"]["hdmap"]["counts"]["unplaced"]) == (None, 5)
    assert severities(there, "crs.contradicts") == ["error"]
    right = report(path, Placement(crs="EPSG:5186"))
    assert right["layers"]["hdmap"]["box"] == pytest.approx([127.1, 37.4, 127.104, 37.404], abs=1e-6)


@pytest.mark.parametrize("ending", TABLES)
@pytest.mark.parametrize(("places", "label"), [(DEGREES, "EPSG:4326"), (METRES, "EPSG:5186")])
def test_exchanged_axes_forbid_publication_and_ask_nothing(
    tmp_path: Path, ending: str, places: list[tuple[float, float]], label: str
) -> None:
    path = a_map(tmp_path, ending, [(y, x) for x, y in places], label)
    there = report(path)
    assert "error" in severities(there, "crs.swapped")
    parts = DraftParts([])
    whole = answer.report_from_json(there, path.name)
    parts.findings += whole.findings
    assert not parts.is_usable


@pytest.mark.parametrize("ending", TABLES)
def test_a_version_with_a_wrong_label_waits_and_is_not_rejected(tmp_path: Path, ending: str) -> None:
    path = a_map(tmp_path, ending, DEGREES, "EPSG:32652")
    whole = answer.report_from_json(report(path), path.name)
    parts = DraftParts([])
    parts.take([Converted(0, path.name, whole, whole.findings)], Grouping((Group(path.name, (path.name,)),)))
    assert parts.unplaced
    assert {str(f.severity) for f in parts.findings if f.code.startswith("crs.")} == {"warning"}
    assert parts.layers[0].facts.own is not None


def test_exchanged_axes_of_a_cloud_are_no_question_either(tmp_path: Path) -> None:
    path = a_las(tmp_path / "a.las", 50, point_format=6, crs="EPSG:5186", at=(533_411.0, 208_855.0, 30.0), spread_m=10)
    whole = answer.report_from_json(report(path), path.name)
    parts = DraftParts([])
    parts.take([Converted(0, path.name, whole, whole.findings)], Grouping((Group(path.name, (path.name,)),)))
    assert parts.unplaced
    assert not parts.is_usable
    assert {str(f.severity) for f in parts.findings if f.code == "crs.swapped"} == {"error"}


@pytest.mark.parametrize("ending", TABLES)
def test_right_labels_are_not_doubted(tmp_path: Path, ending: str) -> None:
    for number, (places, label) in enumerate([(DEGREES, "EPSG:4326"), (METRES, "EPSG:5186")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        there = report(a_map(folder, ending, places, label))
        assert [f["code"] for f in there["findings"] if f["code"].startswith(("crs.", "place."))] == []


@pytest.mark.parametrize("make", [a_pcd, a_ply])
def test_clouds_whose_given_system_cannot_be_wait_too(tmp_path: Path, make: Any) -> None:
    columns = {axis: np.array(values, "f8") for axis, values in zip("xyz", [*zip(*DEGREES, strict=True), [30.0] * 5], strict=True)}
    path = make(tmp_path / ("a.pcd" if make is a_pcd else "a.ply"), columns)
    there = report(path, Placement(crs="EPSG:32652"))
    assert (there["crs"], severities(there, "crs.contradicts")) == (None, ["error"])


# --- systems that are nowhere


@pytest.mark.parametrize("srs", [-1, 0, 99999])
def test_a_geopackage_without_a_system_is_unplaced_and_placed_by_an_origin(tmp_path: Path, srs: int) -> None:
    path = a_map(tmp_path, "gpkg", [(10.0, 20.0), (12.0, 30.0)], None)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE gpkg_contents SET srs_id = ?", (srs,))
        db.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", (srs,))
    there = report(path)
    assert (there["crs_source"], there["layers"]["hdmap"]["counts"]["unplaced"]) == ("none", 2)
    assert severities(there, "crs.none") == ["error"]
    assert report(path, Placement(origin=(127.1, 37.4, 0.0)))["layers"]["hdmap"]["counts"]["placed"] == 2


def test_a_local_prj_is_unplaced_and_placed_by_an_origin(tmp_path: Path) -> None:
    folder = a_map(tmp_path, "shp", [(10.0, 20.0), (12.0, 30.0)], "EPSG:5186")
    (folder / "map.prj").write_text(LOCAL_CS)
    assert report(folder)["crs_source"] == "none"
    there = report(folder, Placement(origin=(127.1, 37.4, 0.0)))
    assert there["layers"]["hdmap"]["box"] == pytest.approx([127.1, 37.4, 127.1, 37.4], abs=1e-3)


def test_a_geopackage_that_names_two_systems_says_which_was_used(tmp_path: Path) -> None:
    path = a_map(tmp_path, "gpkg", METRES, "EPSG:5186")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE gpkg_contents SET srs_id = 4326")
    there = report(path)
    assert (there["crs"], severities(there, "crs.two_records")) == ("EPSG:5186", ["warning"])


def test_a_projection_whose_name_is_unknown_is_still_one(tmp_path: Path) -> None:
    folder = a_map(tmp_path, "shp", METRES, "+proj=tmerc +lat_0=38 +lon_0=127 +k=1 +x_0=200000 +y_0=600000 +ellps=GRS80 +units=m +no_defs")
    there = report(folder)
    assert there["layers"]["hdmap"]["box"] == pytest.approx([127.1, 37.4, 127.104, 37.404], abs=1e-5)
