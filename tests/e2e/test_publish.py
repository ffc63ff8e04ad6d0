"""Price and publication, sales, recall: as the seller, the buyer and a visitor see it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, select, update

from mapex.database import db, schema
from mapex.errors import Invalid
from mapex.offers import offers, sales
from mapex.orders import ledger, orders
from mapex.prices import estimates, quotes
from mapex.prices.request import of_area
from tests.support.browser import Market, Site, map_idle, ready, won
from tests.support.market import a_draft, a_layer, area, block
from tiles.batch import LayerKind, Quantities
from tiles.grid import grid

SELLER, BUYER = "maps@hanbit.example", "buyer@dongil.example"


def terms(site: Site, slug: str, number: int, *, lang: str = "en", size: tuple[int, int] = (1440, 900)) -> Page:
    page = site.visit(SELLER, lang=lang, size=size)
    site.open(page, f"/sell/{slug}/{number}/publish")
    return page


def buy(market: Market, cells: list[int], key: str) -> orders.Order:
    held = quotes.quote(market.site.ex, market.buyer, of_area(area(cells), purpose="research", dataset="lanes"))
    return orders.place(market.site.ex, market.buyer, held.id, key)


def counts(page: Page, layer: str) -> list[int]:
    return [
        won(page.locator(f"tr[data-layer={layer}] [data-count={what}]").text_content())
        for what in ("added", "changed", "removed", "unchanged")
    ]


def test_publish_then_visible(market: Market) -> None:
    site = market.site
    other = site.visit()
    site.open(other, "/explore")
    expect(other.locator("[name=kind][value=pointcloud]")).to_have_count(0)

    before, after = block(4), block(4, grid.morton(55_885, 25_379))  # two of four rows in common
    a_draft(site.ex, market.seller, "cloud", [a_layer(before, name="cloud", kind=LayerKind.POINTCLOUD, each=Quantities(points=7_654_321))])
    page = terms(site, "cloud", 1)
    map_idle(page)
    assert counts(page, "cloud") == [16, 0, 0, 0]
    page.fill("[name=million_points]", "4000")
    expect(page.locator("#median")).to_contain_text("₩")
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")
    expect(page.locator("#on-sale a")).to_be_visible()
    other.reload()
    ready(other)
    expect(other.locator("[name=kind][value=pointcloud]")).to_be_visible()

    layer = a_layer(after, name="cloud", kind=LayerKind.POINTCLOUD, each=Quantities(points=7_654_321))
    layer.parts = {**layer.parts, after[0]: ["other content"]}
    a_draft(site.ex, market.seller, "cloud", [layer])
    site.open(page, "/sell/cloud/2/publish")
    map_idle(page)
    assert counts(page, "cloud") == [8, 1, 8, 7]
    expect(page.locator("aside h2").first).to_contain_text("version 1")
    assert page.input_value("[name=million_points]") == "4000"  # the last rate card
    answer = page.request.get(f"{site.url}/api/v1/datasets/cloud/versions/2/changes").json()["layers"]["cloud"]
    assert answer["changed"] == [grid.quadkey(after[0])]
    assert set(answer["removed"]) == {grid.quadkey(cell) for cell in set(before) - set(after)}

    page.click("[data-square=median]")
    shown = page.locator("html").get_attribute("data-shown")
    assert shown is not None
    cell, zoom = grid.cell_from_quadkey(shown)
    km2 = float(grid.area_m2(np.array([cell], np.uint64), zoom)[0]) / 1e6
    low, high = grid.children(cell, zoom, grid.ZOOM)
    expected = won(page.locator("#median").text_content())
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")
    asked = estimates.estimate(site.ex, market.buyer, of_area(area(list(range(low, high))), purpose="research", dataset="cloud"))
    assert abs(asked.total / km2 - expected) <= 3 < expected, "a typical km2 is 1 km2 of what the square has, to the won of each line"


def test_double_click_publish_once(market: Market) -> None:
    a_draft(market.site.ex, market.seller, "more", [a_layer(block(3))])
    page = terms(market.site, "more", 1)
    page.fill("[name=lane_km]", "6300")
    page.dblclick("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")
    ready(page)
    with db.read(market.site.ex) as conn:
        row = schema.audit_event.c
        done = conn.execute(select(row.seq).where(row.action == "offer.published", row.dataset == "more")).all()
    assert len(done) == 1


def test_what_updates_cost_is_chosen_and_wrong_months_are_refused_beside_their_field(market: Market) -> None:
    a_draft(market.site.ex, market.seller, "more", [a_layer(block(3))])
    page = terms(market.site, "more", 1)
    expect(page.locator("[name=updates][value=paid]")).to_be_checked()
    page.fill("[name=lane_km]", "6300")
    page.fill("[name=months]", "37")
    expect(page.locator("[name=updates][value=free]")).to_be_checked()
    page.click("#publish button.primary")
    expect(page.locator("#problem-months")).to_contain_text("1 to 36 months")
    expect(page.locator("[name=months]")).to_have_attribute("aria-invalid", "true")
    page.check("[name=updates][value=difference]")
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")
    ready(page)
    expect(page.locator("[name=updates][value=difference]")).to_be_checked()
    made = offers.latest(market.site.ex, market.seller, "more")
    assert made is not None and made.updates == "difference"


@pytest.mark.parametrize(
    ("typed", "is_fine"), [("0", True), ("12.5", False), ("-3", False), ("99999999999", False), ("free", False), ("6,300", True)]
)
def test_prices_are_refused_in_words_beside_their_field(market: Market, typed: str, is_fine: bool) -> None:
    a_draft(market.site.ex, market.seller, "more", [a_layer(block(3))])
    page = terms(market.site, "more", 1)
    page.fill("[name=lane_km]", typed)
    page.click("#publish button.primary")
    if is_fine:
        page.wait_for_selector("#terms[data-state=published]")
        return
    problem = page.locator("#problem-lane_km")
    expect(problem).to_contain_text("whole number of won")
    expect(page.locator("[name=lane_km]")).to_have_attribute("aria-invalid", "true")
    page.fill("[name=lane_km]", "6300")
    expect(problem).to_be_hidden()
    expect(page.locator("#publish button.primary")).to_be_enabled()
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")


def test_a_jump_is_shown_with_its_length_and_price_and_answered_before_it_is_sold(market: Market) -> None:
    site = market.site
    number = a_draft(site.ex, market.seller, "typo", [a_layer(block(3))])
    with site.ex.engine.begin() as conn:
        version = schema.dataset_version.c
        version_id = conn.execute(
            select(version.id).join(schema.dataset).where(schema.dataset.c.slug == "typo", version.number == number)
        ).scalar_one()
        texts = {
            "file": "map.geojson",
            "layer": "hdmap",
            "feature": "r20",
            "value": "177000 m",
            "message": "Far away.",
            "fix": "Correct it.",
        }
        where = {"ordinal": 0, "severity": "question", "code": "geometry.jump", "lon": 126.1, "lat": 37.4, "count": 1}
        conn.execute(insert(schema.finding).values(id="fin_1", version_id=version_id, **texts, **where))
    page = terms(site, "typo", number)
    map_idle(page)
    page.fill("[name=lane_km]", "6300")
    expect(page.locator(".questions [data-metres]")).to_have_text("177 km = ₩1,115,100")
    page.click(".questions [data-lon]")
    expect(page.locator("html")).to_have_attribute("data-shown", "126.100000,37.400000")
    page.click("#publish button.primary")
    problem = page.locator("[data-problem='confirmed-geometry.jump']")
    expect(problem).to_have_attribute("data-code", "version.unanswered")
    page.check(".questions [name=confirmed]")
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")
    expect(page.locator(".questions")).to_have_count(0)


TITLES = {
    "markup": "<img src=x onerror=alert(1)><b>Seoul</b>",
    "right to left": "خريطة \u202eسيول الدقيقة",
    "long": "서울특별시정밀도로지도" * 18 + "서울",
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
def test_a_title_is_only_ever_text(market: Market, title: str) -> None:
    with market.site.ex.engine.begin() as conn:
        conn.execute(update(schema.dataset).where(schema.dataset.c.slug == "lanes").values(title=title))
    page = terms(market.site, "lanes", 1, lang="ko", size=(390, 844))
    for path in ("/sell/lanes/1/publish", "/sell/lanes/1", "/sell"):
        market.site.open(page, path)
        assert title in str(page.locator("main").text_content())
        assert page.locator("main img").count() == 0
        assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


def test_sales_visible(market: Market) -> None:
    site = market.site
    first = buy(market, market.cells[:3], "one")
    page = site.visit(SELLER)
    site.open(page, "/sell")
    assert won(page.locator("#sold-amount").text_content()) == first.subtotal > 0
    second = buy(market, market.cells[:5], "two")
    elsewhere = block(2, grid.morton(56_900, 25_000))
    with pytest.raises(Invalid):
        quotes.quote(site.ex, market.buyer, of_area(area(elsewhere), purpose="research"))
    with db.begin(site.ex) as conn:  # three firms did so a while ago: a single question, and one of this month, is not shown
        conn.execute(update(schema.demand).values(month="2020-01", count=3, firms=3))
    page.reload()
    ready(page)
    earned = first.subtotal + second.subtotal
    assert won(page.locator("#sold-amount").text_content()) == earned == sum(one.amount for one in sales.by_month(site.ex, market.seller))
    assert won(page.locator("#sold-orders").text_content()) == 2
    assert won(page.locator("#sold-tiles").text_content()) == 5
    assert won(page.locator("#balance").text_content()) == ledger.wallet(site.ex, market.seller).balance
    page.locator("#demand > details").evaluate("one => one.open = true")
    expect(page.locator("#demand tbody tr")).to_have_count(1)
    assert page.locator("#demand tbody code").text_content() == grid.quadkey(elsewhere[0])[:14]
    table = page.request.get(f"{site.url}/api/v1/wallet/statement.csv").text()
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
    assert sum(int(row["amount_krw"]) for row in rows) == int(rows[-1]["balance_krw"]) == earned
    for text in (table, str(page.locator("main").text_content())):
        assert "dongil" not in text and "buyer@" not in text and first.id not in text


def test_a_recall_is_announced_to_its_holders(market: Market) -> None:
    site = market.site
    order = buy(market, market.cells[:3], "one")
    page = terms(site, "lanes", 1)
    page.click("#recall summary")
    expect(page.locator("#holders")).to_have_attribute("data-holders", "1")
    expect(page.locator("#recall-now")).to_be_disabled()
    page.check("#recall-sure")
    page.click("#recall-now")
    page.wait_for_selector("#terms[data-state=recalled]")
    expect(page.locator("#recall")).to_have_count(0)
    holder = site.visit(BUYER)
    site.open(holder, f"/orders/{order.id}")
    expect(holder.locator(".recalled")).to_contain_text("lanes was recalled")
