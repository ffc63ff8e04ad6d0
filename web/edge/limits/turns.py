"""Areas are computed a few at a time, and for one caller fewer: a crowd waits for its turn and takes neither the memory nor all threads.

What one area costs is bounded before (`tiles.grid.scan.MAX_CROSSINGS`); here it is how many of them run together in this process. Who is
signed in has an allowance too, as visitors have (`web.edge.limits.visitors`), and a larger one.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter

from flask import Flask, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from mapex.errors import Unavailable
from web.edge.limits.visitors import Allowances, address_key

AT_ONCE = 4
"""Areas that a process computes together; they take up to 100 MB each."""
OF_ONE = 6
"""Requests of one person, or of one address of visitors, that are computed or wait at once."""
WAIT_S = 20.0
SECONDS = 240.0
"""Time of computing areas that a person may use at once: some thousands of cities."""
SECONDS_BACK = 1.0
"""What comes back in a second: one processor, all the time."""


class Turns:
    """Counts who computes and who waits."""

    def __init__(self, at_once: int = AT_ONCE, of_one: int = OF_ONE, wait_s: float = WAIT_S) -> None:
        self._running = threading.BoundedSemaphore(at_once)
        self._of_one, self._wait_s = of_one, wait_s
        self._asking: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Wait for a turn; whoever got one gives it back.

        Raises: TooManyRequests: the caller has as many as one may have. Unavailable: `areas.busy`, none became free in time.
        """
        with self._lock:
            if self._asking[key] >= self._of_one:
                raise TooManyRequests(
                    f"You have asked for {self._of_one} areas at once; wait for an answer before you ask for more.", retry_after=1
                )
            self._asking[key] += 1
        if not self._running.acquire(timeout=self._wait_s):
            self._leave(key)
            raise Unavailable("areas.busy", "Many areas are being computed; ask again in a few seconds.")

    def give_back(self, key: str) -> None:
        """The answer is made."""
        self._running.release()
        self._leave(key)

    def _leave(self, key: str) -> None:
        with self._lock:
            self._asking[key] -= 1
            if not self._asking[key]:
                del self._asking[key]


def install(app: Flask) -> None:
    """The turns of this process."""
    app.extensions["turns"] = Turns()
    app.extensions["members"] = Allowances(seconds=SECONDS, back=SECONDS_BACK)
    app.teardown_request(_done)


def take_turn() -> None:
    """Wait until the area of this request may be computed; the turn ends with the request.

    Raises: TooManyRequests: also when a person's allowance is used up. Unavailable.
    """
    if "turn" in g:
        return
    actor = g.get("actor")
    key = actor.person_id if actor is not None else address_key(request.remote_addr)
    wait = math.ceil(_allowances().wait(key)) if actor is not None else 0
    if wait:
        raise TooManyRequests("You have asked for the prices of too many areas; wait, or ask for smaller ones.", retry_after=wait)
    current_app.extensions["turns"].take(key)
    g.turn, g.turn_since = key, time.monotonic()
    if "visitor_since" in g:
        g.visitor_since = g.turn_since  # waiting costs nobody anything


def _done(error: BaseException | None) -> None:
    del error
    key = g.pop("turn", None)
    if key is not None:
        current_app.extensions["turns"].give_back(key)
        if g.get("actor") is not None:
            _allowances().spend(key, time.monotonic() - g.turn_since)


def _allowances() -> Allowances:
    found: Allowances = current_app.extensions["members"]
    return found
