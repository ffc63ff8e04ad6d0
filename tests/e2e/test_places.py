"""The search for a place, wherever an area is chosen: names, half typed names, coordinates, tiles; by keyboard and by mouse."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Market, go_to, map_idle
from tests.support.market import SEOUL
from tiles.grid import grid

BUYER, AUDITOR, OPERATOR = "buyer@dongil.example", "auditor@audit.example", "operator@mapex.example"
WEST, SOUTH, EAST, NORTH = grid.bounds(SEOUL)
MIDDLE = ((WEST + EAST) / 2, (SOUTH + NORTH) / 2)


def search(page: Page, text: str) -> None:
    box = page.locator("[data-places] input")
    box.fill("")
    box.press_sequentially(text)


def options(page: Page) -> list[str]:
    expect(page.locator("[data-places] [role=option]").first).to_be_visible()
    return [" ".join(text.split()) for text in page.locator("[data-places] [role=option]").all_text_contents()]


def centre(page: Page) -> tuple[float, float]:
    _zoom, lat, lon = page.url.split("m=")[1].split("&")[0].split("/")
    return float(lon), float(lat)


def test_a_name_is_found_by_its_first_consonants_and_used_as_the_area(market: Market) -> None:
    page = market.site.visit(BUYER, lang="ko")
    go_to(page, market.site, *MIDDLE, 10)
    search(page, "ㅂㄷㄱ")
    assert options(page)[0] == "분당구 경기도 성남시"
    page.locator("[data-places] input").press("ArrowDown")
    page.locator("[data-places] input").press("Enter")
    map_idle(page)
    lon, lat = centre(page)
    assert 127.0 < lon < 127.2 and 37.3 < lat < 37.5
    page.get_by_role("button", name="영역으로 사용").click()
    expect(page.locator("html")).not_to_have_attribute("data-tiles", "0")
    assert "g=" in page.url


def test_numbers_that_fit_twice_are_asked_about(market: Market) -> None:
    page = market.site.visit(BUYER)
    go_to(page, market.site, *MIDDLE, 10)
    search(page, "49.01, 8.40")
    assert options(page) == ["49.01000, 8.40000 WGS 84", "8.40000, 49.01000 WGS 84"]
    expect(page.locator("[data-places] [role=status]")).to_have_text("This can be read in more than one way. Which one do you mean?")
    page.locator("[data-places] input").press("Enter")
    expect(page.locator("[data-places] .chosen")).to_be_hidden()  # nothing is guessed
    page.locator("[data-places] [role=option]").first.click()
    map_idle(page)
    assert centre(page) == (8.4, 49.01)


def test_a_tile_is_found_by_its_number(market: Market) -> None:
    page = market.site.visit()
    go_to(page, market.site, 8.4, 49.0, 5)
    search(page, grid.quadkey(SEOUL))
    page.locator("[data-places] input").press("Enter")
    map_idle(page)
    lon, lat = centre(page)
    assert abs(lon - MIDDLE[0]) < 1e-4 and abs(lat - MIDDLE[1]) < 1e-4
    page.get_by_role("button", name="Use as area").click()
    expect(page.locator("html")).to_have_attribute("data-tiles", "1")


def test_what_is_not_found_is_answered_in_words(market: Market) -> None:
    page = market.site.visit()
    go_to(page, market.site, *MIDDLE, 10)
    search(page, "xyzzy")
    expect(page.locator("[data-places] [role=status]")).to_contain_text("No place is called that here.")


def test_the_area_of_a_permit_is_a_division(market: Market) -> None:
    market.site.person(OPERATOR, role="operator")
    page = market.site.visit(OPERATOR)
    market.site.open(page, "/operate/permits")
    map_idle(page)
    search(page, "Bundang-gu")
    page.locator("[data-places] input").press("Enter")
    page.get_by_role("button", name="Use as area").click()
    field = page.locator("textarea[name=area]")
    expect(field).not_to_have_value("")
    assert json.loads(field.input_value())["type"] in ("Polygon", "MultiPolygon")
    assert page.url.endswith("/operate/permits")  # Enter in the box sends no form


def test_an_auditor_goes_from_coordinates_to_who_read_there(market: Market) -> None:
    market.site.person(AUDITOR, role="auditor")
    page = market.site.visit(AUDITOR)
    market.site.open(page, "/audit")
    search(page, f"{MIDDLE[1]:.6f} {MIDDLE[0]:.6f}")
    page.locator("[data-places] input").press("Enter")
    page.get_by_role("button", name="Who read here").click()
    expect(page.locator("#q")).to_have_value(re.compile(rf"class:original region:{str(MIDDLE[0])[:7]}\d*,{str(MIDDLE[1])[:6]}"))


def test_an_auditor_goes_from_a_tile_number_to_its_records(market: Market) -> None:
    market.site.person(AUDITOR, role="auditor")
    page = market.site.visit(AUDITOR)
    market.site.open(page, "/audit")
    search(page, grid.quadkey(SEOUL))
    page.locator("[data-places] input").press("Enter")
    page.get_by_role("button", name="Who read here").click()
    page.wait_for_url(f"**/audit/tiles/{grid.quadkey(SEOUL)}")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_the_box_stays_within_the_screen(market: Market, size: tuple[int, int]) -> None:
    page = market.site.visit(lang="ko", size=size)
    go_to(page, market.site, *MIDDLE, 10)
    search(page, "백현")
    assert options(page)[0] == "백현동 경기도 성남시 분당구"
    found = page.locator("[data-places] [role=listbox]").bounding_box()
    assert found and found["x"] >= 0 and found["x"] + found["width"] <= size[0]
