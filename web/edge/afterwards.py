"""What is done after an answer, in a lane of its own: how long it takes, and whether it is done at all, nobody who asked can measure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

log = logging.getLogger(__name__)


def do(deed: Callable[[], object]) -> None:
    """Do it soon, one after the other; when the process ends, what waits is done first."""
    _lane().submit(_logged, deed)


def settle() -> None:
    """Wait until all is done that was asked for before."""
    wait([_lane().submit(lambda: None)])


def _logged(deed: Callable[[], object]) -> None:
    try:
        deed()
    except Exception:  # nobody waits for the result: what went wrong is for the log of the process
        log.exception("what was to be done after an answer failed")


@cache
def _lane() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "afterwards")
