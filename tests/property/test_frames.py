"""Frames, whatever they are: each exactly once, and the recorded time of the cells sums to that of the whole."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers.recordings.track import Track
from tiles.batch import Batch, Content, LayerKind
from tiles.frames.mcap_scan import McapScan, Message
from tiles.frames.splitter import FrameSplitter
from tiles.frames.track import PAUSE_NS, RecordedTime
from tiles.grid import grid
from tiles.recount import verify

S = 1_000_000_000
ABOUT = '{"profile":"ros2","library":"","metadata":[],"channels":[{"topic":"/a","encoding":"cdr","metadata":{},"schema":null}]}'

times = st.lists(st.integers(0, 60 * S), min_size=1, max_size=60)


@given(times, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_recorded_time_of_cells_sums_to_the_whole_in_any_order_and_grouping(t_ns: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    t = np.array(t_ns, np.int64)
    cells = random.integers(0, 4, len(t)).astype(np.uint64)
    clock = RecordedTime()
    for rows in np.array_split(random.permutation(len(t)), random.integers(1, 5)):
        clock.add(t[rows], cells[rows])
    ms = np.unique(t // 1_000_000)
    steps = np.diff(ms)
    assert sum(clock.by_cell().values()) == steps[steps <= PAUSE_NS // 1_000_000].sum()


rows = st.lists(
    st.tuples(st.integers(0, 2**40), st.floats(127.0, 127.02), st.floats(37.0, 37.02), st.binary(max_size=20)), min_size=1, max_size=40
)


@given(rows, st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_every_frame_is_in_exactly_one_tile_that_of_its_position(frames: list[tuple[int, float, float, bytes]], batches: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        splitter = FrameSplitter(out, layer="recording", part=3)
        for part in np.array_split(np.arange(len(frames)), batches):
            if len(part):
                splitter.add(a_batch([frames[i] for i in part]))
        found: Counter[tuple[int, int, bytes]] = Counter()
        for tile in splitter.finish():
            verify(out / tile.path, tile)
            with (out / tile.path).open("rb") as stream:
                found.update((tile.cell, item.log_time, bytes(item.data)) for item in McapScan(stream).items() if isinstance(item, Message))
    expected = Counter((int(grid.cells_at([lon], [lat])[0]), t, body) for t, lon, lat, body in frames)
    assert found == expected


STATIC = ABOUT.replace("}]}", '},{"topic":"/tf_static","encoding":"cdr","metadata":{},"schema":null}]}')


@given(
    st.lists(st.tuples(st.floats(127.0, 127.02), st.booleans(), st.binary(min_size=1, max_size=2)), min_size=1, max_size=40),
    st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_every_slice_has_all_static_transforms_and_each_is_counted_once(frames: list[tuple[float, bool, bytes]], batches: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        splitter = FrameSplitter(out, layer="recording", part=0)
        for part in np.array_split(np.arange(len(frames)), batches):
            if len(part):
                batch = a_batch([(int(i), frames[i][0], 37.0, frames[i][2]) for i in part])
                channel = pa.array([int(frames[i][1]) for i in part], pa.int32())
                table = batch.table.set_column(batch.table.column_names.index("channel"), "channel", channel)
                splitter.add(Batch(batch.content, batch.layer, batch.kind, table, meta={"mcap": STATIC}))
        counted, there = 0, Counter[tuple[int, bytes]]()
        for tile in splitter.finish():
            verify(out / tile.path, tile)
            counted += tile.quantities.features
            with (out / tile.path).open("rb") as stream:
                scan = McapScan(stream)
                messages = [item for item in scan.items() if isinstance(item, Message)]
                topics = {number: channel.topic for number, channel in scan._channels.items()}
            there.update((m.publish_time, bytes(m.data)) for m in messages)
            static = {bytes(m.data) for m in messages if topics[m.channel_id] == "/tf_static"}
            assert static == {body for _, is_static, body in frames if is_static}
    assert counted == len(frames)
    assert set(there) == {(i, body) for i, (_, _, body) in enumerate(frames)}


def a_batch(frames: list[tuple[int, float, float, bytes]]) -> Batch:
    n = len(frames)
    t, lon, lat, body = zip(*frames, strict=True)
    table = pa.table(
        {
            "t_ns": pa.array(t, pa.int64()),
            "lon": pa.array(lon, pa.float64()),
            "lat": pa.array(lat, pa.float64()),
            "h": pa.nulls(n, pa.float64()),
            "topic": ["/a"] * n,
            "seq": pa.array(range(n), pa.int64()),
            "name": pa.nulls(n, pa.string()),
            "size": pa.array([len(b) for b in body], pa.int64()),
            "payload": pa.array(body, pa.large_binary()),
            "publish_ns": pa.array(t, pa.int64()),
            "channel": pa.array([0] * n, pa.int32()),
            "media_type": pa.nulls(n, pa.string()),
            "create_ns": pa.nulls(n, pa.int64()),
            "frame": [False] * n,
            "fix": [i % 3 == 0 for i in range(n)],
        }
    )
    return Batch(Content.FRAMES, "recording", LayerKind.RECORDING, table, meta={"mcap": ABOUT})


@given(
    st.lists(st.tuples(st.integers(0, 100 * S), st.floats(-10, 10)), min_size=1, max_size=20),
    st.lists(st.integers(-S, 200 * S), min_size=1),
)
@settings(max_examples=80, deadline=None)
def test_a_position_is_never_outside_the_fixes_around_it(fixes: list[tuple[int, float]], asked: list[int]) -> None:
    track = Track()
    for t, lon in fixes:
        track.add(t, lon, -lon, 2 * lon)
    lon, lat, h, _ = track.at(np.array(asked, np.int64))
    first = dict(reversed(fixes))
    known = np.array(sorted(first))
    for t, x in zip(asked, lon.tolist(), strict=True):
        i = int(np.clip(np.searchsorted(known, t, side="right") - 1, 0, len(known) - 1))
        j = min(i + 1, len(known) - 1) if t > known[i] else i
        ends = sorted((first[int(known[i])], first[int(known[j])]))
        assert ends[0] - 1e-9 <= x <= ends[1] + 1e-9
    assert np.allclose(lat, -lon) and np.allclose(h, 2 * lon)
