"""64 at once over HTTP, on both databases: whatever writes is done for each of them, and nobody is told that others were first."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import func, select

from mapex.audit import log
from mapex.catalogue import datasets
from mapex.cli.server import built_in
from mapex.database import db, schema
from mapex.exchange import Actor, Exchange
from mapex.intake import uploads
from mapex.offers import offers
from mapex.operation import fsck
from mapex.orders import ledger
from mapex.people import domains, tokens
from mapex.prices import quotes
from mapex.prices.request import of_area
from tests.support.exchange import a_person, an_upload, send_part
from tests.support.market import EVERYWHERE, RATES, a_draft, a_layer, a_market, area, block
from tests.support.servers import free_port
from web import create_app

CROWD = 64
A_WHILE = 60
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to /api/v1."""

    by: Actor
    method: str
    path: str
    body: Any = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    json: Any


@dataclass(slots=True)
class Crowd:
    """An exchange that is served by as many threads as there are askers."""

    ex: Exchange
    url: str
    tokens: dict[str, str]

    def at_once(self, requests: Sequence[Request]) -> list[Answer]:
        """The answers to all requests, which were begun together."""
        self.know(requests)
        gate = threading.Barrier(len(requests))
        answers: list[Answer] = [Answer(0, None)] * len(requests)

        def ask(n: int) -> None:
            gate.wait()
            answers[n] = self._ask(requests[n])

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def know(self, requests: Sequence[Request]) -> None:
        """Give a token to everybody who asks."""
        for request in requests:
            if request.by.person_id not in self.tokens:
                self.tokens[request.by.person_id] = tokens.create(self.ex, request.by, days=30)

    def _ask(self, request: Request) -> Answer:
        """The answer; who asked for too many areas at once waits and asks again, as the command line does. Nobody waits for hours."""
        sent = {"Authorization": f"Bearer {self.tokens[request.by.person_id]}", "Content-Type": "application/json"}
        sent |= {"Idempotency-Key": request.key} if request.key else {}
        data = json.dumps(request.body).encode() if request.body is not None else None
        asked = urllib.request.Request(f"{self.url}/api/v1{request.path}", data, sent, method=request.method)
        try:
            with urllib.request.urlopen(asked, timeout=300) as answer:
                text = answer.read()
                return Answer(answer.status, json.loads(text) if text else None)
        except urllib.error.HTTPError as error:
            with error:
                wait = int(error.headers.get("Retry-After", 0))
                if error.code != 429 or wait > A_WHILE:  # noqa: PLR2004
                    return Answer(error.code, json.loads(error.read()))
                time.sleep(wait)
        return self._ask(request)

    def rows(self, table: Any) -> int:
        with db.read(self.ex) as conn:
            return int(conn.execute(select(func.count()).select_from(table)).scalar_one())

    def logged(self, action: log.Action) -> int:
        event = schema.audit_event
        with db.read(self.ex) as conn:
            return int(conn.execute(select(func.count()).select_from(event).where(event.c.action == str(action))).scalar_one())


@pytest.fixture
def crowd(exchange: Exchange) -> Iterator[Crowd]:
    port = free_port()
    here = {"port": port, "public_url": f"http://127.0.0.1:{port}", "grants_per_tile": CROWD}
    ex = replace(exchange, settings=replace(exchange.settings, **here))
    with built_in.serving(create_app(ex), host="127.0.0.1", port=port, threads=CROWD):
        yield Crowd(ex, f"http://127.0.0.1:{port}", {})


def statuses(answers: Sequence[Answer]) -> dict[int, int]:
    """How many answers of each status; with the first that is none of success, so that a failure says what it was."""
    bad = next((answer for answer in answers if not 200 <= answer.status < 300), None)
    assert bad is None, bad
    return {status: sum(answer.status == status for answer in answers) for status in {answer.status for answer in answers}}


def is_whole(ex: Exchange) -> None:
    broken = [check for check in fsck.check(ex) if not check.ok]
    assert not broken


def test_64_datasets_made_at_once_are_all_made_and_logged(crowd: Crowd) -> None:
    seller = a_person(crowd.ex, "hanbit")
    answers = crowd.at_once([Request(seller, "POST", "/datasets", {"slug": f"set-{n}"}) for n in range(CROWD)])
    assert statuses(answers) == {201: CROWD}
    assert crowd.rows(schema.dataset) == crowd.logged(log.Action.DATASET_CREATED) == CROWD
    is_whole(crowd.ex)


def test_a_dataset_that_64_make_at_once_is_made_once(crowd: Crowd) -> None:
    seller = a_person(crowd.ex, "hanbit")
    answers = crowd.at_once([Request(seller, "POST", "/datasets", {"slug": "seoul"})] * CROWD)
    assert statuses(answers) == {201: 1, 200: CROWD - 1}
    assert crowd.rows(schema.dataset) == crowd.logged(log.Action.DATASET_CREATED) == 1


def _organisations(ex: Exchange) -> tuple[list[Request], log.Action]:
    operator = a_person(ex, role="operator")
    return [Request(operator, "POST", "/organisations", {"slug": f"org-{n}"}) for n in range(CROWD)], log.Action.ORG_ADDED


def _persons(ex: Exchange) -> tuple[list[Request], log.Action]:
    operator, org = a_person(ex, role="operator"), a_person(ex, "dongil").org_slug
    made = [Request(operator, "POST", "/persons", {"email": f"p{n}@dongil.example", "org": org}) for n in range(CROWD)]
    return made, log.Action.PERSON_ADDED


def _invitations(ex: Exchange) -> tuple[list[Request], log.Action]:
    member = a_person(ex, "dongil")
    domains.add(ex, None, "dongil", "dongil.example")
    made = [Request(member, "POST", "/invitations", {"email": f"i{n}@dongil.example", "org": "dongil"}) for n in range(CROWD)]
    return made, log.Action.PERSON_INVITED


def _tokens(ex: Exchange) -> tuple[list[Request], log.Action]:
    member = a_person(ex, "dongil")
    return [Request(member, "POST", "/tokens", {"name": f"t{n}"}) for n in range(CROWD)], log.Action.TOKEN_CREATED


def _permits(ex: Exchange) -> tuple[list[Request], log.Action]:
    operator = a_person(ex, role="operator")
    a_person(ex, "dongil")
    body = {"org": "dongil", "purposes": ["research"], "classes": ["original"], "area": EVERYWHERE}
    body |= {"valid_from": "2026-09-01T00:00:00Z", "valid_to": "2027-09-01T00:00:00Z"}
    return [Request(operator, "POST", "/permits", {**body, "number": f"KR-{n}"}) for n in range(CROWD)], log.Action.PERMIT_ADDED


def _credits(ex: Exchange) -> tuple[list[Request], log.Action]:
    operator = a_person(ex, role="operator")
    a_person(ex, "dongil")
    made = [Request(operator, "POST", "/wallet/credits", {"org": "dongil", "amount": 1000, "key": f"k{n}"}) for n in range(CROWD)]
    return made, log.Action.WALLET_CREDITED


def _uploads(ex: Exchange) -> tuple[list[Request], log.Action]:
    seller = a_person(ex, "hanbit")
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(CROWD)]
    return [
        Request(seller, "POST", "/uploads", {"name": f"{n}.osm", "size": 6, "sha256": digest}) for n, digest in enumerate(digests)
    ], log.Action.UPLOAD_STAGED


def _completions(ex: Exchange) -> tuple[list[Request], log.Action]:
    seller = a_person(ex, "hanbit")
    begun = [uploads.stage(ex, seller, f"{n}.osm", 6) for n in range(CROWD)]
    for upload in begun:
        send_part(ex, upload, 1, b"<osm/>")
    return [Request(seller, "POST", f"/uploads/{upload.id}/complete", {}) for upload in begun], log.Action.UPLOAD_COMPLETED


def _versions_of_one_dataset(ex: Exchange) -> tuple[list[Request], log.Action]:
    seller = a_person(ex, "hanbit")
    datasets.create_dataset(ex, seller, "seoul")
    sent = [an_upload(ex, seller, f"{n}.osm") for n in range(CROWD)]
    return [Request(seller, "POST", "/datasets/seoul/versions", {"uploads": [one.id]}) for one in sent], log.Action.VERSION_STARTED


def _quotes(ex: Exchange) -> tuple[list[Request], log.Action]:
    market = a_market(ex)
    return [Request(market.buyer, "POST", "/quotes", {"region": _around_seoul(), "purpose": "research"})] * CROWD, log.Action.QUOTE_MADE


def _orders_of_eight_buyers(ex: Exchange) -> tuple[list[Request], log.Action]:
    """Of one seller, whose account and whose offer they all touch."""
    market = a_market(ex, side=8)
    buyers = [a_person(ex, f"buyer-{n}") for n in range(8)]
    made = []
    for n, cell in enumerate(market.cells[:CROWD]):
        buyer = buyers[n % 8]
        if n < 8:
            ledger.credit(ex, None, buyer.org_slug, 10_000_000, key=buyer.org_slug)
        quote = quotes.quote(ex, buyer, of_area(area([cell]), purpose="research"))
        made.append(Request(buyer, "POST", "/orders", {"quote": quote.id}, key=quote.id))
    return made, log.Action.ORDER_PLACED


def _publications_in_one_place(ex: Exchange) -> tuple[list[Request], log.Action]:
    """Of eight sellers, who share the sums of each cell on the map."""
    sellers = [a_person(ex, f"seller-{n}") for n in range(8)]
    for n in range(CROWD):
        a_draft(ex, sellers[n % 8], f"set-{n}", [a_layer(block(2), salt=str(n))])
    body = {"rates": dict(RATES), "licence": "research"}
    return [Request(sellers[n % 8], "POST", f"/datasets/set-{n}/publish", body) for n in range(CROWD)], log.Action.OFFER_PUBLISHED


def _withdrawals_in_one_place(ex: Exchange) -> tuple[list[Request], log.Action]:
    publications, _ = _publications_in_one_place(ex)
    for n, request in enumerate(publications):
        offers.publish(ex, request.by, f"set-{n}", rate_card=RATES, licence="research")
    return [Request(request.by, "POST", f"/datasets/set-{n}/withdraw", {}) for n, request in enumerate(publications)], (
        log.Action.OFFER_WITHDRAWN
    )


def _around_seoul() -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[[126.9, 37.5], [127.1, 37.5], [127.1, 37.6], [126.9, 37.6], [126.9, 37.5]]]}


@pytest.mark.parametrize(
    "made",
    [
        _organisations,
        _persons,
        _invitations,
        _tokens,
        _permits,
        _credits,
        _uploads,
        _completions,
        _versions_of_one_dataset,
        _quotes,
        _orders_of_eight_buyers,
        _publications_in_one_place,
        _withdrawals_in_one_place,
    ],
    ids=lambda made: made.__name__.strip("_"),
)
def test_whatever_64_write_at_once_is_written_for_each(crowd: Crowd, made: Callable[[Exchange], tuple[list[Request], log.Action]]) -> None:
    requests, action = made(crowd.ex)
    crowd.know(requests)
    before = crowd.logged(action)
    assert sum(statuses(crowd.at_once(requests)).values()) == CROWD
    assert crowd.logged(action) - before == CROWD
    is_whole(crowd.ex)


def test_64_areas_saved_at_once_are_all_saved(crowd: Crowd) -> None:
    buyer = a_person(crowd.ex, "dongil")
    requests = [Request(buyer, "POST", "/areas", {"name": f"a{n}", "region": _around_seoul()}) for n in range(CROWD)]
    assert statuses(crowd.at_once(requests)) == {201: CROWD}
    assert crowd.rows(schema.saved_area) == CROWD


def test_64_grants_of_one_order_at_once_are_all_given(crowd: Crowd) -> None:
    market = a_market(crowd.ex)
    order = market.buy()
    with db.read(crowd.ex) as conn:
        owned = list(conn.execute(select(schema.entitlement.c.id)).scalars())
    body = {"order": order.id, "tiles": owned}
    assert statuses(crowd.at_once([Request(market.buyer, "POST", "/grants", body)] * CROWD)) == {201: CROWD}
    assert crowd.rows(schema.access_grant) == crowd.logged(log.Action.ACCESS_GRANTED) == CROWD * len(owned)
    more = crowd.at_once([Request(market.buyer, "POST", "/grants", body)] * CROWD)
    assert {(answer.status, answer.json["code"]) for answer in more} == {(429, "grant.too_often")}


def test_of_64_who_ask_for_one_file_at_once_so_many_get_it_as_a_day_allows(crowd: Crowd) -> None:
    market = a_market(crowd.ex)
    order = market.buy()
    with db.read(crowd.ex) as conn:
        owned = conn.execute(select(schema.entitlement.c.id).limit(1)).scalar_one()
    asked = Request(market.buyer, "POST", "/grants", {"order": order.id, "tiles": [owned]})
    for n in range(CROWD // 2):
        assert crowd.at_once([asked])[0].status == 201, n
    given = [answer.status for answer in crowd.at_once([asked] * CROWD)]
    assert sorted(given) == [201] * (CROWD // 2) + [429] * (CROWD // 2)
    assert crowd.rows(schema.access_grant) == CROWD


def test_a_quote_that_64_order_at_once_with_one_key_is_bought_once(crowd: Crowd) -> None:
    market = a_market(crowd.ex)
    quote = market.quote()
    answers = crowd.at_once([Request(market.buyer, "POST", "/orders", {"quote": quote.id}, key="once")] * CROWD)
    assert statuses(answers) == {201: CROWD}
    assert len({answer.json["id"] for answer in answers}) == crowd.rows(schema.order) == 1
    assert market.balance() == 10_000_000 - quote.estimate.total
    is_whole(crowd.ex)


def test_orders_sales_and_suspensions_of_the_same_things_at_once_end_in_words_and_in_a_whole_exchange(crowd: Crowd) -> None:
    """Some come too late for what another did, which is said; nobody waits for somebody who waits for him."""
    market = a_market(crowd.ex, side=8)
    operator = a_person(crowd.ex, role="operator")
    third = a_person(crowd.ex, "third")
    for n in range(8):
        a_draft(crowd.ex, market.seller, "streets", [a_layer(market.cells, salt=str(n))])
        a_draft(crowd.ex, third, f"set-{n}", [a_layer(market.cells, salt=f"third {n}")])
    held = [market.quote([cell]) for cell in market.cells[:16]]
    sale = {"rates": dict(RATES), "licence": "research"}
    requests = [Request(market.buyer, "POST", "/orders", {"quote": quote.id}, key=quote.id) for quote in held]
    requests += [Request(market.seller, "POST", "/datasets/streets/publish", {**sale, "version": n}) for n in range(2, 10)]
    requests += [Request(third, "POST", f"/datasets/set-{n}/publish", sale) for n in range(8)]
    requests += [Request(operator, "POST", "/organisations/third/state", {"state": ("suspended", "active")[n % 2]}) for n in range(16)]
    requests += [Request(market.buyer, "POST", "/quotes", {"region": _around_seoul(), "purpose": "research"})] * 16
    mixed = [requests[n * 37 % len(requests)] for n in range(len(requests))]
    answers = crowd.at_once(mixed)
    assert len(answers) == CROWD
    assert not [answer for answer in answers if answer.status >= 500]
    is_whole(crowd.ex)
