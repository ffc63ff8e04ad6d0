"""What the map shows: it paints, its colours and numbers tell how fresh and how good, and what is hidden looks like what never was."""

from __future__ import annotations

import io
import json
import re
import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from mapex.exchange import Actor
from mapex.offers import offers
from mapex.times import DAY_NS, iso_from_ns
from tests.support.browser import SHARP, Market, Site, go_to, map_idle, point, until
from tests.support.market import RATES, SEOUL, a_draft, a_layer, block
from tiles.batch import LayerKind, Quantities
from tiles.grid import grid

WEST, SOUTH, EAST, NORTH = grid.bounds(SEOUL)
STEP = EAST - WEST
BUYER = "buyer@dongil.example"


def at(i: float, j: float) -> tuple[float, float]:
    """`i` cells east and `j` cells south of the north-western corner."""
    return WEST + i * STEP, NORTH - j * (NORTH - SOUTH)


def pixels(page: Page) -> np.ndarray[Any, Any]:
    """The map as it is on the screen."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB"), dtype=float)


def colour_at(page: Page, lon: float, lat: float) -> np.ndarray[Any, Any]:
    """The usual colour around a place on the map: numbers and edges do not count."""
    box = page.locator("#map").bounding_box()
    assert box
    x, y = point(page, lon, lat)
    column, row = int(x - box["x"]), int(y - box["y"])
    return np.median(pixels(page)[row - 6 : row + 7, column - 6 : column + 7].reshape(-1, 3), axis=0)


def about(site: Site, days: int, placed: int) -> Mapping[str, object]:
    seen = iso_from_ns(site.ex.now() - days * DAY_NS - DAY_NS // 2)
    return {"captured": [seen, seen], "counts": {"read": 100, "placed": placed, "unplaced": 0, "rejected": 100 - placed}}


@pytest.fixture
def streets(site: Site) -> Actor:
    """Two lanes datasets side by side: the western cells new and good, the eastern old and bad."""
    seller = site.person("maps@hanbit.example", "hanbit")
    site.person(BUYER, "dongil")
    cells = block(8)
    west = [cell for cell in cells if int(grid.xy(cell)[0]) < int(grid.xy(SEOUL)[0]) + 4]
    for slug, part, days, placed in (("west", west, 12, 99), ("east", sorted({*cells} - {*west}), 500, 40)):
        a_draft(site.ex, seller, slug, [a_layer(part, about=about(site, days, placed))])
        offers.publish(site.ex, seller, slug, rate_card=RATES, licence="research")
    return seller


def test_explore_paints(market: Market) -> None:
    page = market.site.visit(device_scale_factor=SHARP)
    go_to(page, market.site, *at(3, 3), 13.6)
    assert np.asarray(Image.fromarray(pixels(page).astype("uint8")).convert("L"), dtype=float).std() > 10
    # No console error, no server error, no request to another machine: the fixture fails on any complaint.
    assert market.site.complaints == []


def test_colours_tell_fresh_from_old_and_good_from_bad(site: Site, streets: Actor) -> None:
    page = site.visit(device_scale_factor=SHARP)
    go_to(page, site, *at(4, 4), 13.6)
    west, east = at(1.5, 2.5), at(6.5, 2.5)
    assert np.abs(colour_at(page, *west) - colour_at(page, *east)).max() < 8, "both are available"

    def report() -> bool:
        """The west is lighter, and yellow: the best class."""
        light, dark = colour_at(page, *west), colour_at(page, *east)
        return bool(light.mean() > dark.mean() + 30 and light[0] > light[2] + 60)

    for way in ("Fresh", "Quality"):
        page.get_by_label("Available").check()
        until(page, lambda: not report())
        page.get_by_label(way).check()
        until(page, report)


MARKS = ["your area", "something chosen cannot be bought there"]


def test_legend_and_address_follow_the_colours(site: Site, streets: Actor) -> None:
    page = site.visit(device_scale_factor=SHARP)
    go_to(page, site, *at(4, 4), 13.6)
    kinds = page.locator("[name=kind]").count()
    each = [f"kinds: {count} of {kinds}" for count in range(kinds, 0, -1)] if kinds > 1 else ["data on offer"]
    expect(page.locator("#legend li")).to_have_text([*each, *MARKS])
    page.get_by_label("Available").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Fresh")).to_be_checked()
    expect(page.locator("#legend li")).to_have_text(["up to 30 days", "up to 90 days", "up to 180 days", "up to 365 days", "older", *MARKS])
    assert re.search(r"[#&]by=fresh", page.url)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#legend li")).to_have_text(["95 or more", "85 – 94", "70 – 84", "50 – 69", "below 50", "unknown", *MARKS])
    address = page.url
    other = site.visit(device_scale_factor=SHARP)
    other.goto("about:blank")
    other.goto(address)
    map_idle(other)
    expect(other.get_by_label("Quality")).to_be_checked()
    expect(other.locator("#legend")).to_contain_text("85 – 94")


def test_numbers_are_in_the_cells_when_near(site: Site, streets: Actor) -> None:
    page = site.visit(device_scale_factor=SHARP, color_scheme="dark")
    for zoom, bright in ((14.0, False), (15.2, True)):
        go_to(page, site, *at(1.5, 1.5), zoom)
        page.get_by_label("Fresh").check()
        map_idle(page)
        page.wait_for_timeout(300)
        box = page.locator("#map").bounding_box()
        assert box
        x, y = point(page, *at(1.5, 1.5))
        column, row = int(x - box["x"]), int(y - box["y"])

        def white(row: int = row, column: int = column) -> bool:
            """Whether there are white digits at the place."""
            around = pixels(page)[row - 12 : row + 13, column - 25 : column + 26]
            return bool((around.min(axis=2) > 235).any())

        if bright:
            until(page, white)
        else:
            assert not white()


def test_hover_says_age_and_quality_of_each_layer(site: Site, streets: Actor) -> None:
    walks = a_layer(block(8), name="walks", kind=LayerKind.SIDEWALK, each=Quantities(footway_mm=9), about={})
    a_draft(site.ex, streets, "walks", [walks])
    offers.publish(site.ex, streets, "walks", rate_card=RATES, licence="research")
    page = site.visit(device_scale_factor=SHARP)
    go_to(page, site, *at(4, 4), 13.6)
    page.mouse.move(*point(page, *at(1.4, 2.4)))
    page.mouse.move(*point(page, *at(1.5, 2.5)))
    tip = page.locator(".tip > div")
    expect(tip).to_have_count(2)
    expect(tip.first).to_contain_text("HD lanes12 days old · quality 99 of 100")
    expect(tip.nth(1)).to_contain_text("Sidewalksfrom today")
    expect(tip.nth(1)).not_to_contain_text("Q")
    page.mouse.move(*point(page, *at(6.5, 2.5)))
    expect(tip.first).to_contain_text("500 days old · quality 40 of 100")


def test_touch_opens_a_sheet_at_the_lower_edge(site: Site, streets: Actor) -> None:
    page = site.visit(size=(390, 844), has_touch=True, device_scale_factor=2, is_mobile=True)
    go_to(page, site, *at(4, 4), 12.6)
    page.touchscreen.tap(*point(page, *at(1.5, 2.5)))
    sheet = page.locator(".sheet")
    expect(sheet).to_contain_text("12 days old · quality 99 of 100")
    box, canvas = sheet.bounding_box(), page.locator("#map").bounding_box()
    assert box and canvas and box["y"] > canvas["y"] + canvas["height"] / 2
    sheet.get_by_role("button").tap()
    expect(sheet).to_be_hidden()


def test_the_list_of_tiles_says_the_same_without_a_map(site: Site, streets: Actor) -> None:
    page = site.visit(BUYER)
    page.goto("about:blank")  # else only the part after # changes
    site.open(page, f"/explore#t={grid.quadkey(SEOUL)}")
    page.locator("#tile-list summary").click()
    expect(page.locator("#tile-list tbody tr")).to_contain_text("12 days old · quality 99 of 100")


# ---- what is hidden ---------------------------------------------------------------------------------------------------------------

ROUNDS = 30


def test_masked_equals_missing(site: Site, streets: Actor) -> None:
    """A cell that the newest version leaves out, one of a draft, one that was withdrawn, and one that nobody ever mapped are alike."""
    x, y = (int(value) for value in grid.xy(SEOUL))
    masked, draft, withdrawn, empty = (int(grid.morton(x + 64 * i, y + 64)) for i in range(1, 5))
    for slug, cell in (("masked", masked), ("withdrawn", withdrawn)):
        a_draft(site.ex, streets, slug, [a_layer([cell, SEOUL], salt=slug)])
        offers.publish(site.ex, streets, slug, rate_card=RATES, licence="research")
    a_draft(site.ex, streets, "masked", [a_layer([SEOUL], salt="newer")])
    offers.publish(site.ex, streets, "masked", rate_card=RATES, licence="research")
    offers.withdraw(site.ex, streets, "withdrawn")
    a_draft(site.ex, streets, "draft", [a_layer([draft])])
    cells = {"masked": masked, "draft": draft, "withdrawn": withdrawn, "empty": empty}
    page = site.visit(BUYER)
    seen = {name: _seen(site, page, cell) for name, cell in cells.items()}
    for name in ("masked", "draft", "withdrawn"):
        assert seen[name] == seen["empty"], name
    assert seen["empty"]["tile"] == [200, "", seen["empty"]["tile"][2]]
    assert "Nothing is on offer" in seen["empty"]["panel"]
    assert _seen(site, page, SEOUL)["tile"] != seen["empty"]["tile"], "the comparison can fail"
    _alike_in_time(page, cells)


def _tile_path(cell: int) -> str:
    x, y = grid.xy(grid.parent(cell, grid.ZOOM, 11))
    return f"/map/coverage/11/{x}/{y}.mvt"


def _seen(site: Site, page: Page, cell: int) -> dict[str, Any]:
    """All that a buyer can see of a cell, with its name taken out."""
    key = grid.quadkey(cell)
    page.goto("about:blank")
    site.open(page, f"/explore#t={key}")
    page.wait_for_selector("#price:not(.stale)")
    expect(page.locator("#price")).not_to_contain_text("No area yet")
    map_idle(page)
    ask = """async ([path, key, csrf]) => {
      const tile = await fetch(path);
      const send = async (to, body) => {
        const answer = await fetch("/api/v1/" + to, {method: "POST", headers: {"Content-Type": "application/json", "X-CSRF-Token": csrf},
          body: JSON.stringify({quadkeys: [key], ...body})});
        const {request_id, ...said} = await answer.json();
        return [answer.status, JSON.stringify(said)];
      };
      return {tile: [tile.status, await tile.text(), tile.headers.get("etag")], estimate: await send("estimates", {purpose: "research"}),
        quote: await send("quotes", {purpose: "research"}), list: await send("coverage", {})};
    }"""
    csrf = json.loads(page.locator("#page-data").text_content() or "{}")["csrf"]
    found: dict[str, Any] = page.evaluate(ask, [_tile_path(cell), key, csrf])
    found["panel"] = page.locator("#quote").inner_html()
    return json.loads(json.dumps(found).replace(key, "KEY"))  # type: ignore[no-any-return]


def _alike_in_time(page: Page, cells: dict[str, int]) -> None:
    """Answers take equally long, within the noise of a busy machine."""
    spent: dict[str, list[float]] = {name: [] for name in cells}
    for _ in range(ROUNDS):
        for name, cell in cells.items():
            started = time.perf_counter()
            answer = page.request.get(page.url.split("/explore")[0] + _tile_path(cell))
            spent[name].append(time.perf_counter() - started)
            assert answer.status == 200
    middle = {name: statistics.median(times) for name, times in spent.items()}
    noise = statistics.median(abs(one - middle["empty"]) for one in spent["empty"])
    for value in middle.values():
        assert abs(value - middle["empty"]) < max(0.02, 4 * noise), middle
