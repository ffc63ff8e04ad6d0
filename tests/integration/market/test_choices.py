"""Choosing among offers: one of several that sell the same ground, the choice in quote and renewal, original footage by name, odd rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mapex.errors import Conflict, Invalid, MapexError, NotFound
from mapex.exchange import Exchange
from mapex.offers import appraisals, offers
from mapex.orders import orders, renewals
from mapex.prices import cell_prices, estimates, permitted
from mapex.prices.estimate import Estimate
from mapex.prices.request import of_area
from mapex.rights import named_users
from mapex.rules.choice import Choice, Preference
from mapex.rules.pricing import MAX_RATE
from tests.support.exchange import a_person
from tests.support.market import RATES, SEOUL, Market, a_draft, a_layer, a_market, a_permit, area, block
from tiles.batch import LayerKind, Quantities
from tiles.grid import grid

MINE, FINE, EAST = "hanbit/streets/hdmap", "nuri/fine/hdmap", "nuri/east/hdmap"


def refused(code: str, kind: type[MapexError], action) -> MapexError:  # type: ignore[no-untyped-def]
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.code == code
    return caught.value


def counted(placed: int) -> dict[str, object]:
    """About a layer of which so many of a hundred records were placed: its quality."""
    return {"counts": {"read": 100, "placed": placed, "unplaced": 100 - placed, "rejected": 0}}


def sells(market: Market, slug: str, cells: Sequence[int], *, rate: int = 6300, **layer: object) -> None:
    """Nuri sells lanes in these cells."""
    seller = a_person(market.ex, "nuri")
    a_draft(market.ex, seller, slug, [a_layer(cells, salt=slug, **layer)])
    offers.publish(market.ex, seller, slug, rate_card={"lane_km": rate}, licence="commercial", confirmed=("rates.unusual",))


def priced(market: Market, choice: Choice | None = None, cells: Sequence[int] = (), **wanted: object) -> Estimate:
    request = of_area(area(cells or market.cells), **wanted)  # type: ignore[arg-type]
    return estimates.estimate(market.ex, market.buyer, request if choice is None else replace(request, choice=choice))


def bought(found: Estimate) -> list[str]:
    return sorted({line.offer for line in found.lines})


@pytest.fixture
def market(exchange: Exchange) -> Market:
    """Hanbit's lanes, well placed; those of Nuri on the same ground, worse and cheaper."""
    made = a_market(exchange, layers=[a_layer(block(), about=counted(98))])
    sells(made, "fine", block(), rate=100, about=counted(90))
    return made


def test_the_best_is_taken_unless_the_buyer_prefers_the_cheapest(market: Market) -> None:
    assert bought(priced(market)) == [MINE]
    assert bought(priced(market, Choice(prefer=Preference.CHEAPEST))) == [FINE]
    assert bought(priced(market, Choice(frozenset({FINE})))) == bought(priced(market, Choice(frozenset({"nuri/fine"})))) == [FINE]
    assert bought(priced(market, Choice(frozenset({FINE, MINE})))) == [MINE, FINE]
    assert bought(priced(market, Choice(left=frozenset({MINE})))) == []


def test_of_the_same_quality_the_newest_is_taken_then_the_cheapest(market: Market) -> None:
    seen = {"captured": ["2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]}
    sells(market, "old", block(), rate=1, about={**counted(98), **seen})
    assert bought(priced(market)) == [MINE]
    sells(market, "east", block(), rate=50, about=counted(98))
    assert bought(priced(market)) == [EAST]


def test_what_the_purpose_does_not_allow_is_no_alternative(market: Market) -> None:
    found = priced(market, purpose="route_planning")
    assert bought(found) == [FINE]
    assert [one.code for one in found.refusals] == ["licence.purpose"]


def test_rows_say_what_there_is_to_choose_from_and_the_total_is_of_the_chosen_ones(market: Market) -> None:
    sells(market, "east", block(2, origin=int(grid.morton(*(int(v) + 40 for v in grid.xy(SEOUL))))))
    found = priced(market, cells=[*block(), *block(2, origin=int(grid.morton(*(int(v) + 40 for v in grid.xy(SEOUL)))))])
    rows = {row.name: row for row in found.offers}
    assert {name: row.is_chosen for name, row in rows.items()} == {MINE: True, FINE: False, EAST: True}
    assert rows[MINE].group == rows[FINE].group != rows[EAST].group
    assert found.subtotal == sum(line.amount for name in (MINE, EAST) for line in rows[name].lines)
    assert (rows[MINE].quality, rows[FINE].quality) == (98, 90)


def test_ground_that_is_shared_outside_the_area_makes_no_alternatives(exchange: Exchange) -> None:
    market = a_market(exchange)
    sells(market, "east", market.cells[4:])
    assert bought(priced(market, cells=market.cells[:4])) == [MINE]
    shared = priced(market, cells=market.cells)
    assert len({row.group for row in shared.offers}) == 1
    x, y = grid.xy(market.cells[0])
    beside = [int(grid.morton(int(x) - 1, int(y)))]
    sells(market, "west", beside)
    assert bought(priced(market, cells=[market.cells[0], *beside])) == [MINE, "nuri/west/hdmap"]


def test_the_price_of_a_tile_is_of_what_is_chosen(market: Market) -> None:
    request = of_area(area(market.cells))
    one, other = (
        cell_prices.tiles(market.ex, market.buyer, replace(request, choice=Choice(frozenset({name}))), limit=1)[0].amount
        for name in (MINE, FINE)
    )
    assert (one, other) == (7778, 123)
    assert cell_prices.tiles(market.ex, market.buyer, request, limit=1)[0].amount == one


def test_the_choice_stays_when_a_quote_is_asked_for_anew(market: Market) -> None:
    held = market.quote(choice=Choice(frozenset({FINE})))
    plain = market.quote()
    sells(market, "east", block(), rate=1, about=counted(100))
    assert bought(renewals.renew(market.ex, market.buyer, held.id).estimate) == [FINE]
    assert bought(renewals.renew(market.ex, market.buyer, plain.id).estimate) == [MINE], "what was shown is not replaced behind the back"
    assert bought(market.quote().estimate) == [EAST]


def test_a_quote_from_before_choices_is_asked_for_anew_with_all_that_was_in_it(market: Market) -> None:
    both = market.quote(choice=Choice(frozenset({MINE, FINE})))
    old = replace(both, request={name: value for name, value in both.request.items() if name != "choice"})
    assert old.price_request.choice.taken == {MINE, FINE}
    assert renewals.renew(market.ex, market.buyer, both.id).estimate.total == both.estimate.total


def test_a_name_that_nobody_offers_is_refused_and_one_without_tiles_here_is_not(market: Market) -> None:
    error = refused("offer.unknown", NotFound, lambda: priced(market, Choice(frozenset({"nuri/none/hdmap", FINE}))))
    assert error.details["unknown"] == ["nuri/none/hdmap"]
    refused("offer.unknown", NotFound, lambda: market.quote(choice=Choice(frozenset({"nonsense"}))))
    x, y = grid.xy(SEOUL)
    sells(market, "east", [int(grid.morton(int(x) + 99, int(y)))])
    assert bought(priced(market, Choice(frozenset({EAST})))) == [MINE]
    assert bought(priced(market, Choice(frozenset({EAST}), only=True))) == []
    refused("quote.unchosen", Invalid, lambda: market.quote(choice=Choice(frozenset({EAST}), only=True)))


def photos(cells: Sequence[int], handling_class: str, name: str) -> object:
    return a_layer(cells, name=name, handling_class=handling_class, kind=LayerKind.PHOTOS, each=Quantities(frames=5))


def test_original_footage_is_bought_by_name_alone_and_beside_what_is_pseudonymised(exchange: Exchange) -> None:
    layers = [photos(block(), "original", "raw"), photos(block(), "pseudonymised", "blurred")]
    market = a_market(exchange, layers=layers)  # type: ignore[arg-type]
    permit = a_permit(exchange)
    raw, blurred = "hanbit/streets/raw", "hanbit/streets/blurred"
    assert bought(priced(market)) == bought(priced(market, Choice(frozenset({"hanbit/streets"})))) == [blurred]
    row = next(row for row in priced(market).offers if row.name == raw)
    assert (row.is_chosen, row.permit) == (False, permit)
    assert row.group != next(one for one in priced(market).offers if one.name == blurred).group
    made = market.quote(choice=Choice(frozenset({raw}), only=True))
    assert bought(made.estimate) == [raw]
    assert [(one.permit.number, one.offers) for one in permitted.of_quote(exchange, made)] == [("P-1", (raw,))]
    named = [market.buyer.email]
    refused("order.persons_needed", Invalid, lambda: orders.place(exchange, market.buyer, made.id, "k"))
    order = orders.place(exchange, market.buyer, made.id, "k", persons=named)
    assert [(one.permit.number, one.offers) for one in permitted.of_order(exchange, order.id)] == [("P-1", (raw,))]
    refused("order.persons_needed", Invalid, lambda: named_users.change(exchange, market.buyer, order.id, []))
    assert named_users.of_order(exchange, market.buyer, order.id) == named


def test_only_original_footage_that_nobody_named_is_no_quote(exchange: Exchange) -> None:
    market = a_market(exchange, layers=[photos(block(), "original", "raw")])  # type: ignore[list-item]
    a_permit(exchange)
    error = refused("quote.unchosen", Invalid, lambda: market.quote(choice=Choice()))
    assert error.details["offers"] == ["hanbit/streets/raw"]


def test_an_absurd_rate_is_asked_about_marked_and_never_the_default(market: Market) -> None:
    seller = a_person(market.ex, "nuri")
    a_draft(market.ex, seller, "east", [a_layer(block(), salt="east", about=counted(100))])
    card = {"lane_km": MAX_RATE}
    asked = refused("rates.unusual", Conflict, lambda: offers.publish(market.ex, seller, "east", rate_card=card, licence="commercial"))
    assert (asked.details["unit"], asked.details["rate"]) == ("lane_km", MAX_RATE)
    assert appraisals.appraise(market.ex, seller, "east", 1, card).unusual == {"lane_km": asked.details["usual"]}
    assert priced(market, cells=block()).offers[0].name != EAST, "what is asked about is not on sale yet"
    for _ in range(2):  # the same terms again ask nothing again
        offers.publish(market.ex, seller, "east", rate_card=card, licence="commercial", confirmed=("rates.unusual",))
    assert offers.publish(market.ex, seller, "east", rate_card=card, licence="commercial").state == "live"
    rows = {row.name: row for row in priced(market).offers}
    assert (rows[EAST].unusual, rows[EAST].is_chosen, rows[MINE].unusual) == (("lane_km",), False, ())
    assert bought(priced(market)) == [MINE]


def test_rates_as_others_ask_them_are_asked_about_by_nobody(market: Market) -> None:
    assert appraisals.appraise(market.ex, market.seller, "streets", 1, dict(RATES)).unusual == {}
