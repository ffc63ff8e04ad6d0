"""A Dask scheduler and its workers as processes of ours on 127.0.0.1, started and killed as a test says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import free_port

_CLI = "from distributed.cli.dask_{0} import main; main()"


@dataclass(slots=True)
class Dask:
    """Where the scheduler is, or would be."""

    folder: Path
    port: int = field(default_factory=free_port)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-jupyter")

    def worker(self) -> subprocess.Popen[bytes]:
        given = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(self.folder))
        return self._start("worker", self.address, *given)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self.running.remove(process)

    def _start(self, what: str, *words: str) -> subprocess.Popen[bytes]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")}
        known["PYTHONPATH"] = str(Path(__file__).parents[2])
        with (self.folder / f"{what}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _CLI.format(what), *words], env=known, cwd=self.folder, stdout=log, stderr=log
            )
        self.running.append(process)
        return process


@contextmanager
def a_cluster(folder: Path) -> Iterator[Dask]:
    """Nothing runs at first; what runs at the end is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    dask = Dask(folder)
    try:
        yield dask
    finally:
        for process in list(dask.running):
            with suppress(OSError):
                dask.kill(process)
