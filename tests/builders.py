"""Small builders: an exchange in a temporary folder and the things in it, made by the real services."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

from mapex import config, opening, participants
from mapex.exchange import Actor, Exchange

DAY_ONE = 1_790_000_000 * 10**9
"""2026-09-21T14:13:20Z, when every test begins."""

_numbers = itertools.count(1)


@dataclass(slots=True)
class Clock:
    """A clock that a test moves: UTC nanoseconds, one microsecond later at each look."""

    at_ns: int = DAY_ONE
    step_ns: int = field(default=1000)

    def __call__(self) -> int:
        self.at_ns += self.step_ns
        return self.at_ns

    def forward(self, *, seconds: float = 0, days: float = 0) -> None:
        self.at_ns += int((seconds + days * 86400) * 10**9)


def settings(folder: Path, *, database_url: str = "", **changes: object) -> config.Settings:
    """Settings of a fresh exchange in `folder`, or of the one that is there; small upload parts."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / config.FILE_NAME).exists():
        config.initialise(folder, {})
    environ = {"MAPEX_DATABASE_URL": database_url} if database_url else {}
    loaded = config.load(folder, {**environ, "MAPEX_PART_SIZE": "65536"})
    return replace(loaded, **changes)  # type: ignore[arg-type]


def an_exchange(folder: Path, *, database_url: str = "", now: Clock | None = None, **changes: object) -> Exchange:
    """An open exchange with a directory store and a clock that stands at `DAY_ONE`; `changes` are settings."""
    return opening.open_exchange(settings(folder, database_url=database_url, **changes), now or Clock())


def an_org(ex: Exchange, slug: str = "") -> participants.Org:
    return participants.add_org(ex, None, slug or f"firm-{next(_numbers)}")


def a_person(ex: Exchange, org: str | participants.Org | None = None, *, role: str = "member", email: str = "") -> Actor:
    """An actor: a member of `org` (an organisation, its slug, or a new one), or an auditor or operator."""
    slug = ""
    if role == "member":
        slug = org.slug if isinstance(org, participants.Org) else org or an_org(ex).slug
        if not any(slug == known.slug for known in participants.orgs(ex)):
            an_org(ex, slug)
    return participants.add_person(ex, None, email or f"person{next(_numbers)}@{slug or role}.example", org=slug, role=role).actor
