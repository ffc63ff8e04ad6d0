"""Signing in as people do it: a passkey (Chromium's virtual authenticator), an app, recovery codes, and the page of one's sign-in."""

from __future__ import annotations

import re

import pyotp
from playwright.sync_api import Page, expect

from mapex.login import factors, recovery_codes, sessions
from mapex.times import NS
from tests.support.browser import PASSWORD, Site, loaded_again, ready

EMAIL = "buyer@dongil.example"


def authenticator(page: Page) -> None:
    """A phone that knows its owner by the finger, beside this page."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, "automaticPresenceSimulation": True}})


def sign_out(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/logout")
    page.click("#main button.primary")
    page.wait_for_url(f"{site.url}/")


def test_a_passkey_is_added_and_signs_in_alone_and_as_the_second_step(named_site: Site) -> None:
    site = named_site
    by = site.person(EMAIL, "dongil")
    page = site.visit(EMAIL)
    authenticator(page)
    site.open(page, "/account/security")
    with loaded_again(page):
        page.click("[data-passkey=new]")
    expect(page.locator("#factors tbody tr")).to_have_count(1)
    assert [one.kind for one in factors.of(site.ex, by.person_id)] == ["passkey"]
    page.click("text=Make new recovery codes")
    expect(page.locator("#codes li")).to_have_count(recovery_codes.CODES)

    sign_out(page, site)
    site.open(page, "/login?next=/account")
    page.click("[data-passkey=login]")
    page.wait_for_url(f"{site.url}/account")
    assert sessions.of(site.ex, by.person_id)[0].factors == ("passkey",)

    sign_out(page, site)
    site.open(page, "/login?next=/account")
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.click("#main button.primary")
    expect(page.locator("h1")).to_have_text("Second step")
    ready(page)
    page.click("[data-passkey=login]")
    page.wait_for_url(f"{site.url}/account")
    assert sessions.of(site.ex, by.person_id)[0].factors == ("password", "passkey")


def test_what_asks_for_a_fresh_factor_asks_over_the_page_and_loses_nothing(named_site: Site) -> None:
    site = named_site
    by = site.person(EMAIL, "dongil")
    page = site.visit(EMAIL)
    authenticator(page)
    site.open(page, "/account/security")
    with loaded_again(page):
        page.click("[data-passkey=new]")
    site.clock.forward(minutes=16)
    site.open(page, "/account")
    page.fill("#new-token [name=name]", "my script")
    page.click("#new-token button:not([type=button])")
    dialog = page.locator("dialog.confirm")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("#problem")).to_contain_text("Confirm that it is you")
    page.click("#new-token button:not([type=button])")
    dialog.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("#secret")).to_have_text(re.compile("mpx_"))
    assert len(sessions.of(site.ex, by.person_id)) == 1


def test_an_app_is_added_by_its_picture_and_then_asked_for(site: Site) -> None:
    site.person(EMAIL, "dongil")
    page = site.visit(EMAIL)
    site.open(page, "/account/security")
    page.click("text=Add an authenticator app")
    expect(page.locator("img.picture")).to_be_visible()
    assert page.evaluate("() => document.querySelector('img.picture').naturalWidth") > 100
    app = pyotp.TOTP((page.locator("code.secret").text_content() or "").strip())
    page.fill("[name=code]", app.at(site.ex.now() // NS))
    page.click("#main button.primary")
    expect(page.locator("#factors tbody tr")).to_have_count(1)
    expect(page.locator("#codes-left b")).to_be_visible()

    sign_out(page, site)
    page.goto(f"{site.url}/login")
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.click("#main button.primary")
    site.clock.forward(minutes=1)
    page.fill("[name=code]", app.at(site.ex.now() // NS))
    page.click("#main button.primary")
    page.wait_for_url(f"{site.url}/explore")


def test_a_session_is_ended_from_another_browser(site: Site) -> None:
    site.person(EMAIL, "dongil")
    page, other = site.visit(EMAIL), site.visit(EMAIL)
    site.open(page, "/account/security")
    expect(page.locator("#sessions tbody tr")).to_have_count(2)
    page.click("#sessions tbody button")
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    other.goto(f"{site.url}/account")
    expect(other).to_have_url(re.compile("/login"))
