"""What pages call a unit of price, and the price that they show as an example of it."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext

from mapex.rules.pricing import Unit

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
EXAMPLES = {
    Unit.LANE_KM: 6_300,
    Unit.FOOTWAY_KM: 2_900,
    Unit.CYCLEWAY_KM: 2_500,
    Unit.CROSSING: 300,
    Unit.SIGN: 100,
    Unit.SIGNAL: 500,
    Unit.MILLION_POINTS: 4_000,
    Unit.FRAME: 20,
    Unit.MINUTE: 600,
    Unit.GB: 5_000,
}
"""KRW a unit that an empty field shows; nothing is charged by them."""
