"""Notices and their letters beside the jobs, in a thread: a conversion of hours holds up no message."""

from __future__ import annotations

import logging
import math
import threading
import time
from types import TracebackType
from typing import Self

from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.notices import notices
from mapex.operation import rounds

log = logging.getLogger(__name__)

ROUND_S = 10.0
_PERMITS_S = 3600.0


class Messenger:
    """Makes rounds in a thread while the block runs; the round at hand is finished before the block ends."""

    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._ended = threading.Event()
        self._looked = -math.inf
        self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._round()
            except Unavailable as why:
                log.warning("notices wait: %s", why.message)
            except Exception:  # the outermost loop of this thread: one round that fails must not be the last
                log.exception("a round for notices failed")
            if self._ended.wait(ROUND_S):
                return

    def _round(self) -> None:
        if time.monotonic() - self._looked > _PERMITS_S:
            rounds.look_at_permits(self._ex)
            notices.sweep(self._ex)
            self._looked = time.monotonic()
        rounds.go(self._ex)
