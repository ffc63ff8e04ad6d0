"""Teaser lines: enough to see where lines run, too little to be sold."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from tiles.errors import InvalidContent
from tiles.features import teaser
from tiles.grid import grid
from tiles.points import sample

SEOUL = (126.98, 37.56)


def lines(*offsets: float) -> np.ndarray:
    """Parallel streets north of Seoul, `offsets` degrees apart from the first, with a corner every 10 m."""
    along = np.arange(0, 0.01, 1e-4)
    made = [shapely.LineString(np.column_stack([SEOUL[0] + along, np.full(len(along), SEOUL[1] + d)])) for d in offsets]
    return np.array(made, dtype=object)


def test_corners_are_on_a_grid_of_several_metres_and_heights_are_gone() -> None:
    made = teaser.generalise(shapely.force_3d(lines(0.0), 33.3), np.zeros(1, np.uint8))
    assert made.zoom == 22
    assert made.segments.dtype == np.int32
    width_m = 40_075_017 / 2**22 * np.cos(np.radians(SEOUL[1]))
    assert 7 < width_m < 8


def test_lines_that_fall_together_are_one() -> None:
    two = teaser.generalise(lines(0.0, 5e-6), np.zeros(2, np.uint8))
    one = teaser.generalise(lines(0.0), np.zeros(1, np.uint8))
    assert np.array_equal(two.segments, one.segments)


def test_direction_and_order_do_not_matter() -> None:
    given = lines(0.0, 0.001)
    turned = np.array([shapely.reverse(line) for line in given[::-1]], dtype=object)
    codes = np.zeros(2, np.uint8)
    assert teaser.encode(teaser.generalise(given, codes)) == teaser.encode(teaser.generalise(turned, codes))


def test_bytes_come_back_and_broken_ones_are_refused() -> None:
    made = teaser.generalise(lines(0.0, 0.001), np.array([0, 2], np.uint8))
    body = teaser.encode(made)
    back = teaser.decode(body)
    assert np.array_equal(back.segments, made.segments)
    assert np.array_equal(back.classes, made.classes)
    for broken in (b"", b"MXT1", body[:-3], body + b"x", b"MXT2" + body[4:], body[:4] + b"\x1f" + body[5:]):
        with pytest.raises(InvalidContent):
            teaser.decode(broken)


def test_too_many_segments_make_the_grid_coarser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaser, "MOST_SEGMENTS", 40)
    pieces = [teaser.generalise(lines(k * 1e-4), np.zeros(1, np.uint8)) for k in range(60)]
    merged = teaser.merge(pieces)
    assert len(merged.segments) <= 40
    assert merged.zoom < teaser.FINEST


def test_a_map_tile_gets_its_lines_in_its_own_units() -> None:
    made = teaser.generalise(lines(0.0), np.zeros(1, np.uint8))
    x, y = (int(v[0]) for v in grid.tile_xy([SEOUL[0] + 0.005], [SEOUL[1]], 14))
    inside = made.in_tile(14, x, y)
    assert len(inside.segments)
    far = made.in_tile(14, x + 5, y)
    assert not len(far.segments)
    left, top = (float(v[0]) for v in grid.tile_xy([SEOUL[0]], [SEOUL[1]], 14))
    assert abs(inside.segments[:, [0, 2]].min() - (left - x) * 4096) < 17
    assert np.abs(inside.segments[:, [1, 3]] - (top - y) * 4096).max() < 17


def test_sample_of_a_cloud_is_shuffled_coarse_and_without_its_place() -> None:
    n = 20_000
    xyz = np.column_stack([np.linspace(0, 400, n) + 321_000.123, np.zeros(n) + 4_140_000.456, np.zeros(n) + 61.0])
    body, step = sample.encode(sample.Sample(xyz, np.zeros((n, 4), np.uint8), False))
    elsewhere, _ = sample.encode(sample.Sample(xyz + [5e5, -1e5, 40], np.zeros((n, 4), np.uint8), False))
    assert step >= sample.FINEST_STEP
    assert sample.check(body) == n
    rows = np.frombuffer(body[16:], sample.POINT)
    moved = np.frombuffer(elsewhere[16:], sample.POINT)
    assert np.abs(rows["xyz"].astype(int) - moved["xyz"]).max() <= 1  # rounding; the place itself leaves no trace
    x = rows["xyz"][:, 0].astype(float)
    for first in (1000, 5000):  # each quarter of the street has its quarter of any prefix
        shares = np.histogram(x[:first], bins=4, range=(x.min(), x.max()))[0] / first
        assert np.abs(shares - 0.25).max() < 0.05
    for broken in (body[:-1], body + b"\0", b"MXC2" + body[4:], b""):
        with pytest.raises(InvalidContent):
            sample.check(broken)
