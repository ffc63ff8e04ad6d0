"""Threads of the built-in server, and whose request is next: callers take turns, and many requests of one address wait for each other."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict, deque
from typing import Any

from waitress.task import ThreadedTaskDispatcher


class Lane(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Threads for one kind of work, of which one caller has some at a time and no more."""

    def __init__(self, threads: int, of_a_caller: int) -> None:
        super().__init__()
        self.queue_logger = logging.getLogger(f"{__name__}.queue")
        self.queue_logger.setLevel(logging.ERROR)  # that some wait is no news
        self._of_a_caller = of_a_caller
        self._turns = threading.Lock()
        self._served: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[Any]] = defaultdict(deque)
        self.set_thread_count(threads)

    def add_task(self, task: Any) -> None:
        """Work for a thread, once its caller (`task.key`) has a turn."""
        with self._turns:
            if self._served[task.key] >= self._of_a_caller:
                self._waiting[task.key].append(task)
                return
            self._served[task.key] += 1
        super().add_task(_Turn(self, task))

    def end_turn(self, key: str) -> None:
        """The next request of this caller goes behind those that others have sent meanwhile."""
        with self._turns:
            if not self._waiting[key]:
                del self._waiting[key]
                self._served[key] -= 1
                if not self._served[key]:
                    del self._served[key]
                return
            following = self._waiting[key].popleft()
        super().add_task(_Turn(self, following))

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """See waitress; what waits for a turn is cancelled too."""
        with self._turns:
            left = [task for tasks in self._waiting.values() for task in tasks]
            self._waiting.clear()
        for task in left:
            task.cancel()
        return bool(super().shutdown(cancel_pending, timeout))


class _Turn:
    """One request in the lane."""

    def __init__(self, lane: Lane, task: Any) -> None:
        self._lane, self._task, self._key = lane, task, task.key

    def service(self) -> None:
        try:
            self._task.service()
        finally:
            self._lane.end_turn(self._key)

    def cancel(self) -> None:
        self._task.cancel()
