"""Each request has an id that a user can quote; the access log holds no secret; health is asked without a token."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from mapex.exchange import Exchange
from mapex.login import applications, resets
from mapex.login.applications import NewApplication
from mapex.people import invitations, tokens
from tests.support.exchange import a_person, an_exchange
from tiles.errors import StoreUnavailable
from web import create_app
from web.edge import store_files


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex", access_log=True)


@pytest.fixture
def client(ex: Exchange) -> FlaskClient:
    return create_app(ex).test_client()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "web.access"]


LINE = re.compile(r"request=([0-9a-f]{16}) method=(\S+) path=(\S+) status=(\d+) bytes=(\d+|-) ms=(\d+\.\d)")


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/absent", "/login", "/healthz", "/static/css/absent.css", "/api/v1/quotes"])
def test_each_request_is_one_line_with_the_id_of_its_answer(client: FlaskClient, caplog: pytest.LogCaptureFixture, path: str) -> None:
    with caplog.at_level(logging.INFO, "web.access"):
        answer = client.get(path)
    (line,) = logged(caplog)
    found = LINE.fullmatch(line)
    assert found, line
    assert found[1] == answer.headers["X-Request-Id"]
    assert (found[2], found[3], int(found[4]), int(found[5])) == ("GET", path, answer.status_code, len(answer.data))


def test_no_token_signature_cookie_or_invitation_is_in_the_log(ex: Exchange, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    by = a_person(ex, "hanbit")
    token = tokens.create(ex, by)
    _, secret = invitations.invite(ex, None, "new@hanbit.example", org="hanbit")
    reset = resets.hand_out(ex, None, by.email)
    application = applications.apply(ex, "203.0.113.1", NewApplication("new", "New", "Kim", "kim@new.example", "maps"))
    with caplog.at_level(logging.INFO):
        client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}", "Cookie": "mapex=a-cookie"})
        client.get("/store/data/a/b?X-Amz-Signature=a-signature&x-mapex-grant=gra_1")
        client.get(f"/invite/{secret}")
        client.get(f"/invite/{secret}/more")
        client.get(f"/reset/{reset}")
        client.get(f"/register/{application}")
        client.get(f"/api/v1/{token}")
        client.get("/login?next=/orders%3Fkey=a-query")
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert len(logged(caplog)) == 8
    for hidden in (token, secret, reset, application, "a-cookie", "a-signature", "a-query", "gra_1"):
        assert hidden not in text


def test_a_path_cannot_write_lines_of_its_own(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "web.access"):
        client.get("/api/v1/x%0Arequest=0000%1b[31m" + "y" * 5000)
    (line,) = logged(caplog)
    assert line.isprintable() and len(line) < 500 and "\n" not in line


def test_nothing_is_logged_unless_it_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "web.access"):
        create_app(an_exchange(tmp_path / "quiet")).test_client().get("/login")
    assert logged(caplog) == []


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/absent", "/api/v1/datasets/x"])
def test_an_error_carries_the_id_of_its_request(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code >= 400 and answer.json is not None
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_an_error_page_shows_the_id_of_its_request(client: FlaskClient) -> None:
    answer = client.get("/absent")
    assert answer.headers["X-Request-Id"] in answer.get_data(as_text=True)


def test_a_process_that_lives_says_so_and_one_that_can_serve_too(client: FlaskClient) -> None:
    for path in ("/healthz", "/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})
        assert "Set-Cookie" not in answer.headers


def test_a_store_that_is_away_makes_it_not_ready_and_it_lives_on(
    ex: Exchange, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("https://key:secret@minio.inside:9000 refused")

    monkeypatch.setattr(type(ex.store), "list", away)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json is not None
    assert (answer.json["code"], answer.json["details"]["lacking"]) == (
        "exchange.not_ready",
        {"store": "The object store does not answer."},
    )
    assert answer.headers["Retry-After"] and "secret" not in answer.get_data(as_text=True)
    assert client.get("/healthz").status_code == 200


def test_a_database_that_is_away_makes_it_not_ready(ex: Exchange, client: FlaskClient) -> None:
    ex.engine.dispose()
    (ex.settings.dir / "mapex.db").rename(ex.settings.dir / "elsewhere.db")
    (ex.settings.dir / "mapex.db").mkdir()
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json is not None
    assert set(answer.json["details"]["lacking"]) == {"database"}
    assert str(ex.settings.dir) not in answer.get_data(as_text=True)


def test_health_is_described_with_the_other_routes(client: FlaskClient) -> None:
    paths = (client.get("/openapi.json").json or {})["paths"]
    assert {"/healthz", "/readyz"} <= set(paths)


def test_a_directory_store_that_is_away_says_when_to_come_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise StoreUnavailable("the disk does not answer")

    monkeypatch.setattr(store_files, "_verified", away)
    answer = client.get("/store/data/a/b")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
