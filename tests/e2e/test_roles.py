"""A person gets another role on the operator's page: the person is out at once."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.browser import Market

OPERATOR, BUYER = "op@mapex.example", "buyer@dongil.example"


def test_a_person_of_another_role_is_out_at_once(market: Market) -> None:
    site = market.site
    site.person(OPERATOR, role="operator")
    buyer, operator = site.visit(BUYER), site.visit(OPERATOR)
    buyer.goto(f"{site.url}/orders")
    expect(buyer).to_have_url(re.compile("/orders"))
    operator.goto(f"{site.url}/operate/persons")
    operator.wait_for_selector("html[data-forms]", state="attached")
    assert OPERATOR not in operator.locator("#role select[name=email]").inner_text()
    operator.select_option("#role [name=email]", BUYER)
    operator.select_option("#role [name=role]", "auditor")
    operator.select_option("#role [name=org]", "dongil")
    operator.click("#role > p:last-child > button")
    expect(operator.locator("#role .sure")).to_contain_text(f"Change the role of {BUYER}?")
    operator.click("#role >> text=Yes")
    expect(operator.locator("#role [data-problem]")).to_contain_text("auditors and operators have none")
    operator.select_option("#role [name=org]", "")
    operator.click("#role > p:last-child > button")
    operator.click("#role >> text=Yes")
    expect(operator.locator("#persons tr", has_text=BUYER)).to_contain_text("auditor")
    buyer.goto(f"{site.url}/orders")
    expect(buyer).to_have_url(re.compile("/login"))
