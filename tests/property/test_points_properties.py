"""Splitting conserves points, bit for bit, whatever the format, the packing, the form of the cloud and the chunks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import laspy
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers.cloud import lzf
from tests.support.clouds import a_las, sorted_records, tile_paths
from tiles.batch import Batch, Content, LayerKind
from tiles.grid import grid
from tiles.points.cell_finder import CellFinder
from tiles.points.las_split import split_laz
from tiles.points.records import SplitCounts
from tiles.points.splitter import COORDINATES, PointSplitter
from tiles.recount import verify


@settings(max_examples=15, deadline=None)
@given(
    point_format=st.sampled_from([0, 1, 2, 3, 6, 7, 8]),
    ending=st.sampled_from(["las", "laz"]),
    n=st.integers(1, 3000),
    spread=st.sampled_from([1.0, 700.0, 5000.0]),
    extra=st.booleans(),
    drive=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_tiles_hold_each_point_of_the_file_once_in_its_half_open_cell(
    point_format: int, ending: str, n: int, spread: float, extra: bool, drive: bool, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = a_las(root / f"a.{ending}", n, point_format=point_format, spread_m=spread, extra=extra, drive=drive, seed=seed)
        counts = SplitCounts()
        tiles = list(split_laz(path, root / "out", layer="points", part=1, crs="EPSG:32632", counts=counts))
        assert (counts.claimed, counts.placed, counts.rejected, counts.lost) == (n, n, 0, 0)
        assert np.array_equal(sorted_records(tile_paths(root / "out", tiles)), sorted_records([path]))
        finder = CellFinder("EPSG:32632")
        for tile in tiles:
            verify(root / "out" / tile.path, tile)
            cloud = laspy.read(root / "out" / tile.path)
            assert tile.quantities.points == len(cloud.points) == cloud.header.point_count
            assert (finder.exact(np.asarray(cloud.x), np.asarray(cloud.y)) == tile.cell).all()
            west, south, east, north = grid.bounds(tile.cell)
            assert west <= tile.bbox[0] <= tile.bbox[2] <= east
            assert south <= tile.bbox[1] <= tile.bbox[3] <= north


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 2000),
    parts=st.integers(1, 4),
    float32=st.booleans(),
    seed=st.integers(0, 1000),
    kinds=st.lists(st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]), max_size=5),
)
def test_batches_become_tiles_with_every_column_unchanged(n: int, parts: int, float32: bool, seed: int, kinds: list[str]) -> None:
    rng = np.random.default_rng(seed)
    x, y, z = 457_000 + rng.uniform(0, 3000, n), 5_427_000 + rng.uniform(0, 3000, n), rng.uniform(-5, 300, n)
    if float32:
        x, y, z = (v.astype(np.float32).astype(np.float64) for v in (x, y, z))
    more = {f"c{i}": np.frombuffer(rng.bytes(n * np.dtype(kind).itemsize), kind) for i, kind in enumerate(kinds)}
    columns = {"x": x, "y": y, "z": z, "row": np.arange(n, dtype="u4"), **more}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        splitter = PointSplitter(out, layer="points", part=0, crs="EPSG:32632", memory_mb=0)
        for rows in np.array_split(np.arange(n), parts):
            table = pa.table({name: v[rows] for name, v in columns.items()})
            meta = {COORDINATES: "float32" if float32 else "float64"}
            splitter.add(Batch(Content.POINTS, "points", LayerKind.POINTCLOUD, table, "EPSG:32632", meta))
        tiles = list(splitter.finish())
        assert not (out / ".spill" / "points-points-0").exists()
        seen = []
        for tile in tiles:
            verify(out / tile.path, tile)
            cloud = laspy.read(out / tile.path)
            rows = np.asarray(cloud.points["row"])
            seen.append(rows)
            for axis, values in (("x", x), ("y", y), ("z", z)):
                assert np.abs(np.asarray(cloud[axis]) - values[rows]).max() <= 0.51e-6
            for name, values in more.items():
                assert np.asarray(cloud.points.array[name]).tobytes() == values[rows].tobytes()
        assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(n))


@given(raw=st.binary(min_size=1, max_size=300), noise=st.binary(max_size=40))
def test_lzf_gives_what_is_promised_or_refuses(raw: bytes, noise: bytes) -> None:
    from tiles.errors import InvalidContent

    packed = b"".join(bytes([len(raw[i : i + 32]) - 1]) + raw[i : i + 32] for i in range(0, len(raw), 32))
    assert lzf.unpack(packed, len(raw)) == raw
    try:
        assert len(lzf.unpack(noise, 50)) == 50
    except InvalidContent as why:
        assert why.code == "pcd.compressed"
