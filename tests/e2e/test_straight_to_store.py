"""PostgreSQL and a real MinIO behind the pages: the browser sends to the store and fetches from it, past the web server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Request, expect

from ingest.worker import loop
from mapex.cli.server.built_in import serving
from mapex.database import opening
from mapex.orders import ledger
from tests.support.browser import Clock, Site, ready, won
from tests.support.exchange import settings
from tests.support.market import a_permit
from tests.support.servers import Minio, Postgres, free_port
from tiles.store.minio import provision
from web import create_app

SELLER, BUYER = "maps@hanbit.example", "buyer@dongil.example"
PART = 5 << 20


@pytest.fixture
def scaled(tmp_path: Path, chromium: Browser, postgres: Postgres, minio: Minio) -> Iterator[Site]:
    """An exchange on PostgreSQL and MinIO, with a worker."""
    port, clock, database = free_port(), Clock(), postgres.new_database()
    url = f"http://127.0.0.1:{port}"
    keys = {"upload_access_key": "browser-upload", "upload_secret_key": "browser-upload-secret-0123456789"}
    provision(minio.endpoint, access_key=minio.access_key, secret_key=minio.secret_key, prefix="browser", **keys)
    chosen = replace(
        settings(tmp_path / "ex", database_url=database),
        store="minio",
        store_endpoint=minio.endpoint,
        store_secure=False,
        store_bucket_prefix="browser",
        store_public_url=minio.url,
        store_access_key=minio.access_key,
        store_secret_key=minio.secret_key,
        **{f"store_{name}": value for name, value in keys.items()},
        port=port,
        public_url=url,
        part_size=PART,
    )
    ex = opening.open_exchange(chosen, clock)
    stop = threading.Event()
    working = threading.Thread(target=loop.run, args=(ex, stop), daemon=True)
    working.start()
    site = Site(ex, url, clock, chromium)
    with serving(create_app(ex), host="127.0.0.1", port=port):
        yield site
        for context in site.contexts:
            context.close()
        stop.set()
        working.join(60)
    ex.engine.dispose()
    postgres.drop_database(database)
    assert site.complaints == []


def test_bytes_go_straight_to_the_store_and_back(scaled: Site, samples: Path) -> None:
    site = scaled
    site.person(SELLER, "hanbit")
    site.person(BUYER, "dongil")
    ledger.credit(site.ex, None, "dongil", 500_000_000, key="first")
    a_permit(site.ex, "dongil", area={"type": "Polygon", "coordinates": [[[-123, 45], [-122, 45], [-122, 46], [-123, 46], [-123, 45]]]})
    seen: list[Request] = []

    page = site.visit(SELLER)
    page.on("request", lambda request: seen.append(request) if request.method == "PUT" else None)
    site.open(page, "/sell/new")
    page.set_input_files("#folder", samples / "recordings" / "photos_gps")
    page.fill("[name=title]", "Photos")
    page.click("#send")
    page.wait_for_url("**/sell/photos/1", timeout=60_000)
    page.wait_for_selector("#version[data-state=draft][data-busy=no]", timeout=120_000)
    store = urlsplit(site.ex.settings.store_public_url).netloc
    assert seen and {urlsplit(request.url).netloc for request in seen} == {store}
    site.open(page, "/sell/photos/1/publish")
    page.fill("#publish [name=frame]", "20")
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")

    buyer = site.visit(BUYER)
    site.open(buyer, "/explore")
    buyer.click("#price button")
    buyer.check("[data-offer='hanbit/photos/photos'] input")
    expect(buyer.locator("#review")).to_be_visible()
    assert won(buyer.locator("#total").text_content()) > 0
    buyer.select_option("#purpose", "research")
    buyer.click("#review")
    buyer.wait_for_url("**/quotes/*")
    ready(buyer)
    buyer.check(f"[name=person][value='{BUYER}']")
    buyer.click("#pay")
    buyer.wait_for_url("**/orders/*")
    ready(buyer)
    fetched: list[Request] = []
    buyer.on("request", lambda request: fetched.append(request) if urlsplit(request.url).netloc == store else None)
    with buyer.expect_download(timeout=60_000):
        buyer.click("#download")
    got = [request for request in fetched if request.method == "GET"]
    assert got and all(request.headers["x-mapex-holder"] not in request.url for request in got)
    assert buyer.context.request.get(got[0].url).status in (400, 403), "a copied address of original footage is worth nothing"
