"""The demonstration's one-click sign-in: three ways in that work, and no way in anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from mapex.cli.demo.fill import PERSONS
from tests.support.exchange import a_person, an_exchange
from web import create_app
from web.pages.demo import PEOPLE


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    """The first page of a demonstration with its people."""
    ex = an_exchange(tmp_path / "ex", demo=True)
    for email, (org, role, _) in PERSONS.items():
        a_person(ex, org or None, role=role, email=email)
    with create_app(ex).test_client() as made:
        yield made


def secret(client: FlaskClient) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/").get_data(as_text=True))
    assert found
    return found[1]


@pytest.mark.parametrize("who", PEOPLE)
def test_one_click_signs_in_and_leads_to_where_it_begins(client: FlaskClient, who: str) -> None:
    email, begin = PEOPLE[who]
    assert email in PERSONS
    answer = client.post(f"/demo/{who}", data={"csrf_token": secret(client)})
    assert (answer.status_code, answer.headers["Location"]) == (302, begin)
    assert client.get(begin).status_code == 200
    assert client.get("/api/v1/me").json["email"] == email  # type: ignore[index]


def test_the_first_page_offers_buyer_seller_and_auditor(client: FlaskClient) -> None:
    assert re.findall(r'action="/demo/(\w+)"', client.get("/").get_data(as_text=True)) == ["buyer", "seller", "auditor"]


def test_another_site_cannot_sign_anybody_in(client: FlaskClient) -> None:
    assert client.post("/demo/buyer").status_code == 403
    token = secret(client)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/demo/buyer", data={"csrf_token": token}, headers=foreign).status_code == 403
    assert client.get("/api/v1/me").status_code == 401


def test_nobody_else_can_be_played(client: FlaskClient) -> None:
    for who in ("buyer@nuri.example", "root", ""):
        assert client.post(f"/demo/{who}", data={"csrf_token": secret(client)}).status_code in (404, 405)


def test_an_exchange_that_is_no_demonstration_has_no_such_door(tmp_path: Path) -> None:
    ex = an_exchange(tmp_path / "real")
    a_person(ex, "dongil", email="buyer@dongil.example")
    app = create_app(ex)
    assert not [str(rule) for rule in app.url_map.iter_rules() if str(rule).startswith("/demo")]
    client = app.test_client()
    assert "/demo/" not in client.get("/").get_data(as_text=True)
    assert client.post("/demo/buyer").status_code == 404
