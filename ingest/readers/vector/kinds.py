"""From the words of a source (layer name, class attributes, OSM tags, NGII codes) to the closed vocabulary of `Kind`.

The source's own words stay in `properties`; this is only our reading of them. Nothing known = `Kind.OTHER`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.readers.vector.attributes import words_of
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

NGII_COLUMNS = ("subtype", "kind", "type", "linekind", "linetype", "pathtype", "kerb", "marktype", "markkind")
"""Attribute names (lower case) whose codes refine an NGII layer."""

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
        "roadborder|road_border|road_edge|차선",
        Kind.LANE_BORDER,
    ),
    ("lane_area|lanearea|lane_polygon|lanelet", Kind.LANE_AREA),
    ("a2_link|nt2_link|a1_lane$|lane_cent|lanecent|centerline|centreline|lane_link|차로", Kind.LANE_CENTRE),
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
    """The kind that OpenStreetMap or OpenSidewalks tags mean (OSM wiki: Sidewalks, Crossings, Kerb, Barriers; OpenSidewalks 0.2)."""
    value: Callable[[str], str] = lambda key: str(tags.get(key) or "")  # noqa: E731 - a word for a look-up
    if value("footway") == "crossing" or value("path") == "crossing" or value("highway") == "crossing" or value("cycleway") == "crossing":
        return Kind.CROSSING
    rules: tuple[tuple[bool, Kind], ...] = (
        (value("highway") == "traffic_signals" or value("crossing:signals") == "yes", Kind.SIGNAL),
        (bool(value("traffic_sign")) or value("highway") in {"stop", "give_way"}, Kind.SIGN),
        (value("barrier") == "kerb" or value("kerb") not in {"", "no", "none"}, Kind.KERB),
        (value("highway") == "cycleway", Kind.CYCLEWAY),
        (value("highway") in _FOOT or value("footway") in {"sidewalk", "traffic_island", "link", "alley"}, Kind.SIDEWALK),
        (bool(value("barrier")), Kind.BARRIER),
        (value("power") in {"pole", "tower"} or value("highway") == "street_lamp" or value("man_made") == "utility_pole", Kind.POLE),
        (value("junction") not in {"", "no"}, Kind.JUNCTION),
    )
    return next((kind for holds, kind in rules if holds), Kind.OTHER)


def kind_of_ngii(layer: str, codes: Mapping[str, str]) -> Kind | None:
    """The kind of a feature of the Korean precise road map (models 2019/2020 and 2024, and the older A1_LANE); None = no such layer.

    Args:
        layer: name of the layer or file; only its leading code (`A4`, `PW1`) counts, since endings are misspelt in real files.
        codes: attribute (lower case) -> code text.
    """
    name = _stem(layer)
    rule = next((made for prefix, made in _NGII if name.startswith(prefix)), None)
    return rule(codes) if rule is not None else None


def _always(kind: Kind) -> Callable[[Mapping[str, str]], Kind]:
    return lambda _codes: kind


def _by(column: str, table: Mapping[str, Kind], otherwise: Kind) -> Callable[[Mapping[str, str]], Kind]:
    return lambda codes: table.get(codes.get(column, ""), otherwise)


def _surface_mark(codes: Mapping[str, str]) -> Kind:
    crossing = codes.get("type") == "5" or codes.get("marktype") == "200"
    kind = codes.get("kind") or codes.get("markkind") or ""
    return Kind.CROSSING if crossing or kind in {"5321", "533", "534"} else Kind.MARKING


_LINES = {"530": Kind.STOP_LINE, "515": Kind.MARKING, "531": Kind.MARKING, "599": Kind.MARKING}
_NGII: tuple[tuple[str, Callable[[Mapping[str, str]], Kind]], ...] = (
    ("A1_NODE", _always(Kind.NODE)),
    ("A1_LANE", _always(Kind.LANE_CENTRE)),
    ("A2_LINK", _always(Kind.LANE_CENTRE)),
    ("A3_DRIVEWAY", _always(Kind.OTHER)),
    ("A4_SUBSIDIARY", _by("subtype", {"3": Kind.SIDEWALK, "4": Kind.CYCLEWAY}, Kind.OTHER)),
    ("A5_PARKING", _always(Kind.OTHER)),
    ("B1_SAFETYSIGN", _always(Kind.SIGN)),
    ("B2_SURFACELINE", _by("kind", _LINES, Kind.LANE_BORDER)),
    ("B3_SURFACEMARK", _surface_mark),
    ("C1_TRAFFICLIGH", _always(Kind.SIGNAL)),
    ("C2_KILOPOST", _always(Kind.OTHER)),
    ("C3_VEHICLEPROT", _by("type", {"4": Kind.KERB}, Kind.BARRIER)),
    ("C4_SPEEDBUMP", _always(Kind.OTHER)),
    ("C5_HEIGHTBARR", _always(Kind.BARRIER)),
    ("C6_POSTPOINT", _always(Kind.POLE)),
    ("NT1_NODE", _always(Kind.NODE)),
    ("NT2_LINK", _always(Kind.LANE_CENTRE)),
    ("RS1_ROADBORDER", _by("kerb", {"1": Kind.KERB, "Y": Kind.KERB}, Kind.LANE_BORDER)),
    ("RS2_ROADSTR", _always(Kind.OTHER)),
    ("RS3_", _always(Kind.OTHER)),
    ("PW1_PATHWAY", _by("pathtype", {"100": Kind.SIDEWALK, "200": Kind.CYCLEWAY}, Kind.SIDEWALK)),
    ("RM1_LANELINE", _by("linekind", _LINES, Kind.LANE_BORDER)),
    ("RM2_ROADMARK", _surface_mark),
    ("RM3_PARKING", _always(Kind.OTHER)),
    ("SF1_BARRIER", _always(Kind.BARRIER)),
    ("SF2_TRAFFICSIGN", _always(Kind.SIGN)),
    ("SF3_TRAFFICLIGH", _always(Kind.SIGNAL)),
    ("SF4_SUP", _always(Kind.POLE)),
    ("SF5_SPEEDBUMP", _always(Kind.OTHER)),
)


def _stem(layer: str) -> str:
    """The layer's own name: a folder may stand in front of it."""
    return layer.rsplit("/", 1)[-1].upper()


@lru_cache(maxsize=256)
def is_ngii(layer: str) -> bool:
    """Whether a layer name is one of the NGII precise road map."""
    return any(_stem(layer).startswith(prefix) for prefix, _ in _NGII)


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
    ngii = is_ngii(layer)
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
_OSM_COLUMNS = ("crossing", "path", "cycleway", "traffic_sign", "power", "man_made", "junction")


def kind_of(values: Mapping[str, str], layer: str) -> Kind:
    """The kind of one feature by its attributes (names in lower case, values as text) and the name of its layer."""
    if is_ngii(layer):
        kind = kind_of_ngii(layer, values)
        return kind if kind is not None else Kind.OTHER
    for column in CLASS_COLUMNS[:8]:
        text = values.get(column, "")
        kind = (kind_of_ngii(text, values) or kind_of_words(text)) if text else Kind.OTHER
        if kind is not Kind.OTHER:
            return kind
    tagged = kind_of_osm(values)
    return tagged if tagged is not Kind.OTHER else kind_of_words(values.get("layer", "") or _stem(layer))


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
