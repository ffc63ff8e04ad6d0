"""Visitors: whoever asks without a token and without the secret of a signed-in page. What they may ask is limited by what it costs.

Each address has an allowance of the time that answers take in this process, which comes back while it asks nothing. So drawing never
meets the limit, however many small questions that takes, and a flood of large ones does soon. Nothing is written for it.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from flask import Flask, Request, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from mapex.people import networks

SECONDS = 30.0
"""Time of answering that an address may use at once: some 1,000 prices of a city."""
SECONDS_BACK = 0.25
"""What comes back in a second."""
LONGEST_BODY = 512 << 10
"""Bytes of a request: an outline with as many corners as may be, or about 25,000 quadkeys."""
MOST_TILES = 1000
"""Tiles of a list, as many as the page shows."""


class Allowances:
    """Seconds that each key may use at once, and how many come back in a second; `now` returns seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic, *, seconds: float = SECONDS, back: float = SECONDS_BACK) -> None:
        self._now, self._seconds, self._back = now, seconds, back
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()  # seconds used, and at which time that was so
        self._lock = Lock()

    def wait(self, key: str) -> float:
        """Seconds until `key` may ask again; 0 = now."""
        with self._lock:
            return max(0.0, self._owed(key, self._now()) - self._seconds) / self._back

    def spend(self, key: str, seconds: float) -> None:
        """Note what a question took. Keys whose allowance is whole again are forgotten."""
        now = self._now()
        with self._lock:
            self._used[key] = (self._owed(key, now) + seconds, now)
            self._used.move_to_end(key)
            while self._used and self._owed(next(iter(self._used)), now) <= 0:
                self._used.popitem(last=False)

    def __len__(self) -> int:
        return len(self._used)

    def _owed(self, key: str, now: float) -> float:
        used, at = self._used.get(key, (0.0, now))
        return max(0.0, used - (now - at) * self._back)


def install(app: Flask) -> None:
    """The allowances of this process, and the clock that spends them. Comes before whatever reads the body of a request."""
    app.extensions["visitors"] = Allowances()
    app.before_request(_keep_small)
    app.teardown_request(_spend)


def is_visitor(asked: Request | None = None) -> bool:
    """Whether a request, or this one, does not name who asks.

    A session alone is no word of it: a page that was opened before signing in, or another site, sends that cookie too.
    """
    headers = (asked or request).headers
    return not headers.get("Authorization") and not headers.get("X-CSRF-Token")


def admit() -> None:
    """Let a visitor's request pass, and begin to count what it costs.

    Raises: TooManyRequests: the allowance of its address is used up.
    """
    wait = math.ceil(_allowances().wait(address_key(request.remote_addr)))
    if wait:
        raise TooManyRequests("This address has asked for too much; wait, or sign in, which has no such limit.", retry_after=wait)
    g.visitor_since = time.monotonic()


def most_tiles(limit: int) -> int:
    """How many tiles of a list this request may have, of the `limit` that it names."""
    return min(limit, MOST_TILES) if "visitor_since" in g else limit


def address_key(address: str | None) -> str:
    """The address, or of IPv6 the network of 64 bits, all of which one household or machine may use; a socket of this machine has none."""
    return networks.around(address, v4=32) or "local"


def _keep_small() -> None:
    if request.path.startswith("/api/") and is_visitor():
        request.max_content_length = LONGEST_BODY


def _spend(error: BaseException | None) -> None:
    del error
    since = g.pop("visitor_since", None)
    if since is not None:
        _allowances().spend(address_key(request.remote_addr), time.monotonic() - since)


def _allowances() -> Allowances:
    found: Allowances = current_app.extensions["visitors"]
    return found
