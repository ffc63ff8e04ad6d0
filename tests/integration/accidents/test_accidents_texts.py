"""Values that nobody means, one at a time in a request that is right otherwise: none ends in a fault of ours, on either database.

PostgreSQL refuses what SQLite keeps (NUL, more characters than the column has), and neither can write half a character or a number of
more than 64 bits.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from apiflask import APIFlask

from mapex.exchange import Actor, Exchange
from mapex.login import applications
from mapex.login.applications import NewApplication
from mapex.people import tokens
from mapex.prices import quotes
from mapex.prices.request import of_area
from tests.support.exchange import a_person
from tests.support.market import a_draft, a_layer, a_market, area, block
from tiles.grid import grid
from web import create_app

TEXTS = (
    *("\x00", "a\x00b", "\ud800", "가" * 255, "x" * 255, "x" * 256, "x" * 5000, "\u202e%00%'\"\\"),
    *("9" * 10, "9" * 18, "9" * 30, "-1", "9999-12-31", "0001-01-01T00:00:00Z"),
)
NUMBERS = (-1, 0, 2**31, 2**63, 10**30, 1e300)
SQUARE = {"type": "Polygon", "coordinates": [[[126.9, 37.5], [127.1, 37.5], [127.1, 37.6], [126.9, 37.6], [126.9, 37.5]]]}
DAYS = {"valid_from": "2026-01-01T00:00:00Z", "valid_to": "2027-01-01T00:00:00Z"}
UNIT = 2_000_000
"""Bytes of the file that is announced."""


def short(value: object) -> str:
    """Name of a test case."""
    return ascii(value)[:12]


BODIES: Mapping[str, Mapping[str, Any]] = {
    "POST /applications/{application_id}/accept": {"slug": "newcomer", "name": "Newcomer"},
    "POST /applications/{application_id}/refuse": {"reason": "not known"},
    "POST /approvals": {"quote": "quo_x", "note": "please", "persons": ["buyer@dongil.example"]},
    "POST /approvals/{approval_id}/close": {"reason": "no"},
    "POST /areas": {"name": "home", "region": SQUARE, "tell": ["new"]},
    "PATCH /areas/{area_id}": {"name": "home"},
    "PUT /areas/{area_id}/news": {"tell": ["new"]},
    "POST /coverage": {"region": SQUARE, "limit": 10},
    "POST /datasets": {"slug": "other", "title": "Other", "description": "words"},
    "PATCH /datasets/{slug}/description": {
        **{"ko": "설명", "en": "words", "method": "drawn", "sensors": "none", "sample": True},
        **{"accuracy_m": 0.1, "accuracy_basis": "1 sigma"},
    },
    "POST /datasets/{org}/{slug}/questions": {"text": "How wide are the lanes?"},
    "POST /questions/{question_id}/messages": {"text": "Three metres."},
    "PATCH /seller": {"ko": "소개", "en": "words"},
    "POST /datasets/{slug}/publish": {
        "licence": "research",
        "rates": {"lane_km": 6300},
        "attribution": "Hanbit",
        "version": 1,
        "accuracies": {"*": 0.1},
    },
    "POST /datasets/{slug}/versions": {"uploads": ["upl_x"], "classes": {"hdmap": "open"}, "crs": "EPSG:4326", "columns": {"lon": "x"}},
    "POST /datasets/{slug}/versions/{number}/appraisal": {"rates": {"lane_km": 6300}},
    "POST /datasets/{slug}/versions/{number}/classes": {"classes": {"hdmap": "open"}},
    "POST /datasets/{slug}/versions/{number}/leave-out": {"files": ["map.osm"]},
    "POST /datasets/{slug}/versions/{number}/review": {
        **{"layer": "recording", "method": "blurred", "tool": "blur 2", "sample": 100, "statement": "Nobody is seen."},
        "document": {"name": "report.pdf", "base64": "JVBERg=="},
    },
    "POST /reviews/{review_id}/begin": {},
    "POST /reviews/{review_id}/look": {"tile": 0, "holder": "h" * 40},
    "POST /reviews/{review_id}/decision": {
        **{"accepted": True, "residual_risk": "small", "reasons": "none", "valid_to": "2027-01-01", "criteria": ["faces"]},
        "reviewers": [{"name": "Lee", "organisation": "Institute"}],
    },
    "POST /datasets/{slug}/versions/{number}/placement": {"crs": "EPSG:4326", "height_datum": "EPSG:5773", "origin": [127, 37]},
    "POST /outlines": {"region": SQUARE},
    "POST /estimates": {
        **{"region": SQUARE, "purpose": "research", "dataset": "streets", "layers": ["hdmap"]},
        "choice": {"take": ["hanbit/streets/hdmap"], "leave": ["hanbit/streets"], "prefer": "cheapest", "only": False},
    },
    "POST /estimates/tiles": {"region": SQUARE, "purpose": "research", "dataset": "streets", "layers": ["hdmap"], "limit": 10},
    "POST /grants": {"order": "ord_x", "tiles": ["tile_x"], "holder": "h" * 40},
    "POST /invitations": {"email": "new@dongil.example", "org": "dongil", "role": "member"},
    "POST /invitations/{invitation_id}/link": {},
    "POST /notices/read": {"notices": ["ntc_x"]},
    "PUT /notices/ways": {"ways": {"order": "page"}},
    "POST /orders": {"quote": "quo_x", "persons": ["buyer@dongil.example"]},
    "PUT /orders/{order_id}/persons": {"persons": ["buyer@dongil.example"]},
    "POST /orders/{order_id}/updates/quote": {"added": True},
    "POST /organisations": {"slug": "newfirm", "name": "New firm"},
    "POST /organisations/{slug}/business": {
        **{"number": "124-81-00998", "name": "Dongil", "representative": "Hong", "address": "Seoul"},
        **{"business_type": "services", "item": "maps", "email": "tax@dongil.example"},
    },
    "POST /organisations/{slug}/domains": {"domain": "other.example"},
    "POST /organisations/{slug}/state": {"state": "active"},
    "POST /permit-requests": {
        "area": SQUARE,
        "classes": ["original"],
        "document": "permit.pdf",
        "document_sha256": "0" * 64,
        "issuer": "PIPC",
        "number": "KR-901",
        "purposes": ["research"],
        **DAYS,
    },
    "POST /permit-requests/{request_id}/refuse": {"reason": "not shown"},
    "POST /permits": {
        "area": SQUARE,
        "classes": ["original"],
        "number": "KR-900",
        "org": "dongil",
        "purposes": ["research"],
        "recipients": ["dongil"],
        "request": "prq_x",
        "rule_set": "kr-pipc-2026-01",
        **DAYS,
    },
    "POST /permits/{permit_id}/state": {"state": "suspended"},
    "POST /persons": {"email": "another@dongil.example", "name": "Another", "org": "dongil", "role": "member"},
    "POST /persons/{email}/purchase-right": {"may_pay": True, "order_limit": 1000, "month_limit": 10_000},
    "POST /persons/{email}/role": {"org": "dongil", "role": "member"},
    "POST /persons/{email}/state": {"state": "active"},
    "POST /places/names": {"tiles": [grid.quadkey(block(1)[0])]},
    "POST /quotes": {"quadkeys": [grid.quadkey(block(1)[0])], "purpose": "research", "dataset": "streets", "layers": ["hdmap"]},
    "PATCH /quotes/{quote_id}": {"name": "home"},
    "POST /quotes/{quote_id}/renew": {"purpose": "research"},
    "POST /search": {"region": SQUARE, "layers": ["hdmap"]},
    "POST /systems/box": {"box": [0, 0, 1, 1], "crs": "EPSG:5186", "origin": [127, 37]},
    "POST /tokens": {"name": "laptop", "scopes": ["read"], "days": 30},
    "POST /uploads": {"name": "map.osm", "size": UNIT, "sha256": "0" * 64},
    "POST /uploads/{upload_id}/parts": {"parts": [{"number": 1, "size": UNIT, "sha256": "0" * 64}]},
    "POST /ledger/fee-payments": {"amount": 1000, "reference": "slip"},
    "POST /ledger/settlements": {"month": "2026-08"},
    "POST /ledger/settlements/payments": {"org": "hanbit", "month": "2026-08", "reference": "slip"},
    "POST /ledger/vat-payments": {"amount": 1000, "reference": "slip"},
    "POST /wallet/credits": {"org": "dongil", "amount": 1000, "key": "slip", "memo": "paid"},
}


class Client:
    """Asks as whoever may: the answer of the first role that is not refused for what it is."""

    def __init__(self, ex: Exchange) -> None:
        market = a_market(ex)
        a_draft(ex, market.seller, "second", [a_layer(block(2))])
        operator, auditor = a_person(ex, role="operator"), a_person(ex, role="auditor")
        self.app: APIFlask = create_app(ex)
        self._client = self.app.test_client()
        self._tokens = [_token(ex, actor) for actor in (market.seller, market.buyer, operator, auditor)]
        held = quotes.quote(ex, market.buyer, of_area(area(block(2)), purpose="research"))
        applications.apply(ex, "203.0.113.1", NewApplication("newcomer", "Newcomer", "Kim", "kim@newcomer.example", "to buy maps"))
        self.spec = self._client.get("/openapi.json").json
        self.names = {
            "slug": "streets",
            "org": "hanbit",
            "number": "1",
            "layer": "hdmap",
            "kind": "teaser",
            "ordinal": "0",
            "email": market.buyer.email,
            "quote_id": held.id,
            "application_id": applications.all_applications(ex, None)[0].id,
        }

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **given: Any) -> Any:
        """The answer to the first role that may ask; it is no fault of ours."""
        for token in self._tokens:
            answer = self._client.open(path, method=method, headers={"Authorization": f"Bearer {token}", **(headers or {})}, **given)
            assert answer.status_code < 500, (method, path, given, answer.status_code, answer.text[:300])
            if answer.status_code != 403:
                break
        return answer


def _token(ex: Exchange, actor: Actor) -> str:
    return tokens.create(ex, actor, "test", ("*",), 30)


@pytest.fixture
def client(exchange: Exchange, caplog: pytest.LogCaptureFixture) -> Iterator[Client]:
    yield Client(exchange)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def operations(client: Client) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(method, template of the path, description) of everything in the API."""
    for path, described in client.spec["paths"].items():
        for method, operation in described.items():
            if method != "parameters":
                more = {"parameters": [*described.get("parameters", []), *operation.get("parameters", [])]}
                yield method.upper(), path, {**operation, **more}


def filled(template: str, names: Mapping[str, str]) -> str:
    """The path with a name in each place."""
    for name in re.findall(r"{(\w+)}", template):
        template = template.replace("{" + name + "}", quote(names.get(name, "1"), safe="", errors="surrogatepass"))
    return template


def mutants(value: Any, wrong: str | float) -> Iterator[Any]:
    """`value` with one text (a key or a leaf) or one number in it replaced by `wrong`, which is one too."""
    if isinstance(value, str) == isinstance(wrong, str) and isinstance(value, str | int | float):
        yield wrong
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from ([*value[:index], mutant, *value[index + 1 :]] for mutant in mutants(inner, wrong))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: mutant} for mutant in mutants(inner, wrong))
            if isinstance(wrong, str):
                yield {**{key: kept for key, kept in value.items() if key != name}, wrong: inner}


def test_every_body_of_the_api_is_among_the_bodies_tried(client: Client) -> None:
    takes = {
        f"{method} {template.removeprefix('/api/v1')}" for method, template, described in operations(client) if "requestBody" in described
    }
    assert takes == set(BODIES)


@pytest.mark.parametrize("wrong", [*TEXTS, *NUMBERS], ids=short)
def test_nothing_in_a_body_is_a_fault_of_ours(client: Client, wrong: str | float) -> None:
    for name, body in BODIES.items():
        method, template = name.split(" ")
        for mutant in mutants(dict(body), wrong):
            client.ask(method, filled("/api/v1" + template, client.names), json=mutant)


@pytest.mark.parametrize("wrong", TEXTS, ids=short)
def test_nothing_in_a_path_or_a_query_of_the_api_is_a_fault_of_ours(client: Client, wrong: str) -> None:
    for method, template, described in operations(client):
        for parameter in described["parameters"]:
            name = parameter["name"]
            if parameter["in"] == "path":
                client.ask(method, filled(template, {**client.names, name: wrong}))
            elif parameter["in"] == "query":
                client.ask(method, f"{filled(template, client.names)}?{name}={quote(wrong, errors='surrogatepass')}")


WORDS = ("q", "after", "dataset", "purpose", "from", "to", "action", "org", "owner", "person", "layer", "tile", "permit", "lang", "next")


@pytest.mark.parametrize("wrong", [text for text in TEXTS if text not in ("a\x00b", "x" * 255, "x" * 256, "9" * 10, "9" * 18)], ids=short)
def test_nothing_in_the_address_of_a_page_is_a_fault_of_ours(client: Client, wrong: str) -> None:
    sent = quote(wrong, safe="", errors="surrogatepass")
    for rule in client.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.rule.startswith(("/api/", "/static/")):
            continue
        for name in sorted(rule.arguments):
            names = {**client.names, name: wrong}
            client.ask("GET", filled(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), names))
        if not rule.arguments and client.ask("GET", f"{rule.rule}?{'&'.join(f'{word}={sent}' for word in WORDS)}").status_code >= 400:
            for word in WORDS:  # one was refused, and hid the others
                client.ask("GET", f"{rule.rule}?{word}={sent}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "wtf-8"])
def test_json_that_is_not_utf8_is_refused(client: Client, encoding: str) -> None:
    report = json.dumps({"slug": "odd", "title": "\ud800" if encoding == "wtf-8" else "a\x00b"}, ensure_ascii=False)
    body = report.encode("utf-8", "surrogatepass") if encoding == "wtf-8" else report.encode(encoding)
    answer = client.ask("POST", "/api/v1/datasets", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (422, "request.malformed")


@pytest.mark.parametrize("kind", ["application/json", "application/geo+json", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_part_is_bytes_whatever_it_is_called(client: Client, kind: str) -> None:
    body = b'"\\u0000\xff' * 13_000  # more than one part, nothing that could be parsed
    upload = client.ask("POST", "/api/v1/uploads", json={"name": "odd.osm", "size": len(body)}).json
    size = upload["part_size"]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    report = [{"number": n, "size": len(part), "sha256": hashlib.sha256(part).hexdigest()} for n, part in enumerate(parts, 1)]
    signed = client.ask("POST", f"/api/v1/uploads/{upload['id']}/parts", json={"parts": report}).json["parts"]
    for request, part in zip(signed, parts, strict=True):
        path = request["url"].removeprefix(client.app.extensions["mapex"].settings.store_public_url)
        sent = client.ask(request["method"], path, headers={**request["headers"], "Content-Type": kind}, data=part)
        assert sent.status_code == 200, (sent.text, len(part), path)
    assert client.ask("POST", f"/api/v1/uploads/{upload['id']}/complete", json={}).json["state"] == "complete"


def test_nothing_in_a_form_or_a_header_is_a_fault_of_ours(client: Client) -> None:
    visitor = client.app.test_client()
    for wrong in ("\x00", "a\x00b@mapex.example", "x" * 5000, "\xff"):
        secret = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', visitor.get("/login").text)
        assert secret
        for name in ("email", "password", "next", "csrf_token"):
            form = {"csrf_token": secret[1], "email": "op@mapex.example", "password": "secret", name: wrong}
            assert visitor.post("/login", data=form).status_code < 500, (name, wrong)
    for name, value in (
        ("Authorization", "Bearer \xff"),
        ("Authorization", "Bearer"),
        ("Cookie", "session=\xff"),
        ("Accept-Language", "\xff;q=x"),
    ):
        assert visitor.get("/api/v1/me", headers={name: value}).status_code < 500, name
    for key in ("\xff", "k" * 5000, ""):
        client.ask("POST", "/api/v1/orders", json={"quote": "quo_x"}, headers={"Idempotency-Key": key})
