"""Passwords: hashed with Argon2id and compared, a few at a time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from mapex.errors import Invalid, Unavailable

LOGINS_AT_ONCE = 2
"""Passwords that are checked at the same time: one takes 64 MiB and a third of a second of four threads."""
LOGINS_WAITING = 2
"""More that may wait for their turn; each holds a thread that would serve pages meanwhile."""
LOGIN_WAIT_SECONDS = 5
NICE = 15
"""Priority of that work, as of `nice`: a page that waits for a processor gets it first."""
MIN_PASSWORD = 12
MAX_PASSWORD = 256

_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZSBmaXhlZCBzYWx0IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""A hash that no password fits, at the cost of a real one."""
_hashing = threading.BoundedSemaphore(LOGINS_AT_ONCE)
_inside = threading.BoundedSemaphore(LOGINS_AT_ONCE + LOGINS_WAITING)


def hashed(password: str) -> str:
    """Argon2id hash.

    Raises: Invalid: shorter than 12 or longer than 256 characters. Unavailable: too many at once.
    """
    if len(password) < MIN_PASSWORD:
        raise Invalid("password.short", f"A password needs at least {MIN_PASSWORD} characters.")
    if len(password) > MAX_PASSWORD:
        raise Invalid("password.long", f"A password has at most {MAX_PASSWORD} characters.")
    from argon2 import PasswordHasher

    with _a_turn():
        return _lane().submit(PasswordHasher().hash, password).result()


@cache
def _lane() -> ThreadPoolExecutor:
    """Threads that yield the processor to pages, and so do those that the library begins from them."""
    return ThreadPoolExecutor(LOGINS_AT_ONCE, "passwords", initializer=_yield_to_others)


def _yield_to_others() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@contextmanager
def _a_turn() -> Iterator[None]:
    """One of the few places for password work. Who finds all taken, and others waiting, is refused at once: pages need their threads."""
    busy = Unavailable("login.busy", "Too many log-ins at once; try again in a moment.")
    if not _inside.acquire(blocking=False):
        raise busy
    try:
        if not _hashing.acquire(timeout=LOGIN_WAIT_SECONDS):
            raise busy
        try:
            yield
        finally:
            _hashing.release()
    finally:
        _inside.release()


def fits(stored: str | None, password: str) -> bool:
    """Whether this is the password of the hash `stored`; without one it takes as long and is False.

    Raises: Unavailable: too many log-ins at once (`login.busy`).
    """
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    with _a_turn():
        try:
            return _lane().submit(PasswordHasher().verify, stored or _NOBODY, password[: MAX_PASSWORD + 1]).result()
        except VerificationError:
            return False
