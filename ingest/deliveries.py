"""Korean deliveries by the names of their files: which layer of the NGII precise road map (정밀도로지도), or of the standard node-link
(표준노드링크), a name means.

Three generations: before 2019 (`A3_LINK`, `C1_NODE`), models 2019 and 2020 (`A2_LINK`), model 2024 (`NT2_LINK`). In the wild the end of a
name is misspelt (`C1_TRAFFICLIGH`, `SF4_SUPPROTPOST`), a place stands in front (`yangjae_A1_LANE`), or `_3D` behind: only the stem counts.
"""

from __future__ import annotations

import re
from functools import lru_cache

_STEMS: tuple[tuple[str, str], ...] = (
    ("A1_NODE", "A1_NODE"),
    ("A1_LANE", "A1_LANE"),
    ("A2_LINK", "A2_LINK"),
    ("A2_STOP", "A2_STOP"),
    ("A3_LINK", "A3_LINK"),
    ("A3_DRIVE", "A3_DRIVEWAYSECTION"),
    ("A4_SUBSID", "A4_SUBSIDIARYSECTION"),
    ("A5_PARK", "A5_PARKINGLOT"),
    ("B1_SAFETY", "B1_SAFETYSIGN"),
    ("B1_SIGNAL", "B1_SIGNAL_POINT"),
    ("B1_SIGN", "B1_SIGN_POINT"),
    ("B2_SURFACELINE", "B2_SURFACELINEMARK"),
    ("B2_SURFSIGN_LINE", "B2_SURFSIGN_LINE"),
    ("B2_SURFSIGN_PLANE", "B2_SURFSIGN_PLANE"),
    ("B2_SURFSIGN_DIR", "B2_SURFSIGN_DIRECTION"),
    ("B2_SURFSIGN_POINT", "B2_SURFSIGN_POINT"),
    ("B2_NOAUTO", "B2_NOAUTONOMOUS_PLANE"),
    ("B3_SURFACEM", "B3_SURFACEMARK"),
    ("B3_POST", "B3_POST_POINT"),
    ("C1_TRAFFIC", "C1_TRAFFICLIGHT"),
    ("C1_NODE", "C1_NODE"),
    ("C2_KILO", "C2_KILOPOST"),
    ("C2_KM", "C2_KM_POST"),
    ("C3_VEHICLE", "C3_VEHICLEPROTECTIONSAFETY"),
    ("C4_SPEED", "C4_SPEEDBUMP"),
    ("C5_HEIGHT", "C5_HEIGHTBARRIER"),
    ("C6_POST", "C6_POSTPOINT"),
    ("NT1_NODE", "NT1_NODE"),
    ("NT2_LINK", "NT2_LINK"),
    ("RS1_ROADB", "RS1_ROADBORDER"),
    ("RS2_ROADS", "RS2_ROADSTRUCTURE"),
    ("RS3_ROADS", "RS2_ROADSTRUCTURE"),  # the manual itself calls it both
    ("RS3_SUBSID", "RS3_SUBSIDIARYSECTION"),
    ("PW1_PATH", "PW1_PATHWAY"),
    ("RM1_LANE", "RM1_LANELINE"),
    ("RM2_ROADM", "RM2_ROADMARKING"),
    ("RM3_PARK", "RM3_PARKINGLOT"),
    ("SF1_BARR", "SF1_BARRIER"),
    ("SF2_TRAFFIC", "SF2_TRAFFICSIGN"),
    ("SF3_TRAFFIC", "SF3_TRAFFICLIGHT"),
    ("SF4_SUP", "SF4_SUPPORTPOST"),
    ("SF5_SPEED", "SF5_SPEEDBUMP"),
)
"""How the name of a layer begins, and the layer; of two that begin alike the longer one comes first."""

_BEFORE_2019 = {"A1_LANE", "A2_STOP", "A3_LINK", "B1_SIGNAL_POINT", "B1_SIGN_POINT", "B2_NOAUTONOMOUS_PLANE", "B3_POST_POINT"} | {
    *("C1_NODE", "C2_KM_POST"),
    *(layer for _, layer in _STEMS if layer.startswith("B2_SURFSIGN")),
}
_LAYERS = dict(_STEMS)
NODE_LINK = re.compile(r"(?:^|[^A-Za-z0-9])(MOCT_NODE|MOCT_LINK)[^/]*$", re.IGNORECASE)
"""The last part of a path that is called like a layer of the standard node-link."""
NGII = re.compile(rf"(?:^|[^A-Za-z0-9])({'|'.join(stem for stem, _ in _STEMS)})[^/]*$", re.IGNORECASE)
"""The last part of a path that is called like a layer."""


@lru_cache(maxsize=4096)
def ngii_layer(name: str) -> str:
    """The layer of the precise road map that the name of a file or layer means, folders in front of it or not; "" when it means none."""
    found = NGII.search(name)
    return _LAYERS[found[1].upper()] if found else ""


def korean_layer(name: str) -> str:
    """The layer of the precise road map or of the standard node-link that a name means; "" when it means none."""
    found = NODE_LINK.search(name)
    return found[1].upper() if found else ngii_layer(name)


def ngii_model(layer: str) -> str:
    """The generation of a layer: "2018" (before 2019), "2020" (models 2019 and 2020) or "2024"; "node-link" for the other map."""
    if layer.startswith("MOCT"):
        return "node-link"
    if layer in _BEFORE_2019:
        return "2018"
    return "2024" if layer[:2].isalpha() else "2020"
