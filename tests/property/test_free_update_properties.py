"""Free updates: nothing is paid for exactly the tiles that an order with them paid, as long as they run; the days are those of Korea."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mapex.offers import offers
from mapex.orders import ledger, orders, updates
from mapex.prices import cell_prices, estimates
from mapex.prices.request import of_area
from mapex.rules.update_policy import MAX_MONTHS, free_until_ns, last_free_day
from mapex.times import DAY_NS, KST, kst_day, ns_from_iso
from tests.support.exchange import a_person, an_exchange
from tests.support.market import Market, a_draft, a_layer, area, block
from tests.support.tampering import broken
from tiles.batch import Quantities

moments = st.integers(ns_from_iso("2024-01-01", KST), ns_from_iso("2033-12-31", KST))
months = st.integers(1, MAX_MONTHS)


@given(moments, months)
@example(ns_from_iso("2027-01-31T23:59", KST), 1)
@example(ns_from_iso("2028-02-29", KST), 12)
def test_the_last_day_has_the_number_of_the_day_of_the_order_or_is_the_last_of_its_month(ordered_ns: int, count: int) -> None:
    ordered, last = date.fromisoformat(kst_day(ordered_ns)), date.fromisoformat(last_free_day(f"free:{count}", ordered_ns))
    assert (last.year * 12 + last.month) - (ordered.year * 12 + ordered.month) == count
    assert last.day == ordered.day or (last.day < ordered.day and (last + timedelta(days=1)).day == 1)
    assert free_until_ns(f"free:{count}", ordered_ns) == ns_from_iso(str(last), KST) + DAY_NS


@given(moments, st.integers(0, 40 * DAY_NS), months, months)
def test_a_later_order_and_more_months_never_end_earlier(ordered_ns: int, later_ns: int, few: int, many: int) -> None:
    few, many = sorted((few, many))
    assert free_until_ns(f"free:{few}", ordered_ns) <= free_until_ns(f"free:{many}", ordered_ns)
    assert free_until_ns(f"free:{few}", ordered_ns) <= free_until_ns(f"free:{few}", ordered_ns + later_ns)


# ---- with the services -----------------------------------------------------------------------------------------------------------------

CELLS = block(2)
CARD = {"lane_km": 811, "crossing": 7}
some = st.sets(st.sampled_from(CELLS))
policies = st.one_of(st.just(0), months)


@contextmanager
def a_shop() -> Iterator[Market]:
    """Hanbit sells a layer with two units to Dongil, who is rich."""
    folder = Path(tempfile.mkdtemp(prefix="mapex-free-"))
    ex = an_exchange(folder / "ex")
    market = Market(ex, a_person(ex, "hanbit"), a_person(ex, "dongil"), CELLS)
    ledger.credit(ex, None, "dongil", 10**9, key="first")
    try:
        yield market
    finally:
        ex.engine.dispose()
        shutil.rmtree(folder)


def draft(market: Market, changed: set[int], salt: str) -> None:
    """A version that has another content in some cells."""
    layer = a_layer(CELLS, each=Quantities(lane_mm=1_234_567, crossings=3))
    layer.parts = {cell: [f"{cell} {salt if cell in changed else ''}"] for cell in CELLS}
    a_draft(market.ex, market.seller, "streets", [layer])


def sell(market: Market, count: int) -> None:
    """The newest version, with updates free for so many months; 0: paid."""
    policy = f"free:{count}" if count else "paid"
    offers.publish(market.ex, market.seller, "streets", rate_card=CARD, licence="research", updates=policy)


def newcomer(market: Market, cells: set[int]) -> int:
    return estimates.estimate(market.ex, None, of_area(area(sorted(cells)), purpose="research")).subtotal if cells else 0


def buy(market: Market, cells: set[int]) -> int:
    """When the updates of what is bought now are free no more."""
    wanted = market.quote(sorted(cells))
    made = orders.place(market.ex, market.buyer, wanted.id, wanted.id)
    return free_until_ns(made.lines[0].updates, made.created_ns)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=some, second=some, promised=st.tuples(policies, policies), changed=some, days=st.integers(0, 1200))
@example(first=set(CELLS), second=set(), promised=(12, 0), changed=set(CELLS), days=365)
@example(first=set(CELLS), second=set(), promised=(12, 0), changed=set(CELLS), days=366)
@example(first=set(CELLS[:2]), second=set(CELLS[1:]), promised=(0, 36), changed=set(CELLS[:3]), days=900)
def test_an_update_costs_what_the_changed_tiles_cost_anew_without_those_that_are_free(
    first: set[int], second: set[int], promised: tuple[int, int], changed: set[int], days: int
) -> None:
    with a_shop() as market:
        ends: dict[int, int] = {}
        draft(market, set(), "")
        for cells, count in zip((first, second), promised, strict=True):
            sell(market, count)
            if fresh := cells - set(ends):
                ends |= dict.fromkeys(fresh, buy(market, cells))
        market.ex.now.forward(days=days)  # type: ignore[attr-defined]
        draft(market, changed, "2")
        sell(market, 0)
        free = {cell for cell in changed & set(ends) if market.ex.now() < ends[cell]}
        unpaid = free | (set(ends) - changed)
        price = newcomer(market, set(CELLS) - unpaid)
        assert estimates.estimate(market.ex, market.buyer, of_area(area(CELLS), purpose="research")).subtotal == price
        each = cell_prices.tiles(market.ex, market.buyer, of_area(area(CELLS), purpose="research"), limit=4)
        assert {one.cell for one in each if not one.amount} == unpaid
        if outdated := changed & first:
            oldest = orders.of(market.ex, market.buyer).orders[-1]
            held = updates.quote(market.ex, market.buyer, oldest.id)
            made = orders.place(market.ex, market.buyer, held.id, held.id)
            assert made.subtotal == newcomer(market, outdated - free) <= newcomer(market, outdated)
            assert made.lines[0].free_tiles == len(outdated & free)
        rest = market.quote(CELLS)
        made = orders.place(market.ex, market.buyer, rest.id, rest.id)
        assert made.subtotal == newcomer(market, set(CELLS) - unpaid - (changed & first))
        assert estimates.estimate(market.ex, market.buyer, of_area(area(CELLS), purpose="research")).subtotal == 0
        assert broken(market.ex) == {}
