"""How far two products of one map are from one another: a few features that both have, by the first vertex of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod, Transformer

from ingest.placing import systems
from ingest.readers.ngii.layers import DeliveredLayer, ids_of
from ingest.readers.tables import shape_text
from ingest.readers.tables.shapes import open_shapes

_LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class Apart:
    """Medians in metres: along the ground, and how far the second product is above the first."""

    along_m: float
    up_m: float


def apart(one: Sequence[DeliveredLayer], other: Sequence[DeliveredLayer]) -> Apart | None:
    """How far the other product is from the one; None where it cannot be measured (no system, no heights, no common feature)."""
    second = {layer.code: layer for layer in other}
    common = [(layer, second[layer.code]) for layer in one if layer.code in second]
    for first, same in sorted(common, key=lambda pair: pair[0].path.stat().st_size):
        a, b = _places(first), _places(same)
        shared = sorted(a.keys() & b.keys())
        if shared:
            here, there = np.array([a[name] for name in shared]), np.array([b[name] for name in shared])
            _, _, along = Geod(ellps="WGS84").inv(here[:, 0], here[:, 1], there[:, 0], there[:, 1])
            up = there[:, 2] - here[:, 2]
            if np.isfinite(along).all() and np.isfinite(up).all():
                return Apart(float(np.median(along)), float(np.median(up)))
    return None


def _places(layer: DeliveredLayer) -> dict[str, NDArray[Any]]:
    """Longitude, latitude and height of the first vertex of the first features, by their ids; none where it states no system."""
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import read

    prj = shape_text.beside(layer.path, ".prj")
    crs = systems.crs_from(shape_text.system_text(prj)) if prj is not None else None
    if crs is None or not systems.is_on_earth(crs):
        return {}
    try:
        with open_shapes(layer.path) as shp:
            _, _, wkb, _ = read(shp, max_features=_LOOKED_AT, columns=[])
    except (DataSourceError, DataLayerError, OSError, ValueError):
        return {}
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    coordinates, owner = shapely.get_coordinates(shapes, include_z=True, return_index=True)
    rows, first = np.unique(owner, return_index=True)
    x, y, z = coordinates[first].T
    lon, lat = Transformer.from_crs(systems.horizontal(crs), systems.WGS84, always_xy=True).transform(x, y)
    ids = ids_of(layer).slice(0, len(shapes)).to_pylist()
    return {
        name: place
        for row, place in zip(rows.tolist(), np.column_stack([lon, lat, z]), strict=True)
        if row < len(ids) and (name := ids[row]) is not None
    }
