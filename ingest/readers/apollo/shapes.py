"""Shapes of Apollo's curves and polygons. 3D only where every point has a height: most maps give none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Points = Sequence[tuple[float, float, float | None]]
_APART_M = 0.001
"""Segments of a curve that are nearer than this are one line."""


def points_of(tree: Any) -> Points:
    """The points of a polygon or a line."""
    found = tree.get("point", []) if isinstance(tree, dict) else []
    return [point for point in found if isinstance(point, tuple)]


def array_of(points: Points) -> Floats:
    """(n, 3) of points that all have a height, else (n, 2)."""
    if points and all(point[2] is not None for point in points):
        return np.array(points, dtype=np.float64).reshape(-1, 3)
    return np.array([point[:2] for point in points], dtype=np.float64).reshape(-1, 2)


def curve(tree: Any) -> shapely.Geometry | None:
    """The line of a curve, in parts where its segments do not meet; None when it has no two points."""
    segments = tree.get("segment", []) if isinstance(tree, dict) else []
    lines: list[list[tuple[float, float, float | None]]] = []
    for segment in segments if isinstance(segments, list) else []:
        points = list(points_of(segment.get("line_segment"))) if isinstance(segment, dict) else []
        if not points:
            continue
        if lines and np.hypot(points[0][0] - lines[-1][-1][0], points[0][1] - lines[-1][-1][1]) < _APART_M:
            lines[-1] += points[1:] if points[0] == lines[-1][-1] else points
        else:
            lines.append(points)
    made = [_line(array_of(line)) for line in lines if len(line) > 1]
    if not made:
        return None
    return made[0] if len(made) == 1 else shapely.MultiLineString(made)


def curves(trees: Iterable[Any]) -> shapely.Geometry | None:
    """Several curves as one shape."""
    parts = [part for tree in trees if (made := curve(tree)) is not None for part in shapely.get_parts(made).tolist()]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.MultiLineString(parts)


def polygon(tree: Any) -> shapely.Polygon | shapely.LineString | None:
    """The polygon (a line where a coordinate is no number: such a ring never closes); None when it has no three points."""
    points = array_of(points_of(tree))
    if len(points) < 3:
        return None
    return shapely.Polygon(points) if np.isfinite(points[[0, -1]]).all() else _line(points)


def upright(tree: Any) -> shapely.Geometry | None:
    """What stands upright, as signals do: its outline as a line where it covers no ground."""
    made = polygon(tree)
    if made is None or made.geom_type == "LineString" or (made.is_valid and made.area > 0.0):
        return made
    return _line(shapely.get_coordinates(made, include_z=made.has_z))


def _line(points: Floats) -> shapely.LineString:
    with np.errstate(invalid="ignore"):  # what is no number is looked for later
        return shapely.LineString(points)


def segments_of(tree: Any) -> list[dict[str, Any]]:
    """What a curve states of each of its segments beside the points; their heights too, where the line cannot have them."""
    segments = tree.get("segment", []) if isinstance(tree, dict) else []
    segments = [segment for segment in segments if isinstance(segment, dict)] if isinstance(segments, list) else []
    is_high = all(point[2] is not None for segment in segments for point in points_of(segment.get("line_segment")))
    found = []
    for segment in segments:
        line = segment.get("line_segment")
        points = points_of(line)
        extra = {key: value for key, value in line.items() if key != "point"} if isinstance(line, dict) else {}
        rest = {key: value for key, value in segment.items() if key != "line_segment"}
        kept = {} if is_high else _heights(points)
        found.append({**rest, **({"line_segment": extra} if extra else {}), **kept, "points": len(points)})
    return found


def outline_of(tree: Any) -> dict[str, Any]:
    """The same of a polygon."""
    rest = {key: value for key, value in tree.items() if key != "point"}
    points = points_of(tree)
    return rest if all(point[2] is not None for point in points) else {**rest, **_heights(points)}


def _heights(points: Points) -> dict[str, Any]:
    heights = [point[2] for point in points]
    return {"z": heights} if any(height is not None for height in heights) else {}


def keeps_heights(stated: Any) -> bool:
    """Whether heights are among what is stated of a shape, since the shape cannot have them."""
    if isinstance(stated, dict):
        return "z" in stated or any(keeps_heights(one) for one in stated.values())
    return isinstance(stated, list) and any(keeps_heights(one) for one in stated if isinstance(one, dict | list))


def wkb(shape: shapely.Geometry | None) -> bytes | None:
    """Little-endian ISO WKB."""
    made: bytes | None = None if shape is None else shapely.to_wkb(shape, flavor="iso", byte_order=1)
    return made
