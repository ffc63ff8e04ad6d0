"""Waiting for an exchange or a store that is away: pauses that grow, a line that says so, and an end.

Only what was surely not carried out, or may be carried out twice, is asked again; that is for the caller to know (`mapex.client.http`).
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mapex.client import bar
from mapex.errors import Invalid

SECONDS = 180.0
"""How long one request waits for what is away, unless MAPEX_PATIENCE names another number of seconds."""

AWAY = frozenset({429, 502, 503, 504})
"""What an exchange, or a proxy before it, answers that cannot serve now."""

STORE_AWAY = AWAY | {500}
"""And a store, whose 500 is a matter of time too."""

_FIRST, _LONGEST = 0.25, 15.0
_WORTH_A_LINE = 1.0


@dataclass(slots=True)
class Patience:
    """How long requests wait; shared by all of a client, so that several that wait for the same say so once."""

    seconds: float = SECONDS
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    tell: Callable[[str], None] = bar.tell
    _quiet_until: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @classmethod
    def from_environment(cls) -> Patience:
        """As MAPEX_PATIENCE says; 0 = nobody waits.

        Raises: Invalid: `cli.patience`.
        """
        given = os.environ.get("MAPEX_PATIENCE", "")
        if not given:
            return cls()
        if not given.isascii() or not given.isdigit():
            raise Invalid("cli.patience", f"MAPEX_PATIENCE is {given!r}; it must be a whole number of seconds, 0 or more.")
        return cls(float(given))

    def begin(self, what: str) -> Waits:
        """The pauses of one request to `what`, such as "the exchange"."""
        return Waits(self, what)

    def pause(self, what: str, seconds: float) -> None:
        """Wait, and say so when it is worth a line."""
        now = self.clock()
        with self._lock:
            is_news = seconds >= _WORTH_A_LINE and now >= self._quiet_until
            if is_news:
                self._quiet_until = now + 0.9 * seconds
        if is_news:
            self.tell(f"Waiting for {what}, next try in {seconds:.0f} s.")
        self.sleep(seconds)


@dataclass(slots=True)
class Waits:
    """The pauses between the tries of one request."""

    patience: Patience
    what: str
    since: float | None = None
    tries: int = 0

    def again(self, after: float | None = None) -> bool:
        """Pause and answer True, or False at once when the patience is at its end.

        Args:
            after: seconds that whoever is away asked to wait at least (`Retry-After`).
        """
        now = self.patience.clock()
        self.since = now if self.since is None else self.since
        wanted = min(_FIRST * 2**self.tries, _LONGEST) if after is None else max(after, _FIRST)
        left = self.since + self.patience.seconds - now
        if left <= 0 or (after is not None and after > left):
            return False
        self.tries += 1
        # A crowd that was turned away together does not come back together.
        self.patience.pause(self.what, min(wanted * random.uniform(1.0, 1.25), max(left, 0.0)))
        return True

    def got_on(self) -> None:
        """Something came: what breaks from now on is waited for anew."""
        self.since, self.tries = None, 0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of `Retry-After`, or None; the form with a date is not used here."""
    given = headers.get("Retry-After", "").strip()
    return float(given) if given.isascii() and given.isdigit() else None
