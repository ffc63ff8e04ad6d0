"""`/openapi.json` is valid, says of every route who may ask and how it refuses, and what each role is answered is what it says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
import schemathesis
from apiflask import APIFlask
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from mapex.database import schema
from mapex.exchange import Exchange
from mapex.intake import uploads
from mapex.login import applications
from mapex.login.applications import NewApplication
from mapex.people import domains, invitations, tokens
from mapex.prices import saved_areas
from mapex.rights import grants, permit_requests
from mapex.rights.permit import NewPermit
from mapex.rights.permit_requests import NewRequest
from mapex.showroom import descriptions, questions
from tests.support.exchange import DAY_ONE, a_person, an_exchange
from tests.support.market import RATES, Market, a_draft, a_layer, a_market, a_permit, block
from tests.support.uploads import a_map, a_version, an_upload
from tiles.batch import LayerKind
from tiles.grid import grid
from tiles.grid.region import Region
from web import create_app
from web.edge.limits import visitors

ROLES = ("visitor", "buyer", "seller", "auditor", "operator")
EXAMPLES = 30
"""Requests for each route and role; where the role may not ask, and without a body, fewer are as good."""

SEOUL = {"type": "Polygon", "coordinates": [[[126.98, 37.56], [127.01, 37.56], [127.01, 37.58], [126.98, 37.58], [126.98, 37.56]]]}
SOMETIMES = {"own"}
"""Fields that an answer holds only where there is something to say."""

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIFlask]:
    ex = an_exchange(tmp_path_factory.mktemp("described") / "exchange")
    yield create_app(ex)
    ex.engine.dispose()


@pytest.fixture(scope="module")
def spec(app: APIFlask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/openapi.json").json
    return found


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_description_is_valid(spec: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(spec).iter_errors()] == []
    names = [tag["name"] for tag in spec["tags"]]
    assert len(names) == len(set(names))


def test_every_route_says_who_may_ask(spec: dict[str, Any]) -> None:
    schemes = spec["components"]["securitySchemes"]
    for name, operation in operations(spec):
        for way in operation["security"]:
            assert way.keys() <= schemes.keys(), name
        if {} in operation["security"] or not operation["security"]:
            continue
        assert {"401", "403"} <= operation["responses"].keys() and operation["x-roles"] and operation["x-scopes"], name
        is_read = name.startswith("get ")
        assert operation["security"] == [{"token": []}, {"session": []} if is_read else {"session": [], "page": []}], name


def test_every_refusal_has_the_shape_of_an_error(spec: dict[str, Any]) -> None:
    for name, operation in operations(spec):
        refusals = {status: about for status, about in operation["responses"].items() if status >= "4"}
        assert refusals, name
        for status, about in refusals.items():
            shared = spec["components"]["responses"][about["$ref"].rpartition("/")[2]]
            assert shared["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}, (name, status)


def test_every_route_with_a_body_says_what_becomes_of_one_without_its_length(spec: dict[str, Any]) -> None:
    """A chunked one is answered with 411 (`test_slow_callers.py`), a long one with 413, one of another kind with 415."""
    for name, operation in operations(spec):
        if "requestBody" in operation:
            assert {"411", "413", "415"} <= operation["responses"].keys(), name


def test_times_are_times_and_closed_lists_are_closed(spec: dict[str, Any]) -> None:
    for name, shape in spec["components"]["schemas"].items():
        for name_of, about in shape.get("properties", {}).items():
            if name.endswith("Out") and name_of.endswith("_at"):
                assert about["format"] == "date-time", (name, name_of)
            if name.endswith("Out") and name_of in ("licence", "role", "class", "severity"):
                assert "enum" in about, (name, name_of)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None])
def test_a_body_that_is_not_named_as_json_is_refused_and_never_taken_for_none(app: APIFlask, media_type: str | None) -> None:
    ex = app.extensions["mapex"]
    headers = {"Authorization": f"Bearer {tokens.create(ex, a_person(ex), 'test', ('*',), 90)}"}
    answer = app.test_client().post("/api/v1/orders/ord_x/updates/quote", data=b'{"added": true}', headers=headers, content_type=media_type)
    assert (answer.status_code, answer.json["code"]) == (415, "request.media_type")


@dataclass(slots=True)
class Site:
    """A market behind its application, the token of each role, and what there is of each name that a request may give."""

    app: APIFlask
    headers: dict[str, dict[str, str]]
    known: dict[str, list[Any]]
    described: Any


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    ex = an_exchange(tmp_path_factory.mktemp("fuzzed") / "exchange")
    market = a_filled_market(ex)
    auditor, operator = a_person(ex, role="auditor"), a_person(ex, role="operator")
    people = {"buyer": market.buyer, "seller": market.seller, "auditor": auditor, "operator": operator}
    app = create_app(ex)
    headers = {role: {"Authorization": f"Bearer {tokens.create(ex, by, 'test', ('*',), 90)}"} for role, by in people.items()}
    spec = tightened(app.test_client().get("/openapi.json").json)
    described = schemathesis.openapi.from_dict(spec)
    described.app = app
    yield Site(app, {"visitor": {}, **headers}, known_values(ex, market), described)
    ex.engine.dispose()


def a_filled_market(ex: Exchange) -> Market:
    """One of everything: a layer that is open and footage under a permit, a draft, an unread version, an order in part read."""
    cells = block()
    photos = a_layer(cells[:4], name="photos", handling_class="original", kind=LayerKind.PHOTOS)
    market = a_market(ex, layers=[a_layer(cells), photos])
    a_permit(ex)
    a_draft(ex, market.seller, "streets", [a_layer(cells, salt="new")])
    a_version(ex, {"walks.geojson": a_map()}, by=market.seller, slug="walks")
    uploads.stage(ex, market.seller, "begun.geojson", 100)
    an_upload(ex, market.seller, "more.geojson", a_map(3))
    saved_areas.save(ex, market.buyer, "home", Region.from_geojson(SEOUL, max_vertices=100, max_area_km2=1000))
    order = market.buy().id
    market.quote()
    questions.ask(ex, market.buyer, "hanbit/streets", "How wide are the lanes?")
    descriptions.describe(ex, market.seller, "streets", {"sample": True})
    a_person(ex, role="auditor", email="second@audit.example")
    domains.add(ex, None, "dongil", "dongil.example")
    invitations.invite(ex, market.buyer, "guest@dongil.example", org="dongil")
    applications.apply(ex, "203.0.113.1", NewApplication("newcomer", "Newcomer", "Kim", "kim@newcomer.example", "to buy maps"))
    permit = NewPermit("dongil", "R-1", ("research",), ("original",), SEOUL, DAY_ONE, DAY_ONE + 10**16)
    permit_requests.request(ex, market.buyer, NewRequest(permit, "PIPC", "permit.pdf", "0" * 64))
    tokens.create(ex, market.buyer, "spare", ("read",), 90)
    grants.grant(ex, market.buyer, order, first_tiles(ex, order, 2))
    return market


def first_tiles(ex: Exchange, order: str, count: int) -> list[str]:
    query = "SELECT id FROM entitlement WHERE order_id = ? AND layer_name = 'hdmap' ORDER BY id LIMIT ?"
    return column(ex, query, order, count)


def column(ex: Exchange, query: str, *values: Any) -> list[Any]:
    with ex.engine.connect() as conn:
        return list(conn.exec_driver_sql(query, values).scalars())


def known_values(ex: Exchange, market: Market) -> dict[str, list[Any]]:
    """What exists, by the names that parameters and fields of bodies have. Whoever asks here is left out: who is suspended asks no more."""
    orders, quotes = column(ex, f"SELECT id FROM {schema.order.name}"), column(ex, "SELECT id FROM quote ORDER BY id")
    people = column(ex, "SELECT email FROM person WHERE email = 'second@audit.example'")
    quadkeys = [[grid.quadkey(cell) for cell in market.cells[:3]]]
    return {
        "slug": ["streets", "streets", "walks"],
        "dataset": ["streets", "hanbit/streets"],
        "number": [1, 1, 2],
        "version": [1, 2],
        "org": ["hanbit"],
        "layer": ["hdmap", "photos"],
        "layers": [["hdmap"], ["photos"]],
        "order_id": orders,
        "order": orders,
        "quote_id": quotes,
        "quote": quotes,
        "tiles": [first_tiles(ex, orders[0], 3)],
        "job_id": column(ex, "SELECT id FROM job"),
        "upload_id": column(ex, "SELECT id FROM upload"),
        "uploads": [column(ex, "SELECT id FROM upload WHERE state = 'complete'")],
        "question_id": column(ex, "SELECT id FROM question"),
        "part": [0],
        "area_id": column(ex, "SELECT id FROM saved_area"),
        "tell": [["new"], []],
        "notices": [column(ex, "SELECT id FROM notice")],
        "ways": [{"order": "page"}],
        "permit_id": ["P-1"],
        "email": [*people, "new@dongil.example"],
        "domain": ["dongil.example", "new.example"],
        "persons": [[market.buyer.email]],
        "invitation_id": column(ex, "SELECT id FROM invitation"),
        "application_id": column(ex, "SELECT id FROM application"),
        "request_id": column(ex, "SELECT id FROM permit_request"),
        "document_sha256": ["0" * 64],
        "token_id": column(ex, "SELECT id FROM api_token WHERE name = 'spare'"),
        "purpose": ["research", "simulation"],
        "choice": [{"take": ["hanbit/streets/photos"]}, {"prefer": "cheapest", "leave": ["hanbit/streets"]}],
        "region": [SEOUL],
        "area": [SEOUL],
        "quadkeys": quadkeys,
        "without": quadkeys,
        "rates": [dict(RATES)],
        "licence": ["research"],
        "after": column(ex, "SELECT max(seq) FROM audit_event") + orders + column(ex, "SELECT id FROM notice"),
        "crs": ["EPSG:5186", "EPSG:4326"],
        "classes": [{"hdmap": "open"}, ["original"]],
        "valid_from": ["2026-01-01"],
        "valid_to": ["2028-01-01T00:00:00Z"],
        "from": ["2026-01-01"],
        "format": ["csv"],
        "holder": ["a1" * 16],
    }


def tightened(spec: dict[str, Any]) -> dict[str, Any]:
    """The description as a promise: answers hold all that it names and nothing else. (Readers must expect fields to be added.)"""
    strict = copy.deepcopy(spec)
    for name, shape in strict["components"]["schemas"].items():
        if "Out" in name or name == "Error":
            shape |= {"additionalProperties": False, "required": sorted(shape["properties"].keys() - SOMETIMES)}
    return strict


@dataclass(slots=True)
class Asked:
    """What came of the requests of one role: routes that it may ask, those that served it once, answers that are not as described."""

    open_to: set[str] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    problems: dict[tuple[str, str], str] = field(default_factory=dict)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_answered_as_described(site: Site, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "SECONDS", 1e9)
    asked = Asked()
    for found in site.described.get_all_operations():
        ask_often(site, role, found.ok(), asked)
    assert sorted(asked.problems.values()) == []
    assert len(asked.served) > len(asked.open_to) / 2, "most requests were refused: the test does not reach what it is about"


def ask_often(site: Site, role: str, operation: APIOperation[Any, Any, Any, Any], asked: Asked) -> None:
    if is_open := is_open_to(role, operation.definition.raw):
        asked.open_to.add(operation.label)

    @hypothesis.settings(
        max_examples=EXAMPLES if is_open else 2,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
        deadline=None,
    )
    @hypothesis.given(data=st.data())
    def ask(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        with_known(case, site.known, data)
        case.cookies, case.headers = {}, {"Idempotency-Key": "key"} if operation.path.endswith("/orders") else {}
        answer = case.call(headers=site.headers[role])
        if answer.status_code < 400:
            asked.served.add(operation.label)
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            told = "; ".join(str(reason)[:300] for reason in (failure.exceptions if isinstance(failure, FailureGroup) else [failure]))
            sent = f"{case.formatted_path} {case.query} {json.dumps(case.body, default=str)[:300]}"
            key = operation.label, f"{answer.status_code} {type(failure).__name__}"
            asked.problems.setdefault(key, f"{operation.label}: {answer.status_code} {answer.text[:200]} | {told} | {sent}")

    ask()


def is_open_to(role: str, operation: dict[str, Any]) -> bool:
    """Whether the description says that the role may ask."""
    if role == "visitor" or not operation["security"]:
        return {} in operation["security"] or not operation["security"]
    return ("member" if role in ("buyer", "seller") else role) in operation["x-roles"]


def with_known(case: Case, known: dict[str, list[Any]], data: st.DataObject) -> None:
    """Put what there is in the place of what was made up: in all places, in some, or nowhere."""
    share = data.draw(st.sampled_from([4, 4, 2, 0]))
    for values in (case.path_parameters, case.query, case.body):
        if isinstance(values, dict):
            if share == 4 and "region" in values:
                values.pop("quadkeys", None)  # one of the two
            for name in sorted(values.keys() & known.keys()):
                if known[name] and data.draw(st.integers(1, 4)) <= share:
                    values[name] = data.draw(st.sampled_from(known[name]))
