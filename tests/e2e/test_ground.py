"""What is below every map: land, divisions of Korea with their names, published lines, and the operator's streets; nothing from outside.

Names count as shown when the map has placed them: what is asked are the features that it drew, not its style.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from mapex.cli.demo import town
from mapex.cli.demo.district import CENTRE
from tests.e2e.conftest import opened
from tests.support.browser import Market, Site, go_to, until
from tests.support.pages import Visitors, addresses, stock

DRAWN = """(like) => [...new Set(document.querySelector(".maplibregl-map").map.queryRenderedFeatures()
  .filter((one) => one.layer.id.startsWith(like)).map((one) => one.properties.ko ?? one.properties.name))]"""
TEXT = """(like) => document.querySelector(".maplibregl-map").map.queryRenderedFeatures()
  .filter((one) => one.layer.id.startsWith(like)).map((one) => one.layer.layout["text-field"].toString())"""
AT = """([lon, lat]) => { const {map} = document.querySelector("#map");
  return map.queryRenderedFeatures(map.project([lon, lat])).map((one) => one.layer.id); }"""
COLOUR = """() => document.querySelector("#map").map.getGlobalState().land"""
MAPS = """() => [...document.querySelectorAll(".maplibregl-map")].map(({map}) => map.getStyle().layers.map((one) => one.id))"""
ATTRIBUTION = "국토지리정보원 (NGII)"

LEVELS = [
    (5.5, "names-sido", {"강원특별자치도", "경상북도"}),
    (9.5, "names-sigungu", {"용인시 처인구", "화성시"}),
    (12.5, "names-emd", {"반포동", "여의도동"}),
]
PLACES = {5.5: (127.8, 36.5), 9.5: (127.05, 37.3), 12.5: (126.96, 37.515)}


@pytest.mark.parametrize(("zoom", "layer", "names"), LEVELS)
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_names_of_divisions_are_drawn_at_their_zoom(shared_market: Market, lang: str, zoom: float, layer: str, names: set[str]) -> None:
    page = shared_market.site.visit(lang=lang)
    go_to(page, shared_market.site, *PLACES[zoom], zoom)
    assert names <= set(page.evaluate(DRAWN, layer))
    texts = page.evaluate(TEXT, layer)
    assert texts and all(bool(re.search("[a-z]", text)) == (lang == "en") for text in texts)  # pronounced, where Hangul is not read
    expect(page.locator(".maplibregl-ctrl-attrib")).to_contain_text(ATTRIBUTION)


def test_villages_are_drawn_where_the_land_has_some(shared_market: Market) -> None:
    page = shared_market.site.visit()
    go_to(page, shared_market.site, 127.3, 37.16, 13.2)
    assert any(name.endswith("리") for name in page.evaluate(DRAWN, "names-ri"))
    assert any(name.endswith("면") for name in page.evaluate(DRAWN, "names-emd"))


def test_the_sea_at_the_180th_meridian_is_sea(shared_market: Market) -> None:
    page = shared_market.site.visit()
    go_to(page, shared_market.site, 179.0, 30.0, 1.2)
    for lat in (-55.0, -45.0, -25.0, 0.0, 30.0, 50.0, 60.0):
        assert page.evaluate(AT, [180.0, lat]) == [], lat
    assert "world-land" in page.evaluate(AT, [176.0, 67.0])
    assert "world-land" in page.evaluate(AT, [184.0, 67.0])  # the other side


def test_the_map_is_light_or_dark_as_the_page_is_at_once(shared_market: Market) -> None:
    page = shared_market.site.visit(color_scheme="dark")
    go_to(page, shared_market.site, 127.0, 37.5, 9)
    dark = page.evaluate(COLOUR)
    page.emulate_media(color_scheme="light")
    until(page, lambda: page.evaluate(COLOUR) != dark)
    page.click("header button.theme")  # light, whatever the system prefers
    page.emulate_media(color_scheme="dark")
    assert page.locator("html").get_attribute("data-theme") == "light"
    assert page.evaluate(COLOUR) != dark
    page.click("header button.theme")
    until(page, lambda: page.evaluate(COLOUR) == dark)


def test_every_map_has_the_ground_names_and_published_lines(market: Market) -> None:
    there = addresses(stock(market))
    visitors = Visitors(market, lang="ko")
    seen = set()
    for email, path in there:
        page = visitors.open(email, path, width=1440)
        for layers in page.evaluate(MAPS):
            assert {"world-land", "korea-land", "lines-2", "names-emd", "teaser"} <= {*layers}, path
            seen.add(path.split("#")[0].split("/")[1])
    visitors.close()
    assert {"explore", "datasets", "quotes", "orders", "audit", "sell", "operate"} <= seen


@pytest.fixture
def town_site(tmp_path: Path, stocked_folder: Path, chromium: Browser) -> Iterator[Site]:
    """An exchange whose operator put a file of streets beside it."""
    copied = tmp_path / "copied"
    shutil.copytree(stocked_folder, copied)
    town.write(copied / town.FILE)
    with opened(tmp_path, copied, chromium, basemap=town.FILE) as site:
        yield site


@pytest.mark.parametrize(("lang", "scheme", "size"), [("ko", "dark", (1440, 900)), ("en", "light", (390, 844))])
def test_streets_houses_and_their_names_come_from_the_operators_file(
    town_site: Site, lang: str, scheme: str, size: tuple[int, int]
) -> None:
    page = town_site.visit(lang=lang, size=size, color_scheme=scheme)
    ranges: list[Any] = []
    page.on("response", lambda answer: ranges.append(answer) if answer.url.endswith("/map/basemap.pmtiles") else None)
    go_to(page, town_site, *CENTRE, 15.6)
    assert {"가운데대로"} <= set(page.evaluate(DRAWN, "base-roads_labels_major"))
    assert size[0] < 1000 or page.evaluate(DRAWN, "base-roads_labels_minor")
    for layer in ("base-buildings", "base-roads_minor", "base-roads_major", "base-water"):
        assert page.evaluate(f"() => Boolean(document.querySelector('#map').map.getLayer('{layer}'))"), layer
    assert page.evaluate("() => document.querySelector('#map').map.queryRenderedFeatures({layers: ['base-buildings']}).length") > 20
    assert ranges and {answer.status for answer in ranges} == {206}
