"""Progress of long tasks on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from mapex.texts import one_line, shown


class Bar(Protocol):
    """Something that shows how far a long task is."""

    def update(self, done: float, total: float | None = None, text: str | None = None) -> None:
        """`done` of `total` (None: not known), and what is going on."""
        ...


_on_screen: list[Any] = []
"""The progress that is drawn now, if any: a line must go above it, not through it."""


def tell(text: str) -> None:
    """One line on standard error, above the bar when there is one."""
    if _on_screen:
        _on_screen[-1].console.print(shown(text), markup=False, highlight=False)
    else:
        print(shown(text), file=sys.stderr, flush=True)


class _Silent:
    def update(self, done: float, total: float | None = None, text: str | None = None) -> None:
        del done, total, text


class _Rich:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def update(self, done: float, total: float | None = None, text: str | None = None) -> None:
        if text is not None:
            self._progress.update(self._task, description=one_line(text))
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def bar(text: str, *, in_bytes: bool = False) -> Iterator[Bar]:
    """A progress bar on standard error; silent when that is no terminal."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    amount = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *amount, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        _on_screen.append(progress)
        try:
            yield _Rich(progress, progress.add_task(one_line(text), total=None))
        finally:
            _on_screen.remove(progress)
