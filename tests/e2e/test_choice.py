"""Choosing what is bought, with a real browser: a row for each offer, one of several that sell the same, original footage by name."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from mapex.offers import offers
from mapex.orders import orders
from tests.support.browser import Market, ready, until, won
from tests.support.market import RATES, SEOUL, a_draft, a_layer, a_permit, block
from tiles.batch import Quantities
from tiles.grid import grid

BUYER = "buyer@dongil.example"
CHOSEN = "[data-offer][data-chosen=yes]"


@pytest.fixture
def rivals(market: Market) -> Market:
    """The market, where Nuri sells lanes too: dearer than those of Hanbit, and at a rate that can only be a slip."""
    seller = market.site.person("maps@nuri.example", "nuri")
    for slug, rate in (("fine", 9000), ("slip", 1_000_000_000)):
        a_draft(market.site.ex, seller, slug, [a_layer(block(4), each=Quantities(lane_mm=1_500_000), salt=slug)])
        offers.publish(
            market.site.ex, seller, slug, rate_card={**RATES, "lane_km": rate}, licence="commercial", confirmed=("rates.unusual",)
        )
    return market


def explore(market: Market, *, more: str = "", **visit: object) -> Page:
    page = market.site.visit(BUYER, **visit)  # type: ignore[arg-type]
    market.site.open(page, f"/explore#t={grid.quadkey(SEOUL)}{more}")
    expect(page.locator("#total")).to_be_visible()
    return page


def chosen(page: Page) -> list[str]:
    return list(page.eval_on_selector_all(CHOSEN, "rows => rows.map((row) => row.dataset.offer)"))


def amount(page: Page, offer: str) -> int:
    return won(page.locator(f"[data-offer='{offer}'] .sum").text_content())


def subtotal(page: Page) -> int:
    return won(page.locator(".totals span").nth(1).text_content())


def test_of_offers_of_the_same_ground_one_is_taken_and_never_the_sum(rivals: Market) -> None:
    page = explore(rivals)
    group = page.locator("[data-group]")
    expect(group).to_have_count(1)
    expect(group).to_contain_text("Choose one of 3")
    assert chosen(page) == ["hanbit/lanes/hdmap", "hanbit/walks/sidewalks"]
    assert subtotal(page) == sum(amount(page, offer) for offer in chosen(page))
    expect(page.locator("[data-offer='nuri/slip/hdmap']")).to_contain_text("1,000 times the usual")
    expect(page.locator("[data-offer='nuri/fine/hdmap'] [data-unusual]")).to_have_count(0)


def test_another_one_is_taken_instead_and_both_only_on_purpose(rivals: Market) -> None:
    page = explore(rivals)
    page.click("details.compare summary")
    table = page.locator("details.compare table")
    for words in ("fine", "nuri", "Research", "Commercial", "Price of a square"):
        expect(table).to_contain_text(words)
    page.click("[data-instead='nuri/fine/hdmap']")
    expect(page.locator("[data-offer='nuri/fine/hdmap']")).to_have_attribute("data-chosen", "yes")
    assert chosen(page) == ["nuri/fine/hdmap", "hanbit/walks/sidewalks"]
    expect(table).to_be_visible()  # it stays open while the price follows
    expect(page.locator("[data-offer='nuri/fine/hdmap'] input")).to_be_focused()  # who chooses with the keyboard goes on from there
    page.locator("[data-offer='hanbit/lanes/hdmap'] input").focus()
    page.keyboard.press("Space")
    expect(page.locator("[data-group]")).to_contain_text("More than one is chosen")
    expect(page.locator("[data-offer='hanbit/lanes/hdmap'] input")).to_be_focused()
    assert subtotal(page) == sum(amount(page, offer) for offer in chosen(page))
    assert len(chosen(page)) == 3


def test_an_odd_rate_is_marked_wherever_a_buyer_meets_it(rivals: Market) -> None:
    page = explore(rivals, more="&p=research")
    page.check("[data-offer='nuri/slip/hdmap'] input")
    expect(page.locator("[data-offer='nuri/slip/hdmap']")).to_have_attribute("data-chosen", "yes")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    expect(page.locator("[data-unusual=lane_km]")).to_have_count(1)
    rivals.site.open(page, "/datasets/nuri/slip")
    expect(page.locator("[data-unusual=lane_km]")).to_be_visible()
    page.click("#use-area")
    ready(page)
    expect(page.locator("[data-offer='nuri/slip/hdmap']")).to_have_attribute("data-chosen", "yes")
    expect(page.locator("html")).not_to_have_attribute("data-tiles", "0")
    rivals.site.open(page, "/datasets/nuri/fine")
    expect(page.locator("[data-unusual]")).to_have_count(0)


def test_the_choice_is_in_the_address_in_the_quote_and_in_the_order(rivals: Market) -> None:
    page = explore(rivals)
    page.uncheck("[data-offer='hanbit/walks/sidewalks'] input")
    page.check("[data-offer='nuri/fine/hdmap'] input")
    page.uncheck("[data-offer='hanbit/lanes/hdmap'] input")
    until(page, lambda: chosen(page) == ["nuri/fine/hdmap"])
    total = page.locator("#total").text_content()
    again = rivals.site.visit(BUYER)
    rivals.site.open(again, page.url.removeprefix(rivals.site.url))
    until(again, lambda: chosen(again) == ["nuri/fine/hdmap"])
    expect(again.locator("#total")).to_have_text(str(total))
    again.click("#review")
    expect(again.locator("#purpose-problem")).to_be_visible()  # nobody chooses a purpose for the buyer
    expect(again.locator("#purpose")).to_be_focused()
    again.select_option("#purpose", "research")
    again.click("#review")
    again.wait_for_url("**/quotes/*")
    ready(again)
    expect(again.locator("#total")).to_have_text(str(total))
    again.click("#pay")
    again.wait_for_url("**/orders/*")
    [made] = orders.of(rivals.site.ex, rivals.buyer).orders
    assert {line.dataset for line in made.lines} == {"fine"}


def test_original_footage_is_bought_by_name_for_named_persons_and_its_permit_is_shown_to_the_end(market: Market) -> None:
    a_permit(market.site.ex, number="L-7")
    page = explore(market)
    row = page.locator("[data-offer='hanbit/drive/recording']")
    expect(row).to_have_attribute("data-chosen", "no")
    for words in ("Permit L-7", "until", "Research", "named persons only"):
        expect(row).to_contain_text(words)
    without = won(page.locator("#total").text_content())
    row.locator("input").check()
    expect(row).to_have_attribute("data-chosen", "yes")
    assert won(page.locator("#total").text_content()) > without
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    expect(page.locator("[data-permit='L-7']")).to_contain_text("until")
    page.click("#pay")
    expect(page.locator("#users-problem")).to_contain_text("named persons")
    page.check(f"[name=person][value='{BUYER}']")
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    expect(page.locator("[data-permit='L-7']")).to_be_visible()
    expect(page.locator(f"#users [value='{BUYER}']")).to_be_checked()
    market.site.open(page, page.url.removeprefix(market.site.url) + "/receipt")
    expect(page.locator("[data-permit='L-7']")).to_contain_text("named persons")
    expect(page.locator("#named")).to_contain_text(BUYER)
