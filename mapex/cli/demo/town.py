"""The base map of the demo's own district: its streets with names, houses, a park, a school, a stream, in a PMTiles file.

Layers and attributes are those of the Protomaps basemap, as in an extract of OpenStreetMap that an operator would put in its place. Nothing
here is surveyed: the streets are those of the other files of the demo, and the rest is drawn around them, the same at every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mapex.basemap import archive
from mapex.basemap.cutting import MapLayer, cut
from mapex.basemap.vector_tile import Value
from mapex.cli.demo.district import HALF, STEP, WALK, Metres, Segment, bend, lonlat, outline, segments
from mapex.places.romanisation import romanised_road

FILE = "town.pmtiles"
ATTRIBUTION = "mapex demo"
FIRST_ZOOM, LAST_ZOOM = 10, 15

_AVENUES = ("느티나무로", "은행나무로", "단풍나무로", "큰길로", "소나무로", "벚나무로", "매화로")  # north to south
_STREETS = ("해오름길", "솔바람길", "별빛길", "가운데대로", "달빛길", "물소리길", "노을길")  # west to east
_PARK, _SCHOOL = (-2, 1), (1, -2)
"""Blocks, by column and row of their south-western junction."""
_LOTS = 4
"""Houses along a side of a block."""

_KIND = {str: "String", int: "Number"}

Named = dict[str, Value]


def write(path: Path) -> None:
    """Draw the town; the file is there as a whole or not at all."""
    layers = [*_drawn()]
    tiles = (tile for zoom in range(FIRST_ZOOM, LAST_ZOOM + 1) for tile in cut(layers, zoom))
    fields: dict[str, dict[str, str]] = {}
    for one in layers:
        fields.setdefault(one.layer, {}).update((key, _KIND[type(value)]) for row in one.values for key, value in row.items())
    about = {"attribution": ATTRIBUTION, "vector_layers": [{"id": name, "fields": found} for name, found in fields.items()]}
    corners: Any = outline()["coordinates"]
    (west, south), (east, north) = corners[0][0], corners[0][2]
    archive.write(path, tiles, about, (west, south, east, north))


def _drawn() -> Iterator[MapLayer]:
    """The layers of the town."""
    yield _layer("landuse", [(_block(*_PARK, 12), {"kind": "park"}), (_block(*_SCHOOL, 12), {"kind": "school"})])
    yield _layer("water", [(_stream(9.0), {"kind": "water"})])
    yield _layer("buildings", [(house, {"kind": "building", "height": height}) for house, height in _houses()])
    yield _layer("roads", [(_line(one), _road(one)) for one in segments()])
    yield _layer("water", [(_line_of(_bank(0.0)), _named("물소리천", "Mulsori-cheon", {"kind": "stream", "min_zoom": 13}))])
    places = [(_PARK, "느티나무공원", "Neutinamu Park", "park"), (_SCHOOL, "솔바람학교", "Solbaram School", "school")]
    yield _layer("pois", [(_middle(at), _named(name, english, {"kind": kind, "min_zoom": 14})) for at, name, english, kind in places])


def _road(street: Segment) -> Named:
    """The middle streets are wide ones; each bears one name from end to end."""
    column, row = (int(number) for number in street.name[1:].split("_"))
    is_avenue = street.name[0] == "E"
    name = _AVENUES[HALF - row] if is_avenue else _STREETS[HALF + column]
    is_major = (row if is_avenue else column) == 0
    kinds = {"kind": "major_road", "kind_detail": "secondary"} if is_major else {"kind": "minor_road", "kind_detail": "residential"}
    return _named(name, romanised_road(name), {**kinds, "min_zoom": 11 if is_major else 13})


def _named(name: str, english: str, more: Mapping[str, Value]) -> Named:
    return {"name": name, "script": "Hangul", "name:ko": name, "name:en": english, **more}


def _houses() -> Iterator[tuple[Any, int]]:
    """Houses in rows along the sidewalks of each block, and their heights in metres; none in the park, by the stream or in the school."""
    import shapely

    rng = np.random.default_rng(7)
    water = shapely.buffer(_stream(22.0), 0)
    for column in range(-HALF, HALF):
        for row in range(-HALF, HALF):
            west, south, side = column * STEP + WALK + 8, row * STEP + WALK + 8, (STEP - 2 * WALK - 16) / _LOTS
            for i in range(_LOTS):
                for j in range(_LOTS):
                    wide, deep, inset = rng.uniform(0.45, 0.8, 2), rng.uniform(2, 8, 2), rng.integers(6, 40)
                    house = _rectangle(west + i * side + deep[0], south + j * side + deep[1], side * wide[0], side * wide[1])
                    is_yard = i in (1, 2) and j in (1, 2)
                    if (column, row) not in (_PARK, _SCHOOL) and not is_yard and not shapely.intersects(water, house):
                        yield house, int(inset)
    yield _rectangle(_SCHOOL[0] * STEP + 90, _SCHOOL[1] * STEP + 170, 120, 40), 12


def _stream(half_width: float) -> Any:
    """The ground within so many metres of the middle of the stream."""
    return _area(np.vstack([_bank(half_width), _bank(-half_width)[::-1]]))


def _bank(offset: float) -> Metres:
    """A line along the stream, so many metres to its north."""
    x = np.linspace(-HALF * STEP - 40, HALF * STEP + 40, 120)
    return np.column_stack([x, 1.5 * STEP + 45 * np.sin(x / 230) + offset])


def _block(column: int, row: int, inset: float) -> Any:
    side = STEP - 2 * (WALK + inset)
    return _rectangle(column * STEP + WALK + inset, row * STEP + WALK + inset, side, side)


def _middle(block: tuple[int, int]) -> Any:
    import shapely

    return shapely.centroid(_block(*block, 12))


def _rectangle(x: float, y: float, wide: float, deep: float) -> Any:
    return _area(np.array([[x, y], [x + wide, y], [x + wide, y + deep], [x, y + deep]]))


def _area(corners: Metres) -> Any:
    import shapely

    return shapely.polygons(lonlat(bend(corners)))


def _line(street: Segment) -> Any:
    import shapely

    return shapely.linestrings(lonlat(street.line(0.0, inset=0.0)))


def _line_of(corners: Metres) -> Any:
    import shapely

    return shapely.linestrings(lonlat(bend(corners)))


def _layer(name: str, rows: list[tuple[Any, Named]]) -> MapLayer:
    return MapLayer(name, [shape for shape, _ in rows], [about for _, about in rows])
