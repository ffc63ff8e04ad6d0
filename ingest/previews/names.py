"""Names in a vector layer: of its roads, footways and crossings, and roughly where each is, so that a place can be found by them.

Of other features nothing is named: a sign or a building may be what a stranger must not learn of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from tiles.grid import grid

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ("name:ko", "name", "road_name", "roadname", "rd_nm", "도로명", "name:en")
"""Properties that hold a name, the first that is there counts; capitals make no difference."""

MOST = 2000
ROWS = 40
"""Names in one preview, as many as one may describe (`ingest.conversion.previews`)."""

_SAME = 12
"""Zoom of the cells in which one name is one road: two towns may both have a 중앙로."""
_LONGEST = 60
_DIGITS = 3  # of a degree: about 100 m
_MOST_PLACES = 200


@dataclass(slots=True)
class NameList:
    """Names that were met, each with where it was met."""

    found: dict[tuple[str, int], list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, table: pa.Table, rows: Any) -> None:
        """Take the names of these rows of a tile."""
        properties = table.column("properties").take(rows).to_pylist()
        named = [(row, name) for row, text in zip(rows.tolist(), properties, strict=True) if (name := name_of(text))]
        if not named:
            return
        wkb = table.column("geometry").take([row for row, _ in named]).to_numpy(zero_copy_only=False)
        middles = shapely.get_coordinates(shapely.centroid(shapely.from_wkb(wkb, on_invalid="ignore")))
        if len(middles) != len(named) or not np.isfinite(middles).all():
            return  # a feature without a place: the tile was verified, so this is not to be
        cells = grid.cells_at(middles[:, 0], middles[:, 1], _SAME).tolist()
        for (_, name), cell, (lon, lat) in zip(named, cells, middles.tolist(), strict=True):
            places = self.found.setdefault((name, cell), [])
            if len(places) < _MOST_PLACES:
                places.append((lon, lat))

    def rows(self) -> Iterator[list[list[object]]]:
        """Names with longitude and latitude, those met most often first, in pieces of `ROWS`."""
        ordered = sorted(self.found.items(), key=lambda one: (-len(one[1]), one[0]))[:MOST]
        rows = [[name, round(lon, _DIGITS), round(lat, _DIGITS)] for (name, _), places in ordered for lon, lat in [_middle(places)]]
        for at in range(0, len(rows), ROWS):
            yield rows[at : at + ROWS]


def name_of(properties: str | None) -> str:
    """The name in the properties of a feature; empty where there is none that people could look for."""
    if not properties:
        return ""
    values = json.loads(properties)
    if not isinstance(values, dict):
        return ""
    known = {str(key).casefold(): value for key, value in values.items()}
    for key in KEYS:
        name = known.get(key)
        if isinstance(name, str) and (plain := " ".join(name.split())) and len(plain) <= _LONGEST:
            return plain if plain.isprintable() and any(sign.isalpha() for sign in plain) else ""
    return ""


def _middle(places: list[tuple[float, float]]) -> tuple[float, float]:
    """The place that half of the others lie west of: one that is on the road."""
    return sorted(places)[len(places) // 2]
