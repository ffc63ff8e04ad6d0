"""Signature Version 4: equal to minio-py's where it can do the same, and worthless once anything is changed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from minio import Minio

from tiles.errors import RequestRefused
from tiles.store.signing import Credentials, presign, verify

KEYS = Credentials("mapexkey", "a-secret-of-some-length")
AT = 1_790_000_000
ORIGIN = "http://store.example:9000"
HEADERS = {"x-mapex-holder": "ab12"}


def a_request(**more: object) -> tuple[str, str]:
    """Path and query of a signed download."""
    url = presign("GET", ORIGIN, "/data/a/b c", credentials=KEYS, at_s=AT, expires_s=120, parameters={"x-mapex-grant": "g1"}, **more)
    parts = urlsplit(url)
    return "/data/a/b c", parts.query


def check(path: str, query: str, **more: object) -> dict[str, str]:
    values: dict[str, object] = {"method": "GET", "host": "store.example:9000", "headers": {}, "credentials": KEYS, "now_s": AT + 1, **more}
    return verify(path=path, query=query, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["a", "org/0123abcd", "folder/한글 name+plus=(1).laz", "~tilde/%percent&and?mark"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_presigned_url_equals_minio_py(method: str, key: str) -> None:
    parameters = {"x-mapex-grant": "0f" * 16, "response-content-disposition": 'attachment; filename="한 b.laz"'}
    theirs = Minio("store.example:9000", KEYS.access_key, KEYS.secret_key, secure=False, region="us-east-1").get_presigned_url(
        method, "data", key, timedelta(seconds=120), request_date=datetime.fromtimestamp(AT, UTC), extra_query_params=dict(parameters)
    )
    ours = presign(method, ORIGIN, f"/data/{key}", credentials=KEYS, at_s=AT, expires_s=120, parameters=parameters)
    assert sorted(urlsplit(ours).query.split("&")) == sorted(urlsplit(theirs).query.split("&"))
    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]


def test_genuine_request_gives_its_parameters() -> None:
    assert check(*a_request()) == {"x-mapex-grant": "g1"}


def test_header_bound_request_needs_the_header_with_its_value() -> None:
    path, query = a_request(headers=HEADERS)
    assert "ab12" not in query
    assert check(path, query, headers={"X-Mapex-Holder": "ab12"}) == {"x-mapex-grant": "g1"}
    for headers in ({}, {"x-mapex-holder": "ab13"}, {"x-mapex-holder": ""}):
        with pytest.raises(RequestRefused):
            check(path, query, headers=headers)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"host": "other.example"},
        {"now_s": AT + 120},
        {"now_s": AT - 3600},
        {"region": "eu-west-1"},
        {"credentials": Credentials("mapexkey", "another secret")},
        {"credentials": Credentials("otherkey", KEYS.secret_key)},
        {"headers": {"x-amz-copy-source": "/data/secret"}},
        {"headers": {"X-Amz-Acl": "public-read"}},
        {"path": "/data/a/other"},
    ],
)
def test_changed_request_is_refused(change: dict[str, object]) -> None:
    path, query = a_request()
    with pytest.raises(RequestRefused):
        check(**{"path": path, "query": query, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "drop", ["x-mapex-grant", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Credential"]
)
def test_removed_altered_doubled_and_added_parameters_are_refused(drop: str) -> None:
    path, query = a_request()
    pairs = query.split("&")
    for altered in (
        [p for p in pairs if not p.startswith(drop + "=")],
        [p[:-1] + ("0" if p[-1] != "0" else "1") if p.startswith(drop + "=") else p for p in pairs],
        [*pairs, next(p for p in pairs if p.startswith(drop + "="))],
        [*pairs, "response-content-type=text%2Fhtml"],
    ):
        with pytest.raises(RequestRefused):
            check(path, "&".join(altered))


def test_thousand_urls_take_well_under_a_second_of_computing() -> None:
    start = time.thread_time()
    for i in range(1000):
        presign(
            "GET", ORIGIN, f"/data/{i}", credentials=KEYS, at_s=AT, expires_s=120, parameters={"x-mapex-grant": str(i)}, headers=HEADERS
        )
    assert time.thread_time() - start < 0.5


def test_secret_is_not_in_the_text_of_credentials() -> None:
    assert KEYS.secret_key not in repr(KEYS)


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
def test_validity_beyond_the_standard_is_refused(seconds: int) -> None:
    with pytest.raises(RequestRefused):
        presign("GET", ORIGIN, "/x", credentials=KEYS, at_s=AT, expires_s=seconds)
