"""One source in its two cages: honest readers give tiles, false ones give nothing, whatever they answer."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingest.cage import launch
from ingest.conversion import convert as conversion
from ingest.conversion.convert import Converted, SourceTask, Stopped, convert
from ingest.conversion.dry_run import inspect
from ingest.conversion.local import tile_file
from ingest.conversion.pool import ClusterPool, LocalPool
from mapex.errors import Invalid, Unavailable
from mapex.intake.placement import Placement
from tests.support.needs import absent
from tests.support.uploads import a_map
from tiles.grid.grid import quadkey

WGS84 = Placement()


def a_task(folder: Path, body: bytes, name: str = "map.geojson", *, part: int = 0, cage: str = "auto") -> SourceTask:
    folder.mkdir(parents=True)
    (folder / name).write_bytes(body)
    (folder / "own").mkdir()
    return SourceTask(folder / name, folder / "own", name, part, len(body), WGS84, folder / "stop", cage)


def convert_one(task: SourceTask) -> Converted:
    """What became of a lone source."""
    (done,) = convert((task,))
    return done


@pytest.mark.parametrize("cage", ["auto", "rlimits"])
def test_honest_source_becomes_checked_tiles(tmp_path: Path, cage: str) -> None:
    task = a_task(tmp_path / "t", a_map(40), cage=cage)
    done = convert_one(task)
    assert done.report is not None
    assert not [f for f in done.findings if f.severity == "error"]
    assert done.tiles == len(list(task.tiles.rglob("*.parquet"))) == len(task.records.read_text().splitlines()) > 1
    assert done.report.layers["sidewalks"].facts.counts.placed == 40
    assert not list(task.tiles.glob(".*"))


def test_same_source_gives_the_same_bytes_again(tmp_path: Path) -> None:
    first, second = (a_task(tmp_path / name, a_map(40)) for name in "ab")
    convert((first,))
    convert((second,))
    assert first.records.read_text() == second.records.read_text()


Forgery = Callable[[SourceTask], Converted]


@pytest.fixture
def forged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Converted]:
    """Convert with a reader that was taken over: `code` runs in its stead, in the real cage."""
    if launch._bwrap() is None:
        absent("bubblewrap does not work here")
    real = launch.run

    def go(code: str) -> Converted:
        task = a_task(tmp_path / "t", a_map(4))
        reads = tmp_path / "script"
        reads.mkdir()
        body = textwrap.indent(textwrap.dedent(code), "    ")
        head = "import hashlib, os, sys\nfrom pathlib import Path\nfrom ingest.tasks import program as caged\n" + HONEST
        (reads / "forged.py").write_text(
            head + f"def run(request, emit):\n    out = Path(request['writes'])\n{body}\n"
            "caged.TASKS['convert'] = '__main__:run'\nsys.exit(caged.main())\n"
        )

        def run(do: str, request: dict[str, Any], **given: Any) -> Any:
            if do == "convert":
                given |= {"reads": reads, "program": ("/in/forged.py",)}
            return real(do, request, **given)

        monkeypatch.setattr(conversion.launch, "run", run)
        return convert_one(task)

    return go


CELL = 3_500_000_000
HONEST = f"""
QUANTITIES = {{"lane_mm": 0, "footway_mm": 0, "cycleway_mm": 0, "crossings": 0, "signs": 0, "signals": 0, "features": 3, "points": 0,
    "frames": 0, "ms": 0}}
PATH = "hdmap/{quadkey(CELL)}-0.parquet"

def tile(body, **changes):
    quantities = {{**QUANTITIES, "bytes": len(body)}}
    return {{"tile": {{"layer": "hdmap", "cell": {CELL}, "part": 0, "path": PATH, "sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body), "media_type": "application/vnd.apache.parquet", "quantities": quantities, "bbox": [1, 1, 1, 1], **changes}}}}

def report(placed=3):
    layer = {{"kind": "hdmap", "content": "features", "counts": {{"read": placed, "placed": placed, "unplaced": 0, "rejected": 0}},
        "box": None, "footage": False, "first_ns": None, "last_ns": None}}
    return {{"report": {{"format": "geojson", "crs": None, "crs_source": "none", "height_datum": "", "height_source": "none", "note": "",
        "unplaced": False, "layers": {{"hdmap": layer}}, "findings": []}}}}
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("emit(report())", "counts.lost", id="promises records without tiles"),
        pytest.param("emit(tile(b'PAR1x')); emit(report())", "reader.bad_answer", id="names a file that is not there"),
        pytest.param(
            "(out / 'hdmap').mkdir(); (out / PATH).symlink_to('/etc/passwd'); emit(tile(b'PAR1x')); emit(report())",
            "reader.bad_answer",
            id="symlink to a secret",
        ),
        pytest.param(
            "(out / 'hdmap').symlink_to('/etc'); emit(tile(b'PAR1x')); emit(report())", "reader.bad_answer", id="layer is a symlink"
        ),
        pytest.param("emit(tile(b'PAR1x', path='../../x')); emit(report())", "reader.bad_answer", id="path that leaves the folder"),
        pytest.param(
            "(out / 'hdmap').mkdir(); (out / PATH).write_bytes(b'PAR1 not really'); emit(tile(b'PAR1 not really')); emit(report())",
            "tile.bad",
            id="right bytes, wrong content",
        ),
        pytest.param("emit({'report': {'format': 'geojson'}})", "reader.bad_answer", id="half a report"),
        pytest.param("pass", "reader.bad_answer", id="no report"),
        pytest.param("os.write(1, b'x' * 100); print('{\"report\": 1}'); emit({'tile': 7})", "reader.bad_answer", id="junk"),
        pytest.param("os.kill(os.getpid(), 11)", "reader.crashed", id="crash"),
        pytest.param("emit(tile(b'PAR1x')); emit(tile(b'PAR1x')); emit(report())", "reader.bad_answer", id="one tile twice"),
        pytest.param("raise RuntimeError('PanicException: index out of range')", "reader.failed", id="panic"),
    ],
)
def test_false_reader_gives_no_tile(forged: Callable[[str], Converted], code: str, expected: str) -> None:
    done = forged(code)
    assert expected in [finding.code for finding in done.findings if finding.severity == "error"], done.findings
    assert "Traceback" not in str(done.findings)
    assert "root:" not in str(done.findings)


def test_conversion_stops_when_the_stop_file_appears(tmp_path: Path) -> None:
    task = a_task(tmp_path / "t", a_map(40))
    task.stop.touch()
    with pytest.raises(Stopped):
        convert((task,))


def test_full_work_disk_is_reported_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = a_task(tmp_path / "t", a_map(40))
    monkeypatch.setattr(conversion, "_LEAST_FREE", 1 << 60)
    monkeypatch.setattr(conversion.launch, "run", partial(_full, conversion.launch.run))
    with pytest.raises(Unavailable, match="full") as caught:
        convert((task,))
    assert caught.value.code == "disk.full"


def _full(real: Any, do: str, request: dict[str, Any], **given: Any) -> Any:
    from dataclasses import replace

    given["limits"] = replace(given["limits"], file=100)
    return real(do, request, **given)


def test_local_and_cluster_pools_do_the_same(tmp_path: Path) -> None:
    from distributed import LocalCluster

    tasks = [a_task(tmp_path / f"l{n}", a_map(8 + n), part=n) for n in range(3)]
    with LocalPool(2) as pool:
        local = {done.part: done.layer_tiles for some in pool.run(convert, [(task,) for task in tasks]) for done in some}
    written = [task.records.read_text() for task in tasks]
    given: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**given) as cluster, ClusterPool(cluster.scheduler_address) as pool:  # type: ignore[no-untyped-call]
        there = {done.part: done.layer_tiles for some in pool.run(convert, [(task,) for task in tasks]) for done in some}
    assert there == local
    assert [task.records.read_text() for task in tasks] == written


def test_inspect_shows_kind_place_counts_and_draws(tmp_path: Path) -> None:
    (tmp_path / "walks.geojson").write_bytes(a_map(40))
    answer = inspect(tmp_path / "walks.geojson", WGS84, picture=tmp_path / "p.png")
    assert {"kind", "crs", "crs_source", "box", "counts", "findings"} <= set(answer)
    assert (answer["kind"], answer["crs"], answer["crs_source"]) == ("sidewalk", "EPSG:4326", "file")
    assert answer["counts"] == {"read": 40, "placed": 40, "unplaced": 0, "rejected": 0}
    assert answer["box"] == pytest.approx([127.0, 37.5, 127.015, 37.5085], abs=1e-6)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    json.dumps(answer, allow_nan=False)


def test_inspect_of_what_cannot_be_read_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "map.gpkg").write_bytes(b"<OGRVRTDataSource/>")
    with pytest.raises(Invalid, match=r"map\.gpkg is a GDAL VRT") as caught:
        inspect(tmp_path / "map.gpkg", WGS84)
    assert caught.value.code == "format.unsupported"
    with pytest.raises(Invalid, match="no file"):
        inspect(tmp_path / "absent", WGS84)


def test_tile_writes_tiles_and_a_manifest_without_an_exchange(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.geojson").write_bytes(a_map(8))
    (tmp_path / "in" / "b.geojson").write_bytes(a_map(16))
    answer = tile_file(tmp_path / "in", tmp_path / "out", WGS84)
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    on_disk = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert on_disk == {"_manifest.json"} | {tile["path"] for tile in manifest["tiles"]}
    (layer,) = answer["layers"]
    assert layer["counts"]["placed"] == 24
    assert layer["tiles"] == answer["tiles"] == len(manifest["tiles"])


def test_tile_without_a_place_says_what_to_give(tmp_path: Path, samples: Path) -> None:
    with pytest.raises(Invalid, match="--crs"):
        tile_file(samples / "pointcloud" / "no_crs_simple.las", tmp_path / "out", WGS84)
    answer = tile_file(samples / "pointcloud" / "no_crs_simple.las", tmp_path / "out", Placement(crs="EPSG:2994"))
    assert answer["layers"][0]["counts"]["placed"] == 1065


def test_findings_with_endless_or_odd_texts_do_not_sink_a_file(tmp_path: Path) -> None:
    features = json.loads(a_map(4))
    features["features"][0]["id"] = "x" * 100_000
    features["features"][0]["geometry"] = None
    features["features"][1]["id"] = "a\x00b"
    features["features"][1]["geometry"] = None
    done = convert_one(a_task(tmp_path / "t", json.dumps(features).encode()))
    assert done.report is not None, done.findings
    assert done.report.layers["sidewalks"].facts.counts.read == 4
    assert all(len(f.feature) <= 2000 for f in done.findings)
