"""From the words of a source (layer name, class attributes, OSM tags, NGII codes) to the closed vocabulary of `Kind`.

The source's own words stay in `properties`; this is only our reading of them. Nothing known = `Kind.OTHER`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.deliveries import korean_layer
from ingest.readers.vector.attributes import words_of
from ingest.readers.vector.ngii_kinds import NGII_COLUMNS, kind_of_ngii
from tiles.batch import Kind, LayerKind

CLASS_COLUMNS = (
    "kind",
    "class",
    "subclass",
    "type",
    "subtype",
    "category",
    "feature_type",
    "featuretype",
    "layer",
    "highway",
    "footway",
    "barrier",
    "kerb",
)
"""Attribute names (lower case) that commonly say what a feature is, in the order in which they are asked."""

WALKED = frozenset({Kind.SIDEWALK, Kind.CROSSING})

_FOOT = {
    "footway",
    "pedestrian",
    "path",
    "steps",
    "living_street",
    "corridor",
    "sidewalk",
    "walkway",
    "shared_walkway",
    "stairs",
    "link",
    "alley",
}
_FOOTWAYS = {"sidewalk", "traffic_island", "link", "alley", "access_aisle"}
_POINTS = {
    "cycleway": Kind.CYCLEWAY,
    "traffic_signals": Kind.SIGNAL,
    "stop": Kind.SIGN,
    "give_way": Kind.SIGN,
    "street_lamp": Kind.POLE,
}
_LARGE = ("motorway", "trunk", "primary", "secondary", "tertiary")
_STREETS = {*_LARGE, *(f"{one}_link" for one in _LARGE), "unclassified", "residential", "service", "track", "road", "busway", "raceway"}
"""Values of `highway` of what vehicles drive on."""
_ON_WAYS = ("highway", "footway", "path", "cycleway", "crossing:signals", "railway", "area:highway", "junction", "tactile_paving")
_ASKED = frozenset({*_ON_WAYS, "traffic_sign", "barrier", "kerb", "power", "man_made"})
"""Keys that a kind can follow from."""
_KEYS = (*sorted(_ASKED), "bicycle", "foot")
_WORDS: tuple[tuple[str, Kind], ...] = (
    ("stopline|stop_line|정지선", Kind.STOP_LINE),
    ("crosswalk|crossing|zebra|횡단보도", Kind.CROSSING),
    ("sidewalk|walkway|footway|footpath|pedestrian|pathway|보도|인도", Kind.SIDEWALK),
    ("cycleway|bicycle|bike|cycle|자전거", Kind.CYCLEWAY),
    ("kerb|curb|연석", Kind.KERB),
    ("trafficlight|traffic_light|traffic_signal|signal|신호등", Kind.SIGNAL),
    ("trafficsign|traffic_sign|safetysign|road_sign|표지", Kind.SIGN),
    (
        "surfacelinemark|laneline|lane_line|lane_border|laneborder|lane_boundary|laneboundary|lane_marking|"
        "roadborder|road_border|road_edge|a1_lane$|차선",
        Kind.LANE_BORDER,
    ),
    ("lane_area|lanearea|lane_polygon|lanelet", Kind.LANE_AREA),
    ("a2_link|nt2_link|lane_cent|lanecent|centerline|centreline|lane_link|차로", Kind.LANE_CENTRE),
    ("surfacemark|roadmarking|road_marking|marking|arrow|노면", Kind.MARKING),
    ("guard_?rail|barrier|fence|wall|protection|방호", Kind.BARRIER),
    ("pole|post|지주", Kind.POLE),
    ("junction|intersection|교차로", Kind.JUNCTION),
    ("^node$|_node$|nodes$", Kind.NODE),
    ("^lane$|^lanes$", Kind.LANE_CENTRE),
)
_PATTERNS = tuple((re.compile(pattern), kind) for pattern, kind in _WORDS)
_NOT = re.compile(r"kilopost|postcode|postal|no_crossing|speedbump|heightbarrier")


@lru_cache(maxsize=4096)
def kind_of_words(text: str) -> Kind:
    """The kind that a class word, layer name or file name means, by parts of the word; `Kind.OTHER` when none is known."""
    word = text.strip().lower().replace(" ", "_").replace("-", "_")
    if not word:
        return Kind.OTHER
    if word in {str(kind) for kind in Kind}:
        return Kind(word)
    if _NOT.search(word):
        return Kind.BARRIER if "heightbarrier" in word else Kind.OTHER
    return next((kind for pattern, kind in _PATTERNS if pattern.search(word)), Kind.OTHER)


def kind_of_osm(tags: Mapping[str, Any]) -> Kind:
    """The kind that OpenStreetMap or OpenSidewalks tags mean (OSM wiki: Sidewalks, Crossings, Kerb, Barriers; OpenSidewalks 0.2, 0.3).

    What a line is decides before what is beside it or on it: a footway with a kerb is a sidewalk, a street with a sign is a street. A
    street that states sidewalks in its tags (`sidewalk=both`) stays a street, since its line is the middle of the carriageway.
    """
    if _ASKED.isdisjoint(tags):
        return Kind.OTHER
    return _kind_of_values(tuple([str(tags.get(key) or "") for key in _KEYS]))


@lru_cache(maxsize=65536)
def _kind_of_values(values: tuple[str, ...]) -> Kind:
    """The same for the values of `_KEYS`."""
    tags = dict(zip(_KEYS, values, strict=True))
    highway, footway = tags["highway"], tags["footway"]
    if "crossing" in (footway, tags["path"], tags["cycleway"], highway):
        return Kind.CROSSING
    if highway in _FOOT or footway in _FOOTWAYS:
        is_cycled = highway in {"path", "footway"} and tags["bicycle"] == "designated" and tags["foot"] in {"no", "use_sidepath"}
        return Kind.CYCLEWAY if is_cycled else Kind.SIDEWALK
    if highway in _POINTS:
        return _POINTS[highway]
    if tags["crossing:signals"] == "yes":
        return Kind.SIGNAL
    return Kind.OTHER if highway in _STREETS else _kind_beside_ways(tags)


def _kind_beside_ways(tags: Mapping[str, str]) -> Kind:
    area = tags["area:highway"]
    rules: tuple[tuple[bool, Kind], ...] = (
        (tags["railway"] == "crossing" or area == "crossing", Kind.CROSSING),
        (bool(tags["traffic_sign"]), Kind.SIGN),
        (tags["barrier"] == "kerb" or tags["kerb"] not in {"", "no", "none"}, Kind.KERB),
        (area in {"footway", "pedestrian", "steps"}, Kind.SIDEWALK),
        (area == "cycleway", Kind.CYCLEWAY),
        (bool(tags["barrier"]), Kind.BARRIER),
        (tags["power"] in {"pole", "tower"} or tags["man_made"] == "utility_pole", Kind.POLE),
        (tags["junction"] not in {"", "no"}, Kind.JUNCTION),
        (tags["tactile_paving"] not in {"", "no"}, Kind.MARKING),
    )
    return next((kind for holds, kind in rules if holds), Kind.OTHER)


def sidewalks_of(tags: Mapping[str, Any]) -> str:
    """On which sides of a street its tags state a sidewalk that has no line of its own: "both", "left", "right", or "".

    `separate` (drawn as ways of their own), `no` and `none` state none.
    """
    sides = {"left": False, "right": False}
    whole = str(tags.get("sidewalk") or "")
    for side in sides:
        own = str(tags.get(f"sidewalk:{side}") or tags.get("sidewalk:both") or "")
        sides[side] = own == "yes" or (not own and whole in {side, "both", "yes"})
    return "both" if all(sides.values()) else next((side for side, has in sides.items() if has), "")


def kinds(table: pa.Table, layer: str) -> pa.Array:
    """The kind of each row by its attributes and, when they say nothing, by the name of its layer; one look per distinct combination.

    A single known class word of a row wins; OSM tags are read when the table has OSM's columns. A table that states id and kind of each row
    in our words (a file that was written from tiles) is believed, `other` too.
    """
    if (own := _own_kinds(table)) is not None:
        return own
    names: dict[str, str] = {}
    for name in table.column_names:
        names.setdefault(name.lower(), name)
    ngii = korean_layer(layer) != ""
    asked = [
        c for c in (NGII_COLUMNS if ngii else (*CLASS_COLUMNS, *_OSM_COLUMNS)) if c in names and _is_word(table.schema.field(names[c]).type)
    ]
    asked = list(dict.fromkeys(asked))
    if not asked:
        return pa.array([str(kind_of({}, layer))] * table.num_rows, pa.string())
    codes, combinations = _combined([table.column(names[c]) for c in asked])
    words = [str(kind_of(dict(zip(asked, values, strict=True)), layer)) for values in combinations]
    return pc.take(pa.array(words, pa.string()), pa.array(codes))


def own_kind(tags: Mapping[str, Any]) -> Kind | None:
    """The kind that a feature states in our words beside its id: that of a file that was written from tiles. None when it does not."""
    word = tags.get("kind") if "feature_id" in tags else None
    return Kind(word) if isinstance(word, str) and word in _VOCABULARY else None


def _own_kinds(table: pa.Table) -> pa.Array | None:
    """The kinds that a table states in our words; None when it does not."""
    if not {"feature_id", "kind"} <= set(table.column_names) or not table.num_rows or not _is_word(table.schema.field("kind").type):
        return None
    codes, texts = _coded(table.column("kind"))
    if not {texts[code][0] for code in np.unique(codes).tolist()} <= _VOCABULARY:
        return None
    return pc.take(pa.array([text for (text,) in texts], pa.string()), pa.array(codes))


_VOCABULARY = frozenset(map(str, Kind))
_OSM_COLUMNS = (
    *("crossing", "crossing:signals", "path", "cycleway", "foot", "bicycle", "traffic_sign", "power", "man_made", "junction"),
    *("railway", "area:highway", "tactile_paving"),
)


def kind_of(values: Mapping[str, str], layer: str) -> Kind:
    """The kind of one feature by its attributes (names in lower case, values as text) and the name of its layer."""
    if (kind := kind_of_ngii(layer, values)) is not None:
        return kind
    for column in CLASS_COLUMNS[:8]:
        text = values.get(column, "")
        kind = (kind_of_ngii(text, values) or kind_of_words(text)) if text else Kind.OTHER
        if kind is not Kind.OTHER:
            return kind
    tagged = kind_of_osm(values)
    return tagged if tagged is not Kind.OTHER else kind_of_words(values.get("layer", "") or layer.rsplit("/", 1)[-1])


def _is_word(kind: Any) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return isinstance(kind, pa.JsonType) or bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_integer(inner))


def _combined(columns: list[Any]) -> tuple[np.ndarray[Any, Any], list[tuple[str, ...]]]:
    """Codes of the distinct combinations of some columns, and their texts ("" for null)."""
    total, texts = _coded(columns[0])
    for column in columns[1:]:
        codes, values = _coded(column)
        used, total = np.unique(total * len(values) + codes, return_inverse=True)
        texts = [(*texts[code // len(values)], *values[code % len(values)]) for code in used.tolist()]
    return total, texts


def _coded(column: Any) -> tuple[np.ndarray[Any, Any], list[tuple[str, ...]]]:
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(chunk.type, pa.JsonType):
        chunk = words_of(chunk)
    if not pa.types.is_dictionary(chunk.type):
        chunk = pc.dictionary_encode(pc.cast(chunk, pa.string()))
    values = [(value or "",) for value in pc.cast(chunk.dictionary, pa.string()).to_pylist()]
    codes = np.asarray(pc.fill_null(pc.cast(chunk.indices, pa.int64()), len(values)), dtype=np.int64)
    return codes, [*values, ("",)]


def layer_kind(column: pa.Array) -> LayerKind:
    """SIDEWALK when most features of a sample are sidewalks or crossings, else HDMAP."""
    if not len(column):
        return LayerKind.HDMAP
    walked = pc.sum(pc.is_in(column, pa.array([str(kind) for kind in WALKED]))).as_py() or 0
    return LayerKind.SIDEWALK if walked * 2 > len(column) else LayerKind.HDMAP
