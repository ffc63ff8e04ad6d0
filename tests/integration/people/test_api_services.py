"""The JSON API of tokens, uploads, datasets, jobs, permits and audit, over the real application."""

import csv
import hashlib
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from mapex.catalogue import drafts
from mapex.catalogue.finding import Finding, Severity
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs
from mapex.people import tokens
from tests.support.answers import without_id
from tests.support.exchange import a_draft, a_permit, a_person, a_tile, publish, square
from tiles.grid import grid
from web import create_app

CELL = int(grid.cells_at([127.0], [37.5])[0])
CONTENT = b"<osm/>" * 20_000  # two parts


class Caller:
    """One person with a token."""

    def __init__(self, ex: Exchange, client: FlaskClient, actor: Actor, **token: Any) -> None:
        self.actor, self.client = actor, client
        self.secret = tokens.create(ex, actor, **token)

    def call(self, method: str, path: str, body: object = None, *, status: int = 200, **query: object) -> Any:
        answer = self.client.open(
            f"/api/v1{path}", method=method, json=body, query_string=query, headers={"Authorization": f"Bearer {self.secret}"}
        )
        assert answer.status_code == status, answer.text
        return json.loads(without_id(answer.text)) if answer.is_json and answer.data else answer.get_data()

    def digest(self, path: str) -> str:
        answer = self.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {self.secret}"})
        return hashlib.sha256(answer.get_data()).hexdigest()


@pytest.fixture
def client(exchange: Exchange) -> FlaskClient:
    return create_app(exchange).test_client()


@pytest.fixture
def seller(exchange: Exchange, client: FlaskClient) -> Caller:
    return Caller(exchange, client, a_person(exchange, "hanbit"))


@pytest.fixture
def stranger(exchange: Exchange, client: FlaskClient) -> Caller:
    return Caller(exchange, client, a_person(exchange, "other"))


@pytest.fixture
def auditor(exchange: Exchange, client: FlaskClient) -> Caller:
    return Caller(exchange, client, a_person(exchange, role="auditor"))


@pytest.fixture
def operator(exchange: Exchange, client: FlaskClient) -> Caller:
    return Caller(exchange, client, a_person(exchange, role="operator"))


def send(seller: Caller, name: str = "map.osm", content: bytes = CONTENT) -> str:
    """Upload by HTTP alone, parts to the addresses that were signed."""
    upload = seller.call(
        "POST", "/uploads", {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}, status=201
    )
    bodies = {n + 1: content[n * upload["part_size"] : (n + 1) * upload["part_size"]] for n in range(upload["parts"])}
    wanted = [{"number": n, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()} for n, body in bodies.items()]
    for part in seller.call("POST", f"/uploads/{upload['id']}/parts", {"parts": wanted})["parts"]:
        sent = seller.client.open(part["url"], method=part["method"], headers=part["headers"], data=bodies[part["number"]])
        assert sent.status_code == 200, sent.text
    assert seller.call("GET", f"/uploads/{upload['id']}")["received"] == list(bodies)
    assert seller.call("POST", f"/uploads/{upload['id']}/complete")["state"] == "complete"
    return str(upload["id"])


def drafted(ex: Exchange, seller: Caller, findings: tuple[Finding, ...] = (), **request: object) -> dict[str, Any]:
    """A version from upload to draft; the worker's part is done by the service."""
    seller.call("POST", "/datasets", {"slug": "seoul", "title": "서울"}, status=201)
    body = {"uploads": [send(seller)], "class": "open", **request}
    started: dict[str, Any] = seller.call("POST", "/datasets/seoul/versions", body, status=202)
    job = jobs.claim(ex, "w")
    assert job is not None
    assert job.id == started["job"]
    drafts.store_draft(ex, job, a_draft([a_tile(CELL, lane_mm=1500)], findings=findings))
    return started


def test_from_upload_to_draft_over_http(exchange: Exchange, seller: Caller) -> None:
    finding = Finding(Severity.WARNING, "geometry.short", "Too short.", "Nothing.", layer="hdmap", feature="way/1", lon=127.0, lat=37.5)
    started = drafted(exchange, seller, findings=(finding,), crs="EPSG:4326", origin=[127, 37.5], classes={"hdmap": "restricted"})
    assert (started["dataset"], started["version"], started["state"]) == ("seoul", 1, "ingesting")
    assert seller.call("GET", f"/jobs/{started['job']}")["state"] == "done"
    version = seller.call("GET", "/datasets/seoul/versions/1")
    assert version["state"] == "draft"
    (layer,) = version["layers"]
    assert (layer["name"], layer["class"], layer["tiles"]) == ("hdmap", "restricted", 1)
    assert layer["counts"] == {"read": 1, "placed": 1, "unplaced": 0, "rejected": 0}
    assert layer["quantities"]["lane_mm"] == 1500
    assert (layer["crs"], layer["crs_source"], layer["box"]) == ("EPSG:4326", "file", [127.0, 37.5, 127.1, 37.6])
    assert version["findings"][0]["feature"] == "way/1"
    assert seller.digest("/datasets/seoul/versions/1/manifest") == version["manifest_sha256"]
    squares = seller.call("GET", "/datasets/seoul/versions/1/coverage")
    assert squares["features"][0]["properties"] == {"tile": grid.quadkey(CELL), "layers": ["hdmap"]}
    changes = seller.call("GET", "/datasets/seoul/versions/1/changes")
    cells = {"added": [grid.quadkey(CELL)], "changed": [], "within": [], "removed": [], "unchanged": 0}
    assert changes["layers"]["hdmap"] == {"kind": "hdmap", **cells, "features": None}
    assert changes["parent"] is None


def test_a_dataset_that_exists_is_answered_not_refused(seller: Caller) -> None:
    seller.call("POST", "/datasets", {"slug": "seoul", "title": "서울"}, status=201)
    assert seller.call("POST", "/datasets", {"slug": "seoul", "title": "other"}, status=200)["title"] == "서울"


def test_classes_are_given_after_the_fact(exchange: Exchange, seller: Caller) -> None:
    drafted(exchange, seller)
    version = seller.call("POST", "/datasets/seoul/versions/1/classes", {"classes": {"*": "pseudonymised"}})
    assert version["layers"][0]["class"] == "pseudonymised"


def test_an_unplaced_version_is_answered_over_http(exchange: Exchange, seller: Caller) -> None:
    seller.call("POST", "/datasets", {"slug": "seoul"}, status=201)
    seller.call("POST", "/datasets/seoul/versions", {"uploads": [send(seller)], "class": "open"}, status=202)
    job = jobs.claim(exchange, "w")
    assert job is not None
    drafts.store_draft(exchange, job, a_draft([], unplaced=True))
    assert seller.call("GET", "/datasets/seoul/versions/1")["state"] == "unplaced"
    again = seller.call("POST", "/datasets/seoul/versions/1/placement", {"crs": "EPSG:5186"}, status=202)
    assert seller.call("GET", f"/jobs/{again['job']}")["state"] == "queued"
    assert seller.call("POST", f"/jobs/{again['job']}/cancel")["state"] == "cancelled"
    assert seller.call("POST", f"/jobs/{again['job']}/retry")["state"] == "queued"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/uploads", {"name": "a", "size": 1, "colour": "red"}, "request.unknown_field"),
        ("/uploads", {"name": "a", "size": "1"}, "request.invalid"),
        ("/uploads", {"name": "a", "size": 1.5}, "request.invalid"),
        ("/uploads", {"name": "a", "size": 0}, "upload.empty"),
        ("/uploads", {"name": "../a", "size": 1}, "upload.name"),
        ("/datasets", {"slug": "A B"}, "slug.malformed"),
        ("/datasets", {"slug": "a", "org_id": "org_x"}, "request.unknown_field"),
        ("/datasets/seoul/versions", {"uploads": [], "class": "open"}, "request.invalid"),
        ("/datasets/seoul/versions", {"uploads": ["x"], "class": "secret"}, "class.unknown"),
        ("/datasets/seoul/versions", {"uploads": ["x"], "crs": "/etc/passwd"}, "placement.crs"),
        ("/datasets/seoul/versions", {"uploads": ["x"], "origin": [1e400, 0]}, None),
        ("/datasets/seoul/versions", {"uploads": ["x"], "origin": [1]}, "request.invalid"),
    ],
)
def test_bad_requests_get_a_sentence_and_a_code(seller: Caller, path: str, body: dict[str, object], code: str | None) -> None:
    seller.call("POST", "/datasets", {"slug": "seoul"}, status=201)
    answer = seller.call("POST", path, body, status=422)
    assert code is None or answer["code"] == code
    assert answer["message"]
    assert "Traceback" not in answer["message"]


def test_foreign_things_are_answered_byte_for_byte_like_absent_ones(exchange: Exchange, seller: Caller, stranger: Caller) -> None:
    started = drafted(exchange, seller)
    upload = send(seller, "other.osm")
    for method, path, absent in (
        ("GET", f"/uploads/{upload}", "/uploads/upl_never"),
        ("POST", f"/uploads/{upload}/complete", "/uploads/upl_never/complete"),
        ("DELETE", f"/uploads/{upload}", "/uploads/upl_never"),
        ("GET", f"/jobs/{started['job']}", "/jobs/job_never"),
        ("POST", f"/jobs/{started['job']}/cancel", "/jobs/job_never/cancel"),
        ("GET", "/datasets/seoul", "/datasets/never"),
        ("GET", "/datasets/seoul/versions", "/datasets/never/versions"),
        ("GET", "/datasets/seoul/versions/1", "/datasets/never/versions/1"),
        ("GET", "/datasets/seoul/versions/1/coverage", "/datasets/never/versions/1/coverage"),
        ("GET", "/datasets/seoul/versions/1/manifest", "/datasets/never/versions/1/manifest"),
        ("GET", "/datasets/seoul/versions/1/changes", "/datasets/never/versions/1/changes"),
    ):
        assert stranger.call(method, path, status=404) == stranger.call(method, absent, status=404)
    assert stranger.call("GET", "/datasets") == {"datasets": []}


def test_a_published_dataset_is_seen_by_all_without_its_findings(exchange: Exchange, seller: Caller, stranger: Caller) -> None:
    drafted(exchange, seller, findings=(Finding(Severity.INFO, "a.b", "c", "d"),))
    publish(exchange, seller.actor)
    version = stranger.call("GET", "/datasets/seoul/versions/1")
    assert (version["state"], version["findings"], version["job"]) == ("published", [], None)
    assert stranger.call("GET", "/datasets/seoul", org="hanbit")["published"] == 1
    assert stranger.call("GET", "/datasets/seoul", org="never", status=404)


def test_tokens_are_made_listed_and_revoked_over_http(exchange: Exchange, client: FlaskClient, seller: Caller) -> None:
    made = seller.call("POST", "/tokens", {"name": "ci", "scopes": ["read"], "days": 1}, status=201)["token"]
    limited = Caller(exchange, client, seller.actor)
    limited.secret = made
    assert limited.call("GET", "/me")["scopes"] == ["read"]
    assert limited.call("POST", "/datasets", {"slug": "x"}, status=403)["code"] == "token.scope"
    assert limited.call("POST", "/tokens", {}, status=403)["code"] == "token.scope"
    (token_id,) = [token["id"] for token in seller.call("GET", "/tokens")["tokens"] if token["name"] == "ci"]
    seller.call("DELETE", f"/tokens/{token_id}", status=204)
    assert limited.call("GET", "/me", status=401)["code"] == "token.unknown"
    seller.call("DELETE", f"/tokens/{token_id}", status=404)


def test_the_operator_runs_the_exchange_over_http(operator: Caller, seller: Caller) -> None:
    assert operator.call("POST", "/organisations", {"slug": "nuri", "name": "누리"}, status=201)["state"] == "active"
    operator.call("POST", "/persons", {"email": "kim@nuri.example", "org": "nuri"}, status=201)
    assert {"kim@nuri.example", seller.actor.email} <= {person["email"] for person in operator.call("GET", "/persons")["persons"]}
    assert operator.call("POST", "/persons/kim@nuri.example/state", {"state": "suspended"})["state"] == "suspended"
    assert operator.call("POST", "/persons/kim@nuri.example/state", {"state": "active"})["state"] == "active"
    changed = operator.call("POST", "/persons/kim@nuri.example/role", {"role": "auditor"})
    assert (changed["role"], changed["org"], changed["state"]) == ("auditor", "", "active")
    assert operator.call("POST", "/persons/kim@nuri.example/role", {"role": "member"}, status=422)["code"] == "person.org"
    own = f"/persons/{operator.actor.email}"
    assert operator.call("POST", f"{own}/role", {"role": "auditor"}, status=409)["code"] == "operator.last"
    assert operator.call("POST", f"{own}/state", {"state": "suspended"}, status=409)["code"] == "operator.last"
    assert seller.call("POST", "/persons/kim@nuri.example/role", {"role": "operator"}, status=403)["code"] == "role.operate"
    assert seller.call("GET", "/organisations", status=403)["code"] == "role.operate"
    operator.call("POST", "/organisations/hanbit/state", {"state": "suspended"})
    seller.call("GET", "/me", status=401)
    operator.call("POST", "/organisations/hanbit/state", {"state": "active"})
    seller.call("GET", "/me", status=401)  # what was there before is not open again


def test_permits_over_http(exchange: Exchange, operator: Caller, seller: Caller, stranger: Caller) -> None:
    body = {
        "org": "hanbit",
        "number": "KR-SB-1",
        "purposes": ["research"],
        "classes": ["original"],
        "area": square(126, 37, 128, 38),
        "valid_from": "2026-01-01",
        "valid_to": "2027-01-01T00:00:00+09:00",
    }
    permit = operator.call("POST", "/permits", body, status=201)
    assert (permit["valid_from"], permit["valid_to"]) == ("2026-01-01T00:00:00Z", "2026-12-31T15:00:00Z")
    assert seller.call("GET", "/permits")["permits"] == [permit]
    assert stranger.call("GET", "/permits")["permits"] == []
    assert stranger.call("GET", f"/permits/{permit['id']}", status=404) == stranger.call("GET", "/permits/never", status=404)
    assert seller.call("POST", "/permits", body, status=403)["code"] == "role.operate"
    assert operator.call("POST", f"/permits/{permit['id']}/state", {"state": "suspended"})["state"] == "suspended"
    assert operator.call("POST", "/permits", {**body, "number": "2", "valid_to": "soon"}, status=422)["code"] == "time.malformed"
    assert operator.call("POST", "/permits", {**body, "number": "2", "purposes": ["fun"]}, status=422)["code"] == "purpose.unknown"
    assert operator.call("POST", "/permits", body, status=409)["code"] == "permit.exists"


def test_the_auditor_reads_filters_and_pages_the_log(exchange: Exchange, seller: Caller, auditor: Caller) -> None:
    drafted(exchange, seller)
    a_permit(exchange, "hanbit", number="P-1")
    events = auditor.call("GET", "/audit/events")["events"]
    assert {"seq", "at", "action", "person", "org", "dataset", "layer", "tile", "purpose", "permit"} <= events[0].keys()
    assert events[0]["at"].endswith("Z")
    (event,) = auditor.call("GET", "/audit/events", action="version.started")["events"]
    assert (event["person"], event["org"], event["dataset"]) == (seller.actor.email, "hanbit", "seoul")
    assert [e["action"] for e in auditor.call("GET", "/audit/events", permit="P-1")["events"]] == ["permit.added"]
    page = auditor.call("GET", "/audit/events", limit=2, org="hanbit")
    following = auditor.call("GET", "/audit/events", limit=2, org="hanbit", after=page["next"])
    assert page["events"][-1]["seq"] > following["events"][0]["seq"]
    assert auditor.call("GET", "/audit/events", **{"from": "2100-01-01"})["events"] == []
    assert auditor.call("GET", "/audit/events", **{"class": "original"}, action="access", region="127.1,37.4")["events"] == []
    assert auditor.call("GET", "/audit/events", region="1,2,3", status=422)["code"] == "audit.region"
    assert auditor.call("GET", "/audit/events", colour="red", status=422)["code"] == "request.unknown_field"


def test_the_log_as_csv_runs_no_formula(exchange: Exchange, seller: Caller, auditor: Caller, client: FlaskClient) -> None:
    Caller(exchange, client, a_person(exchange, "nuri", email="=2+3@evil.example")).call("POST", "/datasets", {"slug": "x"}, status=201)
    text = auditor.call("GET", "/audit/events", format="csv", limit=5000).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0].keys() >= {"seq", "at", "action", "person", "tile"}
    assert "'=2+3@evil.example" in [row["person"] for row in rows]
    assert not any(cell.startswith("=") for row in rows for cell in row.values())


def test_a_member_sees_the_own_part_of_the_log(exchange: Exchange, seller: Caller, stranger: Caller) -> None:
    drafted(exchange, seller)
    assert "seoul" not in json.dumps(stranger.call("GET", "/audit/events"))
    assert "version.drafted" in [event["action"] for event in seller.call("GET", "/audit/events")["events"]]


def test_nobody_gets_anything_without_a_token(client: FlaskClient) -> None:
    for path in ("/datasets", "/uploads/x", "/jobs/x", "/permits", "/audit/events", "/tokens", "/persons"):
        answer = client.get(f"/api/v1{path}")
        assert (answer.status_code, answer.get_json()["code"]) == (401, "login.required")
