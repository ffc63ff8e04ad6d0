"""Names that people can say for tiles and areas: the division of Korea that holds the middle of a cell, or an area of the operator's.

Where there is neither, on the sea and abroad, a tile is called by a road on offer in it, and else has no name but its degrees.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mapex.atlas import lookup, published
from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.places import divisions
from tiles.grid import grid

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_SIGUNGU = 2  # names down to city, county or district
_KEPT = 200_000
_STEPS = 12  # points of an outline are a grid of so many rows and columns

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What a set of cells is called: the names that all have in common, how many other places there are, and the middle."""

    names: Names
    others: int
    lon: float
    lat: float


def of_tiles(ex: Exchange, quadkeys: Iterable[str]) -> dict[str, Named]:
    """Each tile with its name."""
    known = {key: grid.cell_from_quadkey(key) for key in dict.fromkeys(quadkeys)}
    names = _names(ex, list(known.values()))
    if nameless := [cell for (cell, z), own in names.items() if not own and z == grid.ZOOM]:
        names |= {(cell, grid.ZOOM): (name,) for cell, name in published.names_in(ex, nameless).items()}
    return {key: Named(names[at], 0, *_middle(*at)) for key, at in known.items()}


def of_cells(ex: Exchange, cells: Sequence[int], z: int = grid.ZOOM) -> Named | None:
    """One name for cells of a zoom together; None when there are none.

    Cells of one city, county or district have the names that they share. Else it is that which holds most of them, and a number of
    others.
    """
    if not cells:
        return None
    names = _names(ex, [(cell, z) for cell in cells])
    groups = Counter({at: names[at][:_SIGUNGU] for at in names}.values())
    largest = min(groups, key=lambda group: (-groups[group], group))
    inside = [at for at in names if names[at][:_SIGUNGU] == largest]
    middles = sorted(_middle(*at) for at in inside)
    return Named(_shared(names[at] for at in inside), len(groups) - 1, *middles[len(middles) // 2])


def divisions_of(ex: Exchange, cells: Sequence[int], z: int = grid.ZOOM) -> dict[int, Names]:
    """The names of the city, county or district, or of the operator's area, that each cell is in; empty for none."""
    return {cell: names[:_SIGUNGU] for (cell, _), names in _names(ex, [(cell, z) for cell in cells]).items()}


def all_names(ex: Exchange, cells: Sequence[int], z: int) -> list[Names]:
    """What the cells are called down to the smallest division, each once; those without a name are left out."""
    return sorted({names for names in _names(ex, [(cell, z) for cell in cells]).values() if names})


def of_region(ex: Exchange, geometry: Mapping[str, Any]) -> Named | None:
    """One name for an outline, by points that are spread over it."""
    import numpy as np
    import shapely

    shape = shapely.from_geojson(json.dumps(geometry))
    if shape.is_empty:
        return None
    w, s, e, n = shape.bounds
    steps = (np.arange(_STEPS) + 0.5) / _STEPS
    lons, lats = (one.ravel() for one in np.meshgrid(w + steps * (e - w), s + steps * (n - s)))
    inside = shapely.contains_xy(shape, lons, lats)
    middle = shape.representative_point()
    cells = grid.cells_at([middle.x, *lons[inside]], [middle.y, *lats[inside]])
    return of_cells(ex, [int(cell) for cell in np.unique(cells)])


def _shared(several: Iterable[Names]) -> Names:
    shared: Names | None = None
    for names in several:
        if shared is None:
            shared = names
        while names[: len(shared)] != shared:
            shared = shared[:-1]
    return shared or ()


def _names(ex: Exchange, cells: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Names]:
    """Names of each cell (number and zoom), empty where there is none."""
    if len(_korean) > _KEPT:
        _korean.clear()
    fresh = [at for at in cells if at not in _korean]
    if fresh:
        middles = [_middle(*at) for at in fresh]
        found = divisions.names_at([lon for lon, _ in middles], [lat for _, lat in middles])
        _korean.update({at: names or () for at, names in zip(fresh, found, strict=True)})
    known = {at: _korean.get(at, ()) for at in cells}
    nameless = [at for at in known if not known[at]]
    return {**known, **_own(ex, nameless)} if nameless and ex.settings.places else known


_korean: dict[tuple[int, int], Names] = {}


def _own(ex: Exchange, cells: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], Names]:
    """Names of cells that are in an area of the operator's, of several the smallest."""
    import shapely

    try:
        areas = lookup.supplied(ex).areas
    except Unavailable:  # the search reports it; lists and receipts go on without these names
        return {}
    ordered = tuple(sorted(areas, key=lambda name: areas[name].area))
    tree = _tree(tuple(areas[name] for name in ordered))
    points, found = tree.query(shapely.points([_middle(*at) for at in cells]), predicate="intersects")
    smallest: dict[tuple[int, int], Names] = {}
    for point, area in sorted(zip(points.tolist(), found.tolist(), strict=True)):
        smallest.setdefault(cells[point], (ordered[area],))
    return smallest


@lru_cache(maxsize=4)
def _tree(areas: tuple[BaseGeometry, ...]) -> Any:
    import shapely

    return shapely.STRtree(areas)


def _middle(cell: int, z: int) -> tuple[float, float]:
    box = grid.bounds(cell, z)
    return (box.west + box.east) / 2, (box.south + box.north) / 2
