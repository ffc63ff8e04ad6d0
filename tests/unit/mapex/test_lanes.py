"""Lanes of the built-in server: callers take turns, everything that was added is done or cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mapex.cli.server.lanes import Lane

PATIENCE = 30.0
"""Seconds after which a test that waits has failed."""


@dataclass
class Task:
    """A request as a lane sees it."""

    key: str
    work: Callable[[], object] = bool
    done: threading.Event = field(default_factory=threading.Event)
    is_cancelled: bool = False

    def service(self) -> None:
        try:
            self.work()
        finally:
            self.done.set()

    def cancel(self) -> None:
        self.is_cancelled = True


def test_many_requests_of_one_caller_leave_threads_to_others() -> None:
    lane, go = Lane(threads=4, of_a_caller=2), threading.Event()
    many = [Task("attacker", lambda: go.wait(PATIENCE)) for _ in range(100)]
    for task in many:
        lane.add_task(task)
    others = [Task("neighbour"), Task("passer-by")]
    for task in others:
        lane.add_task(task)
    assert all(task.done.wait(PATIENCE) for task in others), "they waited behind the 100"
    assert not any(task.done.is_set() for task in many)
    go.set()
    assert all(task.done.wait(PATIENCE) for task in many)
    lane.shutdown()


def test_whoever_comes_later_is_served_before_what_one_caller_has_waiting() -> None:
    order: list[str] = []
    lane, go = Lane(threads=1, of_a_caller=1), threading.Event()
    first = Task("a", lambda: go.wait(PATIENCE))
    rest = [Task("a", lambda: order.append("a")) for _ in range(3)]
    other = Task("b", lambda: order.append("b"))
    for task in (first, *rest, other):
        lane.add_task(task)
    go.set()
    assert all(task.done.wait(PATIENCE) for task in (*rest, other))
    lane.shutdown()
    assert order == ["b", "a", "a", "a"]


def test_a_request_that_fails_gives_its_turn_back(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("broken")

    lane = Lane(threads=2, of_a_caller=1)
    tasks = [Task("a", fail), Task("a"), Task("a")]
    for task in tasks:
        lane.add_task(task)
    assert all(task.done.wait(PATIENCE) for task in tasks)
    lane.shutdown()
    assert "broken" in caplog.text


def test_what_waits_for_a_turn_is_cancelled_at_the_end() -> None:
    lane, begun, go = Lane(threads=1, of_a_caller=1), threading.Event(), threading.Event()
    running, waiting = Task("a", lambda: begun.set() or go.wait(PATIENCE)), Task("a")
    lane.add_task(running)
    lane.add_task(waiting)
    assert begun.wait(PATIENCE)
    threading.Timer(0, go.set).start()
    lane.shutdown()
    assert running.done.wait(PATIENCE)
    assert waiting.is_cancelled or waiting.done.is_set()
