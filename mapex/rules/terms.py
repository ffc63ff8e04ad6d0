"""Which use is narrower than which: the rule by which what was bought counts as owned. Pure.

A right to tiles is bought for a *use*: a purpose, under a licence. It counts for another use when both cover that one's.

- A licence covers another when it allows each purpose that the other allows, and each freedom (`licences.Freedom`).
- A purpose covers itself and those that more licences allow: whoever may make a product may study the same tiles, while an order for
  a study is for that study.

Both are partial orders, so that no chain of purchases leads to a wider use than the widest that was paid for. The attribution is a
duty and makes no use wider: it is part of the terms that a quote pins and an order states, not of what is owned. So is whether an offer
credits what was paid for narrower uses (`mapex.prices.earlier`), and what updates cost (`mapex.rules.update_policy`).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import rfc8785

from mapex.rules.licence_texts import TEXTS
from mapex.rules.licences import LICENCES, Purpose
from mapex.rules.update_policy import PAID

ANY_PURPOSE = ""
"""Stands for the purpose that nobody named yet: what is held for any purpose is held for it."""


def covers_licence(held: str, wanted: str) -> bool:
    """Whether terms of the licence `held` allow all that `wanted` allows. Unknown words cover nothing and are covered by nothing."""
    if held not in LICENCES or wanted not in LICENCES:
        return False
    wide, narrow = LICENCES[held], LICENCES[wanted]
    return wide.purposes >= narrow.purposes and wide.freedoms >= narrow.freedoms


def covers_purpose(held: str, wanted: str) -> bool:
    """Whether what was bought for `held` may be used for `wanted`. Unknown words cover nothing and are covered by nothing."""
    if held not in list(Purpose) or wanted not in list(Purpose):
        return False
    return held == wanted or _allowed_by(held) < _allowed_by(wanted)


def covers(held: tuple[str, str], wanted: tuple[str, str]) -> bool:
    """Whether a use (purpose, licence) that was bought covers another one."""
    return covers_purpose(held[0], wanted[0]) and covers_licence(held[1], wanted[1])


def covering(purpose: str) -> list[str]:
    """The purposes of which a right counts for this one."""
    return [str(held) for held in Purpose if purpose == ANY_PURPOSE or covers_purpose(held, purpose)]


def covered(purpose: str) -> list[str]:
    """The purposes for which a right to this one would count; all of them where none is named yet."""
    return [str(wanted) for wanted in Purpose if purpose == ANY_PURPOSE or covers_purpose(purpose, wanted)]


@lru_cache(maxsize=4096)
def digest(licence: str, attribution: str, credits_earlier: bool = False, updates: str = PAID) -> str:
    """sha256 (hex) of the terms of an offer: the code and the full text of its licence, its purposes, its attribution, whether it
    credits what was paid for narrower uses, and what updates cost: terms that credit nothing and have updates paid are as they were before
    there was the choice.
    """
    known = LICENCES.get(licence)
    document: dict[str, Any] = {
        "licence": licence,
        "purposes": sorted(known.purposes) if known else [],
        "clauses": [list(clause) for clause in TEXTS.get(licence, ())],
        "attribution": attribution,
        **({"credits_earlier": True} if credits_earlier else {}),
        **({"updates": updates} if updates != PAID else {}),
    }
    return hashlib.sha256(rfc8785.dumps(document)).hexdigest()


def _allowed_by(purpose: str) -> frozenset[str]:
    """The licences that allow a purpose."""
    return frozenset(code for code, licence in LICENCES.items() if purpose in licence.purposes)
