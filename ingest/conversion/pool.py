"""Where conversions run: cages on this machine, or the workers of a Dask cluster.

Each conversion is a process of its own already (its cage), so a local pool only needs threads that wait for them. A cluster's tasks get
paths and words, never a secret or a database address; its workers must see the same work folder under the same path (NFS or alike), and
the scheduler must not be reachable by others: whoever reaches it runs code, since it unpickles what it is sent.

A cluster that is away is waited for, as a store is: nobody's file is at fault. Whoever runs tasks learns what is waited for.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from tiles import extras

if TYPE_CHECKING:
    from mapex.config import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

SCHEDULER, WORKERS = "scheduler", "workers"
"""What a cluster can lack, as stages of a job name it."""

Note = Callable[[str], None]
"""Called about once a second with what is waited for ("": nothing); what it raises ends the run."""

_LOOK_S = 1.0
_ANSWER_S = 5.0


class Interrupted(Exception):
    """The scheduler went away while tasks were with it; those without a result may go on somewhere, so they are run again elsewhere."""


class Pool(Protocol):
    """Runs tasks in parallel."""

    def run(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """The results as they come; the first exception of a task is raised."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None: ...


class LocalPool:
    """Cages on this machine, up to `processes` at a time (0: one per core)."""

    def __init__(self, processes: int = 0) -> None:
        self._threads = ThreadPoolExecutor(processes or os.cpu_count() or 1, thread_name_prefix="cage")

    def run(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """See `Pool`."""
        futures = [self._threads.submit(function, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


class ClusterPool:
    """The workers of a Dask scheduler at `address`; `note` hears what is waited for.

    Raises: ExtraMissing: Dask is not installed.
    """

    def __init__(self, address: str, note: Note = lambda lacking: None) -> None:
        with extras.needed():
            import distributed  # noqa: F401
        self._address, self._note = address, note
        self._client: Any = None  # the package has no types

    def run(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """See `Pool`.

        Raises: Interrupted: the scheduler was lost; results that came before it were yielded.
        """
        import distributed

        as_they_come: Any = distributed.as_completed
        client = self._connected()
        futures = self._submitted(client, function, tasks)
        coming, due = as_they_come(futures, loop=client.loop), 0.0
        try:
            while not coming.is_empty():
                if coming.has_ready():
                    yield self._result(client, next(coming))
                    continue
                if time.monotonic() >= due:
                    self._look(client)
                    due = time.monotonic() + _LOOK_S
                time.sleep(0.02)
        finally:
            with contextlib.suppress(Exception):  # a scheduler that is away has forgotten them
                client.cancel(futures)

    def _submitted(self, client: Any, function: Callable[[T], R], tasks: Sequence[T]) -> list[Any]:
        try:
            return [client.submit(function, task, pure=False, retries=1) for task in tasks]
        except Exception as why:
            if client.status == "running":
                raise
            raise Interrupted(self._address) from why

    def _result(self, client: Any, future: Any) -> Any:
        """What a task that has ended gave. It is fetched from the worker that did it, which may go away just then."""
        while True:
            try:
                return future.result(timeout=_ANSWER_S)
            except Exception as why:
                if future.status == "error":
                    raise  # the task's own
                if client.status != "running" or future.status in ("cancelled", "lost"):
                    raise Interrupted(self._address) from why
                if not isinstance(why, OSError):  # a TimeoutError too
                    raise
                self._look(client)  # a connection broke; that the scheduler is away is noticed a moment later
                time.sleep(_LOOK_S)

    def _connected(self) -> Any:
        """A client that the scheduler has answered; one that is away is waited for."""
        import distributed

        if self._client is not None and self._client.status == "running":
            return self._client
        self._close()
        connect: Any = distributed.Client
        while True:
            try:
                self._client = connect(self._address, timeout=f"{_ANSWER_S}s", set_as_default=False)
            except OSError as why:  # a TimeoutError too
                log.debug("the Dask scheduler %s does not answer: %s", self._address, type(why).__name__)
                self._note(SCHEDULER)
                time.sleep(_LOOK_S)
            else:
                return self._client

    def _look(self, client: Any) -> None:
        """Say what the tasks wait for.

        Raises: Interrupted.
        """
        if client.status != "running":
            raise Interrupted(self._address)
        try:
            lacks = "" if client.sync(client.scheduler.ncores, workers=None, callback_timeout=_ANSWER_S) else WORKERS
        except (OSError, RuntimeError):
            lacks = SCHEDULER  # the client ends by itself if it stays so
        self._note(lacks)

    def _close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(Exception):  # also of a scheduler that does not answer
                self._client.close(timeout=_ANSWER_S)
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._close()


def open_pool(settings: Settings, note: Note = lambda lacking: None) -> Pool:
    """The pool that the settings name: a cluster when `scheduler` is set, else this machine."""
    return ClusterPool(settings.scheduler, note) if settings.scheduler else LocalPool(settings.processes)
