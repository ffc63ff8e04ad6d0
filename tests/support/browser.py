"""Visitors of a served exchange, with a real browser; whatever leaves the machine or errs is kept as a complaint."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page

from mapex.exchange import Actor, Exchange
from mapex.people import orgs, persons
from tiles.grid import grid

PASSWORD = "correct horse battery"
WAIT_MS = 30_000
COARSE, SHARP = 0.5, 1
"""Pixels of the screen to one of the page. All is laid out alike on a coarse screen, and its map costs a quarter to draw."""


@dataclass(slots=True)
class Clock:
    """The real clock, moved by what a test says."""

    offset_ns: int = 0

    def __call__(self) -> int:
        return time.time_ns() + self.offset_ns

    def forward(self, *, minutes: float) -> None:
        self.offset_ns += int(minutes * 60e9)


def a_person(ex: Exchange, email: str, org: str = "", role: str = "member") -> Actor:
    """A person who can log in, of an organisation that is made if need be."""
    if org and not any(known.slug == org for known in orgs.all_orgs(ex)):
        orgs.add_org(ex, None, org)
    return persons.add_person(ex, None, email, org=org, role=role, password=PASSWORD).actor


@dataclass(slots=True)
class Site:
    """A served exchange, and its visitors."""

    ex: Exchange
    url: str
    clock: Clock
    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def person(self, email: str, org: str = "", role: str = "member") -> Actor:
        """A person who can log in."""
        return a_person(self.ex, email, org, role)

    def visit(self, email: str = "", *, lang: str = "en", size: tuple[int, int] = (1440, 900), **context: Any) -> Page:
        """A new, blank browser window, signed in as `email`; everything that it complains about is kept."""
        made = self.browser.new_context(
            **{"device_scale_factor": COARSE, **context},
            viewport={"width": size[0], "height": size[1]},
            locale="ko-KR" if lang == "ko" else "en-GB",
            accept_downloads=True,
            base_url=self.url,
        )
        made.set_default_timeout(WAIT_MS)
        self.contexts.append(made)
        if email:
            self._sign_in(made, email)
        page = made.new_page()
        page.on("request", lambda request: self._check_request(request.url))
        page.on("console", lambda message: self._check_message(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        page.on("response", lambda answer: self.complaints.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None)
        return page

    def open(self, page: Page, path: str) -> None:
        """Go to a page and wait until its script is ready."""
        page.goto(self.url + path)
        ready(page)

    def _sign_in(self, context: BrowserContext, email: str) -> None:
        """Send the form of `/login` without drawing it, nor the map that follows it."""
        form = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', context.request.get(f"{self.url}/login").text())
        assert form
        filled = {"csrf_token": form[1], "email": email, "password": PASSWORD}
        answer = context.request.post(f"{self.url}/login", form=filled, max_redirects=0)
        assert (answer.status, answer.headers["location"]) == (302, "/explore")

    def _check_request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost"):
            self.complaints.append(f"left the machine: {url}")

    def _check_message(self, kind: str, text: str) -> None:
        # A refusal is an answer that pages show to people; the browser logs it as an error all the same.
        refusal = re.search(r"Failed to load resource: .*(status of 4\d\d|net::ERR_(ABORTED|FAILED))", text)
        if kind == "error" and not refusal:
            self.complaints.append(f"console: {text}")


def until(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait for what no locator shows: what the browser tells of in its own time, or draws."""
    last = time.monotonic() + WAIT_MS / 1000
    while not is_so():
        assert time.monotonic() < last, "it did not come"
        page.wait_for_timeout(20)


def ready(page: Page) -> None:
    """Wait until the page's script reported that it is ready."""
    page.wait_for_selector("html[data-ready]", state="attached")


@contextmanager
def loaded_again(page: Page) -> Iterator[None]:
    """What is done inside makes the page load again; after it the new one is ready, however alike the two look."""
    with page.expect_event("load"):
        yield
    ready(page)


def map_idle(page: Page) -> None:
    """Wait until the map is drawn."""
    ready(page)
    page.wait_for_selector("html[data-map=idle]", state="attached")


@dataclass(slots=True)
class Market:
    """A site where Hanbit sells lanes, sidewalks and original footage in Seoul, and Dongil has money."""

    site: Site
    seller: Actor
    buyer: Actor
    cells: list[int]


def point(page: Page, lon: float, lat: float) -> tuple[float, float]:
    """Where a place is in the window, from the view in the address."""
    view = re.search(r"m=([\d.]+)/([-\d.]+)/([-\d.]+)", page.url)
    assert view, page.url
    zoom, centre_lat, centre_lon = float(view[1]), float(view[2]), float(view[3])
    box = page.locator("#map").bounding_box()
    assert box
    scale = 512 * 2**zoom
    x, y = grid.tile_xy([lon, centre_lon], [lat, centre_lat], 0)
    dx, dy = (float(x[0]) - float(x[1])) * scale, (float(y[0]) - float(y[1])) * scale
    return box["x"] + box["width"] / 2 + dx, box["y"] + box["height"] / 2 + dy


def go_to(page: Page, site: Site, lon: float, lat: float, zoom: float) -> None:
    """Open the map at a view."""
    page.goto("about:blank")
    page.goto(f"{site.url}/explore#m={zoom:.2f}/{lat:.5f}/{lon:.5f}")
    map_idle(page)


def click_at(page: Page, lon: float, lat: float) -> None:
    """Move to a place on the map and click it, as a hand does."""
    x, y = point(page, lon, lat)
    page.mouse.move(x - 4, y - 4)
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    page.wait_for_timeout(120)  # two clicks at once are a double click


def draw(page: Page, ring: list[tuple[float, float]], *, finish: str = "Enter") -> None:
    """Draw a polygon with the mouse."""
    page.click("[data-tool=polygon]")
    for lon, lat in ring:
        click_at(page, lon, lat)
    if finish:
        page.keyboard.press(finish)
        page.wait_for_function("() => location.hash.includes('a=')")


def publish_terms(page: Page, **rates: int) -> None:
    """From the page of a version to its terms: type the rates and publish; the page then says that it is on sale."""
    page.click("#to-terms")
    page.wait_for_url("**/publish")
    ready(page)
    for unit, rate in rates.items():
        if not page.locator(f"#publish [name={unit}]").is_visible():
            page.click("#publish details summary")
        page.fill(f"#publish [name={unit}]", str(rate))
    page.wait_for_selector("#bill-full", state="visible")
    assert won(page.locator("#whole").text_content()) > 0
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")
    ready(page)


def won(text: str | None) -> int:
    """The amount of `₩1,234`."""
    return int(re.sub(r"[^\d-]", "", text or "") or 0)


def outline_in(url: str) -> dict[str, Any]:
    """The drawn area in the address, as GeoJSON."""
    found = re.search(r"[#&]a=([^&]+)", url)
    assert found, url
    ring = [[float(value) for value in at.split(",")] for at in found[1].split(";")]
    polygon: dict[str, Any] = json.loads(json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}))
    return polygon
