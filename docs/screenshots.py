"""`make screenshots`: the pictures of the README, taken from a fresh demonstration with a real browser.

They are in `docs/img`, which is in git and in no wheel. Run it again whenever a page on them changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "img"
SIZE = {"width": 1440, "height": 860}
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--force-color-profile=srgb"]


@contextmanager
def demonstration(home: Path) -> Iterator[str]:
    """The address of a demonstration in the folder `home`, which lives as long as the block."""
    command = [sys.executable, "-c", f"from mapex.cli import main; main(['demo', '--port', '8790', '--dir', {str(home)!r}])"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as demo:
        try:
            assert demo.stdout
            for line in demo.stdout:
                if found := re.search(r"mapex is open:\s+(\S+)", line):
                    yield found[1]
                    break
            else:
                raise SystemExit("the demonstration did not start")
        finally:
            demo.terminate()


def take(page: Page, name: str) -> None:
    """One picture, when nothing moves any more."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png")


def play(page: Page, url: str, who: str) -> None:
    """Sign in by the demonstration's first page."""
    page.context.clear_cookies()
    page.goto(url)
    page.click(f"form[action='/demo/{who}'] button")
    page.wait_for_load_state("networkidle")


def pictures(page: Page, url: str) -> None:
    """Every picture of the README."""
    page.goto(url)
    take(page, "start")
    play(page, url, "buyer")
    page.wait_for_selector("html[data-map=idle]", state="attached")
    page.click("#example")
    page.wait_for_selector("#price .total")
    page.wait_for_selector("html[data-map=idle]", state="attached")
    take(page, "explore")
    play(page, url, "seller")
    take(page, "sell")
    page.click("main table a[href^='/sell/']")
    page.click("#to-terms")
    page.wait_for_selector("html[data-map=idle]", state="attached")
    take(page, "publish")
    play(page, url, "auditor")
    take(page, "audit")


def main() -> None:
    """Start a demonstration, look at it, write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    chromium = os.environ.get("MAPEX_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SystemExit("there is no chromium; run: make test (it sets one up)")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder, demonstration(Path(folder) / "demo") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *sandbox])
        page = browser.new_page(viewport=SIZE, locale="en-GB", color_scheme="light")
        page.set_default_timeout(60_000)
        pictures(page, url)
        browser.close()


if __name__ == "__main__":
    main()
