"""What belongs together: sources of a folder, a zip, an upload; read in one cage, each counted once, none lost, none a danger to others."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas
import pytest

from ingest.cage import launch
from ingest.conversion.answers import Answers
from ingest.conversion.dry_run import inspect
from ingest.conversion.local import tile_file
from mapex.errors import Invalid
from mapex.exchange import Exchange
from mapex.intake.placement import Placement
from tests.support.exchange import an_exchange
from tests.support.shapefiles import shapefile
from tests.support.uploads import a_map, codes, ingest, objects

WGS84 = Placement()


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What every cage that is started is asked to do."""
    real, seen = launch.run, []

    def run(do: str, request: dict[str, Any], **given: Any) -> Any:
        seen.append(do)
        return real(do, request, **given)

    monkeypatch.setattr(launch, "run", run)
    return seen


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def a_shapefile(folder: Path, rows: int, name: str = "map") -> dict[str, bytes]:
    shapefile(folder, [(b"ID", "N", 5, 0)], [[str(n).encode()] for n in range(rows)], name=name)
    return {path.name: path.read_bytes() for path in folder.glob(f"{name}.*")}


def exported(folder: Path, body: bytes, ending: str) -> dict[str, bytes]:
    """The same features in another format, as other programs write them."""
    folder.mkdir(exist_ok=True)
    (folder / "in.geojson").write_bytes(body)
    geopandas.read_file(folder / "in.geojson").to_file(folder / f"walks{ending}")
    return {path.name: path.read_bytes() for path in folder.glob("walks*")}


def rounded(body: bytes, digits: int) -> bytes:
    """The same features in the opposite order, with fewer digits."""
    there = json.loads(body, parse_float=lambda text: round(float(text), digits))
    there["features"].reverse()
    return json.dumps(there).encode()


def found(answer: Mapping[str, Any], *severities: str) -> list[str]:
    return sorted(one["code"] for one in answer["findings"] if one["severity"] in (severities or ("error", "question")))


def test_small_sources_are_read_in_one_cage_and_recounted_in_one(tmp_path: Path, started: list[str]) -> None:
    folder = written(tmp_path / "in", {f"{n}.geojson": a_map(3 + n, west=127.0 + n) for n in range(6)})
    assert inspect(folder, WGS84)["counts"] == {"read": 33, "placed": 33, "unplaced": 0, "rejected": 0}
    answer = tile_file(folder, tmp_path / "out", WGS84, recount=True)
    assert started == ["inspect", "convert", "verify"]
    assert [(source["name"], source["part"]) for source in answer["sources"]] == [(f"{n}.geojson", n) for n in range(6)]
    tiles = json.loads((tmp_path / "out" / "_manifest.json").read_text())["tiles"]
    assert Counter(tile["part"] for tile in tiles).keys() == set(range(6))


def test_tiles_are_the_same_whether_sources_are_read_together_or_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "in", {f"{n}.geojson": a_map(3 + n, west=127.0 + n) for n in range(3)})
    tile_file(folder, tmp_path / "together", WGS84)
    monkeypatch.setattr("ingest.conversion.layout.MOST_BYTES", 0)
    tile_file(folder, tmp_path / "alone", WGS84)
    assert (tmp_path / "together" / "_manifest.json").read_bytes() == (tmp_path / "alone" / "_manifest.json").read_bytes()


BREAKS = """
import os, sys
from ingest.tasks import convert, program
honest = convert.start
def start(entry, part, request, emit, sketch=None):
    if entry.source.name.startswith("bad"):
        {how}
    return honest(entry, part, request, emit, sketch)
convert.start = start
sys.exit(program.main())
"""
WAYS = {
    "crash": ("os.kill(os.getpid(), 11)", "reader.crashed"),
    "memory": ("raise MemoryError", "reader.limit_memory"),
    "fault": ("raise RuntimeError('index out of range')", "reader.failed"),
    "forgery": ("emit({'part': 0, 'report': {'format': 'x'}})", "reader.bad_answer"),
    "another's part": ("emit({'part': 77, 'failed': {}})", "reader.bad_answer"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_source_that_breaks_its_reader_takes_no_other_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    how, code = WAYS[way]
    real = launch.run

    def run(do: str, request: dict[str, Any], **given: Any) -> Any:
        broken = do in ("convert", "inspect")
        return real(do, request, **given, **({"program": ("-c", BREAKS.format(how=how))} if broken else {}))

    monkeypatch.setattr(launch, "run", run)
    folder = written(tmp_path / "in", {"a.geojson": a_map(3), "bad.geojson": a_map(4, west=128), "c.geojson": a_map(5, west=129)})
    answer = tile_file(folder, tmp_path / "out", WGS84) if way == "crash" else inspect(folder, WGS84)
    assert sum(layer["counts"]["placed"] for layer in answer["layers"]) == 8
    assert [(one["code"], one["file"]) for one in answer["findings"] if one["severity"] == "error"] == [(code, "bad.geojson")]


def test_a_refused_source_is_named_and_the_others_are_read(tmp_path: Path, started: list[str]) -> None:
    folder = written(tmp_path / "in", {"a.geojson": a_map(3), "b.tif": b"II*\0" + bytes(100), "c.gpkg": b"no database", "d.geojson": b""})
    answer = inspect(folder, WGS84)
    assert answer["counts"]["placed"] == 3
    assert [(one["code"], one["file"]) for one in answer["findings"]] == [
        ("format.unsupported", "b.tif"),
        ("format.unknown", "c.gpkg"),
        ("format.empty", "d.geojson"),
    ]
    assert started == ["inspect"]
    with pytest.raises(Invalid, match=r"b\.tif is a TIFF"):
        inspect(written(tmp_path / "bad", {"b.tif": b"II*\0" + bytes(100), "c.gpkg": b"no database"}), WGS84)


def test_all_that_a_zip_holds_is_read(tmp_path: Path, started: list[str]) -> None:
    shapes = {f"gis/deep/{name}": body for name, body in (a_shapefile(tmp_path / "s", 7) | a_shapefile(tmp_path / "s", 9, "other")).items()}
    files = {
        **shapes,
        "a.geojson": a_map(3),
        "d/" + "b.geojson": a_map(5, west=128.0),
        "README.txt": b"text",
        "gis/deep/map.qml": b"<qgis/>",
    }
    (tmp_path / "all.zip").write_bytes(packed(files))
    for answer in (inspect(tmp_path / "all.zip", WGS84), tile_file(tmp_path / "all.zip", tmp_path / "out", WGS84, recount=True)):
        assert sum(layer["counts"]["placed"] for layer in answer["layers"]) == 7 + 9 + 3 + 5
        (left,) = [one for one in answer["findings"] if one["code"].startswith("file.")]
        assert (left["severity"], left["code"], left["file"], left["count"]) == ("info", "file.ignored", "all.zip", 2)
        assert "README.txt" in left["message"] and "gis/deep/map.qml" in left["message"]
    names = ["all.zip/a.geojson", "all.zip/d/b.geojson", "all.zip/2 shapefiles"]
    assert [(one["name"], one["part"]) for one in answer["sources"]] == [(name, part) for part, name in enumerate(names)]
    assert started == ["inspect", "convert", "verify"]


def test_a_zip_inside_a_zip_is_refused_by_its_name(tmp_path: Path) -> None:
    inner = packed({"b.geojson": a_map(4)})
    (tmp_path / "both.zip").write_bytes(packed({"a.geojson": a_map(3), "d/inner.zip": inner}))
    answer = inspect(tmp_path / "both.zip", WGS84)
    assert answer["counts"]["placed"] == 3
    (refused,) = answer["findings"]
    assert (refused["code"], refused["file"]) == ("format.unsupported", "both.zip/d/inner.zip")
    assert "a zip archive inside another one" in refused["message"]
    (tmp_path / "only.zip").write_bytes(packed({"inner.zip": inner}))
    with pytest.raises(Invalid, match="inside another one"):
        inspect(tmp_path / "only.zip", WGS84)


@pytest.mark.parametrize("ending", [".gpkg", ".shp", ".fgb"])
def test_the_same_data_in_two_formats_is_noticed_and_counts_once(tmp_path: Path, ending: str) -> None:
    body = a_map(40)
    files = {"walks (1).geojson": rounded(body, 6), **exported(tmp_path / "made", body, ending)}
    folder = written(tmp_path / "in", files)
    for answer in (inspect(folder, WGS84), tile_file(folder, tmp_path / "out", WGS84)):
        assert sum(layer["counts"]["placed"] for layer in answer["layers"]) == 40
        (same,) = [one for one in answer["findings"] if one["code"] == "source.same"]
        assert same["severity"] == "error"
        assert {same["file"], same["value"]} == {"walks (1).geojson", f"walks{ending}"}
    tiles = json.loads((tmp_path / "out" / "_manifest.json").read_text())["tiles"]
    assert {tile["part"] for tile in tiles} == {0}
    assert {p.suffix for p in (tmp_path / "out").rglob("*") if p.is_file()} == {".parquet", ".json"}


def test_several_files_that_are_one_file_of_another_format_are_noticed(tmp_path: Path) -> None:
    halves = {"a.geojson": a_map(16), "b.geojson": a_map(8, west=128.0)}
    both = json.loads(halves["a.geojson"])
    both["features"] += json.loads(halves["b.geojson"])["features"]
    folder = written(tmp_path / "in", {**halves, **exported(tmp_path / "made", json.dumps(both).encode(), ".gpkg")})
    answer = inspect(folder, WGS84)
    assert answer["counts"]["placed"] == 24
    assert found(answer) == ["source.same"]


def test_data_that_only_overlaps_is_no_matter(tmp_path: Path) -> None:
    beside = json.dumps({**json.loads(a_map(40)), "features": json.loads(a_map(40))["features"][1:]}).encode()
    shifted = a_map(40, west=127.0 + 3e-5)  # three metres: the other side of a lane
    folder = written(tmp_path / "in", {"a.geojson": a_map(40), "b.geojson": beside, "c.geojson": shifted})
    assert "source.same" not in found(inspect(folder, WGS84))


def test_an_upload_is_grouped_read_and_refused_by_the_same_rules(ex: Exchange, tmp_path: Path) -> None:
    files = {f"gis/{name}": body for name, body in a_shapefile(tmp_path / "s", 7, "roads").items()}
    files |= {
        "gis/roads.qml": b"<qgis/>",
        "gis/LICENSE": b"text",
        "all.zip": packed({"a.geojson": a_map(3), "b.geojson": a_map(5, west=128.0)}),
    }
    done = ingest(ex, files)
    assert done.version.state == "draft", done.findings
    assert sum(layer.facts.counts.placed for layer in done.layers) == sum(layer.quantities.features for layer in done.layers) == 15
    assert [(f.code, f.count) for f in done.findings if f.severity == "info" and f.code.startswith("file.")] == [("file.ignored", 2)]


def test_the_same_data_twice_in_an_upload_stops_it(ex: Exchange) -> None:
    done = ingest(ex, {"walks.geojson": a_map(8), "copy.zip": packed({"walks (1).geojson": rounded(a_map(8), 7)})})
    assert done.version.state == "rejected"
    assert codes(done, "error") == ["source.same"]
    assert objects(ex) == []


def test_capitals_of_parts_lose_no_attribute(tmp_path: Path) -> None:
    parts = a_shapefile(tmp_path / "s", 7, "a.b")
    folder = written(
        tmp_path / "in", {f"A.b{Path(name).suffix.upper() if name.endswith('f') else Path(name).suffix}": parts[name] for name in parts}
    )
    (folder / "A.b.shp").rename(folder / "a.B.Shp")
    assert sorted(path.name for path in folder.iterdir()) == ["A.b.DBF", "A.b.prj", "A.b.shx", "a.B.Shp"]
    (tmp_path / "all.zip").write_bytes(packed({f"d/{path.name}": path.read_bytes() for path in folder.iterdir()}))
    for path in (folder / "a.B.Shp", folder, tmp_path / "all.zip"):
        answer = inspect(path, WGS84)
        assert answer["counts"]["placed"] == 7
        assert answer["format"] == "shapefile"
        assert not [one for one in answer["findings"] if one["code"].startswith("shp.no_")], path


def test_a_geopackage_that_is_still_open_is_said_so(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", {**exported(tmp_path / "made", a_map(3), ".gpkg"), "walks.gpkg-wal": b"x", "walks.gpkg-shm": b"x"})
    (left,) = [one for one in inspect(folder, WGS84)["findings"] if one["code"] == "file.ignored"]
    assert left["count"] == 2
    assert "Close the program" in left["fix"]


def test_exports_of_the_same_data_that_were_reported(samples: Path) -> None:
    assert inspect(samples / "reports" / "same_export" / "roads.shp", WGS84)["counts"]["read"] == 1
    together = inspect(samples / "reports" / "same_export", WGS84)
    assert together["counts"]["read"] == 1
    assert [(one["severity"], one["code"]) for one in together["findings"]] == [("error", "source.same")] * 2
    assert inspect(samples / "reports" / "shp_and_gpkg.zip", WGS84)["counts"] == {"read": 13, "placed": 13, "unplaced": 0, "rejected": 0}


def test_the_files_of_a_national_map_are_read_in_one_cage_and_are_all_different(samples: Path, started: list[str]) -> None:
    (folder,) = samples.glob("ngii_synthetic/model2020/*/*/HDMap_UTM52N_*")
    answer = inspect(folder, WGS84)
    assert started == ["inspect"]
    assert answer["counts"]["read"] == sum(layer["counts"]["read"] for layer in answer["layers"]) == 199
    assert found(answer) == []


def test_names_from_a_zip_are_shown_in_one_line(tmp_path: Path) -> None:
    answers = Answers({0: "all.zip"}, 1)
    answers.take({"part": 0, "inside": "a\nb\x1b[31m.osm", "failed": {"code": "format.unknown", "message": "No."}})
    answers.take({"part": 1, "inside": "x" * 256, "failed": {"code": "format.unknown", "message": "No."}})
    (first,) = answers.ended()
    assert first.name == "all.zip/a\ufffdb\ufffd[31m.osm"
    assert answers.wrong is not None and answers.wrong.code == "reader.bad_answer"
