"""What a download says of itself: in Korean and English, from the order, with the licence as the order pins it."""

from __future__ import annotations

import hashlib

import pytest

from mapex.exchange import Exchange
from mapex.people import tokens
from mapex.rules.licence_texts import TEXTS
from tests.support.exchange import a_person
from tests.support.market import a_layer, a_market, a_permit, block
from tiles.batch import LayerKind
from web import create_app


def texts(ex: Exchange, by: object, order: str) -> dict[str, str]:
    token = tokens.create(ex, by)  # type: ignore[arg-type]
    answer = create_app(ex).test_client().get(f"/api/v1/orders/{order}/enclosures", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    for one in answer.json["enclosures"]:
        assert (hashlib.sha256(one["text"].encode()).hexdigest(), len(one["text"].encode())) == (one["sha256"], one["size"])
    return {one["path"]: one["text"] for one in answer.json["enclosures"]}


def test_a_readme_names_dataset_ground_system_heights_permit_and_how_to_join(exchange: Exchange) -> None:
    cells = block(2)
    photos = a_layer(cells, name="photos", handling_class="original", kind=LayerKind.PHOTOS)
    market = a_market(exchange, layers=[a_layer(cells), photos])
    a_permit(exchange)
    order = market.buy(cells).id
    found = texts(exchange, market.buyer, order)
    korean, english = found["README.txt"].split("-" * 60)
    for part in (korean, english):
        for word in (order, "hanbit/streets", "P-1", "mapex join . --out map.gpkg", "LICENCE-research.txt", exchange.settings.public_url):
            assert word in part, word
        assert ".parquet" in part and ".tar" in part and ".laz" not in part and ".mcap" not in part, "only what the order holds"
    assert "Coordinate system: OGC:CRS84" in english and "좌표계: OGC:CRS84" in korean
    assert "Purpose: Research" in english and "용도: 연구" in korean
    licence = found["LICENCE-research.txt"]
    assert "terms_sha256" in licence
    for number, (korean_clause, english_clause) in enumerate(TEXTS["research"], 1):
        assert f"{number}. {korean_clause}" in licence and f"{number}. {english_clause}" in licence


@pytest.mark.parametrize("kind", [LayerKind.POINTCLOUD, LayerKind.RECORDING])
def test_what_cannot_be_joined_is_not_offered_to_be(exchange: Exchange, kind: LayerKind) -> None:
    market = a_market(exchange, layers=[a_layer(block(1), kind=kind, name="points")])
    readme = texts(exchange, market.buyer, market.buy(block(1)).id)["README.txt"]
    assert "mapex join" not in readme


def test_a_foreign_order_has_none(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy().id
    token = tokens.create(exchange, a_person(exchange, "nuri"))
    answer = create_app(exchange).test_client().get(f"/api/v1/orders/{order}/enclosures", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 404
