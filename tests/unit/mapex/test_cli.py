"""The command line without an exchange: options, errors, exit status, and what is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from mapex.cli import COMMANDS, cli, main
from mapex.cli.buy import quote_text
from mapex.cli.options import pairs, placement, read_region
from mapex.cli.output import EXIT_CODES, fail, findings_text, size, table
from mapex.client import bar, manifest, upload
from mapex.client.download import Download
from mapex.client.http import Client
from mapex.client.patience import Patience
from mapex.client.upload import files_of
from mapex.errors import Conflict, Denied, Invalid, NotFound, Unavailable, Unpaid
from mapex.intake.placement import Placement, check_placement
from mapex.rules.holder import holder_of
from tiles.errors import ExtraMissing, InvalidRegion, StoreUnavailable


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid("a.b", "x"), 2),
        (NotFound("a.b", "x"), 3),
        (Denied("a.b", "x"), 4),
        (Conflict("a.b", "x"), 5),
        (Unpaid("a.b", "x"), 6),
        (Unavailable("a.b", "x"), 7),
        (InvalidRegion("x", code="a.b"), 2),
        (StoreUnavailable("x", code="a.b"), 7),
        (ExtraMissing("x", code="a.b"), 7),
    ],
)
def test_each_kind_of_error_has_its_exit_status(error: Exception, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(error, as_json=True) == status
    out = capsys.readouterr()
    assert json.loads(out.out) == {"error": {"code": "a.b", "message": "x", "details": {}}}
    assert out.err == "x\n"


def test_an_unexpected_error_is_reported_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(ZeroDivisionError("division by zero"), as_json=False) == EXIT_CODES["unexpected"]
    out = capsys.readouterr()
    assert out.out == "" and "ZeroDivisionError" in out.err and "Traceback" not in out.err


def test_a_wrong_option_is_a_sentence_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(["quote", "--purpos", "x", "--json"], capsys)
    assert status == 2
    assert json.loads(out)["error"]["code"] == "cli.usage"
    assert "--help" in err


def test_without_an_address_the_client_says_what_to_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MAPEX_URL", raising=False)
    status, out, err = run(["quote", "--bbox", "8,49,9,50", "--purpose", "research", "--json"], capsys)
    assert (status, json.loads(out)["error"]["code"]) == (2, "cli.no_url")
    assert "MAPEX_URL" in err


def test_a_region_is_a_file_or_a_box_never_both() -> None:
    with pytest.raises(Invalid, match="either"):
        read_region(None, None)
    with pytest.raises(Invalid, match="either"):
        read_region("x", "1,2,3,4")
    with pytest.raises(Invalid, match="four numbers"):
        read_region(None, "1,2,3")


def test_a_region_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "area.geojson"
    path.write_bytes(b'\xef\xbb\xbf{"type": "Point", "coordinates": [8, 49]}')
    assert read_region(str(path), None)["type"] == "Point"


@pytest.mark.parametrize("text", ["not json", "[1, 2]"])
def test_a_region_file_that_is_no_geojson_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(text)
    with pytest.raises(Invalid) as refused:
        read_region(str(path), None)
    assert refused.value.code == "cli.region_json"


def report_of(**changes: Any) -> dict[str, Any]:
    """What `inspect` tells of a good file, with `changes`."""
    counts = {"read": 1, "placed": 1, "unplaced": 0, "rejected": 0}
    return {"kind": "hdmap", "crs": "EPSG:4326", "crs_source": "file", "box": None, "counts": counts, "findings": []} | changes


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 0),
        ({"findings": [{"severity": "warning", "code": "a.b", "message": "x"}]}, 0),
        ({"findings": [{"severity": "error", "code": "a.b", "message": "x"}]}, 8),
        ({"crs": None, "crs_source": "none"}, 8),
        ({"counts": {"read": 1, "placed": 0, "unplaced": 1, "rejected": 0}}, 8),
    ],
)
def test_inspect_says_by_its_status_whether_a_file_can_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], status: int
) -> None:
    (tmp_path / "a.osm").write_text("x")
    report = report_of(**changes)
    monkeypatch.setattr("ingest.conversion.dry_run.inspect", lambda *_, **__: report)
    for words in ([], ["--json"]):
        ended, out, err = run(["inspect", str(tmp_path / "a.osm"), *words], capsys)
        assert (ended, err) == (status, "")
    assert json.loads(out) == report  # the JSON is what it is, whatever the status


def test_a_crs_that_only_a_definition_says_is_shown_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.las").write_text("x")
    for crs, shown in (('PROJCRS["Lambert (ft)",BASEGEOGCRS["NAD83"]]', "Lambert (ft) (file)"), ("EPSG:5186", "EPSG:5186 (file)")):
        monkeypatch.setattr("ingest.conversion.dry_run.inspect", lambda *_, crs=crs, **__: report_of(crs=crs))
        assert f"CRS    {shown}   heights" in run(["inspect", str(tmp_path / "a.las")], capsys)[1]


@pytest.mark.parametrize("origin", ["1", "1,2,3,4", "a,b"])
def test_a_malformed_origin_is_refused(origin: str) -> None:
    with pytest.raises(Invalid) as refused:
        placement(None, origin, None)
    assert refused.value.code == "cli.origin"


def test_columns_are_named_in_one_option_or_several_and_may_hold_commas() -> None:
    named = placement(None, None, None, ("lon=경도,lat=위도 (도, WGS84)", "wkt=노드 WKT|링크 WKT", "kind = 종류"))
    assert named["columns"] == {"lon": "경도", "lat": "위도 (도, WGS84)", "wkt": "노드 WKT|링크 WKT", "kind": "종류"}


@pytest.mark.parametrize("text", ["", "lon", "lon=", "where=경도", "lon=a,,lat="])
def test_a_malformed_map_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        placement(None, None, None, (text,))
    assert refused.value.code == "cli.map"


@pytest.mark.parametrize("pair", [("where", "a"), ("lon", " "), ("lon", "a\x00"), ("lon", "\udcff"), ("lon", "a" * 401)])
def test_columns_that_cannot_be_names_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        check_placement(Placement(columns=(pair,)))
    assert refused.value.code == "placement.columns"


def test_placement_holds_only_what_was_given() -> None:
    assert placement(None, None, None) == {}
    assert placement("EPSG:5186", "127,37.5", "ellipsoid") == {"crs": "EPSG:5186", "origin": [127.0, 37.5], "height_datum": "ellipsoid"}


def test_folder_files_keep_their_relative_names_and_junk_stays_out(tmp_path: Path) -> None:
    folder = tmp_path / "구간"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.shp").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "link").symlink_to("/etc/passwd")
    assert [f.name for f in files_of((folder,))] == ["구간/inner/a.shp"]


def test_a_file_of_a_folder_is_left_out_by_its_name_and_a_shapefile_with_its_parts(tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    for name in ("good.osm", "bad.laz", "deep/roads.shp", "deep/roads.dbf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert [f.name for f in files_of((folder,), ("bad.laz",))] == ["drive/deep/roads.dbf", "drive/deep/roads.shp", "drive/good.osm"]
    assert [f.name for f in files_of((folder,), ("roads.shp", "drive/bad.laz"))] == ["drive/good.osm"]
    for strange, code in ((("worse.laz",), "push.no_file"), (("good.osm", "bad.laz", "roads.shp"), "push.nothing_left")):
        with pytest.raises(Invalid) as refused:
            files_of((folder,), strange)
        assert refused.value.code == code


def test_two_files_of_one_name_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "map.osm").write_text("x")
    with pytest.raises(Invalid) as refused:
        files_of((tmp_path / "a" / "map.osm", tmp_path / "b" / "map.osm"))
    assert refused.value.code == "push.same_name"


def test_a_shapefile_takes_its_parts_along_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    for name in ("roads.shp", "roads.dbf", "ROADS.prj", "roads.gpkg", "roads.geojson", "roads.qml", "roads2.dbf"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "roads.cpg").touch()  # nothing is in it
    parts = ["ROADS.prj", "roads.dbf", "roads.shp"]
    assert [f.name for f in files_of((tmp_path / "roads.shp",))] == parts
    assert [f.name for f in files_of((tmp_path / "roads.shp", tmp_path / "roads.dbf", tmp_path / "roads.gpkg"))] == [*parts, "roads.gpkg"]
    assert len(files_of((tmp_path, tmp_path / "roads.shp"))) == 7


@pytest.mark.parametrize("value", ["lane_km", "=5", "lane_km="])
def test_a_rate_without_both_sides_is_refused(value: str) -> None:
    with pytest.raises(Invalid):
        list(pairs((value,), "--rate"))


def test_a_fractional_rate_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPEX_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MAPEX_TOKEN", "mpx_a_b")
    status, out, _ = run(["publish", "x", "--rate", "lane_km=1.5", "--licence", "research", "--json"], capsys)
    assert (status, json.loads(out)["error"]["code"]) == (2, "cli.rate")


def test_an_exchange_that_is_away_is_reported_in_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPEX_URL", "ftp://127.0.0.1")
    monkeypatch.setenv("MAPEX_TOKEN", "mpx_a_b")
    status, _, err = run(["audit", "list"], capsys)
    assert status == 2 and "http://" in err and err.count("\n") == 1


def test_events_are_listed_newest_first_over_all_pages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("seq", "at", "action", "person", "org", "dataset", "layer", "tile", "purpose", "permit")
    pages = [[9, 8], [7, 6], [5]]  # as the exchange gives them

    class Log(Client):
        def __init__(self) -> None:
            super().__init__("http://127.0.0.1:1", "mpx_a_b")

        def call(self, method: str, path: str, *, query: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
            place = [None, 8, 6].index(query["after"])
            events = [dict.fromkeys(names, "x") | {"seq": seq} for seq in pages[place]]
            return {"events": events, "next": pages[place][-1] if place < 2 else None}

    monkeypatch.setattr("mapex.client.http.Client.from_environment", Log)
    status, out, _ = run(["audit", "list", "--json"], capsys)
    assert (status, [event["seq"] for event in json.loads(out)["events"]]) == (0, [9, 8, 7, 6, 5])


POINT = {"name": "Some crossing", "within": "Jongno-gu", "system": "", "key": "", "box": None, "lon": 127.1, "lat": 37.4}


@pytest.mark.parametrize(
    ("words", "found", "region"),
    [
        (["--bbox", "127,37,128,38"], [], "127.0,37.0,128.0,38.0"),
        (["--place", "Some crossing"], [POINT], "127.1,37.4"),
        (["--place", "Some road"], [{**POINT, "box": [1.0, 2.0, 3.0, 4.0]}], "1.0,2.0,3.0,4.0"),
        (["--place", "Seoul"], [{**POINT, "name": "Seoul", "key": "11"}, {**POINT, "name": "Seoul-ro"}], "11"),
        (["--place", "Jung-gu"], [{**POINT, "name": "Jung-gu"}, {**POINT, "name": "Jung-gu"}], None),
        (["--place", "nowhere"], [], None),
        (["--place", "Seoul", "--bbox", "1,2,3,4"], [], None),
    ],
)
def test_the_log_is_asked_for_a_class_on_a_ground(
    words: list[str],
    found: list[dict[str, Any]],
    region: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []

    class Log(Client):
        def __init__(self) -> None:
            super().__init__("http://127.0.0.1:1", "mpx_a_b")

        def call(self, method: str, path: str, *, query: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
            if path == "/places":
                return {"found": found}
            asked.append(query)
            return {"events": [], "next": None}

    monkeypatch.setattr("mapex.client.http.Client.from_environment", Log)
    status, _, _ = run(["audit", "list", "--class", "original", "--from", "2026-10-01", "--to", "2026-11-01", *words], capsys)
    if region is None:
        assert (status != 0, asked) == (True, [])
        return
    [query] = asked
    expected = {"class": "original", "region": region, "from": "2026-10-01", "to": "2026-11-01"}
    assert {name: query[name] for name in expected} == expected


def test_a_path_out_of_the_download_folder_is_refused(tmp_path: Path) -> None:
    class Nobody:
        token = "mpx_a_b"

    download = Download(Nobody(), "ord_1", tmp_path)  # type: ignore[arg-type]
    for path in ("../evil", "/etc/evil", "a/../../evil"):
        with pytest.raises(Invalid) as refused:
            download._path({"path": path})
        assert refused.value.code == "download.path"


def a_file(path: str, sha256: str = "aa", **more: Any) -> dict[str, Any]:
    about = {"id": path, "size": 3, "dataset": "roads", "version": 1, "layer": "hdmap", "tile": "0123", "part": 0}
    return {**about, "path": path, "sha256": sha256, "licence": "research", "attribution": "", **more}


def test_a_name_that_no_disk_of_windows_takes_is_in_the_manifest_with_the_one_it_was_sold_as(tmp_path: Path) -> None:
    files = [a_file("con/hdmap/0123-0.parquet"), a_file("roads/hdmap/0123-0.parquet")]
    manifest.write(tmp_path, {"id": "ord_1"}, files, {"files": 0, "bytes": 0})
    first, second = json.loads((tmp_path / "_manifest.json").read_text())["files"]
    assert first["sold_as"] == "con/hdmap/0123-0.parquet"
    assert re.fullmatch(r"con~[0-9a-f]{16}/hdmap/0123-0.parquet", first["path"])
    assert second["path"] == "roads/hdmap/0123-0.parquet" and "sold_as" not in second


@pytest.mark.parametrize("name", ["_manifest.json", "manifest.json"])
def test_a_download_of_the_version_before_is_gone_on_with_under_its_new_names(tmp_path: Path, name: str) -> None:
    before, now = "hanbit-roads/hdmap/0123-0.parquet", "hanbit_roads/hdmap/0123-0.parquet"
    (tmp_path / before).parent.mkdir(parents=True)
    (tmp_path / before).write_bytes(b"abc")
    listed = [a_file(before), a_file("../elsewhere", sha256="bb"), a_file("gone/hdmap/0123-0.parquet", sha256="cc")]
    (tmp_path / name).write_text(json.dumps({"order": "ord_1", "files": listed}))
    download = Download(None, "ord_1", tmp_path)  # type: ignore[arg-type]
    (tmp_path.parent / "elsewhere").write_bytes(b"abc")
    download._take_over([a_file(now), a_file("b/hdmap/0123-0.parquet", sha256="bb"), a_file("c/hdmap/0123-0.parquet", sha256="cc")])
    assert (tmp_path / now).read_bytes() == b"abc" and not (tmp_path / before).exists()
    assert (tmp_path.parent / "elsewhere").exists(), "what is outside of the folder is nobody's download"


def test_an_exchange_that_names_one_file_twice_overwrites_nothing(tmp_path: Path) -> None:
    download = Download(None, "ord_1", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="twice"):
        download._take_over([a_file("a/b/c.laz"), a_file("a/b/c.laz", sha256="bb")])


def test_the_manifest_has_a_name_that_parquet_libraries_pass_over_and_replaces_that_of_old(tmp_path: Path) -> None:
    nothing = {"files": 0, "bytes": 0}
    (tmp_path / "manifest.json").write_text('{"order": "ord_1"}')
    manifest.write(tmp_path, {"id": "ord_1"}, [], nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["_manifest.json"]
    (tmp_path / "manifest.json").write_text('{"name": "a web application"}')
    manifest.write(tmp_path, {"id": "ord_1"}, [], nothing)
    assert (tmp_path / "manifest.json").exists(), "another program's file is not ours to remove"


def test_the_holder_depends_on_token_and_grant() -> None:
    # Recomputed elsewhere: printf 'mapex-holdergra_1' | openssl dgst -sha256 -hmac 'se_cret'
    assert holder_of("mpx_a_se_cret", "gra_1") == "088e4acea412033933e798144e30751824a3e1b0d3f963b9c6678c4b88672406"
    assert len({holder_of("mpx_a_secret", "gra_1"), holder_of("mpx_a_secret", "gra_2"), holder_of("mpx_a_other", "gra_1")}) == 3


def test_findings_are_listed_errors_first() -> None:
    def finding(severity: str, code: str) -> dict[str, Any]:
        return {"severity": severity, "code": code, "file": "f", "layer": "", "feature": "", "message": "m", "fix": "do", "count": 3}

    lines = findings_text([finding("info", "a.a"), finding("error", "b.b")]).splitlines()
    assert "b.b" in lines[0] and "a.a" in lines[1] and "(3 times)" in lines[0]


def test_a_quote_without_lines_still_says_why() -> None:
    quote = {"lines": [], "refusals": [{"message": "needs a permit"}], "vat": 0, "total": 0, "tiles": 0, "bytes": 0}
    assert "needs a permit" in quote_text(quote)


def test_numbers_are_right_aligned_and_sizes_readable() -> None:
    assert table(["a", "n"], [["x", "5"], ["long", "1,000"]], right={1}).splitlines()[2] == "x         5"
    assert (size(999), size(1500), size(3.2e9)) == ("999 B", "1.5 kB", "3.2 GB")


def test_demo_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    from mapex.cli.demo.district import segments, write_lanelet2, write_opensidewalks

    streets = list(segments())[:4]
    for name in ("a", "b"):
        write_lanelet2(tmp_path / f"{name}.osm", streets)
        write_opensidewalks(tmp_path / name, streets)
    assert (tmp_path / "a.osm").read_bytes() == (tmp_path / "b.osm").read_bytes()
    assert (tmp_path / "a/district.edges.geojson").read_bytes() == (tmp_path / "b/district.edges.geojson").read_bytes()


@pytest.mark.parametrize(("status", "code", "asked"), [(507, "store.full", 1), (403, "push.refused", 1), (503, "push.refused", 5)])
def test_a_part_that_the_store_does_not_take_is_reported_by_its_reason(tmp_path: Path, status: int, code: str, asked: int) -> None:
    class Pool:
        requests = 0

        def request(self, *given: object, **more: object) -> SimpleNamespace:
            self.requests += 1
            return SimpleNamespace(status=status, headers={"Retry-After": "5"})

    now = [0.0]
    waited = Patience(20.0, sleep=lambda seconds: now.append(now.pop() + 5), clock=lambda: now[-1], tell=lambda line: None)
    pool = Pool()
    sending = upload.Sending(SimpleNamespace(pool=pool, patience=waited), bar._Silent(), 1, streams=1)  # type: ignore[arg-type]
    part = {"number": 3, "method": "PUT", "url": "http://127.0.0.1:9/part", "headers": {}}
    with pytest.raises(Unavailable) as refused:
        sending._put(part, b"x", upload.File(tmp_path / "a.osm", "a.osm", 1))
    assert (refused.value.code, pool.requests) == (code, asked)
    assert "part 3 of a.osm" in refused.value.message and "push again" in refused.value.message.lower()


SERVERS = {
    "serve": "runs until it is stopped; what it says goes to standard error as a log",
    "worker": "runs until it is stopped; what it says goes to standard error as a log",
    "demo": "runs until it is stopped, for people at their first minute",
}


def test_every_command_can_print_json() -> None:
    context = click.Context(cli)
    top = {name: cli.get_command(context, name) for name in COMMANDS}
    every = {name: command for name, command in top.items() if not isinstance(command, click.Group)}
    for name, group in top.items():
        if isinstance(group, click.Group):
            every |= {f"{name} {sub}": command for sub, command in group.commands.items() if not isinstance(command, click.Group)}
            inner = {sub: deeper for sub, deeper in group.commands.items() if isinstance(deeper, click.Group)}
            every |= {f"{name} {sub} {last}": command for sub, deeper in inner.items() for last, command in deeper.commands.items()}
    able = {name for name, command in every.items() if command and any("--json" in parameter.opts for parameter in command.params)}
    assert every.keys() - able == SERVERS.keys()
