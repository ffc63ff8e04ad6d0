"""Boundaries that the operator supplies (`MAPEX_PLACES`), so that a buyer can choose a district instead of drawing it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mapex.errors import NotFound, Unavailable
from mapex.exchange import Exchange
from tiles import plain_json

_FIRST_STEP = 1e-5  # degrees, about a metre


@dataclass(frozen=True, slots=True)
class Place:
    """A named boundary; `region` is a GeoJSON geometry with no more vertices than an area may have."""

    name: str
    region: Mapping[str, Any]


def places(ex: Exchange) -> Sequence[Place]:
    """All places by name; none when the operator supplied no file.

    Raises: Unavailable: `places.unreadable`, the file is absent or no GeoJSON with named areas.
    """
    if not ex.settings.places:
        return ()
    path = ex.settings.dir / ex.settings.places
    try:
        return _read(path, path.stat().st_mtime_ns, ex.settings.max_region_vertices)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            "places.unreadable", f"The operator's file of places cannot be read ({error}). Have the operator mend it."
        ) from error


def place(ex: Exchange, name: str) -> Place:
    """The place of this name.

    Raises: NotFound (`place.unknown`), Unavailable.
    """
    for one in places(ex):
        if one.name == name:
            return one
    raise NotFound("place.unknown", f"There is no place {name!r}. Take one of the list of places.", name=name)


@lru_cache(maxsize=4)
def _read(path: Path, mtime_ns: int, most: int) -> Sequence[Place]:
    """Parsed once for each state of the file; several features of one name are one place."""
    import shapely

    del mtime_ns
    parts: dict[str, list[Any]] = {}
    for feature in plain_json.loads(path.read_text(encoding="utf-8-sig"))["features"]:
        parts.setdefault(str(feature["properties"]["name"]), []).append(shapely.from_geojson(json.dumps(feature["geometry"])))
    found = []
    for name in sorted(parts):
        whole = shapely.union_all(parts[name])
        step = _FIRST_STEP
        plain = whole
        while shapely.get_num_coordinates(plain) > most:
            plain, step = shapely.simplify(whole, step), step * 2
        found.append(Place(name, json.loads(shapely.to_geojson(plain))))
    return found
