"""All pages in both languages, wide and narrow, light and dark: nothing overflows, nothing stays English, every page may be left."""

from __future__ import annotations

import re

import pytest
from browsing import Market, map_idle, ready
from market_builders import SEOUL, area, block
from playwright.sync_api import Page, expect

from mapex import offers, orders
from tiles import grid

MEMBER, AUDITOR = "buyer@dongil.example", "auditor@audit.example"
ENGLISH = re.compile(
    r"\b(?:the|and|of|your|this|with|not|was|Tiles|Price|Order|Orders|Sell|Audit|Explore|Sign|Licence|Total|Research|Draw|Upload|Files)\b"
)


def narrow_enough(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_pages_fit_and_speak_one_language(market: Market, lang: str, width: int) -> None:
    site = market.site
    site.person(AUDITOR, role="auditor")
    held = offers.quote(site.ex, market.buyer, area(block(2)), purpose="research")
    bought = orders.place(site.ex, market.buyer, offers.quote(site.ex, market.buyer, area([SEOUL]), purpose="research").id, "key")
    scheme = "light" if width == 1440 else "dark"
    member = site.visit(MEMBER, lang=lang, size=(width, 900), color_scheme=scheme)
    seller = site.visit("maps@hanbit.example", lang=lang, size=(width, 900), color_scheme=scheme)
    auditor = site.visit(AUDITOR, lang=lang, size=(width, 900), color_scheme=scheme)
    anybody = site.visit(lang=lang, size=(width, 900), color_scheme=scheme)
    visits = [
        (anybody, ["/", "/login", "/explore", "/about/licences"]),
        (
            member,
            [
                "/explore",
                f"/explore#t={grid.quadkey(SEOUL)}",
                f"/quotes/{held.id}",
                "/orders",
                f"/orders/{bought.id}",
                "/account",
                "/nowhere",
            ],
        ),
        (seller, ["/sell", "/sell/new", "/sell/lanes/1", "/account/log"]),
        (auditor, ["/audit", "/account"]),
    ]
    for page, paths in visits:
        for path in paths:
            page.goto("about:blank")
            page.goto(site.url + path)
            page.wait_for_load_state("networkidle")
            assert narrow_enough(page), f"{path} overflows at {width} px"
            expect(page.locator("html")).to_have_attribute("lang", lang)
            if lang == "ko":
                words = re.sub(r"[\w.@/-]*[@/.][\w.@/-]*", " ", page.locator("main").inner_text())
                assert ENGLISH.findall(words) == [], f"{path} has English words in Korean"


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
    page.wait_for_load_state()
    assert page.url.startswith(market.site.url)


def test_a_title_that_is_html_stays_text(market: Market) -> None:
    from market_builders import a_draft, a_layer

    from mapex import catalogue

    site = market.site
    catalogue.create_dataset(site.ex, market.seller, "evil", "<img src=x onerror=alert(1)><script>alert(2)</script>")
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
        page.fill("[name=q]", text)
        page.press("[name=q]", "Enter")
        expect(rows).to_have_count(count)
        expect(page.locator("[data-number=entries]")).to_have_text(str(count))
    expect(page).to_have_url(re.compile("q=action%3Aoffer.published"))
    page.fill("[name=q]", "dataset:nothing")
    page.press("[name=q]", "Enter")
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


def test_first_load_of_the_map_is_small(market: Market) -> None:
    page = market.site.visit(MEMBER)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    received: list[float] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto("about:blank")
    page.goto(f"{market.site.url}/explore")
    map_idle(page)
    page.wait_for_timeout(500)
    # 0.7 MB is the goal of the coming work on the market; the coast line is 0.17 MB of this.
    assert sum(received) < 850_000
    assert len(received) <= 40
