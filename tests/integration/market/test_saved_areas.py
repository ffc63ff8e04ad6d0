"""Saved areas and places: own organisation only, limits, names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mapex.atlas import lookup
from mapex.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from mapex.exchange import Exchange
from mapex.prices import saved_areas
from tests.support.exchange import a_person
from tiles.grid.region import Region

BOX = Region.from_bbox(126.97, 37.55, 126.99, 37.57)


def test_an_area_is_saved_listed_renamed_and_deleted_by_its_organisation(exchange: Exchange) -> None:
    kim, lee = a_person(exchange, "dongil"), a_person(exchange, "dongil")
    made = saved_areas.save(exchange, kim, "  Seoul station ", BOX)
    saved_areas.save(exchange, kim, "강남역", BOX)
    assert [one.name for one in saved_areas.saved(exchange, lee)] == ["Seoul station", "강남역"]
    assert made.region == BOX.geojson
    assert abs(made.area_m2 - BOX.area_m2) <= 1
    assert saved_areas.rename(exchange, lee, made.id, "Station").name == "Station"
    saved_areas.remove(exchange, kim, made.id)
    assert [one.name for one in saved_areas.saved(exchange, kim)] == ["강남역"]


def test_a_foreign_area_is_absent(exchange: Exchange) -> None:
    mine, other = a_person(exchange, "dongil"), a_person(exchange, "nuri")
    made = saved_areas.save(exchange, mine, "Site", BOX)
    assert saved_areas.saved(exchange, other) == []
    for act in (lambda: saved_areas.rename(exchange, other, made.id, "Ours"), lambda: saved_areas.remove(exchange, other, made.id)):
        with pytest.raises(NotFound) as refused:
            act()
        assert refused.value.code == "area.unknown"
    assert saved_areas.save(exchange, other, "Site", BOX).name == "Site", "names are free in each organisation"
    assert saved_areas.saved(exchange, mine)[0].id == made.id


def test_names_are_unique_and_their_number_is_limited(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    kim = a_person(exchange, "dongil")
    first = saved_areas.save(exchange, kim, "A", BOX)
    for act in (
        lambda: saved_areas.save(exchange, kim, "A", BOX),
        lambda: saved_areas.rename(exchange, kim, saved_areas.save(exchange, kim, "B", BOX).id, "A"),
    ):
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.code == "area.exists"
    assert saved_areas.rename(exchange, kim, first.id, "A").name == "A"
    monkeypatch.setattr(saved_areas, "MOST", 2)
    with pytest.raises(Conflict) as full:
        saved_areas.save(exchange, kim, "C", BOX)
    assert full.value.code == "area.too_many"


def test_only_areas_of_members_are_saved(exchange: Exchange) -> None:
    kim, auditor = a_person(exchange, "dongil"), a_person(exchange, role="auditor")
    with pytest.raises(Denied):
        saved_areas.save(exchange, auditor, "A", BOX)
    with pytest.raises(Invalid) as flat:
        saved_areas.save(exchange, kim, "A", Region.from_geojson({"type": "Point", "coordinates": [127, 37]}))
    assert flat.value.code == "area.flat"
    with pytest.raises(Invalid):
        saved_areas.save(exchange, kim, "x" * 121, BOX)


def a_file(path: Path, features: list[object]) -> None:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


def feature(name: str, west: float, corners: int = 0) -> object:
    import shapely

    shape = shapely.Point(west, 37.5).buffer(0.01, quad_segs=corners // 4) if corners else shapely.box(west, 37.5, west + 0.01, 37.51)
    return {"type": "Feature", "properties": {"name": name}, "geometry": json.loads(shapely.to_geojson(shape))}


def test_places_come_from_the_operators_file(exchange: Exchange, tmp_path: Path) -> None:
    assert lookup.places(exchange) == ()
    file = tmp_path / "places.geojson"
    a_file(file, [feature("종로구", 126.97), feature("강남구", 127.04), feature("강남구", 127.06), feature("Round", 127.2, 8000)])
    ex = dataclasses.replace(exchange, settings=dataclasses.replace(exchange.settings, places=str(file)))
    assert [one.name for one in lookup.places(ex)] == ["Round", "강남구", "종로구"]
    assert lookup.place(ex, "강남구").region["type"] == "MultiPolygon"
    limit = ex.settings.max_region_vertices
    assert Region.from_geojson(lookup.place(ex, "Round").region, max_vertices=limit).area_m2 > 1e6
    with pytest.raises(NotFound):
        lookup.place(ex, "없는 곳")
    file.write_text("no json")
    with pytest.raises(Unavailable):
        lookup.places(ex)
