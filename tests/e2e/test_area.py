"""The map page: drawing by mouse, touch and keyboard, the price that follows, refusals, failures."""

from __future__ import annotations

import json
import math

from playwright.sync_api import Page, Route, expect

from mapex.people import persons
from mapex.prices import estimates
from mapex.prices.request import of_area
from tests.support.browser import PASSWORD, Market, Site, click_at, draw, go_to, map_idle, outline_in, point, ready, until, won
from tests.support.market import SEOUL
from tiles.grid import grid
from tiles.grid.region import Region
from tiles.grid.scan import cover

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
    return won(page.locator("#price:not(.stale) #total").text_content())  # stale from what changes the area on


def test_draw_polygon_quotes(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    region = Region.from_geojson(outline_in(page.url))
    asked = estimates.estimate(market.site.ex, market.buyer, of_area(region, purpose="research"))
    assert asked.total > 0
    expect(page.locator("#total")).to_have_text(f"₩{asked.total:,}")
    expect(page.locator("html")).to_have_attribute("data-tiles", str(cover(region).count))
    expect(page.locator("[data-dataset=lanes] .what")).to_have_text("HD lanes")


def test_live_while_drawing(market: Market) -> None:
    page = buyer_at_market(market)
    page.click("[data-tool=polygon]")
    for place in RING[:3]:
        click_at(page, *place)
    before = total(page)
    page.mouse.move(*point(page, *at(1.2, 5.8)), steps=4)
    expect(page.locator("#total")).not_to_have_text(f"₩{before:,}")
    assert "a=" not in page.url, "the outline is not closed yet"


def test_edit_vertex_reprices(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
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


def test_box_by_touch(market: Market) -> None:
    page = market.site.visit(BUYER, size=(390, 844), has_touch=True, device_scale_factor=2, is_mobile=True)
    go_to(page, market.site, *at(3, 3), 13)
    page.tap("[data-tool=rectangle]")
    page.evaluate("scrollTo(0, 0)")
    for place in (at(1.2, 1.2), at(3.8, 3.8)):
        page.touchscreen.tap(*point(page, *place))
        page.wait_for_timeout(400)
    expect(page.locator("#total")).to_have_count(1)
    expect(page.locator("html")).to_have_attribute("data-tiles", "9")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_tile_toggle(market: Market) -> None:
    page = buyer_at_market(market)
    page.keyboard.press("t")
    expect(page.locator("[data-tool=tiles]")).to_have_attribute("aria-pressed", "true")
    for place in (at(0.5, 0.5), at(1.5, 0.5), at(2.5, 0.5)):
        click_at(page, *place)
    expect(page.locator("html")).to_have_attribute("data-tiles", "3")
    click_at(page, *at(1.5, 0.5))
    expect(page.locator("html")).to_have_attribute("data-tiles", "2")
    expect(page.locator("#ground")).to_contain_text("You buy 2 squares")
    expect(page.locator("#files")).to_have_text("4 files")  # two layers on two cells


def test_layer_switches_change_the_price(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    expect(page.locator("[data-dataset=walks]")).to_be_visible()
    before = total(page)
    page.uncheck("[name=kind][value=sidewalk]")
    expect(page.locator("[data-dataset=walks]")).to_have_count(0)
    assert total(page) < before


def test_permit_refusal_on_map(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    refusal = page.locator("[data-code='permit.missing']")
    expect(refusal).to_contain_text("no permit")
    expect(refusal).to_contain_text("9 squares left out")
    expect(page.locator("html")).to_have_attribute("data-refused", "9")  # hatched on the map


def test_typed_box_keyboard_only(market: Market) -> None:
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
    page.locator("#purpose").focus()
    page.keyboard.type("Res")
    page.locator("#review").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/quotes/*")
    ready(page)
    page.locator("#pay").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/*")


def test_wrong_numbers_are_reported_beside_the_fields(market: Market) -> None:
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


def test_self_crossing(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    crossing = {"type": "Polygon", "coordinates": [[list(at(0, 0)), list(at(2, 2)), list(at(2, 0)), list(at(0, 2)), list(at(0, 0))]]}
    paste(page, crossing)
    expect(page.locator("[data-code='region.crossing']")).to_contain_text("crosses itself")
    expect(page.locator("#total")).to_have_count(0)


def test_too_large(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    paste(page, {"type": "Polygon", "coordinates": [[[100, 10], [140, 10], [140, 50], [100, 50], [100, 10]]]})
    expect(page.locator("[data-code='region.too_large']")).to_contain_text("too large")
    expect(page.locator("#pasted-error")).to_contain_text("mapex quote --region")


def test_what_is_no_area_is_reported_and_the_next_one_counts(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    paste(page, "this is no JSON")
    expect(page.locator("[data-code='region.malformed']")).to_be_visible()
    paste(page, {"type": "MultiPolygon", "coordinates": [outline_of(0), outline_of(3)]})
    expect(page.locator("#total")).to_be_visible()


def outline_of(corner: int) -> list[list[list[float]]]:
    return [[list(at(corner + i, corner + j)) for i, j in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.1))]]


def test_slow_and_dead_server(market: Market) -> None:
    page = buyer_at_market(market)
    page.route("**/api/v1/estimates", lambda route: route.abort())
    draw(page, RING)
    expect(page.locator("#price:not(.stale) [data-code=network]")).to_contain_text("is kept")  # the last of its requests failed too
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
    until(page, lambda: bool(held))
    page.uncheck("[name=kind][value=sidewalk]")
    now = total(page)
    held[0].fulfill(
        status=200,
        body=json.dumps({"tiles": 1, "area_km2": 1, "lines": [], "refusals": [], "offers": [], "subtotal": 1, "vat": 0, "total": 1}),
    )
    page.wait_for_timeout(300)
    assert total(page) == now


def test_url_restores_state(market: Market) -> None:
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


def test_no_webgl_fallback(market: Market) -> None:
    page = market.site.visit(BUYER)
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    market.site.open(page, "/explore")
    expect(page.locator("#map-note")).to_contain_text("cannot draw the map")
    west, north = at(1.1, 1.1)
    east, south = at(2.9, 2.9)
    for name, value in (("west", west), ("south", south), ("east", east), ("north", north)):
        page.fill(f"[name={name}]", f"{value:.6f}")
    page.click("#typed-box button")
    before = total(page)
    page.click("#tile-list summary")
    rows = page.locator("#tile-list tbody tr")
    expect(rows).to_have_count(4)
    rows.first.locator("input").uncheck()
    expect(page.locator("#total")).not_to_have_text(f"₩{before:,}")
    assert total(page) < before


def test_an_empty_exchange_says_so(site: Site) -> None:
    page = site.visit()
    site.open(page, "/explore")
    expect(page.locator("#layers")).to_contain_text("Nothing is on offer yet")


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file on the page, as a hand does."""
    page.evaluate(
        """([name, text]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([text], name));
          dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
        }""",
        [name, text],
    )


def test_geojson_drop(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    drop(page, "a.geojson", json.dumps({"type": "Polygon", "coordinates": outline_of(0)}))
    expect(page.locator("html")).to_have_attribute("data-tiles", "1")
    features = [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": outline_of(k)}} for k in (1, 4)]
    drop(page, "b.geojson", json.dumps({"type": "FeatureCollection", "features": features}))
    expect(page.locator("html")).to_have_attribute("data-tiles", "2")
    ring = " ".join(f"{lon},{lat},0" for lon, lat in outline_of(2)[0])
    polygon = f"<Polygon><outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon>"
    drop(page, "c.kml", f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>{polygon}</Placemark></Document></kml>')
    expect(page.locator("html")).to_have_attribute("data-tiles", "1")
    metres = [[[200_000, 550_000], [201_000, 550_000], [201_000, 551_000], [200_000, 550_000]]]
    drop(page, "d.geojson", json.dumps({"type": "Polygon", "coordinates": metres}))
    expect(page.locator("[data-code='region.metres']")).to_contain_text("metres")
    named = {"type": "name", "properties": {"name": "urn:example:town"}}
    drop(page, "e.geojson", json.dumps({"type": "Polygon", "coordinates": outline_of(0), "crs": named}))
    expect(page.locator("[data-code='area.crs']")).to_contain_text("urn:example:town")
    drop(page, "f.geojson", json.dumps({"type": "Point", "coordinates": [127, 37]}))
    expect(page.locator("[data-code='area.no_polygon']")).to_be_visible()


def test_too_many_vertices(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/explore")
    ring = [[127 + 0.01 * math.cos(k / 900), 37.5 + 0.01 * math.sin(k / 900)] for k in range(5600)]
    drop(page, "round.geojson", json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}))
    expect(page.locator("[data-code='region.too_many_vertices']")).to_contain_text("too many corners")
    expect(page.locator("#file-error code")).to_contain_text("mapex quote --region area.geojson --simplify")


def test_barely_touched_tiles_are_left_out_and_stay_out(market: Market) -> None:
    page = buyer_at_market(market)
    paste(
        page, {"type": "Polygon", "coordinates": [[list(at(*c)) for c in ((0.1, 0.1), (1.9, 0.1), (1.9, 1.01), (0.1, 1.01), (0.1, 0.1))]]}
    )
    expect(page.locator("[data-barely]")).to_contain_text("2 squares barely touched")
    before, less = total(page), won(page.locator("[data-barely] b").text_content())
    page.click("#leave-barely")
    expect(page.locator("[data-barely]")).to_contain_text("left out")
    assert total(page) == before - less
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    assert f"₩{before - less:,}" in page.locator("main").inner_text()


def test_session_ends_while_drawing(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    before = total(page)
    persons.set_password(market.site.ex, market.buyer, BUYER, PASSWORD)  # which ends every session of the person
    page.uncheck("[name=kind][value=sidewalk]")
    expect(page.locator("#price")).to_contain_text("Your area is kept")
    page.click("#price a.button")
    page.fill("[name=email]", BUYER)
    page.fill("[name=password]", PASSWORD)
    page.click("main button")
    page.wait_for_url("**/explore*")
    map_idle(page)
    expect(page.locator("html")).to_have_attribute("data-tiles", "9")
    page.check("[name=kind][value=sidewalk]")
    expect(page.locator("#total")).to_have_text(f"₩{before:,}")


def test_review_keeps_the_focus_while_the_price_follows(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    before = total(page)
    page.select_option("#purpose", "research")
    page.focus("#review")
    page.evaluate("() => document.querySelector('[name=kind][value=sidewalk]').click()")
    expect(page.locator("#total")).not_to_have_text(f"₩{before:,}")
    expect(page.locator("#review")).to_be_focused()
    assert total(page) < before
    page.keyboard.press("Enter")
    page.wait_for_url("**/quotes/*")


def test_saved_area_is_used_again(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    before = total(page)
    page.click("#saved summary")
    expect(page.locator("#saved-list")).to_contain_text("Nothing is saved yet")
    page.fill("#save-area [name=name]", "강남역 사거리")
    page.click("#save-area button")
    expect(page.locator("#saved-list")).to_contain_text("강남역 사거리")
    page.click("[data-tool=clear]")
    expect(page.locator("#price .empty")).to_be_visible()
    page.click("#saved-list button:has-text('강남역')")
    expect(page.locator("#total")).to_have_text(f"₩{before:,}")


def test_keys_sheet_and_single_letters(market: Market) -> None:
    page = buyer_at_market(market)
    page.keyboard.press("?")
    expect(page.locator("dialog.keys")).to_be_visible()
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("[data-tool=polygon]")).to_have_attribute("aria-pressed", "false")
    page.click("#keys-button")
    page.check("#single-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("[data-tool=polygon]")).to_have_attribute("aria-pressed", "true")


def test_undo_brings_the_area_back(market: Market) -> None:
    page = buyer_at_market(market)
    draw(page, RING)
    before = total(page)
    page.click("[data-tool=clear]")
    expect(page.locator("#price .empty")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.locator("#total")).to_have_text(f"₩{before:,}")
