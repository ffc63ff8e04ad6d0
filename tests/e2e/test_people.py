"""Account and operator's pages: roles, invitations, suspension, payments, permits drawn on a map, theme and language."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from mapex.audit import log
from mapex.audit.log import EventFilter
from mapex.errors import Conflict
from mapex.orders import ledger, orders
from mapex.people import domains, orgs
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rights import permits
from tests.support.browser import PASSWORD, Market, Site, loaded_again, map_idle, ready
from tests.support.exchange import a_permit
from tests.support.market import SEOUL, area
from tests.support.pages import COUNT, at_rest
from tiles.grid import grid

OPERATOR, AUDITOR, BUYER, SELLER = "op@mapex.example", "auditor@audit.example", "buyer@dongil.example", "maps@hanbit.example"


def status(page: Page, path: str) -> int:
    """HTTP status of a page as this visitor gets it."""
    return page.context.request.get(path).status


def test_roles(market: Market) -> None:
    site = market.site
    site.person(OPERATOR, role="operator")
    site.person(AUDITOR, role="auditor")
    site.person("other@nuri.example", "nuri")
    bought = orders.place(site.ex, market.buyer, quotes.quote(site.ex, market.buyer, of_area(area([SEOUL]), purpose="research")).id, "key")
    buyer = site.visit(BUYER)
    for path in ("/audit", "/audit/events/1", f"/audit/tiles/{grid.quadkey(SEOUL)}", "/operate", "/operate/permits", "/operate/wallets"):
        answer = buyer.goto(site.url + path)
        assert answer is not None
        assert answer.status == 403, path
        expect(buyer.locator("main h1")).to_contain_text(re.compile("auditors|operator"))
    expect(buyer.locator("nav >> text=Audit")).to_have_count(0)
    assert status(buyer, "/api/v1/audit/entries") == 403
    # Nobody sees another's sales: neither page nor wallet nor the log of the sale.
    other = site.visit("other@nuri.example")
    for path in ("/sell", "/account", "/account/log"):
        other.goto(site.url + path)
        assert "dongil" not in other.locator("main").inner_text(), path
        assert bought.id not in other.content()
    assert status(other, "/api/v1/wallet?org=hanbit") == 403
    assert status(other, f"/api/v1/orders/{bought.id}") == 404
    auditor, operator = site.visit(AUDITOR), site.visit(OPERATOR)
    assert status(auditor, "/audit") == status(operator, "/audit") == status(operator, "/operate") == 200
    assert status(auditor, "/operate") == status(auditor, "/sell") == 403
    stranger = site.visit()
    stranger.goto(f"{site.url}/operate")
    expect(stranger).to_have_url(re.compile(r"/login\?next=/operate"))
    seller = site.visit(SELLER)
    seller.goto(f"{site.url}/account/log?action=order.placed")
    assert "buyer@dongil.example" not in seller.locator("main").inner_text()


def asked_for(site: Site, email: str) -> tuple[Page, str]:
    """The account page of a buyer who asked for somebody, and the link that the operator then made."""
    domains.add(site.ex, None, "dongil", email.rpartition("@")[2])
    site.person(OPERATOR, role="operator")
    page = site.visit(BUYER)
    page.goto(f"{site.url}/account")
    ready(page)
    page.fill("#invite [name=email]", email)
    page.click("#invite button")
    expect(page.locator("#invitations")).to_contain_text(email)
    operator = site.visit(OPERATOR)
    operator.goto(f"{site.url}/operate/persons")
    ready(operator)
    operator.click("#invitations form button.link >> nth=0")
    link = operator.locator("#invitations [data-secret]")
    expect(link).to_contain_text("/invite/")
    return page, str(link.text_content())


def test_an_invitation_is_handed_out_by_the_operator_and_makes_one_member(market: Market) -> None:
    site = market.site
    page, url = asked_for(site, "new@dongil.example")
    page.reload()
    assert "/invite/" not in page.content()
    expect(page.locator("#invitations")).to_contain_text("new@dongil.example")
    guest = site.visit(lang="ko")
    guest.goto(url)
    expect(guest.locator("h1")).to_contain_text("dongil")
    guest.fill("[name=name]", "김" * 200)
    guest.fill("[name=password]", PASSWORD)
    guest.click("main button")
    guest.wait_for_url("**/explore*")
    guest.goto(f"{site.url}/account")
    expect(guest.locator("h1")).to_have_text("김" * 200)
    assert guest.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    again = site.visit()
    answer = again.goto(url)
    assert answer is not None
    assert answer.status == 404
    expect(again.locator("h1")).to_contain_text("was used, taken back, or has expired")
    auditor = site.person(AUDITOR, role="auditor")
    logged = [event.action for event in log.events(site.ex, auditor).events if event.payload.get("subject") == "new@dongil.example"]
    assert logged == ["person.added", "invitation.handed_out", "person.invited"]


def test_an_invitation_can_be_taken_back(market: Market) -> None:
    page, url = asked_for(market.site, "new@dongil.example")
    page.reload()
    ready(page)
    page.click("[data-delete]")
    expect(page.locator("#invitations")).to_have_count(0)
    assert page.context.request.get(url).status == 404


def test_a_suspended_organisation_is_out_at_once(market: Market) -> None:
    site = market.site
    site.person(OPERATOR, role="operator")
    seller, operator, visitor = site.visit(SELLER), site.visit(OPERATOR), site.visit(BUYER)
    held = quotes.quote(site.ex, market.buyer, of_area(area([SEOUL]), purpose="research"))
    operator.goto(f"{site.url}/operate")
    expect(operator.locator("[data-number=offers]")).to_have_text("3")
    operator.wait_for_selector("html[data-forms]", state="attached")
    operator.click("[data-org=hanbit] [data-act]")
    operator.click("text=Yes")
    expect(operator.locator("[data-org=hanbit] .chip")).to_have_text("suspended")
    expect(operator.locator("[data-number=offers]")).to_have_text("0")
    seller.goto(f"{site.url}/sell")
    expect(seller).to_have_url(re.compile("/login"))
    body = {"quadkeys": [grid.quadkey(SEOUL)], "purpose": "research"}
    visitor.goto(f"{site.url}/account")
    ready(visitor)
    estimate = visitor.evaluate(
        "async (body) => { const page = JSON.parse(document.getElementById('page-data').textContent);"
        "const answer = await fetch('/api/v1/estimates', {method: 'POST', headers: {'Content-Type': 'application/json',"
        "'X-CSRF-Token': page.csrf}, body: JSON.stringify(body)}); return answer.json() }",
        body,
    )
    assert estimate["lines"] == []
    with pytest.raises(Conflict):
        orders.place(site.ex, market.buyer, held.id, "late")
    operator.wait_for_selector("html[data-forms]", state="attached")
    operator.click("[data-org=hanbit] [data-act]")
    expect(operator.locator("[data-number=offers]")).to_have_text("3")


def test_a_payment_is_confirmed_and_books_once(market: Market) -> None:
    site = market.site
    by = site.person(OPERATOR, role="operator")
    page = site.visit(OPERATOR)
    page.goto(f"{site.url}/operate/wallets")
    ready(page)
    for _ in range(2):  # the same slip typed twice
        page.select_option("#credit [name=org]", "dongil")
        page.fill("#credit [name=amount]", "1,250,000")
        page.fill("#credit [name=key]", "slip-77")
        page.fill("#credit [name=memo]", "11월 입금")
        page.click("#credit button.primary")
        expect(page.locator(".sure")).to_contain_text("₩1,250,000")
        with loaded_again(page):
            page.click("text=Yes")
        expect(page.locator("[data-balance=dongil]")).to_have_text("₩6,250,000")
        expect(page.locator("#payments tbody tr", has_text="slip-77")).to_have_count(1)
    entries = ledger.wallet(site.ex, by, "dongil").entries
    assert [entry.memo for entry in entries if entry.amount == 1_250_000] == ["11월 입금"]
    page.fill("#credit [name=amount]", "7")
    page.fill("#credit [name=key]", "slip-77")
    page.click("#credit button.primary")
    page.click("text=Yes")
    expect(page.locator("#credit [role=alert]")).to_contain_text("booked another payment")


def test_a_permit_is_drawn_on_the_map_and_holds(market: Market) -> None:
    site = market.site
    by = site.person(OPERATOR, role="operator")
    page = site.visit(OPERATOR)
    page.goto(f"{site.url}/operate/permits")
    map_idle(page)
    page.wait_for_selector("#map[data-view]")
    page.fill("#new-permit [name=number]", "KR-SB-2026-900")
    page.select_option("#new-permit [name=org]", "dongil")
    page.fill("#new-permit [name=valid_from]", "2020-01-01")
    page.fill("#new-permit [name=valid_to]", "2040-01-01")
    page.check("#new-permit [name=purposes][value=research]")
    page.click("[data-tool=rectangle]")
    box = page.locator("#map").bounding_box()
    assert box
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box
    a = (box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    b = (box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.7)
    page.mouse.click(*a)
    page.mouse.move(b[0] - 5, b[1] - 5)
    page.mouse.move(*b)
    page.mouse.click(*b)
    expect(page.locator("#drawn")).to_have_text("4 corners")
    drawn = json.loads(page.input_value("#new-permit [name=area]"))
    (west, south), (east, north) = json.loads(str(page.get_attribute("#map", "data-view")))
    page.click("#new-permit button.primary")
    expect(page.locator("#new-permit [data-problem]")).to_have_text(
        "Choose at least one purpose and one class."
    )  # none is ticked in advance
    page.check("#new-permit [name=classes][value=original]")
    page.click("#new-permit button.primary")
    expect(page.locator("[data-permit='KR-SB-2026-900']")).to_be_visible()
    made = permits.get(site.ex, by, "KR-SB-2026-900")
    assert (made.org, made.purposes, set(made.classes)) == ("dongil", ("research",), {"original"})
    assert west < made.box[0] < made.box[2] < east
    assert south < made.box[1] < made.box[3] < north
    lons, lats = zip(*drawn["coordinates"][0], strict=True)
    assert made.box == pytest.approx((min(lons), min(lats), max(lons), max(lats)), abs=1e-6)
    page.wait_for_selector("html[data-forms]", state="attached")
    page.click("[data-permit='KR-SB-2026-900'] [data-state=suspended]")
    page.click("text=Yes")
    expect(page.locator("[data-permit='KR-SB-2026-900'] .chip")).to_have_text("suspended")
    page.wait_for_selector("html[data-forms]", state="attached")
    page.click("[data-permit='KR-SB-2026-900'] [data-state=revoked]")
    page.click("text=Yes")
    expect(page.locator("[data-permit='KR-SB-2026-900'] .chip")).to_have_text("revoked")
    assert permits.get(site.ex, by, "KR-SB-2026-900").state == "revoked"


def test_own_permits_are_shown_with_days_left_and_on_a_map(market: Market) -> None:
    site = market.site
    now = site.ex.now()
    a_permit(site.ex, "dongil", number="KR-10", valid_from_ns=now - 10**9, valid_to_ns=now + 10 * 86_400 * 10**9)
    a_permit(site.ex, "dongil", number="KR-OLD", valid_from_ns=now - 2 * 10**9, valid_to_ns=now - 10**9)
    a_permit(site.ex, "hanbit", number="KR-FOREIGN", valid_from_ns=now - 10**9, valid_to_ns=now + 10 * 86_400 * 10**9)
    page = site.visit(BUYER)
    page.goto(f"{site.url}/account")
    map_idle(page)
    expect(page.locator("#permits")).to_contain_text("days left: 10")
    expect(page.locator("#permits tr", has_text="KR-OLD")).to_contain_text("expired")
    assert "KR-FOREIGN" not in page.content()
    page.click("[data-show='KR-10']")


def test_the_theme_is_chosen_kept_and_painted_first(market: Market) -> None:
    site = market.site
    page = site.visit(BUYER, color_scheme="light")
    page.goto(f"{site.url}/orders")
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.click(".who button.theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.click(".who button.theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")  # as the server sent it
    assert page.evaluate(background) == dark
    page.goto(f"{site.url}/account")
    ready(page)
    page.click("[data-theme-form] [value=system][aria-pressed]")
    expect(page.locator("[value=system][aria-pressed]")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(background) == light
    page.goto(f"{site.url}/explore")
    map_idle(page)
    sea = "() => getComputedStyle(document.querySelector('.mapbox')).backgroundColor"
    by_day = page.evaluate(sea)
    page.emulate_media(color_scheme="dark")
    assert (by_day, page.evaluate(sea)) == ("rgb(205, 223, 238)", "rgb(10, 20, 32)"), "the map follows the theme"


def test_the_language_switch_keeps_page_query_and_hash(market: Market) -> None:
    site = market.site
    page = site.visit(BUYER, lang="en")
    page.goto(f"{site.url}/account/log?dataset=lanes#events")
    page.click("[data-language]")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    assert re.search(r"/account/log\?dataset=lanes&lang=ko#events$", page.url), page.url


FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def test_people_pages_fit(site: Site) -> None:
    """Long and right-to-left names, both languages and themes, 390 px and zoom 200 %."""
    ex = site.ex
    orgs.add_org(ex, None, "long", "가" * 200)
    orgs.add_org(ex, None, "rtl", "شركة الخرائط الدقيقة (HD)")
    site.person(OPERATOR, role="operator")
    site.person("m@long.example", "long")
    domains.add(ex, None, "long", "long.example")
    now = ex.now()
    a_permit(ex, "long", number="KR-1", valid_from_ns=now - 10**9, valid_to_ns=now + 86_400 * 10**9)
    for lang, scheme, width in (("ko", "dark", 390), ("en", "light", 720), ("ko", "light", 1440)):
        operator = site.visit(OPERATOR, lang=lang, size=(width, 900), color_scheme=scheme)
        member = site.visit("m@long.example", lang=lang, size=(width, 900), color_scheme=scheme)
        for page in (operator, member):
            page.context.add_init_script(COUNT)
        visits = [
            (operator, path)
            for path in (
                "/operate",
                "/operate/persons",
                "/operate/wallets",
                "/operate/permits",
                "/audit",
                "/audit/events/1",
                "/audit/permits/KR-1",
                "/audit/tiles/1321220",
                "/account",
            )
        ]
        for page, path in [*visits, (member, "/account/log"), (member, "/account")]:
            page.goto("about:blank")
            page.goto(site.url + path)
            at_rest(page)
            assert page.evaluate(FITS), f"{path} overflows at {width}"
        asked = f"{'new-' * 12}{width}@long.example"
        member.fill("#invite [name=email]", asked)
        member.click("#invite button")
        expect(member.locator("#invitations")).to_contain_text(asked)
        assert member.evaluate(FITS), f"an invitation that was asked for overflows at {width}"
        operator.goto(f"{site.url}/operate/persons")
        ready(operator)
        operator.click("#invitations form button.link >> nth=0")
        expect(operator.locator("#invitations [data-secret]").first).to_contain_text("/invite/")
        assert operator.evaluate(FITS), f"a link that was made overflows at {width}"


def test_everything_of_a_filter_is_exported(market: Market) -> None:
    site = market.site
    site.person(AUDITOR, role="auditor")
    page = site.visit(AUDITOR)
    page.goto(f"{site.url}/audit?q=action:offer.published")
    ready(page)
    with page.expect_download() as waiting:
        page.click("text=Download as JSON")
    events = json.loads(waiting.value.path().read_text())["events"]
    assert [event["action"] for event in events] == ["offer.published"] * 3
    assert len(events) == len(log.events(site.ex, market.seller, EventFilter(action="offer.published")).events)
