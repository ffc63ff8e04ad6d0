"""Review, payment once, downloads that prove themselves, the log that says so."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from browsing import Market, ready, won
from market_builders import RATES, SEOUL, a_permit
from playwright.sync_api import Page, Request, expect

from mapex import audit, ledger, offers, orders
from tiles import grid

BUYER = "buyer@dongil.example"


def review(market: Market, tiles: int = 2) -> Page:
    """The review page of some tiles in a row."""
    x, y = grid.xy(SEOUL)
    keys = ",".join(grid.quadkey(int(grid.morton(x + i, y))) for i in range(tiles))
    page = market.site.visit(BUYER)
    page.goto("about:blank")
    page.goto(f"{market.site.url}/explore#t={keys}")
    ready(page)
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    return page


def test_clicking_twice_pays_once(market: Market) -> None:
    page = review(market)
    total = won(page.locator("#total").text_content())
    page.dblclick("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    made = orders.of(market.site.ex, market.buyer).orders
    assert [order.total for order in made] == [total]
    assert ledger.wallet(market.site.ex, market.buyer).balance == 5_000_000 - total
    assert won(page.locator("#total").text_content()) == total


def test_downloaded_archive_holds_what_was_sold(market: Market, tmp_path: Path) -> None:
    page = review(market)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    with page.expect_download() as coming:
        page.click("#download")
    coming.value.save_as(tmp_path / "order.zip")
    with zipfile.ZipFile(tmp_path / "order.zip") as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert len(manifest["files"]) == 4
        for file in manifest["files"]:
            body = archive.read(file["path"])
            assert hashlib.sha256(body).hexdigest() == file["sha256"] and len(body) == file["size"]
            assert file["licence"] in ("research", "commercial") and file["attribution"]
    log = audit.events(market.site.ex, market.buyer, audit.Filter(action="access.granted"), limit=100)
    assert len(log.events) == 4


def test_one_file_downloads_as_itself(market: Market) -> None:
    page = review(market, tiles=1)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    with page.expect_download() as coming:
        page.locator("#files button").first.click()
    assert coming.value.suggested_filename.endswith(".parquet")


def test_original_footage_is_bound_to_a_secret_of_the_page(market: Market) -> None:
    a_permit(market.site.ex, "dongil")
    page = review(market, tiles=1)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if "/store/" in request.url else None)
    with page.expect_download():
        page.click("#download")
    bound = [request for request in sent if request.headers.get("x-mapex-holder")]
    assert len(bound) == 1 and bound[0].headers["x-mapex-holder"] not in bound[0].url
    stolen = page.context.request.get(bound[0].url)
    assert stolen.status == 403


def test_an_expired_quote_is_not_sold_and_priced_anew(market: Market) -> None:
    page = review(market)
    old = page.url
    market.site.clock.forward(minutes=16)
    page.click("#pay")
    expect(page.locator("#problem")).to_contain_text("no longer held")
    page.click("#again")
    page.wait_for_url(lambda url: "/quotes/" in url and url != old)
    ready(page)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    assert len(orders.of(market.site.ex, market.buyer).orders) == 1


def test_a_changed_price_is_shown_before_it_is_paid(market: Market) -> None:
    page = review(market)
    total = won(page.locator("#total").text_content())
    offers.publish(market.site.ex, market.seller, "lanes", rate_card={**RATES, "lane_km": 9000}, licence="research")
    page.click("#pay")
    expect(page.locator("#problem")).to_contain_text("price has changed")
    expect(page.locator("#again")).to_be_visible()
    assert orders.of(market.site.ex, market.buyer).orders == []
    page.click("#again")
    expect(page.locator("#total")).not_to_have_text(f"₩{total:,}")


def test_too_small_a_balance_is_said_and_nothing_is_sold(market: Market) -> None:
    poor = market.site.person("buyer@nuri.example", "nuri")
    page = market.site.visit("buyer@nuri.example")
    page.goto("about:blank")
    page.goto(f"{market.site.url}/explore#t={grid.quadkey(SEOUL)}")
    ready(page)
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    page.click("#pay")
    expect(page.locator("#problem")).to_contain_text("balance does not cover")
    assert orders.of(market.site.ex, poor).orders == []


def test_bought_tiles_cost_nothing_again(market: Market) -> None:
    page = review(market)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    again = review(market)
    assert won(again.locator("#total").text_content()) == 0
    expect(again.locator(".lines").first).to_contain_text("are yours already")


def test_quotes_and_orders_of_others_do_not_exist(market: Market) -> None:
    page = review(market)
    quote = page.url
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    market.site.person("spy@nuri.example", "nuri")
    other = market.site.visit("spy@nuri.example")
    for address in (quote, page.url):
        answer = other.goto(address)
        assert answer and answer.status == 404
    expect(other.locator("h1")).to_contain_text("There is no such")
