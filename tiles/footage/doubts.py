"""The answer of a proof that fails: what of the data, and why."""

from __future__ import annotations

from typing import NamedTuple

MOST_DOUBTS = 50
"""Doubts that are named of one source or tile; one is enough for its class."""
_LONGEST = 120


class Unproven(NamedTuple):
    """Something that cannot be proven to be free of pictures and sound. `where` names it, `why` is the rest of a sentence: "it ..."."""

    where: str
    why: str


class Doubts:
    """The doubts about one source or tile: the first of each place, in bounded number."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def add(self, where: str, why: str | None) -> bool:
        """Take one in, and whether it is a new one; None is no doubt."""
        if why is None or where in self or len(self._found) >= MOST_DOUBTS:
            return False
        self._found[where[:_LONGEST]] = why
        return True

    def __contains__(self, where: str) -> bool:
        return where[:_LONGEST] in self._found

    def __bool__(self) -> bool:
        return bool(self._found)

    def all(self) -> list[Unproven]:
        """All of them, in the order in which they were met."""
        return [Unproven(where, why) for where, why in self._found.items()]
