"""What pages call a unit of price."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext, lazy_gettext

from mapex.rules.pricing import Unit
from web.words.language import language
from web.words.numbers import number, won

UNITS: dict[str, Any] = {
    Unit.LANE_KM: lazy_gettext("lane-km"),
    Unit.FOOTWAY_KM: lazy_gettext("footway-km"),
    Unit.CYCLEWAY_KM: lazy_gettext("cycleway-km"),
    Unit.CROSSING: lazy_gettext("crossings"),
    Unit.SIGN: lazy_gettext("signs"),
    Unit.SIGNAL: lazy_gettext("signals"),
    Unit.MILLION_POINTS: lazy_gettext("M points"),
    Unit.FRAME: lazy_gettext("frames"),
    Unit.MINUTE: lazy_gettext("minutes"),
    Unit.GB: lazy_gettext("GB"),
}


def measured(quantity: float, unit: str) -> str:
    """So much of a unit: "1.2 lane-km"; Korean counts points, "25.6만 점", and not millions of them."""
    if unit == Unit.MILLION_POINTS and language() == "ko":
        return str(gettext("%(count)s of the points", count=number(round(quantity * 10**6))))
    return f"{number(quantity)} {UNITS[unit]}"


def charged(quantity: float, unit: str, rate: int) -> str:
    """What a line of a price is made of: the quantity, and the rate for one."""
    if unit == Unit.MILLION_POINTS and language() == "ko":
        return str(gettext("%(count)s (%(rate)s for each million points)", count=measured(quantity, unit), rate=won(rate)))
    return f"{measured(quantity, unit)} × {won(rate)}"
