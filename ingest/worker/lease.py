"""The lease of a running job: renewed while it runs, with its progress; and the news that it shall stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest.conversion.convert import Stopped
from mapex.errors import MapexError
from mapex.exchange import Exchange
from mapex.intake import jobs

log = logging.getLogger(__name__)


class Lease:
    """Renews the lease of `job` in a thread while the block runs.

    When the lease is lost, the job cancelled, or the worker `asked` to stop, it writes the file `stop` (which ends the caged children,
    also on other machines) and `check` raises. A database that is away is tried again until the lease must be over.
    """

    def __init__(self, ex: Exchange, job: jobs.Job, stop: Path, asked: threading.Event) -> None:
        self._ex, self._job, self._stop, self._asked = ex, job, stop, asked
        self._ended = threading.Event()
        self._why: MapexError | None = None
        self._look: Callable[[], jobs.JobProgress] = jobs.JobProgress
        self._thread = threading.Thread(target=self._renew, name=f"lease-{job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, progress: jobs.JobProgress) -> None:
        """From now on the job is at `progress`; and a check (see `check`)."""
        self.watch(lambda: progress)

    def watch(self, look: Callable[[], jobs.JobProgress]) -> None:
        """From now on `look` is asked how far the job is, from the thread; and a check (see `check`)."""
        self._look = look
        self.check()

    def check(self) -> None:
        """Pass while the job is ours and wanted.

        Raises: jobs.Lost, jobs.Cancelled, Stopped (the worker shuts down).
        """
        if self._why is not None:
            raise self._why
        if self._asked.is_set():
            raise Stopped(self._job.id)

    @property
    def must_stop(self) -> bool:
        """Whether `check` would raise."""
        return self._why is not None or self._asked.is_set()

    def _renew(self) -> None:
        lease_s = self._ex.settings.lease_seconds
        every, renewed, due = min(max(lease_s / 4, 0.2), 5.0), time.monotonic(), 0.0
        while not self._ended.wait(0.1):
            if self._asked.is_set() and not self._stop.exists():
                self._stop.touch()
            if time.monotonic() < due:
                continue
            started = time.monotonic()
            try:
                jobs.renew(self._ex, self._job, self._look())
                renewed = started
            except (jobs.Lost, jobs.Cancelled) as why:
                self._end(why)
                return
            except Exception as why:  # a lease that ends silently would let two workers do one job
                log.warning("job %s: the lease could not be renewed: %s", self._job.id, why)
                if started - renewed > lease_s:
                    text = f"The lease of job {self._job.id} could not be renewed in time; another worker takes it."
                    self._end(jobs.Lost("job.lost", text, job=self._job.id))
                    return
            due = started + every

    def _end(self, why: MapexError) -> None:
        self._why = why
        self._stop.touch()
