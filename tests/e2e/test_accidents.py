"""Accidents of every day: zoom, reduced motion, hostile names in every list, another language in the middle of drawing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from mapex.database import db, schema
from mapex.orders import orders
from mapex.people import tokens
from mapex.prices import quotes, saved_areas
from mapex.prices.request import of_area
from tests.support.browser import Market, click_at, draw, go_to, map_idle, ready
from tests.support.market import SEOUL, area, block
from tiles.grid import grid
from tiles.grid.region import Region

WEST, SOUTH, EAST, NORTH = grid.bounds(SEOUL)
BUYER, SELLER = "buyer@dongil.example", "maps@hanbit.example"
COVERED = """() => {
  const found = [];
  for (const one of document.querySelectorAll("button, input, select, textarea, a[href]")) {
    if (!one.checkVisibility({visibilityProperty: true}) || one.matches(".unseen, .skip, [type=hidden]")) continue;
    if (one.closest("details:not([open]) > :not(summary)")) continue;
    one.scrollIntoView({block: "center", inline: "nearest"});
    const [box] = one.getClientRects();
    if (!box || box.width < 2) continue;
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const label = one.closest("label");
    if (top && (one.contains(top) || top.contains(one) || label?.contains(top))) continue;
    found.push(`${one.outerHTML.slice(0, 90)} under ${top?.outerHTML.slice(0, 60)}`);
  }
  return found;
}"""
"""Controls that something else lies upon, or that cannot be scrolled into the window."""
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def at(i: float, j: float) -> tuple[float, float]:
    """`i` cells east and `j` cells south of the market's north-western corner."""
    return WEST + i * (EAST - WEST), NORTH - j * (NORTH - SOUTH)


RING = [at(1.3, 1.4), at(3.6, 1.2), at(3.4, 3.5), at(1.6, 3.2)]


def test_zoom_of_200_percent_hides_nothing(market: Market) -> None:
    """A window of 1440 x 900 at 200 % has 720 x 450 CSS pixels: an area is drawn, its price is read, and it is bought."""
    page = market.site.visit(BUYER, size=(720, 450), device_scale_factor=2)
    go_to(page, market.site, *at(2.5, 2.5), 12.5)
    assert page.evaluate(COVERED) == []
    draw(page, RING)
    expect(page.locator("#total")).to_be_visible()
    assert page.evaluate(COVERED) == []
    expect(page.locator("#price")).not_to_have_class("stale")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    assert page.evaluate(COVERED) == []
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    for path in ("/orders", "/sell/new", "/account"):
        market.site.open(page, path)
        assert page.evaluate(COVERED) == [], path


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_reduced_motion(market: Market, motion: str) -> None:
    """Who asked for less motion sees the map jump and nothing glide; others see it fly."""
    page = market.site.visit(BUYER, reduced_motion=motion)
    go_to(page, market.site, *at(40, 40), 11)
    before = page.evaluate("location.hash")
    soon = page.evaluate("() => (document.querySelector('#regions button').click(), location.hash)")
    assert (soon != before) == (motion == "reduce"), "the address follows when the map has arrived"
    page.wait_for_function("(before) => location.hash !== before", arg=before)
    map_idle(page)
    page.wait_for_function("() => !document.getAnimations().length")
    if motion == "reduce":
        assert page.evaluate("location.hash") == soon
    glide = page.evaluate("getComputedStyle(document.querySelector('.toolbar button')).transitionDuration")
    assert glide == ("0s" if motion == "reduce" else "0.12s")


NAMES = {"200 Korean characters": "서울정밀도로지도" * 25, "right to left": "\u05de\u05e4\u05d4 \u202eشركة الخرائط الدقيقة mapex (HD)"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_hostile_names_in_every_list(market: Market, name: str) -> None:
    """Names of organisations, persons, datasets, areas and tokens are text of any length and direction; no page is torn by them."""
    site = market.site
    with db.begin(site.ex) as conn:
        conn.execute(update(schema.organisation).values(name=name))
        conn.execute(update(schema.person).values(name=name))
        conn.execute(update(schema.dataset).values(title=name, description=name))
    bought = orders.place(site.ex, market.buyer, quotes.quote(site.ex, market.buyer, of_area(area([SEOUL]), purpose="research")).id, "key")
    order = f"/orders/{bought.id}"
    held = quotes.quote(site.ex, market.buyer, of_area(area(block(2)), purpose="research"))
    outline = {"type": "Polygon", "coordinates": [[*map(list, RING), list(RING[0])]]}
    saved_areas.save(site.ex, market.buyer, name[:120], Region.from_geojson(outline))
    tokens.create(site.ex, market.buyer, name, scopes=["read"])
    visits = {
        BUYER: [
            "/explore",
            f"/quotes/{held.id}",
            "/orders",
            order,
            f"{order}/receipt",
            "/account",
            "/account/log",
        ],
        SELLER: ["/sell", "/sell/lanes/1", "/sell/lanes/1/publish", "/datasets/hanbit/lanes"],
    }
    for email, paths in visits.items():
        page = site.visit(email, lang="ko", size=(390, 844), reduced_motion="reduce")
        for path in paths:
            site.open(page, path) if path != "/account/log" else page.goto(site.url + path)
            if path == "/explore":
                page.click("#saved summary")
                expect(page.locator("#saved-list")).to_contain_text(name[:120])
            for width in (390, 720, 1440):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate(FITS), f"{path} overflows at {width} px"


def test_language_switched_while_drawing_keeps_the_area(market: Market) -> None:
    """The corners set so far are the area of the page in the other language; the one that follows the mouse is not."""
    page = market.site.visit(BUYER)
    go_to(page, market.site, *at(3, 3), 13.6)
    page.click("[data-tool=polygon]")
    for lon, lat in RING:
        click_at(page, lon, lat)
    expect(page.locator("#total")).to_be_visible()
    page.click("[data-language]")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    map_idle(page)
    expect(page.locator("html")).to_have_attribute("data-tiles", "9")
    expect(page.locator("#total")).to_be_visible()
    page.click("[data-tool=clear]")
    expect(page.locator("#price .empty")).to_be_visible()
    draw(page, RING)  # and drawing goes on
    assert page.url.count(";") == 3
