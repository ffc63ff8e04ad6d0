"""The messages of Apollo's HD map: number, name and type of each field; `*` = it repeats.

Source: github.com/ApolloAuto/apollo, modules/common_msgs/map_msgs (and modules/map/proto before); all versions use the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

SCALARS = frozenset({"double", "text", "bool", "int"})


@dataclass(frozen=True, slots=True)
class SchemaField:
    """A field of a message; `kind` is one of `SCALARS`, an enumeration, or a message. `Id` is a word, `Point` is (x, y, z or None)."""

    number: int
    name: str
    kind: str
    repeats: bool


def _fields(text: str) -> dict[int, SchemaField]:
    found = {}
    for part in text.split(","):
        number, name, kind = part.split()
        found[int(number)] = SchemaField(int(number), name.rstrip("*"), kind, name.endswith("*"))
    return found


_TEXTS = {
    "Map": "1 header Header, 2 crosswalk* Crosswalk, 3 junction* Junction, 4 lane* Lane, 5 stop_sign* StopSign, 6 signal* Signal, "
    "7 yield* Yield, 8 overlap* Overlap, 9 clear_area* ClearArea, 10 speed_bump* SpeedBump, 11 road* Road, "
    "12 parking_space* ParkingSpace, 13 pnc_junction* PncJunction, 14 rsu* Rsu, 15 ad_area* Area, 16 barrier_gate* BarrierGate",
    "Header": "1 version text, 2 date text, 3 projection Projection, 4 district text, 5 generation text, 6 rev_major text, "
    "7 rev_minor text, 8 left double, 9 top double, 10 right double, 11 bottom double, 12 vendor text",
    "Projection": "1 proj text",
    "Polygon": "1 point* Point",
    "LineSegment": "1 point* Point",
    "CurveSegment": "1 line_segment LineSegment, 6 s double, 7 start_position Point, 8 heading double, 9 length double",
    "Curve": "1 segment* CurveSegment",
    "Crosswalk": "1 id Id, 2 polygon Polygon, 3 overlap_id* Id",
    "Junction": "1 id Id, 2 polygon Polygon, 3 crosswalk_id* Id, 4 overlap_id* Id, 5 num_road_segments int, 6 lane_id* Id, "
    "7 type JunctionType",
    "BoundaryType": "1 s double, 2 types* BoundaryTypes",
    "LaneBoundary": "1 curve Curve, 2 length double, 3 virtual bool, 4 boundary_type* BoundaryType",
    "Sample": "1 s double, 2 width double",
    "Lane": "1 id Id, 2 central_curve Curve, 3 left_boundary LaneBoundary, 4 right_boundary LaneBoundary, 5 length double, "
    "6 speed_limit double, 7 overlap_id* Id, 8 predecessor_id* Id, 9 successor_id* Id, 10 left_neighbor_forward_lane_id* Id, "
    "11 right_neighbor_forward_lane_id* Id, 12 type LaneType, 13 turn LaneTurn, 14 left_neighbor_reverse_lane_id* Id, "
    "15 right_neighbor_reverse_lane_id* Id, 16 junction_id Id, 17 left_sample* Sample, 18 right_sample* Sample, "
    "19 direction LaneDirection, 20 left_road_sample* Sample, 21 right_road_sample* Sample, 22 self_reverse_lane_id* Id",
    "StopSign": "1 id Id, 2 stop_line Curve, 3 location Point, 4 overlap_id* Id, 5 signal_id Id, 6 type StopType",
    "Subsignal": "1 id Id, 2 type SubsignalType, 3 location Point",
    "SignInfo": "1 type SignInfoType",
    "Signal": "1 id Id, 2 boundary Polygon, 3 subsignal* Subsignal, 4 overlap_id* Id, 5 type SignalType, 6 stop_line* Curve, "
    "7 sign_info* SignInfo",
    "Yield": "1 id Id, 2 stop_line* Curve, 3 overlap_id* Id",
    "LaneOverlap": "1 start_s double, 2 end_s double, 3 is_merge bool, 4 region_overlap_id Id",
    "CrosswalkOverlap": "1 region_overlap_id Id",
    "Nothing": "",
    "RegionOverlap": "1 id Id, 2 polygon* Polygon",
    "OverlapObject": "1 id Id, 3 lane_overlap_info LaneOverlap, 4 signal_overlap_info Nothing, 5 stop_sign_overlap_info Nothing, "
    "6 crosswalk_overlap_info CrosswalkOverlap, 7 junction_overlap_info Nothing, 8 yield_sign_overlap_info Nothing, "
    "9 clear_area_overlap_info Nothing, 10 speed_bump_overlap_info Nothing, 11 parking_space_overlap_info Nothing, "
    "12 pnc_junction_overlap_info Nothing, 13 rsu_overlap_info Nothing, 14 area_overlap_info Nothing, "
    "15 barrier_gate_overlap_info Nothing",
    "Overlap": "1 id Id, 2 object* OverlapObject, 3 region_overlap* RegionOverlap",
    "ClearArea": "1 id Id, 2 overlap_id* Id, 3 polygon Polygon",
    "SpeedBump": "1 id Id, 2 overlap_id* Id, 3 position* Curve",
    "BoundaryEdge": "1 curve Curve, 2 type EdgeType",
    "BoundaryPolygon": "1 edge* BoundaryEdge",
    "RoadBoundary": "1 outer_polygon BoundaryPolygon, 2 hole* BoundaryPolygon",
    "RoadSection": "1 id Id, 2 lane_id* Id, 3 boundary RoadBoundary",
    "Road": "1 id Id, 2 section* RoadSection, 3 junction_id Id, 4 type RoadType",
    "ParkingSpace": "1 id Id, 2 polygon Polygon, 3 overlap_id* Id, 4 heading double",
    "Passage": "1 id Id, 2 signal_id* Id, 3 yield_id* Id, 4 stop_sign_id* Id, 5 lane_id* Id, 6 type PassageType",
    "PassageGroup": "1 id Id, 2 passage* Passage",
    "PncJunction": "1 id Id, 2 polygon Polygon, 3 overlap_id* Id, 4 passage_group* PassageGroup",
    "Rsu": "1 id Id, 2 junction_id Id, 3 overlap_id* Id",
    "Area": "1 id Id, 2 type AreaType, 3 polygon Polygon, 4 overlap_id* Id, 5 name text",
    "BarrierGate": "1 id Id, 2 type GateType, 3 polygon Polygon, 4 stop_line* Curve, 5 overlap_id* Id",
    "Id": "1 id text",
    "Point": "1 x double, 2 y double, 3 z double",
}
MESSAGES: dict[str, dict[int, SchemaField]] = {name: _fields(text) if text else {} for name, text in _TEXTS.items()}
"""Message -> its fields by number."""
BY_NAME: dict[str, dict[str, SchemaField]] = {name: {one.name: one for one in fields.values()} for name, fields in MESSAGES.items()}
"""Message -> its fields by name."""

_WORDS = {
    "JunctionType": "UNKNOWN IN_ROAD CROSS_ROAD",
    "BoundaryTypes": "UNKNOWN DOTTED_YELLOW DOTTED_WHITE SOLID_YELLOW SOLID_WHITE DOUBLE_YELLOW CURB",
    "LaneType": "- NONE CITY_DRIVING BIKING SIDEWALK PARKING SHOULDER",
    "LaneTurn": "- NO_TURN LEFT_TURN RIGHT_TURN U_TURN",
    "LaneDirection": "- FORWARD BACKWARD BIDIRECTION",
    "StopType": "UNKNOWN ONE_WAY TWO_WAY THREE_WAY FOUR_WAY ALL_WAY",
    "SubsignalType": "- UNKNOWN CIRCLE ARROW_LEFT ARROW_FORWARD ARROW_RIGHT ARROW_LEFT_AND_FORWARD ARROW_RIGHT_AND_FORWARD ARROW_U_TURN",
    "SignInfoType": "None NO_RIGHT_TURN_ON_RED",
    "SignalType": "- UNKNOWN MIX_2_HORIZONTAL MIX_2_VERTICAL MIX_3_HORIZONTAL MIX_3_VERTICAL SINGLE",
    "EdgeType": "UNKNOWN NORMAL LEFT_BOUNDARY RIGHT_BOUNDARY",
    "RoadType": "UNKNOWN HIGHWAY CITY_ROAD PARK",
    "PassageType": "UNKNOWN ENTRANCE EXIT",
    "AreaType": "- Driveable UnDriveable Custom1 Custom2 Custom3",
    "GateType": "- ROD FENCE ADVERTISING TELESCOPIC OTHER",
}
ENUMS: dict[str, dict[int, str]] = {
    name: {at: word for at, word in enumerate(words.split()) if word != "-"} for name, words in _WORDS.items()
}
"""Enumeration -> its words by number; a number without a word stays a number."""
