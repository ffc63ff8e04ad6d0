"""What it costs: ground drawn and squares bought, the price in sight until it is paid, and what is wrong with an area."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from mapex.offers import offers
from tests.e2e.test_area import BUYER, at, paste, total
from tests.support.browser import Market, click_at, draw, go_to, map_idle, point, ready
from tests.support.market import a_draft, a_layer, block
from tiles.batch import LayerKind, Quantities

PHONE = (390, 844)
BOX = [at(1.2, 1.3), at(2.7, 1.3), at(2.7, 2.6), at(1.2, 2.6)]
METRES = {"type": "Polygon", "coordinates": [[[200_000, 552_000], [201_000, 552_000], [201_000, 553_000], [200_000, 552_000]]]}
"""In EPSG:5186 a place in Seoul."""


def outlined(ring: list[tuple[float, float]]) -> str:
    return "a=" + ";".join(f"{lon:.6f},{lat:.6f}" for lon, lat in ring)


def add_three_kinds(market: Market) -> None:
    kinds: list[tuple[str, LayerKind, Quantities, dict[str, object], str]] = [
        ("cloud", LayerKind.POINTCLOUD, Quantities(points=4_000_000), {"million_points": 4000}, "research"),
        ("photos", LayerKind.PHOTOS, Quantities(frames=12), {"frame": 700}, "share_alike"),
        ("street", LayerKind.RECORDING, Quantities(frames=120, ms=60_000), {"frame": 12}, "research"),
    ]
    for slug, kind, each, rate, licence in kinds:
        a_draft(market.site.ex, market.seller, slug, [a_layer(block(8), name=slug, kind=kind, each=each)])
        offers.publish(market.site.ex, market.seller, slug, rate_card=rate, licence=licence)


def in_sight(page: Page, selector: str) -> None:
    """All of it is on the screen, and nothing covers its middle."""
    is_seen = """(found) => {
      const box = found.getBoundingClientRect(), top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      return box.width > 0 && box.top >= 0 && box.bottom <= innerHeight && (found.contains(top) || top.contains(found));
    }"""
    assert page.locator(selector).evaluate(is_seen), selector


@pytest.mark.parametrize("size", [(1440, 900), PHONE], ids=["desk", "phone"])
def test_what_is_drawn_and_bought_is_said_and_stays_in_sight_until_it_is_paid(market: Market, size: tuple[int, int]) -> None:
    add_three_kinds(market)
    page = market.site.visit(BUYER, size=size)
    page.goto(f"{market.site.url}/explore#{outlined(BOX)}")
    map_idle(page)
    expect(page.locator("#ground")).to_contain_text("You drew 0.46 km², you buy 4 squares = 0.94 km².")
    expect(page.locator("#files")).to_have_text("20 files")
    asked = total(page)
    for part in ("#pay-bar .due", "#review"):
        in_sight(page, part)
    page.click("#snap")
    expect(page.locator("#ground")).to_have_text("You buy 4 squares = 0.94 km².")
    expect(page.locator("html")).to_have_attribute("data-tiles", "4")
    assert total(page) == asked
    page.click("#undo")
    expect(page.locator("#ground")).to_contain_text("You drew 0.46 km²")

    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    expect(page.locator("#ground")).to_contain_text("You drew 0.46 km², you buy 4 squares = 0.94 km².")
    assert page.evaluate("document.documentElement.scrollHeight") <= 2 * size[1]
    expect(page.locator(".lines > li:has(.sum)")).to_have_count(5)
    expect(page.locator(".lines > li:has(.sum) [data-licence]")).to_have_count(5)
    for part in ("#pay-bar .due", "#pay"):
        in_sight(page, part)
    market.site.clock.forward(minutes=16)
    page.reload()
    ready(page)
    expect(page.locator("#expired")).to_contain_text("Nothing was paid")
    expect(page.locator("#pay")).to_be_hidden()
    in_sight(page, "#again")
    page.click("#again")
    page.wait_for_selector("#compared")
    ready(page)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    page.goto(page.url + "/receipt")
    expect(page.locator("#ground")).to_contain_text("You drew 0.46 km², you buy 4 squares = 0.94 km².")


@pytest.mark.parametrize("size", [(1440, 900), PHONE], ids=["desk", "phone"])
def test_who_cannot_pay_reads_how_much_is_missing_and_what_to_do(market: Market, size: tuple[int, int]) -> None:
    market.site.person("buyer@nuri.example", "nuri")
    page = market.site.visit("buyer@nuri.example", lang="ko", size=size)
    page.goto(f"{market.site.url}/explore#p=research&{outlined(BOX)}")
    map_idle(page)
    amount = total(page)
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    expect(page.locator("#short")).to_contain_text(f"₩{amount:,} 부족합니다")
    in_sight(page, "#short")
    expect(page.locator("#pay")).to_have_count(0)
    page.click("#short a")
    page.wait_for_url("**/account")


def test_what_is_wrong_with_an_area_is_one_sentence_beside_it_and_a_click_puts_it_right(market: Market) -> None:
    page = market.site.visit(BUYER)
    page.goto(f"{market.site.url}/explore#p=research&{outlined(BOX)}")
    map_idle(page)
    expect(page.locator("#spoken")).to_have_text(re.compile("for 4 squares"))
    error = page.locator("#pasted-error")
    paste(page, METRES)
    expect(error).to_have_attribute("data-code", "region.metres")
    expect(error.locator("span")).to_have_text("The coordinates are metres, not degrees.")
    expect(page.locator("#spoken")).to_have_text("")
    expect(page.locator("[role=alert]:visible")).to_have_count(1)
    error.locator("button", has_text="Read as EPSG:5186").click()
    expect(page.locator("#ground")).to_contain_text("You drew 0.5 km²")
    expect(error).to_be_hidden()
    turned = [[lat, lon] for lon, lat in [*BOX, BOX[0]]]
    paste(page, {"type": "Polygon", "coordinates": [turned]})
    expect(error.locator("span")).to_have_text("Latitude and longitude are exchanged. Longitude comes first.")
    error.locator("button").click()
    expect(page.locator("#ground")).to_contain_text("You drew 0.46 km², you buy 4 squares")
    for west, east in (("179.9", "-179.9"), ("179.9", "180.5")):
        for name, value in (("west", west), ("south", "37"), ("east", east), ("north", "37.1")):
            page.fill(f"[name={name}]", value)
        page.click("#typed-box button")
        expect(page.locator("#typed-error span")).to_contain_text("goes over the 180th meridian")
        expect(page.locator("#pay-bar")).to_be_hidden()
    paste(page, {"type": "Polygon", "coordinates": [[list(at(0, 0)), list(at(2, 2)), list(at(2, 0)), list(at(0, 2)), list(at(0, 0))]]})
    expect(error).to_contain_text("crosses itself")
    expect(page.locator("[role=alert]:visible")).to_have_count(1)
    page.goto("about:blank")
    page.goto(f"{market.site.url}/explore#{outlined([(lat, lon) for lon, lat in BOX])}")
    ready(page)
    page.locator("#price [data-code='region.swapped'] button").click()
    expect(page.locator("#ground")).to_contain_text("You drew 0.46 km²")
    page.goto("about:blank")
    page.goto(f"{market.site.url}/explore#{outlined([(lon + 1, lat) for lon, lat in BOX])}")
    map_idle(page)
    expect(page.locator("#price")).to_contain_text("Nothing is on offer in this area.")
    page.select_option("#purpose", "research")
    page.click("#ask")
    expect(page.locator("#asked-for")).to_contain_text("It is counted.")
    before = page.url
    page.click("#price [data-box]")
    page.wait_for_url(lambda url: url != before)


def test_a_half_drawn_outline_survives_a_reload_and_no_tip_covers_its_corner(market: Market) -> None:
    page = market.site.visit(BUYER)
    go_to(page, market.site, *at(3, 3), 13.6)
    page.mouse.move(*point(page, *at(2, 2)))
    expect(page.locator(".tipbox")).to_be_visible()
    page.click("[data-tool=polygon]")
    for place in [*BOX[:3], at(1.3, 3.4)]:
        click_at(page, *place)
        expect(page.locator(".tipbox")).to_have_count(0)
    page.mouse.move(*point(page, *at(1.1, 2.2)), steps=3)
    page.reload()
    map_idle(page)
    kept = page.url
    assert kept.count(";") == 3, "the four corners that were clicked, and not where the mouse was"
    draw(page, BOX)
    page.reload()
    map_idle(page)
    expect(page.locator("#ground")).to_contain_text("You drew 0.46 km²")
