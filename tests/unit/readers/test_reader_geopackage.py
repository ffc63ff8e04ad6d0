"""Values of a GeoPackage are those that SQLite holds, whatever its columns are declared as, and each is judged alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from ingest.readers.tables import fgb_head
from mapex.writers.vector import styles
from tests.support.reading import Received, received

GOOD: dict[str, tuple[Any, Any]] = {
    "DATE": ("2024-02-29", "2024-02-29"),
    "DATETIME": ("2024-02-29T01:02:03.004Z", "2024-02-29T01:02:03.004Z"),
    "INTEGER": (9007199254740993, 9007199254740993),
    "MEDIUMINT": (-5, -5),
    "SMALLINT": (5, 5),
    "BOOLEAN": (0, False),
    "REAL": (1.25, 1.25),
    "FLOAT": (127.123456789, 127.123456789),
    "TEXT": ("판교로", "판교로"),
    "TEXT(2)": ("판교로", "판교로"),
    "BLOB": (b"ab", "YWI="),
    "JSON": ('{"a": 1}', '{"a": 1}'),
    "VARCHAR(20)": ("판교로", "판교로"),
    "TIMESTAMP": ("2024-02-29 01:02", "2024-02-29 01:02"),
}
"""Declared type -> a value that fits, and what is sold; GDAL leaves out the columns of the last three."""

ODD: list[tuple[str, Any, Any, str]] = [
    ("DATE", "2023-02-30", "2023-02-30", "value.misfit"),
    ("DATE", "2023", 2023, "value.misfit"),
    ("DATE", "0000-00-00", "0000-00-00", "value.misfit"),
    ("DATETIME", "2023-02-30T00:00:00Z", "2023-02-30T00:00:00Z", "value.misfit"),
    ("INTEGER", "abc", "abc", "value.misfit"),
    ("INTEGER", 12.5, 12.5, "value.misfit"),
    ("MEDIUMINT", 3_000_000_000, 3_000_000_000, ""),
    ("SMALLINT", 40_000, 40_000, ""),
    ("BOOLEAN", 2, 2, "value.misfit"),
    ("BOOLEAN", "yes", "yes", "value.misfit"),
    ("REAL", "abc", "abc", "value.misfit"),
    ("REAL", 1e999, "Infinity", ""),
    ("TEXT", "a\x00b", "a\x00b", ""),
    ("TEXT", b"\xb4\xeb", "tOs=", "value.misfit"),
    ("BLOB", "text", "text", "value.misfit"),
]
"""Declared type, a stored value, what is sold, and the finding."""


def geopackage(tmp_path: Path, kind: str, values: list[Any]) -> Path:
    """A GeoPackage of points with one column `v` of a declared type, its values put in by SQLite."""
    path = tmp_path / "map.gpkg"
    points = [shapely.Point(127 + number / 1000, 37.5) for number in range(len(values))]
    gpd.GeoDataFrame({"kind": ["pole"] * len(values)}, geometry=points, crs=4326).to_file(path, layer="roads", engine="pyogrio")
    with closing(sqlite3.connect(path)) as db, db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{name}"')
        db.execute(f"ALTER TABLE roads ADD COLUMN v {kind}")
        db.executemany("UPDATE roads SET v = ? WHERE fid = ?", [(value, number + 1) for number, value in enumerate(values)])
    return path


def values_of(there: Received) -> list[Any]:
    return [row["v"] for row in there.properties().values()]


def test_styles_of_qgis_are_named_and_are_no_features(tmp_path: Path) -> None:
    path = tmp_path / "map.gpkg"
    gpd.GeoDataFrame({"kind": ["kerb"]}, geometry=[shapely.Point(127.0, 37.5)], crs="EPSG:4326").to_file(path, layer="kerb")
    styles.put_into(path, {"kerb": "Point"})
    there = received(path)
    assert (there.table.num_rows, there.codes) == (1, {"gpkg.styles"})


@pytest.mark.parametrize("kind", GOOD)
def test_a_value_of_its_type_is_sold_as_it_is(tmp_path: Path, kind: str) -> None:
    stored, sold = GOOD[kind]
    there = received(geopackage(tmp_path, kind, [stored, None]))
    assert values_of(there) == [sold, None]
    assert not {one.code for one in there.findings if one.code.startswith(("value.", "text."))}


@pytest.mark.parametrize(("kind", "odd", "sold", "code"), ODD)
def test_a_value_of_another_type_changes_no_other_and_is_named(tmp_path: Path, kind: str, odd: Any, sold: Any, code: str) -> None:
    stored, good = GOOD[kind]
    there = received(geopackage(tmp_path, kind, [stored, odd, stored, None]))
    assert values_of(there) == [good, sold, good, None]
    found = [(one.code, one.feature) for one in there.findings if one.code.startswith(("value.", "text."))]
    assert found == ([(code, "2")] if code else [])
    assert there.kinds() == {"pole": 4}


def test_a_blob_among_classes_leaves_the_others_their_class(tmp_path: Path) -> None:
    path = geopackage(tmp_path, "TEXT", ["a", "b", "c"])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE roads SET kind = x'ff' WHERE fid = 2")
    assert received(path).table.column("kind").to_pylist()[::2] == ["pole", "pole"]


@pytest.mark.parametrize("name", ["map.gpkg", "map.fgb"])
def test_text_that_is_not_utf8_is_mended_before_it_is_anywhere(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    points = [shapely.Point(127 + number / 1000, 37.5) for number in range(3)]
    frame = gpd.GeoDataFrame({"id": ["a", "b", "c"], "name": ["보도보", "판교로", "차도차"]}, geometry=points, crs=4326)
    frame.to_file(path, engine="pyogrio")
    body = path.read_bytes()
    assert body.count("판교로".encode()) == 1
    path.write_bytes(body.replace("판교로".encode(), "판교".encode() + b"xx\xeb"))
    there = received(path)
    there.table.validate(full=True)
    assert {key: row["name"] for key, row in there.properties().items()} == {"a": "보도보", "b": "판교xx\ufffd", "c": "차도차"}
    assert [one.feature for one in there.findings if one.code == "text.damaged"] == ["b"]


def test_a_time_that_does_not_exist_is_named_in_flatgeobuf_too(tmp_path: Path) -> None:
    path = tmp_path / "map.fgb"
    frame = gpd.GeoDataFrame({"t": ["2023-02-28T10:00:00"]}, geometry=[shapely.Point(127, 37.5)], crs=4326)
    frame.astype({"t": "datetime64[ms]"}).to_file(path, engine="pyogrio")
    path.write_bytes(path.read_bytes().replace(b"2023-02-28T", b"2023-02-30T"))
    there = received(path)
    assert [row["t"] for row in there.properties().values()] == ["2023-02-30T10:00:00"]
    assert there.finding("value.misfit").value == "2023-02-30T10:00:00"


def test_unsigned_numbers_of_flatgeobuf_are_exact(tmp_path: Path) -> None:
    """GDAL makes floats of them."""
    path = tmp_path / "map.fgb"
    numbers = [2**53 + 1, 2**62 + 1, 7]
    points = [shapely.Point(127 + n / 1000, 37.5) for n in range(3)]
    gpd.GeoDataFrame({"name": ["a", "b", "c"], "u": numbers}, geometry=points, crs=4326).to_file(path, engine="pyogrio")
    body = bytearray(path.read_bytes())
    body[unsigned_type(path)] = 8
    path.write_bytes(body.replace((2**62 + 1).to_bytes(8, "little"), (2**64 - 1).to_bytes(8, "little")))
    assert {row["name"]: row["u"] for row in received(path).properties().values()} == {"a": 2**53 + 1, "b": str(2**64 - 1), "c": 7}


def unsigned_type(path: Path) -> int:
    """Where the type of the last column is: the head is asked for signed ones in its place."""
    head = path.read_bytes()[12:4096]
    return 12 + dict(fgb_head._columns(head))["u"]


# --- Rows without geometry

ROW = shapely.LineString([(127.1, 37.4), (127.101, 37.4)])
EMPTY = [shapely.LineString(), shapely.Point(), shapely.Polygon(), None]


def table_of(tmp_path: Path, ending: str, shapes: list[Any]) -> Path:
    path = tmp_path / f"map.{ending}"
    frame = gpd.GeoDataFrame({"name": [f"n{n}" for n in range(len(shapes))]}, geometry=shapes, crs=4326)
    if ending == "parquet":
        frame.to_parquet(path)
    else:  # GDAL writes no row without geometry into an index
        frame.to_file(path, engine="pyogrio", **({"SPATIAL_INDEX": "NO"} if ending == "fgb" else {}))
    return path


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "geojson", "parquet"])
@pytest.mark.parametrize(
    "shapes",
    [
        [ROW, None, ROW, None, ROW],
        [None, ROW],
        [ROW, *EMPTY],
        [None, None],
        [ROW, shapely.Point(127.1, 37.4), None, shapely.MultiLineString([ROW])],
    ],
)
def test_rows_without_geometry_keep_their_values_and_the_others_their_place(tmp_path: Path, ending: str, shapes: list[Any]) -> None:
    there = received(table_of(tmp_path, ending, shapes))
    assert there.codes <= {"kind.unknown"}
    assert there.table.num_rows == len(shapes)
    assert [json.loads(text)["name"] for text in there.table.column("properties").to_pylist()] == [f"n{n}" for n in range(len(shapes))]
    read = shapely.from_wkb(there.table.column("geometry").to_pylist())
    assert [None if shape is None or shape.is_empty else shape for shape in read] == [s if s else None for s in shapes]


def test_flatgeobuf_that_states_no_number_of_rows_is_read_to_its_end(tmp_path: Path) -> None:
    path = table_of(tmp_path, "fgb", [ROW, None, ROW])
    body = bytearray(path.read_bytes())
    head = bytes(body[12:])
    at = fgb_head._field(head, fgb_head._at(head, 0), 8)
    assert at is not None
    body[12 + at : 20 + at] = bytes(8)
    path.write_bytes(body)
    there = received(path)
    assert (there.table.num_rows, there.codes) == (3, {"kind.unknown"})


def test_rows_without_geometry_are_counted_as_unplaced(samples: Path) -> None:
    there = received(samples / "reports" / "n.fgb")
    assert [shape is not None for shape in shapely.from_wkb(there.table.column("geometry").to_pylist())] == [True, False, False]
    assert there.codes == set()
