"""Where the map opens: on the own last view, else on the permit's area, else where most is on offer; never on the newest upload."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from mapex.offers import offers
from tests.support.browser import Market, map_idle
from tests.support.market import RATES, SEOUL, a_draft, a_layer, a_permit, block
from tiles.grid import grid

BUYER, AUDITOR = "buyer@dongil.example", "auditor@audit.example"
KARLSRUHE = int(grid.cells_at([8.404], [49.013])[0])


@pytest.fixture
def two_continents(market: Market) -> Market:
    """The newest upload is far away, and small."""
    a_draft(market.site.ex, market.seller, "karlsruhe", [a_layer(block(2, KARLSRUHE))])
    offers.publish(market.site.ex, market.seller, "karlsruhe", rate_card=RATES, licence="research")
    return market


def opened(page: Page, market: Market) -> tuple[float, float, float]:
    """Zoom, longitude and latitude with which the map page opens."""
    market.site.open(page, "/explore")
    map_idle(page)
    zoom, lat, lon = page.url.split("m=")[1].split("&")[0].split("/")
    return float(zoom), float(lon), float(lat)


def test_a_visitor_sees_where_most_is_and_goes_to_a_region(two_continents: Market) -> None:
    page = two_continents.site.visit(lang="ko")
    zoom, lon, lat = opened(page, two_continents)
    west, _, _, north = grid.bounds(SEOUL)
    assert zoom > 10 and abs(lon - west) < 0.1 and abs(lat - north) < 0.1
    regions = page.locator("#regions li")
    assert regions.first.inner_text().startswith("서울 ")
    page.locator("#regions button", has_text="북위 49.").click()
    map_idle(page)
    zoom, lat, lon = map(float, page.url.split("m=")[1].split("&")[0].split("/"))
    assert abs(lon - 8.404) < 0.05 and abs(lat - 49.013) < 0.05 and zoom > 10


def test_who_comes_back_sees_where_they_were(two_continents: Market) -> None:
    page = two_continents.site.visit()
    opened(page, two_continents)
    page.locator("#regions button", has_text="49.").click()
    map_idle(page)
    page.goto("about:blank")
    _, lon, lat = opened(page, two_continents)
    assert abs(lon - 8.404) < 0.05 and abs(lat - 49.013) < 0.05


def test_who_holds_a_permit_opens_on_its_area(two_continents: Market) -> None:
    square = [[[127.0, 37.3], [127.2, 37.3], [127.2, 37.5], [127.0, 37.5], [127.0, 37.3]]]
    a_permit(two_continents.site.ex, area={"type": "Polygon", "coordinates": square})
    _, lon, lat = opened(two_continents.site.visit(BUYER), two_continents)
    assert abs(lon - 127.1) < 0.01 and abs(lat - 37.4) < 0.01


def test_the_list_of_tiles_names_them(market: Market) -> None:
    page = market.site.visit(BUYER, lang="ko")
    opened(page, market)
    page.click("#example")
    page.locator("#tile-list summary").click()
    expect(page.locator("#tile-list tbody tr").first).to_contain_text("서울 ")


def test_an_auditor_reads_names_of_tiles(market: Market) -> None:
    market.site.person(AUDITOR, role="auditor")
    page = market.site.visit(AUDITOR, lang="ko")
    market.site.open(page, f"/audit/tiles/{grid.quadkey(SEOUL)}")
    expect(page.locator("h1")).to_contain_text("서울 ")
    expect(page.locator("h1")).to_contain_text("타일의 모든 기록")
