"""The menu in the header: which pages, for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext

from web.edge.auth import current_person
from web.edge.policy import INSPECTORS, MEMBERS, OPERATORS


@dataclass(frozen=True, slots=True)
class MenuLine:
    """A page in the menu: address, name, and the roles that see it; without roles everybody does."""

    path: str
    name: Any
    roles: frozenset[str] = frozenset()


MENU = (
    MenuLine("/explore", lazy_gettext("Explore")),
    MenuLine("/orders", lazy_gettext("Orders"), MEMBERS),
    MenuLine("/sell", lazy_gettext("Sell"), MEMBERS),
    MenuLine("/operate", lazy_gettext("Operate"), OPERATORS),
    MenuLine("/audit", lazy_gettext("Audit"), INSPECTORS),
    MenuLine("/help", lazy_gettext("Help")),
)


def navigation(at: str) -> list[tuple[str, str, bool]]:
    """Address and name of the pages that this person works with, and whether the page at the address `at` is below it."""
    person = current_person()
    role = person.role if person else ""
    lines = [line for line in MENU if not line.roles or role in line.roles]
    here = max((line.path for line in lines if f"{at}/".startswith(f"{line.path}/")), key=len, default=None)
    return [(line.path, str(line.name), line.path == here) for line in lines]
