"""Places in words: "분당구 백현동" or "Baekhyeon-dong, Bundang-gu"; degrees where a place has no name."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext as _
from flask_babel import ngettext

from mapex.atlas.lookup import Found
from mapex.atlas.naming import Named
from mapex.orders.grounds import Ground
from mapex.places.index import short_names
from mapex.places.romanisation import romanised
from web.words.language import language
from web.words.numbers import n_, number

CITIES = ("특별시", "광역시")
"""Divisions of the first level whose name stands before those of their districts, which several cities have (중구)."""


def said(names: Sequence[str], lon: float, lat: float) -> str:
    """The name of a place as people say it."""
    if not names:
        return degrees(lon, lat)
    parts = spoken(names)
    return " ".join(parts) if language() == "ko" else ", ".join(map(romanised, reversed(parts)))


def spoken(names: Sequence[str]) -> list[str]:
    """The Korean names that are said: without the province, without the city before its district where more follows."""
    first, *rest = names
    if not rest:
        return [first]
    if len(rest) > 1:
        rest[0] = rest[0].split()[-1]
    return [short_names(first)[0], *rest] if first.endswith(CITIES) else rest


def degrees(lon: float, lat: float) -> str:
    """A place without a name."""
    values = {"lat": f"{abs(lat):.2f}", "lon": f"{abs(lon):.2f}"}
    if lat >= 0:
        return str(_("%(lat)s°N %(lon)s°E", **values) if lon >= 0 else _("%(lat)s°N %(lon)s°W", **values))
    return str(_("%(lat)s°S %(lon)s°E", **values) if lon >= 0 else _("%(lat)s°S %(lon)s°W", **values))


def area(named: Named | None) -> str:
    """A set of tiles: its name, and that there are more places; empty for no tiles."""
    if named is None:
        return ""
    place = said(named.names, named.lon, named.lat)
    if not named.others:
        return place
    return str(
        ngettext(
            "%(place)s and %(count)s more place",
            "%(place)s and %(count)s more places",
            named.others,
            place=place,
            count=number(named.others),
        )
    )


def ground(one: Ground | None) -> str:
    """A bought or quoted ground: "분당구 백현동, 4 tiles"; empty for none."""
    return n_("%(place)s, %(count)s tile", "%(place)s, %(count)s tiles", one.squares, place=area(one.named)) if one else ""


def found_words(found: Found) -> tuple[str, str]:
    """The name of what was found, and the divisions around it, in the language of the reader."""
    place, reading = found.place, found.reading
    if reading is not None:
        return reading.tile or f"{reading.lat:.5f}, {reading.lon:.5f}", said(place.names, place.lon, place.lat) if place.names else ""
    around = [word for name in place.names[:-1] for word in name.split()]
    if place.kind == "sigungu":
        *cities, own = place.name.split()
        around += cities
    else:
        own = place.name
    if language() == "ko":
        return own, " ".join(around)
    return romanised(own) if place.kind == "sigungu" else place.latin[-1], ", ".join(map(romanised, reversed(around)))
