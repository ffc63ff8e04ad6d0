"""Tiles are saved as an area that is followed; what happens there is at the bell, is read, and comes as the person chose."""

from __future__ import annotations

from playwright.sync_api import expect

from mapex.notices import notices, wishes
from mapex.notices.kind import NoticeKind
from mapex.offers import offers
from mapex.operation import rounds
from mapex.prices import saved_areas
from tests.support.browser import Market, loaded_again, map_idle, until
from tests.support.market import RATES, block
from tests.support.pages import letter_of
from tiles.grid import grid
from tiles.grid.region import Region
from tiles.grid.scan import cover

BUYER = "buyer@dongil.example"
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def test_an_area_is_followed_and_its_news_is_read(market: Market) -> None:
    ex, site = market.site.ex, market.site
    rounds.go(ex)
    page = site.visit(BUYER)
    keys = [grid.quadkey(cell) for cell in block(2)]
    site.open(page, f"/explore#t={','.join(keys)}")
    map_idle(page)
    page.click("#saved summary")
    page.fill("#save-area [name=name]", "Depot")
    page.check("#save-area [name=tell]")
    page.click("#save-area button")
    expect(page.locator("#saved-list")).to_contain_text("News on")
    [saved] = saved_areas.saved(ex, market.buyer)
    assert (saved.tell, cover(Region.from_geojson(saved.region)).cells().tolist()) == (saved_areas.NEWS, sorted(block(2)))
    page.click("#saved-list [aria-pressed=true]")
    page.uncheck("#saved-list input[value=new]")
    page.click("#saved-list form button")
    until(page, lambda: saved_areas.saved(ex, market.buyer)[0].tell == ("version", "cheaper"))

    offers.publish(ex, market.seller, "lanes", rate_card={**RATES, "lane_km": 6000}, licence="research")
    offers.publish(ex, market.seller, "walks", rate_card={**RATES, "footway_km": 2800}, licence="commercial")
    rounds.go(ex)
    for lang, width in (("ko", 390), ("en", 390), ("ko", 1440)):
        looked = site.visit(BUYER, lang=lang, size=(width, 900))
        site.open(looked, "/notices")
        expect(looked.locator("[data-unread]")).to_contain_text("2")
        assert looked.evaluate(FITS), f"the page of notices overflows at {width} in {lang}"
        expect(looked.locator(".notices li.unread")).to_have_count(2)
    site.open(page, "/notices")
    page.click(".notices a >> nth=0")
    page.wait_for_url("**/datasets/hanbit/*")
    until(page, lambda: notices.unread(ex, market.buyer) == 1)
    site.open(page, "/notices")
    with loaded_again(page):
        page.click("[data-read]")
    expect(page.locator("[data-unread]")).to_have_count(0)

    site.open(page, "/account")
    page.select_option("[data-way][name=area]", "none")
    expect(page.locator("#ways-saved")).to_have_text("Saved.")
    assert wishes.of(ex, market.buyer)[NoticeKind.AREA] == "none"
    page.goto(f"{site.url}/unsubscribe/{letter_of(market)}")
    page.click("main button.primary")
    expect(page.locator("main [role=status]")).to_be_visible()
    assert wishes.of(ex, market.buyer)[NoticeKind.ORDER] == "page"
