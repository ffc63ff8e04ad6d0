"""A whole exchange as plain processes, as a person starts it: `mapex init`, `mapex serve`, `mapex worker`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.needs import absent
from tests.support.servers import free_port

MAPEX = [sys.executable, "-c", "from mapex.cli import main; main()"]


class Failed(Exception):
    """A command that ended with another status than 0; `error` is the JSON it printed."""

    def __init__(self, status: int, error: dict[str, Any], stderr: str) -> None:
        super().__init__(f"status {status}: {error} {stderr}")
        self.status, self.error, self.stderr = status, error, stderr


def node(script: str, *arguments: str) -> str:
    """What a script of ours prints when Node runs it."""
    found = shutil.which("node")
    if found is None:
        absent("there is no node")
    command = [str(found), "--no-warnings", "--experimental-default-type=module", "--input-type=module", "--eval", script, *arguments]
    report = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert report.returncode == 0, report.stderr
    return report.stdout


@dataclass(frozen=True, slots=True)
class Running:
    """A running exchange and how to speak to it."""

    folder: Path
    environ: Mapping[str, str]
    url: str

    def cli(self, *words: str | Path, token: str = "", timeout: float = 240) -> Any:
        """The JSON that `mapex WORDS --json` prints. Raises Failed."""
        done = subprocess.run(
            [*MAPEX, *map(str, words), "--json"],
            env={**self.environ, "MAPEX_URL": self.url, "MAPEX_TOKEN": token},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        if done.returncode:
            raise Failed(done.returncode, answer.get("error", answer), done.stderr)
        return answer

    def token(self, email: str) -> str:
        """A fresh token, as `mapex token create` prints it: alone on one line."""
        line = subprocess.run([*MAPEX, "token", "create", email], env=dict(self.environ), capture_output=True, text=True, check=True).stdout
        assert line.startswith("mpx_") and line.count("\n") == 1
        return line.strip()


@contextlib.contextmanager
def running_exchange(
    folder: Path,
    environ: Mapping[str, str],
    *,
    port: int | None = None,
    serve: Sequence[str] = ("serve",),
    only: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Running]:
    """Init, `mapex SERVE` and one worker, with the settings of `environ` on top of a clean environment; stopped by pid at the end.

    `only`: settings that the process `serve` or `worker` has instead of `environ`.
    """
    port = port or free_port()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")}
    own = {**clean, "MAPEX_DIR": str(folder), "MAPEX_PORT": str(port), "MAPEX_PUBLIC_URL": f"http://127.0.0.1:{port}", **environ}
    theirs = {
        name: {**clean, **{k: own[k] for k in ("MAPEX_DIR", "MAPEX_PORT", "MAPEX_PUBLIC_URL")}, **some}
        for name, some in (only or {}).items()
    }
    subprocess.run([*MAPEX, "init", "--dir", str(folder)], env=own, check=True, capture_output=True)
    with open(folder / "serve.log", "wb") as serve_log, open(folder / "worker.log", "wb") as worker_log:
        processes = [
            subprocess.Popen([*MAPEX, *serve], env=theirs.get("serve", own), stdout=serve_log, stderr=serve_log),
            subprocess.Popen([*MAPEX, "worker"], env=theirs.get("worker", own), stdout=worker_log, stderr=worker_log),
        ]
        try:
            until_open(f"http://127.0.0.1:{port}/", processes[0], folder / "serve.log")
            yield Running(folder, own, f"http://127.0.0.1:{port}")
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def until_open(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the address answers; fails when the process ends before."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"mapex serve ended: {log.read_text(errors='replace')[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"mapex serve did not answer: {log.read_text(errors='replace')[-2000:]}")
