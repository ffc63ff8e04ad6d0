"""What newer versions of bought tiles cost, as the terms of an offer say it: anew, nothing for some months, or the difference. Pure.

A policy is a word: `paid`, `free:12` for twelve months after the order, or `difference`: what did not change of a tile was paid already,
and is credited (`mapex.prices.earlier`), without an end. The months are those of the calendar in Korea, counted from the day of the order,
the last day included; where the last month has no such day (31, 29 February) its last day is the last one. What an order was sold with
holds for it, whatever the seller changes later, and for the tiles that were paid in it, and for no wider use.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

from mapex.errors import Invalid
from mapex.times import KST, kst_day, ns_from_iso

PAID = "paid"
"""Each update is paid like tiles that were never bought; so it was before there was the choice."""

DIFFERENCE = "difference"
"""Of each update what changed is paid: what did not is credited, at what was paid for it, at most at what it costs now."""

MAX_MONTHS = 36

_FREE = re.compile(r"free:([1-9][0-9]?)")


def read_updates(policy: object) -> str:
    """The policy as it is stored.

    Raises: Invalid: `offer.updates`.
    """
    if isinstance(policy, str) and (policy in (PAID, DIFFERENCE) or 0 < free_months(policy) <= MAX_MONTHS):
        return policy
    message = (
        f"Updates are paid, free for 1 to {MAX_MONTHS} months after the order, or cost the difference: "
        "name paid, free:12 for twelve months, or difference."
    )
    raise Invalid("offer.updates", message, updates=str(policy)[:40])


def free_months(policy: str) -> int:
    """For how many months after the order updates cost nothing; 0: each is paid."""
    found = _FREE.fullmatch(policy)
    return int(found[1]) if found else 0


def free_until_ns(policy: str, ordered_ns: int) -> int:
    """The first moment at which updates of what was ordered are free no more; 0: none ever was."""
    months = free_months(policy)
    if not months:
        return 0
    day = date.fromisoformat(kst_day(ordered_ns))
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    return ns_from_iso((last + timedelta(days=1)).isoformat(), KST)


def last_free_day(policy: str, ordered_ns: int) -> str:
    """`2027-11-30`: the last day in Korea on which updates of what was ordered are free; empty where each is paid."""
    until_ns = free_until_ns(policy, ordered_ns)
    return kst_day(until_ns - 1) if until_ns else ""
