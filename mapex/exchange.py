"""The one handle: settings, database, object store and clock, given as first argument to every service."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from mapex.config import Settings
    from tiles.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class Presence:
    """A person at a browser: in which session, when it last showed who it is, and whether it has a second factor to do so with."""

    session_id: str
    proven_ns: int
    has_factor: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person of an organisation (or of none: auditors, operators), by session or token.

    `scopes` limits what a token may do; `{"*"}` is everything the person may. `presence` is None for tokens and at the machine;
    `until_ns` is when the token `token_id` ends. `network` is the one that the request came from (`mapex.people.networks`), "" at the
    machine.
    """

    person_id: str
    email: str
    role: str  # member | auditor | operator
    org_id: str | None
    org_slug: str
    scopes: frozenset[str] = frozenset({"*"})
    presence: Presence | None = field(default=None, compare=False)
    until_ns: int | None = field(default=None, compare=False)
    token_id: str | None = field(default=None, compare=False)
    network: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """An open exchange. `now` returns UTC nanoseconds; tests give a fixed clock."""

    settings: Settings
    engine: Engine
    store: ObjectStore
    now: Callable[[], int] = time.time_ns
