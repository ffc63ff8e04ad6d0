"""What a version changes, and the review of footage: as the seller, the buyer, the operator and the auditor see them."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from mapex.offers import offers
from mapex.orders import orders
from mapex.prices import quotes
from mapex.prices.request import of_area
from tests.support.browser import Market, map_idle, ready
from tests.support.exchange import square
from tests.support.market import a_draft, a_layer, block
from tests.support.uploads import a_map, ingest
from tiles.batch import LayerKind, Quantities
from tiles.grid.region import Region

SELLER, BUYER = "maps@hanbit.example", "buyer@dongil.example"
AUDITOR, OPERATOR = "auditor@audit.example", "operator@mapex.example"


def shifted(metres: float) -> bytes:
    """The map of 40 sidewalks, moved north."""
    document = json.loads(a_map(40))
    for feature in document["features"]:
        for place in feature["geometry"]["coordinates"]:
            place[1] += metres / 111_000
    return json.dumps(document).encode()


def test_the_accuracy_that_a_seller_chooses_decides_what_buyers_are_offered_again(market: Market) -> None:
    site = market.site
    ingest(site.ex, {"walks.geojson": a_map(40)}, by=market.seller, slug="paths")
    offers.publish(site.ex, market.seller, "paths", rate_card={"footway_km": 2900}, licence="research")
    region = Region.from_geojson(square(126.9, 37.4, 127.1, 37.6))
    held = quotes.quote(site.ex, market.buyer, of_area(region, purpose="research", dataset="hanbit/paths"))
    order = orders.place(site.ex, market.buyer, held.id, "key")
    ingest(site.ex, {"walks.geojson": shifted(0.5)}, by=market.seller, slug="paths")

    page = site.visit(SELLER)
    site.open(page, "/sell/paths/2/publish")
    moved, outdated = page.locator("[data-moved]"), page.locator("[data-outdated]")
    expect(moved).to_have_text("40")
    expect(outdated).to_contain_text(f"{held.estimate.tiles} tiles")
    page.select_option("[data-accuracy]", label="1 m")
    expect(moved).to_have_text("0")
    expect(page.locator("[data-unchanged]")).to_have_text("40")
    expect(outdated).to_contain_text("0 tiles")
    page.click("#publish button.primary")
    page.wait_for_selector("#terms[data-state=published]")

    buyer = site.visit(BUYER, size=(390, 844))
    site.open(buyer, f"/orders/{order.id}")
    expect(buyer.locator("#within")).to_contain_text(f"{held.estimate.tiles} tiles differ below the stated accuracy")
    expect(buyer.locator("[data-update]")).to_have_count(0)
    site.open(buyer, "/datasets/hanbit/paths")
    expect(buyer.locator("#changes")).to_contain_text("since version 1")


def test_footage_is_reviewed_from_the_request_to_what_a_buyer_sees(market: Market) -> None:
    site = market.site
    site.person(AUDITOR, role="auditor")
    site.person(OPERATOR, role="operator")
    each = Quantities(frames=10, features=10)
    layer = a_layer(block(1), name="recording", handling_class="original", kind=LayerKind.RECORDING, each=each, about={"footage": True})
    a_draft(site.ex, market.seller, "drives", [layer])

    page = site.visit(SELLER, lang="ko", size=(390, 844))
    site.open(page, "/sell/drives/1")
    page.fill("[name=method]", "얼굴과 번호판 흐림 처리")
    page.fill("[name=tool]", "blur 2.1")
    page.fill("[name=sample]", "500")
    page.fill("[name=statement]", "500장에서 개인을 알아볼 수 없음")
    page.set_input_files("[name=document]", {"name": "report.pdf", "mimeType": "application/pdf", "buffer": b"%PDF report"})
    page.click("[data-asks-review] button")
    page.wait_for_selector("[data-review] .chip.requested")

    operator = site.visit(OPERATOR)
    site.open(operator, "/audit/reviews")
    operator.click("[data-begin]")
    operator.wait_for_selector("[data-review][data-state=under_review]")
    ready(operator)
    with operator.expect_download() as download:
        operator.click("[data-look]")
    assert download.value.suggested_filename.startswith("drives-recording-")
    operator.fill("[name=reviewers]", "Lee, Privacy Institute\nPark, University")
    operator.fill("[name=residual_risk]", "Gait may be recognised.")
    operator.fill("[name=valid_to]", "2030-01-01")
    operator.click("[data-decides] button.primary")
    expect(operator.locator("[data-decides] [data-problem]")).to_contain_text("every criterion")
    for box in operator.locator("[name=criteria]").all():
        box.check()
    operator.click("[data-decides] button.primary")
    operator.wait_for_selector("[data-review][data-state=accepted]")

    auditor = site.visit(AUDITOR, lang="ko")
    site.open(auditor, "/audit/reviews")
    expect(auditor.locator("[data-review]")).to_contain_text("Privacy Institute")
    expect(auditor.locator("[data-begin], [data-decides]")).to_have_count(0)

    offers.publish(site.ex, market.seller, "drives", rate_card={"frame": 20}, licence="research")
    buyer = site.visit(BUYER)
    site.open(buyer, "/datasets/hanbit/drives")
    map_idle(buyer)
    expect(buyer.locator("[data-reviewed]")).to_contain_text("Privacy Institute, University")
