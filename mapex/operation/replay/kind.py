"""What is replayed: a kind of thing (persons, permits, orders) folds the entries about it into what should be there, and compares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import Connection

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender
from mapex.times import NS, iso_from_ns, ns_from_iso

Fields = Mapping[str, Any]
"""What is known of one thing, by words that people read."""

Payload = Mapping[str, Any]
"""The payload of an entry."""

LONGEST = 120

SAME_MOMENT_NS = 600 * NS


class Subject(Protocol):
    """One kind of thing. An entry that lacks what `take` looks up (`KeyError`) or has it of another type is an offender itself."""

    actions: frozenset[Action]

    def take(self, payload: Payload) -> None:
        """An entry of one of the actions, in order."""
        ...

    def settle(self, conn: Connection) -> Iterator[Offender]:
        """Compare what was taken since the last time, where it can be compared at once: nothing changes it later."""
        ...

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """Compare the rest, when all entries were taken."""
        ...


class State:
    """A kind whose things change: all of them are compared at the end. `made` is what the log says, by key."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}

    def settle(self, conn: Connection) -> Iterator[Offender]:
        """Nothing: what was taken may still change."""
        del conn
        yield from ()


def differences(what: str, made: Mapping[str, Fields], stored: Mapping[str, Fields]) -> Iterator[Offender]:
    """Where the things that are stored are not those that the log made; only fields that the log knows are compared."""
    for key in made:
        if key not in stored:
            yield f"{what} {key} is in the log and not there"
        else:
            yield from differing(f"{what} {key}", made[key], stored[key])
    for key in stored:
        if key not in made:
            yield f"{what} {key} is there and no entry of the log made it"


def differing(what: str, made: Fields, stored: Fields) -> Iterator[Offender]:
    """The fields of one thing in which it is not as the log says."""
    for name, value in made.items():
        if stored[name] != value:
            yield f"{what}: {name} is {_short(stored[name])}, by the log {_short(value)}"


def at_another_time(what: str, at: str, stored_ns: int) -> Iterator[Offender]:
    """A row whose time is not that of its entry; the clock was looked at for each, and something may have been waited for between them."""
    if abs(_ns(at) - stored_ns) > SAME_MOMENT_NS:
        yield f"{what}: time is {iso_from_ns(stored_ns)}, by the log {at}"


_ns = lru_cache(maxsize=16)(ns_from_iso)
"""Entries of one transaction have one time."""


def parsed(stored: str) -> Any:
    """The value of stored JSON; the text itself where it is none."""
    try:
        return json.loads(stored)
    except ValueError:
        return stored


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
