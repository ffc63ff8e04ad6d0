"""What updates cost, as people see it: over HTTP, on the pages in both languages, in the README of a download, in the terminal."""

from __future__ import annotations

import csv
import io
import re

import pytest

import web
from mapex.cli.buy import quote_text
from mapex.cli.orders import newer
from mapex.exchange import Exchange
from mapex.orders import orders, renewals, updates
from mapex.rules.update_policy import last_free_day
from tests.integration.market import test_difference_updates as difference
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
MONTHS = re.compile(r'<input name="months"[^>]*value="(\d+)"')
CHOSEN = re.compile(r'<input type="radio"\s+name="updates"\s+value="(\w+)"[^>]* checked')


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
    for policy, months in (("paid", "12"), ("difference", "12"), ("free:7", "7"), (YEAR, "12")):
        publish(market, "", policy)
        terms_page = seller.get(f"/sell/streets/2/publish?lang={language}").get_data(as_text=True)
        assert (CHOSEN.findall(terms_page), MONTHS.findall(terms_page)) == ([policy.split(":")[0]], [months])
    for path in ("/datasets/hanbit/streets", f"/quotes/{market.quote().id}"):
        assert FREE[language] in page(path), path
    rows = list(csv.DictReader(io.StringIO(buyer.get("/orders.csv").get_data().decode("utf-8-sig"))))
    assert {row["order"]: (row["updates"], row["free_tiles"]) for row in rows} == {before.id: (YEAR, "0"), made.id: ("paid", "9")}


ONLY_CHANGED = {"en": "paid for what changed only", "ko": "바뀐 부분만 결제"}
CREDIT = {"en": "Credit: paid earlier for unchanged data", "ko": "차감: 바뀌지 않은 데이터에 이전에 결제한 금액"}
HOW = {"en": "at most what it costs now", "ko": "현재 가격 가운데 낮은 쪽"}
TAKEN_OFF = {"en": "Taken off already: ₩1,600 before VAT", "ko": "이미 차감한 금액: ₩1,600(부가세 별도)"}


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_pages_say_that_what_changed_is_paid_and_what_was_taken_off(exchange: Exchange, language: str) -> None:
    market, before = difference.sold(exchange, policy="difference")
    buyer = at_the_pages(web.create_app(exchange), market.buyer)

    def page(path: str) -> str:
        return buyer.get(f"{path}?lang={language}").get_data(as_text=True)

    assert TAKEN_OFF[language] in page(f"/orders/{before.id}")
    held = updates.quote(exchange, market.buyer, before.id)
    assert "−₩1,600" in page(f"/quotes/{held.id}")
    made = orders.place(exchange, market.buyer, held.id, "k")
    for path in (f"/quotes/{held.id}", f"/orders/{made.id}", f"/orders/{made.id}/receipt"):
        shown = page(path)
        assert ONLY_CHANGED[language] in shown and CREDIT[language] in shown and "₩1,400" in shown, path
    for path in ("/datasets/hanbit/streets", "/datasets", "/sellers/hanbit", f"/orders/{before.id}/receipt"):
        assert ONLY_CHANGED[language] in page(path), path
    assert HOW[language] in page("/datasets/hanbit/streets")
    korean, english = texts(exchange, market.buyer, made.id)["README.txt"].split("-" * 60)
    assert "바뀐 부분만 결제" in korean and "paid for what changed only" in english


def test_the_difference_over_http_and_in_the_terminal(exchange: Exchange) -> None:
    market, before = difference.sold(exchange, policy="difference")
    api = an_api(market)
    listed = api.call("GET", f"/orders/{before.id}/updates").json
    assert listed and (listed["changed"], listed["total"], listed["credit"]) == (3, 1540, 1600)
    assert "3 tiles newer, 1,540 KRW (1,600 paid earlier taken off)" in newer(listed)
    held = api.call("POST", f"/orders/{before.id}/updates/quote", {}).json
    assert held and [(line["updates"], line["credit"], line["amount"]) for line in held["lines"]] == [("difference", 1600, 1400)]
    assert "Updates of streets hdmap: paid for what changed only" in quote_text(held)
    offered = api.call(
        "POST", "/datasets/streets/publish", {"rates": RATES, "licence": "research", "updates": "difference"}, by="hanbit"
    ).json
    assert offered and offered["updates"] == "difference"


def test_the_readme_names_the_last_day(exchange: Exchange) -> None:
    market, before = sold(exchange)
    late = market.buy(market.cells[9:])
    korean, english = texts(exchange, market.buyer, before.id)["README.txt"].split("-" * 60)
    last = last_free_day(YEAR, before.created_ns)
    assert f"free until {last}" in english and f"{last}까지 무료" in korean
    assert "newer versions are paid separately" in texts(exchange, market.buyer, late.id)["README.txt"]
