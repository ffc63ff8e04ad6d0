"""Lines and areas over the 180th meridian: cut there, so that nothing is measured, placed or drawn the long way round the world."""

from __future__ import annotations

import numpy as np
import shapely

from ingest.placing.move import Shapes

_WEST, _EAST = shapely.box(0.0, -90.0, 180.0, 90.0), shapely.box(180.0, -90.0, 360.0, 90.0)


def crossing(shapes: Shapes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows (sorted) whose geometry has neighbouring vertices that are over 180 degrees of longitude apart.

    `shapes` are in degrees WGS 84. No map has such a segment: the short way is meant (RFC 7946 section 3.1.9).
    """
    coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
    far = (np.abs(np.diff(coordinates[:, 0])) > 180.0) & (owner[1:] == owner[:-1])
    endless = owner[~np.isfinite(coordinates).all(axis=1)]  # a coordinate that is no number is nowhere: it is refused as such
    rows = np.setdiff1d(owner[1:][far], endless)
    return rows[[_crosses(shapes[row]) for row in rows.tolist()]] if len(rows) else rows


def _crosses(shape: shapely.Geometry) -> bool:
    """Whether one of its paths does, and not only the way from one part to the next."""
    if shapely.get_type_id(shape) > 3:
        return any(_crosses(part) for part in shapely.get_parts(shape))
    paths = shapely.get_rings(shape) if shapely.get_type_id(shape) == 3 else [shape]
    return any(bool((np.abs(np.diff(shapely.get_coordinates(path)[:, 0])) > 180.0).any()) for path in paths)


def cut(shape: shapely.Geometry) -> shapely.Geometry:
    """The geometry in two at the 180th meridian, both pieces within ±180 degrees; heights at the cut are interpolated."""
    parts = [_cut_one(part) for part in shapely.get_parts(shape)] if shapely.get_type_id(shape) > 3 else [_cut_one(shape)]
    pieces = [piece for part in parts for piece in shapely.get_parts(part)]
    kinds = {int(shapely.get_type_id(piece)) for piece in pieces}
    if kinds == {1}:
        lines: shapely.Geometry = shapely.multilinestrings(pieces)
        return lines
    both: shapely.Geometry = shapely.multipolygons(pieces) if kinds == {3} else shapely.geometrycollections(pieces)
    return both


def _cut_one(shape: shapely.Geometry) -> shapely.Geometry:
    if not _crosses(shape):
        return shape
    whole = shapely.transform(shape, lambda xy: np.column_stack([xy[:, 0] % 360.0, xy[:, 1:]]), include_z=bool(shapely.has_z(shape)))
    west = shapely.intersection(whole, _WEST)
    east = shapely.transform(
        shapely.intersection(whole, _EAST),
        lambda xy: np.column_stack([np.round(xy[:, 0] - 360.0, 12), xy[:, 1:]]),  # as it was written, to a ten-millionth of a metre
        include_z=bool(shapely.has_z(shape)),
    )
    both: shapely.Geometry = shapely.geometrycollections([*shapely.get_parts(west), *shapely.get_parts(east)])
    return both
