"""The map of Korea and of the world around it, as it is below every other map: two files that set-up makes from free data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mapex.basemap import archive, mosaic, world
from mapex.basemap.cutting import MapLayer, Tile, cut
from mapex.basemap.mosaic import COAST
from mapex.basemap.vector_tile import Value
from mapex.places import boundaries
from mapex.places.boundaries import LEVELS, SOURCE
from mapex.places.romanisation import romanised

WORLD_ZOOM, KOREA_ZOOM = 5, 12
"""Last zooms of the two files; a browser draws nearer views from these, whose grid is of 2 m in Korea."""

_FROM = (0, 6, 10, 12)
"""The zoom from which on a tile holds the lines and names of a level."""
_STEPS = (0.02, 0.005, 0.002, 0.001)
"""Degrees: how near the middle of a division of each level is sought."""
_PIXEL = 360 / 512
"""Degrees of a pixel at zoom 0."""
_METRES = 111_000
"""Of a degree, about."""
_LAYERS = [
    {"id": "land", "fields": {}},
    {"id": "lines", "fields": {"level": "Number"}},
    {"id": "names", "fields": {"level": "Number", "ko": "String", "en": "String", "size": "Number"}},
]


def make(folder: Path, topology: Path) -> None:
    """Write `world.pmtiles` and `korea.pmtiles`.

    Args:
        topology: the countries of Natural Earth as TopoJSON.
    """
    _write(folder / "world.pmtiles", world_tiles(json.loads(topology.read_text())), "Natural Earth", (-180, -85, 180, 85))
    _write(folder / "korea.pmtiles", korea_tiles(), SOURCE, (124.5, 33, 132, 38.7))


def world_tiles(topology: Any) -> Iterator[tuple[Tile, bytes]]:
    """Land and coast of the world without South Korea."""
    import shapely

    whole = world.read(topology)
    for zoom in range(WORLD_ZOOM + 1):
        pixel = _PIXEL / 2**zoom
        ground = shapely.simplify(whole.ground[shapely.area(whole.ground) > pixel**2], pixel / 4)
        coast = shapely.simplify(whole.coast[shapely.length(whole.coast) > 4 * pixel], pixel / 4)
        lines = MapLayer("lines", [shapely.multilinestrings(coast)], [{"level": COAST}])
        yield from cut([MapLayer("land", ground, [{}] * len(ground)), lines], zoom)


def korea_tiles() -> Iterator[tuple[Tile, bytes]]:
    """Land, lines and names of the divisions of Korea."""
    whole = mosaic.load()
    names = [_names(level) for level in range(len(LEVELS))]
    for zoom in range(KOREA_ZOOM + 1):
        depth = max(level for level, least in enumerate(_FROM) if zoom >= least)
        shown = whole if zoom == KOREA_ZOOM else whole.dissolved(depth).simplified(_PIXEL / 2 / 2**zoom)
        lines = shown.lines()
        land = MapLayer("land", [shown.land()], [{}])
        yield from cut([land, MapLayer("lines", [*lines.values()], [{"level": level} for level in lines]), *names[: depth + 1]], zoom)


def _names(level: int) -> MapLayer:
    """The names of the divisions of a level, in Hangul and in Latin letters, each in the middle of its largest part.

    `size` is the radius of the largest circle in it, in metres: a name is shown from where it has room.
    """
    import shapely

    rows = boundaries.load(LEVELS[level].name)
    parts, row = shapely.get_parts([one.geometry for one in rows], return_index=True)
    by_size = np.lexsort([shapely.area(parts), row])
    largest = parts[by_size[np.append(np.diff(row) > 0, True)]]
    radii = shapely.maximum_inscribed_circle(shapely.simplify(largest, _STEPS[level] / 4), tolerance=_STEPS[level])
    words = [_words(one.names[-1], level, radius) for one, radius in zip(rows, shapely.length(radii), strict=True)]
    return MapLayer("names", shapely.get_point(radii, 0), words)


def _words(name: str, level: int, radius: float) -> dict[str, Value]:
    return {"level": level, "ko": name, "en": romanised(name), "size": round(radius * _METRES)}


def _write(path: Path, tiles: Iterator[tuple[Tile, bytes]], source: str, box: archive.Box) -> None:
    archive.write(path, tiles, {"attribution": source, "vector_layers": _LAYERS}, box)
