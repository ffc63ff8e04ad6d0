"""The way in: an organisation registers, its first member has a permit entered, loses the password, and finds help."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from playwright.sync_api import expect

from mapex.people import persons
from mapex.rights import permits
from tests.support.browser import PASSWORD, Market, loaded_again, ready

OPERATOR = "op@mapex.example"
AREA = '{"type":"Polygon","coordinates":[[[126.9,37.5],[127.1,37.5],[127.1,37.6],[126.9,37.6],[126.9,37.5]]]}'


def test_an_organisation_registers_and_has_its_permit_entered(market: Market, tmp_path: Path) -> None:
    site = market.site
    site.person(OPERATOR, role="operator")
    guest, operator = site.visit(lang="ko", size=(390, 844)), site.visit(OPERATOR)
    guest.goto(site.url)
    guest.click("main a[href='/register']")
    for name, text in {
        "name": "길동모빌리티",
        "slug": "gildong",
        "contact": "홍길동",
        "email": "hong@gildong.example",
        "about": "지도 구매",
    }.items():
        guest.fill(f"[name={name}]", text)
    guest.click("#register button")
    status = str(guest.locator("#link").text_content())
    site.open(operator, "/operate/applications")
    operator.click("[data-application] button.primary")
    link = operator.locator("[data-application] [data-secret]")
    expect(link).to_contain_text("/invite/")
    guest.goto(status)
    expect(guest.locator("[role=status]")).to_contain_text("승인")
    guest.goto(str(link.text_content()))
    guest.fill("[name=name]", "홍길동")
    guest.fill("[name=password]", PASSWORD)
    guest.click("main button")
    guest.wait_for_url("**/explore*")

    document = tmp_path / "승인서.pdf"
    document.write_bytes(b"%PDF a permit")
    site.open(guest, "/account")
    guest.click("a[href='/account/permits/request']")
    ready(guest)
    form = guest.locator("#permit-request")
    form.locator("#document-file").set_input_files(document)
    expect(form.locator("[name=document_sha256]")).to_have_value(hashlib.sha256(document.read_bytes()).hexdigest())
    expect(form.locator("[name=document]")).to_have_value("승인서.pdf")
    for name, text in {
        "number": "제2026-17호",
        "issuer": "개인정보위",
        "valid_from": "2026-01-01",
        "valid_to": "2027-01-01",
        "area": AREA,
    }.items():
        form.locator(f"[name={name}]").fill(text)
    form.locator("[value=research]").check()
    form.locator("[value=original]").check()
    form.locator("button.primary").click()
    guest.wait_for_url("**/account#permits-title")
    expect(guest.locator("#permit-requests")).to_contain_text("제2026-17호")
    assert not [one for one in permits.all_permits(site.ex) if one.org == "gildong"], "it counts when it is entered"

    site.open(operator, "/operate/permits")
    operator.click("[data-fill]")
    entered = operator.locator("#new-permit")
    expect(entered.locator("[name=number]")).to_have_value("제2026-17호")
    expect(entered.locator("[name=org]")).to_have_value("gildong")
    expect(entered.locator("[name=valid_from]")).to_have_value("2026-01-01")
    with loaded_again(operator):
        entered.locator("button.primary").click()
    (permit,) = [one for one in permits.all_permits(site.ex) if one.org == "gildong"]
    assert (permit.number, permit.purposes, permit.classes) == ("제2026-17호", ("research",), ("original",))
    guest.reload()
    expect(guest.locator("#permits")).to_contain_text("제2026-17호")


def test_a_forgotten_password_and_help_are_found_where_they_are_needed(market: Market) -> None:
    site = market.site
    site.person(OPERATOR, role="operator")
    guest, operator = site.visit(), site.visit(OPERATOR)
    guest.goto(f"{site.url}/login")
    guest.click("a[href='/forgot']")
    expect(guest.locator("main")).to_contain_text("Ask its operator")
    site.open(operator, "/operate/persons")
    operator.select_option("#rescue [name=email]", "buyer@dongil.example")
    operator.click("#rescue [value=password]")
    guest.goto(str(operator.locator("#reset-link").text_content()))
    guest.fill("[name=password]", "a wholly new password")
    guest.click("main button")
    expect(guest.locator("[role=status]")).to_contain_text("The password is set")
    guest.fill("[name=email]", "buyer@dongil.example")
    guest.fill("[name=password]", "a wholly new password")
    guest.click("main form button")
    guest.wait_for_url("**/explore*")
    assert persons.verify_password(site.ex, "buyer@dongil.example", PASSWORD) is None

    expect(guest.locator("nav a[href='/help/buyer']")).to_be_visible()
    guest.goto(f"{site.url}/invite/of-nobody")
    guest.click("a[href='/help/codes#invitation.unknown']")
    expect(guest.locator("[id='invitation.unknown']")).to_be_in_viewport()
    guest.fill("[name=q]", "geopandas owner")
    guest.press("[name=q]", "Enter")
    expect(guest.locator(".hits a").first).to_have_attribute("href", re.compile("/help/buyer#"))
    guest.click(".hits a >> nth=0")
    expect(guest.locator("article")).to_contain_text("geopandas")
