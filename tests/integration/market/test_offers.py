"""Publishing, searching and pricing, on SQLite and PostgreSQL."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import func, insert, select, text

from mapex import ids
from mapex.audit import log
from mapex.database import schema
from mapex.database.schema import metadata
from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.offers.search import listings
from mapex.orders import orders
from mapex.people import orgs
from mapex.prices import estimates, quotes
from mapex.prices.estimate import document
from mapex.prices.request import of_area
from mapex.rights import entitlements
from mapex.rules.choice import Choice
from mapex.rules.licences import SOURCE_FINDING
from mapex.rules.pricing import Unit, amount_of
from tests.support.exchange import a_person
from tests.support.market import EVERYWHERE, RATES, SEOUL, a_draft, a_layer, a_market, a_permit, area, block
from tiles.batch import LayerKind, Quantities
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.region import Region
from tiles.grid.scan import cover


def counts(ex: Exchange) -> dict[str, int]:
    """Rows of every table."""
    with ex.engine.connect() as conn:
        return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables}


def pyramid_rows(ex: Exchange, table: str = "tile_sum") -> list[tuple[int, int]]:
    with ex.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(f"SELECT z, SUM(cells) FROM {table} GROUP BY z ORDER BY z"))]  # type: ignore[misc]


def test_estimate_prices_the_tiles_of_a_region(exchange: Exchange) -> None:
    market = a_market(exchange)
    found = estimates.estimate(exchange, market.buyer, of_area(area(market.cells)))
    small = 16 * 1_234_567
    [line] = found.lines
    assert (line.dataset, line.org, line.layer, line.kind, line.unit) == ("streets", "hanbit", "hdmap", "hdmap", "lane_km")
    assert (line.small, line.rate, line.amount) == (small, 6300, amount_of(Unit.LANE_KM, small, 6300))
    assert (found.tiles, line.tiles, line.owned_tiles) == (16, 16, 0)
    assert (found.subtotal, found.vat, found.total) == (124_444, 12_444, 136_888)


def test_estimate_of_a_part_counts_only_its_tiles(exchange: Exchange) -> None:
    market = a_market(exchange)
    part = [*market.cells[:3], SEOUL - 1000]
    assert estimates.estimate(exchange, market.buyer, of_area(area(part))).tiles == 3


def test_estimate_of_a_polygon_and_of_its_cells_is_the_same(exchange: Exchange) -> None:
    market = a_market(exchange)
    region = Region.from_bbox(126.9, 37.5, 127.1, 37.6)
    from tiles.grid.scan import cover

    by_region = estimates.estimate(exchange, market.buyer, of_area(region))
    by_cells = estimates.estimate(exchange, market.buyer, of_area(cover(region)))
    assert by_region.lines == by_cells.lines
    assert by_region.area_m2 < by_cells.area_m2


def test_estimate_and_search_store_nothing(exchange: Exchange) -> None:
    market = a_market(exchange)
    before = counts(exchange)
    estimates.estimate(exchange, market.buyer, of_area(area(market.cells)))
    listings(exchange, market.buyer, of_area(area(market.cells)))
    assert counts(exchange) == before


def test_own_offers_are_left_out(exchange: Exchange) -> None:
    market = a_market(exchange)
    found = estimates.estimate(exchange, market.seller, of_area(area(market.cells)))
    assert (found.lines, found.total) == ((), 0)
    [listing] = listings(exchange, market.seller, of_area(area(market.cells)))
    assert listing.is_own


def test_layers_and_dataset_narrow_what_is_priced(exchange: Exchange) -> None:
    cells = block()
    layers = [a_layer(cells), a_layer(cells, name="points", kind=LayerKind.POINTCLOUD, each=Quantities(points=5_000_000))]
    market = a_market(exchange, layers=layers)
    a_draft(exchange, market.seller, "other", [a_layer(cells)])
    offers.publish(exchange, market.seller, "other", rate_card={"lane_km": 1}, licence="commercial")

    def lines(**wanted: object) -> set[tuple[str, str]]:
        return {(line.dataset, line.layer) for line in estimates.estimate(exchange, market.buyer, of_area(area(cells), **wanted)).lines}

    assert lines() == {("other", "hdmap"), ("streets", "points")}  # of two that sell the same lanes, the cheaper one
    assert lines(layers=["points"]) == lines(layers=["pointcloud"]) == {("streets", "points")}
    assert lines(dataset="other") == lines(dataset="hanbit/other") == {("other", "hdmap")}
    with pytest.raises(NotFound) as caught:
        lines(dataset="absent")
    assert caught.value.code == "dataset.unknown"


def test_a_draft_is_neither_found_nor_priced_nor_distinguished_from_an_absent_one(exchange: Exchange) -> None:
    market = a_market(exchange)
    a_draft(exchange, market.seller, "secret", [a_layer(market.cells)])
    assert {line.dataset for line in estimates.estimate(exchange, market.buyer, of_area(area(market.cells))).lines} == {"streets"}
    messages = []
    for name in ("secret", "absent"):
        with pytest.raises(NotFound) as caught:
            quotes.quote(exchange, market.buyer, of_area(area(market.cells), purpose="research", dataset=name))
        messages.append(caught.value.message.replace(name, "NAME"))
    assert messages[0] == messages[1]


def test_a_purpose_outside_the_licence_is_a_refusal_not_a_price(exchange: Exchange) -> None:
    market = a_market(exchange)
    found = estimates.estimate(exchange, market.buyer, of_area(area(market.cells), purpose="perception_training"))
    assert found.lines == ()
    assert [(r.code, r.tiles) for r in found.refusals] == [("licence.purpose", 16)]


def test_an_unknown_purpose_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    with pytest.raises(Invalid) as caught:
        estimates.estimate(exchange, market.buyer, of_area(area(market.cells), purpose="fun"))
    assert caught.value.code == "purpose.unknown"


def test_original_footage_without_permit_is_a_refusal(exchange: Exchange) -> None:
    cells = block()
    layers = [a_layer(cells), a_layer(cells, name="photos", handling_class="original", kind=LayerKind.PHOTOS, each=Quantities(frames=3))]
    market = a_market(exchange, layers=layers)
    found = estimates.estimate(exchange, market.buyer, of_area(area(cells)))
    assert {line.layer for line in found.lines} == {"hdmap"}
    assert [(r.code, r.layer, r.tiles) for r in found.refusals] == [("permit.missing", "photos", 16)]
    a_permit(exchange)
    named = Choice(frozenset({"hanbit/streets/photos"}))
    found = estimates.estimate(exchange, market.buyer, of_area(area(cells), choice=named))
    assert {line.layer for line in found.lines} == {"hdmap", "photos"}
    assert found.refusals == ()


def test_a_permit_for_half_of_the_area_prices_half_and_refuses_half(exchange: Exchange) -> None:
    cells = block()
    market = a_market(exchange, layers=[a_layer(cells, name="photos", handling_class="original", kind=LayerKind.PHOTOS)])
    west = Region.from_bbox(126.0, 37.0, 127.0, 38.0)
    from tiles.grid.scan import cover

    inside = int(cover(west).contains(area(cells).cells()).sum())
    a_permit(exchange, area=west.geojson)
    [row] = estimates.estimate(exchange, market.buyer, of_area(area(cells), purpose="research")).offers
    assert (row.is_chosen, row.lines[0].tiles + row.refused[0].tiles) == (False, 16)
    named = Choice(frozenset({"hanbit/streets"}), only=True), Choice(frozenset({row.name}))
    nothing, found = (estimates.estimate(exchange, market.buyer, of_area(area(cells), purpose="research", choice=one)) for one in named)
    assert (nothing.lines, nothing.refusals) == ((), ())
    priced, refused = sum(line.tiles for line in found.lines), sum(r.tiles for r in found.refusals)
    assert priced + refused == 16
    assert priced <= inside
    assert all(r.code == "permit.area" for r in found.refusals)


def test_a_region_with_only_refusals_cannot_be_quoted(exchange: Exchange) -> None:
    cells = block()
    market = a_market(exchange, layers=[a_layer(cells, name="photos", handling_class="original", kind=LayerKind.PHOTOS)])
    before = counts(exchange)
    with pytest.raises(Denied) as caught:
        market.quote()
    assert caught.value.code == "permit.missing"
    assert counts(exchange) == before
    a_permit(exchange, days=-1, valid_from_ns=exchange.now() - 10**18)
    with pytest.raises(Denied) as caught:
        market.quote()
    assert caught.value.code == "permit.expired"


def test_an_empty_region_cannot_be_quoted(exchange: Exchange) -> None:
    market = a_market(exchange)
    with pytest.raises(Invalid) as caught:
        market.quote([SEOUL - 100_000])
    assert caught.value.code == "quote.empty"


def test_a_layer_that_nobody_offers_is_named_with_those_that_there_are(exchange: Exchange) -> None:
    market = a_market(exchange, layers=[a_layer(block()), a_layer(block(2), name="signs")])
    for ask in (
        market.quote,
        lambda **wanted: estimates.estimate(exchange, market.buyer, of_area(area(market.cells), **wanted)),
        lambda **wanted: listings(exchange, market.buyer, of_area(area(market.cells), **wanted)),
    ):
        with pytest.raises(NotFound) as caught:
            ask(layers=["nope", "signs", "hdmap"])
        assert caught.value.code == "layer.unknown"
        assert caught.value.details == {"unknown": ["nope"], "known": ["hdmap", "signs"]}
        assert "'nope'" in caught.value.message and "hdmap, signs" in caught.value.message


def test_a_layer_that_is_offered_elsewhere_is_only_nothing_here(exchange: Exchange) -> None:
    market = a_market(exchange, layers=[a_layer(block(), name="signs")])
    elsewhere = area([SEOUL - 100_000])
    for layers in (["signs"], ["hdmap"], ["pointcloud"]):  # a name on offer elsewhere, and kinds
        assert estimates.estimate(exchange, market.buyer, of_area(elsewhere, layers=layers)).lines == ()
    with pytest.raises(NotFound) as caught:
        estimates.estimate(exchange, market.buyer, of_area(elsewhere, layers=["nope"]))
    assert caught.value.details["known"] == []
    assert estimates.estimate(exchange, market.buyer, of_area(area(market.cells), layers=["signs"], dataset="hanbit/streets")).lines
    offers.withdraw(exchange, market.seller, "streets")
    with pytest.raises(NotFound) as caught:  # what was withdrawn is as absent as what never was
        estimates.estimate(exchange, market.buyer, of_area(area(market.cells), layers=["signs"]))
    assert caught.value.code == "layer.unknown"


def test_a_quote_needs_a_purpose(exchange: Exchange) -> None:
    market = a_market(exchange)
    with pytest.raises(Invalid) as caught:
        market.quote(purpose=None)
    assert caught.value.code == "purpose.missing"


def test_a_quote_reads_back_as_it_was_made_and_only_for_its_organisation(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = market.quote()
    read = quotes.get(exchange, market.buyer, made.id)
    assert (read.estimate.lines, read.estimate.total, read.tiles_sha256) == (made.estimate.lines, made.estimate.total, made.tiles_sha256)
    assert [ranges.tolist() for ranges in read.estimate.areas] == [ranges.tolist() for ranges in made.estimate.areas]
    for other in (market.seller, a_person(exchange, "third")):
        with pytest.raises(NotFound):
            quotes.get(exchange, other, made.id)


def test_a_quote_that_was_altered_in_the_database_is_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    made = market.quote()
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE quote SET total = 1"))
    with pytest.raises(Conflict) as caught:
        quotes.get(exchange, market.buyer, made.id)
    assert caught.value.code == "quote.altered"


def test_an_auditor_sees_prices_and_holds_none(exchange: Exchange) -> None:
    market, auditor = a_market(exchange), a_person(exchange, role="auditor")
    seen, public = (document(estimates.estimate(exchange, by, of_area(area(market.cells)))) for by in (auditor, None))
    assert seen == public and public["total"] > 0
    with pytest.raises(Denied) as caught:
        quotes.quote(exchange, auditor, of_area(area(market.cells), purpose="research"))
    assert caught.value.code == "role.member"


def test_the_pyramid_holds_every_tile_at_every_zoom(exchange: Exchange) -> None:
    a_market(exchange)
    assert pyramid_rows(exchange) == [(z, 16) for z in range(6, 17)]


def test_publishing_twice_with_the_same_terms_changes_nothing(exchange: Exchange) -> None:
    market = a_market(exchange)
    before = counts(exchange)
    again = offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    assert again.state == "live"
    assert counts(exchange) == before


def test_a_new_price_replaces_the_offer_and_publishes_no_version(exchange: Exchange) -> None:
    market = a_market(exchange)
    first = listings(exchange, market.buyer, of_area(area(market.cells)))[0]
    offers.publish(exchange, market.seller, "streets", rate_card={"lane_km": 1}, licence="commercial")
    second = listings(exchange, market.buyer, of_area(area(market.cells)))[0]
    assert (first.rates["lane_km"], second.rates["lane_km"], second.licence) == (6300, 1, "commercial")
    auditor = a_person(exchange, role="auditor")
    actions = [event.action for event in log.events(exchange, auditor).events]
    assert (actions.count("version.published"), actions.count("offer.published")) == (1, 2)
    assert pyramid_rows(exchange) == [(z, 16) for z in range(6, 17)]


def test_a_new_version_replaces_the_old_one_on_sale(exchange: Exchange) -> None:
    market = a_market(exchange)
    a_draft(exchange, market.seller, "streets", [a_layer(market.cells[:5], salt="new")])
    made = offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    assert made.version == 2
    found = estimates.estimate(exchange, market.buyer, of_area(area(market.cells)))
    assert [(line.version, line.tiles) for line in found.lines] == [(2, 5)]
    assert pyramid_rows(exchange) == [(z, 5) for z in range(6, 17)]


def test_a_withdrawn_dataset_is_gone_from_the_market(exchange: Exchange) -> None:
    market = a_market(exchange)
    assert offers.withdraw(exchange, market.seller, "streets").state == "withdrawn"
    assert listings(exchange, market.buyer, of_area(area(market.cells))) == []
    assert estimates.estimate(exchange, market.buyer, of_area(area(market.cells))).lines == ()
    assert pyramid_rows(exchange) == []
    with pytest.raises(Conflict):
        offers.withdraw(exchange, market.seller, "streets")


def test_only_the_owner_publishes_and_withdraws(exchange: Exchange) -> None:
    market = a_market(exchange)
    with pytest.raises(NotFound):
        offers.publish(exchange, market.buyer, "streets", rate_card=RATES, licence="research")
    with pytest.raises(NotFound):
        offers.withdraw(exchange, market.buyer, "streets")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rate_card": {"mile": 1}}, "rates.unit"),
        ({"rate_card": {}}, "rates.empty"),
        ({"rate_card": {"lane_km": -1}}, "rates.value"),
        ({"licence": "anything"}, "licence.unknown"),
        ({"attribution": "two\nlines"}, "offer.attribution"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_leave_nothing(exchange: Exchange, changes: dict[str, object], code: str) -> None:
    seller = a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block())])
    before = counts(exchange)
    with pytest.raises(Invalid) as caught:
        offers.publish(exchange, seller, "streets", **{"rate_card": RATES, "licence": "research", **changes})  # type: ignore[arg-type]
    assert caught.value.code == code
    assert counts(exchange) == before


@pytest.mark.parametrize(
    ("licence", "attribution", "code"),
    [
        ("commercial", "© OpenStreetMap contributors", "licence.demanded"),
        ("share_alike", "© OpenStreetMap contributors", "licence.demanded"),
        ("odbl", "", "offer.attribution_demanded"),
        ("odbl", "hanbit; © OpenStreetMap contributors", ""),
    ],
)
def test_data_of_openstreetmap_are_sold_under_its_licence_and_its_name(
    exchange: Exchange, licence: str, attribution: str, code: str
) -> None:
    seller = a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block())])
    with exchange.engine.begin() as conn:
        version_id = conn.execute(select(schema.dataset_version.c.id)).scalar_one()
        texts = {"severity": "info", "code": SOURCE_FINDING, "file": "map.osm.pbf", "layer": "", "feature": "", "value": "ODbL-1.0"}
        conn.execute(insert(schema.finding).values(id=ids.new("fnd"), version_id=version_id, ordinal=0, **texts, message="", fix=""))
    before = counts(exchange)
    if code:
        with pytest.raises(Invalid) as caught:
            offers.publish(exchange, seller, "streets", rate_card=RATES, licence=licence, attribution=attribution)
        assert caught.value.code == code
        assert counts(exchange) == before
        return
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence=licence, attribution=attribution)
    with pytest.raises(Invalid) as caught:  # nor by a later change of the terms
        offers.publish(exchange, seller, "streets", rate_card=RATES, licence="commercial", attribution=attribution)
    assert caught.value.code == "licence.demanded"


def test_a_layer_without_handling_class_cannot_be_published(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block(), handling_class=None)])
    before = counts(exchange)
    with pytest.raises(Conflict) as caught:
        offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    assert caught.value.code == "class.missing"
    assert counts(exchange) == before


def test_a_layer_that_the_rate_card_does_not_charge_is_named_to_the_seller(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block()), a_layer(block(), name="poles", each=Quantities(features=3))])
    assert offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research").unpriced == ("poles",)


def test_a_suspended_seller_is_not_on_the_market(exchange: Exchange) -> None:
    market = a_market(exchange)
    orgs.set_org_state(exchange, None, "hanbit", "suspended")
    assert estimates.estimate(exchange, market.buyer, of_area(area(market.cells))).lines == ()


def test_two_sellers_of_one_slug_are_kept_apart(exchange: Exchange) -> None:
    market = a_market(exchange)
    other = a_person(exchange, "third")
    a_draft(exchange, other, "streets", [a_layer(market.cells)])
    offers.publish(exchange, other, "streets", rate_card={"lane_km": 10}, licence="research")
    found = estimates.estimate(exchange, market.buyer, of_area(area(market.cells), dataset="third/streets"))
    assert [line.org for line in found.lines] == ["third"]


def test_too_many_cells_are_refused(exchange: Exchange) -> None:
    market = a_market(exchange)
    with pytest.raises(Invalid) as caught:
        estimates.estimate(exchange, market.buyer, of_area(Region.from_geojson(EVERYWHERE)))
    assert caught.value.code == "region.too_large"


def test_a_layer_without_any_rate_is_not_given_away(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    cloud = a_layer(block(), name="cloud", kind=LayerKind.POINTCLOUD, each=Quantities(points=9))
    a_draft(exchange, seller, "streets", [a_layer(block()), cloud])
    before = counts(exchange)
    with pytest.raises(Invalid) as caught:
        offers.publish(exchange, seller, "streets", rate_card={"lane_km": 1}, licence="research")
    assert caught.value.code == "rates.unpriced" and "cloud" in caught.value.message
    assert counts(exchange) == before
    assert offers.publish(exchange, seller, "streets", rate_card={"lane_km": 1, "million_points": 0}, licence="research").state == "live"


def corner_region() -> Region:
    """An area over the first two cells of the market's first row, that reaches 1 % into the two cells below."""
    from tiles.grid import grid

    west, south, east, north = grid.bounds(SEOUL)
    step, high = east - west, north - south
    return Region.from_bbox(west + step * 0.1, south - high * 0.01, east + step * 0.9, north - high * 0.1)


def test_tiles_barely_touched_are_named_with_what_they_cost_and_can_be_left_out(exchange: Exchange) -> None:
    market = a_market(exchange)
    whole = estimates.estimate(exchange, market.buyer, of_area(corner_region(), purpose="research"))
    assert (whole.cells, whole.tiles) == (4, 4)
    assert whole.edge is not None
    assert (whole.edge.tiles, whole.edge.left_out) == (2, False)
    less = estimates.estimate(exchange, market.buyer, of_area(corner_region(), purpose="research", leave_edge=True))
    assert (less.cells, less.tiles) == (2, 2)
    assert less.edge is not None
    assert (less.edge.tiles, less.edge.left_out) == (2, True)
    assert whole.total - less.total == whole.edge.amount == less.edge.amount > 0
    held = quotes.quote(exchange, market.buyer, of_area(corner_region(), purpose="research", leave_edge=True))
    assert held.estimate.total == less.total
    assert quotes.get(exchange, market.buyer, held.id).estimate.cells == 2


def test_an_area_small_in_every_tile_has_none_barely_touched(exchange: Exchange) -> None:
    from tiles.grid import grid

    market = a_market(exchange)
    west, south, _, _ = grid.bounds(SEOUL)
    tiny = Region.from_bbox(west - 1e-5, south + 1e-5, west + 1e-5, south + 2e-5)
    found = estimates.estimate(exchange, market.buyer, of_area(tiny, leave_edge=True))
    assert (found.cells, found.tiles, found.edge) == (2, 1, None)


def test_tiles_left_out_one_by_one_are_not_priced_and_not_quoted(exchange: Exchange) -> None:
    import numpy as np

    market = a_market(exchange)
    region = Region.from_bbox(126.9, 37.5, 127.1, 37.6)
    without = np.array([market.cells[0], market.cells[5], SEOUL - 1000], np.uint64)
    whole = estimates.estimate(exchange, market.buyer, of_area(region, purpose="research"))
    less = estimates.estimate(exchange, market.buyer, of_area(region, purpose="research", without=without))
    assert (whole.tiles, less.tiles) == (16, 14)
    assert less.area_m2 < whole.area_m2
    held = quotes.quote(exchange, market.buyer, of_area(region, purpose="research", without=without))
    assert (held.estimate.total, held.estimate.tiles) == (less.total, 14)
    assert quotes.get(exchange, market.buyer, held.id).estimate.lines == less.lines


def test_each_tile_of_an_area_has_its_verdict(exchange: Exchange) -> None:
    from mapex.prices import cell_prices

    market = a_market(exchange)
    footage = a_layer(block(2), name="recording", kind=LayerKind.RECORDING, handling_class="original", each=Quantities(frames=100))
    a_draft(exchange, market.seller, "drive", [footage])
    offers.publish(exchange, market.seller, "drive", rate_card=RATES, licence="research")
    asked = area([*market.cells[:2], market.cells[15], SEOUL - 1000])
    found = {one.cell: one for one in cell_prices.tiles(exchange, market.buyer, of_area(asked, purpose="research"), limit=10)}
    assert found[SEOUL - 1000].kinds == {}
    assert found[market.cells[15]].kinds == {"hdmap": ""}
    assert found[market.cells[0]].kinds == {"hdmap": "", "recording": "permit.missing"}
    assert found[market.cells[0]].amount == amount_of(Unit.LANE_KM, 1_234_567, 6300)
    assert len(cell_prices.tiles(exchange, market.buyer, of_area(asked), limit=2)) == 2


def test_a_line_says_how_old_its_data_are(exchange: Exchange) -> None:
    market = a_market(exchange)
    [line] = estimates.estimate(exchange, market.buyer, of_area(area(market.cells))).lines
    assert line.as_of.startswith("20")


def test_a_price_says_how_much_there_is_to_download(exchange: Exchange) -> None:
    market = a_market(exchange)
    a_draft(exchange, market.seller, "cloud", [a_layer(block(2), name="pointcloud", kind=LayerKind.POINTCLOUD, salt="p")])
    offers.publish(exchange, market.seller, "cloud", rate_card=RATES, licence="research")
    first = quotes.quote(exchange, market.buyer, of_area(area([SEOUL]), purpose="research"))
    bought = entitlements.of_order(exchange, market.buyer, orders.place(exchange, market.buyer, first.id, "k").id).tiles
    assert document(first.estimate)["bytes"] == sum(tile.size for tile in bought) > 0
    rest = quotes.quote(exchange, market.buyer, of_area(area(block(2)), purpose="research"))
    after = entitlements.of_order(exchange, market.buyer, orders.place(exchange, market.buyer, rest.id, "l").id).tiles
    assert document(rest.estimate)["bytes"] == sum(tile.size for tile in after)


@pytest.mark.parametrize("degrees", [0.001, 0.02, 0.3, 1.2], ids="{} degrees".format)
def test_what_is_owned_is_found_in_an_area_of_any_size(exchange: Exchange, degrees: float) -> None:
    market = a_market(exchange)
    orders.place(exchange, market.buyer, quotes.quote(exchange, market.buyer, of_area(area([SEOUL]), purpose="research")).id, "k")
    west, south, east, north = grid.bounds(SEOUL)
    lon, lat = (west + east) / 2, (south + north) / 2
    box = Region.from_bbox(lon - degrees, lat - degrees, lon + degrees, lat + degrees)
    [line] = estimates.estimate(exchange, market.buyer, of_area(box)).lines
    assert line.owned_tiles == 1
    assert line.tiles == min(16, cover(box).intersection(Cover.from_cells(np.array(market.cells, np.uint64))).count)
