"""What a buyer must know of a layer to use it is in quote, order and manifest: system, heights, capture, exactness, licence."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

import web
from mapex.catalogue.draft import LayerFacts
from mapex.exchange import Exchange
from mapex.intake.placement import Known
from mapex.people import persons
from mapex.people import tokens as api_tokens
from mapex.prices import quotes, sold_layers
from mapex.prices.request import of_area
from mapex.rules import terms
from tests.support.market import Market, a_layer, a_market, area, block
from tiles.batch import LayerKind

FACTS = LayerFacts(
    crs="EPSG:5186",
    crs_source=Known.FILE,
    height_datum="KVD1964",
    height_source=Known.GIVEN,
    first_ns=1_760_000_000_000_000_000,
    last_ns=1_760_000_100_000_000_000,
    accuracy_m=1.0,
)


def a_market_with(ex: Exchange, about: dict[str, Any]) -> Market:
    return a_market(ex, layers=[a_layer(block(2), about=about)])


def call(market: Market, method: str, path: str, body: object = None) -> Any:
    token = api_tokens.create(market.ex, market.buyer, days=30)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    return web.create_app(market.ex).test_client().open(f"/api/v1{path}", method=method, json=body, headers=headers).json


def bought(market: Market) -> tuple[dict[str, Any], dict[str, Any]]:
    held = quotes.quote(market.ex, market.buyer, of_area(area(block(2)), purpose="research"))
    return call(market, "GET", f"/quotes/{held.id}"), call(market, "POST", "/orders", {"quote": held.id})


def test_quote_and_order_state_heights_system_and_capture(exchange: Exchange) -> None:
    quote, order = bought(a_market_with(exchange, FACTS.as_json()))
    assert quote["layers"] == order["layers"]
    (layer,) = quote["layers"]
    assert layer == {
        "org": "hanbit",
        "dataset": "streets",
        "version": 1,
        "layer": "hdmap",
        "kind": "hdmap",
        "licence": "research",
        "attribution": "hanbit",
        "updates": "paid",
        "terms_sha256": terms.digest("research", "hanbit"),
        "crs": "OGC:CRS84",
        "source_crs": "EPSG:5186",
        "source_crs_known": "file",
        "accuracy_m": 1.0,
        "height_datum": "KVD1964",
        "height_source": "given",
        "captured": FACTS.captured,
    }


@pytest.mark.parametrize("about", [{}, {"crs": "EPSG:4326", "crs_source": "file", "height_datum": "unknown", "height_source": "none"}])
def test_layers_from_before_are_sold_as_not_known(exchange: Exchange, about: dict[str, Any]) -> None:
    quote, order = bought(a_market_with(exchange, about))
    (layer,) = order["layers"]
    assert quote["layers"] == [layer]
    assert (layer["height_datum"], layer["height_source"], layer["accuracy_m"], layer["captured"]) == ("unknown", "none", None, None)


def test_each_layer_is_stated_once_and_old_versions_stay(exchange: Exchange) -> None:
    cells = block(2)
    layers = [a_layer(cells, about=FACTS.as_json()), a_layer(cells, name="sidewalks", kind=LayerKind.SIDEWALK, about={})]
    market = a_market(exchange, layers=layers)
    held = quotes.quote(exchange, market.buyer, of_area(area(cells), purpose="research"))
    found = sold_layers.documents(exchange, held.estimate.lines)
    assert [(one["layer"], one["height_datum"]) for one in found] == [("hdmap", "KVD1964"), ("sidewalks", "unknown")]
    assert sold_layers.documents(exchange, []) == []


def a_browser(market: Market) -> Any:
    """A test client in which the buyer is signed in."""
    persons.set_password(market.ex, None, market.buyer.email, "correct horse battery")
    visitor = web.create_app(market.ex).test_client()
    secret = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', visitor.get("/login").text)
    assert secret
    form = {"csrf_token": secret[1], "email": market.buyer.email, "password": "correct horse battery"}
    assert visitor.post("/login", data=form).status_code == 302
    return visitor


@pytest.mark.parametrize(
    ("about", "english", "korean"),
    [
        (
            FACTS.as_json(),
            ["Incheon mean sea level (KVD1964)", "moved from EPSG:5186, to 1 m", "2025-10-09"],
            ["인천", "EPSG:5186에서 변환"],
        ),
        ({}, ["not known"], ["알 수 없음"]),
    ],
)
def test_pages_of_dataset_quote_order_and_manifest_show_it(
    exchange: Exchange, about: dict[str, Any], english: list[str], korean: list[str]
) -> None:
    market = a_market_with(exchange, about)
    quote, order = bought(market)
    visitor = a_browser(market)
    for path in (f"/quotes/{quote['id']}", f"/orders/{order['id']}"):
        for language, words in (("en", english), ("ko", korean)):
            text = visitor.get(f"{path}?lang={language}").text
            assert [word for word in words if word not in text] == [], (path, language)
    assert ("Height datum" in visitor.get("/datasets/hanbit/streets?lang=en").text) is True
    manifest = visitor.get(f"/orders/{order['id']}/manifest.json").json
    assert manifest["layers"] == order["layers"]


def test_an_order_of_very_many_layers_can_be_asked_about(exchange: Exchange) -> None:
    market = a_market_with(exchange, FACTS.as_json())
    held = quotes.quote(exchange, market.buyer, of_area(area(block(2)), purpose="research"))
    lines = [replace(held.estimate.lines[0], layer=f"layer{n}") for n in range(3000)]
    assert sold_layers.documents(exchange, [*lines, *held.estimate.lines])[0]["layer"] == "hdmap"
