"""What holds for every way through groups of pictures: each frame in one piece, none copied that leans on a frame of another cell."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers.video.gpmf import Telemetry
from ingest.tasks.convert import convert
from mapex.intake.placement import Placement
from tests.support import videos
from tiles.video.groups import NOWHERE, Piece, pieces
from tiles.video.movie import Samples

GROUPS = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=5)


def film(groups: list[tuple[int, int]]) -> tuple[Samples, list[int]]:
    """Groups of so many frames, of which each so-manieth is decoded before those that are shown before it."""
    pts: list[int] = []
    starts = []
    for length, step in groups:
        starts.append(len(pts))
        base = len(pts)
        left = list(range(1, length))
        order = [0]
        while left:
            some, left = left[:step], left[step:]
            order += [some[-1], *some[:-1]]
        pts += [base + one for one in order]
    n = len(pts)
    at = np.arange(n) * 10
    return Samples(at, np.full(n, 10), np.arange(n), np.array(pts), np.isin(np.arange(n), starts), 1), starts


@given(GROUPS, st.data())
@settings(max_examples=60, deadline=None)
def test_each_frame_is_in_one_piece_and_copies_need_nothing_of_another_cell(groups: list[tuple[int, int]], data: st.DataObject) -> None:
    samples, starts = film(groups)
    n = len(samples)
    runs = data.draw(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([1, 2, int(NOWHERE)])), min_size=n, max_size=n))
    shown = np.repeat(np.array([cell for _, cell in runs], np.uint64), [length for length, _ in runs])[:n]
    cells = shown[samples.pts]
    found: list[Piece] = list(pieces(np.array(starts), samples, cells, n))
    assert sorted(number for piece in found for number in piece.samples.tolist()) == list(range(n))
    for piece in found:
        assert (cells[piece.samples] == piece.cell).all()
        times = np.sort(samples.pts[piece.samples])
        assert (np.diff(times) == 1).all(), "frames of a piece follow one another when they are shown"
        if piece.is_copied:  # what was decoded before in its group is in the piece too
            first, _ = piece.group
            assert piece.samples.tolist() == list(range(first, first + len(piece.samples)))
    anew = sum(len(piece.samples) for piece in found if not piece.is_copied)
    bounds = [*starts, n]
    assert anew == 0 or any(len(set(cells[a:b].tolist())) > 1 for a, b in zip(bounds, bounds[1:], strict=False))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_telemetry_gives_positions_or_nothing_and_ends(data: st.DataObject) -> None:
    make = data.draw(st.sampled_from([videos.gps5, videos.gps9, videos.karma]))
    payload = bytearray(make(0.0, videos.eastward))
    for _ in range(data.draw(st.integers(0, 6))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    telemetry = Telemetry()
    telemetry.take(bytes(payload[: data.draw(st.integers(0, len(payload)))]), 0.0, 1.0)
    track = telemetry.positions.track()
    if len(telemetry.positions):
        lon, lat, _, _ = track.at(np.array([0, 500_000_000]))
        assert (np.abs(lon) <= 180).all() and (np.abs(lat) <= 90).all()
    assert telemetry.damaged in (0, 1)
    assert (telemetry.positions.utc_ns(np.array([0.0, 1.0])) >= 0).all()


def peak(path: Path) -> int:
    """Most bytes that are held while tiles are made of a film."""
    out = path.with_suffix("")
    out.mkdir()
    asked = {"do": "convert", "reads": [str(path)], "writes": str(out), "sources": [{"part": 0, "name": path.name}], "step": 1}
    tracemalloc.start()
    try:
        convert({**asked, "placement": Placement().as_json()}, lambda _: None)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_some_numbers_a_frame_whatever_the_size(tmp_path: Path) -> None:
    small, large = (videos.repeated(videos.film(tmp_path / f"{n}.mp4", 60, crf="0"), n) for n in (4, 40))
    sizes = [path.stat().st_size for path in (small, large)]
    assert sizes[1] > 9 * sizes[0] > 9 << 20
    peak(videos.repeated(videos.film(tmp_path / "first.mp4", 60), 2))  # what is imported stays
    found = [peak(path) for path in (small, large)]
    assert found[1] - found[0] < 36 * 60 * 1200, "about a kilobyte a frame, which itself has five"
