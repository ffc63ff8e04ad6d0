"""What small uploads cost: nothing of a few hundred kilobytes holds a worker for minutes, or takes its machine's memory and disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely

from ingest.conversion import convert as conversion
from ingest.conversion.convert import Converted, SourceTask, convert
from ingest.conversion.layout import budget_s
from ingest.worker import reading
from mapex.exchange import Exchange
from mapex.intake.placement import Placement
from tests.support.exchange import an_exchange
from tests.support.features import a_batch
from tests.support.uploads import a_map, codes, ingest
from tiles.errors import InvalidContent
from tiles.features import codec, remembered, splitter
from tiles.features.assign import assign
from tiles.features.splitter import FeatureSplitter
from tiles.recount import verify_each


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


def a_zigzag(vertices: int, degrees: float = 0.02, seed: int = 1) -> shapely.Geometry:
    """A line that runs to and fro between four places."""
    rng = np.random.default_rng(seed)
    corners = np.array([127.0, 37.5]) + np.round(rng.random((4, 2)) * degrees, 4)
    return shapely.linestrings(corners[rng.integers(0, 4, vertices)])


def test_a_long_feature_in_many_tiles_is_measured_once_when_they_are_recounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured in each of them, twenty such lines held a worker for minutes."""
    split = FeatureSplitter(tmp_path, layer="hdmap", part=0)
    split.add(a_batch([a_zigzag(3000, seed=seed) for seed in range(3)]))
    tiles = list(split.finish())
    assert len(tiles) > 8
    rows = 0

    def counting(table: pa.Table, **given: object) -> object:
        nonlocal rows
        rows += table.num_rows
        return assign(table)

    monkeypatch.setattr(remembered, "assign", counting)
    monkeypatch.setattr(codec, "_RECOUNTED_BYTES", 1)  # each tile alone
    assert [why for _, why in verify_each((tmp_path / tile.path, tile) for tile in tiles) if why] == []
    assert rows == 3


def test_remembered_features_are_assigned_as_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "LONG", 200)
    long, short = a_zigzag(40), a_zigzag(5)
    broken = shapely.linestrings([(127.0 + k / 1e6, 37.5 if k else 89.0) for k in range(40)])
    known = remembered.Remembered()
    for shapes in ([long, short, long], [short, broken, long], [a_zigzag(60, seed=2), long, short, broken]):
        for kinds in (["lane_centre"] * len(shapes), ["sign"] * len(shapes)):
            table = a_batch(shapes, kinds).table
            found, fresh = known.assign(table), assign(table)
            for name in ("row", "cell", "owner", "mm", "status", "code"):
                assert np.array_equal(getattr(found, name), getattr(fresh, name)), name
            assert np.array_equal(found.bounds, fresh.bounds)


def test_features_that_would_take_many_times_what_was_given_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "FREE_COPIES", 1 << 16)
    split = FeatureSplitter(tmp_path, layer="hdmap", part=0, misfits=[])
    with pytest.raises(InvalidContent, match="in all their cells together") as refused:
        split.add(a_batch([shapely.Point(127, 37.5), *(a_zigzag(3000, degrees=0.05, seed=seed) for seed in range(9))]))
    assert refused.value.code == "geometry.too_wide"


def test_a_line_that_goes_over_the_edges_of_cells_without_end_is_too_wide(tmp_path: Path) -> None:
    misfits: list[object] = []
    split = FeatureSplitter(tmp_path, layer="hdmap", part=0, misfits=misfits)  # type: ignore[arg-type]
    across = shapely.linestrings(np.tile([[127.0, 37.5], [127.25, 37.7]], (1550, 1)))
    split.add(a_batch([across]))
    list(split.finish())
    assert [getattr(one, "code", "") for one in misfits] == ["geometry.too_wide"]
    stored = assign(a_batch([across]).table)
    assert stored.status.tolist() == [0], "tiles that are there already are counted as before"


def test_relations_that_take_one_way_again_and_again_are_refused(ex: Exchange) -> None:
    """Thirty kilobytes became ten million vertices."""
    lines = ['<?xml version="1.0"?><osm version="0.6">']
    lines += [f'<node id="{n}" lat="{37.5 + n * 1e-6:.6f}" lon="{127 + n % 2 * 1e-5:.5f}"/>' for n in range(1, 401)]
    for way in (1, 2):
        refs = "".join(f'<nd ref="{n}"/>' for n in range(200 * way - 199, 200 * way + 1))
        lines.append(f'<way id="{way}">{refs}<tag k="type" v="line_thin"/><tag k="subtype" v="solid"/></way>')
    for number in range(1, 2001):
        members = '<member type="way" ref="1" role="left"/><member type="way" ref="2" role="right"/>'
        lines.append(f'<relation id="{number}">{members}<tag k="type" v="lanelet"/></relation>')
    done = ingest(ex, {"map.osm": "\n".join([*lines, "</osm>"]).encode()})
    assert codes(done) == ["relation.repeats"]


def test_an_outline_that_cannot_be_cut_at_the_180th_meridian_is_a_finding(ex: Exchange) -> None:
    rng = np.random.default_rng(2)
    ring = [[float(rng.choice([179.9, -179.9])), round(float(rng.random()), 3)] for _ in range(300)]
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    record = {"type": "Feature", "id": "odd", "properties": {"highway": "footway"}, "geometry": shape}
    body = json.dumps({"type": "FeatureCollection", "features": [record]}).encode()
    done = ingest(ex, {"odd.geojson": body})
    assert [(f.code, f.feature) for f in done.findings if f.code.startswith("geometry.unc")] == [("geometry.uncut", "odd")]
    assert not [f for f in done.findings if f.code.startswith("reader.")]


def test_files_that_take_all_the_time_are_cut_and_the_others_are_named(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file may take a minute; a thousand of them may not take a thousand."""
    slow: list[str] = []

    def takes_long(tasks: list[SourceTask]) -> list[Converted]:
        from dataclasses import replace

        slow.extend(task.name for task in tasks)
        done = convert(tasks)
        return [replace(done[0], seconds=1e6), *done[1:]]

    monkeypatch.setattr(reading, "convert", takes_long)
    monkeypatch.setattr(reading, "bundled", lambda tasks: [(task,) for task in tasks])
    done = ingest(ex, {f"{n}.geojson": a_map(5, west=127 + n) for n in range(40)})
    cut = [finding.file for finding in done.findings if finding.code == "reader.limit_all"]
    assert done.version.state == "rejected"
    assert cut
    assert len(slow) < 40
    assert len(set(cut) | set(slow)) == 40


def test_a_bundle_that_ends_badly_is_not_read_again_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def bad(tasks: list[SourceTask]) -> tuple[list[Converted], bool]:
        nonlocal tried
        tried += 1
        return [], False

    at = iter(range(0, 10**9, 100_000))
    monkeypatch.setattr(conversion, "_attempt", bad)
    monkeypatch.setattr(conversion.time, "monotonic", lambda: float(next(at)))
    tasks = [SourceTask(tmp_path, tmp_path, f"{n}", n, 10, Placement(), tmp_path / "stop") for n in range(64)]
    done = convert(tasks)
    assert tried == 1
    assert [one.findings[0].code for one in done] == ["reader.limit_all"] * 64


def test_what_all_files_may_take_grows_with_their_bytes_and_not_with_their_number_alone(tmp_path: Path) -> None:
    def tasks(count: int, size: int) -> list[SourceTask]:
        return [SourceTask(tmp_path, tmp_path, f"{n}", n, size, Placement(), tmp_path / "stop") for n in range(count)]

    assert budget_s(tasks(20, 30_000)) < 200
    assert budget_s(tasks(5000, 1000)) < 3000
    assert budget_s(tasks(1, 10 << 30)) > 3600
