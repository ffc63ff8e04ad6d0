"""Points that were no LAS become LAS without losing a digit, a column or a bit."""

from __future__ import annotations

import numpy as np
import pytest

from tiles.errors import InvalidContent
from tiles.points.layout import Axis, layout


def an_axis(values: np.ndarray, *, float32: bool = False) -> Axis:
    axis = Axis(float32)
    axis.see(values.astype(np.float64))
    return axis


def given_back(values: np.ndarray, *, float32: bool = False, degrees: bool = False) -> np.ndarray:
    scale, offset = an_axis(values, float32=float32).scale(degrees=degrees)
    whole = np.rint((values.astype(np.float64) - offset) / scale)
    assert np.abs(whole).max() < 2**31
    return whole * scale + offset


def test_decimals_keep_their_own_step() -> None:
    values = np.array([457_000.123, 457_100.004, 456_999.5])
    scale, offset = an_axis(values).scale(degrees=False)
    assert scale == 0.001
    assert offset == np.floor(offset)
    assert np.allclose(given_back(values), values, rtol=0, atol=1e-9)


def test_float32_utm_northings_keep_their_half_metre_grid_exactly() -> None:
    values = (5_402_650 + np.arange(50) * 0.5).astype(np.float32)
    assert an_axis(values, float32=True).scale(degrees=False)[0] == 0.5
    assert np.array_equal(given_back(values, float32=True), values)


def test_decimals_that_were_read_as_float32_come_back_as_the_same_float32() -> None:
    values = np.round(np.random.default_rng(1).uniform(-70, 70, 5000), 3).astype(np.float32)
    assert an_axis(values, float32=True).scale(degrees=False)[0] == 0.001
    assert np.array_equal(given_back(values, float32=True).astype(np.float32), values)


def test_any_double_comes_back_within_half_a_micrometre() -> None:
    values = np.random.default_rng(2).uniform(0, 900, 5000) + 5_402_650
    assert np.abs(given_back(values) - values).max() <= 0.51e-6


def test_degrees_come_back_within_half_a_nanodegree() -> None:
    values = np.random.default_rng(2).uniform(8.4, 8.5, 5000)
    assert np.abs(given_back(values, degrees=True) - values).max() <= 0.51e-9


def test_stray_point_that_no_scale_can_span_is_refused_by_name() -> None:
    with pytest.raises(InvalidContent) as caught:
        an_axis(np.array([0.0, 1e12])).scale(degrees=False)
    assert caught.value.code == "points.too_far"


def columns(**kinds: str) -> np.dtype[np.void]:
    return np.dtype([("x", "f8"), ("y", "f8"), ("z", "f8"), *kinds.items()])


def axes() -> list[Axis]:
    return [an_axis(np.array([0.0, 1.0])) for _ in "xyz"]


def test_columns_go_where_las_has_a_place_when_their_type_fits_and_else_keep_name_and_type() -> None:
    form = layout(
        columns(Intensity="u2", GpsTime="f8", Red="u2", Green="u2", Blue="u2", ring="u1", Classification="u2"), axes(), degrees=False
    )
    assert form.point_format == 7
    assert form.places["Intensity"] == "intensity"
    assert form.places["GpsTime"] == "gps_time"
    assert form.places["Red"] == "red"
    assert form.places["ring"] == "ring"
    assert form.places["Classification"] == "Classification"  # two bytes do not fit into one
    assert form.record["Classification"] == np.dtype("<u2")


def test_float_intensity_and_lone_red_stay_extra_bytes_under_a_free_name() -> None:
    form = layout(columns(intensity="f4", red="u2"), axes(), degrees=False)
    assert form.point_format == 6
    assert form.places["intensity"] == "intensity_2"
    assert form.record["intensity_2"] == np.dtype("<f4")
    assert form.places["red"] == "red"


def test_long_and_foreign_names_are_cut_to_32_bytes_and_stay_different() -> None:
    names = {"반사강도반사강도반사강도반사강도" + c: "f4" for c in "가나"}
    form = layout(columns(**names), axes(), degrees=False)
    places = [form.places[name] for name in names]
    assert len(set(places)) == 2
    assert all(len(place.encode()) <= 32 for place in places)


def test_type_that_las_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidContent) as caught:
        layout(columns(wide="f2"), axes(), degrees=False)
    assert caught.value.code == "points.column"
