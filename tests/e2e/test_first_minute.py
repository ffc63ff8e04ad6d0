"""From the demonstration's first page to a bought and opened map, and what its other two lines promise (timed in benchmarks/pages.py)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import WAIT_MS, map_idle, ready, won
from tests.support.servers import free_port


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `mapex demo`, run as a newcomer runs it."""
    folder = tmp_path_factory.mktemp("demo")
    command = [
        sys.executable,
        "-c",
        "from mapex.cli import main; main()",
        "demo",
        "--dir",
        str(folder / "demo"),
        "--port",
        str(free_port()),
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")} | {"PYTHONUNBUFFERED": "1"}
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ) as demo:
        assert demo.stdout
        answer = ""
        for line in demo.stdout:
            answer += line
            if found := re.search(r"mapex is open:\s+(\S+)", line):
                yield found[1]
                break
        else:
            pytest.fail(f"the demonstration did not start: {answer}{(folder / 'log').read_text()}")
        demo.terminate()
        demo.stdout.read()


@pytest.fixture
def page(demonstration: str, chromium: Browser) -> Iterator[Page]:
    """The demonstration's first page, where one of the three lines is to be tried."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, device_scale_factor=0.5, locale="en-GB", accept_downloads=True)
    context.set_default_timeout(WAIT_MS)
    made = context.new_page()
    made.goto(demonstration)
    yield made
    context.close()


def test_sixty_seconds(page: Page, tmp_path: Path) -> None:
    """Six clicks, a purpose and not one key from the first page to an archive whose tiles open in geopandas."""
    import geopandas

    page.click("text=Be the buyer")
    map_idle(page)
    page.click("#example")
    expect(page.locator("#total")).to_be_visible()
    assert won(page.locator("#total").text_content()) > 0
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    with page.expect_download() as download:
        page.click("#download")
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    tiles = sorted(tmp_path.rglob("*.parquet"))
    assert tiles and (list(tmp_path.rglob("_manifest.json")))
    lanes = geopandas.read_parquet(tiles[0])
    assert len(lanes) and lanes.geometry.is_valid.any() and {"feature_id", "kind", "owner", "properties"} <= set(lanes.columns)


def test_the_seller_of_the_demonstration_finds_checks_prices_and_earnings(page: Page) -> None:
    page.click("text=Be the seller")
    ready(page)
    page.locator("main table a[href^='/sell/']").first.click()
    ready(page)
    page.click("#to-terms")
    page.wait_for_url("**/publish")
    ready(page)
    expect(page.locator("#publish button.primary")).to_be_visible()


def test_the_auditor_of_the_demonstration_finds_events(page: Page) -> None:
    page.click("text=Be the auditor")
    ready(page)
    expect(page.locator("#events tbody tr").first).to_be_visible()
