"""Cases measured in fresh processes, taking turns inside a round; medians, and ratios taken round by round."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One run: wall and CPU seconds (with children); peak memory in MB of all its processes together (`all`, sampled) and of the largest
    alone (`rss`, as the kernel counts it); last line printed.
    """

    wall: float
    cpu: float
    all: float
    rss: float
    answer: str


def _resident(root):
    """Proportional memory (PSS) of a process and its descendants in MB: a page that three share counts a third for each."""
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, StopIteration):  # it ended meanwhile
            continue
    return total / 1024


def run(command, env=None):
    """Run a command to its end and measure it."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    peak = 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _resident(process.pid))
        time.sleep(0.03)
    wall = time.perf_counter() - started
    answer = process.stdout.read().strip()
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}: {answer}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, peak, usage.ru_maxrss / 1024, answer.splitlines()[-1] if answer else "")


def compare(cases, rounds, scratch):
    """Run every case `rounds` times in turns, each with an empty folder `scratch`; returns {name: [Measured]}.

    `cases` maps a name to a function of the folder that gives the command.
    """
    found = {name: [] for name in cases}
    for turn in range(rounds):
        names = list(cases)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            found[name].append(run(cases[name](scratch)))
            print(f"  {name}: {found[name][-1].wall:.2f} s", file=sys.stderr)
    shutil.rmtree(scratch, ignore_errors=True)
    return found


def report(title, found, reference):
    """Print medians of each case and what the reference takes in relation to it (round by round)."""
    keys = ("wall", "cpu", "all", "rss")
    heads = "".join(f"{head:>9}" for head in ("wall s", "CPU s", "all MB", "RSS MB", "x faster", "x CPU", "x all", "x RSS"))
    print(f"\n{title}\n{'':44}{heads}   facts")
    for name, runs in found.items():
        median = [statistics.median(getattr(r, key) for r in runs) for key in keys]
        ratio = {
            key: statistics.median(getattr(r, key) / getattr(b, key) for r, b in zip(runs, found[reference], strict=True)) for key in keys
        }
        columns = [*median, 1 / ratio["wall"], ratio["cpu"], ratio["all"], ratio["rss"]]
        print(f"{name:44}{''.join(f'{v:9.0f}' if k in (2, 3) else f'{v:9.2f}' for k, v in enumerate(columns))}   {runs[0].answer}")
