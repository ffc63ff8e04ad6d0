"""Processes die, stores and disks fail: a client hears a sentence, says the same again later, and everything happened once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapex.database import failpoints
from tests.support.needs import absent
from tests.support.processes import MAPEX, Failed, Running, until_open
from tests.support.servers import Minio, free_port, minio_binary, running_minio
from tests.support.uploads import a_map

POINTS = [name for name in failpoints.NAMES if name.startswith(("upload.", "publish.", "order.", "grant."))]
BOX = "126.9,37.4,127.2,37.7"


class Exchange:
    """An exchange whose web process a test starts and stops; its worker is run when there is work."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        url = f"http://127.0.0.1:{self.port}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")}
        self.environ = {**clean, "MAPEX_DIR": str(folder), "MAPEX_PORT": str(self.port), "MAPEX_PUBLIC_URL": url, **settings}
        self.environ["MAPEX_PATIENCE"] = "0"  # what is away stays so until the test goes on
        subprocess.run([*MAPEX, "init", "--dir", str(folder)], env=self.environ, check=True, capture_output=True)
        self.running = Running(folder, self.environ, url)
        self.log = folder / "serve.log"

    @contextlib.contextmanager
    def serving(self, *, killed_at: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """The web process; with `killed_at` it must have been killed there when the block ends."""
        armed = {"MAPEX_FAILPOINT": f"{killed_at}:kill"} if killed_at else {}
        with self.log.open("ab") as log:
            process = subprocess.Popen([*MAPEX, "serve"], env={**self.environ, **armed}, stdout=log, stderr=log)
        try:
            until_open(f"{self.running.url}/", process, self.log)
            yield process
            if killed_at:
                assert process.wait(20) == -signal.SIGKILL, f"{killed_at} was not passed"
        finally:
            process.terminate()
            process.wait(20)

    def work(self) -> str:
        """Do the jobs that wait; what the worker logged."""
        done = subprocess.run([*MAPEX, "worker", "--once"], env=self.environ, capture_output=True, text=True, timeout=240, check=True)
        return done.stderr

    def work_until_drafted(self) -> None:
        """Do the jobs that wait until one more version is a draft: a job that was put off is tried again after some seconds."""
        before, end = self.events("version.drafted"), time.monotonic() + 120
        while self.events("version.drafted") == before:
            assert time.monotonic() < end, "no job became a draft"
            self.work()

    def people(self) -> tuple[str, str]:
        """Tokens of a seller and of a buyer."""
        for words in (
            ("org", "add", "dongil", "--credit", "5000000"),
            ("org", "add", "hanbit"),
            ("person", "add", "buyer@dongil.example", "--org", "dongil"),
            ("person", "add", "maps@hanbit.example", "--org", "hanbit"),
        ):
            self.running.cli(*words)
        return self.running.token("maps@hanbit.example"), self.running.token("buyer@dongil.example")

    def events(self, action: str) -> int:
        """How often something is in the audit log."""
        script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM audit_event WHERE action = ?', "
        script += "(sys.argv[2],)).fetchone()[0])"
        words = [sys.executable, "-c", script, str(self.running.folder / "mapex.db"), action]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def reported_twice(ex: Exchange, point: str, *words: str | Path, token: str) -> Any:
    """A command whose web process is killed at `point`, and the same command again at a new one."""
    with ex.serving(killed_at=point), pytest.raises(Failed) as lost:
        ex.running.cli(*words, token=token)
    assert (lost.value.status, lost.value.error["code"]) == (7, "exchange.unreachable")
    assert "Traceback" not in lost.value.stderr
    with ex.serving():
        return ex.running.cli(*words, token=token)


def test_web_process_killed_at_every_named_point_does_each_thing_once(tmp_path: Path) -> None:
    """One story through all points: upload, publish, order, grant; each is cut off, repeated, and happened once."""
    ex = Exchange(tmp_path / "ex")
    seller, buyer = ex.people()
    (tmp_path / "map.geojson").write_bytes(a_map(24))
    push = ("push", tmp_path / "map.geojson", "--dataset", "seoul", "--class", "open")
    done: list[str] = []

    def cut(point: str, *words: str | Path, token: str) -> Any:
        done.append(point)
        return reported_twice(ex, point, *words, token=token)

    (tmp_path / "other.geojson").write_bytes(a_map(8, west=127.1))
    cut("upload.before_join", *push, token=seller)
    cut("upload.after_join", "push", tmp_path / "other.geojson", "--dataset", "other", "--class", "open", token=seller)
    assert ex.events("upload.completed") == 2
    ex.work()
    terms = ("--rate", "footway_km=2900", "--licence", "research")
    cut("publish.before_commit", "publish", "seoul", *terms, token=seller)
    cut("publish.after_commit", "publish", "other", *terms, token=seller)
    assert ex.events("version.published") == 2
    with ex.serving():
        quotes = [
            ex.running.cli("quote", "--bbox", BOX, "--purpose", "research", "--dataset", slug, token=buyer) for slug in ("seoul", "other")
        ]
    first = cut("order.before_commit", "buy", quotes[0]["id"], "--key", "k1", token=buyer)
    second = cut("order.after_commit", "buy", quotes[1]["id"], "--key", "k2", token=buyer)
    assert ex.events("order.placed") == 2
    got = cut("grant.before_commit", "get", first["id"], "--to", tmp_path / "first", token=buyer)
    assert ex.events("access.granted") == got["files"]
    more = cut("grant.after_commit", "get", second["id"], "--to", tmp_path / "second", token=buyer)
    assert ex.events("access.granted") == got["files"] + 2 * more["files"], "a grant that was logged and never seen stays in the log"
    assert sorted(done) == sorted(POINTS)
    assert ex.running.cli("fsck", "--deep")["ok"]
    assert "Traceback" not in ex.log.read_text()


@pytest.fixture
def away(tmp_path: Path, minio: Minio) -> Iterator[tuple[Exchange, Any]]:
    """An exchange whose MinIO a test kills, and starts again with `back`."""
    del minio  # there is one: ours is killed
    with running_minio() as store:
        settings = {
            "MAPEX_STORE": "minio",
            "MAPEX_STORE_ENDPOINT": store.endpoint,
            "MAPEX_STORE_SECURE": "false",
            "MAPEX_STORE_ACCESS_KEY": store.access_key,
            "MAPEX_STORE_SECRET_KEY": store.secret_key,
            "MAPEX_STORE_UPLOAD_ACCESS_KEY": "away-upload",
            "MAPEX_STORE_UPLOAD_SECRET_KEY": "away-upload-secret-0123456789",
        }
        yield Exchange(tmp_path / "ex", **settings), store


def test_store_that_is_away_is_reported_and_nothing_is_lost(away: tuple[Exchange, Minio], tmp_path: Path) -> None:
    """`push` is refused with a sentence and goes on later; a job waits; search, quote and buy go on; `get` is asked to come again."""
    ex, store = away
    seller, buyer = ex.people()
    (tmp_path / "map.geojson").write_bytes(a_map(24))
    (tmp_path / "late.geojson").write_bytes(a_map(8, west=127.1))
    with ex.serving():
        ex.running.cli("push", tmp_path / "map.geojson", "--dataset", "seoul", "--class", "open", token=seller)
        os.kill(store.pid, signal.SIGKILL)
        report = refused(ex, "push", tmp_path / "late.geojson", "--dataset", "late", "--class", "open", token=seller)
        assert (report.status, report.error["code"]) == (7, "store.unavailable")
        assert "try again" in report.error["message"]
        log = ex.work()
        assert "Traceback" not in log
        assert "store.unavailable" in log or "does not answer" in log or "waits" in log
        assert ex.running.cli("search", "--bbox", BOX, token=buyer) == {"datasets": []}
        with back(store):
            ex.work_until_drafted()
            for name in ("map", "late"):
                push = ("push", tmp_path / f"{name}.geojson", "--dataset", "seoul" if name == "map" else "late", "--class", "open")
                ex.running.cli(*push, token=seller)
            ex.work()
            for name in ("map", "late"):
                push = (
                    "push",
                    tmp_path / f"{name}.geojson",
                    "--dataset",
                    "seoul" if name == "map" else "late",
                    "--class",
                    "open",
                    "--wait",
                )
                report_again = ex.running.cli(*push, token=seller)
                assert (report_again["version"], report_again["state"]) == (1, "draft")
    assert "Traceback" not in ex.log.read_text()


@contextlib.contextmanager
def back(store: Minio) -> Iterator[None]:
    """The killed MinIO again, on its own drive and address."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(store.folder.parent), "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}
    environ |= {"MINIO_ROOT_USER": store.access_key, "MINIO_ROOT_PASSWORD": store.secret_key}
    command = [minio_binary(), "server", store.folder, "--address", store.endpoint, "--quiet"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_open(f"{store.url}/minio/health/ready", process, store.folder.parent / "log")
        yield
    finally:
        process.terminate()
        process.wait(20)


def refused(ex: Exchange, *words: str | Path, token: str) -> Failed:
    with pytest.raises(Failed) as report:
        ex.running.cli(*words, token=token)
    assert "Traceback" not in report.value.stderr
    assert report.value.stderr.strip() == report.value.error["message"]
    return report.value


def test_disk_that_is_full_takes_no_upload_and_says_so(tmp_path: Path) -> None:
    """A store on a disk of 3 MiB: an upload that does not fit is refused before it is sent, one that fits still works."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        absent(f"no small disk can be mounted: {mounted.stderr.strip()}")
    try:
        ex = Exchange(tmp_path / "ex", MAPEX_STORE_DIR=str(disk / "objects"), MAPEX_PART_SIZE="65536")
        seller, _ = ex.people()
        (tmp_path / "small.geojson").write_bytes(a_map(24))
        (tmp_path / "large.geojson").write_text(json.dumps({**json.loads(a_map(24)), "note": "x" * (2 << 20)}))
        with ex.serving():
            report = refused(ex, "push", tmp_path / "large.geojson", "--dataset", "seoul", "--class", "open", token=seller)
            assert (report.status, report.error["code"]) == (7, "store.full")
            assert "nothing was changed" in report.error["message"]
            (disk / "ballast").write_bytes(bytes(3 << 20 >> 1))
            started = ex.running.cli("push", tmp_path / "small.geojson", "--dataset", "seoul", "--class", "open", token=seller)
        (disk / "more").write_bytes(bytes(left(disk)))
        log = ex.work()
        assert "Traceback" not in log and "full" in log, log
        (disk / "more").unlink()
        ex.work_until_drafted()
        with ex.serving():
            report_again = ex.running.cli(
                "push", tmp_path / "small.geojson", "--dataset", "seoul", "--class", "open", "--wait", token=seller
            )
        assert (report_again["version"], report_again["state"]) == (started["version"], "draft")
        assert "Traceback" not in ex.log.read_text()
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def left(disk: Path) -> int:
    """Free bytes."""
    room = os.statvfs(disk)
    return room.f_bavail * room.f_frsize
