"""The market over HTTP: what goes in, what comes out, and what each mistake is answered with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse

import web
from mapex.exchange import Actor, Exchange
from mapex.offers import offers
from mapex.people import tokens as api_tokens
from mapex.rules.holder import holder_of
from tests.support.answers import without_id
from tests.support.callers import until
from tests.support.exchange import Clock, a_person
from tests.support.market import Market, a_draft, a_layer, a_market, a_permit, block
from tiles.batch import LayerKind
from tiles.grid import grid

SEOUL_BOX = {"type": "Polygon", "coordinates": [[[126.9, 37.5], [127.1, 37.5], [127.1, 37.6], [126.9, 37.6], [126.9, 37.5]]]}


@dataclass(slots=True)
class Api:
    """A market and one token for everybody in it."""

    market: Market
    client: Any
    tokens: dict[str, str]

    def call(
        self, method: str, path: str, body: object = None, *, by: str = "dongil", headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.tokens[by]}", **(headers or {})}
        answer: TestResponse = self.client.open(f"/api/v1{path}", method=method, json=body, headers=sent)
        return answer

    def quote(self, **changes: object) -> dict[str, Any]:
        answer = self.call("POST", "/quotes", {"region": SEOUL_BOX, "purpose": "research", **changes})
        assert answer.status_code == 201, answer.json
        return dict(answer.json or {})

    def order(self, quote: str, key: str = "k", by: str = "dongil", **more: object) -> TestResponse:
        return self.call("POST", "/orders", {"quote": quote, **more}, headers={"Idempotency-Key": key}, by=by)


@pytest.fixture
def api(exchange: Exchange) -> Api:
    return an_api(a_market(exchange))


def an_api(market: Market) -> Api:
    ex = market.ex
    persons: dict[str, Actor] = {
        "hanbit": market.seller,
        "dongil": market.buyer,
        "third": a_person(ex, "third"),
        "auditor": a_person(ex, role="auditor"),
        "operator": a_person(ex, role="operator"),
    }
    tokens = {name: api_tokens.create(ex, person, days=30) for name, person in persons.items()}
    return Api(market, web.create_app(ex).test_client(), tokens)


def test_search_quote_order_tiles_grants(api: Api) -> None:
    found = api.call("POST", "/search", {"region": SEOUL_BOX}).json
    assert found is not None
    [listing] = found["datasets"]
    assert (listing["dataset"], listing["org"], listing["licence"], listing["rates"]["lane_km"]) == ("streets", "hanbit", "research", 6300)
    assert [(y["name"], y["kind"], y["class"], y["tiles"]) for y in listing["layers"]] == [("hdmap", "hdmap", "open", 16)]
    quote = api.quote()
    [line] = quote["lines"]
    assert {"dataset", "layer", "unit", "quantity", "rate", "amount", "tiles", "class", "org", "kind", "owned_tiles"} <= set(line)
    assert math.isclose(line["quantity"] * line["rate"], line["amount"], abs_tol=0.5)
    assert quote["subtotal"] == sum(y["amount"] for y in quote["lines"])
    assert quote["total"] == quote["subtotal"] + quote["vat"]
    assert (quote["currency"], quote["tiles"]) == ("KRW", 16)
    assert quote["expires_at"].endswith("Z")
    assert (api.call("GET", f"/quotes/{quote['id']}").json or {})["total"] == quote["total"]
    placed = api.order(quote["id"])
    assert placed.status_code == 201
    order = placed.json or {}
    assert (order["state"], order["total"]) == ("paid", quote["total"])
    assert api.order(quote["id"]).json == order
    assert [one["id"] for one in (api.call("GET", "/orders").json or {})["orders"]] == [order["id"]]
    page = api.call("GET", f"/orders/{order['id']}/tiles?limit=10").json or {}
    rest = api.call("GET", f"/orders/{order['id']}/tiles?limit=10&after={page['next']}").json or {}
    tiles = page["tiles"] + rest["tiles"]
    assert (len(tiles), rest["next"]) == (16, None)
    assert {tile["tile"] for tile in tiles} == {grid.quadkey(cell) for cell in api.market.cells}
    granted = api.call("POST", "/grants", {"order": order["id"], "tiles": [tile["id"] for tile in tiles]})
    assert granted.status_code == 201
    assert granted.headers["Cache-Control"] == "no-store"
    progress = f"/orders/{order['id']}/progress"
    assert (api.call("GET", progress).json or {})["read"] == 0  # addresses were given out, and nothing went through them
    for tile, grant in zip(tiles, (granted.json or {})["grants"], strict=True):
        assert (grant["tile_id"], grant["sha256"], grant["size"], grant["holder_required"]) == (
            tile["id"],
            tile["sha256"],
            tile["size"],
            False,
        )
        body = api.client.open(grant["url"].partition("8080")[2], method=grant["method"], headers=grant["headers"])
        assert body.status_code == 200
        assert len(body.data) == tile["size"]
        assert api.client.open(grant["url"].partition("8080")[2], method=grant["method"], headers=grant["headers"]).data == body.data
    until(lambda: (api.call("GET", progress).json or {})["reads"] == 16)  # it is written down beside the answers
    after = api.call("GET", progress).json or {}
    assert (after["granted"], after["grants"], after["read"], after["reads"]) == (16, 16, 16, 16)
    assert after["first_granted_at"] < after["first_read_at"] <= after["last_read_at"]


def test_an_estimate_is_the_quote_without_holding_it(api: Api) -> None:
    estimate = api.call("POST", "/estimates", {"quadkeys": [grid.quadkey(cell) for cell in api.market.cells]}).json or {}
    quote = api.quote()
    assert estimate["lines"] == quote["lines"]
    assert "id" not in estimate


def test_footage_over_http_needs_the_header_that_is_in_no_answer(exchange: Exchange) -> None:
    api = an_api(a_market(exchange, layers=[a_layer(block(), name="photos", handling_class="original", kind=LayerKind.PHOTOS)]))
    refused = api.call("POST", "/estimates", {"region": SEOUL_BOX}).json or {}
    assert [(r["code"], r["class"], r["tiles"]) for r in refused["refusals"]] == [("permit.missing", "original", 16)]
    answer = api.call("POST", "/quotes", {"region": SEOUL_BOX, "purpose": "research"})
    assert (answer.status_code, (answer.json or {})["code"]) == (403, "permit.missing")
    a_permit(exchange)
    quote = api.quote(choice={"take": ["hanbit/streets/photos"]})
    order = api.order(quote["id"], persons=[api.market.buyer.email]).json or {}
    tile = (api.call("GET", f"/orders/{order['id']}/tiles").json or {})["tiles"][0]
    answer = api.call("POST", "/grants", {"order": order["id"], "tiles": [tile["id"]]})
    [grant] = (answer.json or {})["grants"]
    holder = holder_of(api.tokens["dongil"], grant["id"])
    assert grant["holder_required"]
    assert holder not in answer.text
    path = grant["url"].partition("8080")[2]
    assert api.client.get(path).status_code == 403
    assert api.client.get(path, headers={"x-mapex-holder": "0" * 64}).status_code == 403
    assert api.client.get(path, headers={"x-mapex-holder": holder}).status_code == 200


BOWTIE = {"type": "Polygon", "coordinates": [[[126.9, 37.5], [127.1, 37.6], [127.1, 37.5], [126.9, 37.6], [126.9, 37.5]]]}
CONTINENT = {"type": "Polygon", "coordinates": [[[70, 20], [140, 20], [140, 60], [70, 60], [70, 20]]]}
FINE = {"type": "LineString", "coordinates": [[127 + i / 1e6, 37.5] for i in range(5001)]}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/estimates", {"region": SEOUL_BOX, "colour": "red"}, 422, "request.unknown_field"),
        ("/quotes", {"region": SEOUL_BOX, "purpose": "research", "price": 1}, 422, "request.unknown_field"),
        ("/quotes", {"region": SEOUL_BOX}, 422, "request.invalid"),
        ("/quotes", {"region": SEOUL_BOX, "purpose": "fun"}, 422, "purpose.unknown"),
        ("/quotes", {"region": SEOUL_BOX, "purpose": "research", "dataset": "absent"}, 404, "dataset.unknown"),
        ("/quotes", {"region": {"type": "Point", "coordinates": [0, 0]}, "purpose": "research"}, 422, "quote.empty"),
        ("/estimates", {}, 422, "region.missing"),
        ("/estimates", {"region": BOWTIE}, 422, "region.crossing"),
        ("/estimates", {"region": CONTINENT}, 422, "region.too_large"),
        ("/estimates", {"region": FINE}, 422, "region.too_many_vertices"),
        ("/estimates", {"region": {"type": "Polygon", "coordinates": []}}, 422, "region.empty"),
        ("/estimates", {"region": {"type": "Point", "coordinates": [127, 137]}}, 422, "region.out_of_range"),
        ("/estimates", {"region": "everywhere"}, 422, "region.malformed"),
        ("/estimates", {"quadkeys": ["4"]}, 422, "request.invalid"),
        ("/grants", {"order": "ord_absent", "tiles": ["x"]}, 404, "order.unknown"),
        ("/grants", {"order": "ord_absent", "tiles": []}, 422, "request.invalid"),
    ],
)
def test_a_request_that_cannot_be_is_answered_with_its_code(api: Api, path: str, body: object, status: int, code: str) -> None:
    answer = api.call("POST", path, body)
    assert (answer.status_code, (answer.json or {}).get("code")) == (status, code), answer.json
    assert "Traceback" not in answer.text


def test_order_mistakes_have_their_status(api: Api) -> None:
    quote = api.quote()
    without_key = api.call("POST", "/orders", {"quote": quote["id"]})
    assert (without_key.status_code, (without_key.json or {})["code"]) == (422, "order.key")
    foreign, absent = api.order(quote["id"], by="third"), api.order("quo_" + "0" * 20, by="third")
    assert foreign.status_code == absent.status_code == 404
    texts = (without_id(answer.text) for answer in (foreign, absent))
    assert next(texts).replace(quote["id"], "ID") == next(texts).replace("quo_" + "0" * 20, "ID")
    assert isinstance(api.market.ex.now, Clock)
    api.market.ex.now.forward(seconds=15 * 60)
    late = api.order(quote["id"])
    assert (late.status_code, (late.json or {})["code"]) == (409, "quote.expired")


def test_a_changed_price_comes_with_the_new_one(api: Api) -> None:
    quote = api.quote()
    new = api.call("POST", "/datasets/streets/publish", {"rates": {"lane_km": 7000}, "licence": "research"}, by="hanbit")
    assert new.status_code == 200
    answer = api.order(quote["id"])
    assert (answer.status_code, (answer.json or {})["code"]) == (409, "quote.price_changed")
    assert (answer.json or {})["details"]["estimate"]["lines"][0]["rate"] == 7000


def test_a_withdrawn_offer_is_a_conflict(api: Api) -> None:
    quote = api.quote()
    assert api.call("POST", "/datasets/streets/withdraw", by="hanbit").status_code == 200
    answer = api.order(quote["id"])
    assert (answer.status_code, (answer.json or {})["code"]) == (409, "offer.withdrawn")


def test_an_empty_wallet_is_payment_required(exchange: Exchange) -> None:
    api = an_api(a_market(exchange, credit=0))
    answer = api.order(api.quote()["id"])
    assert (answer.status_code, (answer.json or {})["code"]) == (402, "wallet.insufficient")
    assert (answer.json or {})["details"]["available"] == 0


def test_publishing_over_http_refuses_what_is_no_price(api: Api) -> None:
    a_draft(api.market.ex, api.market.seller, "more", [a_layer(block())])
    bodies: list[tuple[dict[str, object], str]] = [
        ({"rates": {"mile": 1}, "licence": "research"}, "rates.unit"),
        ({"rates": {"lane_km": "1"}, "licence": "research"}, "rates.value"),
        ({"rates": {"lane_km": 1.5}, "licence": "research"}, "rates.value"),
        ({"rates": {}, "licence": "research"}, "rates.empty"),
        ({"rates": {"lane_km": 1}, "licence": "mine"}, "licence.unknown"),
    ]
    for body, code in bodies:
        answer = api.call("POST", "/datasets/more/publish", body, by="hanbit")
        assert (answer.status_code, (answer.json or {})["code"]) == (422, code)
    offer = api.call("POST", "/datasets/more/publish", {"rates": {"lane_km": 1}, "licence": "research"}, by="hanbit").json or {}
    assert (offer["dataset"], offer["version"], offer["state"], offer["rates"]) == ("more", 1, "live", {"lane_km": 1})


def test_wallets_and_credits(api: Api) -> None:
    own = api.call("GET", "/wallet").json or {}
    assert (own["org"], own["balance"], own["entries"][0]["kind"]) == ("dongil", 10_000_000, "credit")
    credit = {"org": "dongil", "amount": 500, "key": "bank-7"}
    assert api.call("POST", "/wallet/credits", credit).status_code == 403
    for _ in range(2):
        booked = api.call("POST", "/wallet/credits", credit, by="operator")
        assert (booked.status_code, (booked.json or {})["balance"]) == (201, 10_000_500)
    other = api.call("POST", "/wallet/credits", {**credit, "amount": 5}, by="operator")
    assert (other.status_code, (other.json or {})["code"]) == (409, "credit.key_reused")
    assert api.call("GET", "/wallet?org=dongil", by="auditor").status_code == 200
    assert api.call("GET", "/wallet?org=hanbit").status_code == 403


def test_auditors_and_operators_do_not_trade(api: Api) -> None:
    for by in ("auditor", "operator"):
        assert api.call("POST", "/estimates", {"region": SEOUL_BOX}, by=by).status_code == 200, "prices are public"
        assert api.call("POST", "/quotes", {"region": SEOUL_BOX, "purpose": "research"}, by=by).status_code == 403
        assert api.call("POST", "/orders", {"quote": "q"}, by=by, headers={"Idempotency-Key": "k"}).status_code == 403


def test_the_description_of_the_api_can_be_made(api: Api) -> None:
    spec = api.client.get("/openapi.json").json
    assert {"/api/v1/estimates", "/api/v1/orders/{order_id}/tiles", "/api/v1/grants"} <= set(spec["paths"])


def test_offers_are_listed_to_auditors_too(api: Api) -> None:
    assert [d["dataset"] for d in (api.call("POST", "/search", {"region": SEOUL_BOX}, by="auditor").json or {})["datasets"]] == ["streets"]
    assert offers.withdraw(api.market.ex, api.market.seller, "streets").state == "withdrawn"
