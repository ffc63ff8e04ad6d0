"""Placing: exact when nothing is to be done, reported when it is a guess, and never at 0,0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from pyproj import CRS, Transformer

from ingest.checks.screen import on_grid, screen
from ingest.placing import move, resolve
from ingest.placing.systems import height_datum, height_factor, is_wgs84, local_frame
from ingest.reader import Placed
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind

NOTHING = Placement()
REAL_NGII_PRJ = (
    'PROJCS["ITRF_2000_UTM_K",GEOGCS["GCS_ITRF_2000",DATUM["D_ITRF_2000",SPHEROID["GRS_1980",6378137.0,298.257222101]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",1000000.0],'
    'PARAMETER["False_Northing",2000000.0],PARAMETER["Central_Meridian",127.5],PARAMETER["Scale_Factor",0.9996],'
    'PARAMETER["Latitude_Of_Origin",38.0],UNIT["Meter",1.0]]'
)


def a_batch(shapes: list[Any], crs: str = "EPSG:4326", measure: list[Any] | None = None) -> Batch:
    columns = {
        "feature_id": [f"f{n}" for n in range(len(shapes))],
        "kind": ["other"] * len(shapes),
        "geometry": pa.array([None if s is None else shapely.to_wkb(s, flavor="iso") for s in shapes], pa.binary()),
        "properties": ["{}"] * len(shapes),
    }
    if measure is not None:
        columns["measure"] = pa.array([None if s is None else shapely.to_wkb(s, flavor="iso") for s in measure], pa.binary())
    return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, pa.table(columns), crs)


def at(crs: str | None, source: Known = Known.FILE, **more: Any) -> Placed:
    return Placed(crs, source, **more)


def geometry(batch: Batch, row: int = 0) -> Any:
    wkb = batch.table.column("geometry")[row].as_py()
    return None if wkb is None else shapely.from_wkb(wkb)


def placed_batch(batch: Batch, placed: Placed) -> Batch:
    return move.place(batch, move.shapes_of(batch.table.column("geometry")), placed)[0]


def settled(batch: Batch, placed: Placed) -> tuple[Batch, list[Finding]]:
    there, _, found = on_grid(batch, placed)
    return there, found


def test_wgs84_is_placed_bit_for_bit() -> None:
    batch = a_batch([shapely.Point(127.123456789012345, 37.1, 12.3), shapely.LineString([(8.1, 49.1), (8.2, 49.2)])])
    assert placed_batch(batch, at("EPSG:4326")).table.equals(batch.table)


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:4326",
        "OGC:CRS84",
        "EPSG:4979",
        'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]],'
        'PRIMEM["Greenwich",0],UNIT["Degree",0.017453292519943295]]',
    ],
)
def test_every_spelling_of_wgs84_is_wgs84(crs: str) -> None:
    """Axis order is not a reason to swap: arrays hold longitude first everywhere."""
    assert is_wgs84(CRS.from_user_input(crs))
    placed = resolve.resolve(crs, NOTHING)
    assert placed.crs_source is Known.FILE
    batch = a_batch([shapely.Point(127.1, 37.2)], placed.crs or "")
    assert (geometry(placed_batch(batch, placed)).x, geometry(placed_batch(batch, placed)).y) == (127.1, 37.2)


@pytest.mark.parametrize("crs", ["EPSG:5179", "EPSG:32652", "EPSG:5186", "EPSG:3857"])
def test_projected_coordinates_come_back_within_a_millimetre(crs: str) -> None:
    lon, lat = 127.1234567, 37.3456789
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    found = geometry(placed_batch(a_batch([shapely.Point(x, y, 55.5)], crs), at(crs)))
    assert abs(found.x - lon) * 111_320 < 1e-3
    assert abs(found.y - lat) * 111_320 < 1e-3
    assert found.z == 55.5


def test_the_measured_line_is_placed_with_its_geometry() -> None:
    batch = a_batch(
        [shapely.Point(1_000_000, 1_950_000)], "EPSG:5179", [shapely.LineString([(1_000_000, 1_950_000), (1_000_100, 1_950_000)])]
    )
    line = shapely.from_wkb(placed_batch(batch, at("EPSG:5179")).table.column("measure")[0].as_py())
    assert line.coords[0][0] == pytest.approx(127.5, abs=1e-6)


def test_lines_with_and_without_height_keep_their_dimensions() -> None:
    shapes = [shapely.LineString([(1e6, 2e6), (1e6 + 9, 2e6)]), shapely.LineString([(1e6, 2e6, 5), (1e6 + 9, 2e6, 6)]), None]
    there = placed_batch(a_batch(shapes, "EPSG:5179"), at("EPSG:5179"))
    assert [geometry(there, row) is not None and geometry(there, row).has_z for row in range(3)] == [False, True, False]


def test_the_file_is_believed_and_the_uploader_more() -> None:
    assert resolve.resolve("EPSG:5179", NOTHING).crs_source is Known.FILE
    placed = resolve.resolve("EPSG:5179", Placement(crs="EPSG:5186"))
    assert (placed.crs, placed.crs_source) == ("EPSG:5186", Known.GIVEN)
    assert "uploader" in placed.note


def test_nothing_known_is_unplaced_and_asks() -> None:
    placed = resolve.resolve(None, NOTHING)
    assert (placed.crs, placed.crs_source) == (None, Known.NONE)
    (found,) = resolve.findings(placed)
    assert (found.code, found.severity) == ("crs.none", "error")
    assert "--crs" in found.fix


def test_a_batch_without_crs_has_no_geometry_rather_than_a_wrong_one() -> None:
    assert geometry(placed_batch(a_batch([shapely.Point(200_000, 500_000)], ""), at(None, Known.NONE))) is None


def test_the_name_itrf_2000_utm_k_is_5179_and_reported_to_be_a_guess() -> None:
    assert CRS.from_wkt(REAL_NGII_PRJ).to_epsg(min_confidence=20) is None
    placed = resolve.resolve(REAL_NGII_PRJ, NOTHING)
    assert (placed.crs, placed.crs_source) == ("EPSG:5179", Known.GUESSED)
    assert resolve.findings(placed)[0].code == "crs.guessed"


def test_a_korean_name_with_other_numbers_is_not_guessed() -> None:
    placed = resolve.resolve(REAL_NGII_PRJ.replace("1000000.0", "200000.0"), NOTHING)
    assert placed.crs_source is Known.FILE
    assert "200000" in (placed.crs or "")


def test_a_text_that_is_no_crs_is_reported() -> None:
    placed = resolve.resolve("LOCAL_NONSENSE[", NOTHING)
    assert placed.crs_source is Known.NONE
    assert "not understood" in placed.note


def test_an_unknown_code_of_the_uploader_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        resolve.resolve(None, Placement(crs="EPSG:999999"))
    assert refused.value.code == "placement.crs"


def test_an_origin_that_is_not_degrees_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        resolve.resolve(None, Placement(origin=(37.5, 127.0, 0.0)))
    assert refused.value.code == "placement.origin"


def test_local_metres_are_around_the_origin_and_above_its_height() -> None:
    placed = resolve.resolve(None, Placement(origin=(127.0, 37.5, 30.0)))
    there = placed_batch(a_batch([shapely.Point(0, 0, 1.5), shapely.Point(0, 1000, 0)], placed.crs or ""), placed)
    zero, north = geometry(there, 0), geometry(there, 1)
    assert (zero.x, zero.y, zero.z) == pytest.approx((127.0, 37.5, 31.5), abs=1e-12)
    assert CRS.from_epsg(4326).get_geod().inv(127.0, 37.5, north.x, north.y)[2] == pytest.approx(1000.0, abs=1e-3)


def test_height_datum_and_unit_come_from_a_compound_crs_and_are_not_shifted() -> None:
    compound = CRS.from_user_input("EPSG:32652+5773")
    assert height_datum(compound) == "EGM96"
    feet = CRS.from_user_input("EPSG:32617+6360")
    assert height_factor(feet) == pytest.approx(0.3048, rel=1e-4)
    placed = resolve.resolve(compound, NOTHING)
    assert (placed.height_datum, placed.height_source) == ("EGM96", Known.FILE)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32617", always_xy=True).transform(-81.0, 30.0)
    there = placed_batch(a_batch([shapely.Point(x, y, 100.0)], feet.to_wkt()), at(feet.to_wkt()))
    assert geometry(there).z == pytest.approx(30.48, rel=1e-4)


def test_a_given_height_datum_beats_the_files() -> None:
    assert resolve.resolve("EPSG:4979", Placement(height_datum="KVD1964")).height_datum == "KVD1964"
    assert resolve.resolve("EPSG:4979", NOTHING).height_datum == "ellipsoid"
    assert resolve.resolve("EPSG:4326", NOTHING).height_source is Known.NONE


def test_geocentric_coordinates_become_degrees_and_heights() -> None:
    xyz = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True).transform(127.0, 37.0, 50.0)
    found = geometry(placed_batch(a_batch([shapely.Point(*xyz)], "EPSG:4978"), at("EPSG:4978")))
    assert (found.x, found.y) == pytest.approx((127.0, 37.0), abs=1e-9)
    assert found.z == pytest.approx(50.0, abs=1e-4)


def test_null_island_is_unplaced_and_reported() -> None:
    there, found = settled(a_batch([shapely.Point(0, 0), shapely.Point(127, 37), shapely.Point(0.5, -0.5)]), at("EPSG:4326"))
    assert [geometry(there, row) is None for row in range(3)] == [True, False, True]
    assert [(f.code, f.count, f.rejected) for f in found] == [("place.null_island", 2, 0)]


def test_coordinates_that_are_not_numbers_are_rejected_with_their_feature() -> None:
    with np.errstate(invalid="ignore"):
        line = shapely.linestrings([[127.0, 37.0], [np.nan, 37.1], [127.2, 37.2]], handle_nan="allow")
    there, found = settled(a_batch([shapely.Point(127, 37), line]), at("EPSG:4326"))
    assert there.table.column("feature_id").to_pylist() == ["f0"]
    assert [(f.code, f.feature, f.rejected) for f in found] == [("coordinate.not_finite", "f1", 1)]


def test_latitude_and_longitude_exchanged_are_found() -> None:
    there, found = settled(a_batch([shapely.Point(37.5, 127.0), shapely.Point(37.6, 127.1)]), at("EPSG:4326"))
    assert there.table.num_rows == 0
    assert {f.code for f in found} == {"coordinate.out_of_range", "crs.swapped"}
    assert sum(f.rejected for f in found) == 2


def test_east_and_north_exchanged_are_found_by_the_area_of_the_crs() -> None:
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:5186", always_xy=True).transform(127.1, 37.4)
    _, right = settled(a_batch([shapely.Point(x, y)], "EPSG:5186"), at("EPSG:5186"))
    _, wrong = settled(a_batch([shapely.Point(y, x)], "EPSG:5186"), at("EPSG:5186"))
    assert [f.code for f in right] == []
    assert [f.code for f in wrong] == ["crs.swapped"]


def test_a_wrong_label_is_found_by_the_area_of_the_crs() -> None:
    _, found = settled(a_batch([shapely.Point(3_000_000, 5_000_000)], "EPSG:5179"), at("EPSG:5179"))
    assert [f.code for f in found] == ["crs.outside_area"]


def test_counts_balance_whatever_is_wrong() -> None:
    shapes = [shapely.Point(127, 37), shapely.Point(0, 0), shapely.Point(37, 127), None, shapely.Point(200, 10)]
    there, found = settled(a_batch(shapes), at("EPSG:4326"))
    unplaced = there.table.column("geometry").null_count
    assert there.table.num_rows - unplaced + unplaced + sum(f.rejected for f in found) == len(shapes)
    assert unplaced == 2


def test_the_accuracy_of_the_way_to_wgs84_is_known() -> None:
    assert move.accuracy_m("EPSG:4326") == 0.0
    assert move.accuracy_m("EPSG:32652") == 0.0
    assert move.accuracy_m(local_frame(127.0, 37.0)) == 0.0
    assert (move.accuracy_m("EPSG:2992") or 0.0) > 1.0


def test_a_box_in_metres_is_a_box_in_degrees() -> None:
    west, south, east, north = move.box_of((953_000.0, 1_950_000.0, 960_000.0, 1_960_000.0), "EPSG:5179") or (0, 0, 0, 0)
    assert 126.9 < west < east < 127.1
    assert 37.4 < south < north < 37.7
    assert move.box_of((0.0, 0.0, float("inf"), 1.0), "EPSG:5179") is None


def test_points_keep_their_coordinates() -> None:
    cloud = Batch(Content.POINTS, "points", LayerKind.POINTCLOUD, pa.table({"x": [1e6], "y": [2e6], "z": [5.0]}), "EPSG:5179")
    screened = screen(cloud, at("EPSG:5179"))
    assert screened.batch.table.equals(cloud.table)
    assert screened.batch.crs == "EPSG:5179"


def test_the_shapes_that_are_passed_on_are_those_of_the_batch() -> None:
    shapes = [
        shapely.Point(955_000, 1_950_000, 7),
        None,
        shapely.Point(np.inf, 0),
        shapely.LineString([(955_000, 1_950_000), (955_010, 1_950_000)]),
    ]
    screened = screen(a_batch(shapes, "EPSG:5179"), at("EPSG:5179"))
    assert screened.batch.table.column("feature_id").to_pylist() == ["f0", "f3"]
    assert shapely.to_wkb(screened.shapes, flavor="iso").tolist() == screened.batch.table.column("geometry").to_pylist()


@pytest.mark.parametrize(
    ("corners", "crs", "box"),
    [
        ((126.0, 37.0, 127.0, 38.0), "EPSG:4326", (126.0, 37.0, 127.0, 38.0)),
        ((-200.0, 37.0, 127.0, 38.0), "EPSG:4326", None),
        ((126.0, 37.0, 127.0, 98.0), "EPSG:4326", None),
        ((3_327_626.0, -1_907_000.0, 3_349_890.0, -1_790_000.0), "EPSG:3832", (-180.0, -17.0, 180.0, -16.0)),
    ],
)
def test_box_of_anything_is_on_earth_or_none(corners: tuple[float, ...], crs: str, box: tuple[float, ...] | None) -> None:
    found = move.box_of(corners, crs)
    assert found == (None if box is None else pytest.approx(box, abs=0.2))
