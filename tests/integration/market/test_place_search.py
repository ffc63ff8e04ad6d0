"""Places over HTTP: found by anybody, in the language of the request; tiles have names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from mapex.atlas import lookup, naming
from mapex.exchange import Exchange
from tests.support.market import SEOUL
from tiles.grid import grid
from web import create_app

PANGYO = grid.quadkey(int(grid.cells_at([127.1115], [37.3915])[0]))
SEA = grid.quadkey(int(grid.cells_at([130.0], [36.5])[0]))
KARLSRUHE = grid.quadkey(int(grid.cells_at([8.404], [49.013])[0]))


@pytest.fixture
def visitor(exchange: Exchange) -> FlaskClient:
    return create_app(exchange).test_client()


def test_a_visitor_finds_places_in_the_language_of_the_request(visitor: FlaskClient) -> None:
    asked = {"q": "백현 분당", "limit": 1}
    (korean,) = visitor.get("/api/v1/places", query_string=asked, headers={"Accept-Language": "ko"}).json["found"]
    (english,) = visitor.get("/api/v1/places", query_string=asked).json["found"]
    assert (korean["name"], korean["within"]) == ("백현동", "경기도 성남시 분당구")
    assert (english["name"], english["within"]) == ("Baekhyeon-dong", "Bundang-gu, Seongnam-si, Gyeonggi-do")
    region = visitor.get(f"/api/v1/places/{english['key']}").json["region"]
    assert region["type"] in ("Polygon", "MultiPolygon")


def test_every_outline_of_the_search_is_an_area_that_can_be_asked_for(visitor: FlaskClient) -> None:
    for name in ("부천시", "분당구", "백현동", "양수리"):
        key = visitor.get("/api/v1/places", query_string={"q": name}).json["found"][0]["key"]
        region = visitor.get(f"/api/v1/places/{key}").json["region"]
        assert visitor.post("/api/v1/coverage", json={"region": region}).status_code == 200, name


def test_metres_are_answered_with_their_place_on_land(visitor: FlaskClient) -> None:
    (found,) = visitor.get("/api/v1/places", query_string={"q": "EPSG:5186 210000 530000"}).json["found"]
    assert found["system"] == "EPSG:5186" and found["within"].endswith("Bundang-gu")


def test_tiles_have_names_or_degrees(exchange: Exchange, visitor: FlaskClient) -> None:
    tiles = [PANGYO, SEA, KARLSRUHE, grid.quadkey(SEOUL)]
    rows = visitor.post("/api/v1/places/names", json={"tiles": tiles}, headers={"Accept-Language": "ko"}).json["names"]
    assert [row["tile"] for row in rows] == tiles
    assert rows[0]["name"] == "분당구 백현동" and rows[3]["name"].startswith("서울 ")
    assert rows[1]["name"].startswith("북위 36.") and rows[2]["name"].startswith("북위 49.0")


def test_cells_of_one_district_share_its_name_and_others_are_counted(exchange: Exchange) -> None:
    cells = [int(grid.cells_at([lon], [lat])[0]) for lon, lat in ((127.1115, 37.3915), (127.112, 37.401), (127.127, 37.383))]
    named = naming.of_cells(exchange, cells)
    assert named and named.names == ("경기도", "성남시 분당구") and named.others == 0
    more = naming.of_cells(exchange, [*cells, int(grid.cells_at([127.0], [37.57])[0])])
    assert more and more.names == ("경기도", "성남시 분당구") and more.others == 1
    assert naming.of_cells(exchange, []) is None


@pytest.mark.parametrize("asked", ["판교역로 146-20", "판교역로146-20", "Pangyoyeok-ro 146-20", "성남 판교역로 146-20", "ㅍㄱㅇㄹ 146-20"])
def test_an_address_is_its_road_and_its_number(exchange: Exchange, tmp_path: Path, asked: str) -> None:
    file = tmp_path / "addresses.csv"
    rows = ["경기도,성남시 분당구,판교역로,146,20,127.112,37.392", "경기도,성남시 분당구,판교역로,4,0,127.1,37.38"]
    file.write_text("\n".join(["시도명,시군구명,도로명,건물본번,건물부번,경도,위도", *rows]), encoding="utf-8")
    ex = dataclasses.replace(exchange, settings=dataclasses.replace(exchange.settings, places=str(file)))
    (found,) = lookup.find(ex, asked)
    assert (found.place.kind, found.place.name, found.place.lon) == ("address", "판교역로 146-20", 127.112)


def test_the_operators_areas_are_found_and_name_tiles_abroad(exchange: Exchange, tmp_path: Path) -> None:
    square = [[[8.3, 48.9], [8.5, 48.9], [8.5, 49.1], [8.3, 49.1], [8.3, 48.9]]]
    feature = {"type": "Feature", "properties": {"name": "Karlsruhe"}, "geometry": {"type": "Polygon", "coordinates": square}}
    file = tmp_path / "places.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    ex = dataclasses.replace(exchange, settings=dataclasses.replace(exchange.settings, places=str(file)))
    app: APIFlask = create_app(ex)
    answer = app.test_client().get("/api/v1/places", query_string={"q": "karls"}).json
    assert [(one["kind"], one["name"], one["key"]) for one in answer["found"]] == [("area", "Karlsruhe", "Karlsruhe")]
    assert answer["places"] == ["Karlsruhe"]
    assert naming.of_tiles(ex, [KARLSRUHE])[KARLSRUHE].names == ("Karlsruhe",)
    file.write_text("no json")
    assert app.test_client().get("/api/v1/places", query_string={"q": "karls"}).json["code"] == "places.unreadable"
