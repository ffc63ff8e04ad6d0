"""Errors of the exchange.

MapexError(code, message, **details)
 ├─ Invalid      the request cannot be understood or breaks a rule of form            (HTTP 422, exit 2)
 ├─ NotFound     it does not exist, or not for you                                    (404, exit 3)
 ├─ Denied       known, and not allowed: permit, role, licence                        (403, exit 4)
 ├─ Conflict     the state has moved on: price changed, key reused, already published (409, exit 5)
 ├─ Unpaid       the balance does not cover it                                        (402, exit 6)
 ├─ Limited      too often or too much in too short a time; details.retry_after_s      (429, exit 7)
 └─ Unavailable  store, database or disk cannot serve now; nothing was changed        (503, exit 7)

`code` is a stable slug (`permit.expired`) for machines and translations; `message` says what, the value, and what to do.
"""

from __future__ import annotations

from typing import Any


class MapexError(Exception):
    """Base of all errors that are reported to a person or a client."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class Invalid(MapexError):
    """The request cannot be understood or breaks a rule of form."""


class NotFound(MapexError):
    """It does not exist, or not for this actor (the two look the same)."""


class Denied(MapexError):
    """Known and not allowed."""


class Conflict(MapexError):
    """The state has moved on since the caller looked."""


class Unpaid(MapexError):
    """The balance does not cover the amount."""


class Limited(MapexError):
    """Too often or too much in too short a time; nothing was changed. After `details["retry_after_s"]` seconds it may be asked again."""


class Unavailable(MapexError):
    """A part that is needed does not answer; nothing was changed."""
