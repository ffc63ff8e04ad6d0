"""The menu in the header: which pages, for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext

from mapex.showroom import questions
from web.edge.auth import current_actor, current_person, exchange
from web.edge.policy import INSPECTORS, MEMBERS, OPERATORS


@dataclass(frozen=True, slots=True)
class MenuLine:
    """A page in the menu: address, name, and the roles that see it; without roles everybody does."""

    path: str
    name: Any
    roles: frozenset[str] = frozenset()


HELP = "/help"

MENU = (
    MenuLine("/explore", lazy_gettext("Explore")),
    MenuLine("/datasets", lazy_gettext("Catalogue")),
    MenuLine("/orders", lazy_gettext("Orders"), MEMBERS),
    MenuLine("/sell", lazy_gettext("Sell"), MEMBERS),
    MenuLine("/questions", lazy_gettext("Questions"), MEMBERS),
    MenuLine("/operate", lazy_gettext("Operate"), OPERATORS),
    MenuLine("/audit", lazy_gettext("Audit"), INSPECTORS),
    MenuLine(HELP, lazy_gettext("Help")),
)

GUIDES = {
    "/explore": "buyer",
    "/datasets": "buyer",
    "/quotes": "buyer",
    "/orders": "buyer",
    "/account/permits": "buyer",
    "/sell": "seller",
    "/audit": "auditor",
    "/operate": "operator",
    "/docs": "cli",
}
"""The guide to which help leads from the pages below these; from any other it leads to all guides."""


def navigation(at: str) -> list[tuple[str, str, bool]]:
    """Address and name of the pages that this person works with, and whether the page at the address `at` is below it."""
    person = current_person()
    role = person.role if person else ""
    lines = [line for line in MENU if not line.roles or role in line.roles]
    here = max((line.path for line in lines if f"{at}/".startswith(f"{line.path}/")), key=len, default=None)
    return [(_leads(line.path, at), _name(line), line.path == here) for line in lines]


def _name(line: MenuLine) -> str:
    """The name of a page; of the questions with how many hold something new."""
    new = questions.unread(exchange(), current_actor()) if line.path == "/questions" else 0
    return f"{line.name} ({new})" if new else str(line.name)


def _leads(path: str, at: str) -> str:
    """Where a line of the menu leads: help to what concerns the page at which one is."""
    guide = next((name for prefix, name in GUIDES.items() if f"{at}/".startswith(f"{prefix}/")), "") if path == HELP else ""
    return f"{path}/{guide}" if guide else path
