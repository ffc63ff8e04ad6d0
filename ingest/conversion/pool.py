"""Where conversions run: cages on this machine, or the workers of a Dask cluster.

Each conversion is a process of its own already (its cage), so a local pool only needs threads that wait for them. A cluster's tasks get
paths and words, never a secret or a database address; its workers must see the same work folder under the same path (NFS or alike), and
the scheduler must not be reachable by others: whoever reaches it runs code, since it unpickles what it is sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from mapex.config import Settings

T = TypeVar("T")
R = TypeVar("R")


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
    """The workers of a Dask scheduler at `address`."""

    def __init__(self, address: str) -> None:
        import distributed

        client: Any = distributed.Client  # the package has no types
        self._client: Any = client(address, timeout="20s")

    def run(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """See `Pool`."""
        import distributed

        as_they_come: Any = distributed.as_completed
        futures = [self._client.submit(function, task, pure=False, retries=1) for task in tasks]
        try:
            for future in as_they_come(futures):
                yield future.result()
        finally:
            self._client.cancel(futures)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()


def open_pool(settings: Settings) -> Pool:
    """The pool that the settings name: a cluster when `scheduler` is set, else this machine."""
    return ClusterPool(settings.scheduler) if settings.scheduler else LocalPool(settings.processes)
