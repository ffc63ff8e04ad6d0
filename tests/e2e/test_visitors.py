"""The map page without signing in: coverage and prices, no samples; signing in to buy leads back to the same area and its price."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, Response, Route, expect

from mapex.prices import estimates
from mapex.prices.request import of_area
from tests.support.browser import PASSWORD, Market, click_at, draw, go_to, map_idle, outline_in, point, ready, won
from tests.support.market import SEOUL, area
from tiles.grid import grid
from tiles.grid.region import Region

WEST, SOUTH, EAST, NORTH = grid.bounds(SEOUL)
BUYER, AUDITOR = "buyer@dongil.example", "auditor@audit.example"
SIGN_IN = {"en": "Sign in to buy", "ko": "로그인하고 구매하기"}
REFUSED = {
    "en": "This needs a permit. Sign in to use yours.",
    "ko": "실증특례 승인이 필요한 데이터입니다. 로그인하면 보유한 승인이 적용됩니다.",
}


def at(i: float, j: float) -> tuple[float, float]:
    """`i` cells east and `j` cells south of the market's north-western corner."""
    return WEST + i * (EAST - WEST), NORTH - j * (NORTH - SOUTH)


RING = [at(1.3, 1.4), at(3.6, 1.2), at(3.4, 3.5), at(1.6, 3.2)]


def visitor_at_market(market: Market, lang: str = "en") -> tuple[Page, list[str]]:
    """A window in which nobody is signed in, and what the API refused it."""
    page = market.site.visit(lang=lang)
    refused: list[str] = []

    def note(answer: Response) -> None:
        if "/api/" in answer.url and answer.status >= 400:
            refused.append(f"{answer.status} {answer.url}")

    page.on("response", note)
    go_to(page, market.site, *at(3, 3), 13.6)
    return page, refused


def sign_in(page: Page) -> None:
    """Fill in the form that the page led to."""
    expect(page).to_have_url(re.compile("/login"))
    assert unquote(page.url).endswith("next=/explore#back")
    page.fill("[name=email]", BUYER)
    page.fill("[name=password]", PASSWORD)
    page.click("main button")
    expect(page).to_have_url(re.compile("/explore#"))
    ready(page)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_visitor_draws_sees_the_price_signs_in_and_is_where_it_was(market: Market, lang: str) -> None:
    page, refused = visitor_at_market(market, lang)
    draw(page, RING)
    outline = outline_in(page.url)
    region = Region.from_geojson(outline)
    seen, known = (estimates.estimate(market.site.ex, by, of_area(region, purpose="research")) for by in (None, market.buyer))
    assert seen.total == known.total > 0, "the buyer owns nothing yet"
    expect(page.locator("#total")).to_have_text(f"₩{seen.total:,}")
    expect(page.locator("#price [data-code='permit.visitor']")).to_contain_text(REFUSED[lang])
    expect(page.locator("html")).to_have_attribute("data-refused", "9")  # hatched on the map
    page.click("#tile-list summary")
    expect(page.locator("#tile-list tbody tr")).to_have_count(9)
    expect(page.locator("#tile-list tbody tr").first).to_contain_text(REFUSED[lang])
    for absent in ("#review", "#saved", "[data-preview]", "[data-preview-kind]"):
        expect(page.locator(absent)).to_have_count(0)
    page.click(f"text={SIGN_IN[lang]}")
    assert refused == []
    sign_in(page)
    expect(page.locator("#total")).to_have_text(f"₩{seen.total:,}")
    assert outline_in(page.url) == outline
    expect(page.locator("html")).to_have_attribute("data-tiles", "9")
    expect(page.locator("#price [data-code='permit.missing']")).to_be_visible()
    page.select_option("#purpose", "research")
    page.click("#review")
    expect(page).to_have_url(re.compile("/quotes/"))


def test_what_is_half_drawn_is_kept_too_and_by_the_header_as_well(market: Market) -> None:
    page, refused = visitor_at_market(market)
    page.click("[data-tool=polygon]")
    for place in RING[:3]:
        click_at(page, *place)
    page.mouse.move(*point(page, *at(1.4, 1.5)))
    expect(page.locator("#total")).to_be_visible()
    page.click("header >> text=Sign in")
    sign_in(page)
    assert len(outline_in(page.url)["coordinates"][0]) == 4
    expect(page.locator("#total")).to_be_visible()
    assert refused == []


def test_every_way_to_an_area_is_open_to_visitors(market: Market) -> None:
    page, refused = visitor_at_market(market)
    corners = [at(1.1, 1.1), at(2.9, 1.1), at(2.9, 2.9), at(1.1, 2.9), at(1.1, 1.1)]
    four = estimates.estimate(market.site.ex, None, of_area(area([cell(i, j) for i in (1, 2) for j in (1, 2)]), purpose="research"))
    expected = f"₩{four.total:,}"

    def shown_then_cleared() -> None:
        expect(page.locator("#total")).to_have_text(expected)
        page.click("[data-tool=clear]")
        expect(page.locator("#price .empty")).to_be_visible()

    page.click("[data-tool=rectangle]")
    for place in (corners[0], corners[2]):
        click_at(page, *place)
    shown_then_cleared()
    page.click("[data-tool=tiles]")
    for i, j in ((1.5, 1.5), (2.5, 1.5), (1.5, 2.5), (2.5, 2.5)):
        click_at(page, *at(i, j))
    shown_then_cleared()
    page.set_input_files(
        "#area-file",
        files=[{"name": "a.geojson", "mimeType": "", "buffer": json.dumps({"type": "Polygon", "coordinates": [corners]}).encode()}],
    )
    shown_then_cleared()
    page.click("#typed summary")
    (west, north), (east, south) = corners[0], corners[2]
    for name, value in (("west", west), ("south", south), ("east", east), ("north", north)):
        page.fill(f"[name={name}]", f"{value:.6f}")
    page.click("#typed-box button")
    shown_then_cleared()
    page.fill("[name=geojson]", f"POLYGON (({', '.join(f'{lon} {lat}' for lon, lat in corners)}))")
    page.click("#pasted button")
    shown_then_cleared()
    page.click("#example")
    expect(page.locator("#total")).to_be_visible()
    assert refused == []


def cell(i: int, j: int) -> int:
    x, y = (int(value) for value in grid.xy(SEOUL))
    return int(grid.morton(x + i, y + j))


def test_a_page_whose_session_ended_says_so_and_shows_no_price_of_a_visitor(market: Market) -> None:
    page = market.site.visit(BUYER)
    go_to(page, market.site, *at(3, 3), 13.6)
    draw(page, RING)
    expect(page.locator("html")).to_have_attribute("data-refused", "9")
    map_idle(page)  # an answer on its way would bring the cookie back
    page.context.clear_cookies()
    page.uncheck("[name=kind][value=sidewalk]")
    expect(page.locator("#price")).to_contain_text("Your session has ended. Your area is kept.")
    expect(page.locator("#total")).to_have_count(0)
    page.click("#price >> text=Sign in")
    sign_in(page)
    expect(page.locator("#total")).to_be_visible()
    expect(page.locator("[name=kind][value=sidewalk]")).not_to_be_checked()


def test_a_visitor_who_asked_too_much_is_informed_and_led_on(market: Market) -> None:
    page, _ = visitor_at_market(market)

    def refuse(route: Route) -> None:
        route.fulfill(status=429, body=json.dumps({"code": "rate.limited", "message": "", "details": {}}))

    page.route("**/api/v1/estimates", refuse)
    draw(page, RING)
    expect(page.locator("#price:not(.stale) [role=alert]")).to_contain_text("too much in a short time")
    expect(page.locator("#price >> text=Sign in to go on")).to_be_visible()
    page.unroute("**/api/v1/estimates", refuse)
    page.click("#price button")
    expect(page.locator("#total")).to_be_visible()


def test_a_closed_exchange_asks_visitors_to_sign_in_for_prices(market: Market) -> None:
    page = market.site.visit()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)

    def closed(route: Route) -> None:
        """The page as `MAPEX_PUBLIC_PRICES=false` sends it."""
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('"prices": true', '"prices": false'))

    page.route("**/explore", closed)
    market.site.open(page, "/explore")
    page.click("#price button")
    expect(page.locator("#price")).to_contain_text("Sign in to see prices")
    assert asked == []


def test_an_auditor_sees_prices_and_nothing_to_press(market: Market) -> None:
    market.site.person(AUDITOR, role="auditor")
    page = market.site.visit(AUDITOR)
    go_to(page, market.site, *at(3, 3), 13.6)
    draw(page, RING)
    expect(page.locator("#total")).to_be_visible()
    assert won(page.locator("#total").text_content()) > 0
    expect(page.locator("#pay-bar")).to_contain_text("Only members of an organisation can do this.")
    expect(page.locator("#review")).to_have_count(0)
