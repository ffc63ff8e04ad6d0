"""Limits on signing in, by Flask-Limiter; its counts are kept by `mapex.database.attempts`, so that a limit holds for all web processes
together, without a server of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, request
from flask_limiter import Limiter
from limits.storage import Storage

from mapex.database import attempts
from mapex.errors import MapexError
from mapex.times import NS
from web.edge.auth import MOST_CHARACTERS, exchange

LOGINS_PER_ACCOUNT = "5 per minute"
LOGINS_PER_ADDRESS = "60 per minute"


def install(app: Flask) -> None:
    """The limits on the views that sign in, which are there already."""
    app.config.update(RATELIMIT_STORAGE_URI=f"{ExchangeStorage.STORAGE_SCHEME[0]}://", RATELIMIT_HEADERS_ENABLED=True)
    limiter = Limiter(_caller, app=app)
    login: Callable[..., Any] = app.view_functions["security.login"]
    login = limiter.limit(LOGINS_PER_ACCOUNT, key_func=_account, methods=["POST"])(login)
    app.view_functions["security.login"] = login
    for endpoint in ("security.login", "security.second", "passkeys.login"):
        view: Callable[..., Any] = app.view_functions[endpoint]
        app.view_functions[endpoint] = limiter.limit(LOGINS_PER_ADDRESS, methods=["POST"])(view)


class ExchangeStorage(Storage):
    """Fixed windows in the database of the exchange that the application serves."""

    STORAGE_SCHEME = ["exchange"]

    @property
    def base_exceptions(self) -> type[Exception]:
        """What goes wrong is an error of ours already."""
        return MapexError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Attempts of `key` with this one, in a window of `expiry` seconds."""
        return attempts.count(exchange(), key, expiry, amount).count

    def get(self, key: str) -> int:
        """Attempts of `key` so far."""
        return attempts.so_far(exchange(), key).count

    def get_expiry(self, key: str) -> float:
        """When the window of `key` ends, in seconds."""
        return attempts.so_far(exchange(), key).ends_ns / NS

    def check(self) -> bool:
        """Whether the database answers."""
        attempts.so_far(exchange(), "")
        return True

    def reset(self) -> int:
        """Forget all attempts."""
        return attempts.forget(exchange())

    def clear(self, key: str) -> None:
        """Forget those of one key."""
        attempts.forget(exchange(), key)


def _caller() -> str:
    return request.remote_addr or "local"


def _account() -> str:
    return f"{_caller()} {request.form.get('email', '').strip().lower()[:MOST_CHARACTERS]}"
