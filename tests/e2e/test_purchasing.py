"""Who may not pay asks, another pays; the tax invoice of it prints on one page."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from mapex.orders import orders
from mapex.people import purchase_rights
from mapex.prices import quotes
from mapex.prices.request import of_area
from tests.support.browser import Market, loaded_again, ready
from tests.support.market import area, block

BUYER, DRAWER = "buyer@dongil.example", "drawer@dongil.example"


def test_who_may_not_pay_asks_and_an_approver_pays(market: Market) -> None:
    """The asker reads Korean, the approver English; in between the price runs out and is asked anew."""
    site = market.site
    drawer = site.person(DRAWER, "dongil")
    approver = site.visit(BUYER)
    site.open(approver, "/account")
    row = approver.locator("#members tr", has_text=DRAWER)
    row.locator("summary").click()
    row.locator("[name=may_pay]").select_option("no")
    with loaded_again(approver):
        row.locator("button").click()
    assert purchase_rights.of_members(site.ex, drawer)[DRAWER] == purchase_rights.NONE
    held = quotes.quote(site.ex, drawer, of_area(area(block(2)), purpose="research"))
    asker = site.visit(DRAWER, lang="ko", size=(390, 844))
    site.open(asker, f"/quotes/{held.id}")
    expect(asker.locator("#pay")).to_have_count(0)
    expect(asker.locator("#barrier")).to_contain_text("결재를 요청하세요")
    asker.locator("#ask textarea").fill("역 앞 교차로 시험")
    with loaded_again(asker):
        asker.locator("#ask button").click()
    expect(asker.locator("#asked")).to_contain_text("역 앞 교차로 시험")
    site.clock.forward(minutes=16)
    site.open(approver, "/explore")
    approver.locator("nav .waiting").click()
    expect(approver.locator("#approvals tbody tr")).to_have_count(1)
    approver.locator("#approvals tbody a").click()
    ready(approver)
    approver.locator("#again").click()
    approver.wait_for_url(lambda url: held.id not in url)
    ready(approver)
    expect(approver.locator("#compared")).to_be_visible()
    expect(approver.locator("#asked")).to_contain_text(DRAWER)
    approver.locator("#pay").click()
    approver.wait_for_url("**/orders/*")
    ready(approver)
    expect(approver.locator("#asked-by")).to_contain_text(DRAWER)
    (made,) = orders.of(site.ex, drawer).orders
    assert (made.person, made.asked_by) == (BUYER, DRAWER)
    site.open(asker, "/orders")
    expect(asker.locator("#approvals .chip")).to_have_class(re.compile("paid"))


def test_the_data_of_a_tax_invoice_prints_on_one_page(market: Market) -> None:
    site = market.site
    held = quotes.quote(site.ex, market.buyer, of_area(area(block(2)), purpose="research"))
    order = orders.place(site.ex, market.buyer, held.id, "key").id
    page = site.visit(BUYER)
    site.open(page, f"/orders/{order}/receipt")
    page.locator(f"a[href='/invoices/{order}']").click()
    ready(page)
    expect(page.locator("#missing")).to_be_visible()
    page.locator("main a[href='/account#business']").click()
    ready(page)
    page.locator("#business summary").click()
    fields = {
        "number": "124-81-00999",
        "name": "동일",
        "representative": "홍길동",
        "address": "서울",
        "item": "지도",
        "business_type": "정보",
    }
    for name, value in {**fields, "email": "tax@dongil.example"}.items():
        page.locator(f"#business [name={name}]").fill(value)
    page.locator("#business form button").click()
    expect(page.locator("#business [data-problem]")).to_contain_text("last digit")
    page.locator("#business [name=number]").fill("124-81-00998")
    with loaded_again(page):
        page.locator("#business form button").click()
    expect(page.locator("#business dl")).to_contain_text("124-81-00998")
    for lang in ("en", "ko"):
        site.open(page, f"/invoices/{order}?lang={lang}")
        expect(page.locator("#total")).to_contain_text(f"{held.estimate.total:,}")
        printed = page.pdf(format="A4")
        assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) == 1
