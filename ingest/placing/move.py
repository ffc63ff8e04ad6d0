"""From the coordinates of a source to degrees WGS 84, longitude first, and metres above the datum that the source names.

Heights are never shifted from one datum to another (that needs a geoid that we may not have): they are brought to metres only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.transformer import TransformerGroup

from ingest.placing import systems
from ingest.placing.systems import WGS84
from ingest.reader import Placed
from tiles.batch import Batch
from tiles.box import Box

NULL_ISLAND_DEG = 1.0
"""|lat| and |lon| both below this: no map of ours is there, made-up worlds and failed conversions are."""
MAX_LATITUDE = 85.0511287798066
"""Edge of the grid (WebMercatorQuad)."""

Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]
"""(n,) shapely geometries of the rows of a batch; None where a row has none."""


@lru_cache(maxsize=64)
def transformer(crs: str) -> Transformer:
    """From the horizontal part of `crs` to WGS 84, x/east/longitude first on both sides; geocentric goes to (lon, lat, h)."""
    flat = systems.horizontal(systems.parsed(crs))
    return Transformer.from_crs(flat, CRS.from_epsg(4979 if flat.is_geocentric else 4326), always_xy=True)


@lru_cache(maxsize=64)
def accuracies_m(crs: str) -> tuple[float, float] | None:
    """Metres that PROJ promises for the transformation to WGS 84, at best and at worst; None when they are not known.

    Both are 0.0 when none is needed. They differ where a system has other parameters in each of its parts.
    """
    full = systems.parsed(crs)
    if systems.is_wgs84(full):
        return 0.0, 0.0
    if not systems.has_datum(full):
        return None
    promised = float(transformer(crs).accuracy)
    if promised >= 0:
        return promised, promised
    flat = systems.horizontal(full)
    base = flat.geodetic_crs
    # A projection on WGS 84 itself (UTM, a local frame) is exact by definition, although PROJ promises nothing for a custom one.
    if base is not None and base.ellipsoid is not None and base.ellipsoid.semi_major_metre == systems.GEOCENTRIC_M and not flat.is_bound:
        return 0.0, 0.0
    known = _promises(flat)
    return (min(known), max(known)) if known else None


def _promises(flat: CRS) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a grid that is not installed
        ways = TransformerGroup(flat, CRS.from_epsg(4326), always_xy=True).transformers
    return [float(way.accuracy) for way in ways if way.accuracy >= 0]


def accuracy_m(crs: str) -> float | None:
    """`accuracies_m` at worst."""
    known = accuracies_m(crs)
    return None if known is None else known[1]


def lonlat(x: Floats, y: Floats, crs: str) -> tuple[Floats, Floats]:
    """Degrees WGS 84 of points in `crs` (x/east first); the same arrays when `crs` is WGS 84 already. Not placeable = inf."""
    if systems.is_wgs84(systems.parsed(crs)):
        return x, y
    lon, lat = transformer(crs).transform(x, y)
    return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


def shapes_of(column: Any) -> Shapes:
    """Shapely geometries of a WKB column that has passed `ingest.checks.wkb`; null stays None."""
    with np.errstate(invalid="ignore"):  # NaN is looked for later
        return np.asarray(shapely.from_wkb(column.to_numpy(zero_copy_only=False), on_invalid="ignore"), dtype=object)


def with_column(batch: Batch, name: str, column: Any) -> Batch:
    """The batch with another column of this name."""
    table = batch.table
    return replace(batch, table=table.set_column(table.column_names.index(name), name, column))


def place(batch: Batch, shapes: Shapes, placed: Placed) -> tuple[Batch, Shapes]:
    """A batch of features in WGS 84, longitude first, and its geometries there.

    `geometry` and `measure` are bit for bit the same when their CRS is WGS 84, else transformed; heights keep their number unless the
    CRS counts them in feet or the origin of a local frame has a height. A batch without CRS loses its geometries (its rows are
    unplaced). `shapes` are the geometries of `batch`; they are not changed.

    Points are never moved, since nothing may be re-quantised: whoever needs degrees asks `lonlat`. Frames are WGS 84 by definition.
    """
    crs = batch.crs
    if not crs:
        nothing = pa.nulls(batch.table.num_rows, pa.binary())
        return replace(with_column(batch, "geometry", nothing), crs=WGS84), np.full(batch.table.num_rows, None, dtype=object)
    full = systems.parsed(crs)
    scale, lift = systems.height_factor(full), placed.origin[2] if placed.origin and crs == placed.crs else 0.0
    there = replace(batch, crs=WGS84)
    if systems.is_wgs84(full) and scale == 1.0 and lift == 0.0:
        return there, shapes
    moved = _moved(shapes, crs, scale, lift)
    there = with_column(there, "geometry", _wkb(moved))
    if "measure" in there.table.column_names:
        there = with_column(there, "measure", _wkb(_moved(shapes_of(there.table.column("measure")), crs, scale, lift)))
    return there, moved


def _wkb(shapes: Shapes) -> pa.Array:
    return pa.array(shapely.to_wkb(shapes, flavor="iso"), pa.binary())


def _moved(shapes: Shapes, crs: str, scale: float, lift: float) -> Shapes:
    shapes = shapes.copy()
    solid = shapely.has_z(shapes)
    for mask, dimensions in ((solid, 3), (~solid, 2)):
        if not mask.any():
            continue
        some = shapes[mask]
        here = shapely.get_coordinates(some, include_z=dimensions == 3)
        there = _moved_coordinates(here, crs, scale, lift)
        shapes[mask] = shapely.set_coordinates(some, there[:, :dimensions])
    return shapes


def _moved_coordinates(here: Floats, crs: str, scale: float, lift: float) -> Floats:
    there = here.copy()
    if systems.parsed(crs).is_geocentric:
        height = here[:, 2] if here.shape[1] > 2 else np.zeros(len(here))
        return np.column_stack(transformer(crs).transform(here[:, 0], here[:, 1], height))
    there[:, 0], there[:, 1] = lonlat(here[:, 0], here[:, 1], crs)
    if here.shape[1] > 2:
        there[:, 2] = here[:, 2] * scale + lift
    return there


def box_of(corners: Sequence[float] | None, crs: str | None) -> Box | None:
    """The box of degrees of a box in `crs`, its edges densified; None when it cannot be placed, or is not on Earth."""
    if corners is None or not crs or not np.isfinite(np.asarray(corners, dtype=float)).all():
        return None
    x0, y0, x1, y1 = (float(v) for v in corners)
    if systems.is_wgs84(systems.parsed(crs)):
        box = Box(x0, y0, x1, y1)
    else:
        west, south, east, north = transformer(crs).transform_bounds(x0, y0, x1, y1, densify_pts=21)
        box = Box(west, south, east, north) if west <= east else Box(-180.0, south, 180.0, north)  # over the 180th meridian
    return box if np.isfinite(box).all() and box.is_on_earth else None
