"""Review, payment once, downloads that prove themselves, the log that says so."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, Route, expect

from mapex.audit import log as audit_log
from mapex.offers import offers
from mapex.orders import ledger, orders
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rights import named_users
from tests.support.browser import Market, ready, until, won
from tests.support.market import RATES, SEOUL, a_draft, a_layer, a_permit, area, with_originals
from tiles.grid import grid

BUYER = "buyer@dongil.example"


def review(market: Market, tiles: int = 2) -> Page:
    """The review page of some tiles in a row. Its quote is held beside the browser: drawing the map costs more than most tests."""
    x, y = grid.xy(SEOUL)
    ground = area([int(grid.morton(x + i, y)) for i in range(tiles)])
    wanted = of_area(ground, purpose="research", choice=with_originals(market.site.ex, market.buyer, ground))
    held = quotes.quote(market.site.ex, market.buyer, wanted)
    page = market.site.visit(BUYER)
    market.site.open(page, f"/quotes/{held.id}")
    return page


def review_on_the_map(market: Market) -> Page:
    """The review page of a tile and its neighbour, from the map on."""
    x, y = grid.xy(SEOUL)
    page = market.site.visit(BUYER)
    market.site.open(page, f"/explore#t={grid.quadkey(SEOUL)},{grid.quadkey(int(grid.morton(x + 1, y)))}")
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    return page


def test_double_click_buy_once(market: Market) -> None:
    page = review_on_the_map(market)
    total = won(page.locator("#total").text_content())
    page.dblclick("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    made = orders.of(market.site.ex, market.buyer).orders
    assert [order.total for order in made] == [total]
    assert ledger.wallet(market.site.ex, market.buyer).balance == 5_000_000 - total
    assert won(page.locator("#total").text_content()) == total


def pay(page: Page) -> str:
    """Pay what is reviewed; the id of the order."""
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    return page.url.rsplit("/", 1)[1]


def archive_of(page: Page, to: Path) -> list[dict[str, Any]]:
    """The files that the download button gives, each compared with the manifest beside them."""
    with page.expect_download() as coming:
        page.click("#download")
    coming.value.save_as(to)
    return checked(to)


def checked(path: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("_manifest.json"))
        files: list[dict[str, Any]] = manifest["files"]
        texts = manifest["enclosures"]
        assert sorted(archive.namelist()) == sorted([*(file["path"] for file in [*files, *texts]), "_manifest.json"])
        assert "README.txt" in {text["path"] for text in texts}
        for file in [*files, *texts]:
            assert hashlib.sha256(archive.read(file["path"])).hexdigest() == file["sha256"]
    return files


def publish_changed(market: Market, slug: str = "lanes", *, keep: int = 0) -> None:
    """A new version of a dataset whose tiles have new content, but for the last `keep` cells."""
    cells = market.cells
    spec = a_layer(cells, salt="newer")
    spec.parts = {cell: ([f"hdmap {cell} "] if keep and cell in cells[-keep:] else parts) for cell, parts in spec.parts.items()}
    a_draft(market.site.ex, market.seller, slug, [spec])
    offers.publish(market.site.ex, market.seller, slug, rate_card=RATES, licence="research")


def test_buy_and_download(market: Market, tmp_path: Path) -> None:
    page = review_on_the_map(market)
    total = won(page.locator("#total").text_content())
    page.fill("#name", "강남역 북쪽 <b>")
    page.press("#name", "Tab")
    expect(page.locator("#name-status")).to_have_text("Saved")
    order = pay(page)
    offers.publish(market.site.ex, market.seller, "lanes", rate_card={**RATES, "lane_km": 99_000}, licence="research")
    page.reload()
    ready(page)
    expect(page.locator("h1")).to_have_text("강남역 북쪽 <b>")
    assert won(page.locator("#total").text_content()) == total == orders.get(market.site.ex, market.buyer, order).total
    assert page.locator("#timeline .done").count() == 3
    manifest = page.context.request.get(f"{market.site.url}/orders/{order}/manifest.json").json()
    files = archive_of(page, tmp_path / "order.zip")
    assert {file["sha256"] for file in files} == {file["sha256"] for file in manifest["files"]} and len(files) == 4
    expect(page.locator("#read")).to_have_text("4 of 4 files")
    assert page.locator("#timeline .done").count() == 4


PLURAL = re.compile(r"(?<![\d,.])1\s+(accesses|corners|days|entries|errors|files|orders|points|records|squares|tiles|warnings)\b")


def test_one_tile_and_one_file_are_not_plural(market: Market) -> None:
    page = market.site.visit(BUYER)
    page.goto(f"{market.site.url}/explore#t={grid.quadkey(SEOUL)}")
    ready(page)
    page.uncheck("[name=kind][value=recording]")
    page.uncheck("[name=kind][value=sidewalk]")
    expect(page.locator("#ground")).to_contain_text("1 square = ")
    printed = [page.inner_text("body")]
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    printed.append(page.inner_text("body"))
    pay(page)
    expect(page.locator("#read")).to_have_text("0 of 1 file")
    printed.append(page.inner_text("body"))
    for path in ("/orders", "/datasets/hanbit/lanes"):
        market.site.open(page, path)
        printed.append(page.inner_text("body"))
    seller = market.site.visit("maps@hanbit.example")
    market.site.open(seller, "/sell")
    printed.append(seller.inner_text("body"))
    assert [PLURAL.findall(text) for text in printed] == [[]] * len(printed)


def test_an_expired_quote_shows_old_and_new_side_by_side(market: Market) -> None:
    page = review(market)
    old, total = page.url, won(page.locator("#total").text_content())
    market.site.clock.forward(minutes=16)
    offers.publish(market.site.ex, market.seller, "lanes", rate_card={**RATES, "lane_km": 9000}, licence="research")
    page.click("#pay")
    page.wait_for_url(lambda url: "/quotes/" in url and url != old)
    ready(page)
    assert orders.of(market.site.ex, market.buyer).orders == []
    assert won(page.locator("#total-before").text_content()) == total < won(page.locator("#total").text_content())
    row = page.locator("#compared tr.differs")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("₩6,300")
    expect(row).to_contain_text("₩9,000")
    new = won(page.locator("#total").text_content())
    pay(page)
    assert [one.total for one in orders.of(market.site.ex, market.buyer).orders] == [new]


def test_the_clock_runs_out_before_the_eyes_of_the_reader(market: Market) -> None:
    page = review(market)
    market.site.clock.forward(minutes=14.95)
    page.reload()
    ready(page)
    expect(page.locator("#left")).to_have_text(re.compile(r"0:0\d"))
    expect(page.locator("#expired")).to_contain_text("no longer held")
    expect(page.locator("#pay")).to_be_hidden()
    page.click("#again")
    expect(page.locator("#compared")).to_contain_text("same as before")
    ready(page)  # its script too
    pay(page)
    assert len(orders.of(market.site.ex, market.buyer).orders) == 1


def test_a_price_list_changed_meanwhile_is_shown_before_it_is_paid(market: Market) -> None:
    page = review(market)
    old = page.url
    offers.publish(market.site.ex, market.seller, "lanes", rate_card={**RATES, "lane_km": 9000}, licence="research")
    page.click("#pay")
    page.wait_for_url(lambda url: "/quotes/" in url and url != old)
    expect(page.locator("#compared")).to_contain_text("Nothing was paid")
    assert orders.of(market.site.ex, market.buyer).orders == []


def test_two_tabs_buy_the_same_tiles_once(market: Market) -> None:
    first, second = review(market), review(market)
    order = pay(first)
    second.click("#pay")
    second.wait_for_selector("#compared")
    assert won(second.locator("#total").text_content()) == 0
    second.click("#holding a")
    second.wait_for_url(f"**/orders/{order}")
    assert len(orders.of(market.site.ex, market.buyer).orders) == 1


def test_the_same_quote_in_two_tabs_is_one_order(market: Market) -> None:
    first = review(market)
    second = first.context.new_page()
    second.goto(first.url)
    ready(second)
    order = pay(first)
    assert pay(second) == order
    second.goto(f"{market.site.url}/quotes/{orders.get(market.site.ex, market.buyer, order).quote_id}")
    expect(second.locator("main")).to_contain_text("bought already")


def test_an_answer_lost_after_the_payment_finds_the_order(market: Market) -> None:
    page = review(market)
    lost: list[str] = []

    def lose(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().json()["id"])
        route.abort()

    page.route("**/api/v1/orders", lose)
    assert pay(page) == lost[0]
    assert [one.id for one in orders.of(market.site.ex, market.buyer).orders] == lost


def test_a_server_that_stays_away_while_paying_is_reported_and_paying_again_is_safe(market: Market) -> None:
    page = review(market)
    page.route("**/api/v1/orders", lambda route: route.abort())
    page.click("#pay")
    expect(page.locator("#problem")).to_contain_text("Press Pay again")
    assert orders.of(market.site.ex, market.buyer).orders == []
    page.unroute("**/api/v1/orders")
    pay(page)
    assert len(orders.of(market.site.ex, market.buyer).orders) == 1


def test_the_language_switched_in_the_middle_keeps_quote_clock_and_choices(market: Market) -> None:
    mate = market.site.person("mate@dongil.example", "dongil")
    page = review(market)
    total = page.locator("#total").text_content()
    page.check("[name=users][value=some]")
    page.check(f"[name=person][value='{mate.email}']")
    held = page.locator("#held b").text_content()
    page.click(".who a[hreflang=ko]")
    ready(page)
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.locator("h1")).to_have_text("주문 확인")
    assert (page.locator("#total").text_content(), page.locator("#held b").text_content()) == (total, held)
    expect(page.locator(f"[name=person][value='{mate.email}']")).to_be_checked()
    order = pay(page)
    assert list(named_users.of_order(market.site.ex, market.buyer, order)) == [mate.email]
    page.click("#download")
    expect(page.locator("#problem")).to_contain_text("지정된 사용자만")


def test_another_purpose_is_another_quote(market: Market) -> None:
    page = review(market)
    old = page.url
    page.select_option("#purpose", "simulation")
    page.wait_for_url(lambda url: "/quotes/" in url and url != old)
    ready(page)
    expect(page.locator("#purpose")).to_have_value("simulation")
    old = page.url
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/renew", hold)
    page.select_option("#purpose", "map_production")
    expect(page.locator("#pay")).to_be_disabled()  # what is on the page is not what was asked for last
    until(page, lambda: bool(held))
    held[0].continue_()
    page.wait_for_url(lambda url: "/quotes/" in url and url != old)
    ready(page)
    page.wait_for_selector("#compared")
    order = pay(page)
    assert orders.get(market.site.ex, market.buyer, order).purpose == "map_production"


def test_changed_terms_are_shown_since_the_last_order(market: Market) -> None:
    page = review(market)
    pay(page)
    offers.publish(
        market.site.ex, market.seller, "lanes", rate_card={**RATES, "lane_km": 7000}, licence="share_alike", attribution="Hanbit Maps Inc."
    )
    again = review(market)
    terms = again.locator(".terms[data-dataset=lanes]")
    for words in ("Research", "Share alike", "Hanbit Maps Inc.", "₩6,300", "₩7,000", "may be passed on and published"):
        expect(terms).to_contain_text(words)
    expect(again.locator("#same")).to_contain_text("are the same as in your last order: walks")


def test_every_download_appears_in_audit(market: Market, tmp_path: Path) -> None:
    market.site.person("auditor@audit.example", role="auditor")
    page = review(market)
    pay(page)
    auditor = market.site.visit("auditor@audit.example")
    files = archive_of(page, tmp_path / "order.zip")
    table = auditor.context.request.get(f"{market.site.url}/api/v1/audit/events?action=access.granted&limit=100").json()
    seen = {event["details"]["sha256"]: event for event in table["events"]}
    assert set(seen) == {file["sha256"] for file in files}
    assert {event["person"] for event in seen.values()} == {BUYER}


def test_updates_of_owned_tiles_are_one_click_away(market: Market, tmp_path: Path) -> None:
    page = review(market, tiles=8)
    order = pay(page)
    publish_changed(market, keep=len(market.cells) - 3)
    market.site.open(page, "/orders")
    expect(page.locator(f"[data-order={order}] .newer")).to_contain_text("Newer versions: 3 of your 16 tiles ₩")
    cost = won(page.locator(f"[data-order={order}] .cost").text_content())
    page.click(".newer")
    ready(page)
    expect(page.locator("#updates")).to_contain_text("Newer versions: 3 of your 16 tiles")
    page.click("[data-update=changed]")
    page.wait_for_url("**/quotes/*")
    ready(page)
    expect(page.locator("#files-count")).to_have_text("3 files")
    assert won(page.locator("#total").text_content()) == cost > 0
    newer = pay(page)
    assert len(archive_of(page, tmp_path / "update.zip")) == 3
    assert orders.get(market.site.ex, market.buyer, newer).total == cost
    market.site.open(page, f"/orders/{order}")
    expect(page.locator("#updates")).to_have_count(0)


def test_a_store_that_is_away_keeps_what_is_verified_and_goes_on(market: Market, tmp_path: Path) -> None:
    page = review(market, tiles=8)
    pay(page)
    asked: list[str] = []

    def fail(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_() if len(asked) <= 6 else route.abort()

    page.route("**/store/**", fail)
    page.click("#download")
    expect(page.locator("#problem")).to_contain_text("The store does not answer. Files verified and kept on this page: 6 of 16.")
    page.unroute("**/store/**")
    got: list[str] = []
    page.on("request", lambda request: got.append(request.url) if "/store/" in request.url else None)
    with page.expect_download() as coming:
        page.click("#retry")
    coming.value.save_as(tmp_path / "order.zip")
    assert len(checked(tmp_path / "order.zip")) == 16
    assert len(got) == 10, "what was verified is not fetched again"


def test_wrong_bytes_are_refused_and_the_file_can_be_fetched_again(market: Market, tmp_path: Path) -> None:
    page = review(market)
    pay(page)
    page.route("**/store/**", lambda route: route.fulfill(body="not what was sold"))
    page.click("#download")
    expect(page.locator("#problem")).to_contain_text("did not arrive as it was sold")
    expect(page.locator("#problem")).to_contain_text("kept on this page: 0 of 4.")
    page.unroute("**/store/**")
    with page.expect_download() as coming:
        page.click("#retry")
    coming.value.save_as(tmp_path / "order.zip")
    assert len(checked(tmp_path / "order.zip")) == 4


def test_a_download_is_stopped_and_goes_on(market: Market) -> None:
    page = review(market, tiles=8)
    pay(page)
    page.route("**/store/**", lambda route: None)  # never answered
    page.click("#download")
    page.click("#stop")
    expect(page.locator("#problem")).to_contain_text("Stopped. Files verified and kept on this page: 0 of 16.")
    page.unroute("**/store/**")
    with page.expect_download():
        page.click("#retry")


def test_a_layer_or_single_files_download_alone(market: Market, tmp_path: Path) -> None:
    page = review(market)
    pay(page)
    page.check("#layers input[data-layer^=walks]")
    expect(page.locator("#summary")).to_contain_text("2 files")
    assert {file["dataset"] for file in archive_of(page, tmp_path / "layer.zip")} == {"walks"}
    page.uncheck("#layers input[data-layer^=walks]")
    page.click("details.files summary")
    page.locator("#files input").first.check()
    assert len(archive_of(page, tmp_path / "one.zip")) == 1


PICKER = """window.showSaveFilePicker = async () => {
  const folder = await navigator.storage.getDirectory();
  return folder.getFileHandle("order.zip", { create: true });
};"""
MODULE = """(name) => document.querySelector("script[type=module][src*='/order.js']").src.replace("order.js", name)"""
WRITTEN = """async ([address, crc]) => {
  const { archiveTo, LARGE } = await import(address);
  const sink = await archiveTo(LARGE + 1, "order.zip");
  const body = new Blob(["lanes"]);
  const tiles = [1, 2].map((n) => ({ id: `e${n}`, path: `lanes/${n}.parquet`, licence: "research" }));
  await Promise.all(tiles.map((tile) => sink.take({ tile, path: tile.path, size: 5, crc, body })));
  await sink.end(tiles);
  const file = await (await (await navigator.storage.getDirectory()).getFileHandle("order.zip")).getFile();
  return [...new Uint8Array(await file.arrayBuffer())];
}"""


def test_a_large_archive_is_written_straight_to_a_file(market: Market) -> None:
    page = review(market, tiles=1)
    page.add_init_script(PICKER)
    pay(page)
    raw = bytes(page.evaluate(WRITTEN, [page.evaluate(MODULE, "save.js"), zlib.crc32(b"lanes")]))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        tiles = [name for name in archive.namelist() if not name.endswith(".txt")]
        assert sorted(tiles) == ["_manifest.json", "lanes/1.parquet", "lanes/2.parquet"]
        assert archive.read("lanes/2.parquet") == b"lanes"


ZIP64 = """async ([address, crc]) => {
  const { Archive } = await import(address);
  const parts = [];
  const archive = new Archive((part) => void parts.push(part), 100);
  for (const n of [1, 2, 3]) await archive.add({ path: `${n}.txt`, size: 60, crc, body: new Blob(["a".repeat(60)]) });
  await archive.end();
  return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
}"""


def test_archives_beyond_four_gigabytes_have_the_records_for_it(market: Market) -> None:
    page = review(market, tiles=1)
    pay(page)
    raw = bytes(
        page.evaluate(ZIP64, [page.evaluate(MODULE, "zip.js"), zlib.crc32(b"a" * 60)])
    )  # the same code, with the limit at 100 bytes
    assert b"PK\x06\x06" in raw
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None and archive.namelist() == ["1.txt", "2.txt", "3.txt"]


def test_orders_are_filtered_in_the_address_and_leave_as_a_table(market: Market) -> None:
    page = market.site.visit(BUYER)
    market.site.open(page, "/orders")
    expect(page.locator(".empty")).to_contain_text("Nothing was bought yet")
    bought = review(market)
    bought.fill("#name", "=1+1")
    bought.press("#name", "Tab")
    expect(bought.locator("#name-status")).to_have_text("Saved")
    order = pay(bought)
    market.site.open(page, "/orders")
    page.select_option("[name=purpose]", "simulation")
    page.click(".filter button")
    page.wait_for_url("**/orders?purpose=simulation*")
    expect(page.locator(".empty")).to_contain_text("No order is like that")
    page.click(".empty a")
    expect(page.locator("#orders tbody tr")).to_have_count(1)
    table = page.context.request.get(f"{market.site.url}/orders.csv?dataset=lanes")
    rows = list(csv.DictReader(io.StringIO(table.body().decode("utf-8-sig"))))
    assert [row["order"] for row in rows] == [order, order]
    assert {row["area"] for row in rows} == {"'=1+1"}
    total = orders.get(market.site.ex, market.buyer, order)
    assert sum(int(row["amount"]) for row in rows) == total.subtotal and {row["order_total"] for row in rows} == {str(total.total)}


def test_the_receipt_names_both_sides_and_adds_up(market: Market) -> None:
    page = review(market)
    order = pay(page)
    page.click("text=Receipt to print")
    page.wait_for_url(f"**/orders/{order}/receipt")
    ready(page)
    expect(page.locator("main")).to_contain_text("hanbit")
    expect(page.locator("main")).to_contain_text("dongil")
    amounts = [won(text) for text in page.locator("tbody td:last-child").all_text_contents()]
    made = orders.get(market.site.ex, market.buyer, order)
    assert sum(amounts) == made.subtotal and won(page.locator("#total").text_content()) == made.total
    page.emulate_media(media="print")
    expect(page.locator(".top")).to_be_hidden()


def test_users_named_on_the_order_page_are_a_rule(market: Market) -> None:
    mate = market.site.person("mate@dongil.example", "dongil")
    page = review(market)
    order = pay(page)
    page.check("[name=users][value=some]")
    page.check(f"[name=person][value='{mate.email}']")
    expect(page.locator("#users-status")).to_have_text("Saved")
    page.click("#download")
    expect(page.locator("#problem")).to_contain_text("you are not among them")
    other = market.site.visit(mate.email)
    market.site.open(other, f"/orders/{order}")
    with other.expect_download():
        other.click("#download")


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
        manifest = json.loads(archive.read("_manifest.json"))
        assert len(manifest["files"]) == 4
        for file in manifest["files"]:
            body = archive.read(file["path"])
            assert hashlib.sha256(body).hexdigest() == file["sha256"] and len(body) == file["size"]
            assert file["licence"] in ("research", "commercial") and file["attribution"]
    log = audit_log.events(market.site.ex, market.buyer, audit_log.EventFilter(action="access.granted"), limit=100)
    assert len(log.events) == 4


def test_one_file_downloads_as_itself(market: Market) -> None:
    page = review(market, tiles=1)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    ready(page)
    page.click("details.files summary")
    with page.expect_download() as coming:
        page.locator("#files button").first.click()
    assert coming.value.suggested_filename.endswith(".parquet")


def test_original_footage_is_bound_to_a_secret_of_the_page(market: Market) -> None:
    a_permit(market.site.ex, "dongil")
    page = review(market, tiles=1)
    page.check(f"[name=person][value='{BUYER}']")
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


def test_too_small_a_balance_is_reported_and_nothing_is_sold(market: Market) -> None:
    poor = market.site.person("buyer@nuri.example", "nuri")
    page = market.site.visit("buyer@nuri.example")
    page.goto("about:blank")
    page.goto(f"{market.site.url}/explore#t={grid.quadkey(SEOUL)}")
    ready(page)
    page.select_option("#purpose", "research")
    page.click("#review")
    page.wait_for_url("**/quotes/*")
    ready(page)
    expect(page.locator("#short")).to_contain_text("is missing. Ask the operator")
    expect(page.locator("#pay")).to_have_count(0)
    assert orders.of(market.site.ex, poor).orders == []


def test_bought_tiles_cost_nothing_again(market: Market) -> None:
    page = review(market)
    page.click("#pay")
    page.wait_for_url("**/orders/*")
    again = review(market)
    assert won(again.locator("#total").text_content()) == 0
    expect(again.locator(".lines").first).to_contain_text("already yours")


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
