"""Areas as people bring them: which one thing is wrong is decided from the numbers, with a sentence in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyproj
import pytest

from mapex.places import outlines
from tests.support.exchange import an_exchange
from tiles.box import Box
from tiles.errors import InvalidRegion
from tiles.grid.region import Region
from web import create_app
from web.words import errors

KARLSRUHE = Box(8.0, 48.5, 9.0, 49.5)
SHIFTS = ((0.0, 0.0), (0.01, 0.0), (0.01, 0.01), (0.0, 0.01), (0.0, 0.0))


def around(x: float, y: float, step: float = 1.0) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[[x + step * i, y + step * j] for i, j in SHIFTS]]}


def in_system(epsg: int, lon: float, lat: float) -> dict[str, Any]:
    to_metres = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    return {"type": "Polygon", "coordinates": [[list(to_metres.transform(lon + i, lat + j)) for i, j in SHIFTS]]}


def named(geo: dict[str, Any], name: str) -> dict[str, Any]:
    return {**geo, "crs": {"type": "name", "properties": {"name": name}}}


def read(given: Any) -> Region:
    return outlines.region_of(given, max_vertices=5000, max_area_km2=40_000, known=lambda: [KARLSRUHE])


SEOUL, BUSAN = (126.98, 37.57), (129.07, 35.18)
WRONG: list[tuple[dict[str, Any], str, list[str]]] = [
    (around(37.57, 126.98), "region.swapped", []),
    (around(35.18, 129.07), "region.swapped", []),
    ({"type": "MultiPolygon", "coordinates": [around(37.57, 126.98)["coordinates"]]}, "region.swapped", []),
    ({"type": "Feature", "properties": {}, "geometry": around(37.57, 126.98)}, "region.swapped", []),
    (around(48.9, 98.4), "region.out_of_range", []),  # neither Korea nor where anything is on offer
    (around(180.5, 37.5), "region.over_180", []),
    (around(-190.0, 37.5), "region.over_180", []),
    ({"type": "Polygon", "coordinates": [[[179.9, 37], [-179.9, 37], [-179.9, 38], [179.9, 38], [179.9, 37]]]}, "region.over_180", []),
    (around(120, 30, 1500), "region.too_large", []),
    (in_system(5186, *SEOUL), "region.metres", ["EPSG:5186"]),
    (in_system(5179, *SEOUL), "region.metres", ["EPSG:5179"]),
    (in_system(32652, *BUSAN), "region.metres", ["EPSG:32652"]),
    (in_system(5186, *BUSAN), "region.metres", ["EPSG:5186"]),
    (around(1e7, 1e7), "region.out_of_range", []),
    (around(127.0, 91.0), "region.out_of_range", []),
    ({"type": "Polygon", "coordinates": [[[10**400, 1], [1, 1], [1, 2], [10**400, 1]]]}, "region.out_of_range", []),
]
SENTENCES = {
    "region.swapped": {"en": "Longitude comes first", "ko": "경도를 먼저"},
    "region.metres": {"en": "are metres, not degrees", "ko": "미터 단위"},
    "region.over_180": {"en": "180th meridian", "ko": "경도 180도"},
    "region.out_of_range": {"en": "must be degrees", "ko": "경도"},
}


@pytest.mark.parametrize(("given", "code", "systems"), WRONG)
def test_numbers_tell_which_one_thing_is_wrong(given: dict[str, Any], code: str, systems: list[str]) -> None:
    with pytest.raises(InvalidRegion) as refused:
        read(given)
    assert refused.value.code == code
    assert refused.value.details.get("systems", [])[: len(systems)] == systems


@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_of_them_is_said_in_one_sentence_of_both_languages(tmp_path: Path, language: str) -> None:
    with create_app(an_exchange(tmp_path / "ex")).test_request_context(f"/?lang={language}"):
        for code, words in SENTENCES.items():
            assert words[language] in errors.sentence(code, "")


@pytest.mark.parametrize("epsg", outlines.METRES)
@pytest.mark.parametrize("prefix", ["EPSG:", "urn:ogc:def:crs:EPSG::"])
def test_an_area_that_names_its_system_is_read_in_it(epsg: int, prefix: str) -> None:
    middle = pyproj.CRS.from_epsg(epsg).area_of_use
    assert middle
    lon = min(max((middle.west + middle.east) / 2, 124.5), 131.5)
    found = read(named(in_system(epsg, lon, 36.0), f"{prefix}{epsg}"))
    west, south, east, north = found.bounds
    assert (west, south, east, north) == pytest.approx((lon, 36.0, lon + 0.01, 36.01), abs=1e-7)


@pytest.mark.parametrize("name", ["EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84"])
def test_degrees_may_say_that_they_are(name: str) -> None:
    assert read(named(around(*SEOUL), name)).area_m2 > 0


@pytest.mark.parametrize("name", ["EPSG:4737", "EPSG:99999", "my town", "EPSG:"])
def test_a_system_that_is_not_read_is_named(name: str) -> None:
    with pytest.raises(InvalidRegion, match="WGS 84") as refused:
        read(named(around(*SEOUL), name))
    assert refused.value.code == "region.malformed"


def test_what_is_exchanged_where_something_is_on_offer_is_known_abroad_too() -> None:
    far = Box(170.0, -45.0, 175.0, -40.0)
    with pytest.raises(InvalidRegion) as refused:
        outlines.region_of(around(-43.0, 172.0), max_vertices=5000, max_area_km2=40_000, known=lambda: [far])
    assert refused.value.code == "region.swapped"
