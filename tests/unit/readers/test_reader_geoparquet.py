"""GeoParquet: what the specification says of CRS and encodings, and what hostile files try."""

from __future__ import annotations

import decimal
import json
import struct
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from ingest.reader import Source
from ingest.readers.vector import attributes
from ingest.readers.vector.geoparquet import GeoParquet
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tests.support.reading import received

POINTS = [shapely.Point(127.0 + n / 100, 37.5, n) for n in range(4)]


def parquet(tmp_path: Path, geo: dict[str, Any] | None, geometry: Any = None, **columns: Any) -> Path:
    wkb = geometry if geometry is not None else pa.array([shapely.to_wkb(p, flavor="iso") for p in POINTS], pa.binary())
    table = pa.table({"id": [f"p{n}" for n in range(len(wkb))], **columns, "geometry": wkb})
    if geo is not None:
        table = table.replace_schema_metadata({"geo": json.dumps(geo)})
    pq.write_table(table, tmp_path / "map.parquet")
    return tmp_path / "map.parquet"


def geo(**column: Any) -> dict[str, Any]:
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB", "geometry_types": [], **column}}}


def test_no_crs_key_means_degrees_and_null_means_unknown(tmp_path: Path) -> None:
    assert received(parquet(tmp_path, geo())).survey.placed.crs_source is Known.FILE
    assert received(parquet(tmp_path, geo(crs=None))).survey.placed.crs_source is Known.NONE


def test_metadata_that_was_added_when_the_rows_were_written_are_those_of_the_file(tmp_path: Path) -> None:
    table = pq.read_table(parquet(tmp_path, None))
    with pq.ParquetWriter(tmp_path / "map.parquet", table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"geo": json.dumps(geo(crs=pyproj.CRS("EPSG:5186").to_json_dict()))})
    assert received(tmp_path / "map.parquet").survey.placed.crs == "EPSG:5186"


def test_kind_and_id_in_our_words_are_believed_and_one_of_them_alone_is_read_like_any_other(tmp_path: Path) -> None:
    kinds, ways = ["other", "kerb", "signal", "node"], ["footway"] * 4
    ours = received(parquet(tmp_path, geo(), feature_id=["a", "b", "c", "d"], kind=kinds, highway=ways))
    assert ours.table.column("kind").to_pylist() == kinds and ours.table.column("feature_id").to_pylist() == ["a", "b", "c", "d"]
    assert received(parquet(tmp_path, geo(), kind=kinds, highway=ways)).table.column("kind").to_pylist()[0] == "sidewalk"
    mixed = received(parquet(tmp_path, geo(), feature_id=["a", "b", "c", "d"], kind=[*kinds[:3], "lamp"], highway=ways))
    assert mixed.table.column("kind").to_pylist()[0] == "sidewalk"


def test_the_bytes_of_geometries_are_not_touched(tmp_path: Path) -> None:
    path = parquet(tmp_path, geo())
    assert received(path).table.column("geometry").to_pylist() == pq.read_table(path).column("geometry").to_pylist()


def test_big_endian_and_extended_wkb_become_iso(tmp_path: Path) -> None:
    mixed = [
        shapely.to_wkb(POINTS[0], byte_order=0),
        shapely.to_wkb(POINTS[1], flavor="extended"),
        shapely.to_wkb(shapely.set_srid(POINTS[2], 4326), include_srid=True),
    ]
    there = received(parquet(tmp_path, geo(), pa.array(mixed, pa.binary())))
    assert there.table.column("geometry").to_pylist() == [shapely.to_wkb(p, flavor="iso", byte_order=1) for p in POINTS[:3]]


def test_covering_boxes_are_not_attributes(tmp_path: Path) -> None:
    boxes = pa.array([{"xmin": 1.0, "ymin": 2.0, "xmax": 3.0, "ymax": 4.0}] * 4)
    covering = {"bbox": {edge: ["bbox", edge] for edge in ("xmin", "ymin", "xmax", "ymax")}}
    there = received(parquet(tmp_path, geo(covering=covering), bbox=boxes))
    assert "bbox" not in there.properties()["p0"]


def test_parquet_without_geo_metadata_is_read_as_wkb_and_reported_unplaced(tmp_path: Path) -> None:
    there = received(parquet(tmp_path, None))
    assert {"format.assumed", "crs.none"} <= there.codes


def test_parquet_without_geometry_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(Invalid) as refused:
        received(tmp_path / "t.parquet")
    assert refused.value.code == "format.unsupported"


def test_native_encoding_is_rebuilt_with_its_vertices(tmp_path: Path) -> None:
    lines = [shapely.LineString([(127, 37, 1), (127.1, 37.1, 2)]), shapely.LineString([(128, 37, 1), (128.1, 37.1, 2), (129, 38, 3)])]
    gpd.GeoDataFrame({"id": ["a", "b"]}, geometry=lines, crs=4326).to_parquet(tmp_path / "map.parquet", geometry_encoding="geoarrow")
    there = received(tmp_path / "map.parquet")
    assert all(shapely.equals_exact(there.shapes()[name], line, tolerance=0.0) for name, line in zip("ab", lines, strict=True))


def test_a_nest_of_20000_collections_is_refused_without_dying(tmp_path: Path) -> None:
    """shapely.from_wkb of it ends the process with SIGSEGV."""
    deep = struct.pack("<BII", 1, 7, 1) * 20_000 + struct.pack("<BI2d", 1, 1, 127.0, 37.0)
    there = received(parquet(tmp_path, geo(), pa.array([deep, shapely.to_wkb(POINTS[0], flavor="iso")], pa.binary())))
    assert there.ids == ["p1"]
    assert (there.finding("geometry.refused").feature, there.rejected) == ("p0", 1)


def test_a_dictionary_bomb_is_expanded_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of 500 kB may stand for gigabytes of text."""
    monkeypatch.setattr(attributes, "MAX_TEXT", 1 << 20)
    rows = 2_000
    points = pa.array([shapely.to_wkb(POINTS[0], flavor="iso")] * rows, pa.binary())
    path = parquet(tmp_path, geo(), points, text=pa.array(["x" * 100_000] * rows).dictionary_encode())
    assert path.stat().st_size < 1_000_000
    there: list[int] = []
    source = Source.of(path)
    for batch in GeoParquet().read(source, GeoParquet().survey(source, Placement()).placed):
        table = getattr(batch, "table", None)
        if table is not None:
            there.append(table.num_rows)
            assert table.nbytes < 4 << 20
    assert sum(there) == rows


def test_garbage_behind_the_magic_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "map.parquet").write_bytes(b"PAR1" + b"\xff" * 1000 + b"PAR1")
    with pytest.raises(Invalid) as refused:
        received(tmp_path / "map.parquet")
    assert refused.value.code == "file.damaged"


def test_attributes_of_every_type_are_json(tmp_path: Path) -> None:
    import datetime as dt

    columns = {
        "whole": pa.array([1, None, -(2**62), 0]),
        "real": pa.array([0.1, 1.0, float("nan"), None]),
        "text": pa.array(['a"b', "한\n글", "", None]),
        "flag": pa.array([True, False, None, True]),
        "day": pa.array([dt.date(2024, 2, 29)] * 4),
        "time": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3)] * 4, pa.timestamp("ms", tz="UTC")),
        "list": pa.array([[1, 2], [], None, [3]]),
        "nest": pa.array([{"a": 1, "b": "x"}] * 4),
        "exact": pa.array([decimal.Decimal("1.10")] * 4),
        "code": pa.array(["u", "v", None, "u"]).dictionary_encode(),
    }
    first, second, third, _ = received(parquet(tmp_path, geo(), **columns)).properties().values()
    assert first["text"] == 'a"b'
    assert (first["whole"], first["real"], first["day"], first["time"], first["list"], first["nest"]) == (
        1, 0.1, "2024-02-29", "2024-02-29T01:02:03.000Z", [1, 2], {"a": 1, "b": "x"},
    )  # fmt: skip
    assert (second["whole"], second["real"], second["text"], second["flag"], second["exact"]) == (None, 1.0, "한\n글", False, "1.10")
    assert isinstance(second["real"], float)
    assert (third["whole"], third["real"], third["code"]) == (-(2**62), "NaN", None)


def test_text_that_is_not_utf8_is_mended_cell_by_cell(tmp_path: Path) -> None:
    """Arrow passes the bytes of Parquet on unchecked, in lists and dictionaries too."""
    cut = pa.array(["보도".encode(), "판교".encode()[:5], None, b"a"]).view(pa.string())
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), cut)
    there = received(parquet(tmp_path, geo(), name=cut, names=lists))
    rows = list(there.properties().values())
    assert [row["name"] for row in rows] == ["보도", "판\ufffd", None, "a"]
    assert [row["names"] for row in rows] == [["보도"], ["판\ufffd"], [None], ["a"]]
    assert [one.feature for one in there.findings if one.code == "text.damaged"] == ["p1", "p1"]
    there.table.validate(full=True)


def test_whole_numbers_are_exact_and_times_are_iso_in_nested_columns_too(tmp_path: Path) -> None:
    columns = {
        "big": pa.array([2**64 - 1, 1, None, 0], pa.uint64()),
        "pnu": pa.array(
            [decimal.Decimal(text) for text in ("4113510900106140001", "9223372036854775808", "-1", "0")], pa.decimal128(22, 0)
        ),
        "times": pa.array([[1, None]] * 4, pa.list_(pa.timestamp("ns", "Asia/Seoul"))),
        "lasts": pa.array([1_500_000_001] * 4, pa.duration("ns")),
        "map": pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())),
        "flags": pa.array([[True, None], [], None, [False]], pa.list_(pa.bool_())),
    }
    rows = list(received(parquet(tmp_path, geo(), **columns)).properties().values())
    assert [row["big"] for row in rows] == ["18446744073709551615", 1, None, 0]
    assert [row["pnu"] for row in rows] == [4113510900106140001, "9223372036854775808", -1, 0]
    first = rows[0]
    assert (first["times"], first["lasts"], first["map"]) == (["1970-01-01T00:00:00.000000001Z", None], "PT1.500000001S", [["a", 1]])
    assert [row["flags"] for row in rows] == [[True, None], [], None, [False]]


def test_an_id_too_large_for_64_bits_is_an_id(tmp_path: Path) -> None:
    wkb = pa.array([shapely.to_wkb(POINTS[0])], pa.binary())
    pq.write_table(pa.table({"id": [1e19], "geometry": wkb}).replace_schema_metadata({"geo": json.dumps(geo())}), tmp_path / "map.parquet")
    assert received(tmp_path / "map.parquet").ids == ["1e+19"]


# --- Parquet's own types


class Wkb(pa.ExtensionType):  # type: ignore[misc]
    """GeoArrow's type of WKB, of which pyarrow makes Parquet's GEOMETRY or GEOGRAPHY."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.about = about
        super().__init__(pa.binary(), "geoarrow.wkb")

    def __arrow_ext_serialize__(self) -> bytes:
        return json.dumps(self.about).encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> Wkb:
        return cls(json.loads(serialized))


def native(path: Path, about: dict[str, Any], metadata: dict[str, str] | None = None, *, column: str = "shape") -> Path:
    shapes = pa.array([shapely.to_wkb(shapely.Point(209_000, 533_000))], pa.binary())
    other = pa.array([b"more"], pa.binary())
    table = pa.table({"id": ["a"], "blob": other, column: pa.ExtensionArray.from_storage(Wkb(about), shapes)})
    pq.write_table(table.replace_schema_metadata(metadata), path / "map.parquet")
    return path / "map.parquet"


PROJJSON = pyproj.CRS(5186).to_json_dict()


@pytest.mark.parametrize(
    ("stated", "metadata"),
    [
        ("EPSG:5186", None),
        ("srid:5186", None),
        (PROJJSON, None),
        ("projjson:korea", {"korea": json.dumps(PROJJSON)}),
        (pyproj.CRS(5186).to_wkt(), None),
    ],
)
@pytest.mark.parametrize("column", ["shape", "Linien"])
def test_native_geometry_states_its_crs_in_any_form(tmp_path: Path, stated: Any, metadata: dict[str, str] | None, column: str) -> None:
    there = received(native(tmp_path, {"crs": stated}, metadata, column=column))
    assert (there.survey.placed.crs, there.survey.placed.crs_source) == ("EPSG:5186", Known.FILE)
    assert there.codes == {"kind.unknown"}
    assert there.properties()["a"]["blob"] == "bW9yZQ=="
    (shape,) = shapely.from_wkb(there.raw[0].table.column("geometry").to_pylist())
    assert (shape.x, shape.y) == (209_000, 533_000)


def test_native_geometry_without_a_crs_is_in_degrees(tmp_path: Path) -> None:
    assert received(native(tmp_path, {})).survey.placed.crs == "EPSG:4326"


@pytest.mark.parametrize("stated", ["srid:0", "projjson:nowhere", "no such system"])
def test_native_geometry_whose_crs_nobody_knows_is_unplaced(tmp_path: Path, stated: str) -> None:
    assert received(native(tmp_path, {"crs": stated})).survey.placed.crs_source is Known.NONE


def test_geography_says_that_its_lines_are_taken_as_straight(tmp_path: Path) -> None:
    there = received(native(tmp_path, {"edges": "spherical"}))
    assert (there.survey.placed.crs, there.finding("geometry.edges").value) == ("EPSG:4326", "spherical")


GEO = {"version": "1.1.0", "primary_column": "shape", "columns": {"shape": {"encoding": "WKB", "geometry_types": ["Point"]}}}


@pytest.mark.parametrize(
    ("in_geo", "in_type", "used", "severity"),
    [
        (PROJJSON, "EPSG:5186", "EPSG:5186", None),
        (PROJJSON, "EPSG:5187", "EPSG:5186", "question"),
        (PROJJSON, None, "EPSG:5186", "warning"),
        ("absent", "EPSG:5186", "EPSG:5186", "warning"),
        ("absent", None, "EPSG:4326", None),
        (None, "EPSG:5186", "EPSG:5186", None),
        (None, None, None, None),
    ],
)
def test_two_statements_of_one_column_are_compared(
    tmp_path: Path, in_geo: Any, in_type: str | None, used: str | None, severity: str | None
) -> None:
    column = {**GEO["columns"]["shape"], **({} if in_geo == "absent" else {"crs": in_geo})}  # type: ignore[index]
    path = native(tmp_path, {"crs": in_type} if in_type else {}, {"geo": json.dumps({**GEO, "columns": {"shape": column}})})
    there = received(path)
    assert there.survey.placed.crs == used
    assert [str(f.severity) for f in there.survey.findings if f.code == "crs.two_stated"] == ([severity] if severity else [])
    assert "crs.two_stated" not in received(path, Placement(crs="EPSG:5187")).codes


def test_native_geometry_of_another_program_is_placed(samples: Path) -> None:
    there = received(samples / "reports" / "native_5186.parquet")
    assert (there.survey.placed.crs, there.survey.placed.crs_source) == ("EPSG:5186", Known.FILE)
