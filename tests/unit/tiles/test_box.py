"""Boxes of degrees: their arithmetic, over the 180 degree meridian too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiles.box import Box

SEOUL = Box(126.8, 37.4, 127.2, 37.7)
FIJI = Box(177.0, -20.0, -178.0, -12.0)

longitudes, latitudes = st.floats(-180, 180), st.floats(-90, 90)
boxes = st.builds(lambda w, e, a, b: Box(w, min(a, b), e, max(a, b)), longitudes, longitudes, latitudes, latitudes)


def test_text_is_four_numbers():
    assert Box.from_text("126.8, 37.4,127.2,37.7") == SEOUL
    for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d"):
        with pytest.raises(ValueError):
            Box.from_text(text)


def test_places_in_a_box_over_the_meridian():
    assert FIJI.contains(179, -15) and FIJI.contains(-179, -15) and FIJI.contains(180, -12)
    assert not FIJI.contains(0, -15) and not FIJI.contains(179, 0)
    assert SEOUL.contains(127, 37.5) and not SEOUL.contains(126, 37.5)
    assert FIJI.width == 5 and FIJI.centre == (179.5, -16.0)
    assert FIJI.halves() == [(177.0, -20.0, 180.0, -12.0), (-180.0, -20.0, -178.0, -12.0)]
    assert SEOUL.halves() == [SEOUL]


def test_joining_stays_on_this_side_where_both_are():
    assert Box(170, 0, 175, 1).joined(Box(-175, 2, -170, 3)) == (-175, 0, 175, 3)
    assert FIJI.joined(Box(-175, 0, -170, 1)) == (177, -20, -170, 1)
    assert Box(170, 0, 175, 1).joined(FIJI) == (170, -20, -178, 1)
    assert Box.around([]) is None
    assert Box.around([SEOUL, Box(128, 35, 129, 36), Box(127, 37, 127.1, 38)]) == (126.8, 35, 129, 38)


@given(boxes, boxes, longitudes, latitudes)
def test_what_is_in_one_of_two_boxes_is_in_both_joined(one, other, lon, lat):
    joined = one.joined(other)
    assert joined.is_on_earth
    for box in (one, other):
        if box.contains(lon, lat):
            assert joined.contains(lon, lat)
        assert joined.contains(box.west, box.south) and joined.contains(box.east, box.north)
    assert other.joined(one).width == pytest.approx(joined.width)


@given(boxes)
def test_halves_hold_what_the_box_holds(box):
    assert sum(half.width for half in box.halves()) == pytest.approx(box.width)
    assert all(half.west <= half.east for half in box.halves())
    assert box.contains(*box.centre)


@pytest.mark.parametrize("box", [(0, 1, 1, 0), (float("nan"), 0, 1, 1), (0, 0, 181, 1), (0, -91, 1, 1), (0, 0, float("inf"), 1)])
def test_what_is_no_box(box):
    assert not Box(*box).is_on_earth
    assert SEOUL.is_on_earth and FIJI.is_on_earth
