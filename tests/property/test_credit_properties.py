"""What is paid for a use and a wider one together, where the offers credit what was paid before, and where they do not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapex.offers import offers
from mapex.orders import ledger
from mapex.prices import estimates
from mapex.prices.request import of_area
from mapex.rules import terms
from mapex.rules.pricing import credited, part_of
from tests.support.exchange import a_person, an_exchange
from tests.support.market import Market, a_draft, a_layer, area, block
from tests.support.tampering import broken
from tiles.batch import Quantities

prices = st.lists(st.integers(0, 10**6), max_size=5)


@given(prices, st.integers(0, 10**7))
def test_a_layer_costs_its_price_less_what_was_paid_and_never_less_than_nothing(lines: list[int], earlier: int) -> None:
    shares = credited(lines, earlier)
    amounts = [max(0, price - share) for price, share in zip(lines, shares, strict=True)]
    assert sum(amounts) == max(0, sum(lines) - earlier)
    assert all(share >= 0 for share in shares)
    assert all(price > 0 for price, share in zip(lines, shares, strict=True) if share)


@given(prices, st.integers(0, 10**7))
def test_all_that_was_paid_moves_on_to_the_wider_use(lines: list[int], earlier: int) -> None:
    shares = credited(lines, earlier)
    worth = sum(max(0, price - share) + share for price, share in zip(lines, shares, strict=True))
    assert worth == (max(sum(lines), earlier) if sum(lines) else 0)


@given(st.integers(0, 10**9), st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_the_parts_of_a_payment_are_never_more_than_it(paid: int, parts: list[int]) -> None:
    whole = sum(parts)
    assert part_of(paid, whole, whole) == paid
    assert paid - len(parts) < sum(part_of(paid, part, whole) for part in parts) <= paid


# ---- with the services -----------------------------------------------------------------------------------------------------------------

CELLS = block(2)
NARROWEST, WIDER, WIDEST = ("research", "research"), ("research", "commercial"), ("map_production", "commercial")
ASIDE = [("localisation", "commercial"), ("route_planning", "share_alike"), ("map_production", "share_alike")]
assert all(terms.covers(wide, narrow) for narrow, wide in pairwise((NARROWEST, WIDER, WIDEST)))

rates = st.fixed_dictionaries({"lane_km": st.integers(0, 900), "crossing": st.integers(0, 90)})


@contextmanager
def a_shop() -> Iterator[Market]:
    """Hanbit sells layers with two units to Dongil, who is rich."""
    folder = Path(tempfile.mkdtemp(prefix="mapex-credit-"))
    ex = an_exchange(folder / "ex")
    market = Market(ex, a_person(ex, "hanbit"), a_person(ex, "dongil"), CELLS)
    ledger.credit(ex, None, "dongil", 10**9, key="first")
    a_draft(ex, market.seller, "streets", [a_layer(CELLS, each=Quantities(lane_mm=1_234_567, crossings=3))])
    try:
        yield market
    finally:
        ex.engine.dispose()
        shutil.rmtree(folder)


def bought(market: Market, use: tuple[str, str], card: dict[str, int], credits_earlier: bool, cells: list[int] | None = None) -> int:
    """Buy for a use, and answer what a newcomer would have paid."""
    purpose, licence = use
    offers.publish(market.ex, market.seller, "streets", rate_card=card, licence=licence, credits_earlier=credits_earlier)
    full = estimates.estimate(market.ex, None, of_area(area(cells or CELLS), purpose=purpose)).subtotal
    market.buy(cells, purpose=purpose)
    return full


def earned(market: Market) -> int:
    """What Dongil paid in all, without tax."""
    return ledger.wallet(market.ex, market.seller).balance


FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(st.lists(rates, min_size=2, max_size=3), st.booleans())
def test_a_chain_of_wider_uses_costs_what_the_dearest_costs_a_newcomer_or_all_of_them(cards: list[dict[str, int]], credits_: bool) -> None:
    with a_shop() as market:
        paid = [bought(market, use, card, credits_) for use, card in zip((NARROWEST, WIDER, WIDEST), cards, strict=False)]
        assert earned(market) == (max(paid) if credits_ else sum(paid))
        assert broken(market.ex) == {}


@FEW
@given(st.lists(rates, min_size=3, max_size=3), st.permutations(ASIDE))
def test_uses_of_which_none_covers_another_share_one_credit(cards: list[dict[str, int]], uses: list[tuple[str, str]]) -> None:
    """It goes to the first that costs anything; the others cost what a newcomer pays."""
    with a_shop() as market:
        narrow = bought(market, ("research", "research"), cards[0], credits_earlier=True)
        first = bought(market, uses[0], cards[1], credits_earlier=True)
        second = bought(market, uses[1], cards[2], credits_earlier=True)
        in_turn = max(narrow, first) + second if first else max(narrow, second)
        assert earned(market) == in_turn >= first + second
        assert broken(market.ex) == {}


@FEW
@given(rates, rates, st.sets(st.sampled_from(CELLS), min_size=1), st.sets(st.sampled_from(CELLS), min_size=1))
def test_nobody_gets_a_wide_use_of_some_tiles_cheaper_than_a_newcomer(
    narrow: dict[str, int], wide: dict[str, int], studied: set[int], made: set[int]
) -> None:
    with a_shop() as market:
        paid = bought(market, NARROWEST, narrow, credits_earlier=True, cells=sorted(studied))
        full = bought(market, WIDEST, wide, credits_earlier=True, cells=sorted(made))
        assert max(paid, full) <= earned(market) <= paid + full
        if not studied & made:
            assert earned(market) == paid + full
        assert broken(market.ex) == {}
