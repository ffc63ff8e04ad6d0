"""Headers are the caller's: malformed, endless, twice or in no alphabet, they are never a fault of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from mapex.catalogue import previews
from mapex.exchange import Exchange
from mapex.people import persons, tokens
from tests.support.exchange import a_person, an_exchange
from tiles.store.protocol import Bucket
from web import create_app

DIGITS = ("9" * 5000, "9" * 4300, "0" * 4301 + "1", "-1", "1e9", "\xb2", "\u0663".encode().decode("latin-1"), "", " ", "0x10", "1, 1")
TEXTS = ("\xff\xfe", "x" * 8000)
DATES = ("Thu, 99 Foo 99999 99:99:99 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "9" * 5000)
RANGES = tuple(
    form.replace("#", digits) for digits in DIGITS[:4] for form in ("bytes=#-", "bytes=-#", "bytes=0-#", "bytes=0-1,#-", "x=#-#")
)
TYPES = ("multipart/form-data", 'multipart/form-data; boundary="\xff"', "text/html; charset=\xff", "application/json; charset=utf-99")
QUALITIES = ("ko;q=nan", "ko;q=1e999", "ko;q=" + "9" * 5000, "*;q=-1", "en," * 2000, "ko-\xff;q=0.5")
VALUES: dict[str, tuple[str, ...]] = {
    "Range": RANGES,
    "Content-Range": RANGES[:4],
    "If-Range": (*DATES, '"' * 50, *RANGES[:2]),
    "If-Match": ('W/"a", *', '"' * 51),
    "If-None-Match": ("W/" * 100, '"\xe9"'),
    "If-Modified-Since": DATES,
    "If-Unmodified-Since": DATES,
    "Content-Length": DIGITS,
    "Content-Type": TYPES,
    "Content-Encoding": ("gzip", "x, y"),
    "Cookie": ("a=b; " * 500, "mapex=" + "." * 500, "mapex=.eJ; lang=\xff; theme=" + "x" * 3000, "lang=ko; lang=en"),
    "Accept": QUALITIES,
    "Accept-Language": QUALITIES,
    "Accept-Encoding": QUALITIES,
    "Authorization": ("Basic !!!", "Basic " + "QQ==" * 100, "Bearer \xff", "Bearer " + "x" * 7000, "Digest username=", "Bearer mpx_\xe9_x"),
    "Idempotency-Key": ("k" * 5000,),
    "Traceparent": ("00-" + "f" * 32, "ff-" + "0" * 500),
    "Tracestate": ("a=b," * 500,),
    "X-Forwarded-For": ("1.2.3.4, " * 1000, "[::1", "unknown", "9" * 5000, "1.2.3.4:99999999"),
    "X-Forwarded-Proto": ("gopher", "https, http"),
    "X-Forwarded-Host": ("[::1", "evil.example:99999999"),
    "X-Forwarded-Port": DIGITS[:3],
    "X-Forwarded-Prefix": ("//evil.example",),
    "Forwarded": ("for=" * 500, 'for="[::1"'),
    "Host": ("[::1", "127.0.0.1:99999999", "127.0.0.1:" + "9" * 5000, "a b", "localhost:-1"),
    "Origin": ("null", "https://["),
    "Referer": ("https://[", "//["),
    "X-CSRF-Token": ("." * 500,),
    "Sec-Fetch-Site": ("x" * 500,),
    "X-Request-Id": ("a\x01b",),
    "HX-Request": ("nonsense",),
    "X-Amz-Checksum-Sha256": ("QQ", "\xff"),
}
PLACES = {
    "a page": ("GET", "/login", None),
    "a form": ("POST", "/theme", b"theme=dark&back=/"),
    "a file": ("GET", "/favicon.ico", None),
    "the basemap": ("GET", "/map/basemap.pmtiles", None),
    "the API": ("GET", "/api/v1/me", None),
    "a body of the API": ("POST", "/api/v1/uploads", b'{"name": "a.osm", "size": 1}'),
    "an order": ("POST", "/api/v1/orders", b'{"quote": "none"}'),
    "a preview": ("GET", "/api/v1/datasets/hanbit/streets/versions/1/previews/lanes/picture/0", None),
    "the store": ("GET", "", None),
    "a part": ("PUT", "/store/staging/a/b?partNumber=1", b"x"),
    "nothing": ("GET", "/nothing", None),
}


@pytest.fixture(scope="module")
def ex(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    folder: Path = tmp_path_factory.mktemp("headers")
    (folder / "map.pmtiles").write_bytes(bytes(100))
    return an_exchange(folder / "ex", basemap=str(folder / "map.pmtiles"), proxies=1)


@pytest.fixture(scope="module")
def target(ex: Exchange) -> str:
    """The signed address of an object of 100 bytes."""
    ex.store.put(Bucket.DATA, "a/b", bytes(100), sha256=hashlib.sha256(bytes(100)).hexdigest())
    signed = urlsplit(ex.store.presign_get("a/b", expires_s=600, grant="a", filename="b").url)
    return f"{signed.path}?{signed.query}"


@pytest.fixture(scope="module")
def member(ex: Exchange) -> str:
    person = persons.get_person(ex, email=a_person(ex, "hanbit").email)
    assert person
    return f"Bearer {tokens.create(ex, person)}"


@pytest.fixture(scope="module")
def client(ex: Exchange) -> FlaskClient:
    return create_app(ex).test_client(use_cookies=False)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", VALUES)
def test_no_header_is_a_fault_of_ours(
    client: FlaskClient, target: str, member: str, name: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = SimpleNamespace(size=100, media_type="image/webp", sha256="0" * 64)
    opened = SimpleNamespace(preview=shown, read=lambda store, start, length: iter([bytes(length)]))
    monkeypatch.setattr(previews, "open_one", lambda *_: opened)
    method, path, body = PLACES[place]
    address, _, query = (path or target).partition("?")
    usual = {"HTTP_AUTHORIZATION": member} if address.startswith("/api") else {}
    usual["CONTENT_TYPE"] = "application/json" if address.startswith("/api") else "application/x-www-form-urlencoded"
    variable = name.upper().replace("-", "_")
    for value in (*VALUES[name], *TEXTS):
        given = {variable if variable.startswith("CONTENT_") and variable[8:] in ("LENGTH", "TYPE") else f"HTTP_{variable}": value}
        answer = client.open(address, query_string=query, method=method, data=body, environ_overrides={**usual, **given}, buffered=True)
        assert answer.status_code < 500, value[:60]
