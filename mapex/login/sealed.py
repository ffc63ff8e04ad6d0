"""Texts that only this exchange can read and make, by keys that follow from its secret key: the database alone does not give them.

For what a browser keeps for a moment (the second step of a log-in, a challenge) and for the secrets of authenticator apps.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from mapex.exchange import Exchange
from mapex.times import NS

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

LONGEST = 8192
"""Characters of a sealed text that is looked at."""


def seal(ex: Exchange, purpose: str, value: dict[str, Any]) -> str:
    """`value` as a text that nobody else can read, and that opens for the same purpose only."""
    return _key(ex.settings.secret_key, purpose).encrypt_at_time(json.dumps(value).encode(), ex.now() // NS).decode()


def unseal(ex: Exchange, purpose: str, text: str, *, seconds: int | None = None) -> dict[str, Any] | None:
    """What was sealed for this purpose, or None: not ours, altered, or older than `seconds`."""
    from cryptography.fernet import InvalidToken

    if len(text) > LONGEST or not text.isascii():
        return None
    key = _key(ex.settings.secret_key, purpose)
    try:
        found = key.decrypt(text) if seconds is None else key.decrypt_at_time(text, seconds, ex.now() // NS)
    except InvalidToken:
        return None
    return cast("dict[str, Any]", json.loads(found))


@lru_cache(maxsize=64)
def _key(secret: str, purpose: str) -> Fernet:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"mapex sealed {purpose}".encode()).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
