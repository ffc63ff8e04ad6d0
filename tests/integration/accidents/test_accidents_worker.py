"""A worker killed at any point, and started again, ends in the same manifest and one draft; nothing half-done is ever seen."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mapex.audit import log
from mapex.catalogue import datasets, versions
from mapex.database import failpoints
from mapex.exchange import Actor, Exchange
from tests.support.exchange import DAY_ONE, Clock, a_person, an_exchange, an_org
from tests.support.uploads import a_map, a_version, leftovers, objects, work

POINTS = [name for name in failpoints.NAMES if name.startswith(("ingest.", "draft."))]
FILES = {"a.geojson": a_map(40), "b.geojson": a_map(16, west=127.01)}
WORKER = """
import sys, threading, time
from ingest.worker import loop
from mapex import config
from mapex.database import opening

shift = int(sys.argv[1])
ex = opening.open_exchange(config.load(), now=lambda: time.time_ns() + shift)
loop.run(ex, threading.Event(), once=True)
"""


def prepared(folder: Path) -> tuple[Exchange, Actor, versions.Version]:
    ex = an_exchange(folder, now=Clock(DAY_ONE))
    an_org(ex, "hanbit")
    actor, version, _ = a_version(ex, FILES, by=a_person(ex, "hanbit"))
    return ex, actor, version


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """sha256 of the manifest of the same files when nothing happens."""
    ex, actor, version = prepared(tmp_path_factory.mktemp("undisturbed") / "ex")
    work(ex)
    done = datasets.describe(ex, actor, version.dataset, version.number)
    assert done.version.state == "draft", done.findings
    assert done.version.manifest_sha256 is not None
    return done.version.manifest_sha256


def a_worker(ex: Exchange, *, later_s: int, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    """A worker process on the exchange whose clock stands `later_s` after the test's, so that a lease ends without waiting."""
    shift = ex.now() + later_s * 10**9 - time.time_ns()
    known = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(shift)],
        env={**known, "MAPEX_DIR": str(ex.settings.dir), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(process: subprocess.Popen[bytes]) -> int:
    output, _ = process.communicate(timeout=600)
    assert process.returncode in (0, -signal.SIGKILL), output.decode()
    return process.returncode


def events(ex: Exchange, action: log.Action) -> list[Any]:
    auditor = a_person(ex, role="auditor", email=f"auditor-{ex.now()}@audit.example")
    return list(log.events(ex, auditor, log.EventFilter(action=str(action))).events)


def converged(ex: Exchange, actor: Actor, version: versions.Version, manifest: str) -> None:
    done = datasets.describe(ex, actor, version.dataset, version.number)
    assert done.version.state == "draft", done.findings
    assert done.version.manifest_sha256 == manifest
    assert len(events(ex, log.Action.VERSION_DRAFTED)) == 1
    assert done.job is not None
    assert done.job.state == "done"
    assert leftovers(ex.settings.dir) == []


@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_at_a_point_and_started_again_ends_in_the_same_manifest(tmp_path: Path, undisturbed: str, point: str) -> None:
    ex, actor, version = prepared(tmp_path / "ex")
    assert ended(a_worker(ex, later_s=0, environ={"MAPEX_FAILPOINT": f"{point}:kill"})) == -signal.SIGKILL
    seen = datasets.describe(ex, actor, version.dataset, version.number)
    if point != "draft.after_commit":
        assert (seen.version.state, seen.layers, seen.version.manifest_sha256) == ("ingesting", [], None)
        assert events(ex, log.Action.VERSION_DRAFTED) == []
    if point == "ingest.after_fetch":
        assert objects(ex) == []
    again = a_worker(ex, later_s=10 * ex.settings.lease_seconds, environ={})
    assert ended(again) == 0
    if point == "draft.after_commit":
        assert datasets.describe(ex, actor, version.dataset, version.number).version.manifest_sha256 == undisturbed
        return  # what the killed worker left in the work folder is swept a day later
    converged(ex, actor, version, undisturbed)


@pytest.mark.parametrize("after_s", [0.7, 1.5, 2.5, 4.0])
def test_worker_killed_at_any_moment_ends_in_the_same_manifest(tmp_path: Path, undisturbed: str, after_s: float) -> None:
    ex, actor, version = prepared(tmp_path / "ex")
    process = a_worker(ex, later_s=0, environ={})
    time.sleep(after_s)
    process.kill()
    process.communicate()
    assert ended(a_worker(ex, later_s=10 * ex.settings.lease_seconds, environ={})) == 0
    done = datasets.describe(ex, actor, version.dataset, version.number)
    assert (done.version.state, done.version.manifest_sha256) == ("draft", undisturbed)
    assert len(events(ex, log.Action.VERSION_DRAFTED)) == 1


def pause_between_writes(process: subprocess.Popen[bytes], ex: Exchange) -> None:
    """Stop a worker while it does not hold SQLite's lock for writing: whoever does keeps all others waiting."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with contextlib.closing(sqlite3.connect(ex.settings.dir / "mapex.db", timeout=0, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                time.sleep(0.02)
            else:
                return


def test_paused_worker_that_wakes_up_late_writes_nothing(tmp_path: Path, undisturbed: str) -> None:
    ex, actor, version = prepared(tmp_path / "ex")
    slow = a_worker(ex, later_s=0, environ={})
    work_folder = ex.settings.dir / "work"
    while not list(work_folder.glob("*/*/parts/*/done")):
        assert slow.poll() is None
        time.sleep(0.01)
    pause_between_writes(slow, ex)
    assert datasets.describe(ex, actor, version.dataset, version.number).version.state == "ingesting"
    assert ended(a_worker(ex, later_s=10 * ex.settings.lease_seconds, environ={})) == 0
    slow.send_signal(signal.SIGCONT)
    assert ended(slow) == 0
    converged(ex, actor, version, undisturbed)


def test_job_that_kills_every_worker_is_given_up_with_a_reason(tmp_path: Path) -> None:
    ex, actor, version = prepared(tmp_path / "ex")
    for attempt in range(ex.settings.job_attempts):
        later = attempt * 10 * ex.settings.lease_seconds
        assert ended(a_worker(ex, later_s=later, environ={"MAPEX_FAILPOINT": "ingest.after_fetch:kill"})) == -signal.SIGKILL
    assert ended(a_worker(ex, later_s=ex.settings.job_attempts * 10 * ex.settings.lease_seconds, environ={})) == 0
    done = datasets.describe(ex, actor, version.dataset, version.number)
    assert done.job is not None
    assert (done.job.state, done.version.state) == ("failed", "failed")
    assert done.job.error is not None
    assert done.job.error["code"] == "job.attempts"
    assert objects(ex) == []


def test_sigterm_gives_the_job_back_and_ends_in_order(tmp_path: Path, undisturbed: str) -> None:
    ex, actor, version = prepared(tmp_path / "ex")
    known = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")}
    command = [sys.executable, "-c", "from mapex.cli import main; main()", "worker", "--once"]
    process = subprocess.Popen(command, env={**known, "MAPEX_DIR": str(ex.settings.dir)}, stderr=subprocess.PIPE)
    work_folder = ex.settings.dir / "work"
    while not list(work_folder.glob("*/*/parts/*/done")):
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    _, output = process.communicate(timeout=60)
    assert process.returncode == 0, output.decode()
    done = datasets.describe(ex, actor, version.dataset, version.number)
    assert done.job is not None
    assert (done.version.state, done.job.state) == ("ingesting", "queued")
    assert leftovers(ex.settings.dir) == []
    assert ended(a_worker(ex, later_s=10**8, environ={})) == 0
    converged(ex, actor, version, undisturbed)
