"""Lanelet2's types and subtypes (and Autoware's) as kinds.

Source: Lanelet2 documentation, LinestringTagging and LaneletAndAreaTagging; autoware_lanelet2_extension.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ingest.findings import info
from ingest.readers.vector.kinds import kind_of_osm, sidewalks_of
from mapex.catalogue.finding import Finding
from tiles.batch import Kind

LANELETS = {
    "road": Kind.LANE_AREA,
    "highway": Kind.LANE_AREA,
    "play_street": Kind.LANE_AREA,
    "emergency_lane": Kind.LANE_AREA,
    "bus_lane": Kind.LANE_AREA,
    "exit": Kind.LANE_AREA,
    "road_shoulder": Kind.LANE_AREA,
    "pedestrian_lane": Kind.SIDEWALK,
    "bicycle_lane": Kind.CYCLEWAY,
    "walkway": Kind.SIDEWALK,
    "shared_walkway": Kind.SIDEWALK,
    "stairs": Kind.SIDEWALK,
    "crosswalk": Kind.CROSSING,
    "rail": Kind.OTHER,
}
AREAS = {
    "walkway": Kind.SIDEWALK,
    "stairs": Kind.SIDEWALK,
    "crosswalk": Kind.CROSSING,
    "crosswalk_polygon": Kind.CROSSING,
    "bicycle_lane": Kind.CYCLEWAY,
    "intersection_area": Kind.JUNCTION,
    "parking": Kind.OTHER,
    "freespace": Kind.OTHER,
    "vegetation": Kind.OTHER,
    "keepout": Kind.OTHER,
    "building": Kind.OTHER,
    "traffic_island": Kind.OTHER,
    "exit": Kind.OTHER,
}
WAYS = {
    "line_thin": Kind.LANE_BORDER,
    "line_thick": Kind.LANE_BORDER,
    "virtual": Kind.LANE_BORDER,
    "road_border": Kind.LANE_BORDER,
    "road_shoulder": Kind.LANE_BORDER,
    "curbstone": Kind.KERB,
    "stop_line": Kind.STOP_LINE,
    "pedestrian_marking": Kind.MARKING,
    "zebra_marking": Kind.MARKING,
    "bike_marking": Kind.MARKING,
    "zig-zag": Kind.MARKING,
    "arrow": Kind.MARKING,
    "symbol": Kind.MARKING,
    "keepout": Kind.OTHER,
    "fence": Kind.BARRIER,
    "wall": Kind.BARRIER,
    "guard_rail": Kind.BARRIER,
    "jersey_barrier": Kind.BARRIER,
    "gate": Kind.BARRIER,
    "door": Kind.BARRIER,
    "traffic_light": Kind.SIGNAL,
    "traffic_sign": Kind.SIGN,
    "pole": Kind.POLE,
    "post": Kind.POLE,
    "crosswalk_polygon": Kind.CROSSING,
    "intersection_area": Kind.JUNCTION,
    # Parts of a signal, and lines that only help: counting or measuring them would sell the same thing twice.
    "light_bulbs": Kind.OTHER,
    "centerline": Kind.OTHER,
    "waypoints": Kind.OTHER,
    "trajectory": Kind.OTHER,
    "rail": Kind.OTHER,
    "building": Kind.OTHER,
    "detection_area": Kind.OTHER,
    "no_stopping_area": Kind.OTHER,
    "no_parking_area": Kind.OTHER,
    "hatched_road_markings": Kind.OTHER,
    "parking_space": Kind.OTHER,
    "parking_lot": Kind.OTHER,
    "bus_stop_area": Kind.OTHER,
    "obstacle_polygon": Kind.OTHER,
    "pedestrian_light": Kind.SIGNAL,
    "traffic_island": Kind.OTHER,
}
NODES = {"traffic_light": Kind.SIGNAL, "traffic_sign": Kind.SIGN, "pole": Kind.POLE, "post": Kind.POLE}


_SIDEWALKS = frozenset({"sidewalk", "sidewalk:left", "sidewalk:right", "sidewalk:both"})
_LINEAR = ("highway", "barrier", "railway", "waterway", "type")
_AREAL = ("building", "building:part", "landuse", "leisure", "amenity", "area:highway", "natural", "place", "shop", "tourism")
_LINES = {"coastline", "cliff", "ridge", "tree_row", "valley", "arete", "track", "slipway"}


def is_area(tags: Mapping[str, str]) -> bool:
    """Whether a closed way of OpenStreetMap means what is inside of it (OSM wiki: Key:area, Way). Ways of Lanelet2 never do."""
    stated = tags.get("area", "")
    if stated or any(key in tags for key in _LINEAR):
        return stated == "yes" and "type" not in tags
    return any(key in tags and tags[key] not in _LINES for key in _AREAL)


class Streets:
    """Counts the streets whose tags state sidewalks, which have no line of their own."""

    def __init__(self) -> None:
        self.sides: Counter[str] = Counter()

    def look(self, tags: Mapping[str, str]) -> None:
        """Count a way."""
        if not _SIDEWALKS.isdisjoint(tags):
            self.sides[sidewalks_of(tags)] += 1

    def findings(self, **where: Any) -> Iterator[Finding]:
        """What is to be reported at the end. `where`: file and layer."""
        sides = {side: self.sides[side] for side in ("both", "left", "right")}
        if total := sum(sides.values()):
            text = (
                f"{total} streets state a sidewalk in their tags ({sides['both']} on both sides, {sides['left']} on the left, "
                f"{sides['right']} on the right). It has no line of its own: the street is kept as it is, with its tags."
            )
            fix = "Draw sidewalks as ways of their own (footway=sidewalk) where they are to be sold as such."
            yield info("osm.sidewalk_tags", text, fix, count=total, **where)


def kind_of(element: str, tags: Mapping[str, str]) -> tuple[Kind, str]:
    """The kind of a node, way or relation; and, when a Lanelet2 type is not known, the nearest known one ("" when there is none).

    What carries no Lanelet2 type is read as OpenStreetMap tags.
    """
    kind, subtype = tags.get("type", ""), tags.get("subtype", "")
    if element == "relation":
        if kind == "lanelet":
            return _known(LANELETS, subtype, Kind.LANE_AREA if not subtype else Kind.OTHER)  # no subtype = road, as the library reads it
        if kind == "multipolygon" and subtype:
            return _known(AREAS, subtype, Kind.OTHER)
        return (kind_of_osm(tags) if kind != "regulatory_element" else Kind.OTHER), ""
    if element == "node":
        found = NODES.get(kind) or kind_of_osm(tags)
        return (found if found is not Kind.OTHER else Kind.NODE), ""
    if not kind:
        return kind_of_osm(tags), ""
    return _known(WAYS, kind, Kind.OTHER)


def _known(table: Mapping[str, Kind], word: str, otherwise: Kind) -> tuple[Kind, str]:
    found = table.get(word)
    if found is not None or not word:
        return found or otherwise, ""
    near = get_close_matches(word, table, n=1, cutoff=0.75)
    return otherwise, near[0] if near else "?"
