"""The map page: drawing by mouse, touch and keyboard, the price that follows, refusals, failures."""

from __future__ import annotations

import json

from browsing import Market, Site, click_at, draw, go_to, map_idle, outline_in, point, ready, won
from market_builders import SEOUL
from playwright.sync_api import Page, Route, expect

from mapex import offers
from tiles import grid
from tiles.region import Region, cover

WEST, SOUTH, EAST, NORTH = grid.bounds(SEOUL)
STEP = EAST - WEST
BUYER = "buyer@dongil.example"


def at(i: float, j: float) -> tuple[float, float]:
    """`i` cells east and `j` cells south of the market's north-western corner."""
    return WEST + i * STEP, NORTH - j * (NORTH - SOUTH)


RING = [at(1.3, 1.4), at(3.6, 1.2), at(3.4, 3.5), at(1.6, 3.2)]


def buyer_at_market(market: Market) -> Page:
    page = market.site.visit(BUYER)
    go_to(page, market.site, *at(3, 3), 13.6)
    return page


def total(page: Page) -> int:
    """The total on the panel once it answers what was asked last."""
    page.wait_for_timeout(150)  # the pause after which the page asks
    expect(page.locator("#price")).not_to_have_class("stale")
    return won(page.locator("#total").text_content())


def test_draw_polygon_quotes_to_the_won(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    region = Region.from_geojson(outline_in(page.url))
    asked = offers.estimate(market.site.ex, market.buyer, region, purpose="research")
    assert asked.total > 0
    expect(page.locator("#total")).to_have_text(f"₩{asked.total:,}")
    assert page.locator("html").get_attribute("data-tiles") == str(cover(region).count)
    expect(page.locator("[data-dataset=lanes] .what")).to_have_text("HD lanes")


def test_price_follows_while_drawing(market: Market) -> None:
    page = buyer_at_market(market)
    page.click("[data-tool=polygon]")
    for place in RING[:3]:
        click_at(page, *place)
    expect(page.locator("#total")).to_be_visible()
    before = total(page)
    page.mouse.move(*point(page, *at(1.2, 5.8)), steps=4)
    expect(page.locator("#total")).not_to_have_text(f"₩{before:,}")
    assert "a=" not in page.url, "the outline is not closed yet"


def test_dragging_a_corner_reprices(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    expect(page.locator("#total")).to_be_visible()
    before = total(page)
    x, y = point(page, *RING[2])
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(*point(page, *at(5.5, 5.5)), steps=6)
    page.mouse.up()
    expect(page.locator("#total")).not_to_have_text(f"₩{before:,}")
    assert total(page) > before


def test_escape_cancels_and_clear_empties(market: Market) -> None:
    page = buyer_at_market(market)
    page.click("[data-tool=polygon]")
    for place in RING[:3]:
        click_at(page, *place)
    page.keyboard.press("Escape")
    page.click("[data-tool=clear]")
    expect(page.locator("#price .empty")).to_be_visible()
    expect(page.locator("[data-tool=polygon]")).to_have_attribute("aria-pressed", "false")


def test_box_by_touch_on_a_phone(market: Market) -> None:
    page = market.site.visit(BUYER, size=(390, 844), has_touch=True, device_scale_factor=2, is_mobile=True)
    go_to(page, market.site, *at(3, 3), 13)
    page.tap("[data-tool=rectangle]")
    page.evaluate("scrollTo(0, 0)")
    for place in (at(1.2, 1.2), at(3.8, 3.8)):
        page.touchscreen.tap(*point(page, *place))
        page.wait_for_timeout(400)
    expect(page.locator("#total")).to_have_count(1)
    assert page.locator("html").get_attribute("data-tiles") == "9"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_tiles_are_toggled_by_click(market: Market) -> None:
    page = buyer_at_market(market)
    page.keyboard.press("t")
    expect(page.locator("[data-tool=tiles]")).to_have_attribute("aria-pressed", "true")
    for place in (at(0.5, 0.5), at(1.5, 0.5), at(2.5, 0.5)):
        click_at(page, *place)
    page.wait_for_timeout(300)
    click_at(page, *at(1.5, 0.5))
    expect(page.locator("html")).to_have_attribute("data-tiles", "2")
    expect(page.locator(".facts b").nth(1)).to_have_text("4")  # two layers on two cells


def test_layer_switches_change_the_price(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    expect(page.locator("[data-dataset=walks]")).to_be_visible()
    before = total(page)
    page.uncheck("[name=kind][value=sidewalk]")
    expect(page.locator("[data-dataset=walks]")).to_have_count(0)
    assert total(page) < before


def test_original_footage_is_refused_on_the_map_with_the_reason(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    refusal = page.locator("[data-code='permit.missing']")
    expect(refusal).to_contain_text("no permit")
    expect(refusal).to_contain_text("9 tiles left out")


def test_typed_box_by_keyboard_alone_to_the_paid_order(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    page.locator("#typed summary").focus()
    page.keyboard.press("Enter")
    west, north = at(1.1, 1.1)
    east, south = at(2.9, 2.9)
    for value in (west, south, east, north):
        page.keyboard.press("Tab")
        page.keyboard.type(f"{value:.6f}")
    page.keyboard.press("Enter")
    expect(page.locator("#review")).to_be_visible()
    page.locator("#review").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/quotes/*")
    ready(page)
    page.locator("#pay").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/*")


def test_wrong_numbers_are_said_beside_the_fields(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    page.click("#typed summary")
    for name, value in (("west", "127.2"), ("south", "37.5"), ("east", "127.1"), ("north", "37.6")):
        page.fill(f"[name={name}]", value)
    page.click("#typed-box button")
    expect(page.locator("#typed-error")).to_contain_text("West must be smaller")


def paste(page: Page, geo: object) -> None:
    if not page.locator("#typed").get_attribute("open"):
        page.locator("#typed").evaluate("one => one.open = true")
    page.fill("[name=geojson]", geo if isinstance(geo, str) else json.dumps(geo))
    page.click("#pasted button")


def test_areas_that_cannot_be_used_are_told_in_words(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    crossing = {"type": "Polygon", "coordinates": [[list(at(0, 0)), list(at(2, 2)), list(at(2, 0)), list(at(0, 2)), list(at(0, 0))]]}
    paste(page, crossing)
    expect(page.locator("[data-code='region.crossing']")).to_contain_text("crosses itself")
    paste(page, {"type": "Polygon", "coordinates": [[[100, 10], [140, 10], [140, 50], [100, 50], [100, 10]]]})
    expect(page.locator("[data-code='region.too_large']")).to_contain_text("too large")
    expect(page.locator("#price")).to_contain_text("mapex quote --region")
    paste(page, "this is no JSON")
    expect(page.locator("[data-code='region.malformed']")).to_be_visible()
    paste(page, {"type": "MultiPolygon", "coordinates": [outline_of(0), outline_of(3)]})
    expect(page.locator("#total")).to_be_visible()


def outline_of(corner: int) -> list[list[list[float]]]:
    return [[list(at(corner + i, corner + j)) for i, j in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.1))]]


def test_a_dead_server_is_said_and_the_area_is_kept(market: Market) -> None:
    page = buyer_at_market(market)
    page.route("**/api/v1/estimates", lambda route: route.abort())
    draw(page, RING)
    expect(page.locator("[data-code=network]")).to_contain_text("is kept")
    page.unroute("**/api/v1/estimates")
    page.click("#price button")
    expect(page.locator("#total")).to_be_visible()


def test_an_answer_that_comes_too_late_is_dropped(market: Market) -> None:
    page = buyer_at_market(market)
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/v1/estimates", hold_first)
    draw(page, RING)
    page.wait_for_timeout(300)
    page.uncheck("[name=kind][value=sidewalk]")
    expect(page.locator("#total")).to_be_visible()
    now = total(page)
    held[0].fulfill(
        status=200, body=json.dumps({"tiles": 1, "area_km2": 1, "lines": [], "refusals": [], "subtotal": 1, "vat": 0, "total": 1})
    )
    page.wait_for_timeout(300)
    assert total(page) == now


def test_the_address_restores_area_layers_and_total(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    page.uncheck("[name=kind][value=recording]")
    expect(page.locator("#total")).to_be_visible()
    before, address = total(page), page.url
    other = market.site.visit(BUYER)
    other.goto("about:blank")
    other.goto(address)
    map_idle(other)
    expect(other.locator("#total")).to_have_text(f"₩{before:,}")
    expect(other.locator("[name=kind][value=recording]")).not_to_be_checked()


def test_without_webgl_the_box_and_the_list_do_the_same(market: Market) -> None:
    page = market.site.visit(BUYER)
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    market.site.open(page, "/explore")
    expect(page.locator("#map-note")).to_contain_text("cannot draw the map")
    west, north = at(1.1, 1.1)
    east, south = at(2.9, 2.9)
    for name, value in (("west", west), ("south", south), ("east", east), ("north", north)):
        page.fill(f"[name={name}]", f"{value:.6f}")
    page.click("#typed-box button")
    expect(page.locator("#total")).to_be_visible()
    before = total(page)
    page.click("#tile-list summary")
    rows = page.locator("#tile-list tbody tr")
    expect(rows).to_have_count(4)
    rows.first.locator("input").uncheck()
    expect(page.locator("#total")).not_to_have_text(f"₩{before:,}")
    assert total(page) < before


def test_visitors_see_coverage_and_are_asked_to_sign_in_for_prices(market: Market) -> None:
    page = market.site.visit()
    market.site.open(page, "/explore")
    page.click("#price button")
    expect(page.locator("#price")).to_contain_text("Sign in to see prices")


def test_an_empty_exchange_says_so(site: Site) -> None:
    page = site.visit()
    site.open(page, "/explore")
    expect(page.locator("#layers")).to_contain_text("Nothing is on offer yet")
