"""Shapes of KML: longitude, latitude and height as written; a shape with a vertex that is none has no place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import shapely

from ingest.readers.drawings.kml import GEOMETRIES, Node, Placemark

Vertex = tuple[float, ...]


def shape_of(placemark: Placemark) -> tuple[Any, dict[str, Any]]:
    """The shape of a placemark, None where it has none, and what of it a shape does not hold (times of a track, how heights count)."""
    nodes = [node for node in placemark.node.children if node.name in GEOMETRIES]
    if not nodes:
        return None, {}
    more: dict[str, Any] = {}
    shapes = [_shape(node, more) for node in nodes]
    if any(shape is None for shape in shapes):
        return None, more
    return shapes[0] if len(shapes) == 1 else shapely.GeometryCollection(shapes), more


def _shape(node: Node, more: dict[str, Any]) -> Any:
    for child in node.children:
        if child.name in ("altitudeMode", "extrude", "tessellate", "drawOrder") and child.text:
            more.setdefault(child.name, child.text)
    if node.name in ("MultiGeometry", "MultiTrack"):
        shapes = [_shape(one, more) for one in node.children if one.name in GEOMETRIES]
        return None if not shapes or any(one is None for one in shapes) else _collected(shapes)
    if node.name == "Polygon":
        return _polygon(node)
    if node.name == "Model":
        return _model(node)
    vertices = _track(node, more) if node.name == "Track" else _coordinates(node.child("coordinates"))
    if vertices is None:
        return None
    if node.name == "Point" or len(vertices) == 1:
        return shapely.Point(vertices[0])
    return shapely.LineString(_even(vertices))


def _collected(shapes: Sequence[Any]) -> Any:
    kinds = {shape.geom_type for shape in shapes}
    many: dict[str, Any] = {"Point": shapely.MultiPoint, "LineString": shapely.MultiLineString, "Polygon": shapely.MultiPolygon}
    (kind, *others) = kinds
    return many[kind](shapes) if not others and kind in many else shapely.GeometryCollection(list(shapes))


def _polygon(node: Node) -> Any:
    rings = []
    for bound in node.children:
        ring = bound.child("LinearRing") if bound.name in ("outerBoundaryIs", "innerBoundaryIs") else None
        vertices = _coordinates(ring.child("coordinates")) if ring is not None else None
        if vertices is None and bound.name in ("outerBoundaryIs", "innerBoundaryIs"):
            return None
        if vertices is not None:
            rings.append((bound.name, vertices))
    outer = next((_even(own) for name, own in rings if name == "outerBoundaryIs" and len(own) > 2), None)
    inner = [_even(own) for name, own in rings if name == "innerBoundaryIs" and len(own) > 2]
    return None if outer is None else shapely.Polygon(outer, inner)


def _model(node: Node) -> Any:
    at = node.child("Location")
    texts = [child.text if (child := at.child(name)) is not None else "" for name in ("longitude", "latitude", "altitude")] if at else []
    vertex = _vertex(texts)
    return None if vertex is None else shapely.Point(vertex)


def _track(node: Node, more: dict[str, Any]) -> list[Vertex] | None:
    """`gx:Track`: a coordinate and a time for each moment."""
    vertices = [_vertex(one.text.split()) for one in node.children if one.name == "coord"]
    more.setdefault("when", []).append([one.text for one in node.children if one.name == "when"])
    return None if not vertices or None in vertices else [vertex for vertex in vertices if vertex is not None]


def _coordinates(node: Node | None) -> list[Vertex] | None:
    """The vertices of a list of `lon,lat[,height]`; None for none, or where one is no place."""
    vertices = [_vertex(text.split(",")) for text in node.text.split()] if node is not None else []
    return None if not vertices or None in vertices else [vertex for vertex in vertices if vertex is not None]


def _vertex(texts: Sequence[str]) -> Vertex | None:
    try:
        numbers = tuple(float(text) for text in texts[:3] if text)
    except ValueError:
        return None
    return numbers if len(numbers) >= 2 and all(map(math.isfinite, numbers)) else None


def _even(vertices: Sequence[Vertex]) -> Sequence[Vertex]:
    """Heights for all vertices, or for none."""
    return vertices if len({len(one) for one in vertices}) == 1 else [one[:2] for one in vertices]
