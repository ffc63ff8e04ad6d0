"""Wrong labels are noticed in every kind of data alike; right ones never are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from ingest.checks.place import CONTRADICTS, OUTSIDE, SWAPPED, Doubt, area_of, misfit, of_degrees, share
from ingest.checks.screen import screen
from ingest.placing import names, resolve, systems
from ingest.reader import Placed
from mapex.catalogue.finding import Severity
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind

KOREAN = ("EPSG:5186", "EPSG:5179", "EPSG:32652", "EPSG:5174", "EPSG:5181", "EPSG:4737")
ON_LAND = st.tuples(st.floats(126.3, 127.9), st.floats(34.6, 38.2))
"""Longitude and latitude inside of the areas of all of them."""
LOCAL_CS = 'LOCAL_CS["Local",LOCAL_DATUM["Local",0],UNIT["Meter",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
ENGINEERING = 'ENGCRS["x",EDATUM["y"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
NO_DATUM = (
    'PROJCS["unnamed",GEOGCS["Bessel 1841",DATUM["unknown",SPHEROID["bessel",6377397.155,299.1528128]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",{}],'
    'PARAMETER["False_Northing",500000.0],PARAMETER["Central_Meridian",{}],PARAMETER["Scale_Factor",1.0],'
    'PARAMETER["Latitude_Of_Origin",38.0],UNIT["Meter",1.0]]'
)


def numbers(lon: float, lat: float, crs: str) -> tuple[float, float]:
    """A place in the numbers of a system, east first."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return x, y


def judged(crs: str, x: float, y: float, **more: Any) -> Doubt | None:
    return misfit(CRS.from_user_input(crs), np.array([x]), np.array([y]), np.array([30.0]), **more)


@settings(max_examples=60, deadline=None)
@given(ON_LAND, st.sampled_from(KOREAN))
def test_a_right_label_is_never_doubted(place: tuple[float, float], crs: str) -> None:
    assert judged(crs, *numbers(*place, crs)) is None


@settings(max_examples=60, deadline=None)
@given(ON_LAND, st.sampled_from([crs for crs in KOREAN if crs != "EPSG:4737"]), st.booleans())
def test_degrees_called_metres_are_always_noticed(place: tuple[float, float], crs: str, turned: bool) -> None:
    found = judged(crs, *(place[::-1] if turned else place))
    assert found is not None
    assert (found.code, found.asks) == (CONTRADICTS, True)
    assert "degrees" in found.text


@settings(max_examples=60, deadline=None)
@given(ON_LAND, st.sampled_from([crs for crs in KOREAN if crs != "EPSG:4737"]), st.sampled_from(["EPSG:4326", "EPSG:4737"]))
def test_metres_called_degrees_are_always_noticed(place: tuple[float, float], crs: str, label: str) -> None:
    found = judged(label, *numbers(*place, crs))
    assert found is not None
    assert (found.code, found.asks) == (CONTRADICTS, True)


@settings(max_examples=60, deadline=None)
@given(ON_LAND, st.sampled_from(["EPSG:4326", *KOREAN]))
def test_exchanged_axes_are_noticed_wherever_they_would_be_outside(place: tuple[float, float], crs: str) -> None:
    x, y = numbers(*place, crs)
    found = judged(crs, y, x)
    lon, lat = (np.array([v]) for v in Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(y, x))
    area = area_of(CRS.from_user_input(crs))
    could_be = area is not None and share(area, lon, lat, 0.05) == 1.0
    assert could_be or (found is not None and found.code in (SWAPPED, OUTSIDE) and "exchanged" in found.text)


SEOUL, DAEJEON, BUSAN, ULSAN, POHANG, ULLEUNG, JEJU = (
    (127.0, 37.55), (127.4, 36.35), (129.08, 35.18), (129.3, 35.54), (129.36, 36.02), (130.9, 37.5), (126.53, 33.5),
)  # fmt: skip


@pytest.mark.parametrize(
    ("crs", "place", "is_certain"),
    [
        ("EPSG:5186", SEOUL, True),
        ("EPSG:5186", DAEJEON, False),
        ("EPSG:5174", SEOUL, True),
        ("EPSG:5179", SEOUL, True),
        ("EPSG:5179", BUSAN, True),
        ("EPSG:5187", BUSAN, False),
        ("EPSG:32652", SEOUL, None),
    ],
)
def test_north_before_east_in_korea(crs: str, place: tuple[float, float], is_certain: bool | None) -> None:
    x, y = numbers(*place, crs)
    found = judged(crs, y, x)
    assert found is not None
    assert found.code == (SWAPPED if is_certain is not False else OUTSIDE)


@pytest.mark.parametrize("place", [SEOUL, DAEJEON, BUSAN, ULSAN, POHANG, ULLEUNG, JEJU])
def test_all_of_korea_is_delivered_in_the_central_belt(place: tuple[float, float]) -> None:
    assert judged("EPSG:5186", *numbers(*place, "EPSG:5186")) is None


@pytest.mark.parametrize(
    ("label", "real", "words"),
    [
        ("EPSG:5179", "EPSG:5186", "far outside"),
        ("EPSG:5186", "EPSG:5179", "EPSG:5179"),
        ("EPSG:5186", "EPSG:32652", "EPSG:32652"),
        ("EPSG:2154", "EPSG:5186", "EPSG:5186"),
        ("EPSG:6677", "EPSG:5179", "EPSG:5179"),
    ],
)
def test_another_system_is_noticed_by_the_area_of_use(label: str, real: str, words: str) -> None:
    found = judged(label, *numbers(127.1, 37.4, real))
    assert found is not None
    assert (found.code, found.certain) == (OUTSIDE, True)
    assert words in found.text


def test_feet_taken_for_metres_are_named_and_metres_taken_for_feet() -> None:
    metres, feet = "EPSG:26910", "EPSG:2994"
    x, y = numbers(-121.3, 44.0, metres)
    assert (found := judged(metres, x / 0.3048, y / 0.3048)) is not None and found.code == OUTSIDE
    assert "In feet they would be inside" in found.text
    x, y = numbers(-118.0, 45.0, feet)
    assert (found := judged("EPSG:2249", *(v * 0.3048 for v in numbers(-71.0, 42.3, "EPSG:2249")))) is not None
    assert "In metres they would be inside" in found.text
    assert judged(feet, x, y) is None


def test_what_the_seller_named_is_only_doubted_where_it_is_not_elsewhere_on_the_earth() -> None:
    dokdo = numbers(131.87, 37.24, "EPSG:5186")
    assert (asked := judged("EPSG:5186", *dokdo)) is not None and asked.asks
    assert (told := judged("EPSG:5186", *dokdo, given=True)) is not None and not told.certain
    assert (wrong := judged("EPSG:5179", 3_000_000, 5_000_000, given=True)) is not None and wrong.asks


@pytest.mark.parametrize("crs", ["EPSG:32652", "EPSG:5186"])
def test_a_little_beyond_the_edge_of_a_zone_is_common(crs: str) -> None:
    assert judged(crs, *numbers(125.4 if crs == "EPSG:5186" else 124.7, 34.68, crs)) is None


@pytest.mark.parametrize(
    ("label", "at"),
    [
        ("EPSG:5186", (127.0, 32.3)),  # south of Jeju: a false origin that was left out
        ("EPSG:5179", (121.5, 37.0)),  # a national system has no neighbour
        ("EPSG:6677", (141.0, 40.7)),
    ],
)
def test_outside_where_no_zone_follows_is_a_warning(label: str, at: tuple[float, float]) -> None:
    found = judged(label, *numbers(*at, label))
    assert found is not None
    assert (found.code, found.certain) == (OUTSIDE, False)


def test_local_metres_around_zero_are_no_degrees() -> None:
    assert judged(systems.local_frame(127.1, 37.4), 12.0, 34.0) is None
    assert judged("+proj=tmerc +lat_0=38 +lon_0=127 +x_0=0 +y_0=0 +ellps=GRS80 +units=m +no_defs +type=crs", 12.0, 34.0) is None


def test_one_bad_vertex_does_not_condemn_the_label() -> None:
    x, y = numbers(127.1, 37.4, "EPSG:5186")
    many = np.full(1000, x), np.full(1000, y)
    many[0][:10], many[1][10:20] = 1e9, np.nan
    assert misfit(CRS.from_epsg(5186), *many) is None
    assert of_degrees(np.array([127.0] * 9 + [1270.0]), np.array([37.0] * 10)) is None


def features(x: float, y: float, crs: str) -> Batch:
    table = pa.table({"feature_id": ["a"], "kind": ["other"], "geometry": [shapely.to_wkb(shapely.Point(x, y))], "properties": ["{}"]})
    return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table, crs)


def test_features_that_are_placed_all_the_same_carry_the_doubt() -> None:
    done = screen(features(127.1, 37.4, "EPSG:32652"), Placed("EPSG:32652", Known.FILE))
    assert [(f.severity, f.code) for f in done.findings][0] == (Severity.ERROR, CONTRADICTS)


@pytest.mark.parametrize(("lon", "lat", "code"), [(37.4, 127.1, SWAPPED), (208_855.0, 533_411.0, CONTRADICTS)])
def test_frames_are_looked_at_too(lon: float, lat: float, code: str) -> None:
    table = pa.table({"t_ns": [1], "lon": [lon], "lat": [lat], "topic": ["/fix"], "name": [""]})
    done = screen(Batch(Content.FRAMES, "recording", LayerKind.RECORDING, table), Placed("EPSG:4326", Known.FILE))
    assert code in {f.code for f in done.findings}
    assert done.rejected == 1


# --- what a file states


@pytest.mark.parametrize("text", [LOCAL_CS, "EPSG:5193", ENGINEERING])
def test_a_system_that_is_nowhere_on_the_earth_states_nothing(text: str) -> None:
    placed = resolve.resolve(text, Placement())
    assert (placed.crs, placed.crs_source) == (None, Known.NONE)
    assert [f.code for f in resolve.findings(placed)] == ["crs.none"]
    there = resolve.resolve(text, Placement(origin=(127.1, 37.4, 0.0)))
    assert there.crs_source is Known.GIVEN
    with pytest.raises(Invalid, match="no system of places"):
        resolve.resolve(None, Placement(crs=text))


def test_an_unknown_datum_is_a_question_and_never_a_note() -> None:
    placed = resolve.resolve(NO_DATUM.format("123456.0", "127.5"), Placement())
    (found,) = resolve.findings(placed)
    assert (found.severity, found.code) == (Severity.WARNING, "crs.datum_unknown")
    assert "300 to 400 m" in found.message and "--crs" in found.fix


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (NO_DATUM.format("200000.0", "127.0028902777778"), "EPSG:5174"),
        (NO_DATUM.format("200000.0", "127.0"), "EPSG:2097"),
        ("+proj=tmerc +lat_0=38 +lon_0=127.0028902777778 +k=1 +x_0=200000 +y_0=500000 +ellps=bessel +units=m +no_defs", "EPSG:5174"),
    ],
)
def test_a_korean_projection_without_a_datum_is_guessed_and_said(text: str, code: str) -> None:
    placed = resolve.resolve(text, Placement())
    assert (placed.crs, placed.crs_source) == (code, Known.GUESSED)
    (found,) = resolve.findings(placed)
    assert (found.severity, found.code) == (Severity.WARNING, "crs.guessed")
    assert "300 to 400 m" in found.message
    settled = resolve.resolve(text, Placement(crs=code))
    assert not [f for f in resolve.findings(settled) if f.severity is not Severity.INFO]


@pytest.mark.parametrize("crs", ["EPSG:5174", "EPSG:5186", "EPSG:32652", "EPSG:4326", "EPSG:2994", "EPSG:28992"])
def test_a_known_datum_is_no_question(crs: str) -> None:
    assert resolve.findings(resolve.resolve(crs, Placement())) == []


@pytest.mark.parametrize("crs", ["EPSG:4301", "EPSG:27700", "EPSG:31467"])
def test_metres_that_are_known_are_a_note(crs: str) -> None:
    (found,) = resolve.findings(resolve.resolve(crs, Placement()))
    assert (found.severity, found.code) == (Severity.INFO, "crs.inaccurate")
    assert "unknown" not in found.message


# --- what names state


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("deg_32652.gpkg", "EPSG:32652"),
        ("roads EPSG-5186.shp", "EPSG:5186"),
        ("SEC01/HDMap_UTMK_정표고/A1_NODE.shp", "EPSG:5179"),
        ("SEC01/HDMap_UTM52N_타원체고/A1_NODE.shp", "EPSG:32652"),
        ("roads_2024.gpkg", None),
        ("tile_15186.las", None),
        ("5186_to_5179.gpkg", None),
        ("epsg99999.gpkg", None),
    ],
)
def test_a_system_in_a_name_is_read(name: str, code: str | None) -> None:
    assert names.system_of([name]) == code


@pytest.mark.parametrize(
    ("crs", "name", "differs"),
    [
        ("EPSG:5179", "HDMap_UTM52N_타원체고/A1.shp", True),
        ("EPSG:32652", "HDMap_UTM52N_타원체고/A1.shp", False),
        ("EPSG:32652", "roads_5186.gpkg", True),
        ("EPSG:4326", "roads.gpkg", False),
    ],
)
def test_a_name_that_contradicts_the_file_is_said(crs: str, name: str, differs: bool) -> None:
    found = resolve.other_name(resolve.resolve(crs, Placement()), [name], file=name)
    assert [f.code for f in found] == ["crs.name_differs"] * differs
    assert resolve.other_name(resolve.resolve(crs, Placement(crs=crs)), [name], file=name) == []


def test_samples_of_wrong_labels_are_noticed(samples: Path) -> None:
    from ingest.conversion.dry_run import inspect

    reports = samples / "reports"
    degrees = inspect(reports / "deg_32652.gpkg", Placement())
    assert (degrees["crs_source"], degrees["box"]) == ("none", None)
    assert "crs.contradicts" in {f["code"] for f in degrees["findings"]}
    right = inspect(reports / "deg_32652.gpkg", Placement(crs="EPSG:4326"))
    assert right["box"] == pytest.approx([127.1, 37.4, 127.102, 37.401])
    datum = inspect(reports / "c_5174_unknown_datum.shp", Placement())
    assert {(f["severity"], f["code"]) for f in datum["findings"] if f["code"].startswith("crs.")} == {("warning", "crs.guessed")}
    assert datum["box"] == pytest.approx([127.1, 37.4, 127.101, 37.401], abs=1e-5)
    local = inspect(reports / "local_cs.las", Placement())
    assert (local["crs_source"], local["counts"]["unplaced"]) == ("none", 1000)
    assert inspect(reports / "local_cs.las", Placement(origin=(127.1, 37.4, 0.0)))["counts"]["placed"] == 1000
