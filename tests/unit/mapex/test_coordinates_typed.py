"""Coordinates are read in every usual form; a text that can be read twice gives both readings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from mapex.places.coordinates import readings
from tiles.grid import grid


@pytest.mark.parametrize(
    "text",
    [
        "37.39, 127.11",
        "37.39 127.11",
        "127.11, 37.39",
        "(37.39;127.11)",
        "geo:37.39,127.11",
        "N37.39 E127.11",
        "127.11E, 37.39N",
        "37°23'24\"N 127°06'36\"E",
        "37°23.4' N 127°6.6' E",
        "37 23 24 N, 127 6 36 E",
        "북위 37도 23분 24초 동경 127도 6분 36초",
    ],
)
def test_degrees_are_read_in_every_notation(text: str) -> None:
    assert [(round(one.lat, 6), round(one.lon, 6)) for one in readings(text)] == [(37.39, 127.11)]


def test_two_numbers_that_could_be_either_are_read_in_both_orders() -> None:
    assert [(one.lat, one.lon) for one in readings("49.01, 8.40")] == [(49.01, 8.4), (8.4, 49.01)]


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("EPSG:5186 {e:.1f} {n:.1f}", 5186),
        ("5186 {n:.1f} {e:.1f}", 5186),
        ("EPSG:5179 {e:.1f}, {n:.1f}", 5179),
        ("{e:.1f} {n:.1f}", 5179),
        ("UTM 52N {e:.1f} {n:.1f}", 32652),
        ("52S {e:.0f} {n:.0f}", 32652),
        ("{e:,.1f} {n:,.1f} EPSG:5186", 5186),
    ],
)
def test_metres_are_read_in_the_system_that_is_named_or_that_fits(text: str, system: int) -> None:
    east, north = Transformer.from_crs(4326, system, always_xy=True).transform(127.11, 37.39)
    found = readings(text.format(e=east, n=north))
    assert any(abs(one.lon - 127.11) < 1e-4 and abs(one.lat - 37.39) < 1e-4 and one.system == f"EPSG:{system}" for one in found)


@pytest.mark.parametrize(("text", "tile"), [("1321103203010300", "1321103203010300"), ("16/55892/25412", "1321103203010300")])
def test_a_tile_is_read_as_quadkey_or_with_zoom_column_and_row(text: str, tile: str) -> None:
    assert [one.tile for one in readings(text)] == [tile]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "종로1가",
        "1-1 2",
        "37.39",
        "1 2 3",
        "종로 12 34",
        "EPSG:99999 1 2",
        "EPSG:4326",
        "91 200",
        "37.39N 127.11N",
        "99/1/1",
        "16/99999/1",
    ],
)
def test_what_is_no_place_has_no_reading(text: str) -> None:
    assert readings(text) == []


@given(st.floats(-85, 85), st.floats(-180, 180))
def test_what_is_written_is_among_the_readings(lat: float, lon: float) -> None:
    asked = f"{lat:.6f}, {lon:.6f}"
    assert any(abs(one.lat - lat) < 1e-5 and abs(one.lon - lon) < 1e-5 for one in readings(asked))


@given(st.integers(0, 4**16 - 1))
def test_the_point_of_a_tile_is_within_it(cell: int) -> None:
    (one,) = readings(grid.quadkey(cell))
    assert int(grid.cells_at([one.lon], [one.lat])[0]) == cell


@given(st.text(alphabet="0123456789.,;-NSEW°'\" :/EPSGUTM", max_size=40))
def test_no_text_is_an_error(text: str) -> None:
    readings(text)
