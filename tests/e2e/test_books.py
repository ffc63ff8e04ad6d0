"""A month of trade as an accountant sees it: closed, paid, taxed, then a version recalled; by operator, seller and buyer."""

from __future__ import annotations

import csv
import io

from playwright.sync_api import Page, expect

from mapex.orders import orders
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rules.pricing import vat_of
from mapex.times import kst_month, month_end_ns
from tests.support.browser import Market, loaded_again, won
from tests.support.market import area

SELLER, BUYER, OPERATOR = "maps@hanbit.example", "buyer@dongil.example", "operator@mapex.example"


def send(page: Page, form: str, **fields: str) -> None:
    """Fill a form of the operator's pages and wait until the page shows what it did."""
    page.wait_for_selector("html[data-forms]", state="attached")
    for name, value in fields.items():
        page.fill(f"{form} [name={name}]", value)
    with loaded_again(page):
        page.click(f"{form} button")


def test_a_month_is_settled_paid_and_its_recall_returned(market: Market) -> None:
    site = market.site
    held = quotes.quote(site.ex, market.buyer, of_area(area(market.cells[:3]), purpose="research", dataset="lanes"))
    order = orders.place(site.ex, market.buyer, held.id, "one")
    month, vat = kst_month(site.ex.now()), vat_of(order.subtotal)
    site.clock.forward(minutes=(month_end_ns(month) - site.ex.now()) / 60e9 + 1)

    site.person(OPERATOR, role="operator")
    operator = site.visit(OPERATOR, lang="ko", size=(390, 844))
    site.open(operator, "/operate/settlements")
    send(operator, "#close", month=month)
    row = operator.locator("#settlements tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("지급 예정")
    send(operator, f"[data-pay='hanbit {month}']", reference="이체-1")
    expect(row).to_contain_text("이체-1")
    expect(operator.locator("[data-pay]")).to_have_count(0)
    operator.fill("#pay-vat [name=amount]", "1")  # all of it went on to the seller
    operator.fill("#pay-vat [name=reference]", "납부-1")
    operator.click("#pay-vat button")
    expect(operator.locator("#pay-vat [role=alert]")).not_to_be_empty()

    seller = site.visit(SELLER)
    site.open(seller, "/sell")
    paid = seller.locator("#settlements tbody tr")
    expect(paid).to_contain_text("paid out")
    assert [won(paid.locator("td").nth(at).text_content()) for at in (1, 4, 5)] == [order.subtotal, vat, order.subtotal + vat]
    site.open(seller, "/sell/lanes/1/publish")
    seller.click("#recall summary")
    expect(seller.locator("#returned")).to_have_attribute("data-returned", str(order.total))
    seller.check("#recall-sure")
    seller.click("#recall-now")
    seller.wait_for_selector("#terms[data-state=recalled]")
    site.open(seller, "/sell")
    assert won(seller.locator("#owed").text_content()) == order.subtotal  # its wallet was paid out

    buyer = site.visit(BUYER)
    site.open(buyer, f"/orders/{order.id}")
    expect(buyer.locator(f"[data-refund='{order.total}']")).to_be_visible()
    buyer.goto(f"{site.url}/orders/{order.id}/receipt")
    assert won(buyer.locator("#left").text_content()) == 0

    operator.goto(f"{site.url}/operate/wallets")
    expect(operator.locator("#agrees")).to_contain_text("✓")
    assert won(operator.locator("#in-bank").text_content()) == won(operator.locator("#held").text_content())
    assert won(operator.locator("[data-owed=hanbit]").text_content()) == -order.subtotal
    assert operator.locator("#credit [name=key]").input_value() == ""
    table = operator.request.get(f"{site.url}/api/v1/ledger/entries.csv").text()
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
    assert sum(int(one["amount_krw"]) for one in rows) == 0 and {"order", "refund", "settlement", "payout"} <= {one["kind"] for one in rows}
