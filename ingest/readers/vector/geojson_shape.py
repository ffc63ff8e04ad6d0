"""Geometries of GeoJSON: their form is checked before anything is built of them, and nothing of a vertex is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
"""Levels of lists around a vertex, by the type of a geometry."""
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry whose form is right. `flat` holds all numbers of a one-part geometry in a row, `nested` the coordinates of the others."""

    kind: str
    dimensions: int
    flat: list[float] | None
    nested: Any = None
    spare: list[list[float]] = field(default_factory=list)
    """of each vertex, what it has beyond `dimensions`, when any has"""

    def z(self) -> list[float | None]:
        """The heights of a shape that is 2D since some of its vertices have none."""
        return [] if self.dimensions == 3 else _ordinates(self.spare, 0)

    def m(self) -> list[float | None]:
        """The fourth numbers of its vertices."""
        return _ordinates(self.spare, self.dimensions == 2)


def _ordinates(spare: list[list[float]], at: int) -> list[float | None]:
    found = [more[at] if len(more) > at else None for more in spare]
    return found if any(value is not None for value in found) else []


def checked(geometry: Any, depth: int = 0) -> Shape:
    """A GeoJSON geometry of known type and right nesting, two or three numbers a vertex (further ones are set aside), all finite.

    It is 3D when every vertex has a height.

    Raises: ValueError: says what is wrong.
    """
    if not isinstance(geometry, dict):
        raise ValueError("it is not an object")
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if depth >= _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST}")
        if not isinstance(members, list):
            raise ValueError("it has no list of geometries")
        inner = [checked(member, depth + 1) for member in members]
        return Shape(kind, 0, None, inner)
    if kind not in DEPTH:
        raise ValueError(f"unknown type {kind!r}")
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list):
        raise ValueError("it has no coordinates")
    vertices = _vertices(coordinates, DEPTH[kind])
    if kind == "LineString" and len(coordinates) == 1:
        raise ValueError("a line needs two vertices")
    rings = coordinates if kind == "Polygon" else list(chain.from_iterable(coordinates)) if kind == "MultiPolygon" else []
    for ring in rings:
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise ValueError("a ring is not closed, or has fewer than four vertices")
    dimensions, flat, spare = _flat(vertices)
    one_part = vertices and (kind in ("Point", "LineString") or (kind == "Polygon" and len(coordinates) == 1))
    return Shape(kind, dimensions, flat if one_part else None, coordinates, spare)


def _vertices(coordinates: list[Any], depth: int) -> list[Any]:
    if depth == 0:
        return [coordinates] if coordinates else []
    vertices = coordinates
    for _ in range(depth - 1):
        if set(map(type, vertices)) - {list}:
            raise ValueError("its coordinates are not nested as its type asks")
        vertices = list(chain.from_iterable(vertices))
    return vertices


def _flat(vertices: list[Any]) -> tuple[int, list[float], list[list[float]]]:
    """Number of dimensions, all numbers in a row, what each vertex has beyond. Steps run in C: files have millions of vertices."""
    if set(map(type, vertices)) - {list}:
        raise ValueError("its coordinates are not nested as its type asks")
    lengths = set(map(len, vertices))
    if lengths and min(lengths) < 2:
        raise ValueError("a vertex is not two or three numbers")
    dimensions = 3 if lengths and min(lengths) >= 3 else 2
    spare: list[list[float]] = []
    if lengths - {dimensions}:
        spare = [vertex[dimensions:] for vertex in vertices]
        if not all(type(value) in (int, float) and math.isfinite(value) for more in spare for value in more):
            raise ValueError("a vertex is not two or three numbers")
        vertices = [vertex[:dimensions] for vertex in vertices]
    flat = list(chain.from_iterable(vertices))
    if set(map(type, flat)) - {int, float}:
        raise ValueError("a vertex is not two or three numbers")
    if not math.isfinite(sum(flat)):
        raise ValueError(f"a coordinate is not a finite number: {next((v for v in flat if not math.isfinite(v)), flat[0])!r}")
    return dimensions, flat, spare


def wkb_of(shapes: Sequence[Shape | None]) -> pa.Array:
    """ISO WKB of checked geometries; those of one part are built for a whole batch at once."""
    out: list[bytes | None] = [None] * len(shapes)
    groups: dict[tuple[str, int], list[int]] = {}
    for at, shape in enumerate(shapes):
        if shape is not None:
            groups.setdefault((shape.kind if shape.flat is not None else "", shape.dimensions), []).append(at)
    for (kind, dimensions), rows in groups.items():
        some = [shape for row in rows if (shape := shapes[row]) is not None]
        built = _many(kind, dimensions, some) if kind else np.array([_one(shape) for shape in some], dtype=object)
        for row, wkb in zip(rows, shapely.to_wkb(built, flavor="iso", byte_order=1).tolist(), strict=True):
            out[row] = wkb
    return pa.array(out, pa.binary())


def _many(kind: str, dimensions: int, shapes: list[Shape]) -> Any:
    flats = [shape.flat or [] for shape in shapes]
    coordinates = np.fromiter(chain.from_iterable(flats), dtype=np.float64).reshape(-1, dimensions)
    if kind == "Point":
        return shapely.points(coordinates)
    owner = np.repeat(np.arange(len(flats)), [len(flat) // dimensions for flat in flats])
    return (
        shapely.linestrings(coordinates, indices=owner)
        if kind == "LineString"
        else shapely.polygons(shapely.linearrings(coordinates, indices=owner))
    )


def _one(shape: Shape) -> Any:
    return _built(shape.kind, shape.dimensions, shape.nested)


def _built(kind: str, dimensions: int, c: Any) -> Any:  # noqa: PLR0911 - one line a type
    def cut(vertices: Any) -> list[Any]:
        return [v[:dimensions] for v in vertices]

    if kind == "GeometryCollection":
        return shapely.GeometryCollection([_one(member) for member in c])
    if kind == "Point":
        return shapely.Point(c[:dimensions]) if c else shapely.Point()
    if kind == "LineString":
        return shapely.LineString(cut(c))
    if kind == "Polygon":
        return shapely.Polygon(cut(c[0]), [cut(ring) for ring in c[1:]]) if c else shapely.Polygon()
    if kind == "MultiPoint":
        return shapely.MultiPoint(cut(c))
    if kind == "MultiLineString":
        return shapely.MultiLineString([cut(line) for line in c])
    return shapely.MultiPolygon([_built("Polygon", dimensions, polygon) for polygon in c])
