"""Orders are named by where they are, however many layers they have, wherever they are listed."""

from __future__ import annotations

import csv
import io

from mapex.exchange import Actor, Exchange
from mapex.orders import grounds, orders
from mapex.people import tokens
from mapex.prices import quotes
from mapex.prices.request import of_area
from tests.support.market import a_layer, a_market, area, block
from tiles.batch import LayerKind
from tiles.grid import grid
from web import create_app

PANGYO = int(grid.cells_at([127.1115], [37.3915])[0])


def an_order(ex: Exchange, by: Actor, cells: list[int]) -> str:
    made = quotes.quote(ex, by, of_area(area(cells), purpose="research"))
    return orders.place(ex, by, made.id, made.id).id


def test_an_order_is_named_by_its_squares_not_by_its_files(exchange: Exchange) -> None:
    cells = block(2, PANGYO)
    market = a_market(exchange, layers=[a_layer(cells), a_layer(cells, name="walks", kind=LayerKind.SIDEWALK)])
    order = an_order(exchange, market.buyer, cells[:2])
    ground = grounds.of_orders(exchange, market.buyer, [order])[order]
    assert ground.squares == 2 and ground.named.names[:2] == ("경기도", "성남시 분당구")
    quoted = grounds.of_quote(exchange, quotes.quote(exchange, market.buyer, of_area(area(cells), purpose="research")))
    assert quoted and quoted.squares == 4
    assert grounds.of_orders(exchange, market.seller, [order]) == {}


def test_a_long_list_looks_at_fewer_squares_of_each(exchange: Exchange) -> None:
    cells = block(4, PANGYO)
    market = a_market(exchange, layers=[a_layer(cells)])
    order = an_order(exchange, market.buyer, cells)
    found = grounds.of_orders(exchange, market.buyer, [order, *(f"ord_{i}" for i in range(2000))])
    assert found[order].squares == 16 and found[order].named.names[:2] == ("경기도", "성남시 분당구")


def test_lists_receipts_and_downloads_name_the_place(exchange: Exchange) -> None:
    cells = block(2, PANGYO)
    market = a_market(exchange, layers=[a_layer(cells)])
    order = an_order(exchange, market.buyer, cells)
    client = create_app(exchange).test_client()
    headers = {"Authorization": f"Bearer {tokens.create(exchange, market.buyer)}", "Accept-Language": "ko"}

    def text(path: str) -> str:
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200, path
        return answer.text

    for path in ("/orders", f"/orders/{order}", f"/orders/{order}/receipt"):
        assert "분당구" in text(path) and "타일 4개" in text(path), path
    (row,) = csv.DictReader(io.StringIO(text("/orders.csv").lstrip("﻿")))
    assert row["place"].startswith("분당구") and row["place"].endswith("타일 4개")
    manifest = client.get(f"/orders/{order}/manifest.json", headers=headers).json
    assert manifest["place"] == row["place"] and all(file["place"].startswith("분당구 ") for file in manifest["files"])
    tiles = client.get(f"/api/v1/orders/{order}/tiles", headers={**headers, "Accept-Language": "en"}).json["tiles"]
    assert all(tile["place"].endswith("-dong, Bundang-gu") for tile in tiles)
