"""A seller's figures, on SQLite and PostgreSQL: sales and statement agree with the ledger, demand names nobody."""

from __future__ import annotations

import contextlib

import pytest
from sqlalchemy import text

from mapex.errors import Conflict, Denied, Invalid, NotFound
from mapex.exchange import Exchange
from mapex.offers import offers, recalls, sales
from mapex.operation import fsck
from mapex.orders import ledger, orders
from mapex.prices import demand, estimates, quotes
from mapex.prices.request import of_area
from mapex.rights import entitlements, grants
from tests.support.exchange import a_person
from tests.support.market import RATES, SEOUL, Market, a_draft, a_layer, a_market, area, block
from tiles.batch import LayerKind
from tiles.grid import grid


@pytest.fixture
def market(exchange: Exchange) -> Market:
    return a_market(exchange)


def test_sales_are_what_the_wallet_was_credited(market: Market) -> None:
    assert sales.by_month(market.ex, market.seller) == []
    first, second = market.buy(market.cells[:3]), market.buy(market.cells[:5])
    [month] = sales.by_month(market.ex, market.seller)
    assert (month.dataset, month.orders, month.tiles) == ("streets", 2, 5)
    assert month.amount == first.subtotal + second.subtotal == ledger.wallet(market.ex, market.seller).balance
    assert sales.by_month(market.ex, market.buyer) == []
    auditor = a_person(market.ex, role="auditor")
    with pytest.raises(Denied):
        sales.by_month(market.ex, auditor)


def test_an_order_from_two_sellers_gives_each_its_own_lines(market: Market) -> None:
    other = a_person(market.ex, "maru")
    a_draft(market.ex, other, "walks", [a_layer(market.cells, name="sidewalks", kind=LayerKind.SIDEWALK)])
    offers.publish(market.ex, other, "walks", rate_card={"crossing": 100, "footway_km": 5}, licence="research")
    order = market.buy()
    amounts = [month.amount for who in (market.seller, other) for month in sales.by_month(market.ex, who)]
    assert sum(amounts) == order.subtotal and len(amounts) == 2
    assert [ledger.wallet(market.ex, who).balance for who in (market.seller, other)] == amounts


def test_an_order_of_two_datasets_of_one_seller_counts_once(market: Market) -> None:
    a_draft(market.ex, market.seller, "walks", [a_layer(market.cells, name="sidewalks", kind=LayerKind.SIDEWALK)])
    offers.publish(market.ex, market.seller, "walks", rate_card={"crossing": 100, "footway_km": 5}, licence="research")
    assert sales.totals(market.ex, market.seller) == []
    both = [market.buy(market.cells[:3]), market.buy(market.cells[:5])]
    months = sales.by_month(market.ex, market.seller)
    assert [one.orders for one in months] == [2, 2]
    [total] = sales.totals(market.ex, market.seller)
    assert (total.month, total.orders) == (months[0].month, 2)
    assert total.tiles == sum(one.tiles for one in months)
    assert total.amount == sum(one.amount for one in months) == sum(one.subtotal for one in both)


def test_statement_adds_up_to_the_balance_and_names_no_foreign_order(market: Market) -> None:
    for count in (1, 2, 3):
        market.buy(market.cells[:count])
    for who in (market.seller, market.buyer):
        report = ledger.statement(market.ex, who)
        assert sum(entry.amount for entry in report.entries) == report.balance == report.entries[0].balance
        for newer, older in zip(report.entries, report.entries[1:], strict=False):
            assert newer.balance == older.balance + newer.amount
    assert {entry.order_id for entry in ledger.statement(market.ex, market.seller).entries} == {None}


def test_a_seller_does_not_learn_how_much_was_bought_of_others_in_the_same_order(market: Market) -> None:
    other = a_person(market.ex, "nuri")
    a_draft(market.ex, other, "roads", [a_layer(market.cells, name="walks", kind=LayerKind.SIDEWALK)])
    offers.publish(market.ex, other, "roads", rate_card=RATES, licence="research")
    market.buy()
    [income] = ledger.statement(market.ex, market.seller).entries
    assert income.memo == ""
    assert ledger.statement(market.ex, market.buyer).entries[0].memo == "order of 2 lines"


def elsewhere(market: Market, side: int = 2) -> list[int]:
    x, y = grid.xy(SEOUL)
    return block(side, int(grid.morton(x + 4000, y + 4000)))


def ask(market: Market, cells: list[int], **wanted: object) -> None:
    with pytest.raises(Invalid) as refused:
        market.quote(cells, **wanted)
    assert refused.value.code == "quote.empty"


def crowd(market: Market, firms: int, cells: list[int], **wanted: object) -> None:
    """So many organisations ask for cells in vain, each twice."""
    for number in range(firms):
        by = a_person(market.ex, f"asker-{number}")
        for _ in range(2):
            with contextlib.suppress(Invalid):
                quotes.quote(market.ex, by, of_area(area(cells), purpose="research", **wanted))  # type: ignore[arg-type]


def counted(market: Market) -> list[tuple[str, int, int]]:
    with market.ex.engine.connect() as conn:
        rows = conn.execute(text("SELECT kind, count, firms FROM demand ORDER BY month, kind"))
        return [(row.kind, row[1], row.firms) for row in rows]


def test_what_nobody_offers_is_counted_once_a_month_for_an_asker(market: Market) -> None:
    for days in (0, 0, 3, 40):
        market.ex.now.forward(days=days)  # type: ignore[attr-defined]
        ask(market, elsewhere(market))
    assert counted(market) == [(demand.ANY, 1, 1)] * 2


def test_no_question_is_seen_before_several_firms_asked_and_the_month_is_over(market: Market) -> None:
    crowd(market, demand.FEWEST - 1, elsewhere(market))
    assert demand.unmet(market.ex, market.seller) == []
    market.ex.now.forward(days=40)  # type: ignore[attr-defined]
    assert demand.unmet(market.ex, market.seller) == [], "two firms, however often they ask"
    crowd(market, demand.FEWEST, elsewhere(market))
    assert demand.unmet(market.ex, market.seller) == [], "each question would be seen when it is asked"
    market.ex.now.forward(days=40)  # type: ignore[attr-defined]
    [found] = demand.unmet(market.ex, market.seller)
    assert (found.cell, found.kind, found.count) == (int(elsewhere(market)[0]) >> 4, demand.ANY, demand.FEWEST)
    crowd(market, 1, elsewhere(market))
    assert [one.count for one in demand.unmet(market.ex, market.seller)] == [demand.FEWEST], "nor does a later one change what is shown"
    assert demand.unmet(market.ex, market.seller, since="2999-01") == []


def test_one_firm_that_asks_every_month_stays_unseen(market: Market) -> None:
    for _ in range(6):
        ask(market, elsewhere(market))
        market.ex.now.forward(days=31)  # type: ignore[attr-defined]
    assert len(counted(market)) == 6 and demand.unmet(market.ex, market.seller) == []


def test_what_a_version_before_counted_stays_shown_and_nothing_is_added_to_it_at_once(market: Market) -> None:
    cell, month = int(elsewhere(market)[0]) >> 4, "2026-09"
    with market.ex.engine.begin() as conn:
        conn.execute(text(f"INSERT INTO demand (cell, kind, month, count) VALUES ({cell}, '{demand.ANY}', '{month}', 2)"))
    assert [one.count for one in demand.unmet(market.ex, market.seller)] == [2]
    ask(market, elsewhere(market))
    assert [one.count for one in demand.unmet(market.ex, market.seller)] == [2]


def test_a_kind_that_is_missing_is_asked_for_where_others_are_on_offer(market: Market) -> None:
    crowd(market, 3, market.cells[:4])
    crowd(market, 3, market.cells[:4], layers=["hdmap"])
    crowd(market, 3, market.cells[:4], layers=["hdmap", "sidewalk"])
    market.ex.now.forward(days=40)  # type: ignore[attr-defined]
    assert {(one.kind, one.count) for one in demand.unmet(market.ex, market.seller)} == {("sidewalk", 3)}


def test_a_province_counts_for_nothing_and_an_estimate_stores_nothing(market: Market) -> None:
    ask(market, elsewhere(market, 70))
    estimates.estimate(market.ex, market.buyer, of_area(area(elsewhere(market))))
    assert counted(market) == []


def test_demand_stores_nobody(market: Market) -> None:
    ask(market, elsewhere(market))
    with market.ex.engine.connect() as conn:
        stored = str([conn.execute(text(f"SELECT * FROM {table}")).all() for table in ("demand", "demand_day", "demand_seen")])
        before = set(conn.execute(text("SELECT token FROM demand_seen")).scalars())
    assert market.buyer.org_id not in stored and market.buyer.person_id not in stored and "dongil" not in stored
    market.ex.now.forward(days=40)  # type: ignore[attr-defined]
    ask(market, elsewhere(market))
    with market.ex.engine.connect() as conn:
        after = set(conn.execute(text("SELECT token FROM demand_seen")).scalars())
        assert conn.execute(text("SELECT COUNT(*) FROM demand_day")).scalar() == 1
    assert len(before) == len(after) == 1 and before != after  # last month's hash and its secret are gone


def test_a_recalled_version_is_off_the_market_and_can_be_read_no_more(market: Market) -> None:
    order = market.buy(market.cells[:2])
    tiles = [tile.id for tile in entitlements.of_order(market.ex, market.buyer, order.id).tiles]
    assert grants.grant(market.ex, market.buyer, order.id, tiles)
    assert recalls.foresee(market.ex, market.seller, "streets", 1).holders == 1
    held = market.quote()
    with pytest.raises(NotFound):
        recalls.recall(market.ex, market.buyer, "streets", 1)
    assert recalls.of_order(market.ex, market.buyer, order.id) == []
    now = market.ex.now()
    done = recalls.recall(market.ex, market.seller, "streets", 1)
    [report] = recalls.of_order(market.ex, market.buyer, order.id)
    assert (report.org, report.dataset, report.version) == ("hanbit", "streets", 1) and report.at_ns >= now
    assert recalls.of_order(market.ex, market.seller, order.id) == []  # an order of others
    assert (done.version.state, done.holders) == ("recalled", 1)
    with pytest.raises(Denied) as refused:
        grants.grant(market.ex, market.buyer, order.id, tiles)
    assert refused.value.code == "version.recalled"
    with pytest.raises(Conflict) as gone:
        orders.place(market.ex, market.buyer, held.id, "late")
    assert gone.value.code == "offer.withdrawn"
    with pytest.raises(Conflict) as again:
        recalls.recall(market.ex, market.seller, "streets", 1)
    assert again.value.code == "version.not_released"
    assert estimates.estimate(market.ex, market.buyer, of_area(area(market.cells))).lines == ()
    assert all(check.ok for check in fsck.check(market.ex))


def test_a_superseded_version_is_recalled_while_the_newer_one_stays_on_sale(market: Market) -> None:
    market.buy(market.cells[:1])
    a_draft(market.ex, market.seller, "streets", [a_layer(market.cells, salt="new")])
    offers.publish(market.ex, market.seller, "streets", rate_card=RATES, licence="research")
    assert recalls.recall(market.ex, market.seller, "streets", 1).version.state == "recalled"
    assert estimates.estimate(market.ex, market.buyer, of_area(area(market.cells))).total > 0
    a_draft(market.ex, market.seller, "streets", [a_layer(market.cells, salt="newest")])
    with pytest.raises(Conflict):
        recalls.recall(market.ex, market.seller, "streets", 3)
    assert all(check.ok for check in fsck.check(market.ex))
