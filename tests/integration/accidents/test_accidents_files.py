"""Bad files at the command line: `push` names what is wrong and what to do, nothing of them is kept, and what is on sale stays on sale."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import files
from tests.support.processes import MAPEX, Failed, Running, running_exchange
from tests.support.uploads import a_map

SEOUL = {"type": "Polygon", "coordinates": [[[126.9, 37.4], [127.2, 37.4], [127.2, 37.7], [126.9, 37.7], [126.9, 37.4]]]}


@pytest.fixture(scope="module")
def ex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An exchange with a good map on sale."""
    with running_exchange(tmp_path_factory.mktemp("files") / "ex", {}) as there:
        there.cli("org", "add", "dongil", "--credit", "5000000")
        there.cli("org", "add", "hanbit")
        there.cli("person", "add", "buyer@dongil.example", "--org", "dongil")
        there.cli("person", "add", "maps@hanbit.example", "--org", "hanbit")
        yield there


@pytest.fixture(scope="module")
def seller(ex: Running) -> str:
    """Token of the seller, whose first version of `seoul` is published."""
    token = ex.token("maps@hanbit.example")
    good = ex.folder / "good.geojson"
    good.write_bytes(a_map(24))
    ex.cli("push", good, "--dataset", "seoul", "--class", "open", "--wait", token=token)
    ex.cli("publish", "seoul", "--rate", "footway_km=2900", "--licence", "research", token=token)
    return token


@pytest.fixture(scope="module")
def buyer(ex: Running) -> str:
    return ex.token("buyer@dongil.example")


def on_sale(ex: Running, buyer: str) -> Any:
    """What a buyer finds, without its age."""
    found = call(ex, buyer, "/search", {"region": SEOUL})[1]["datasets"]
    assert [one["dataset"] for one in found] == ["seoul"]
    return [{k: v for k, v in one.items() if k != "age_days"} for one in found]


def call(ex: Running, token: str, path: str, body: Any) -> tuple[int, Any]:
    """Status and JSON of a POST to the API."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{ex.url}/api/v1{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def objects(ex: Running) -> set[str]:
    """Tiles in the store."""
    return {p.name for p in (ex.folder / "objects" / "data").rglob("*") if p.is_file()}


def complaints(ex: Running) -> list[str]:
    """Lines of the two logs that an operator would have to look at."""
    lines = [line for name in ("serve.log", "worker.log") for line in (ex.folder / name).read_text().splitlines()]
    loud = re.compile(r"Traceback| ERROR | WARNING |Error:")
    return [line for line in lines if loud.search(line) and "cage" not in line and "bubblewrap" not in line]


@pytest.fixture
def unharmed(ex: Running, seller: str, buyer: str) -> Iterator[None]:
    """What is on sale, and what is in the store, is the same before and after; and the logs stay quiet."""
    before, kept, received = on_sale(ex, buyer), objects(ex), complaints(ex)
    assert kept
    yield
    assert on_sale(ex, buyer) == before
    assert objects(ex) == kept
    assert complaints(ex) == received
    until = time.monotonic() + 60
    while found := list((ex.folder / "work").glob("*")):  # a version is final a moment before its folder goes away
        assert time.monotonic() < until, found
        time.sleep(0.05)


def refused(ex: Running, token: str, *words: str | Path) -> Failed:
    with pytest.raises(Failed) as report:
        ex.cli(*words, token=token)
    text = report.value.stderr
    assert "Traceback" not in text and text.strip() == report.value.error["message"]
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", report.value.error["code"])
    return report.value


@pytest.mark.parametrize("case", files.CASES)
def test_a_bad_file_is_refused_with_a_sentence_and_nothing_of_it_is_kept(
    ex: Running, seller: str, unharmed: None, tmp_path: Path, case: str
) -> None:
    name, make, code, words = files.CASES[case]
    body = make(tmp_path)
    path = tmp_path / name
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    report = refused(ex, seller, "push", path, "--dataset", "seoul", "--class", "open", "--wait")
    assert (report.status, report.error["code"]) in ((2, "version.rejected"), (5, "version.unplaced"))
    version = report.error["details"]
    assert (version["dataset"], version["state"]) == ("seoul", report.error["code"].partition(".")[2])
    found = {finding["code"]: finding for finding in version["findings"]}
    assert code in found, version["findings"]
    assert found[code]["file"] == name
    assert not words or any(word in found[code]["message"] for word in words), found[code]
    assert found[code]["fix"] or "." in found[code]["message"].rstrip(".")
    assert name in report.error["message"]
    assert "root:" not in json.dumps(report.error)
    for layer in version["layers"]:
        counts = layer["counts"]
        assert counts["read"] == counts["placed"] + counts["unplaced"] + counts["rejected"]
        assert layer["tiles"] == 0
    terms = {"version": version["version"], "rates": {"footway_km": 1}, "licence": "research"}
    status, answer = call(ex, seller, "/datasets/seoul/publish", terms)
    assert (status, answer["code"]) == (409, "version.not_draft")


def test_one_bad_file_among_good_ones_is_named(ex: Running, seller: str, unharmed: None, tmp_path: Path) -> None:
    (tmp_path / "good.geojson").write_bytes(a_map(4, west=128.0))
    (tmp_path / "bad.osm").write_bytes(b"%PDF-1.7")
    report = refused(ex, seller, "push", tmp_path / "good.geojson", tmp_path / "bad.osm", "--dataset", "seoul", "--wait")
    assert "bad.osm" in report.error["message"]
    assert {f["file"] for f in report.error["details"]["findings"] if f["severity"] == "error"} == {"bad.osm"}


def test_a_file_without_a_place_waits_for_an_answer_and_says_which(ex: Running, seller: str, unharmed: None, tmp_path: Path) -> None:
    """Nothing is placed at 0,0; the sentence says what to give, and given it the same command succeeds (in a dataset of its own)."""
    body = files.las(tmp_path, "no.las", lambda b: None, n=50, crs=None)
    (tmp_path / "no_crs.las").write_bytes(body)
    report = refused(ex, seller, "push", tmp_path / "no_crs.las", "--dataset", "clouds", "--wait")
    assert (report.status, report.error["code"]) == (5, "version.unplaced")
    assert "no_crs.las" in report.error["message"] and "--crs" in report.error["message"]
    counts = report.error["details"]["layers"][0]["counts"]
    assert (counts["read"], counts["unplaced"]) == (50, 50)


def test_given_its_crs_the_same_file_is_placed(ex: Running, seller: str, tmp_path: Path) -> None:
    (tmp_path / "no_crs.las").write_bytes(files.las(tmp_path, "no.las", lambda b: None, n=50, crs=None))
    push = ("push", tmp_path / "no_crs.las", "--dataset", "placed", "--class", "open", "--wait")
    report = ex.cli(*push, "--crs", "EPSG:32632", token=seller)
    assert report["state"] == "draft"
    assert (report["layers"][0]["crs_source"], report["layers"][0]["counts"]["placed"]) == ("given", 50)


@pytest.mark.parametrize("given", [("--crs", "EPSG:999999"), ("--crs", "wherever"), ("--origin", "127"), ("--origin", "200,95")])
def test_a_place_that_is_none_is_refused_naming_it(
    ex: Running, seller: str, unharmed: None, tmp_path: Path, given: tuple[str, str]
) -> None:
    (tmp_path / "no_crs.las").write_bytes(files.las(tmp_path, "no.las", lambda b: None, n=50, crs=None))
    report = refused(ex, seller, "push", tmp_path / "no_crs.las", "--dataset", "nowhere", "--wait", *given)
    assert report.status in (2, 5)
    assert given[1].partition(",")[0] in report.error["message"]


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda folder: (folder / "empty.osm").write_bytes(b""), "push.empty_file", "0 bytes"),
        (lambda folder: None, "push.no_file", "does not exist"),
        (lambda folder: (folder / "empty.osm").mkdir(), "push.empty_folder", "without files"),
    ],
    ids=["empty", "absent", "empty folder"],
)
def test_what_is_no_file_is_refused_before_anything_is_sent(
    ex: Running, seller: str, unharmed: None, tmp_path: Path, make: Any, code: str, says: str
) -> None:
    make(tmp_path)
    report = refused(ex, seller, "push", tmp_path / "empty.osm", "--dataset", "seoul", "--wait")
    assert (report.status, report.error["code"]) == (2, code)
    assert "empty.osm" in report.error["message"] and says in report.error["message"]


@pytest.mark.parametrize("command", ["inspect", "tile"])
@pytest.mark.parametrize("case", ["VRT called map.gpkg", "cut LAZ", "zip bomb", "collection without features", "NaN coordinates"])
def test_inspect_and_tile_name_it_too(ex: Running, tmp_path: Path, case: str, command: str) -> None:
    """Without an exchange the same words are used; what cannot be read is a failure, what was read with faults is listed."""
    name, make, code, _ = files.CASES[case]
    body = make(tmp_path)
    (tmp_path / name).write_bytes(body.encode() if isinstance(body, str) else body)
    words = [*MAPEX, command, str(tmp_path / name), "--json", *(["--out", str(tmp_path / "out")] if command == "tile" else [])]
    done = subprocess.run(words, env=dict(ex.environ), capture_output=True, text=True, timeout=240, check=False)
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    printed = [report["error"]["code"]] if "error" in report else []
    printed += [f["code"] for f in (report.get("error", {}).get("details", report)).get("findings", [])]
    assert code in printed, report
    assert done.returncode == 2 if "error" in report else 8
    if command == "tile":
        assert done.returncode != 0
        assert not list((tmp_path / "out").rglob("*.parquet")) + list((tmp_path / "out").rglob("*.laz"))
