"""One caged child while it runs: what it may use, its answer in bounded pieces, and how it ended."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.cage.exits import EXIT_MEMORY, EXIT_OUTPUT

log = logging.getLogger(__name__)

MIB = 1 << 20
_MAX_LINE = 4 * MIB
_MAX_ANSWER = 256 * MIB
_MAX_STDERR = 64 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. Memory is address space of the process; `scratch` the size of its /tmp; sizes in bytes."""

    memory: int = 2048 * MIB
    cpu_s: int = 60
    wall_s: int = 120
    file: int = 2048 * MIB
    output: int = 2048 * MIB
    scratch: int = 256 * MIB
    open_files: int = 256
    processes: int = 128

    @staticmethod
    def for_size(size: int, *, heavy: bool = False) -> Limits:
        """Limits for a source of `size` bytes: a small hostile file gets 60 s of one core, a large honest one what it needs.

        `heavy`: point clouds and recordings (4 GiB of address space).
        """
        cpu = 60 + 3 * size // MIB
        return Limits(
            memory=(4096 if heavy else 2048) * MIB,
            cpu_s=cpu,
            wall_s=2 * cpu,
            file=max(2048 * MIB, 4 * size),
            output=1024 * MIB + 10 * size,
        )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended. `limit` is "", "cpu", "memory", "time" or "output"; `signal` the signal it died of, if any."""

    status: int
    signal: int | None
    limit: str
    stopped: bool
    seconds: float
    stderr: str

    @property
    def done(self) -> bool:
        """Whether it did all of its request."""
        return self.status == 0 and not self.limit and not self.stopped


def attend(
    child: subprocess.Popen[bytes],
    request: bytes,
    limits: Limits,
    writes: Path | None,
    on_line: Callable[[dict[str, Any]], None],
    stop: Callable[[], bool],
) -> Ending:
    """Hand the request over, take the answer in, and end the child when a limit is passed or `stop` says so."""
    started = time.monotonic()
    answer = _Answer(on_line)
    limit, stopped, watch = "", False, _OutputWatch(writes, limits.output)
    assert child.stdout is not None and child.stderr is not None  # noqa: S101 - Popen was given three pipes
    _send(child, request)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, answer.take)
        selector.register(child.stderr, selectors.EVENT_READ, answer.take_error)
        # Who closes its pipes is not done: the time and `stop` count until the process has ended.
        while selector.get_map() or child.poll() is None:
            for key, _ in selector.select(timeout=0.1) if selector.get_map() else _awaited(child, 0.1):
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fileobj)
                else:
                    key.data(piece)
            if answer.too_long or watch.over():
                limit = "output"
            elif time.monotonic() - started > limits.wall_s:
                limit = "time"
            elif stop():
                stopped = True
            if limit or stopped:
                kill(child)
                break
    status = child.wait()
    if not limit and watch.over(now=True):
        limit = "output"
    killed_by = _signal_of(status)
    if not limit and not stopped:
        limit = _limit_of(status, killed_by, answer.stderr)
    return Ending(status, killed_by, limit, stopped, time.monotonic() - started, answer.stderr)


def _awaited(child: subprocess.Popen[bytes], seconds: float) -> tuple[()]:
    """Nothing to read, when the child has ended or after so long."""
    with suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    return ()


def _send(child: subprocess.Popen[bytes], request: bytes) -> None:
    assert child.stdin is not None  # noqa: S101 - Popen was given three pipes
    try:
        child.stdin.write(request)
        child.stdin.close()
    except BrokenPipeError:
        log.debug("the child ended before it read its request")


def _signal_of(status: int) -> int | None:
    """Signal of a status: negative from the kernel, 128 + n as bubblewrap passes on."""
    if status < 0:
        return -status
    return status - 128 if 128 < status < 160 else None


def _limit_of(status: int, killed_by: int | None, stderr: str) -> str:
    if status == EXIT_MEMORY or (killed_by == signal.SIGABRT and ("bad_alloc" in stderr or "memory" in stderr.lower())):
        return "memory"
    if status == EXIT_OUTPUT or killed_by == signal.SIGXFSZ:
        return "output"
    if killed_by == signal.SIGXCPU:
        return "cpu"
    return ""


def kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and all that it started (with bubblewrap the process namespace dies with its first process)."""
    if child.poll() is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("the child was gone already")
        child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


class _Answer:
    """Cuts standard output into JSON objects, of bounded size and number; keeps the end of standard error."""

    def __init__(self, on_line: Callable[[dict[str, Any]], None]) -> None:
        self._on_line = on_line
        self._rest = bytearray()
        self._total = 0
        self._error = b""
        self.too_long = False

    def take(self, piece: bytes) -> None:
        self._total += len(piece)
        self._rest += piece
        if self._total > _MAX_ANSWER or (len(self._rest) > _MAX_LINE and b"\n" not in self._rest):
            self.too_long = True
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                log.warning("a caged child wrote a line that is not JSON; it is ignored")
                continue
            if isinstance(record, dict):
                self._on_line(record)

    def take_error(self, piece: bytes) -> None:
        self._error = (self._error + piece)[-_MAX_STDERR:]

    @property
    def stderr(self) -> str:
        return self._error.decode("utf-8", errors="replace")


class _OutputWatch:
    """Looks at the size of the output folder now and then; looking costs at most a twentieth of the time."""

    def __init__(self, folder: Path | None, limit: int) -> None:
        self._folder, self._limit, self._next = folder, limit, time.monotonic() + 0.5

    def over(self, *, now: bool = False) -> bool:
        if self._folder is None or (not now and time.monotonic() < self._next):
            return False
        started = time.monotonic()
        size = _size_of(self._folder)
        ended = time.monotonic()
        self._next = ended + max(0.5, 20 * (ended - started))
        return size > self._limit


def _size_of(folder: Path) -> int:
    """Bytes of all files below a folder, links not followed; files that vanish meanwhile count nothing."""
    total, stack = 0, [str(folder)]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except FileNotFoundError:
            continue
        except PermissionError:
            return sys.maxsize  # no honest reader closes its folder; what may be in there is too much
    return total
