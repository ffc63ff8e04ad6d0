"""How often a person may call, and how often an address may try tokens: counted in the memory of each process, by the minute.

Whatever changes something, or writes into the log by being read, has a limit by its policy or by its route, or the web process does not
start. What computes areas has its own (`web.edge.limits.turns`), signing in too (`mapex.people.tries`).
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from threading import Lock
from typing import Any

from flask import Flask, current_app, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from mapex.config import Settings
from mapex.errors import Limited
from mapex.exchange import Actor
from web.edge.limits.visitors import address_key
from web.edge.policy import Policy, policy_of

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

BY_ROUTE = {
    "grants.grant": "grants_per_minute",
    "quotes.make_quote": "quotes_per_minute",
    "quotes.renew_quote": "quotes_per_minute",
    "updates.quote_updates": "quotes_per_minute",
    "tokens.create_token": "secrets_per_minute",
    "participants.invite": "secrets_per_minute",
}
"""Setting that limits a route; else that of its policy."""

CHANGING = ("read", "browse", "own", "price", "talk", "sell", "buy", "account", "security", "rescue", "operate")
BY_POLICY = dict.fromkeys(CHANGING, "writes_per_minute")
"""Setting that limits what changes something, by policy."""

LOG = frozenset({"audit", "inspect"})
"""Policies whose every call is a reading of the log, and an entry in it."""

WRONG_TOKENS = 30
"""Wrong tokens in a minute after which an address gets in only with tokens that are known to be good."""
_KNOWN = 4096


class Calls:
    """The counts of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._counts = FixedWindowRateLimiter(MemoryStorage())
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()

    def count(self, name: str, who: str) -> None:
        """One call more of `who` under the setting `name`. Raises: Limited: `rate.limited`."""
        most = getattr(self._settings, name)
        item = RateLimitItemPerMinute(most)
        if not self._counts.hit(item, name, who):
            raise _limited(f"You have called this more than {most} times in a minute", self._wait(item, name, who))

    def check_token(self, secret: str, address: str) -> None:
        """Refuse an address that tries tokens, unless this token is known to be good. Raises: Limited: `token.tries`."""
        item = RateLimitItemPerMinute(WRONG_TOKENS)
        if _digest(secret) not in self._good and not self._counts.test(item, "token", address):
            wait = self._wait(item, "token", address)
            raise Limited("token.tries", f"This address sent too many wrong tokens; wait {wait} s and use a right one.", retry_after_s=wait)

    def note_token(self, secret: str, address: str, *, good: bool) -> None:
        """Remember whether a token was good."""
        if not good:
            self._counts.hit(RateLimitItemPerMinute(WRONG_TOKENS), "token", address)
        with self._lock:
            if not good:
                self._good.pop(_digest(secret), None)
                return
            self._good[_digest(secret)] = None
            self._good.move_to_end(_digest(secret))
            while len(self._good) > _KNOWN:
                self._good.popitem(last=False)

    def _wait(self, item: RateLimitItemPerMinute, *key: str) -> int:
        return max(1, math.ceil(self._counts.get_window_stats(item, *key).reset_time - time.time()))


def install(app: Flask) -> None:
    """The counts of this process."""
    app.extensions["calls"] = Calls(app.extensions["mapex"].settings)


def check_routes(app: Flask) -> None:
    """Fail when a route that changes something, or reads the log, has no limit.

    Raises: RuntimeError: names each such route.
    """
    rules = [(rule, policy_of(app.view_functions[rule.endpoint])) for rule in app.url_map.iter_rules()]
    unknown = set(BY_ROUTE) - {rule.endpoint for rule, _ in rules}
    if unknown:
        raise RuntimeError(f"limits of routes that do not exist: {', '.join(sorted(unknown))}")
    bare = sorted(
        str(rule)
        for rule, found in rules
        if found and not found.is_public and (rule.methods or set()) & WRITES and limit_of(rule.endpoint, found) is None
    )
    if bare:
        raise RuntimeError(f"routes without a limit: {', '.join(bare)}")


def limit_of(endpoint: str, wanted: Policy) -> str | None:
    """The setting that limits calls of a route that change something, or that read the log."""
    return "log_reads_per_minute" if wanted.name in LOG else BY_ROUTE.get(endpoint, BY_POLICY.get(wanted.name))


def count(actor: Actor, endpoint: str, wanted: Policy) -> None:
    """Count a call of this request. Raises: Limited."""
    name = limit_of(endpoint, wanted)
    if name is not None and (request.method in WRITES or wanted.name in LOG):
        of_process().count(name, actor.person_id)


def of_process() -> Calls:
    """The counts of this process."""
    found: Calls = current_app.extensions["calls"]
    return found


def caller() -> str:
    """The address, or network, of this request."""
    return address_key(request.remote_addr)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _limited(text: str, wait: int, **details: Any) -> Limited:
    return Limited("rate.limited", f"{text}; wait {wait} s and ask again.", retry_after_s=wait, **details)
