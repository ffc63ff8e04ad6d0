"""Updates at the difference: what is credited is what did not change, once, and no more than was paid for it or than it costs now."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mapex.offers import offers
from mapex.orders import ledger
from mapex.prices import cell_prices, estimates
from mapex.prices.request import of_area
from mapex.rules.accuracy import STEPS_MM
from mapex.rules.pricing import UNITS, amount_of, kept_credit, least_price
from tests.support.editions import Place, a_version, an_edition
from tests.support.exchange import a_person, an_exchange
from tests.support.market import Market, area, block
from tests.support.tampering import broken
from tiles.batch import Quantities

won, features = st.integers(0, 10**12), st.integers(0, 10**6)


@given(features, st.tuples(won, features), st.tuples(won, features), won)
def test_a_credit_is_at_most_what_was_paid_and_what_it_costs_and_grows_with_both(
    kept: int, paid: tuple[int, int], price: tuple[int, int], more: int
) -> None:
    credit = kept_credit(kept, paid, price)
    assert 0 <= credit <= min(paid[0], price[0])
    assert kept_credit(0, paid, price) == 0 and kept_credit(kept + more, paid, price) >= credit
    assert kept_credit(kept, (paid[0] + more, paid[1]), (price[0] + more, price[1])) >= credit
    if price[1] and paid == price:
        assert kept_credit(price[1], paid, price) == price[0]


@given(st.dictionaries(st.sampled_from(list(UNITS)), st.integers(0, 10**6)), st.lists(st.integers(0, 10**9), max_size=5))
def test_the_prices_of_single_tiles_are_no_more_than_that_of_all(rates: dict[str, int], sizes: list[int]) -> None:
    vectors = [Quantities(*[size] * len(Quantities.__dataclass_fields__)) for size in sizes]
    whole = sum(amount_of(UNITS[unit], sum(sizes), rate) for unit, rate in rates.items())
    assert sum(least_price(rates, vector) for vector in vectors) <= whole


# ---- with the services -----------------------------------------------------------------------------------------------------------------

CELLS = block(2)[:3]
RATE = 100
Edition = dict[int, dict[str, Place]]

shifts = st.sampled_from((0, 0, 5, 30, 60, 100, 700))
fates = st.one_of(st.just("kept"), st.just("removed"), st.just("altered"), shifts)
steps = st.fixed_dictionaries({cell: st.tuples(st.lists(fates, min_size=4, max_size=4), st.integers(0, 3)) for cell in CELLS})
some = st.sets(st.sampled_from(CELLS))
accuracies = st.sampled_from([limit / 1000 for limit in STEPS_MM[:5]])
STILL = {cell: (["kept"] * 4, 0) for cell in CELLS}


@contextmanager
def a_shop() -> Iterator[Market]:
    folder = Path(tempfile.mkdtemp(prefix="mapex-difference-"))
    ex = an_exchange(folder / "ex")
    market = Market(ex, a_person(ex, "hanbit"), a_person(ex, "dongil"), CELLS)
    ledger.credit(ex, None, "dongil", 10**9, key="first")
    try:
        yield market
    finally:
        ex.engine.dispose()
        shutil.rmtree(folder)


def after(edition: Edition, step: dict[int, tuple[list[object], int]], number: int) -> Edition:
    made: Edition = {}
    for cell, (fate, added) in step.items():
        made[cell] = {f"new {number} {one}": ("new", 0) for one in range(added)}
        for at, (name, (word, place)) in enumerate(sorted(edition[cell].items())):
            what = fate[at % len(fate)]
            if what != "removed":
                made[cell][name] = (f"altered {number}" if what == "altered" else word, place + (what if isinstance(what, int) else 0))
    return made


def unchanged(now: Edition, held: Edition, cell: int, accuracy: float) -> int:
    """By the features themselves: what says the same, and is at its place by the accuracy."""
    both = now[cell].keys() & held[cell].keys()
    return sum(now[cell][one][0] == held[cell][one][0] and abs(now[cell][one][1] - held[cell][one][1]) <= accuracy * 1000 for one in both)


def cost(market: Market, cells: set[int] | list[int]) -> int:
    wanted = of_area(area(sorted(cells)), purpose="research")
    return estimates.estimate(market.ex, market.buyer, wanted).subtotal if cells else 0


Held = dict[int, list[tuple[Edition, int]]]
"""The editions of a cell that were bought, with what each feature cost then, the newest last."""


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(steps, min_size=1, max_size=3),
    first=some,
    between=some,
    accuracy=accuracies,
    rates=st.tuples(*[st.integers(0, 300)] * 2),
)
@example(steps=[STILL], first=set(CELLS), between=set(), accuracy=0.1, rates=(RATE, RATE))
@example(steps=[{cell: (["removed"] * 4, 3) for cell in CELLS}] * 2, first=set(CELLS), between=set(CELLS), accuracy=0.1, rates=(RATE, RATE))
@example(steps=[{cell: ([60] * 4, 0) for cell in CELLS}] * 2, first=set(CELLS), between=set(), accuracy=0.1, rates=(RATE, RATE))
@example(
    steps=[{cell: (["altered", *["kept"] * 3], 1) for cell in CELLS}] * 3, first=set(CELLS), between=set(CELLS), accuracy=0.1, rates=(7, 9)
)
def test_an_update_costs_no_less_than_what_changed_no_more_than_anew_and_nothing_is_credited_twice(
    steps: list[dict[int, tuple[list[object], int]]], first: set[int], between: set[int], accuracy: float, rates: tuple[int, int]
) -> None:
    with a_shop() as market:
        editions = [an_edition(CELLS, 4)]
        a_version(market, editions[0])
        sell(market, accuracy, rates[0])
        if first:
            market.buy(sorted(first))
        held: Held = {cell: [(editions[0], rates[0])] for cell in first}
        for number, step in enumerate(steps, 1):
            editions.append(after(editions[-1], step, number))
            a_version(market, editions[-1], editions[-2])
            sell(market, accuracy, rates[1])
            there = {cell for cell in CELLS if editions[-1][cell]}
            prices = {cell: priced(market, editions, held.get(cell, []), cell, accuracy, rates[1]) for cell in there}
            if buys := (between if number < len(steps) else set(CELLS)) & there:
                seen = ledger.wallet(market.ex, market.seller).balance
                assert market.buy(sorted(buys)).subtotal == sum(prices[cell] for cell in buys)
                assert ledger.wallet(market.ex, market.seller).balance == seen + sum(prices[cell] for cell in buys)
                assert cost(market, buys) == 0
                for cell in buys:
                    held.setdefault(cell, []).append((editions[-1], rates[1]))
        assert broken(market.ex) == {}


def sell(market: Market, accuracy: float, rate: int) -> None:
    terms = {"licence": "research", "updates": "difference", "accuracies": {"*": accuracy}}
    offers.publish(market.ex, market.seller, "streets", rate_card={"crossing": rate}, **terms)  # type: ignore[arg-type]


def priced(market: Market, editions: list[Edition], held: list[tuple[Edition, int]], cell: int, accuracy: float, rate: int) -> int:
    """What a cell costs the buyer: between what changed and what it costs anew; of the version just before exactly what changed."""
    found = cell_prices.tiles(market.ex, market.buyer, of_area(area([cell]), purpose="research"), limit=1)[0].amount
    now, anew = editions[-1], len(editions[-1][cell]) * rate
    assert found == cost(market, [cell])
    if any(now[cell] == older[cell] for older, _ in held):
        assert found == 0
        return found
    kept = [(unchanged(now, older, cell, accuracy), min(paid, rate), older) for older, paid in held]
    assert anew - max((count * each for count, each, _ in kept), default=0) <= found <= anew
    if kept and kept[-1][2] is editions[-2]:
        assert found == anew - kept[-1][0] * kept[-1][1]
    return found
