"""What updates cost, as people see it: over HTTP, on the pages in both languages, in the README of a download, in the terminal."""

from __future__ import annotations

import csv
import io
import re

import pytest

import web
from mapex.cli.buy import quote_text
from mapex.exchange import Exchange
from mapex.orders import orders, renewals, updates
from mapex.rules.update_policy import last_free_day
from tests.integration.market.test_api_market import SEOUL_BOX, an_api
from tests.integration.market.test_credit_pages import at_the_pages
from tests.integration.market.test_free_updates import YEAR, publish, sold
from tests.integration.market.test_readme_of_orders import texts
from tests.support.market import RATES

pytestmark = pytest.mark.parametrize("exchange", ["sqlite"], indirect=True)


def test_seller_and_buyer_see_what_updates_cost_over_http(exchange: Exchange) -> None:
    market, before = sold(exchange)
    api = an_api(market)
    terms_of_sale = {"rates": RATES, "licence": "research"}
    offered = api.call("POST", "/datasets/streets/publish", {**terms_of_sale, "updates": "free:6"}, by="hanbit").json
    assert offered and offered["updates"] == "free:6"
    found = api.call("POST", "/search", {"region": SEOUL_BOX}).json
    assert found and found["datasets"][0]["updates"] == "free:6"
    catalogue = api.call("GET", "/catalogue").json
    assert catalogue and catalogue["datasets"][0]["updates"] == "free:6"
    priced = api.call("POST", "/estimates", {"region": SEOUL_BOX, "purpose": "research"}).json
    assert priced and [(row["updates"], row["free_tiles"]) for row in priced["offers"]] == [("free:6", 9)]
    held = api.call("POST", f"/orders/{before.id}/updates/quote", {}).json
    assert held and [(line["updates"], line["free_tiles"], line["amount"]) for line in held["lines"]] == [("free:6", 9, 0)]
    order = api.order(held["id"]).json
    assert order and order["lines"] == held["lines"]
    shown = quote_text(held)
    assert "Updates of streets hdmap: free for 6 months after the order" in shown and "Free updates in streets hdmap: 9 tiles" in shown
    refused = api.call("POST", "/datasets/streets/publish", {**terms_of_sale, "updates": "free:37"}, by="hanbit")
    assert (refused.status_code, refused.json["code"]) == (422, "offer.updates")


FREE = {"en": "free for 12 months after the order", "ko": "주문 후 12개월간 무료"}
PAID = {"en": "paid separately", "ko": "별도 구매"}
TILES = {"en": "free updates: 9", "ko": "타일 9개는 무료 갱신"}
MONTHS = re.compile(r'<input name="updates"[^>]*value="(\d+)"')


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_pages_say_what_updates_cost_wherever_the_licence_is(exchange: Exchange, language: str) -> None:
    market, before = sold(exchange)
    held = updates.quote(exchange, market.buyer, before.id)
    renewed = renewals.renew(exchange, market.buyer, held.id)
    app = web.create_app(exchange)
    buyer, seller = at_the_pages(app, market.buyer), at_the_pages(app, market.seller)

    def page(path: str) -> str:
        return buyer.get(f"{path}?lang={language}").get_data(as_text=True)

    made = orders.place(exchange, market.buyer, renewed.id, "k")
    last = last_free_day(YEAR, before.created_ns)
    for path, taken in {
        f"/quotes/{held.id}": (PAID[language], TILES[language]),
        f"/quotes/{renewed.id}": (PAID[language], TILES[language]),
        f"/orders/{made.id}": (PAID[language], TILES[language]),
        f"/orders/{made.id}/receipt": (PAID[language], TILES[language]),
        f"/orders/{before.id}": (FREE[language], last),
        f"/orders/{before.id}/receipt": (FREE[language], last),
        "/datasets/hanbit/streets": (PAID[language],),
        "/datasets": (PAID[language],),
        "/sellers/hanbit": (PAID[language],),
    }.items():
        for words in taken:
            assert words in page(path), (path, words)
    assert MONTHS.findall(seller.get(f"/sell/streets/2/publish?lang={language}").get_data(as_text=True)) == ["0"]
    publish(market, "", YEAR)
    assert MONTHS.findall(seller.get(f"/sell/streets/2/publish?lang={language}").get_data(as_text=True)) == ["12"]
    for path in ("/datasets/hanbit/streets", f"/quotes/{market.quote().id}"):
        assert FREE[language] in page(path), path
    rows = list(csv.DictReader(io.StringIO(buyer.get("/orders.csv").get_data().decode("utf-8-sig"))))
    assert {row["order"]: (row["updates"], row["free_tiles"]) for row in rows} == {before.id: (YEAR, "0"), made.id: ("paid", "9")}


def test_the_readme_names_the_last_day(exchange: Exchange) -> None:
    market, before = sold(exchange)
    late = market.buy(market.cells[9:])
    korean, english = texts(exchange, market.buyer, before.id)["README.txt"].split("-" * 60)
    last = last_free_day(YEAR, before.created_ns)
    assert f"free until {last}" in english and f"{last}까지 무료" in korean
    assert "newer versions are paid separately" in texts(exchange, market.buyer, late.id)["README.txt"]
