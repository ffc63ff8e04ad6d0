"""A few child processes that take calls over pipes: no threads, no shared memory, no network, so that they run inside the reader's cage.

pyarrow holds the interpreter lock through most of a small file, so threads gain nothing.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from tiles.errors import InvalidContent, TilesError

_AHEAD = 2  # calls handed to a worker before its answer to the first is awaited


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    waiting: int = 0


def _serve(pipe: Connection, start: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Life of a worker: `start(*args)` gives an object; each message (method, arguments) is a call on it."""
    subject = start(*args)
    while (message := pipe.recv()) is not None:
        method, arguments = message
        try:
            answer = (True, getattr(subject, method)(*arguments))
        except TilesError as error:
            answer = (False, (type(error), error.message, error.code, error.details))
        except MemoryError:
            answer = (False, (InvalidContent, "the memory limit was reached while tiles were made", "memory.limit", {}))
        pipe.send(answer)


@dataclass(slots=True)
class Workers:
    """`count` processes, each with its own `start(number, *args)` object. Use as a context manager; leaving it ends them."""

    count: int
    start: Callable[..., Any]
    args: tuple[Any, ...] = ()
    _workers: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> Workers:
        # A fork starts in milliseconds, but only from a process without threads of its own is it safe.
        context: Any = multiprocessing.get_context("fork" if threading.active_count() == 1 else "spawn")
        for number in range(1, self.count + 1):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, self.start, (number, *self.args)), daemon=True)
            try:
                process.start()
            except OSError:
                ours.close()
                self.__exit__()
                raise
            finally:
                theirs.close()
            self._workers.append(_Worker(process, ours))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            if worker.waiting == 0 and worker.process.is_alive():
                with contextlib.suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.terminate()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def has_room(self) -> bool:
        """Whether `offer` would take a call."""
        return any(w.waiting < _AHEAD for w in self._workers)

    def offer(self, method: str, *arguments: Any) -> bool:
        """Hand a call to the least busy worker; False when all have enough to do."""
        free = [w for w in self._workers if w.waiting < _AHEAD]
        if not free:
            return False
        worker = min(free, key=lambda w: w.waiting)
        with self._watched(worker):
            worker.pipe.send((method, arguments))
        worker.waiting += 1
        return True

    def everywhere(self, method: str, *arguments: Any) -> list[Any]:
        """The answers of all workers to one call; every earlier call must have been answered."""
        for worker in self._workers:
            with self._watched(worker):
                worker.pipe.send((method, arguments))
            worker.waiting += 1
        return [self._answer(worker) for worker in self._workers]

    def answers(self, *, block: bool = False) -> Iterator[Any]:
        """Answers that have arrived; with `block`, all that are still to come.

        Raises: TilesError: as a worker raised it; InvalidContent: a worker died.
        """
        while busy := [w for w in self._workers if w.waiting]:
            ready = wait([w.pipe for w in busy], None if block else 0)
            if not ready:
                return
            for worker in busy:
                if worker.pipe in ready:
                    yield self._answer(worker)

    def _answer(self, worker: _Worker) -> Any:
        with self._watched(worker):
            good, answer = worker.pipe.recv()
        worker.waiting -= 1
        if not good:
            kind, message, code, details = answer
            raise kind(message, code=code, **details)
        return answer

    @contextlib.contextmanager
    def _watched(self, worker: _Worker) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            worker.process.join(5)
            raise InvalidContent(
                f"A process that made tiles ended early (exit code {worker.process.exitcode}; -9 means out of memory).",
                code="split.died",
                exit_code=worker.process.exitcode,
            ) from error
