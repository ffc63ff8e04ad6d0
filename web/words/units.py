"""What pages call a unit of price."""

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
