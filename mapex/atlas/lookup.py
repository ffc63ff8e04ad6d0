"""Places that an area is chosen by: divisions of Korea, coordinates, tiles, and what the operator supplies (`MAPEX_PLACES`)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from mapex.atlas import published
from mapex.errors import NotFound, Unavailable
from mapex.exchange import Exchange
from mapex.places import coordinates, divisions, gazetteer
from mapex.places.coordinates import PlaceReading
from mapex.places.gazetteer import Gazetteer
from mapex.places.index import Place, PlaceIndex, likeliness
from mapex.places.spelling import words

if TYPE_CHECKING:
    from shapely import Polygon
    from shapely.geometry.base import BaseGeometry

LONGEST_QUESTION = 200
MOST_FOUND = 20
_ADDRESS = re.compile(r"(.*[^\d\s-])\s*?(?:\s+(지하))?\s*(\d+(?:-\d+)?)")
_FIRST_STEP = 1e-5  # degrees, about a metre
_lock = RLock()
State = tuple[tuple[Path, int], ...]
"""Files of places, each with the moment of its last change."""


@dataclass(frozen=True, slots=True)
class Area:
    """A named boundary; `region` is a GeoJSON geometry with no more vertices than an area may have."""

    name: str
    region: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What a question may mean: a place, or a reading of it as coordinates; `names` are of the division that it is in."""

    place: Place
    reading: PlaceReading | None = None


def places(ex: Exchange) -> Sequence[Area]:
    """The operator's areas by name; none when there is no file of them.

    Raises: Unavailable: `places.unreadable`, the file is absent or cannot be read.
    """
    most = ex.settings.max_region_vertices
    return tuple(Area(name, _region(shape, most)) for name, shape in supplied(ex).areas.items())


def place(ex: Exchange, name: str) -> Area:
    """The operator's area of this name, or the division of Korea of this code.

    Raises: NotFound (`place.unknown`), Unavailable.
    """
    return Area(name, _region(outline(ex, name), ex.settings.max_region_vertices))


def outline(ex: Exchange, name: str) -> BaseGeometry:
    """The boundary of such an area to its last vertex.

    Raises: NotFound (`place.unknown`), Unavailable.
    """
    shape = supplied(ex).areas.get(name) or divisions.outline(name)
    if shape is None:
        raise NotFound("place.unknown", f"There is no place {name!r}. Take one of the list of places.", name=name)
    return shape


def find(ex: Exchange, text: str, *, limit: int = MOST_FOUND) -> list[Found]:
    """What `text` may mean, the likeliest first: coordinates and tiles in all their readings, else places by their names.

    Raises: Unavailable.
    """
    asked = text.strip()[:LONGEST_QUESTION]
    if read := coordinates.readings(asked):
        return _located(read)
    index, folded = _index(_state(ex)), words(asked)
    if index and (address := _ADDRESS.fullmatch(asked)):
        roads = [one for one in index.search(address[1], limit=MOST_FOUND) if one.kind == "road"]
        if numbered := supplied(ex).addresses(roads, f"{address[2] or ''}{address[3]}"):
            return [Found(one) for one in numbered[:limit]]
    found = [*_divisions().search(asked, limit=limit), *(index.search(asked, limit=limit) if index else ())]
    found += map(_located_name, published.search(ex, asked, limit=limit))
    return [Found(one) for one in sorted(found, key=lambda one: likeliness(one, folded))[:limit]]


def _located_name(one: Place) -> Place:
    """A name in the data on offer, with the divisions that it is in."""
    (names,) = divisions.names_at([one.lon], [one.lat])
    return replace(one, names=(*(names or ()), one.name))


def supplied(ex: Exchange) -> Gazetteer:
    """What the operator's files hold.

    Raises: Unavailable.
    """
    return _supplied(_state(ex))


def read_ahead(ex: Exchange) -> None:
    """Read all places in a thread of its own, so that whoever asks first need not wait for it."""
    Thread(target=_read_all, args=(ex,), name="places", daemon=True).start()


def _read_all(ex: Exchange) -> None:
    try:
        divisions.names_at([127.0], [37.5])  # what lists need comes before the search
        _divisions()
        _index(_state(ex))
    except Unavailable as error:
        logging.getLogger("mapex").warning("%s", error)


def _located(read: Sequence[PlaceReading]) -> list[Found]:
    """Readings with the division that each is in. Of metres without a place on land those are dropped, when others are on land."""
    names = divisions.names_at([one.lon for one in read], [one.lat for one in read])
    on_land = [one for one, known in zip(read, names, strict=True) if known or not one.system.startswith("EPSG")]
    kept = on_land or list(read)
    return [Found(Place("tile" if one.tile else "coordinates", names[read.index(one)] or (), one.lon, one.lat), one) for one in kept]


@lru_cache(maxsize=1)
def _all_divisions() -> PlaceIndex:
    return PlaceIndex(divisions.places())


def _divisions() -> PlaceIndex:
    with _lock:  # asked twice at once, it is read once
        return _all_divisions()


def _state(ex: Exchange) -> State:
    """The operator's files, each with the moment of its last change."""
    if not ex.settings.places:
        return ()
    try:
        return tuple((one, one.stat().st_mtime_ns) for one in gazetteer.files_of(ex.settings.dir / ex.settings.places))
    except OSError as error:
        raise _unreadable(error) from error


def _supplied(state: State) -> Gazetteer:
    with _lock:
        try:
            return _read(state)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(error) from error


def _unreadable(error: Exception) -> Unavailable:
    return Unavailable("places.unreadable", f"The operator's file of places cannot be read ({error}). Have the operator mend it.")


@lru_cache(maxsize=4)
def _read(state: State) -> Gazetteer:
    """Read once for each state of the files."""
    return gazetteer.read(path for path, _ in state)


def _index(state: State) -> PlaceIndex | None:
    with _lock:
        return _indexed(state) if _supplied(state).places else None


@lru_cache(maxsize=4)
def _indexed(state: State) -> PlaceIndex:
    return PlaceIndex(_read(state).places)


def _filled(polygon: Polygon, least: float) -> Polygon:
    """The polygon with the holes that are larger than `least`."""
    import shapely

    return shapely.Polygon(polygon.exterior, [hole for hole in polygon.interiors if shapely.Polygon(hole).area > least])


@lru_cache(maxsize=256)
def _region(shape: BaseGeometry, most: int) -> Mapping[str, Any]:
    import shapely

    step, plain = _FIRST_STEP, shape
    parts = list(shapely.get_parts(shape))
    while shapely.get_num_coordinates(plain) > most:
        # Islands and holes keep four corners, however coarse it is: those that are smaller than a step go.
        large = [_filled(part, step * step) for part in parts if part.area > step * step]
        plain, step = shapely.MultiPolygon(list(shapely.simplify(large, step))), step * 2
    region: dict[str, Any] = json.loads(shapely.to_geojson(plain if plain is shape else shapely.unary_union(shapely.get_parts(plain))))
    return region
