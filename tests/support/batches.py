"""Example batches of every kind of layer, and the rows of stored tiles as plain values: what the contract of codecs is tested with.

A new tile format needs an entry in `ROWS` (how an independent reader sees its tiles), a new kind of layer one in `EXAMPLES`.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support import videos
from tests.support.features import a_batch, random_shapes
from tiles.batch import Batch, Content, LayerKind
from tiles.frames.mcap_scan import McapScan, Message
from tiles.video.movie import read_movie

Rows = Counter[tuple[object, ...]]

SEOUL_UTM = (324_000.0, 4_158_000.0)
"""Metres, EPSG:32652."""
ABOUT = '{"profile":"ros2","library":"","metadata":[],"channels":[{"topic":"/a","encoding":"cdr","metadata":{},"schema":null}]}'


def features(kind: LayerKind) -> list[Batch]:
    shapes = random_shapes(60)
    kinds = [("lane_centre", "sidewalk", "sign", "other")[k % 4] for k in range(60)]
    ids = [f"f{k:03d}" for k in range(60)]
    return [Batch(Content.FEATURES, str(kind), kind, a_batch(shapes[i:j], kinds[i:j], ids=ids[i:j]).table) for i, j in ((0, 25), (25, 60))]


def points(kind: LayerKind) -> list[Batch]:
    rng = np.random.default_rng(5)
    found = []
    for n in (3000, 5000):
        x, y = (np.round(at + rng.uniform(0, 1200, n), 3) for at in SEOUL_UTM)
        columns = {"x": x, "y": y, "z": np.round(rng.normal(40, 3, n), 3), "intensity": rng.integers(0, 65536, n).astype(np.uint16)}
        found.append(Batch(Content.POINTS, str(kind), kind, pa.table(columns), crs="EPSG:32652"))
    return found


def frames(kind: LayerKind) -> list[Batch]:
    return [_frames(kind, i, j) for i, j in ((0, 30), (30, 70))]


def _frames(kind: LayerKind, first: int, end: int) -> Batch:
    """A drive to the east through four cells: a message or a picture of some KB every second."""
    k = np.arange(first, end)
    rng = np.random.default_rng(first)
    bodies = [b"\xff\xd8\xff" + rng.bytes(3000) for _ in k]
    n = len(k)
    table = {
        "t_ns": pa.array(1_700_000_000_000_000_000 + k * 1_000_000_000, pa.int64()),
        "lon": pa.array(127.0 + k * 0.0003),
        "lat": pa.array(np.full(n, 37.4)),
        "h": pa.nulls(n, pa.float64()),
        "topic": ["/a"] * n,
        "seq": pa.array(k, pa.int64()),
        "name": [f"{i:05d}.jpg" for i in k] if kind is LayerKind.PHOTOS else pa.nulls(n, pa.string()),
        "size": pa.array([len(body) for body in bodies], pa.int64()),
        "payload": pa.array(bodies, pa.large_binary()),
    }
    if kind is not LayerKind.PHOTOS:
        table |= {
            "publish_ns": table["t_ns"],
            "channel": pa.array([0] * n, pa.int32()),
            "media_type": pa.nulls(n, pa.string()),
            "create_ns": pa.nulls(n, pa.int64()),
            "frame": [False] * n,
            "fix": [True] * n,
        }
    return Batch(Content.FRAMES, str(kind), kind, pa.table(table), meta={"mcap": ABOUT})


@cache
def _film() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory()
    return folder, videos.film(Path(folder.name) / "drive.mp4", 70, rate=1, group=7, between=2)


def video(kind: LayerKind) -> list[Batch]:
    """The same drive as a film, a frame a second: which frame was where; the pictures stay in the file."""
    path = _film()[1]
    meta = {"video": json.dumps({"files": [{"path": str(path), "name": "drive.mp4"}], "camera": {"model": "made"}})}
    times = read_movie(path).of(b"vide")[0].times_s()
    found = []
    for i, j in ((0, 30), (30, 70)):
        at = times[i:j]
        columns = {
            "t_ns": pa.array((1_700_000_000 + at).astype(np.int64) * 1_000_000_000, pa.int64()),
            "lon": pa.array(127.0 + at * 0.0003),
            "lat": pa.array(np.full(len(at), 37.4)),
            "h": pa.nulls(len(at), pa.float64()),
            "seq": pa.array(np.arange(i, j), pa.int64()),
            "file": pa.array(np.zeros(len(at)), pa.int32()),
        }
        found.append(Batch(Content.FRAMES, str(kind), kind, pa.table(columns), meta=meta))
    return found


EXAMPLES: dict[LayerKind, Callable[[LayerKind], list[Batch]]] = {
    LayerKind.HDMAP: features,
    LayerKind.SIDEWALK: features,
    LayerKind.POINTCLOUD: points,
    LayerKind.RECORDING: frames,
    LayerKind.PHOTOS: frames,
    LayerKind.VIDEO: video,
}
"""Two batches of each kind of layer, in several cells."""

COLUMNS = {
    LayerKind.HDMAP: ("feature_id", "kind", "geometry", "properties"),
    LayerKind.SIDEWALK: ("feature_id", "kind", "geometry", "properties"),
    LayerKind.POINTCLOUD: ("x", "y", "z", "intensity"),
    LayerKind.RECORDING: ("t_ns", "seq", "payload"),
    LayerKind.PHOTOS: ("name", "payload"),
    LayerKind.VIDEO: ("t_ns",),
}
"""What must come back of each row."""


def rows_of_batches(batches: list[Batch]) -> Rows:
    """Every row of some batches, once."""
    names = COLUMNS[batches[0].kind]
    return Counter(row for batch in batches for row in zip(*(_plain(batch.table.column(name)) for name in names), strict=True))


def _plain(column: pa.ChunkedArray) -> list[object]:
    return [round(value, 3) if isinstance(value, float) else value for value in column.to_pylist()]


def _of_geoparquet(path: Path, kind: LayerKind) -> Rows:
    table = pq.read_table(path)
    owned = table.filter(table.column("owner"))  # a feature is in every cell that it touches, and counts where it begins
    return Counter(zip(*(owned.column(name).to_pylist() for name in COLUMNS[kind]), strict=True))


def _of_laz(path: Path, kind: LayerKind) -> Rows:
    import laspy

    cloud = laspy.read(path)
    return Counter(zip(*(np.round(np.asarray(cloud[name]), 3).tolist() for name in COLUMNS[kind]), strict=True))


def _of_mcap(path: Path, _: LayerKind) -> Rows:
    with path.open("rb") as stream:
        return Counter((m.log_time, m.sequence, bytes(m.data)) for m in McapScan(stream).items() if isinstance(m, Message))


def _of_tar(path: Path, _: LayerKind) -> Rows:
    with tarfile.open(path, "r:") as archive:
        return Counter((entry.name, archive.extractfile(entry).read()) for entry in archive if entry.name.endswith(".jpg"))


def _of_mp4(path: Path, _: LayerKind) -> Rows:
    """When each picture was taken: the number that it shows when it is decoded is its second."""
    import av

    with av.open(str(path)) as container:
        stated = [time for way in json.loads(container.metadata["mapex.trajectory"])["features"] for time in way["properties"]["times"]]
        shown = [1_700_000_000 + videos.number_of(frame) for frame in container.decode(video=0)]
    assert [datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp() for text in stated] == shown
    return Counter((second * 1_000_000_000,) for second in shown)


ROWS: dict[str, Callable[[Path, LayerKind], Rows]] = {
    "geoparquet": _of_geoparquet,
    "laz": _of_laz,
    "mcap": _of_mcap,
    "photo_tar": _of_tar,
    "mp4": _of_mp4,
}
"""The rows that a tile of each format owns."""
