"""Who read the original footage of this crossing in October, when, for what, under which permit: asked without a tile's number."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from mapex.audit import log as audit_log
from mapex.audit.log import Action, AuditEntry
from mapex.database import db
from mapex.rights import permits
from tests.support.browser import Market, map_idle
from tests.support.exchange import a_permit
from tests.support.market import block
from tiles.grid import grid, scan
from tiles.grid.region import Region

AUDITOR = "auditor@audit.example"
CELLS = block(4)
CROSSING = (grid.bounds(CELLS[0]).east, grid.bounds(CELLS[0]).south)


def _at(market: Market, text: str) -> None:
    market.site.clock.offset_ns = 0
    market.site.clock.offset_ns = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9 - market.site.ex.now()


@pytest.fixture
def asked(market: Market) -> Market:
    """Originals and open maps were read in September, October and November, in and out of the crossing; then the permit was revoked."""
    ex = market.site.ex
    market.site.person(AUDITOR, role="auditor")
    start, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 10**9 for year in (2026, 2028))
    _at(market, "2026-08-01T00:00:00")
    a_permit(ex, "dongil", number="KR-SB-7", valid_from_ns=start, valid_to_ns=end)
    buyer = replace(market.buyer, network="203.0.113.0/24")
    for month in ("09", "10", "11"):
        _at(market, f"2026-{month}-15T03:00:00")
        for handling_class, permit in (("original", "KR-SB-7"), ("open", "")):
            entry = AuditEntry(
                Action.ACCESS_GRANTED,
                owner="hanbit",
                dataset="drive",
                layer="recording",
                purpose="research",
                permit=permit,
                handling_class=handling_class,
            )
            with db.begin(ex) as conn:
                audit_log.append_many(conn, ex, buyer, [replace(entry, tile=grid.quadkey(cell)) for cell in CELLS])
    permits.set_state(ex, None, "KR-SB-7", "revoked")
    market.site.clock.offset_ns = 0
    return market


def _tiles_at(lon: float, lat: float) -> set[str]:
    around = {grid.quadkey(int(grid.cells_at([lon + dx], [lat + dy])[0])) for dx in (-0.0005, 0.0005) for dy in (-0.0005, 0.0005)}
    return around & {grid.quadkey(cell) for cell in CELLS}


def _listed(page: Page) -> list[tuple[str, str]]:
    rows = page.locator("#events tbody tr").all()
    return [(_cell(row, "When")[:7], _cell(row, "Class")) for row in rows]


def _cell(row: Locator, name: str) -> str:
    return row.locator(f"td[data-label={name}]").inner_text().strip()


def test_the_question_is_answered_by_a_place_and_two_days(asked: Market) -> None:
    page = asked.site.visit(AUDITOR)
    asked.site.open(page, "/audit")
    map_idle(page)
    expect(page.locator(".tabs [aria-current]")).to_have_text("Original footage")
    assert {kind for _, kind in _listed(page)} == {"original"}
    page.fill("#f-from", "2026-10-01")
    page.fill("#f-last", "2026-10-31")
    page.click("#form button.primary")
    expect(page.locator("[data-number=originals]")).to_have_text(str(len(CELLS)))
    map_idle(page)
    box = page.locator(".two [data-places] input")
    box.fill(f"{CROSSING[1]}, {CROSSING[0]}")
    box.press("Enter")
    page.click(".two .chosen button:has-text('Who read here')")
    expect(page.locator("#where")).to_be_visible()
    tiles = _tiles_at(*CROSSING)
    expect(page.locator("[data-number=originals]")).to_have_text(str(len(tiles)))
    assert _listed(page) == [("2026-10", "original")] * len(tiles)
    expect(page).to_have_url(re.compile(r"/audit\?q=.*region"))
    expect(page.locator("#events td[data-label=Permit]").first).to_have_text("KR-SB-7")
    expect(page.locator("#f-last")).to_have_value("2026-10-31")

    page.locator("#events td[data-label=Entry] a").first.click()
    map_idle(page)
    facts = page.locator(".facts-list").first
    expect(facts).to_contain_text("From the network")
    expect(facts).to_contain_text("203.0.113.0/24")
    expect(page.locator("main")).to_contain_text("The permit as it was then")
    permit = page.locator(".facts-list").nth(1)
    expect(permit).to_contain_text("active")
    expect(permit).not_to_contain_text("revoked")


def test_an_outline_drawn_on_the_map_narrows_the_log(asked: Market) -> None:
    page = asked.site.visit(AUDITOR)
    asked.site.open(page, "/audit")
    map_idle(page)
    page.click("[data-tool=rectangle]")
    expect(page.locator("[data-tool=rectangle]")).to_have_attribute("aria-pressed", "true")
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(x, y)
    page.mouse.move(x + 30, y + 30, steps=4)
    page.mouse.click(x + 40, y + 40)
    expect(page.locator("#where")).to_be_visible()
    corners = [tuple(map(float, corner.split(","))) for corner in page.input_value("#form [name=region]").split(";")]
    drawn = Region.from_geojson({"type": "Polygon", "coordinates": [[*corners, corners[0]]]})
    inside = scan.cover(drawn).contains(np.array(CELLS, np.uint64)).sum()
    assert 0 < inside < len(CELLS)
    expect(page.locator("[data-number=originals]")).to_have_text(str(3 * inside))
    expect(page.locator("#tiles tbody tr")).to_have_count(int(inside))
    page.click("#where a")
    expect(page.locator("[data-number=originals]")).to_have_text(str(3 * len(CELLS)))


def test_own_readings_are_one_line_and_originals_are_counted_apart(asked: Market) -> None:
    page = asked.site.visit(AUDITOR)
    asked.site.open(page, "/audit")
    for _ in range(2):
        page.click(".tabs a:has-text('Whole log')")
        expect(page.locator(".tabs [aria-current]")).to_have_text("Whole log")
    expect(page.locator("#own")).to_contain_text(re.compile(r"You read the log \d+ times?"))
    assert "Log read" not in page.locator("#events tbody").inner_text()
    expect(page.locator("[data-number=originals]")).to_have_text(str(3 * len(CELLS)))
    expect(page.locator("[data-number=others]")).to_have_text(str(3 * len(CELLS)))
    page.click("#own a")
    expect(page.locator("#events tbody tr").first).to_contain_text("Log read")
