"""What a caged reader answers is believed by nobody: every false value is refused as `reader.bad_answer`."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ingest.cage import answer
from ingest.conversion.convert import failure, leave_progress
from mapex.errors import Invalid
from tiles.batch import QUANTITIES
from tiles.grid.grid import quadkey

CELL = 3_500_000_000
BODY = b"PAR1" + b"x" * 96


def a_tile(**changes: Any) -> dict[str, Any]:
    return {
        "layer": "hdmap",
        "cell": CELL,
        "part": 0,
        "path": f"hdmap/{quadkey(CELL)}-0.parquet",
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "size": len(BODY),
        "media_type": "application/vnd.apache.parquet",
        "quantities": {**dict.fromkeys(QUANTITIES, 0), "features": 3, "bytes": len(BODY)},
        "bbox": [127.0, 37.0, 127.1, 37.1],
        **changes,
    }


def a_report(**changes: Any) -> dict[str, Any]:
    layer = {
        "kind": "hdmap",
        "content": "features",
        "counts": {"read": 4, "placed": 3, "unplaced": 1, "rejected": 0},
        "box": [127.0, 37.0, 127.1, 37.1],
        "footage": False,
        "first_ns": None,
        "last_ns": None,
    }
    return {
        "format": "lanelet2",
        "crs": "EPSG:4326",
        "crs_source": "file",
        "height_datum": "ellipsoid",
        "height_source": "file",
        "note": "",
        "layers": {"hdmap": layer},
        "findings": [],
        **changes,
    }


def test_honest_tile_survives_the_way_out_and_back() -> None:
    tile = answer.tile_from_json(a_tile(), 0)
    assert answer.tile_from_json(json.loads(json.dumps(answer.tile_as_json(tile)))) == tile


@pytest.mark.parametrize(
    "false_record",
    [
        {"path": "../../../etc/passwd"},
        {"path": f"hdmap/../hdmap/{quadkey(CELL)}-0.parquet"},
        {"path": f"/hdmap/{quadkey(CELL)}-0.parquet"},
        {"layer": "../x"},
        {"layer": "HDMap"},
        {"layer": 7},
        {"cell": -1},
        {"cell": 4**16},
        {"cell": 1.5},
        {"cell": True},
        {"cell": CELL + 1},
        {"part": 1},
        {"part": -1},
        {"sha256": "A" * 64},
        {"sha256": "0" * 63},
        {"size": 0},
        {"size": 2**60},
        {"size": len(BODY) + 1},
        {"media_type": "text/html"},
        {"bbox": [127.1, 37.0, 127.0, 37.1]},
        {"bbox": [127.0, 37.0, 127.1, float("nan")]},
        {"bbox": [127.0, 37.0, 127.1]},
        {"bbox": [127.0, -91, 127.1, 37]},
        {"quantities": {}},
        {"quantities": {**dict.fromkeys(QUANTITIES, 0), "lane_mm": -5, "bytes": len(BODY)}},
        {"quantities": {**dict.fromkeys(QUANTITIES, 0), "lane_mm": 1e300, "bytes": len(BODY)}},
    ],
    ids=str,
)
def test_false_tile_record_is_refused(false_record: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        answer.tile_from_json(a_tile(**false_record), 0)
    assert caught.value.code == "reader.bad_answer"


@pytest.mark.parametrize("junk", [None, 3, "x", [], {}, {"tile": 1}])
def test_junk_is_refused(junk: object) -> None:
    with pytest.raises(Invalid):
        answer.tile_from_json(junk)
    with pytest.raises(Invalid):
        answer.report_from_json(junk, "f")


def written(tmp_path: Path) -> Path:
    path = tmp_path / "hdmap" / f"{quadkey(CELL)}-0.parquet"
    path.parent.mkdir()
    path.write_bytes(BODY)
    return path


def test_honest_file_passes(tmp_path: Path) -> None:
    written(tmp_path)
    answer.check_file(tmp_path, answer.tile_from_json(a_tile()))


def test_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        answer.check_file(tmp_path, answer.tile_from_json(a_tile()))


def test_symlink_in_the_output_is_never_followed(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "secret").write_bytes(BODY)
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(Invalid):
        answer.check_file(tmp_path, answer.tile_from_json(a_tile()))


def test_symlinked_layer_folder_is_never_followed(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.parent.rename(tmp_path / "elsewhere")
    (tmp_path / "hdmap").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid):
        answer.check_file(tmp_path, answer.tile_from_json(a_tile()))


def test_hard_link_and_pipe_in_the_output_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    os.link(path, tmp_path / "other")
    with pytest.raises(Invalid):
        answer.check_file(tmp_path, answer.tile_from_json(a_tile()))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Invalid):
        answer.check_file(tmp_path, answer.tile_from_json(a_tile()))


@pytest.mark.parametrize("body", [BODY[:-1], BODY[:-1] + b"y", b"LASF" + BODY[4:]], ids=["cut", "changed", "other type"])
def test_file_with_other_bytes_is_refused(tmp_path: Path, body: bytes) -> None:
    written(tmp_path).write_bytes(body)
    with pytest.raises(Invalid):
        answer.check_file(tmp_path, answer.tile_from_json(a_tile()))


def test_wrong_magic_bytes_are_refused_even_with_the_right_digest(tmp_path: Path) -> None:
    body = b"LASF" + BODY[4:]
    written(tmp_path).write_bytes(body)
    with pytest.raises(Invalid):
        answer.check_file(tmp_path, answer.tile_from_json(a_tile(sha256=hashlib.sha256(body).hexdigest())))


def test_honest_report_is_read() -> None:
    report = answer.report_from_json(a_report(), "map.osm")
    assert report.layers["hdmap"].facts.counts.placed == 3
    assert report.layers["hdmap"].facts.counts.balance


def with_layer(**changes: Any) -> dict[str, Any]:
    report = copy.deepcopy(a_report())
    report["layers"]["hdmap"].update(changes)
    return report


@pytest.mark.parametrize(
    "report",
    [
        a_report(format="exe"),
        a_report(crs_source="trust me"),
        a_report(crs=5186),
        a_report(layers={"x" * 40: {}}),
        a_report(findings=[{}] * (answer.MOST_FINDINGS + 1)),
        a_report(findings=[{"severity": "error"}]),
        with_layer(counts={"read": 5, "placed": 3, "unplaced": 1, "rejected": 0}),
        with_layer(counts={"read": -1, "placed": 0, "unplaced": -1, "rejected": 0}),
        with_layer(kind="gold"),
        with_layer(footage=None),
        with_layer(first_ns=2**70),
        with_layer(box=[0, 0, float("inf"), 1]),
    ],
)
def test_false_report_is_refused(report: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        answer.report_from_json(report, "f")
    assert caught.value.code == "reader.bad_answer"


@pytest.mark.parametrize("number", [10**400, -(10**400), float("nan"), float("inf")])
def test_a_number_that_no_float_holds_is_refused(number: float) -> None:
    with pytest.raises(Invalid) as caught:
        answer.finding_from_json({"severity": "info", "code": "a.b", "lon": number, "count": 1, "rejected": 0}, "a")
    assert caught.value.code == "reader.bad_answer"


@pytest.mark.parametrize("number", [10**300, -1, True, 1.5, "9", None, []])
def test_progress_that_is_no_count_is_none_and_its_words_can_be_stored(tmp_path: Path, number: object) -> None:
    leave_progress(tmp_path, {"stage": "\ud800\0read", "file": ["\ud800"], "done": number, "total": 2**53})
    left = json.loads((tmp_path / "progress.json").read_text())
    assert left == {"stage": "?read", "file": "['\\ud800']", "done": int(number is True), "total": 2**53, "errors": 0, "warnings": 0}


def test_failure_of_a_child_is_a_finding_whatever_it_says() -> None:
    assert failure({"code": "format.unknown", "message": "x begins with ..."}, "x").code == "format.unknown"
    assert failure({"code": "<script>", "message": "m"}, "x").code == "reader.failed"
    assert failure({"code": "a.b", "message": ["m"]}, "x").code == "reader.failed"
    assert failure(17, "x").code == "reader.failed"


def test_text_that_no_database_can_hold_is_made_harmless() -> None:
    outcome = failure({"code": "a.b", "message": "x\x00y\udc80z"}, "f").message
    assert outcome == "xy?z"
    outcome.encode()
