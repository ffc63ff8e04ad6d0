"""Roads and crossings in the data on offer are found by their names; what a stranger may not learn of is not."""

from __future__ import annotations

import json

import pytest

from ingest.previews.names import NameList, name_of
from mapex.atlas import lookup, naming
from mapex.catalogue import previews
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.people import orgs
from tests.support.exchange import a_person
from tests.support.market import RATES
from tests.support.uploads import ingest
from tiles.grid import grid

KARLSRUHE = (8.404, 49.013)


def streets(*named: tuple[str, dict[str, str]]) -> bytes:
    """GeoJSON of a line for each name, near Karlsruhe."""
    lon, lat = KARLSRUHE
    features = [
        {
            "type": "Feature",
            "properties": {"name": name, **properties},
            "geometry": {"type": "LineString", "coordinates": [[lon + n / 1000, lat], [lon + n / 1000, lat + 0.001]]},
        }
        for n, (name, properties) in enumerate(named)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


WALKS = {
    "walks.geojson": streets(
        ("Haid-und-Neu-Straße", {"footway": "sidewalk"}),
        ("Kaiserallee", {"footway": "crossing"}),
        ("Geheimer Bunker", {"building": "bunker"}),
        ("4711", {"footway": "sidewalk"}),
    )
}


def found(ex: Exchange, asked: str) -> list[tuple[str, float, float]]:
    return [(one.place.name, one.place.lon, one.place.lat) for one in lookup.find(ex, asked)]


def on_offer(ex: Exchange, classes: str = "open") -> None:
    done = ingest(ex, WALKS, by=a_person(ex, "hanbit"), slug="walks", classes=classes)
    assert done.version.state == "draft", done.findings
    offers.publish(ex, a_person(ex, "hanbit"), "walks", rate_card=RATES, licence="research")


def test_names_of_roads_and_crossings_on_offer_are_found_by_anybody(exchange: Exchange) -> None:
    assert found(exchange, "Haid-und-Neu") == []
    on_offer(exchange)
    ((name, lon, lat),) = found(exchange, "haid-und-neu-strasse")
    assert name == "Haid-und-Neu-Straße" and abs(lon - KARLSRUHE[0]) < 0.002 and abs(lat - KARLSRUHE[1]) < 0.002
    assert [name for name, _, _ in found(exchange, "Kaiserallee")] == ["Kaiserallee"]


def test_a_tile_abroad_is_called_by_a_road_on_offer_in_it(exchange: Exchange) -> None:
    tile = grid.quadkey(int(grid.cells_at([KARLSRUHE[0]], [KARLSRUHE[1]])[0]))
    assert naming.of_tiles(exchange, [tile])[tile].names == ()
    on_offer(exchange)
    assert naming.of_tiles(exchange, [tile])[tile].names in [("Haid-und-Neu-Straße",), ("Kaiserallee",)]


def test_of_other_features_nothing_is_named(exchange: Exchange) -> None:
    on_offer(exchange)
    assert found(exchange, "Geheimer") == found(exchange, "Bunker") == found(exchange, "4711") == []


def test_a_draft_and_what_is_gone_are_not_found(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    ingest(exchange, WALKS, by=seller, slug="walks")
    assert found(exchange, "Kaiserallee") == []
    offers.publish(exchange, seller, "walks", rate_card=RATES, licence="research")
    assert found(exchange, "Kaiserallee")
    orgs.set_org_state(exchange, None, "hanbit", "suspended")
    assert found(exchange, "Kaiserallee") == []
    orgs.set_org_state(exchange, None, "hanbit", "active")
    assert found(exchange, "Kaiserallee")
    offers.withdraw(exchange, seller, "walks")
    assert found(exchange, "Kaiserallee") == []


@pytest.mark.parametrize("handling_class", ["restricted", "original"])
def test_of_restricted_layers_nothing_is_found(exchange: Exchange, handling_class: str) -> None:
    on_offer(exchange, handling_class)
    assert found(exchange, "Kaiserallee") == []


def test_names_are_not_shown_as_a_preview(exchange: Exchange) -> None:
    on_offer(exchange)
    _, (layer,) = previews.of_version(exchange, a_person(exchange, "dongil"), "hanbit/walks")
    assert [one.kind for one in layer.previews] == ["teaser"]


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"name": "판교역로"}, "판교역로"),
        ({"NAME": " Main   Street "}, "Main Street"),
        ({"name": "Seoul-ro", "name:ko": "서울로"}, "서울로"),
        ({"도로명": "백현로"}, "백현로"),
        ({"name": "12345"}, ""),
        ({"name": "x" * 61}, ""),
        ({"name": "a\u0000b"}, ""),
        ({"name": 7}, ""),
        ({"other": "a"}, ""),
    ],
)
def test_a_name_is_a_text_that_people_could_look_for(properties: dict[str, object], name: str) -> None:
    assert name_of(json.dumps(properties)) == name
    assert name_of(None) == name_of("[]") == ""


def test_a_road_of_many_pieces_is_one_name() -> None:
    names = NameList({("중앙로", 1): [(127.0, 37.0), (127.2, 37.0), (127.1, 37.0)], ("중앙로", 9): [(128.0, 36.0)]})
    assert list(names.rows()) == [[["중앙로", 127.1, 37.0], ["중앙로", 128.0, 36.0]]]
