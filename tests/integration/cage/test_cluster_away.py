"""A Dask cluster that goes away is waited for: the job says so, keeps its lease, and goes on when the cluster is there again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.conversion import layout
from ingest.conversion.pool import open_pool
from ingest.worker import loop
from mapex.catalogue import datasets
from mapex.cli.server import health
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs
from tests.support.dask import Dask, a_cluster
from tests.support.exchange import an_exchange
from tests.support.uploads import a_map, a_version, leftovers
from tiles.errors import ExtraMissing

FILES = {f"{n}.geojson": a_map(24, west=127.0 + n / 50) for n in range(3)}


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    with a_cluster(tmp_path / "dask") as cluster:
        yield cluster


@contextmanager
def working(ex: Exchange) -> Iterator[threading.Thread]:
    """A worker in a thread that ends when no job waits; at the latest with the block."""
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(ex, stop), kwargs={"once": True})
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


def until(ex: Exchange, actor: Actor, job_id: str, holds: Callable[[jobs.Job], bool]) -> jobs.Job:
    """The job as soon as something holds of it; fails when it ends otherwise, or never does."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        job = jobs.get(ex, actor, job_id)
        if holds(job):
            return job
        assert job.state not in jobs.ENDED and job.error is None, job
        time.sleep(0.05)
    raise AssertionError(jobs.get(ex, actor, job_id))


def waits_for(what: str) -> Callable[[jobs.Job], bool]:
    return lambda job: job.state == "running" and job.progress.stage == what


def is_done(job: jobs.Job) -> bool:
    return job.state == "done"


def test_a_cluster_that_comes_late_is_waited_for_under_one_lease(tmp_path: Path, dask: Dask) -> None:
    ex = an_exchange(tmp_path / "ex", scheduler=dask.address, lease_seconds=1)
    actor, version, job = a_version(ex, FILES)
    with working(ex):
        until(ex, actor, job.id, waits_for("scheduler"))
        dask.scheduler()
        until(ex, actor, job.id, waits_for("workers"))
        dask.worker()
        done = until(ex, actor, job.id, is_done)
    assert done.attempts == 1
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "draft"
    assert leftovers(ex.settings.dir) == []
    ex.engine.dispose()


def test_a_scheduler_that_goes_away_with_the_tasks_is_waited_for_and_given_them_again(tmp_path: Path, dask: Dask) -> None:
    ex = an_exchange(tmp_path / "ex", scheduler=dask.address, lease_seconds=1)
    plain = an_exchange(tmp_path / "plain")
    actor, version, job = a_version(ex, FILES)
    first = dask.scheduler()
    with working(ex):
        until(ex, actor, job.id, waits_for("workers"))
        dask.kill(first)
        until(ex, actor, job.id, waits_for("scheduler"))
        dask.scheduler()
        until(ex, actor, job.id, waits_for("workers"))
        dask.worker()
        done = until(ex, actor, job.id, is_done)
    assert done.attempts == 1
    at_home, same, _ = a_version(plain, FILES)
    loop.run(plain, threading.Event(), once=True)
    tiles = [
        [(layer.name, layer.cells, layer.facts.counts) for layer in datasets.describe(one, who, "seoul", made.number).layers]
        for one, who, made in ((ex, actor, version), (plain, at_home, same))
    ]
    assert tiles[0] == tiles[1]
    for one in (ex, plain):
        one.engine.dispose()


def test_a_cluster_that_dies_in_the_middle_reads_again_only_what_it_had_not_read(
    tmp_path: Path, dask: Dask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "MOST_SOURCES", 1)  # each is a task of its own, as large ones are
    ex = an_exchange(tmp_path / "ex", scheduler=dask.address, lease_seconds=1)
    actor, version, job = a_version(ex, {f"{n}.geojson": a_map(400, west=127.0 + n / 10) for n in range(6)})
    scheduler, worker = dask.scheduler(), dask.worker()
    with working(ex):
        while not list((tmp_path / "ex" / "work").glob("*/*/parts/1/done")):  # the first is done, the others are not
            assert jobs.get(ex, actor, job.id).state in ("queued", "running")
            time.sleep(0.01)
        dask.kill(scheduler)
        until(ex, actor, job.id, waits_for("scheduler"))
        dask.kill(worker)
        dask.scheduler()
        dask.worker()
        done = until(ex, actor, job.id, is_done)
    assert done.attempts == 1
    described = datasets.describe(ex, actor, "seoul", version.number)
    assert described.version.state == "draft", described.findings
    assert sum(layer.facts.counts.placed for layer in described.layers) == 6 * 400
    assert leftovers(ex.settings.dir) == []
    ex.engine.dispose()


def test_a_job_that_waits_for_a_cluster_can_be_cancelled(tmp_path: Path, dask: Dask) -> None:
    ex = an_exchange(tmp_path / "ex", scheduler=dask.address, lease_seconds=1)
    actor, _, job = a_version(ex, FILES)
    with working(ex):
        until(ex, actor, job.id, waits_for("scheduler"))
        jobs.cancel(ex, actor, job.id)
        until(ex, actor, job.id, lambda job: job.state == "cancelled")
    ex.engine.dispose()


def test_without_dask_a_job_waits_and_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    ex = an_exchange(tmp_path / "ex", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ExtraMissing, match=r"mapex\[scale\]"):
        open_pool(ex.settings)
    actor, _, job = a_version(ex, FILES)
    loop.run(ex, threading.Event(), once=True)
    waiting = jobs.get(ex, actor, job.id)
    assert (waiting.state, (waiting.error or {})["code"]) == ("queued", "extra.missing")
    ex.engine.dispose()


def test_doctor_looks_at_scheduler_workers_and_versions(dask: Dask) -> None:
    def states() -> dict[str, str]:
        return {one.name: one.state for one in health._cluster(dask.address)}

    assert states() == {"scheduler": "missing"}
    dask.scheduler()
    end = time.monotonic() + 60
    while "dask workers" not in (found := states()) and time.monotonic() < end:
        time.sleep(0.1)
    assert found == {"scheduler": "ok", "dask workers": "missing", "dask versions": "ok"}
    dask.worker()
    while (found := states())["dask workers"] != "ok" and time.monotonic() < end:
        time.sleep(0.1)
    assert found == {"scheduler": "ok", "dask workers": "ok", "dask versions": "ok"}
