"""The kinds of features of the Korean precise road map (정밀도로지도) and the standard node-link, by their layer and its codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ingest.deliveries import korean_layer
from tiles.batch import Kind

NGII_COLUMNS = ("subtype", "kind", "type", "linekind", "linetype", "pathtype", "kerb", "marktype", "markkind", "signtype", "code")
"""Attribute names (lower case) whose codes refine a layer."""

Codes = Mapping[str, str]


def kind_of_ngii(layer: str, codes: Codes) -> Kind | None:
    """The kind of a feature; None when the name of the layer is none of the map.

    Args:
        layer: name of the layer or file.
        codes: attribute (lower case) -> code text.
    """
    rule = _RULES.get(korean_layer(layer))
    return rule(codes) if rule is not None else None


def _always(kind: Kind) -> Callable[[Codes], Kind]:
    return lambda _codes: kind


def _by(column: str, table: Mapping[str, Kind], otherwise: Kind) -> Callable[[Codes], Kind]:
    return lambda codes: table.get(codes.get(column, ""), otherwise)


def _surface_mark(codes: Codes) -> Kind:
    crossing = codes.get("type") == "5" or codes.get("marktype") == "200"
    kind = codes.get("kind") or codes.get("markkind") or ""
    return Kind.CROSSING if crossing or kind in {"5321", "533", "534"} else Kind.MARKING


_LINES = {"530": Kind.STOP_LINE, "515": Kind.MARKING, "531": Kind.MARKING, "599": Kind.MARKING}
_PLANES = {"4": Kind.CROSSING, "5": Kind.CROSSING, "6": Kind.CROSSING, "7": Kind.OTHER}
_RULES: Mapping[str, Callable[[Codes], Kind]] = {
    "A1_NODE": _always(Kind.NODE),
    "A1_LANE": _by("code", {"2": Kind.BARRIER}, Kind.LANE_BORDER),
    "A2_LINK": _always(Kind.LANE_CENTRE),
    "A2_STOP": _always(Kind.STOP_LINE),
    "A3_LINK": _always(Kind.LANE_CENTRE),
    "A3_DRIVEWAYSECTION": _always(Kind.OTHER),
    "A4_SUBSIDIARYSECTION": _by("subtype", {"3": Kind.SIDEWALK, "4": Kind.CYCLEWAY}, Kind.OTHER),
    "A5_PARKINGLOT": _always(Kind.OTHER),
    "B1_SAFETYSIGN": _always(Kind.SIGN),
    "B1_SIGNAL_POINT": _always(Kind.SIGNAL),
    "B1_SIGN_POINT": _always(Kind.SIGN),
    "B2_SURFACELINEMARK": _by("kind", _LINES, Kind.LANE_BORDER),
    "B2_SURFSIGN_LINE": _always(Kind.LANE_BORDER),
    "B2_SURFSIGN_PLANE": _by("signtype", _PLANES, Kind.MARKING),
    "B2_SURFSIGN_DIRECTION": _always(Kind.MARKING),
    "B2_SURFSIGN_POINT": _always(Kind.MARKING),
    "B2_NOAUTONOMOUS_PLANE": _always(Kind.OTHER),
    "B3_SURFACEMARK": _surface_mark,
    "B3_POST_POINT": _always(Kind.POLE),
    "C1_TRAFFICLIGHT": _always(Kind.SIGNAL),
    "C1_NODE": _always(Kind.NODE),
    "C2_KILOPOST": _always(Kind.OTHER),
    "C2_KM_POST": _always(Kind.OTHER),
    "C3_VEHICLEPROTECTIONSAFETY": _by("type", {"4": Kind.KERB}, Kind.BARRIER),
    "C4_SPEEDBUMP": _always(Kind.OTHER),
    "C5_HEIGHTBARRIER": _always(Kind.BARRIER),
    "C6_POSTPOINT": _always(Kind.POLE),
    "NT1_NODE": _always(Kind.NODE),
    "NT2_LINK": _always(Kind.LANE_CENTRE),
    "RS1_ROADBORDER": _by("kerb", {"1": Kind.KERB, "Y": Kind.KERB}, Kind.LANE_BORDER),
    "RS2_ROADSTRUCTURE": _always(Kind.OTHER),
    "RS3_SUBSIDIARYSECTION": _always(Kind.OTHER),
    "PW1_PATHWAY": _by("pathtype", {"100": Kind.SIDEWALK, "200": Kind.CYCLEWAY}, Kind.SIDEWALK),
    "RM1_LANELINE": _by("linekind", _LINES, Kind.LANE_BORDER),
    "RM2_ROADMARKING": _surface_mark,
    "RM3_PARKINGLOT": _always(Kind.OTHER),
    "SF1_BARRIER": _always(Kind.BARRIER),
    "SF2_TRAFFICSIGN": _always(Kind.SIGN),
    "SF3_TRAFFICLIGHT": _always(Kind.SIGNAL),
    "SF4_SUPPORTPOST": _always(Kind.POLE),
    "SF5_SPEEDBUMP": _always(Kind.OTHER),
    "MOCT_NODE": _always(Kind.NODE),
    "MOCT_LINK": _always(Kind.OTHER),  # a road, which is no lane
}
