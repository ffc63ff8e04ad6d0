"""OpenDRIVE's curves: what is drawn is at most 2 cm beside a reading of them that goes step by step, in plan and in height."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import shapely

from ingest.readers.opendrive.drawing import NEAR_M, Drawing
from ingest.readers.opendrive.lines import INNER, MIDDLE, OUTER, REFERENCE, lines_of
from ingest.readers.opendrive.road import road_of
from ingest.readers.opendrive.tree import OpenDriveParts
from tests.support.opendrive import STEPS, geometry, lane, road, section, walked, written

MM = 1e-3

SHAPES = {
    "line": ("<line/>", "line", ()),
    "arc": ('<arc curvature="0.02"/>', "arc", (0.02,)),
    "tight arc": ('<arc curvature="-0.1"/>', "arc", (-0.1,)),
    "spiral": ('<spiral curvStart="0" curvEnd="0.05"/>', "spiral", (0.0, 0.05)),
    "spiral that turns its side": ('<spiral curvStart="-0.06" curvEnd="0.08"/>', "spiral", (-0.06, 0.08)),
    "spiral that winds": ('<spiral curvStart="0.1" curvEnd="0.5"/>', "spiral", (0.1, 0.5)),
    "poly3": ('<poly3 a="0" b="0.1" c="0.004" d="-0.00006"/>', "poly3", (0.0, 0.1, 0.004, -0.00006)),
    "paramPoly3": (
        '<paramPoly3 pRange="arcLength" aU="0" bU="1" cU="-0.0001" dU="-0.00002" aV="0" bV="0" cV="0.006" dV="-0.00003"/>',
        "arcLength",
        (0.0, 1.0, -0.0001, -0.00002, 0.0, 0.0, 0.006, -0.00003),
    ),
    "paramPoly3 normalized": (
        '<paramPoly3 pRange="normalized" aU="0" bU="60" cU="-3" dU="-1" aV="0" bV="0" cV="12" dV="-8"/>',
        "normalized",
        (0.0, 60.0, -3.0, -1.0, 0.0, 0.0, 12.0, -8.0),
    ),
}
LENGTH = 60.0


def drawn(path: Path, what: int, number: int = -1) -> np.ndarray:
    """The vertices of a line of the first road."""
    made = road_of(next(part for part in OpenDriveParts(path, path.name).all() if part.name == "road"))
    assert not made.fault
    found = Drawing(lines_of([made])).drawn()
    at = next(k for k, name in enumerate(found.names) if name[3] == what and (what == REFERENCE or name[2] == number))
    return found.xyz[found.first[at] : found.first[at + 1]]


def assert_near(vertices: np.ndarray, dense: np.ndarray) -> None:
    """Each vertex is on the curve, and the curve nowhere further than 2 cm from the line; in three dimensions, at the same place."""
    line = shapely.LineString(dense[:, :2])
    assert shapely.distance(line, shapely.points(vertices[:, :2])).max() < MM
    along = shapely.line_locate_point(shapely.LineString(vertices[:, :2]), shapely.points(dense[:, :2]))
    walk = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(vertices[:, :2], axis=0).T))])
    there = np.column_stack([np.interp(along, walk, vertices[:, axis]) for axis in range(3)])
    assert np.linalg.norm(there - dense, axis=1).max() <= NEAR_M


@pytest.mark.parametrize("name", SHAPES)
def test_lines_are_at_most_two_centimetres_beside_their_curves(name: str, tmp_path: Path) -> None:
    text, shape, numbers = SHAPES[name]
    heights = '<elevationProfile><elevation s="0" a="20" b="0.05" c="0.001" d="-0.00001"/></elevationProfile>'
    widths = '<width sOffset="0" a="3" b="0" c="0.003" d="-0.00003"/>'
    sections = section(left=lane(1, inner=widths), right=lane(-1))
    path = written(tmp_path, road(plan=geometry(text, LENGTH), length=LENGTH, sections=sections, rest=heights))
    steps = walked(shape, numbers, LENGTH)
    s = np.linspace(0.0, LENGTH, STEPS + 1)
    z = 20 + 0.05 * s + 0.001 * s**2 - 0.00001 * s**3
    for what, number, t in ((REFERENCE, 0, 0 * s), (OUTER, -1, 0 * s - 3.5), (OUTER, 1, 3 + 0.003 * s**2 - 0.00003 * s**3)):
        dense = np.array([(x - aside * math.sin(h), y + aside * math.cos(h), up) for (x, y, h), aside, up in zip(steps, t, z, strict=True)])
        vertices = drawn(path, what, number)
        assert np.linalg.norm(vertices[0] - dense[0]) < MM
        assert np.linalg.norm(vertices[-1] - dense[-1]) < 5 * MM
        if "winds" not in name:  # such a line crosses itself: nearest places are not the same places
            assert_near(vertices, dense)


def test_a_straight_road_has_few_vertices(tmp_path: Path) -> None:
    path = written(tmp_path, road(length=500.0, sections=section(right=lane(-1))))
    assert len(drawn(path, OUTER)) <= 21


def test_an_arc_that_winds_many_times_within_a_step_is_drawn_all_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, road(plan=geometry('<arc curvature="1.00531"/>', LENGTH), length=LENGTH))  # 4 turns in 25 m
    vertices = drawn(path, REFERENCE)
    assert shapely.length(shapely.LineString(vertices)) == pytest.approx(LENGTH, rel=0.02)


def at_middle(path: Path, what: int, number: int = -1) -> tuple[float, float]:
    """y and z of a line of a straight road, halfway along."""
    vertices = drawn(path, what, number)
    return float(np.interp(25.0, vertices[:, 0], vertices[:, 1])), float(np.interp(25.0, vertices[:, 0], vertices[:, 2]))


FLAT = '<elevationProfile><elevation s="0" a="20"/></elevationProfile>'


def test_superelevation_turns_the_road_about_its_reference_line(tmp_path: Path) -> None:
    rest = FLAT + '<lateralProfile><superelevation s="0" a="0.1"/></lateralProfile>'
    path = written(tmp_path, road(sections=section(left=lane(1), right=lane(-1)), rest=rest))
    assert at_middle(path, OUTER, 1) == pytest.approx((3.5 * math.cos(0.1), 20 + 3.5 * math.sin(0.1)))
    assert at_middle(path, OUTER, -1) == pytest.approx((-3.5 * math.cos(0.1), 20 - 3.5 * math.sin(0.1)))


def test_crossfall_falls_to_both_sides_and_a_level_lane_leaves_it(tmp_path: Path) -> None:
    rest = FLAT + '<lateralProfile><crossfall side="both" s="0" a="0.02"/></lateralProfile>'
    sides = section(left=lane(1), right=lane(-1) + lane(-2, "sidewalk", level="true"))
    path = written(tmp_path, road(sections=sides, rest=rest))
    assert at_middle(path, OUTER, 1) == pytest.approx((3.5, 20 - 3.5 * math.tan(0.02)))
    assert at_middle(path, OUTER, -2) == pytest.approx((-7.0, 20 - 3.5 * math.tan(0.02)))


def test_lateral_shape_is_followed_in_t_and_between_its_places(tmp_path: Path) -> None:
    shapes = "".join(f'<shape s="{s}" t="0" a="0" b="{b}" c="0" d="0"/>' for s, b in ((0, 0.0), (50, 0.2)))
    path = written(tmp_path, road(sections=section(left=lane(1)), rest=f"{FLAT}<lateralProfile>{shapes}</lateralProfile>"))
    assert at_middle(path, OUTER, 1) == pytest.approx((3.5, 20 + 0.1 * 3.5))


def test_heights_of_a_lane_lift_each_of_its_sides(tmp_path: Path) -> None:
    inner = '<width sOffset="0" a="2" b="0" c="0" d="0"/><height sOffset="0" inner="0.12" outer="0.2"/>'
    path = written(tmp_path, road(sections=section(right=lane(-1) + lane(-2, "sidewalk", inner))))
    assert at_middle(path, INNER, -2) == pytest.approx((-3.5, 20.12))
    assert at_middle(path, OUTER, -2) == pytest.approx((-5.5, 20.2))
    assert at_middle(path, MIDDLE, -2) == pytest.approx((-4.5, 20.16))


def test_borders_and_lane_offset_place_a_lane(tmp_path: Path) -> None:
    border = '<border sOffset="0" a="-6" b="0" c="0" d="0"/>'
    offset = '<laneOffset s="0" a="0.5" b="0" c="0" d="0"/>'
    path = written(tmp_path, road(offset=offset, sections=section(left=lane(1), right=lane(-1, inner=border))))
    assert at_middle(path, OUTER, 1)[0] == pytest.approx(4.0)
    assert at_middle(path, INNER, -1)[0] == pytest.approx(0.5)
    assert at_middle(path, OUTER, -1)[0] == pytest.approx(-5.5)


def test_a_single_sided_section_ends_only_its_own_side(tmp_path: Path) -> None:
    second = section(s=20.0, left=lane(1) + lane(2), attributes=' singleSide="true"')
    path = written(tmp_path, road(sections=section(left=lane(1), right=lane(-1)) + second))
    assert drawn(path, OUTER, -1)[-1, 0] == pytest.approx(50.0)
    assert drawn(path, OUTER, 1)[-1, 0] == pytest.approx(20.0)
    assert drawn(path, OUTER, 2)[[0, -1], 0] == pytest.approx([20.0, 50.0])


def test_a_range_that_is_not_stated_is_taken_from_the_speed_of_the_curve(tmp_path: Path) -> None:
    for length, speed in ((60.0, 1.0), (60.0, 58.0)):
        text = f'<paramPoly3 aU="0" bU="{speed}" cU="0" dU="0" aV="0" bV="0" cV="0" dV="0"/>'
        path = written(tmp_path, road(plan=geometry(text, length), length=length))
        assert drawn(path, REFERENCE)[-1, 0] == pytest.approx(60.0, abs=3.0)
