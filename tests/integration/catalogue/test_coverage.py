"""What is on offer where, on both databases; what is withdrawn, suspended or never published looks like nothing."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory
from apiflask import APIFlask
from sqlalchemy import insert, select, text

from mapex import ids
from mapex.atlas import regions
from mapex.database import db, migrations, schema
from mapex.exchange import Actor, Exchange
from mapex.offers import offers
from mapex.operation import fsck
from mapex.people import orgs
from mapex.pyramid import coverage
from mapex.pyramid.coverage import Shown
from mapex.rules import quality
from mapex.times import DAY_NS, iso_from_ns
from tests.support.exchange import DAY_ONE, a_person
from tests.support.market import RATES, SEOUL, Spec, a_draft, a_layer, a_market, area, block
from tiles.batch import LayerKind
from tiles.grid import grid
from web import create_app


def seen(ex: Exchange, z: int = 16) -> dict[int, dict[str, int]]:
    lo, hi = (0, 4**z) if z < 16 else (0, 4**16)
    return {one.cell: {kind: shown.cells for kind, shown in one.kinds.items()} for one in coverage.cells(ex, z, lo, hi)}


def test_cells_and_kinds_of_all_offers(exchange: Exchange) -> None:
    market = a_market(exchange, side=3)
    a_draft(exchange, market.seller, "walks", [a_layer(block(2), name="sidewalks", kind=LayerKind.SIDEWALK)])
    assert set(seen(exchange)) == set(block(3)), "a draft is not shown"
    offers.publish(exchange, market.seller, "walks", rate_card={"footway_km": 10}, licence="research")
    found = seen(exchange)
    assert found[SEOUL] == {"hdmap": 1, "sidewalk": 1}
    assert sum("sidewalk" in kinds for kinds in found.values()) == 4
    assert coverage.kinds(exchange) == ["hdmap", "sidewalk"]
    coarse = seen(exchange, 6)
    assert list(coarse) == [grid.parent(SEOUL, 16, 6)] and coarse[grid.parent(SEOUL, 16, 6)] == {"hdmap": 9, "sidewalk": 4}


def test_sale_cells_of_an_area_in_order_and_cut(exchange: Exchange) -> None:
    a_market(exchange, side=4)
    found = coverage.sale_cells(exchange, area(block(6)), limit=1000)
    assert [one.cell for one in found] == sorted(block(4))
    assert [one.cell for one in coverage.sale_cells(exchange, area(block(6)), limit=5)] == sorted(block(4))[:5]


@pytest.mark.parametrize("how", ["withdrawn", "suspended"])
def test_what_is_gone_equals_what_never_was(exchange: Exchange, how: str) -> None:
    market = a_market(exchange, side=2)
    app = create_app(exchange)
    x, y = grid.xy(grid.parent(SEOUL, 16, 11))
    here, nowhere = f"/map/coverage/11/{x}/{y}.mvt", f"/map/coverage/11/{x + 40}/{y}.mvt"
    assert b"coverage" in tile(app, here)
    if how == "withdrawn":
        offers.withdraw(exchange, market.seller, "streets")
    else:
        orgs.set_org_state(exchange, None, "hanbit", "suspended")
    assert tile(app, here) == tile(app, nowhere) == b""
    assert coverage.kinds(exchange) == [] and regions.regions(exchange) == []


def tile(app: APIFlask, path: str) -> bytes:
    answer = app.test_client().get(path)
    assert answer.status_code == 200 and answer.mimetype == "application/vnd.mapbox-vector-tile"
    return bytes(answer.data)


def test_an_unchanged_tile_is_not_sent_again(exchange: Exchange) -> None:
    a_market(exchange, side=2)
    client = create_app(exchange).test_client()
    x, y = grid.xy(grid.parent(SEOUL, 16, 11))
    first = client.get(f"/map/coverage/11/{x}/{y}.mvt")
    again = client.get(f"/map/coverage/11/{x}/{y}.mvt", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and not again.data


def test_no_such_map_tile_is_404(exchange: Exchange) -> None:
    client = create_app(exchange).test_client()
    for path in ("17/0/0", "3/8/0", "3/0/8"):
        assert client.get(f"/map/coverage/{path}.mvt").status_code == 404


def about(days: int, read: int = 100, placed: int = 100) -> dict[str, object]:
    """What is stored of a layer that was captured until `days` days before the first day of the tests."""
    captured = [iso_from_ns(DAY_ONE - (days + 3) * DAY_NS), iso_from_ns(DAY_ONE - days * DAY_NS)]
    return {"captured": captured, "counts": {"read": read, "placed": placed, "unplaced": read - placed, "rejected": 0}}


def a_seller_with(ex: Exchange, org: str, slug: str, *layers: Spec) -> Actor:
    seller = a_person(ex, org)
    a_draft(ex, seller, slug, layers)
    offers.publish(ex, seller, slug, rate_card=RATES, licence="research")
    return seller


def shown(ex: Exchange, z: int = 16) -> dict[int, Shown]:
    return {one.cell: one.kinds["hdmap"] for one in coverage.cells(ex, z, 0, 4**z)}


def test_a_cell_says_how_fresh_and_how_good_the_best_of_each_kind_is(exchange: Exchange) -> None:
    a_seller_with(exchange, "hanbit", "old", a_layer(block(2), about=about(400)))
    days = (exchange.now() - DAY_ONE) // DAY_NS
    assert set(shown(exchange).values()) == {Shown(1, 400 + days, 100)}
    a_seller_with(exchange, "saebom", "new", a_layer(block(1), about=about(30, placed=80)))
    here = shown(exchange)
    assert here[SEOUL] == Shown(2, 30 + days, 100) and sorted(here.values())[0] == Shown(1, 400 + days, 100)
    assert shown(exchange, 6)[grid.parent(SEOUL, 16, 6)] == Shown(5, 30 + days, 100)


def test_warnings_lower_the_quality_of_their_layer(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block(1), about=about(1))])
    with db.begin(exchange) as conn:
        version = conn.execute(select(schema.dataset_version.c.id)).scalar_one()
        for severity, layer, count in (("warning", "hdmap", 10), ("warning", "", 2), ("warning", "other", 50), ("info", "hdmap", 50)):
            texts = dict.fromkeys(("code", "file", "feature", "value", "message", "fix"), "x")
            row = {"id": ids.new("fin"), "version_id": version, "ordinal": count, "severity": severity, "layer": layer, "count": count}
            conn.execute(insert(schema.finding).values(**row, **texts))
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    assert shown(exchange)[SEOUL].quality == 94


def test_what_goes_leaves_the_others_as_they_were(exchange: Exchange) -> None:
    a_seller_with(exchange, "hanbit", "old", a_layer(block(4), about=about(400, placed=70)))
    before = {z: shown(exchange, z) for z in (6, 11, 16)}
    seller = a_seller_with(exchange, "saebom", "new", a_layer(block(3), about=about(3)))
    assert shown(exchange) != before[16]
    offers.withdraw(exchange, seller, "new")
    assert {z: shown(exchange, z) for z in (6, 11, 16)} == before
    orgs.set_org_state(exchange, None, "hanbit", "suspended")
    assert shown(exchange) == {}
    orgs.set_org_state(exchange, None, "hanbit", "suspended")
    orgs.set_org_state(exchange, None, "hanbit", "active")
    orgs.set_org_state(exchange, None, "hanbit", "active")
    assert {z: shown(exchange, z) for z in (6, 11, 16)} == before


def test_a_new_version_replaces_the_squares_of_the_old(exchange: Exchange) -> None:
    seller = a_seller_with(exchange, "hanbit", "streets", a_layer(block(3), about=about(400)))
    a_draft(exchange, seller, "streets", [a_layer(block(2), about=about(2), salt="2")])
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    assert set(shown(exchange)) == set(block(2)) and {one.cells for one in shown(exchange).values()} == {1}


def test_a_price_change_counts_nothing_twice(exchange: Exchange) -> None:
    seller = a_seller_with(exchange, "hanbit", "streets", a_layer(block(2)))
    before = shown(exchange)
    offers.publish(exchange, seller, "streets", rate_card={**RATES, "lane_km": 9}, licence="commercial")
    assert shown(exchange) == before and before[SEOUL].quality == quality.UNKNOWN


def test_an_older_database_shows_what_is_on_offer(exchange: Exchange) -> None:
    """Revision 0003 fills what the map shows with statements of its own; today's service must not find anything to do after it."""
    a_seller_with(exchange, "hanbit", "streets", a_layer(block(2), about=about(5)))
    a_seller_with(exchange, "saebom", "lanes", a_layer(block(3)))
    before = shown(exchange)
    revision = ScriptDirectory.from_config(migrations.configuration()).get_revision("0003")
    assert revision is not None
    with db.begin(exchange) as conn:
        conn.execute(text("DELETE FROM kind_sum"))
        conn.execute(text("DELETE FROM shown_layer"))
        revision.module._show_what_is_on_offer(conn)
    assert shown(exchange) == before


def pyramid_says(ex: Exchange) -> str:
    [message] = [check.message for check in fsck.check(ex) if check.name == "pyramid"]
    return message


@pytest.mark.parametrize(
    ("wrong", "printed"),
    [
        ("UPDATE kind_sum SET quality = 99", "not those of its layers"),
        ("DELETE FROM kind_sum WHERE z = 16", "not those of its layers"),
        ("DELETE FROM shown_layer", "on offer but not on the map"),
        ("UPDATE offer SET state = 'withdrawn'", "on the map but not on offer"),
    ],
)
def test_fsck_compares_the_map_with_the_offers(exchange: Exchange, wrong: str, printed: str) -> None:
    a_seller_with(exchange, "hanbit", "streets", a_layer(block(2)))
    assert pyramid_says(exchange) == "sums for estimates are those of the tiles"
    with db.begin(exchange) as conn:
        conn.execute(text(wrong))
    assert printed in pyramid_says(exchange)


def test_the_list_says_age_and_quality_of_each_tile(exchange: Exchange) -> None:
    a_seller_with(
        exchange,
        "hanbit",
        "streets",
        a_layer(block(1), about=about(7, placed=91)),
        a_layer(block(1), name="walks", kind=LayerKind.SIDEWALK),
    )
    [one] = coverage.sale_cells(exchange, area(block(2)), limit=9)
    days = (exchange.now() - DAY_ONE) // DAY_NS
    assert one.kinds["hdmap"] == Shown(1, 7 + days, 91) and one.kinds["sidewalk"].quality == quality.UNKNOWN
