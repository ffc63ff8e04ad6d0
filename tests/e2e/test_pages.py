"""Ways through the pages: language, signing in, tokens, logs, the description of the API (what holds for every page: `test_gates.py`)."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.browser import Market, ready
from tests.support.market import SEOUL

MEMBER, AUDITOR = "buyer@dongil.example", "auditor@audit.example"


def test_language_is_chosen_by_link_and_kept(market: Market) -> None:
    page = market.site.visit(lang="en")
    page.goto(market.site.url)
    page.click(".who a[hreflang=ko]")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.goto(f"{market.site.url}/login")
    expect(page.locator("html")).to_have_attribute("lang", "ko")


def test_log_in_goes_on_to_where_one_wanted_to_be(market: Market) -> None:
    page = market.site.visit()
    page.goto(f"{market.site.url}/orders")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.fill("[name=email]", MEMBER)
    page.fill("[name=password]", "a wrong one")
    page.click("main button")
    expect(page.locator("[role=alert]")).to_have_text("E-mail or password is wrong.")
    page.fill("[name=password]", "correct horse battery")
    page.click("main button")
    expect(page).to_have_url(f"{market.site.url}/orders")
    page.click("text=Sign out")
    page.goto(f"{market.site.url}/orders")
    expect(page).to_have_url(re.compile(r"/login"))


def test_log_in_leads_to_no_other_site(market: Market) -> None:
    page = market.site.visit()
    page.goto(f"{market.site.url}/login?next=https://evil.example/")
    page.fill("[name=email]", MEMBER)
    page.fill("[name=password]", "correct horse battery")
    page.click("main button")
    expect(page).to_have_url(f"{market.site.url}/explore")


def test_a_title_that_is_html_stays_text(market: Market) -> None:
    from mapex.catalogue import datasets
    from tests.support.market import a_draft, a_layer

    site = market.site
    datasets.create_dataset(site.ex, market.seller, "evil", "<img src=x onerror=alert(1)><script>alert(2)</script>")
    a_draft(site.ex, market.seller, "evil", [a_layer([SEOUL])])
    page = site.visit("maps@hanbit.example")
    for path in ("/sell", "/sell/evil/1"):
        page.goto(site.url + path)
        expect(page.locator("main")).to_contain_text("<script>alert(2)</script>")
        assert page.locator("main img").count() == 0


def test_tokens_are_shown_once_and_revoked(market: Market) -> None:
    site = market.site
    page = site.visit(MEMBER)
    page.goto(f"{site.url}/account")
    page.fill("#new-token [name=name]", "laptop")
    page.click("#new-token button")
    secret = page.locator("#secret")
    expect(secret).to_contain_text("mpx_")
    token = secret.text_content()
    headers = {"Authorization": f"Bearer {token}"}
    assert page.context.request.get(f"{site.url}/api/v1/me", headers=headers).status == 200
    page.reload()
    assert str(token) not in page.content()
    page.click("[data-revoke]")
    expect(page.locator("#tokens [data-revoke]")).to_have_count(0)
    assert page.context.request.get(f"{site.url}/api/v1/me", headers=headers).status == 401


def test_the_audit_page_filters_without_loading_anew(market: Market) -> None:
    site = market.site
    site.person(AUDITOR, role="auditor")
    page = site.visit(AUDITOR)
    page.goto(f"{site.url}/audit")
    ready(page)
    rows = page.locator("#events tbody tr")
    for text, count in (("action:offer.published", 3), ("action:offer.published dataset:lanes", 1)):
        page.fill("#q", text)
        page.press("#q", "Enter")
        expect(rows).to_have_count(count)
        expect(page.locator("[data-number=entries]")).to_have_text(str(count))
    expect(page).to_have_url(re.compile("q=action%3Aoffer.published"))
    page.fill("#q", "dataset:nothing")
    page.press("#q", "Enter")
    expect(page.locator("#events .empty")).to_be_visible()


def test_the_own_log_filters_without_loading_anew(market: Market) -> None:
    page = market.site.visit("maps@hanbit.example")
    page.goto(f"{market.site.url}/account/log")
    page.select_option("[name=action]", "offer.published")
    expect(page.locator("#events tbody tr")).to_have_count(3)
    page.fill("[name=dataset]", "lanes")
    page.press("[name=dataset]", "Enter")
    expect(page.locator("#events tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("dataset=lanes"))


def test_the_api_is_described_in_the_page(market: Market) -> None:
    page = market.site.visit()
    page.goto(f"{market.site.url}/docs")
    ready(page)
    expect(page.locator("summary", has_text=re.compile(r"^\s*POST\s*/api/v1/quotes\s(?!\{)"))).to_be_visible()
