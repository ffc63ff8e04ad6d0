"""JSON in which each key of an object stands once. Python's reader keeps the last of two values and says nothing."""

from __future__ import annotations

import json
from typing import Any


class DoubledKeyError(ValueError):
    """A key stands twice in one object; nobody can say which value is meant."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, for `object_pairs_hook`.

    Raises: DoubledKeyError: naming the key.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        key = next(key for key in keys if keys.count(key) > 1)
        raise DoubledKeyError(f"the key {key[:80]!r} stands twice in one object; keep one")
    return found


def loads(text: str | bytes, **how: Any) -> Any:
    """As `json.loads`.

    Raises: DoubledKeyError, ValueError, RecursionError.
    """
    return json.loads(text, object_pairs_hook=once, **how)
