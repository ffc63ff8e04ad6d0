"""The operator's places: GeoJSON of any geometry, and tables of addresses as the authority writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mapex.places import gazetteer
from mapex.places.index import Index

SUMMARY = (
    "41135|0000000001|4113511000|경기도|성남시 분당구|백현동|411353179001|판교역로|0|00146|00020|현대백화점 판교점|13529|판매|0|4113567000|"
    "{x}|{y}\n"
)


def test_addresses_of_the_authority_are_read_without_a_head(tmp_path: Path) -> None:
    file = tmp_path / "entrc_gyeonggi.txt"
    rows = [SUMMARY.format(x=962300.5, y=1932900.25), SUMMARY.replace("00020", "00000").format(x=962310, y=1932950)]
    rows.append(SUMMARY.format(x="", y=""))  # an address that has no place yet
    file.write_bytes("".join(rows).encode("cp949"))
    read = gazetteer.read([file])
    assert {(one.kind, one.name) for one in read.places} == {("place", "현대백화점 판교점"), ("road", "판교역로")}
    assert all(127.0 < one.lon < 127.2 and 37.3 < one.lat < 37.5 for one in read.places)
    (road,) = [one for one in read.places if one.kind == "road"]
    assert [one.name for one in read.addresses([road], "146")] == ["판교역로 146"]
    assert [one.name for one in read.addresses([road], "146-20")] == ["판교역로 146-20"]
    assert read.addresses([road], "147") == []


def test_a_table_with_names_of_columns_may_be_in_degrees(tmp_path: Path) -> None:
    file = tmp_path / "stations.csv"
    file.write_text('﻿이름,경도,위도\n판교역,127.1112,37.3948\n"홍대입구, 2번",126.92,37.55\n', encoding="utf-8")
    found = gazetteer.read([file]).places
    assert [(one.kind, one.name, one.lon) for one in found] == [("place", "판교역", 127.1112), ("place", "홍대입구, 2번", 126.92)]


def test_geojson_gives_areas_roads_and_points(tmp_path: Path) -> None:
    file = tmp_path / "places.geojson"
    square = [[[8.3, 48.9], [8.5, 48.9], [8.5, 49.1], [8.3, 49.1], [8.3, 48.9]]]
    shapes = [("Karlsruhe", "Polygon", square), ("Kaiserstraße", "LineString", square[0][:2]), ("Schloss", "Point", [8.404, 49.013])]
    features = [{"type": "Feature", "properties": {"name": n}, "geometry": {"type": t, "coordinates": c}} for n, t, c in shapes]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    read = gazetteer.read([file])
    assert [(one.kind, one.name, one.key) for one in read.places] == [
        ("area", "Karlsruhe", "Karlsruhe"),
        ("road", "Kaiserstraße", ""),
        ("place", "Schloss", ""),
    ]
    assert list(read.areas) == ["Karlsruhe"]
    assert Index(read.places).search("kaiserstrasse")[0].name == "Kaiserstraße"


def test_a_folder_is_all_its_tables_and_maps(tmp_path: Path) -> None:
    for name in ("b.csv", "a.geojson", "notes.md"):
        (tmp_path / name).write_text("")
    assert [one.name for one in gazetteer.files_of(tmp_path)] == ["a.geojson", "b.csv"]


def test_a_table_of_unknown_columns_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "what.csv"
    file.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(ValueError, match="도로명"):
        gazetteer.read([file])


def test_more_addresses_than_fit_into_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gazetteer, "MOST_ROWS", 3)
    file = tmp_path / "many.csv"
    file.write_text("name,lon,lat\n" + "a,127,37\n" * 4)
    with pytest.raises(ValueError, match="more than 3 rows"):
        gazetteer.read([file])
