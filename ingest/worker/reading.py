"""All sources of a job through the pool, however often its cluster goes away: what was read stays, the rest is read again."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ingest.conversion.convert import Converted, SourceTask, convert, over_budget
from ingest.conversion.layout import budget_s, bundled
from ingest.conversion.pool import SCHEDULER, Interrupted, open_pool
from ingest.worker.lease import Lease
from mapex.config import Settings
from mapex.intake import jobs

log = logging.getLogger(__name__)

_ORDER = {"read": 0, "tile": 1, "verify": 2}


class _OverBudgetError(Exception):
    """The sources that were read took more time than all of them may take."""


@dataclass(slots=True)
class Reading:
    """The tasks of a job, by part, with what became of each and of what more a zip holds; `lacks` is what the cluster lacks now."""

    tasks: dict[int, SourceTask]
    done: dict[int, list[Converted]] = field(default_factory=dict)
    lacks: str = ""
    rounds: int = 0

    @property
    def seconds(self) -> float:
        """How long the work took that is done, on all processes together."""
        return sum(one.seconds for some in self.done.values() for one in some)

    def progress(self) -> jobs.JobProgress:
        """How far the tasks are together; the stage names what is waited for, if so."""
        found = _progress_of(list(self.tasks.values()))
        return replace(found, stage=self.lacks) if self.lacks else found

    def take(self, converted: Sequence[Converted]) -> None:
        """Keep what became of a bundle; what more a zip holds belongs to the task of the zip."""
        for one in converted:
            self.done.setdefault(one.part % len(self.tasks), []).append(one)

    def give_up_the_unfinished(self) -> None:
        """Give every task without a result a folder of its own: whoever has it still stops, and touches nothing of the new one."""
        self.rounds += 1
        for part, task in self.tasks.items():
            if part in self.done:
                continue
            aside = task.folder.parent.with_name("left")
            aside.mkdir(exist_ok=True)
            left = task.folder.rename(aside / f"{part}.{self.rounds}")  # at once, while somebody may be writing into it
            fresh = task.folder.with_name(f"{part}.{self.rounds}")
            fresh.mkdir()
            self.tasks[part] = replace(task, folder=fresh)
            shutil.rmtree(left, ignore_errors=True)


def read_all(settings: Settings, tasks: Sequence[SourceTask], lease: Lease) -> list[Converted]:
    """Convert every source, small ones together; in the order of the tasks, with what a zip holds one after another.

    Raises: jobs.Lost, jobs.Cancelled, Stopped, Unavailable.
    """
    reading = Reading({task.part: task for task in tasks})
    budget = budget_s(tasks)

    def note(lacking: str) -> None:
        if lacking != reading.lacks:
            log.warning("the job waits for the %s of Dask", lacking) if lacking else log.info("Dask is there again")
        reading.lacks = lacking
        lease.check()

    lease.watch(reading.progress)
    with open_pool(settings, note) as pool:
        while left := [task for part, task in reading.tasks.items() if part not in reading.done]:
            try:
                for some in pool.run(convert, bundled(left)):
                    reading.take(some)
                    lease.check()
                    if reading.seconds > budget:
                        raise _OverBudgetError
            except Interrupted:
                note(SCHEDULER)
                reading.give_up_the_unfinished()
            except _OverBudgetError:
                reading.give_up_the_unfinished()  # whoever is at work stops by itself
                reading.take([over_budget(task, budget) for part, task in reading.tasks.items() if part not in reading.done])
    return [converted for task in tasks for converted in sorted(reading.done[task.part], key=lambda one: one.part)]


def _progress_of(tasks: Sequence[SourceTask]) -> jobs.JobProgress:
    """Progress of all tasks together: the newest report of each, summed over those at the earliest stage."""
    reports = []
    for task in tasks:
        try:
            reports.append(json.loads((task.folder / "progress.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    if not reports:
        return jobs.JobProgress("read", 0, 0, tasks[0].name)
    stage = min((one["stage"] for one in reports), key=lambda name: _ORDER.get(name, 0))
    there = [one for one in reports if one["stage"] == stage]
    done, total = sum(one["done"] for one in there), sum(one["total"] for one in there)
    errors, warnings = (sum(one.get(name, 0) for one in reports) for name in ("errors", "warnings"))
    return jobs.JobProgress(stage, done, total, there[0]["file"], errors, warnings)
