"""What `mapex join` writes, read with other tools: every value is the one of the tiles, or a change that was told."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from mapex.writers.changes import Changes
from mapex.writers.formats import WRITTEN, WrittenFormat
from mapex.writers.target import target_of
from mapex.writers.vector.features import features_of
from mapex.writers.vector.moving import Moving
from tiles.batch import Batch, Content, LayerKind
from tiles.features.splitter import FeatureSplitter

WEST, SOUTH = 127.1, 37.4
SHAPES = (
    "POINT (127.1 37.4)",
    "POINT Z (127.11 37.4 30.125)",
    "LINESTRING ZM (127.1 37.4 1 2, 127.112 37.401 3 4)",
    "LINESTRING M (127.1 37.4 5, 127.103 37.401 6)",
    "POLYGON Z ((127.1 37.4 1, 127.101 37.4 1, 127.101 37.401 1, 127.1 37.4 1))",
    "MULTIPOINT ((127.1 37.4), (127.12 37.41))",
    "GEOMETRYCOLLECTION (POINT (127.1 37.4), LINESTRING (127.1 37.4, 127.13 37.4))",
)
OURS = ["fid", "FID", "geom", "geometry", "ogc_fid", "kind", "Kind", "source", "feature_id", "attribute_kind", "more_attributes"]
ODD = [
    "fixme",
    "FIXME",
    "FIXME_2",
    "name:ko",
    "이름",
    "É",
    "é",
    "a b",
    'say "so"',
    "it's",
    "select",
    "a.b",
    "",
    " ",
    "ß",
    "SS",
    "\0",
    "a\0b",
]
NAMES = st.sampled_from(OURS + ODD) | st.text(max_size=8)
NUMBER_WORDS = ["NaN", "Infinity", "-Infinity", "1", "true", "null"]
TEXTS = st.text(max_size=12) | st.sampled_from([*NUMBER_WORDS, "2026-11-30T09:00:00+09:00", "\ud800", "\0"])
NUMBERS = st.integers(-(1 << 70), 1 << 70) | st.sampled_from([(1 << 53) + 1, (1 << 63) - 1, -(1 << 63), 1 << 63]) | st.floats()
SIMPLE = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = SIMPLE | st.lists(SIMPLE, max_size=3) | st.dictionaries(st.text(max_size=3), SIMPLE, max_size=3)
COLUMN = st.sampled_from(
    [st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(), TEXTS, NUMBERS, VALUES, st.lists(SIMPLE, max_size=2), st.none()]
)
ROW = st.tuples(st.sampled_from(["lane_centre", "sidewalk", "other"]), st.sampled_from(SHAPES))

SHAPE = "the geometry"
"""Key of the geometry in rows that were read: no attribute has it."""

Read = Callable[[Path, list[str]], list[dict[str, Any]]]


@st.composite
def maps(draw: st.DrawFn) -> list[tuple[str, str, dict[str, Any]]]:
    """Kind, shape and attributes of some features; a column has values of one type, or of any."""
    columns = draw(st.dictionaries(NAMES, COLUMN, max_size=5))
    made = []
    for kind, shape in draw(st.lists(ROW, min_size=1, max_size=6)):
        attributes = {name: draw(st.none() | values) for name, values in columns.items() if draw(st.integers(0, 4))}
        made.append((kind, shape, attributes))
    return made


def as_tiles_write(value: Any) -> Any:
    """NaN and infinities are texts in tiles."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [as_tiles_write(inner) for inner in value]
    return {name: as_tiles_write(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def tiles_of(rows: list[tuple[str, str, dict[str, Any]]], folder: Path) -> list[Path]:
    table = pa.table(
        {
            "feature_id": [f"f{k}" for k in range(len(rows))],
            "kind": [kind for kind, _, _ in rows],
            "geometry": [shapely.to_wkb(shapely.from_wkt(shape), flavor="iso") for _, shape, _ in rows],
            "properties": [json.dumps(as_tiles_write(attributes)) for _, _, attributes in rows],
        }
    )
    splitter = FeatureSplitter(folder, layer="hdmap", part=0)
    splitter.add(Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table))
    return [folder / tile.path for tile in splitter.finish()]


def joined(paths: list[Path], row: WrittenFormat, folder: Path) -> tuple[list[dict[str, Any]], Changes]:
    """The rows of a joined file as another tool reads them, and what was told about them."""
    writer, out = row.features(), folder / f"map{row.ending}"
    changes = Changes(writer.FORMAT)
    layers = writer.write(features_of(paths, Moving(target_of("EPSG:4326", None)), lambda _done, _total: None), out, "map", changes)
    return READERS[row.name](out, layers), changes


def from_geopackage(path: Path, layers: list[str]) -> list[dict[str, Any]]:
    import pyogrio

    rows = []
    for layer in layers:
        about, table = pyogrio.read_arrow(path, layer=layer)
        rows += [{**row, SHAPE: row.pop(about["geometry_name"] or "wkb_geometry")} for row in table.to_pylist()]
        assert {row["kind"] for row in rows[-table.num_rows :]} == {layer}
    return rows


def from_parquet(path: Path, _layers: list[str]) -> list[dict[str, Any]]:
    import geopandas

    rows = [{**row, SHAPE: row.pop("geometry")} for row in pq.read_table(path).to_pylist()]
    assert len(geopandas.read_parquet(path)) == len(rows)
    return rows


def from_geojson(path: Path, _layers: list[str]) -> list[dict[str, Any]]:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(path.read_bytes().decode("utf-8"), parse_constant=refuse)
    return [{**f["properties"], SHAPE: shapely.to_wkb(shapely.geometry.shape(f["geometry"]), flavor="iso")} for f in found["features"]]


def from_folder(path: Path, layers: list[str]) -> list[dict[str, Any]]:
    import pyogrio

    assert {file.stem for file in path.iterdir()} == set(layers)
    rows = []
    for file in sorted(path.iterdir()):
        if file.suffix in (".fgb", ".shp"):
            _, table = pyogrio.read_arrow(file)
            rows += [{**row, SHAPE: row.pop("wkb_geometry")} for row in table.to_pylist()]
    return rows


READERS: Mapping[str, Read] = {
    "geopackage": from_geopackage,
    "geoparquet": from_parquet,
    "geojson": from_geojson,
    "flatgeobuf": from_folder,
    "shapefile": from_folder,
}


def is_same(given_value: Any, found: Any) -> bool:
    if isinstance(given_value, float) and math.isnan(given_value):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(given_value, float) or isinstance(found, float):
        return type(found) in (int, float) and type(given_value) in (int, float) and given_value == found
    return type(given_value) is type(found) and bool(given_value == found)


def is_told(value: Any, found: Any, told: set[str]) -> bool:
    """Whether a value that was found differs from the given one only as was told."""
    if found is None:
        unreal = "not_finite" in told and (isinstance(value, float) or value in ("NaN", "Infinity", "-Infinity"))
        large = "too_large" in told and isinstance(value, int | float) and abs(value) >= 1e22
        return unreal or large or ("blank" in told and isinstance(value, str) and not value.strip(" \t\0"))
    if not isinstance(found, str):
        are_numbers = isinstance(value, int | float) and isinstance(found, int | float)
        return "rounded" in told and are_numbers and math.isclose(value, found, rel_tol=1e-9, abs_tol=1e-14)
    if isinstance(value, str):
        expected = value.encode("utf-8", "backslashreplace").decode() if "not_utf8" in told else value
        return found in (expected, expected.replace("\0", "\\u0000") if "nul" in told else expected)
    if told & {"number_text", "mixed_text", "nested_text", "wide_text"}:
        return found == as_tiles_write(value) or json.loads(found) == json.loads(json.dumps(as_tiles_write(value)))
    return False


def is_held(value: Any, found: Any, told: set[str]) -> bool:
    if is_same(value, found) or is_told(value, found, told):
        return True
    # A text "NaN" in a column of numbers is how tiles write the number.
    texts = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    if isinstance(value, str) and value in texts and is_same(texts[value], found):
        return True
    return found == as_tiles_write(value) and isinstance(value, float | list | dict)


@pytest.mark.parametrize("row", [row for row in WRITTEN if not row.is_cloud], ids=lambda row: row.name)
@settings(max_examples=36, deadline=None)
@given(rows=maps())
def test_what_is_read_back_is_what_was_bought_or_was_told(row: WrittenFormat, rows: list[tuple[str, str, dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        found, changes = joined(tiles_of(rows, Path(name)), row, Path(name))
    told: dict[str, set[str]] = {}
    named: dict[str, set[str]] = {}
    labels: dict[tuple[str, str], str] = {}
    for change in changes.as_json():
        told.setdefault(change["column"], set()).add(change["change"])
        named.setdefault(change["change"], set()).update(change.get("features", ()))
        if change["change"] == "renamed":
            labels.update({(layer, change["column"]): change["as"] for layer in change["layers"] or [""]})
    by_id = {row["feature_id"]: row for row in found}
    gone = named.get("no_shape", set())
    assert len(found) == len(by_id) == len(rows) - len(gone) and not gone & set(by_id)
    for number, (kind, shape, attributes) in enumerate(rows):
        if f"f{number}" in gone:
            assert shape.startswith("GEOMETRYCOLLECTION")
            continue
        there = by_id[f"f{number}"]
        assert there["kind"] == kind
        for column, value in attributes.items():
            label = labels.get((kind, column), labels.get(("", column), column))
            assert is_held(value, there[label], told.get(column, set())), (column, value, there[label], told)
        assert_same_shape(shapely.from_wkb(there[SHAPE]), shapely.from_wkt(shape), loses_m="measures" in told.get("", set()))


def assert_same_shape(there: shapely.Geometry, given_shape: shapely.Geometry, *, loses_m: bool) -> None:
    """Every vertex is the same; rings may go round the other way, which GeoJSON and Shapefile have rules for."""
    if loses_m and given_shape.has_m:
        given_shape = shapely.from_wkb(shapely.to_wkb(given_shape, output_dimension=3 if given_shape.has_z else 2))
    texts = [shapely.to_wkt(shapely.orient_polygons(one), output_dimension=4, rounding_precision=-1) for one in (there, given_shape)]
    assert texts[0] == texts[1]


@given(st.sampled_from(SHAPES), st.booleans())
def test_a_moved_geometry_keeps_its_type_heights_and_measures(text: str, big_endian: bool) -> None:
    here = shapely.from_wkt(text)
    (moved,) = Moving(target_of("EPSG:5186", None)).of([shapely.to_wkb(here, flavor="iso", byte_order=0 if big_endian else 1)])
    there = shapely.from_wkb(moved)
    assert (there.geom_type, there.has_z, there.has_m) == (here.geom_type, here.has_z, here.has_m)
    before, after = (shapely.get_coordinates(shape, include_z=True, include_m=True) for shape in (here, there))
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:5186", always_xy=True).transform(before[:, 0], before[:, 1])
    np.testing.assert_array_equal(after, np.column_stack([x, y, before[:, 2:]]))
