"""One contract for every pool: the same answers on this machine and on a cluster, exceptions pass, and cancelling ends the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.conversion import pool as pools
from ingest.conversion.pool import ClusterPool, Interrupted, LocalPool, Pool


def squared(number: int) -> int:
    return number * number


def refused(number: int) -> int:
    if number == 3:
        raise ValueError("three is refused")
    return number


def marked(task: tuple[str, int]) -> int:
    """Leave a file behind, slowly, so that a test sees who ran."""
    folder, number = task
    time.sleep(0.2)
    (Path(folder) / str(number)).touch()
    return number


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Dask scheduler in this process: what is under test is our use of it."""
    import distributed

    given: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(**given) as running:
        yield running.scheduler_address


@pytest.fixture(params=["local", "local of one", "cluster"])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    if request.param == "cluster":
        with ClusterPool(request.getfixturevalue("cluster")) as made:
            yield made
        return
    with LocalPool(1 if request.param == "local of one" else 0) as made:
        yield made


def test_every_task_is_answered_once(pool: Pool) -> None:
    assert sorted(pool.run(squared, list(range(20)))) == [n * n for n in range(20)]


def test_no_task_is_no_answer(pool: Pool) -> None:
    assert list(pool.run(squared, [])) == []


def test_equal_tasks_are_all_done(pool: Pool) -> None:
    assert list(pool.run(squared, [4, 4, 4])) == [16, 16, 16]


def test_exception_of_a_task_passes(pool: Pool) -> None:
    with pytest.raises(ValueError, match="three is refused"):
        list(pool.run(refused, [1, 2, 3, 4]))
    assert list(pool.run(squared, [5])) == [25], "the pool works on"


def test_cancelled_run_starts_no_more_tasks(pool: Pool, tmp_path: Path) -> None:
    running = pool.run(marked, [(str(tmp_path), n) for n in range(200)])
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert settled(tmp_path) < 200


def settled(folder: Path) -> int:
    """Number of files once no more come (those tasks that ran already come to their end)."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < 3.0:
        now = len(list(folder.iterdir()))
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.1)
    return count


class Breaking:
    """A client, its scheduler and a future in one, whose connection breaks once while the answer of a task is fetched."""

    status, scheduler = "running", type("Scheduler", (), {"ncores": None})

    def __init__(self, *, comes_back: bool) -> None:
        self.comes_back, self.asked = comes_back, 0

    def result(self, timeout: float) -> int:
        from distributed.comm.core import CommClosedError

        self.asked += 1
        if self.asked == 1 or not self.comes_back:
            raise CommClosedError("reset by peer")
        return 7

    def sync(self, *_: object, **__: object) -> dict[str, int]:
        if self.comes_back:
            return {"worker": 1}
        self.status = "connecting"  # only now it is noticed
        raise OSError("away")


def test_a_connection_that_breaks_while_an_answer_is_fetched_is_no_fault_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_LOOK_S", 0.0)
    cluster = ClusterPool("tcp://127.0.0.1:9")
    again, away = Breaking(comes_back=True), Breaking(comes_back=False)
    assert cluster._result(again, again) == 7
    with pytest.raises(Interrupted):
        cluster._result(away, away)
