"""The choice of the seller and the credit of the buyer, as people see them: over HTTP, on the pages in both languages, in the terminal."""

from __future__ import annotations

import csv
import io
import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

import web
from mapex.cli.buy import quote_text
from mapex.exchange import Actor, Exchange
from mapex.orders import orders, renewals
from mapex.people import persons
from tests.integration.market.test_api_market import SEOUL_BOX, an_api
from tests.integration.market.test_credits import DEAR, narrow_then_wide, sell
from tests.support.signing_in import PASSWORD, sign_in


def test_seller_and_buyer_see_the_choice_and_the_credit_over_http(exchange: Exchange) -> None:
    market, before = narrow_then_wide(exchange, credits_earlier=False)
    api = an_api(market)
    terms_of_sale = {"rates": DEAR, "licence": "commercial"}
    plain = api.call("POST", "/datasets/streets/publish", terms_of_sale, by="hanbit").json
    offered = api.call("POST", "/datasets/streets/publish", {**terms_of_sale, "credits_earlier": True}, by="hanbit").json
    assert plain and offered and (plain["credits_earlier"], offered["credits_earlier"]) == (False, True)
    found = api.call("POST", "/search", {"region": SEOUL_BOX}).json
    assert found and found["datasets"][0]["credits_earlier"]
    held = api.quote(purpose="map_production")
    order = api.order(held["id"]).json
    (line,) = held["lines"]
    assert order and order["lines"] == [line]
    assert (line["credit"], line["amount"]) == (before.subtotal, line["price"] - before.subtotal)
    assert quote_text(held).splitlines()[3].split() == ["streets", "hdmap", "paid", "earlier", f"{-before.subtotal:,}"]


CREDIT = {"en": "Credit: paid earlier for unchanged data", "ko": "차감: 바뀌지 않은 데이터에 이전에 결제한 금액"}
OFFERED = {"en": "under narrower terms pays the difference", "ko": "더 좁은 조건으로 구매한 기관은 차액만 냅니다"}
CHOICE = re.compile(r'<input type="checkbox"\s+name="credits_earlier"[^>]*checked')


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_pages_show_the_credit_as_a_line_of_its_own(exchange: Exchange, language: str) -> None:
    market, before = narrow_then_wide(exchange)
    held = market.quote(purpose="map_production")
    renewed = renewals.renew(exchange, market.buyer, held.id)
    app = web.create_app(exchange)
    buyer, seller = at_the_pages(app, market.buyer), at_the_pages(app, market.seller)
    made = orders.place(exchange, market.buyer, market.quote(market.cells[:8], purpose="localisation").id, "k")
    less = f"−₩{before.subtotal:,}"
    for path, taken in (
        (f"/quotes/{held.id}", less),
        (f"/quotes/{renewed.id}", less),
        (f"/orders/{made.id}", f"−₩{made.lines[0].credit:,}"),
        (f"/orders/{made.id}/receipt", f"−₩{made.lines[0].credit:,}"),
    ):
        page = buyer.get(f"{path}?lang={language}").get_data(as_text=True)
        assert CREDIT[language] in page and taken in page, path
    assert OFFERED[language] in buyer.get(f"/datasets/hanbit/streets?lang={language}").get_data(as_text=True)
    assert CHOICE.search(seller.get(f"/sell/streets/1/publish?lang={language}").get_data(as_text=True))
    sell(market, "commercial", credits_earlier=False)
    assert not CHOICE.search(seller.get(f"/sell/streets/1/publish?lang={language}").get_data(as_text=True))
    assert OFFERED[language] not in buyer.get(f"/datasets/hanbit/streets?lang={language}").get_data(as_text=True)
    table = csv.DictReader(io.StringIO(buyer.get("/orders.csv").get_data().decode("utf-8-sig")))
    assert {row["order"]: int(row["price"]) - int(row["credit"]) for row in table}[made.id] == made.subtotal


def at_the_pages(app: APIFlask, who: Actor) -> FlaskClient:
    """A browser at which somebody is signed in."""
    persons.set_password(app.extensions["mapex"], None, who.email, PASSWORD)
    return sign_in(app, who.email)
