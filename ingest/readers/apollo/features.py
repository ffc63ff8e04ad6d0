"""Features of an element of an Apollo map: itself, and what it draws: borders of lanes, stop lines, edges of roads.

A feature keeps every field of its element; curves and polygons are its shape, and what they state beside points is under "@source".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import shapely

from ingest.readers.apollo import shapes
from ingest.readers.apollo.message import MapElement, Tree
from tiles.batch import Kind

REFERENCES = {
    "crosswalk_id": "crosswalk",
    "junction_id": "junction",
    "lane_id": "lane",
    "overlap_id": "overlap",
    "predecessor_id": "lane",
    "successor_id": "lane",
    "left_neighbor_forward_lane_id": "lane",
    "right_neighbor_forward_lane_id": "lane",
    "left_neighbor_reverse_lane_id": "lane",
    "right_neighbor_reverse_lane_id": "lane",
    "self_reverse_lane_id": "lane",
    "signal_id": "signal",
    "stop_sign_id": "stop_sign",
    "yield_id": "yield",
}
"""Fields that name other elements, and of which kind those are."""
_LANES = {"BIKING": Kind.CYCLEWAY, "SIDEWALK": Kind.SIDEWALK, "PARKING": Kind.OTHER}
_KINDS = {
    "crosswalk": Kind.CROSSING,
    "junction": Kind.JUNCTION,
    "signal": Kind.SIGNAL,
    "stop_sign": Kind.SIGN,
    "yield": Kind.SIGN,
    "barrier_gate": Kind.BARRIER,
}


@dataclass(slots=True)
class Drawn:
    """One feature: its number, kind, shape, attributes, and what goes under "@source"."""

    id: str
    kind: Kind
    shape: shapely.Geometry | None
    attributes: Tree
    source: Tree = field(default_factory=dict)

    def properties(self) -> str:
        """Attributes as JSON text."""
        own = {("@source#" if key == "@source" else key): value for key, value in self.attributes.items()}
        return json.dumps(_plain({**own, "@source": self.source}), ensure_ascii=False)


def name_of(element: MapElement, number: int) -> str:
    """`lane/lane_1`; an element without an id is numbered in the order of the file."""
    return f"{element.name}/{element.id or f'#{number}'}"


def features(element: MapElement, number: int) -> Iterator[Drawn]:
    """The feature of an element, then those that it draws."""
    fields, name = dict(element.fields), name_of(element, number)
    make = _MAKERS.get(element.name, _by_polygon)
    kind, shape, source, more = make(fields, name)
    if element.name == "lane":
        kind = _LANES.get(str(fields.get("type")), Kind.LANE_CENTRE)
    for one in more:
        one.source = {"of": name, **one.source}
    if shape is None and more:
        shape, source = more[0].shape, {**source, "placed_by": more[0].id}
    yield Drawn(name, kind, shape, fields, {"element": element.name, "id": element.id, **source})
    yield from more


_Made = tuple[Kind, shapely.Geometry | None, Tree, list[Drawn]]


def _by_polygon(fields: Tree, name: str) -> _Made:
    shape = shapes.polygon(fields.get("polygon"))
    source = _taken(fields, "polygon") if shape is not None else {}
    return _KINDS.get(name.split("/", maxsplit=1)[0], Kind.OTHER), shape, source, []


def _lane(fields: Tree, name: str) -> _Made:
    shape, source = shapes.curve(fields.get("central_curve")), {}
    if shape is not None:
        source["central_curve"] = shapes.segments_of(fields.pop("central_curve"))
    more = []
    for side in ("left", "right"):
        border = fields.get(f"{side}_boundary")
        line = shapes.curve(border.get("curve")) if isinstance(border, dict) else None
        if line is None or not isinstance(border, dict):
            continue
        own = {key: value for key, value in fields.pop(f"{side}_boundary").items() if key != "curve"}
        types = [one for part in own.get("boundary_type", []) for one in part.get("types", [])]
        kind = Kind.KERB if types and set(types) == {"CURB"} else Kind.LANE_BORDER
        stated = {"element": "lane_boundary", "side": side, "curve": shapes.segments_of(border["curve"])}
        more.append(Drawn(f"{name}/{side}_boundary", kind, line, own, stated))
    return Kind.LANE_CENTRE, shape, source, more


def _signal(fields: Tree, name: str) -> _Made:
    shape = shapes.upright(fields.get("boundary"))
    source = _taken(fields, "boundary") if shape is not None else {}
    if shape is None:
        bulbs = [one["location"] for one in fields.get("subsignal", []) if isinstance(one, dict) and isinstance(one.get("location"), tuple)]
        shape = shapely.MultiPoint(shapes.array_of(bulbs)) if bulbs else None
    return Kind.SIGNAL, shape, source, _stop_lines(fields, name)


def _sign(fields: Tree, name: str) -> _Made:
    at = fields.get("location")
    shape = shapely.Point(shapes.array_of([at])[0]) if isinstance(at, tuple) else None
    source = {"location": fields.pop("location")} if shape is not None else {}
    return Kind.SIGN, shape, source, _stop_lines(fields, name)


def _gate(fields: Tree, name: str) -> _Made:
    kind, shape, source, _ = _by_polygon(fields, name)
    return kind, shape, source, _stop_lines(fields, name)


def _bump(fields: Tree, _name: str) -> _Made:
    shape = shapes.curves(fields.get("position", []))
    source = {"position": [shapes.segments_of(one) for one in fields.pop("position")]} if shape is not None else {}
    return Kind.OTHER, shape, source, []


def _overlap(fields: Tree, _name: str) -> _Made:
    outlines = [one for part in fields.get("region_overlap", []) for one in part.get("polygon", [])]
    polygons = [made for one in outlines if isinstance(made := shapes.polygon(one), shapely.Polygon)]
    return Kind.OTHER, shapely.MultiPolygon(polygons) if polygons else None, {}, []


def _road(fields: Tree, name: str) -> _Made:
    more: list[Drawn] = []
    for section in fields.get("section", []):
        boundary = section.get("boundary") if isinstance(section, dict) else None
        outlines = [] if not isinstance(boundary, dict) else [("outer", boundary.get("outer_polygon"))]
        outlines += [(f"hole/{n}", one) for n, one in enumerate(boundary.get("hole", []))] if isinstance(boundary, dict) else []
        for part, outline in outlines:
            for n, edge in enumerate(outline.get("edge", []) if isinstance(outline, dict) else []):
                line = shapes.curve(edge.get("curve"))
                if line is not None:
                    stated = {"element": "boundary_edge", "section": section.get("id", ""), "part": part}
                    stated["curve"] = shapes.segments_of(edge.pop("curve"))
                    feature = f"{name}/{section.get('id', '')}/{part}/{n}"
                    more.append(Drawn(feature, Kind.LANE_BORDER, line, edge, stated))
    return Kind.OTHER, shapely.MultiLineString([p for one in more for p in shapely.get_parts(one.shape)]) if more else None, {}, more


def _stop_lines(fields: Tree, name: str) -> list[Drawn]:
    """Stop lines as features of their own."""
    given = fields.get("stop_line")
    found = given if isinstance(given, list) else [given] if given is not None else []
    made = [(n, one, line) for n, one in enumerate(found) if (line := shapes.curve(one)) is not None]
    if made and len(made) == len(found):
        del fields["stop_line"]
    stated = [{"element": "stop_line", "curve": shapes.segments_of(one)} for _, one, _ in made]
    return [Drawn(f"{name}/stop_line/{n}", Kind.STOP_LINE, line, {}, own) for (n, _, line), own in zip(made, stated, strict=True)]


_MAKERS: dict[str, Callable[[Tree, str], _Made]] = {
    "lane": _lane,
    "signal": _signal,
    "stop_sign": _sign,
    "yield": _sign,
    "barrier_gate": _gate,
    "speed_bump": _bump,
    "overlap": _overlap,
    "road": _road,
}


def _taken(fields: Tree, key: str) -> Tree:
    """A polygon becomes the shape; what else it states stays."""
    rest = shapes.outline_of(fields.pop(key))
    return {key: rest} if rest else {}


def _plain(value: Any) -> Any:
    """A value as JSON has it: points as lists, what is no number as its name."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value if one is not None]
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
