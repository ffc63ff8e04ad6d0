"""Where a message was recorded: between its neighbours in time, never beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.readers.recordings.track import Track

S = 1_000_000_000


def a_track(*fixes: tuple[float, float, float, float]) -> Track:
    track = Track()
    for t_s, lon, lat, h in fixes:
        track.add(int(t_s * S), lon, lat, h)
    return track


def at(track: Track, *times: float) -> list[tuple[float, float, float]]:
    lon, lat, h, _ = track.at(np.array([int(t * S) for t in times], np.int64))
    return list(zip(lon.tolist(), lat.tolist(), h.tolist(), strict=True))


def test_between_two_near_fixes_positions_are_interpolated() -> None:
    track = a_track((0, 127.0, 37.0, 10.0), (1, 127.2, 37.4, 20.0))
    assert at(track, 0.25) == [pytest.approx((127.05, 37.1, 12.5))]


def test_at_a_fix_the_position_is_exactly_that_fix() -> None:
    track = a_track((0, 0.1, 0.2, 0.3), (1, 0.7, 0.9, 1.1), (2, 1.3, 1.7, 1.9))
    assert at(track, 0, 1, 2) == [(0.1, 0.2, 0.3), (0.7, 0.9, 1.1), (1.3, 1.7, 1.9)]


def test_before_the_first_and_after_the_last_fix_that_fix_counts() -> None:
    track = a_track((5, 1.0, 1.0, 1.0), (6, 2.0, 2.0, 2.0))
    assert at(track, 0, 100) == [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)]
    assert track.at(np.array([0], np.int64))[3].tolist() == [5 * S]


def test_over_a_long_gap_the_nearer_fix_counts() -> None:
    track = a_track((0, 1.0, 1.0, 1.0), (60, 2.0, 2.0, 2.0))
    assert at(track, 20, 40) == [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)]


def test_over_the_antimeridian_nothing_is_interpolated_through_greenwich() -> None:
    track = a_track((0, 179.9, 0.0, 0.0), (1, -179.9, 0.0, 0.0))
    assert at(track, 0.25, 0.75) == [(179.9, 0.0, 0.0), (-179.9, 0.0, 0.0)]


def test_order_of_arrival_does_not_matter_and_one_fix_is_enough() -> None:
    assert at(a_track((1, 2.0, 2.0, 2.0), (0, 1.0, 1.0, 1.0)), 0.5) == [(1.5, 1.5, 1.5)]
    assert at(a_track((7, 2.0, 3.0, 4.0)), 0, 7, 9) == [(2.0, 3.0, 4.0)] * 3


def test_unknown_height_of_one_end_does_not_spoil_the_other() -> None:
    track = a_track((0, 1.0, 1.0, float("nan")), (1, 2.0, 2.0, 5.0))
    assert at(track, 1) == [(2.0, 2.0, 5.0)]
    assert at(track, 0.5)[0][:2] == (1.5, 1.5)


def test_without_any_fix_there_is_no_position() -> None:
    lon, lat, h, _ = Track().at(np.array([1, 2], np.int64))
    assert np.isnan([lon, lat, h]).all()
