"""Placed rows are checked as columns; a picture of them is small and drawn without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely

from ingest.checks.screen import Screened, screen
from ingest.placing.antimeridian import crossing
from ingest.reader import Placed
from ingest.tasks.sketch import HEIGHT, WIDTH, Sketch
from mapex.intake.placement import Known
from tiles.batch import Batch, Content, LayerKind


def features(*geometry: shapely.Geometry | None) -> Batch:
    table = pa.table(
        {
            "feature_id": [f"way/{n}" for n in range(len(geometry))],
            "kind": ["sidewalk"] * len(geometry),
            "geometry": pa.array([None if g is None else shapely.to_wkb(g) for g in geometry], pa.binary()),
            "properties": ["{}"] * len(geometry),
        }
    )
    return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table)


def frames(lon: list[float | None], lat: list[float | None], kind: LayerKind = LayerKind.RECORDING) -> Batch:
    rows = len(lon)
    table = pa.table(
        {
            "t_ns": pa.array(range(100, 100 + rows), pa.int64()),
            "lon": pa.array(lon, pa.float64()),
            "lat": pa.array(lat, pa.float64()),
            "topic": ["/fix"] * rows,
            "name": [f"{n}.jpg" for n in range(rows)],
        }
    )
    return Batch(Content.FRAMES, str(kind), kind, table)


def points(x: list[float], y: list[float], z: list[float], crs: str = "EPSG:4326") -> Batch:
    table = pa.table({"x": pa.array(x, pa.float64()), "y": pa.array(y, pa.float64()), "z": pa.array(z, pa.float64())})
    return Batch(Content.POINTS, "points", LayerKind.POINTCLOUD, table, crs)


def check(batch: Batch, file: str) -> Screened:
    return screen(batch, Placed(batch.crs, Known.FILE), file=file)


def test_feature_without_geometry_is_unplaced_and_named() -> None:
    done = check(features(shapely.Point(127, 37), None, shapely.LineString()), "map.osm")
    assert (done.batch.table.num_rows, done.unplaced, done.rejected) == (1, 2, 0)
    assert {f.feature for f in done.findings} == {"way/1", "way/2"}
    assert {f.code for f in done.findings} == {"feature.no_place"}
    assert done.box == (127, 37, 127, 37)


def test_many_rows_without_a_place_are_few_findings_with_the_right_sum() -> None:
    done = check(features(*[None] * 100), "map.osm")
    assert done.unplaced == 100
    assert len(done.findings) < 10
    assert sum(f.count for f in done.findings) == 100
    assert done.box is None


def test_frame_without_a_fix_is_unplaced_and_never_at_null_island() -> None:
    done = check(frames([127.0, None, float("nan"), 0.0, 200.0], [37.0, 37.0, 37.0, 0.0, 37.0]), "r.mcap")
    assert (done.batch.table.num_rows, done.unplaced, done.rejected) == (1, 3, 1)
    codes = {f.code: f.rejected for f in done.findings}
    assert codes == {"frame.no_place": 0, "place.null_island": 0, "coordinate.out_of_range": 1}
    assert done.times == (100, 100)


def test_points_without_finite_coordinates_are_rejected_and_counted() -> None:
    done = check(points([127.0, float("nan"), 127.1], [37.0, 37.0, float("inf")], [1.0, 1.0, 1.0]), "a.pcd")
    assert (done.batch.table.num_rows, done.rejected) == (1, 2)
    assert sum(f.rejected for f in done.findings) == 2
    assert done.box == (127.0, 37.0, 127.0, 37.0)


def test_box_of_points_is_in_degrees_whatever_their_crs() -> None:
    done = check(points([500_000.0, 500_100.0], [4_000_000.0, 4_000_100.0], [0.0, 0.0], "EPSG:32652"), "a.las")
    assert done.box is not None
    assert done.box[0] == pytest.approx(129.0, abs=0.01)
    assert done.box[1] == pytest.approx(36.14, abs=0.01)


@pytest.mark.parametrize(
    "batch",
    [
        features(shapely.LineString([(127, 37), (127.001, 37.001)]), shapely.box(127, 37, 127.0005, 37.0005), shapely.Point(127, 37), None),
        frames([127.0, 127.001], [37.0, 37.001]),
        points(list(np.linspace(0, 100, 500)), list(np.linspace(0, 50, 500)), list(np.linspace(0, 9, 500)), "EPSG:32652"),
    ],
    ids=["features", "frames", "points"],
)
def test_picture_shows_something_and_is_small(tmp_path: Path, batch: Batch) -> None:
    from PIL import Image

    sketch = Sketch()
    sketch.add(batch)
    assert sketch.draw(tmp_path / "p.png")
    with Image.open(tmp_path / "p.png", formats=["PNG"]) as image:
        assert image.size == (WIDTH, HEIGHT)
        assert len(image.getcolors(1 << 18) or []) >= 3
    assert (tmp_path / "p.png").stat().st_size < 200_000


def test_nothing_gives_no_picture(tmp_path: Path) -> None:
    sketch = Sketch()
    sketch.add(features(None))
    assert not sketch.draw(tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()


def test_picture_keeps_a_bounded_sample() -> None:
    sketch = Sketch()
    big = points(list(np.zeros(200_000)), list(np.zeros(200_000)), list(np.zeros(200_000)), "EPSG:32652")
    for _ in range(30):
        sketch.add(big)
    assert sketch.sampled < 600_000


def test_a_coordinate_that_is_no_number_goes_over_no_meridian() -> None:
    lines = np.array([shapely.LineString([(170, 0), (np.inf, 0), (-170, 0)]), shapely.LineString([(170, 0), (-170, 0)])], dtype=object)
    assert crossing(lines).tolist() == [1]
