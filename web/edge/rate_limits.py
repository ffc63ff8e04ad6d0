"""Flask-Limiter's counts, kept by `mapex.database.attempts`: a limit holds for all web processes together, without a server of its own."""

from __future__ import annotations

from typing import cast

from flask import current_app
from limits.storage import Storage

from mapex.database import attempts
from mapex.errors import MapexError
from mapex.exchange import Exchange
from mapex.times import NS

URI = "exchange://"


class ExchangeStorage(Storage):
    """Fixed windows in the database of the exchange that the application serves."""

    STORAGE_SCHEME = ["exchange"]

    @property
    def base_exceptions(self) -> type[Exception]:
        """What goes wrong is an error of ours already."""
        return MapexError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Attempts of `key` with this one, in a window of `expiry` seconds."""
        return attempts.count(_exchange(), key, expiry, amount).count

    def get(self, key: str) -> int:
        """Attempts of `key` so far."""
        return attempts.so_far(_exchange(), key).count

    def get_expiry(self, key: str) -> float:
        """When the window of `key` ends, in seconds."""
        return attempts.so_far(_exchange(), key).ends_ns / NS

    def check(self) -> bool:
        """Whether the database answers."""
        attempts.so_far(_exchange(), "")
        return True

    def reset(self) -> int:
        """Forget all attempts."""
        return attempts.forget(_exchange())

    def clear(self, key: str) -> None:
        """Forget those of one key."""
        attempts.forget(_exchange(), key)


def _exchange() -> Exchange:
    return cast(Exchange, current_app.extensions["mapex"])
