"""Small builders: an exchange in a temporary folder and the things in it, made by the real services."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

from mapex import config, opening, participants, permits
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


def square(west: float, south: float, east: float, north: float) -> dict[str, object]:
    """A GeoJSON polygon of four corners, in degrees."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def a_permit(ex: Exchange, org: str, **given: object) -> permits.Permit:
    """A permit of `org` (made if need be) for original data around Seoul, for research, a year from `DAY_ONE`."""
    if not any(org == known.slug for known in participants.orgs(ex)):
        an_org(ex, org)
    values: dict[str, object] = {
        "number": f"KR-{next(_numbers)}",
        "purposes": ("research",),
        "classes": ("original", "restricted"),
        "area": square(126.0, 37.0, 128.0, 38.0),
        "valid_from_ns": DAY_ONE - 10**9,
        "valid_to_ns": max(DAY_ONE + 365 * 86400 * 10**9, int(str(given.get("valid_from_ns", 0))) + 1),
    }
    return permits.add(ex, None, org=org, **{**values, **given})  # type: ignore[arg-type]
