"""GeoJSON: exact, whole, and one bad feature at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from ingest.readers.vector import json_stream
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tests.support.reading import received


def feature(number: int, geometry: Any = None, **properties: Any) -> dict[str, Any]:
    geometry = geometry or {"type": "Point", "coordinates": [127.0 + number / 1000, 37.5, 12.25]}
    return {"type": "Feature", "id": f"f{number}", "properties": properties, "geometry": geometry}


def geojson(tmp_path: Path, features: list[Any], **members: Any) -> Path:
    path = tmp_path / "map.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": features}), encoding="utf-8")
    return path


def test_numbers_types_nesting_and_foreign_members_are_unchanged(tmp_path: Path) -> None:
    answer = {"a": 1, "b": 1.0, "c": 'x"\\\n한', "d": None, "e": [1, {"f": True}], "g": 12345678901234567890, "@source": "mine"}
    record = {**feature(1, **answer), "bbox": [1, 2, 3, 4], "confidence": 0.5}
    there = received(geojson(tmp_path, [record]))
    properties = there.properties()["f1"]
    source = properties.pop("@source")
    assert properties == {"@source#" if key == "@source" else key: value for key, value in answer.items()}
    assert source == {"layer": "map", "id": "f1", "bbox": [1, 2, 3, 4], "confidence": 0.5}


def test_all_types_of_geometry_keep_their_vertices(tmp_path: Path) -> None:
    shapes = [
        "POINT (127.1 37.123456789012345)",
        "LINESTRING Z (127.1 37.1 1, 127.2 37.2 2)",
        "POLYGON ((127 37, 128 37, 128 38, 127 37), (127.5 37.2, 127.6 37.2, 127.6 37.3, 127.5 37.2))",
        "MULTIPOINT ((127 37), (128 38))",
        "MULTILINESTRING ((127 37, 128 38), (127 38, 128 37))",
        "MULTIPOLYGON (((127 37, 128 37, 128 38, 127 37)))",
        "GEOMETRYCOLLECTION (POINT (127 37), LINESTRING (127 37, 128 38))",
    ]
    made = [shapely.from_wkt(text) for text in shapes]
    there = received(geojson(tmp_path, [feature(n, json.loads(shapely.to_geojson(shape))) for n, shape in enumerate(made)]))
    for mine, theirs in zip(there.shapes().values(), made, strict=True):
        assert shapely.equals_exact(mine, theirs, tolerance=0.0)
        assert mine.has_z == theirs.has_z


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [float("nan"), 37.0]},
        {"type": "Point", "coordinates": ["127", "37"]},
        {"type": "Point", "coordinates": [127.0]},
        {"type": "Point", "coordinates": [True, False]},
        {"type": "LineString", "coordinates": [[127.0, 37.0]]},
        {"type": "LineString", "coordinates": [127.0, 37.0]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[10, 10], [11, 11], [10, 11], [12, 10]]]},
        {"type": "Circle", "coordinates": [127.0, 37.0]},
        {"type": "Point"},
        "POINT (1 2)",
    ],
)
def test_a_geometry_that_cannot_be_used_rejects_its_feature_alone(tmp_path: Path, geometry: Any) -> None:
    there = received(geojson(tmp_path, [feature(1), feature(2, geometry), feature(3)]))
    assert there.ids == ["f1", "f3"]
    found = there.finding("geometry.refused")
    assert (found.feature, found.rejected) == ("f2", 1)


def test_a_deep_collection_is_refused_and_the_rest_comes_in(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"type": "Point", "coordinates": [127, 37]}
    for _ in range(40):
        deep = {"type": "GeometryCollection", "geometries": [deep]}
    there = received(geojson(tmp_path, [feature(1, deep), feature(2)]))
    assert there.ids == ["f2"]
    assert "deeper" in there.finding("geometry.refused").message


def test_json_nested_beyond_the_parser_is_one_bad_feature(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(1), {"X": 0}, feature(3)])
    path.write_text(path.read_text().replace('{"X": 0}', '{"a":' * 100_000 + "0" + "}" * 100_000))
    there = received(path)
    assert there.ids == ["f1", "f3"]
    assert "nested" in there.finding("feature.not_json").message


def test_a_cut_file_keeps_what_came_before(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(n) for n in range(10)])
    text = path.read_text()
    path.write_text(text[: text.index('"f7"')])
    there = received(path)
    assert there.ids == [f"f{n}" for n in range(7)]
    assert there.finding("file.damaged").severity == "error"


def test_a_quote_too_many_costs_one_feature(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(n, name=f"N{n}") for n in range(5)])
    path.write_text(path.read_text().replace('"N2"', '"N2""'))
    there = received(path)
    assert there.ids == ["f0", "f1", "f3", "f4"]
    assert there.finding("feature.not_json").rejected == 1


def test_a_feature_without_geometry_is_kept_and_unplaced(tmp_path: Path) -> None:
    there = received(geojson(tmp_path, [{"type": "Feature", "id": 7, "geometry": None, "properties": None}, feature(1)]))
    assert there.ids == ["7", "f1"]
    assert there.shapes()["7"] is None


def test_rows_without_id_are_numbered_by_layer(tmp_path: Path) -> None:
    records = [{k: v for k, v in feature(n).items() if k != "id"} for n in range(2)]
    assert received(geojson(tmp_path, records)).ids == ["map/0", "map/1"]


@pytest.mark.parametrize("separator", ["\n", "\n\x1e", "\r\n\r\n"])
def test_a_sequence_of_features_is_read(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "map.geojsonl"
    path.write_text(separator.join(json.dumps(feature(n)) for n in range(3)), newline="")
    assert received(path).ids == ["f0", "f1", "f2"]


def test_one_feature_and_one_geometry_are_read(tmp_path: Path) -> None:
    path = tmp_path / "one.geojson"
    path.write_text(json.dumps(feature(1)))
    assert received(path).ids == ["f1"]
    path.write_text('{"type": "Point", "coordinates": [127, 37]}')
    assert received(path).ids == ["one/0"]


def test_the_crs_member_of_2008_is_honoured(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::5179"}}
    there = received(geojson(tmp_path, [feature(1, {"type": "Point", "coordinates": [955_000, 1_950_000]})], crs=crs))
    assert (there.survey.placed.crs, there.survey.placed.crs_source) == ("EPSG:5179", Known.FILE)
    assert there.shapes()["f1"].x == pytest.approx(126.99, abs=0.1)


def test_numbers_that_are_no_degrees_ask_for_a_crs(tmp_path: Path) -> None:
    """RFC 7946 says degrees; 200000, 500000 are none."""
    path = geojson(tmp_path, [feature(1, {"type": "Point", "coordinates": [200_000, 500_000]})])
    assert received(path).survey.placed.crs_source is Known.NONE
    assert received(path, Placement(crs="EPSG:5186")).shapes()["f1"].x == pytest.approx(127.0, abs=0.01)


def test_latitude_first_is_found(tmp_path: Path) -> None:
    there = received(geojson(tmp_path, [feature(1, {"type": "Point", "coordinates": [37.5, 127.0]})]))
    assert "crs.swapped" in there.codes
    assert there.ids == []


def test_a_byte_order_mark_and_wrong_bytes_do_no_harm(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(1, name="NAME")])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"NAME", "차로".encode("cp949")))
    there = received(path)
    assert there.ids == ["f1"]
    assert (there.finding("text.damaged").feature, there.properties()["f1"]["name"]) == ("f1", "\ufffd" * 4)


def test_not_a_number_in_an_attribute_stays_json(tmp_path: Path) -> None:
    there = received(geojson(tmp_path, [feature(1, width=float("nan"), depth=float("-inf")), feature(2, width=1)]))
    assert there.properties()["f1"]["width"] == "NaN"
    assert there.properties()["f1"]["depth"] == "-Infinity"
    assert (there.finding("value.not_finite").feature, there.finding("value.not_finite").value) == ("f1", "NaN")


def test_a_number_too_large_for_a_float_keeps_its_digits(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(1, width="W", nested={"list": ["W", 2]}, long=10**40)])
    path.write_text(path.read_text(encoding="utf-8").replace('"W"', "-1.5e400"), encoding="utf-8")
    there = received(path)
    row = there.properties()["f1"]
    assert (row["width"], row["nested"], row["long"]) == ("-1.5e400", {"list": ["-1.5e400", 2]}, 10**40)
    assert there.finding("value.not_finite").value == "-1.5e400"


def test_a_number_of_thousands_of_digits_costs_no_feature(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(1, n="N"), feature(2, n=2)])
    path.write_text(path.read_text(encoding="utf-8").replace('"N"', "9" * 5000), encoding="utf-8")
    there = received(path)
    assert {key: row["n"] for key, row in there.properties().items()} == {"f1": "9" * 5000, "f2": 2}


def test_a_key_that_comes_twice_keeps_both_values(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(1, a=1, b=2)])
    path.write_text(path.read_text(encoding="utf-8").replace('"b"', '"a"'), encoding="utf-8")
    row = received(path).properties()["f1"]
    assert (row["a"], row["a#2"]) == (1, 2)


def test_what_a_vertex_has_beyond_its_place_is_kept(tmp_path: Path) -> None:
    lines = [[[127, 37, 1, 7], [127.001, 37, 2, 8]], [[127, 37, 1], [127.001, 37]], [[127, 37], [127.001, 37]]]
    shapes = [{"type": "LineString", "coordinates": line} for line in lines]
    shapes.append({"type": "MultiPoint", "coordinates": [[127, 37, 1, 5], [127, 37, 1]]})
    there = received(geojson(tmp_path, [feature(n, shape) for n, shape in enumerate(shapes)]))
    sources = [row["@source"] for row in there.properties().values()]
    assert [source.get("m") for source in sources] == [[7, 8], None, None, [5, None]]
    assert [source.get("z") for source in sources] == [None, [1, None], None, None]
    assert there.finding("height.mixed").count == 1


def test_what_a_collection_states_of_itself_is_named(tmp_path: Path) -> None:
    there = received(geojson(tmp_path, [feature(1)], name="판교", licence={"by": "me\ud800"}, crs=None, bbox=[127, 37, 128, 38]))
    found = there.finding("source.beside")
    assert found.severity == "info"
    assert json.loads(found.value) == {"name": "판교", "licence": '{"by": "me\ufffd"}'}


def test_korean_json_that_is_not_utf8_is_read_and_reported(tmp_path: Path) -> None:
    path = geojson(tmp_path, [feature(n, name="ascii" * 40) for n in range(2000)] + [feature(9999, name="NAME")])
    path.write_bytes(path.read_bytes().replace(b"NAME", "판교로".encode("cp949")))
    there = received(path)
    assert there.properties()["f9999"]["name"] == "판교로"
    assert there.finding("text.encoding_guessed").value == "cp949"


def test_members_after_the_features_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "map.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature(1)], "license": "ODbL", "bbox": [1, 2, 3, 4]}))
    assert received(path).raw[0].meta == {"license": "ODbL", "bbox": "[1, 2, 3, 4]"}


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_where_the_file_is_cut_into_chunks_does_not_matter(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = geojson(tmp_path, [feature(n, name='"}]{[\\"' + "가" * n) for n in range(30)], name="x")
    whole = received(path)
    monkeypatch.setattr(json_stream, "CHUNK", size)
    small = list(json_stream.Stream(path).features())
    assert [record["id"] for record in small] == whole.ids
    assert [record["properties"]["name"] for record in small] == [answer["name"] for answer in whole.properties().values()]


def test_json_that_is_no_geojson_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(Invalid) as refused:
        received(path)
    assert refused.value.code == "file.no_records"


def test_half_a_letter_costs_itself_alone(tmp_path: Path) -> None:
    """JSON may escape a lone surrogate; it is no text, so it is a finding that names the feature and the attribute."""
    bad = [
        feature(1, name="a\udcffb"),
        {**feature(2), "id": "x\ud800"},
        feature(3, **{"k\udfff": 1}),
        feature(4, nested={"list": ["\udcff"]}),
        {**feature(5), "note": "\udcff"},
    ]
    there = received(geojson(tmp_path, [feature(0, name="\U0001f6b8 한"), *bad, feature(9)], licence="by\udcff"))
    rows = there.properties()
    assert set(rows) == {"f0", "f1", "x\ufffd", "f3", "f4", "f5", "f9"}
    assert (rows["f1"]["name"], rows["f3"]["k\ufffd"], rows["f4"]["nested"]) == ("a\ufffdb", 1, {"list": ["\ufffd"]})
    assert rows["f5"]["@source"]["note"] == "\ufffd"
    found = [one for one in there.findings if one.code == "text.lone_surrogate"]
    assert [one.feature for one in found] == ["f1", "x\\ud800", "f3", "f4", "f5"]
    assert {(one.severity, one.rejected) for one in found} == {("warning", 0)}
    assert "name" in found[0].message and found[0].value == "a\\udcffb"
    assert "k\\udfff" in found[2].message and "nested" in found[3].message
    for one in found:
        (one.message + one.value + one.feature).encode()


def test_what_the_collection_says_of_all_features_is_told(tmp_path: Path) -> None:
    stated = received(geojson(tmp_path, [feature(1)], name="map", licence="ODbL", generator={"by": "us"})).finding("source.beside")
    assert json.loads(stated.value) == {"licence": "ODbL", "generator": '{"by": "us"}'}
    assert "source.beside" not in {found.code for found in received(geojson(tmp_path, [feature(1)], name="map")).findings}
