"""Licences, what updates cost, and handling classes in the language of the request."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from flask_babel import gettext, ngettext

from mapex.rules.licence_texts import TEXTS
from mapex.rules.licences import CLASS_LINES, LICENCES, HandlingClass
from mapex.rules.update_policy import DIFFERENCE, free_months, last_free_day
from web.words.language import language
from web.words.vocabulary import CLASSES, label


def licence_words(code: str) -> dict[str, Any]:
    """Name, the five lines and the purposes of a licence."""
    one = 0 if language() == "ko" else 1
    licence = LICENCES[code]
    return {
        "code": code,
        "name": licence.name[one],
        "lines": [line[one] for line in licence.lines],
        "purposes": sorted(licence.purposes),
        "text": [clause[one] for clause in TEXTS[code]],
    }


def licence_difference(old: str, new: str) -> list[tuple[str, str]]:
    """The clauses of two licences as `("-" | "+" | "=", clause)`: gone, new, kept; in the order of a text difference."""
    one = 0 if language() == "ko" else 1
    before, after = ([clause[one] for clause in TEXTS[code]] for code in (old, new))
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [("=", clause) for clause in before[a:b]]
        else:
            found += [("-", clause) for clause in before[a:b]] + [("+", clause) for clause in after[c:d]]
    return found


def updates_words(policy: str, ordered_ns: int | None = None) -> str:
    """What newer versions cost who buys; of an order also the last day on which they cost nothing."""
    months = free_months(policy)
    if policy == DIFFERENCE:
        return str(gettext("paid for what changed only"))
    if not months:
        return str(gettext("paid separately"))
    free = ngettext("free for %(count)s month after the order", "free for %(count)s months after the order", months, count=months)
    return str(free) if ordered_ns is None else f"{free}, {gettext('until %(date)s', date=last_free_day(policy, ordered_ns))}"


def class_line(code: str) -> str:
    """One line about a handling class."""
    return CLASS_LINES[HandlingClass(code)][0 if language() == "ko" else 1]


def class_choices() -> list[tuple[str, str, str]]:
    """Code, word and line of each handling class."""
    return [(str(code), label(CLASSES, code), class_line(code)) for code in HandlingClass]
