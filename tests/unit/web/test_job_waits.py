"""What a job waits for is on its page while it waits, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from mapex.exchange import Exchange
from mapex.intake import jobs
from mapex.people import persons
from tests.support.exchange import an_exchange
from tests.support.uploads import a_map, a_version
from web import create_app

PASSWORD = "correct horse battery"


@pytest.fixture
def job(tmp_path: Path) -> Iterator[tuple[Exchange, jobs.Job, FlaskClient]]:
    """A job that a worker has, and the browser of its seller."""
    ex = an_exchange(tmp_path / "ex")
    by, _, _ = a_version(ex, {"a.geojson": a_map(4)})
    claimed = jobs.claim(ex, "w1")
    assert claimed is not None
    persons.set_password(ex, None, by.email, PASSWORD)
    client = create_app(ex).test_client()
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").get_data(as_text=True))
    assert found
    assert client.post("/login", data={"email": by.email, "password": PASSWORD, "csrf_token": found[1]}).status_code == 302
    yield ex, claimed, client
    ex.engine.dispose()


def shown(client: FlaskClient, language: str) -> str:
    return client.get("/sell/seoul/1/state", headers={"Accept-Language": language}).get_data(as_text=True)


@pytest.mark.parametrize(
    ("stage", "english", "korean"),
    [
        ("scheduler", "waiting for the Dask scheduler", "Dask 스케줄러를 기다리는 중"),
        ("workers", "waiting for Dask workers", "Dask 작업자를 기다리는 중"),
        ("read", "reading and checking", "읽"),
    ],
)
def test_a_running_job_names_what_its_cluster_lacks(
    job: tuple[Exchange, jobs.Job, FlaskClient], stage: str, english: str, korean: str
) -> None:
    ex, claimed, client = job
    jobs.renew(ex, claimed, jobs.JobProgress(stage))
    assert english in shown(client, "en") and korean in shown(client, "ko")
    assert re.search(r'data-step="now" data-stage="read"', shown(client, "en"))


def test_a_job_that_was_put_off_says_why_it_waits(job: tuple[Exchange, jobs.Job, FlaskClient]) -> None:
    ex, claimed, client = job
    jobs.release(ex, claimed, again_in_s=60, code="store.unavailable", message="connection refused")
    assert "The store does not answer." in shown(client, "en")
