"""A vertex that was dragged or mistyped is asked about, wherever it is in its feature; maps that are right are not."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.checks import jumps
from ingest.checks.jumps import Jumps
from ingest.checks.quality import Quality
from ingest.placing.antimeridian import crossing, cut
from ingest.placing.move import shapes_of
from mapex.catalogue.finding import Finding
from tests.unit.ingest.test_quality_of_rows import a_batch, looked

STEP = 0.0002
"""About 20 m: what is usual in these layers."""


def lines(count: int = 30, vertices: int = 4) -> list[tuple[str, str]]:
    """Straight lanes side by side."""
    rows = []
    for lane in range(count):
        points = ", ".join(f"{127 + lane * STEP:.7f} {37 + at * STEP:.7f}" for at in range(vertices))
        rows.append((f"lane{lane}", f"LINESTRING ({points})"))
    return rows


def findings(rows: list[tuple[str, str]]) -> list[Finding]:
    quality = Quality("map.geojson")
    return [*looked(quality, a_batch(rows)), *quality.finish()]


def questions(rows: list[tuple[str, str]]) -> list[Finding]:
    return [finding for finding in findings(rows) if finding.severity == "question"]


@pytest.mark.parametrize(
    "wkt",
    [
        "LINESTRING (127 37, 128 37)",
        "LINESTRING (127 37, 127.0002 37, 127.0004 37, 126.0006 37)",
        "LINESTRING (126 37, 127.0002 37, 127.0004 37, 127.0006 37)",
        "LINESTRING (127 37, 127.0002 37, 127.01 37, 127.0006 37, 127.0008 37)",  # dragged by 1 km, and back
        "LINESTRING (127 37, 127.01 37, 127.0001 37)",
        "MULTILINESTRING ((127 37, 127.0002 37), (127.0004 37, 128.0006 37))",
        "POLYGON ((127 37, 127.0002 37, 128 38, 127 37.0002, 127 37))",
        "POLYGON ((128 38, 127.0002 37, 127.0002 37.0002, 127 37.0002, 128 38))",
        "POLYGON ((127 37, 127.01 37, 127.01 37.01, 127 37.01, 127 37), (127.002 37.002, 127.004 37.002, 127.003 37.9, 127.002 37.002))",
        "MULTIPOLYGON (((127 37, 127.0002 37, 127 37.0002, 127 37)), ((127 37, 128 37, 127 37.0002, 127 37)))",
        "GEOMETRYCOLLECTION (POINT (127 37), LINESTRING (127 37, 127 38))",
        "LINESTRING (127 37, -127 37)",  # a lost sign
    ],
)
def test_a_jump_is_a_question_in_every_kind_of_line_and_area(wkt: str) -> None:
    (found,) = questions([*lines(), ("bad", wkt)])
    assert (found.code, found.feature, found.rejected) == ("geometry.jump", "bad", 0)
    assert int(found.value.removesuffix(" m")) > 150


@settings(max_examples=60, deadline=None)
@given(vertices=st.integers(2, 60), at=st.integers(0, 59), east=st.floats(0.03, 3.0), north=st.floats(-3.0, 3.0), is_split=st.booleans())
def test_one_moved_vertex_is_found_whatever_the_number_of_vertices(
    vertices: int, at: int, east: float, north: float, is_split: bool
) -> None:
    at %= vertices
    points = np.stack([np.full(vertices, 127.0), 37 + np.arange(vertices) * STEP], axis=1)
    points[at] += (east, north)
    line = shapely.linestrings(points)
    shape = shapely.multilinestrings([shapely.from_wkt("LINESTRING (127 36.99, 127 36.9902)"), line]) if is_split else line
    (found,) = questions([*lines(), ("bad", shape.wkt)])
    assert found.feature == "bad"
    assert (found.lon, found.lat) == pytest.approx((points[at][0], points[at][1]))
    assert int(found.value.removesuffix(" m")) == pytest.approx(np.hypot(east * np.cos(np.radians(37)), north) * 111_000, rel=1.05)


@pytest.mark.parametrize(
    "rows",
    [
        lines(),
        lines(3, 2),
        [*lines(), ("tunnel", "LINESTRING (127 37, 127.02 37)")],  # 1.8 km straight is worth a look, not a question
        [*lines(), ("apart", "MULTILINESTRING ((127 37, 127.0002 37), (127.3 37, 127.3002 37))")],  # parts may be far apart
        [(f"border{n}", f"LINESTRING (127 {37 + n / 10}, 127.2 {37 + n / 10})") for n in range(9)],  # a coarse layer is usual as it is
        [*lines(), ("merging", "POLYGON ((127 37, 127.001 37, 127.002 37.00003, 127.001 37.00003, 127 37.00003, 127 37))")],
        [*lines(), ("pointed", "POLYGON ((127 37, 127.004 37, 127 37.00003, 127 37))")],  # the area of a lane that ends
        [("ring", "POLYGON ((127 37, 127.001 37, 127.001 37.001, 127 37.001, 127 37))")] * 3,
    ],
)
def test_what_is_usual_in_a_layer_is_not_asked_about(rows: list[tuple[str, str]]) -> None:
    assert questions(rows) == []


def test_a_long_straight_segment_is_worth_a_look() -> None:
    found = findings([*lines(), ("tunnel", "LINESTRING (127 37, 127.022 37)")])
    assert [(one.code, one.severity, one.feature) for one in found] == [("geometry.long_segment", "info", "tunnel")]


def test_a_layer_of_one_long_line_is_asked_about() -> None:
    assert [one.code for one in questions([("only", "LINESTRING (127 37, 127.5 37)")])] == ["geometry.jump"]


def test_many_jumps_are_named_and_the_rest_is_counted() -> None:
    found = questions([*lines(400), *((f"bad{n}", f"LINESTRING (127 37, 128 {37 + n / 100})") for n in range(50))])
    assert sum(one.count for one in found) == 50
    assert len(found) == 21


def test_memory_is_bounded_and_the_longest_jumps_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jumps, "_MOST", 10)
    found = Jumps()
    for number in range(40):  # each batch brings one more, longer than those before
        batch = a_batch([*lines(), (f"bad{number}", f"LINESTRING (127 37, {128 + number / 100} 37)")])
        found.look(batch, jumps.segments(shapes_of(batch.table.column("geometry"))))
    named = [one.feature for one in found.findings("map.geojson")]
    assert named[0] == "bad39" and len(named) <= 10


def test_a_coarse_map_has_nothing_to_remember() -> None:
    found = Jumps()
    batch = a_batch([(f"road{n}", f"LINESTRING (127 {37 + n / 1000}, 127.02 {37 + n / 1000})") for n in range(200)])
    found.look(batch, jumps.segments(shapes_of(batch.table.column("geometry"))))
    assert all(not layer.suspects for layer in found._layers.values())


def test_one_feature_that_makes_most_of_a_layer_is_named() -> None:
    areas = [(f"a{n}", shapely.box(127, 37 + n / 1e4, 127.0001, 37.0001 + n / 1e4).wkt) for n in range(9)]
    points = "127 37, " + ", ".join(f"{127 + n / 1000:.3f} 37" for n in range(1, 400))
    around = f"POLYGON (({points}, 127.399 37.3, 127 37.3, 127 37))"
    found = [one for one in findings([*areas, ("around", around)]) if one.code == "layer.proportion"]
    assert {one.feature for one in found} == {"around"}
    assert any("% of the area" in one.message and "km²" in one.value for one in found)
    assert any("number of cells" in one.message for one in found)


@pytest.mark.parametrize(
    ("wkt", "pieces"),
    [
        ("LINESTRING Z (179.9 -17 5, -179.9 -17.1 10)", 2),
        ("LINESTRING (-179.9 -17, 179.9 -17)", 2),
        ("POLYGON ((179.9 -17, -179.9 -17, -179.9 -16, 179.9 -16, 179.9 -17))", 2),
        ("MULTILINESTRING ((179.5 0, 179.6 0), (179.9 0, -179.9 0))", 3),
        ("GEOMETRYCOLLECTION (POINT (179.9 0), LINESTRING (179.9 0, -179.9 0))", 3),
    ],
)
def test_what_goes_over_the_180th_meridian_is_cut_there(wkt: str, pieces: int) -> None:
    shape = shapely.from_wkt(wkt)
    assert crossing(np.array([shape], dtype=object)).tolist() == [0]
    found = cut(shape)
    assert len(shapely.get_parts(found)) == pieces
    assert crossing(np.array([found], dtype=object)).tolist() == []
    assert shapely.has_z(found) == shapely.has_z(shape)
    before = {tuple(point) for point in shapely.get_coordinates(shape, include_z=bool(shapely.has_z(shape))).tolist()}
    after = {tuple(point) for point in shapely.get_coordinates(found, include_z=bool(shapely.has_z(shape))).tolist()}
    assert before <= after
    assert all(abs(point[0]) == 180 for point in after - before)


def test_parts_on_both_sides_of_the_180th_meridian_are_left_as_they_are() -> None:
    shape = shapely.from_wkt("MULTILINESTRING ((179 0, 179.5 0), (-179 0, -179.5 0))")
    assert crossing(np.array([shape], dtype=object)).tolist() == []
