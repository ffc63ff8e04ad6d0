"""OpenDRIVE's types of lanes, objects and signals as kinds; the file's own words stay in the properties.

Source: ASAM OpenDRIVE 1.8.1, annex of enumerations (e_laneType, e_objectType); the types of 1.4 beside.
"""

from __future__ import annotations

from ingest.readers.opendrive.tree import XmlElement
from ingest.readers.vector.kinds import kind_of_words
from tiles.batch import Kind

_DRIVEN = (
    "driving entry exit offRamp onRamp connectingRamp slipLane bus taxi HOV mwyEntry mwyExit bidirectional shared stop shoulder roadWorks "
    "special1 special2 special3"
)
LANES = {
    **dict.fromkeys(_DRIVEN.lower().split(), Kind.LANE_AREA),
    "sidewalk": Kind.SIDEWALK,
    "walking": Kind.SIDEWALK,
    "biking": Kind.CYCLEWAY,
    "curb": Kind.KERB,
    **dict.fromkeys(("none", "border", "median", "restricted", "parking", "tram", "rail"), Kind.OTHER),
}
"""As Lanelet2's: stops and shoulders are lanes there too; parking, rails and medians are not sold as lanes."""

_OBJECTS = {
    "crosswalk": Kind.CROSSING,
    "pole": Kind.POLE,
    "streetlamp": Kind.POLE,
    "barrier": Kind.BARRIER,
    "soundbarrier": Kind.BARRIER,
    "railing": Kind.BARRIER,
    "roadmark": Kind.MARKING,
    **dict.fromkeys(
        ("building", "bus", "car", "gantry", "motorbike", "obstacle", "parkingspace", "patch", "bike", "pedestrian", "roadsurface", "train")
        + ("trafficisland", "trailer", "tram", "tree", "van", "vegetation", "wind"),
        Kind.OTHER,
    ),
}
_STOP_LINE = "294"
"""Of the German catalogue, which OpenDRIVE's own is made after."""


def kind_of_lane(type_: str) -> Kind | None:
    """The kind of a lane type; None = the type is not known."""
    return LANES.get(type_.lower())


def kind_of_border(mark: XmlElement | None) -> Kind:
    """The kind of a border by its road mark."""
    return Kind.KERB if mark is not None and mark.text_of("type").lower() == "curb" else Kind.LANE_BORDER


def kind_of_object(node: XmlElement) -> Kind:
    """The kind of an object by its type, its subtype or, where these say nothing, its name."""
    if "stopline" in node.text_of("name").lower().replace("_", "").replace(" ", ""):
        return Kind.STOP_LINE
    if kind_of_words(node.text_of("subtype")) is Kind.KERB:
        return Kind.KERB
    known = _OBJECTS.get(node.text_of("type").lower())
    if known is not None:
        return known
    words = (kind_of_words(node.text_of(name)) for name in ("type", "name"))
    found = next((kind for kind in words if kind is not Kind.OTHER), Kind.OTHER)
    return Kind.MARKING if found is Kind.OTHER and "stencil" in node.text_of("name").lower() else found


def kind_of_signal(node: XmlElement) -> Kind:
    """Lights change (`dynamic`), signs do not; a stop line is given as a sign by some."""
    if node.text_of("dynamic").lower() == "yes":
        return Kind.SIGNAL
    is_german = node.text_of("country").upper() in ("OPENDRIVE", "DE", "DEU", "GERMANY")
    return Kind.STOP_LINE if is_german and node.text_of("type") == _STOP_LINE else Kind.SIGN
