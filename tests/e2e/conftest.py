"""A real browser (Debian's Chromium) on an exchange that is served on 127.0.0.1; whatever leaves the machine or errs fails the test."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from ingest.worker import loop
from mapex.cli.server.built_in import serving
from mapex.offers import offers
from mapex.orders import ledger
from mapex.people import persons
from tests.support.browser import WAIT_MS, Clock, Market, Site, a_person
from tests.support.exchange import an_exchange
from tests.support.market import RATES, a_draft, a_layer, block
from tests.support.needs import absent
from tests.support.servers import free_port
from tiles.batch import LayerKind, Quantities
from web import create_app
from web.edge import static_files

SELLER, BUYER = "maps@hanbit.example", "buyer@dongil.example"

FLAGS = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",  # without a graphics card only the map is left to the software renderer
    "--force-color-profile=srgb",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this folder; it ends with the last of them, because a browser that stands idle still takes its share."""
    path = os.environ.get("MAPEX_CHROMIUM") or shutil.which("chromium")
    if path is None:
        absent("there is no chromium")
    if not static_files.has_vendor():
        absent("the browser libraries are missing; run python hatch_build.py")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=WAIT_MS)  # a busy machine is no finding; how fast pages are is measured in benchmarks/
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *sandbox])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an empty exchange (SQLite, directory store), to be copied."""
    folder = tmp_path_factory.mktemp("empty") / "ex"
    an_exchange(folder).engine.dispose()
    return folder


@pytest.fixture(scope="session")
def stocked_folder(empty_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an exchange with sellers, a buyer and published datasets, to be copied."""
    folder = tmp_path_factory.mktemp("stocked") / "ex"
    shutil.copytree(empty_folder, folder)
    ex = an_exchange(folder, now=Clock())  # type: ignore[arg-type]
    seller = a_person(ex, SELLER, "hanbit")
    a_person(ex, BUYER, "dongil")
    footage = a_layer(
        block(8), name="recording", kind=LayerKind.RECORDING, handling_class="original", each=Quantities(frames=120, ms=60_000)
    )
    walks = a_layer(block(8), name="sidewalks", kind=LayerKind.SIDEWALK, each=Quantities(footway_mm=2_345_678))
    for slug, spec, licence in (("drive", footage, "research"), ("walks", walks, "commercial"), ("lanes", a_layer(block(8)), "research")):
        a_draft(ex, seller, slug, [spec])
        offers.publish(ex, seller, slug, rate_card=RATES, licence=licence)
    ledger.credit(ex, None, "dongil", 5_000_000, key="first")
    ex.engine.dispose()
    return folder


OPERATOR = {
    **{"operator_number": "220-81-62517", "operator_name": "지도 거래소", "operator_representative": "김운영", "operator_address": "성남"},
    **{"operator_business_type": "서비스업", "operator_item": "데이터 중개", "operator_email": "tax@mapex.example"},
}
"""What stands on tax invoices of the exchange."""


@contextmanager
def opened(folder: Path, copied: Path, chromium: Browser, name: str = "127.0.0.1", **changes: object) -> Iterator[Site]:
    """A copy in `folder` of the exchange at `copied`, behind waitress; at its end nobody complained. `changes` are settings."""
    port, clock = free_port(), Clock()
    url = f"http://{name}:{port}"
    shutil.copytree(copied, folder / "ex")
    given = {"port": port, "public_url": url, "store_public_url": url, **OPERATOR, **changes}
    ex = an_exchange(folder / "ex", now=clock, **given)  # type: ignore[arg-type]
    made = Site(ex, url, clock, chromium)
    with serving(create_app(ex), host="127.0.0.1", port=port):
        yield made
        for context in made.contexts:
            context.close()
    ex.engine.dispose()
    assert made.complaints == []


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, chromium: Browser) -> Iterator[Site]:
    """An exchange that is empty, or holds what `market` sells where the test asks for that."""
    copied = request.getfixturevalue("stocked_folder" if "market" in request.fixturenames else "empty_folder")
    with opened(tmp_path, copied, chromium) as made:
        yield made


@pytest.fixture
def named_site(tmp_path: Path, empty_folder: Path, chromium: Browser) -> Iterator[Site]:
    """An empty exchange at `localhost`: browsers have passkeys at names only."""
    with opened(tmp_path, empty_folder, chromium, "localhost") as made:
        yield made


@pytest.fixture
def working(site: Site) -> Iterator[Site]:
    """The exchange with a worker beside it."""
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(site.ex, stop), daemon=True)
    thread.start()
    yield site
    stop.set()
    thread.join(60)


@pytest.fixture
def market(site: Site) -> Market:
    """Offers that were put into the database directly: what is tested here is the buying."""
    return stocked(site)


@pytest.fixture(scope="module")
def shared_market(tmp_path_factory: pytest.TempPathFactory, stocked_folder: Path, chromium: Browser) -> Iterator[Market]:
    """The same market once for all tests of a file that only look."""
    with opened(tmp_path_factory.mktemp("shared"), stocked_folder, chromium) as site:
        yield stocked(site)


def stocked(site: Site) -> Market:
    """The people of a copy of `stocked_folder`, and what they sell."""
    seller, buyer = (persons.get_person(site.ex, email=email) for email in (SELLER, BUYER))
    assert seller and buyer
    return Market(site, seller.actor, buyer.actor, block(8))
