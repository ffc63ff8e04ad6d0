"""`mapex push` and `mapex get` killed in the middle go on where they stopped; damage on the buyer's disk is found and repaired."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import MAPEX, Failed, Running, running_exchange
from tests.support.proxy import Proxy, Stop, proxied
from tests.support.servers import free_port
from tests.support.uploads import a_map

PART = 65536
SEOUL = {"type": "Polygon", "coordinates": [[[126.9, 37.4], [127.2, 37.4], [127.2, 37.7], [126.9, 37.7], [126.9, 37.4]]]}


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Proxy]]:
    """An exchange with small parts, and the proxy through which every client reaches it and its store."""
    port = free_port()
    with proxied(port) as proxy:
        environ = {"MAPEX_PART_SIZE": str(PART), "MAPEX_PUBLIC_URL": proxy.url}
        with running_exchange(tmp_path_factory.mktemp("resume") / "ex", environ, port=port) as direct:
            ex = Running(direct.folder, direct.environ, proxy.url)
            ex.cli("org", "add", "dongil", "--credit", "5000000")
            ex.cli("org", "add", "hanbit")
            ex.cli("person", "add", "buyer@dongil.example", "--org", "dongil")
            ex.cli("person", "add", "maps@hanbit.example", "--org", "hanbit")
            yield ex, proxy


@pytest.fixture(scope="module")
def seller(way: tuple[Running, Proxy]) -> str:
    return way[0].token("maps@hanbit.example")


@pytest.fixture(scope="module")
def buyer(way: tuple[Running, Proxy]) -> str:
    return way[0].token("buyer@dongil.example")


@pytest.fixture(autouse=True)
def nothing_left_over(way: tuple[Running, Proxy]) -> Iterator[None]:
    way[1].calm()
    yield
    way[1].calm()


def started(ex: Running, token: str, *words: str | Path) -> subprocess.Popen[bytes]:
    """A command of the client that runs on."""
    environ = {**ex.environ, "MAPEX_URL": ex.url, "MAPEX_TOKEN": token}
    return subprocess.Popen([*MAPEX, *map(str, words)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def killed(process: subprocess.Popen[bytes]) -> None:
    _, report = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL, report.decode()


class Kill:
    """Kills a client at the n-th time that something passes, and cuts its connection."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            assert self.process is not None
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.left <= 0:
            raise Stop


def a_file(folder: Path, name: str, size: int) -> Path:
    """A valid map that is a little larger than `size` bytes."""
    path = folder / name
    report = json.loads(a_map(64))
    for n, feature in enumerate(report["features"]):
        feature["properties"]["note"] = f"{name} {n} " + "x" * (size // 64)
    path.write_text(json.dumps(report))
    return path


def push(path: Path, slug: str) -> tuple[str | Path, ...]:
    return ("push", path, "--dataset", slug, "--class", "open", "--wait")


@pytest.mark.parametrize("nth", [1, 4, 9])
def test_push_killed_in_the_middle_sends_only_what_is_missing(way: tuple[Running, Proxy], seller: str, tmp_path: Path, nth: int) -> None:
    ex, proxy = way
    path = a_file(tmp_path, f"kill{nth}.geojson", 9 * PART)
    count = -(-path.stat().st_size // PART)
    assert count >= 10
    kill = Kill(nth)
    proxy.on_request = lambda method, target: kill() if method == "PUT" else None
    kill.process = process = started(ex, seller, *push(path, f"kill{nth}"), "--streams", "1")
    killed(process)
    first = proxy.parts()[: nth - 1]
    assert len(first) == nth - 1
    proxy.calm()
    report = ex.cli(*push(path, f"kill{nth}"), token=seller)
    assert proxy.parts() == sorted(set(range(1, count + 1)) - set(first))
    assert (report["version"], report["state"]) == (1, "draft")
    proxy.calm()
    again = ex.cli(*push(path, f"kill{nth}"), token=seller)
    assert (proxy.parts(), again["version"]) == ([], 1)
    assert len(uploads_staged(ex, path.name)) == 1


def uploads_staged(ex: Running, name: str) -> list[dict[str, Any]]:
    """Uploads of this name that were ever begun, from the database itself."""
    import sqlite3

    with sqlite3.connect(ex.folder / "mapex.db") as database:
        found = database.execute("SELECT id, state FROM upload WHERE name = ?", (name,)).fetchall()
    database.close()
    return [{"id": row[0], "state": row[1]} for row in found]


def test_push_killed_before_its_answer_starts_no_second_version(way: tuple[Running, Proxy], seller: str, tmp_path: Path) -> None:
    ex, proxy = way
    path = a_file(tmp_path, "late.geojson", 2 * PART)
    kill = Kill(1)
    proxy.on_piece = lambda target, sent: kill() if target.endswith("/versions") else None
    kill.process = process = started(ex, seller, *push(path, "late"))
    killed(process)
    proxy.calm()
    report = ex.cli(*push(path, "late"), token=seller)
    assert (proxy.parts(), report["version"], report["state"]) == ([], 1, "draft")


@pytest.fixture(scope="module")
def order(way: tuple[Running, Proxy], seller: str, buyer: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An order of some tiles of which some are larger than a piece."""
    ex, _ = way
    folder = tmp_path_factory.mktemp("order")
    report, chance = json.loads(a_map(64)), random.Random(1)
    for feature in report["features"]:
        west, south = feature["geometry"]["coordinates"][0]
        # Trembling lines do not pack, and show no picture.
        feature["geometry"]["coordinates"] = [[west + chance.random() / 1e4, south + chance.random() / 1e4] for _ in range(600)]
    (folder / "noise.geojson").write_text(json.dumps(report))
    (folder / "area.geojson").write_text(json.dumps(SEOUL))
    ex.cli(*push(folder / "noise.geojson", "noise"), token=seller)
    ex.cli("publish", "noise", "--rate", "footway_km=2900", "--licence", "research", token=seller)
    quote = ex.cli("quote", "--region", folder / "area.geojson", "--purpose", "research", "--dataset", "noise", token=buyer)
    return str(ex.cli("buy", quote["id"], "--key", "noise", token=buyer)["id"])


def files(folder: Path) -> dict[str, bytes]:
    """Contents of the tiles by path below the folder; README, licences and manifest are none."""
    ours = (".json", ".txt")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix not in ours}


def get(ex: Running, buyer: str, order: str, to: Path) -> tuple[int, int]:
    report = ex.cli("get", order, "--to", to, token=buyer)
    assert report["verified"] == report["files"]
    return report["files"], report["fetched"]


@pytest.fixture(scope="module")
def whole(way: tuple[Running, Proxy], buyer: str, order: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed download gives."""
    to = tmp_path_factory.mktemp("whole")
    count, fetched = get(way[0], buyer, order, to)
    found = files(to)
    assert count == fetched == len(found) >= 4
    return found


def test_get_writes_what_was_bought_in_a_format_of_the_buyer_and_the_manifest_says_what(
    way: tuple[Running, Proxy], buyer: str, order: str, tmp_path: Path
) -> None:
    import pyogrio

    (tmp_path / "noise.geojson").write_text("mine")
    wanted = ("get", order, "--to", tmp_path, "--format", "geopackage", "--crs", "EPSG:5186")
    first = way[0].cli(*wanted, token=buyer)
    manifest = json.loads((tmp_path / "_manifest.json").read_text())
    assert manifest["written"] == first["written"]
    (one,) = first["written"]
    about = pyogrio.read_info(tmp_path / "noise.gpkg", layer="sidewalk")
    assert (one["file"], one["format"], one["crs"], one["features"]) == ("noise.gpkg", "geopackage", "EPSG:5186", about["features"])
    assert (about["crs"], one["tiles"]) == ("EPSG:5186", first["files"])
    again = way[0].cli(*wanted, token=buyer)
    assert (again["fetched"], again["written"]) == (0, first["written"])
    with pytest.raises(Failed, match=r"join\.exists"):
        way[0].cli("get", order, "--to", tmp_path, "--format", "geojson", token=buyer)
    assert (tmp_path / "noise.geojson").read_text() == "mine"
    assert get(way[0], buyer, order, tmp_path)[1] == 0
    assert json.loads((tmp_path / "_manifest.json").read_text())["written"] == first["written"]
    with pytest.raises(Failed, match=r"join\.no_tiles"):
        way[0].cli("get", order, "--to", tmp_path, "--format", "laz", token=buyer)
    with pytest.raises(Failed, match=r"cli\.output"):
        way[0].cli("get", order, "--to", tmp_path, "--crs", "EPSG:5186", token=buyer)


@pytest.mark.parametrize("nth", [1, 5, 12])
def test_get_killed_in_the_middle_fetches_only_what_is_missing(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path, nth: int
) -> None:
    ex, proxy = way
    kill = Kill(nth)
    proxy.on_piece = lambda target, sent: kill() if target.startswith("/store/") else None
    kill.process = process = started(ex, buyer, "get", order, "--to", tmp_path / "to", "--streams", "1")
    killed(process)
    assert not (tmp_path / "to" / "_manifest.json").exists()
    finished = {p for p in files(tmp_path / "to") if not p.endswith(".part")}
    assert all(files(tmp_path / "to")[path] == whole[path] for path in finished)
    parts = {path.removesuffix(".part"): body for path, body in files(tmp_path / "to").items() if path.endswith(".part")}
    complete = {path for path, body in parts.items() if body == whole[path]}  # killed between its last byte and its renaming
    proxy.calm()
    assert get(ex, buyer, order, tmp_path / "to") == (len(whole), len(whole) - len(finished) - len(complete))
    assert files(tmp_path / "to") == whole
    missing = sum(len(body) for path, body in whole.items() if path not in finished)
    assert sum(one.sent for one in proxy.fetched()) == missing - sum(map(len, parts.values()))


def test_get_goes_on_from_a_truncated_part(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    ex, proxy = way
    path, body = max(whole.items(), key=lambda item: len(item[1]))
    lay(tmp_path, whole, {path})
    (tmp_path / f"{path}.part").write_bytes(body[:1001])
    assert get(ex, buyer, order, tmp_path) == (len(whole), 1)
    assert [one.sent for one in proxy.fetched()] == [len(body) - 1001]
    assert files(tmp_path) == whole


@pytest.mark.parametrize("left", ["damaged", "damaged and whole", "too long", "empty"])
def test_get_repairs_a_damaged_part_in_one_run(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path, left: str
) -> None:
    ex, _ = way
    path, body = max(whole.items(), key=lambda item: len(item[1]))
    lay(tmp_path, whole, {path})
    bad = bytes([body[0] ^ 1]) + body[1:]
    (tmp_path / f"{path}.part").write_bytes({"damaged": bad[:500], "damaged and whole": bad, "too long": body + b"x", "empty": b""}[left])
    assert get(ex, buyer, order, tmp_path) == (len(whole), 1)
    assert files(tmp_path) == whole


def test_a_whole_part_is_taken_without_the_network(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Killed between the last byte and the renaming: nothing is fetched, and nothing is counted as fetched."""
    ex, proxy = way
    path = next(iter(whole))
    lay(tmp_path, whole, {path})
    (tmp_path / f"{path}.part").write_bytes(whole[path])
    assert get(ex, buyer, order, tmp_path) == (len(whole), 0)
    assert proxy.fetched() == []
    assert files(tmp_path) == whole


def test_get_repairs_damaged_and_lost_files(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    ex, proxy = way
    flipped, cut, lost = sorted(whole)[:3]
    lay(tmp_path, whole, {lost})
    (tmp_path / flipped).write_bytes(whole[flipped][:-1] + bytes([whole[flipped][-1] ^ 1]))
    (tmp_path / cut).write_bytes(whole[cut][:-1])
    assert get(ex, buyer, order, tmp_path) == (len(whole), 3)
    assert files(tmp_path) == whole
    assert len(proxy.fetched()) == 3


def lay(folder: Path, whole: dict[str, bytes], without: set[str]) -> None:
    """A download as an earlier run left it, without some of its files."""
    for path, body in whole.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path not in without:
            (folder / path).write_bytes(body)


def test_bytes_that_were_changed_on_the_way_are_refused_and_not_kept(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """The object is damaged behind the exchange's back: `get` names the file, keeps nothing of it, and the next run repairs."""
    ex, _ = way
    path = next(iter(whole))
    stored = next(p for p in (ex.folder / "objects").rglob("*") if p.is_file() and p.read_bytes() == whole[path])
    stored.chmod(0o600)
    stored.write_bytes(whole[path][:-1] + bytes([whole[path][-1] ^ 1]))
    try:
        with pytest.raises(Failed) as refused:
            ex.cli("get", order, "--to", tmp_path, token=buyer)
    finally:
        stored.write_bytes(whole[path])
    assert (refused.value.status, refused.value.error["code"]) == (5, "download.corrupt")
    assert path in refused.value.error["message"]
    assert path not in files(tmp_path) and f"{path}.part" not in files(tmp_path)
    get(ex, buyer, order, tmp_path)
    assert files(tmp_path) == whole


def test_a_connection_that_breaks_is_tried_again_under_the_same_grant(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    ex, proxy = way
    broken: list[str] = []

    def cut(target: str, sent: int) -> None:
        if target.startswith("/store/") and len(broken) < 2:
            broken.append(target)
            raise Stop

    proxy.on_piece = cut
    assert get(ex, buyer, order, tmp_path) == (len(whole), len(whole))
    assert len(broken) == 2
    assert sum(one.path.endswith("/grants") for one in proxy.log) == 1
    assert files(tmp_path) == whole


def lost(first: int, method: str, path: str) -> tuple[list[str], Any]:
    """A hook that cuts the line of the first requests to a path, and the list of those."""
    cut: list[str] = []

    def hook(asked: str, target: str) -> None:
        if asked == method and path in target and len(cut) < first:
            cut.append(target)
            raise Stop

    return cut, hook


def test_push_waits_for_a_store_and_an_exchange_that_are_away_and_says_so(way: tuple[Running, Proxy], seller: str, tmp_path: Path) -> None:
    ex, proxy = way
    path = a_file(tmp_path, "patient.geojson", 3 * PART)
    count = -(-path.stat().st_size // PART)
    for method, where, done in (("PUT", "/store/", False), ("POST", "/uploads", True), ("POST", "/versions", True)):
        proxy.calm()
        cut, proxy.on_request = lost(4, method, where)
        process = started(ex, seller, *push(path, "patient"), "--json", "--streams", "1")
        out, report = process.communicate(timeout=240)
        assert process.returncode == 0, report.decode()
        assert json.loads(out)["version"] == 1 and len(cut) == 4
        assert "next try in" in report.decode() and "Traceback" not in report.decode()
        assert proxy.parts() == ([] if done else sorted([1] * 4 + list(range(1, count + 1))))
    assert len(uploads_staged(ex, path.name)) == 1


def test_get_waits_for_a_store_that_is_away(
    way: tuple[Running, Proxy], buyer: str, order: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    ex, proxy = way
    cut, proxy.on_request = lost(8, "GET", "/store/")
    assert get(ex, buyer, order, tmp_path) == (len(whole), len(whole))
    assert len(cut) == 8 and files(tmp_path) == whole


def test_what_may_have_been_done_is_not_asked_for_again(way: tuple[Running, Proxy], buyer: str, tmp_path: Path) -> None:
    """A quote is not made twice because its answer was lost."""
    ex, proxy = way
    (tmp_path / "area.geojson").write_text(json.dumps(SEOUL))
    cut, proxy.on_request = lost(1, "POST", "/quotes")
    with pytest.raises(Failed) as away:
        ex.cli("quote", "--region", tmp_path / "area.geojson", "--purpose", "research", token=buyer)
    assert (away.value.status, away.value.error["code"], len(cut)) == (7, "exchange.unreachable", 1)
    assert sum(one.path.endswith("/quotes") for one in proxy.log) == 1
