"""From the catalogue to the features of a sample, and a question that is answered: the way of a newcomer who looks before buying."""

from __future__ import annotations

from playwright.sync_api import expect

from mapex.offers import offers
from mapex.showroom import descriptions
from tests.support.browser import Site, map_idle
from tests.support.market import RATES
from tests.support.uploads import a_map, a_version, work

BUYER, SELLER = "buyer@dongil.example", "maps@hanbit.example"


def test_a_newcomer_searches_looks_into_the_sample_and_asks(site: Site) -> None:
    seller = site.person(SELLER, "hanbit")
    a_version(site.ex, {"walks.geojson": a_map(80, step=0.01)}, by=seller, slug="walks", classes="open")
    work(site.ex)
    offers.publish(site.ex, seller, "walks", rate_card=RATES, licence="research")
    descriptions.describe(site.ex, seller, "walks", {"en": "Footways of Seoul.\n\nMeasured on foot.", "accuracy_mm": 100})
    site.person(BUYER, "dongil")

    page = site.visit(BUYER)
    page.goto(f"{site.url}/datasets")
    page.get_by_role("searchbox").fill("footways on foot")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#found")).to_have_text("1 dataset on sale")
    page.locator(".shelf a", has_text="Walks").click()
    map_idle(page)
    expect(page.locator(".description").first).to_contain_text("Measured on foot.")
    expect(page.locator(".stated")).to_contain_text("0.1 m")
    expect(page.locator(".attributes-of")).to_contain_text("width")
    # The list beside the map is the way of whoever uses no mouse.
    page.locator("#feature-choice").focus()
    page.locator("#feature-choice").select_option(index=1)
    expect(page.locator("#feature")).to_contain_text("2.5")
    with page.expect_download() as download:
        page.locator("#samples a[download]").first.click()
    assert download.value.suggested_filename.startswith("sidewalks-")

    page.locator("#ask textarea").fill("Are the kerbs lowered?")
    page.locator("#ask button").click()
    expect(page.locator("#ask [data-saved]")).to_be_visible()
    desk = site.visit(SELLER, lang="ko", size=(390, 844))
    desk.goto(f"{site.url}/sell")
    desk.locator("#asked a").click()
    desk.get_by_role("link", name="Walks").click()
    expect(desk.locator(".messages")).to_contain_text("Are the kerbs lowered?")
    assert desk.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    desk.locator("textarea").fill("예, 모두 낮춤 턱입니다.")
    desk.get_by_role("button", name="보내기").click()
    expect(desk.locator(".messages .own")).to_contain_text("낮춤 턱")
    page.reload()
    expect(page.get_by_role("link", name="Questions (1)")).to_be_visible()
