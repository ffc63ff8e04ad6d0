"""Divisions of Korea as places that can be searched, as outlines that can be used, and as names of points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from mapex.places import boundaries
from mapex.places.boundaries import Boundary
from mapex.places.index import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_CITY_DIGITS = 4
_lock = RLock()


def places() -> list[Place]:
    """All divisions, and the cities that the boundaries hold only in parts (성남시 is three gu)."""
    return [*_cities(), *(_place(level.name, one) for level in boundaries.LEVELS for one in level_of(level.name))]


def outline(code: str) -> BaseGeometry | None:
    """The area of a division, or of a city by the four digits that its parts share; None where there is none of this code."""
    import shapely

    if not code.isdigit():
        return None
    if len(code) == _CITY_DIGITS:
        parts = [one.geometry for some in _city_parts() if some[0].code.startswith(code) for one in some]
        return shapely.union_all(parts) if parts else None
    level = next((level.name for level in boundaries.LEVELS if level.digits == len(code)), "")
    return next((one.geometry for one in level_of(level) if one.code == code), None) if level else None


def names_at(lon: Sequence[float], lat: Sequence[float]) -> list[tuple[str, ...] | None]:
    """Names of the smallest division (ri, else eup, myeon or dong, else city or county) that each point is in; None at sea and abroad."""
    import shapely

    points = np.asarray(shapely.points(np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)))
    found: list[tuple[str, ...] | None] = [None] * len(points)
    for level in ("sigungu", "emd", "ri"):
        for point, division in _within(level, points):
            found[point] = level_of(level)[division].names
    return found


@lru_cache(maxsize=8)
def _level(name: str) -> list[Boundary]:
    return boundaries.load(name)


def level_of(name: str) -> list[Boundary]:
    """The divisions of a level, read once."""
    with _lock:
        return _level(name)


def _within(level: str, points: NDArray[Any]) -> list[tuple[int, int]]:
    """Pairs of a point and the division that it is in; of two at a border the one of the smaller code."""
    first: dict[int, int] = {}
    for point, division in zip(*_tree(level).query(points, predicate="intersects").tolist(), strict=True):
        first[point] = min(division, first.get(point, division))
    return list(first.items())


@lru_cache(maxsize=3)
def _tree(level: str) -> Any:
    import shapely

    return shapely.STRtree([one.geometry for one in level_of(level)])


def _place(level: str, one: Boundary) -> Place:
    w, s, e, n = one.geometry.bounds
    middle = one.geometry.representative_point()
    return Place(level, one.names, middle.x, middle.y, (w, s, e, n), one.code)


def _city_parts() -> list[list[Boundary]]:
    """The districts of each city that is held in parts alone."""
    parts = sorted((one for one in level_of("sigungu") if " " in one.names[-1]), key=_city)
    whole = {one.names for one in level_of("sigungu")}
    return [list(group) for city, group in groupby(parts, key=_city) if city not in whole]


def _city(one: Boundary) -> tuple[str, str]:
    return one.names[0], one.names[1].split()[0]


def _cities() -> list[Place]:
    found = []
    for some in _city_parts():
        bounds = np.array([one.geometry.bounds for one in some])
        w, s = bounds[:, :2].min(axis=0).tolist()
        e, n = bounds[:, 2:].max(axis=0).tolist()
        found.append(Place("city", _city(some[0]), (w + e) / 2, (s + n) / 2, (w, s, e, n), some[0].code[:_CITY_DIGITS]))
    return found
