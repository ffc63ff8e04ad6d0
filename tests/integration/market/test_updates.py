"""Updates of what was bought, quotes asked for anew, names and named users, on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mapex.audit import log as audit_log
from mapex.errors import Conflict, Denied, Invalid, MapexError, NotFound
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.operation import fsck
from mapex.orders import orders, renewals, terms, updates
from mapex.people import roles
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rights import entitlements, grants, named_users, served
from mapex.rights.served import Served
from tests.support.exchange import a_person
from tests.support.market import RATES, Market, a_draft, a_layer, a_market, a_permit, area, block


def refused(code: str, kind: type[MapexError], action) -> MapexError:  # type: ignore[no-untyped-def]
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.code == code
    return caught.value


def next_version(market: Market, *, changed: int = 6, removed: int = 2, rates=RATES, licence: str = "research") -> list[int]:
    """A new version of `streets`: the first cells have new content, the last ones are gone; returns the cells that changed."""
    cells = market.cells
    layer = a_layer(cells[: len(cells) - removed])
    layer.parts = {cell: ([f"new {cell}"] if cell in cells[:changed] else parts) for cell, parts in layer.parts.items()}
    a_draft(market.ex, market.seller, "streets", [layer])
    offers.publish(market.ex, market.seller, "streets", rate_card=rates, licence=licence)
    return cells[:changed]


def test_an_order_knows_which_tiles_are_newer_and_what_exactly_those_cost(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    assert updates.of_order(exchange, market.buyer, order.id).layers == ()
    assert updates.counts(exchange, market.buyer, [order.id]) == {}
    changed = next_version(market)
    found = updates.of_order(exchange, market.buyer, order.id)
    assert (found.tiles, found.changed, found.added, found.removed) == (16, 6, 0, 2)
    assert found.layers[0].changed.tolist() == sorted(changed)
    assert found.layers[0].removed.tolist() == sorted(market.cells[-2:])
    assert updates.counts(exchange, market.buyer, [order.id]) == {order.id: 6}
    whole = quotes.quote(exchange, market.buyer, of_area(area(market.cells), purpose="research"))
    assert found.price is not None and found.price.total == whole.estimate.total > 0

    held = updates.quote(exchange, market.buyer, order.id)
    assert held.estimate.total == found.price.total and held.estimate.tiles == 6
    orders.place(exchange, market.buyer, held.id, "update")
    assert updates.of_order(exchange, market.buyer, order.id).changed == 0
    assert updates.counts(exchange, market.buyer, [order.id]) == {}
    refused("order.current", Invalid, lambda: updates.quote(exchange, market.buyer, order.id))
    assert [one for one in fsck.check(exchange) if not one.ok] == []


def test_an_update_prices_nothing_else_that_is_there(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    a_draft(exchange, market.seller, "other", [a_layer(market.cells, salt="other")])
    offers.publish(exchange, market.seller, "other", rate_card=RATES, licence="research")
    next_version(market)
    held = updates.quote(exchange, market.buyer, order.id)
    assert {line.dataset for line in held.estimate.lines} == {"streets"}
    assert {line.tiles for line in held.estimate.lines} == {6}


def test_new_tiles_in_the_area_are_offered_beside_the_changed_ones(exchange: Exchange) -> None:
    market = a_market(exchange, layers=[a_layer(block(4)[:10])])
    order = market.buy()
    a_draft(exchange, market.seller, "streets", [a_layer(block(4))])
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    found = updates.of_order(exchange, market.buyer, order.id)
    assert (found.changed, found.added, found.price) == (0, 6, None)
    refused("order.current", Invalid, lambda: updates.quote(exchange, market.buyer, order.id))
    held = updates.quote(exchange, market.buyer, order.id, added=True)
    assert found.price_with_added is not None and held.estimate.total == found.price_with_added.total
    assert held.estimate.tiles == 6
    made = orders.place(exchange, market.buyer, held.id, "k")
    assert len(entitlements.of_order(exchange, market.buyer, made.id).tiles) == 6


def test_updates_of_restricted_tiles_need_the_permit_of_now(exchange: Exchange) -> None:
    market = a_market(exchange, layers=[a_layer(block(4), handling_class="restricted")])
    a_permit(exchange, days=10)
    order = market.buy()
    a_draft(exchange, market.seller, "streets", [a_layer(block(4), handling_class="restricted", salt="new")])
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="research")
    assert updates.quote(exchange, market.buyer, order.id).estimate.tiles == 16
    exchange.now.forward(days=11)  # type: ignore[attr-defined]
    refused("permit.expired", Denied, lambda: updates.quote(exchange, market.buyer, order.id))


def test_orders_of_others_have_no_updates(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    next_version(market)
    spy = a_person(exchange, "nuri")
    refused("order.unknown", NotFound, lambda: updates.of_order(exchange, spy, order.id))
    refused("order.unknown", NotFound, lambda: updates.quote(exchange, spy, order.id))
    refused("order.unknown", NotFound, lambda: entitlements.progress(exchange, spy, order.id))
    assert updates.counts(exchange, spy, [order.id]) == {}


def test_a_held_update_is_refused_when_it_changed_and_renewed_at_its_new_price(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    next_version(market)
    held = updates.quote(exchange, market.buyer, order.id)
    dearer = {**RATES, "lane_km": 9000}
    offers.publish(exchange, market.seller, "streets", rate_card=dearer, licence="research")
    error = refused("quote.price_changed", Conflict, lambda: orders.place(exchange, market.buyer, held.id, "k"))
    anew = renewals.renew(exchange, market.buyer, held.id)
    assert error.details["estimate"]["total"] == anew.estimate.total > held.estimate.total
    assert anew.request["replaces"] == held.id and anew.estimate.tiles == 6
    assert orders.place(exchange, market.buyer, anew.id, "k2").total == anew.estimate.total


def test_a_renewed_quote_names_the_old_one_and_both_compare_line_by_line(exchange: Exchange) -> None:
    market = a_market(exchange, layers=[a_layer(block(4)), a_layer(block(4), name="walks")])
    old = market.quote()
    quotes.rename(exchange, market.buyer, old.id, " Pangyo\n north ")
    offers.publish(exchange, market.seller, "streets", rate_card={"lane_km": 7000, "crossing": 5}, licence="research")
    new = renewals.renew(exchange, market.buyer, old.id)
    assert (new.name, new.request["replaces"]) == ("Pangyo north", old.id)
    pairs = renewals.compare(old.estimate, new.estimate)
    seen = {(p.line.layer, p.line.unit): (p.old and p.old.rate, p.new and p.new.rate) for p in pairs}
    assert seen["hdmap", "lane_km"] == (6300, 7000)
    assert seen["hdmap", "crossing"] == (None, 5)
    assert all(pair.differs for pair in pairs)
    other = renewals.renew(exchange, market.buyer, old.id, "simulation")
    assert other.estimate.purpose == "simulation" and other.estimate.total == new.estimate.total
    refused("purpose.unknown", Invalid, lambda: renewals.renew(exchange, market.buyer, old.id, "fun"))
    spy = a_person(exchange, "nuri")
    refused("quote.unknown", NotFound, lambda: renewals.renew(exchange, spy, old.id))
    refused("quote.unknown", NotFound, lambda: quotes.rename(exchange, spy, old.id, "mine"))
    refused("text.malformed", Invalid, lambda: quotes.rename(exchange, market.buyer, old.id, "x" * 101))


def test_the_name_of_an_area_stays_with_its_order_and_is_not_signed(exchange: Exchange) -> None:
    market = a_market(exchange)
    quote = market.quote()
    order = orders.place(exchange, market.buyer, quote.id, "k")
    quotes.rename(exchange, market.buyer, quote.id, "판교 북쪽")
    assert orders.get(exchange, market.buyer, order.id).name == "판교 북쪽"
    assert [one for one in fsck.check(exchange) if not one.ok] == []
    quotes.rename(exchange, market.buyer, quote.id, " ")
    assert orders.get(exchange, market.buyer, order.id).name == ""


def test_terms_against_the_last_order_of_the_dataset(exchange: Exchange) -> None:
    market = a_market(exchange)
    assert terms.since_last(exchange, market.buyer, market.quote()) == []
    order = market.buy()
    quote = market.quote()
    (same,) = terms.since_last(exchange, market.buyer, quote)
    assert same.is_same and same.order_id == order.id
    assert terms.holding(exchange, market.buyer, quote) == [order.id]
    next_version(market, rates={**RATES, "lane_km": 7000}, licence="share_alike")
    quote = market.quote()
    (change,) = terms.since_last(exchange, market.buyer, quote)
    assert (change.old.licence, change.new.licence) == ("research", "share_alike")
    assert (change.old.version, change.new.version) == (1, 2)
    assert change.rates == [("lane_km", 6300, 7000)]
    assert terms.holding(exchange, market.buyer, quote) == []  # what is held for research is not held under wider terms


def test_only_named_users_may_download(exchange: Exchange) -> None:
    market = a_market(exchange)
    mate = a_person(exchange, "dongil", email="mate@dongil.example")
    third = a_person(exchange, "dongil", email="third@dongil.example")
    foreign = a_person(exchange, "nuri", email="spy@nuri.example")
    quote = market.quote()
    refused("order.persons", Invalid, lambda: orders.place(exchange, market.buyer, quote.id, "k", persons=[foreign.email]))
    assert orders.of(exchange, market.buyer).orders == []
    order = orders.place(exchange, market.buyer, quote.id, "k", persons=["Mate@dongil.example "])
    assert orders.place(exchange, market.buyer, quote.id, "k", persons=[mate.email]).id == order.id
    refused("order.key_reused", Conflict, lambda: orders.place(exchange, market.buyer, quote.id, "k"))
    assert named_users.of_order(exchange, market.buyer, order.id) == [mate.email]
    tile = entitlements.of_order(exchange, market.buyer, order.id, limit=1).tiles[0].id
    assert grants.grant(exchange, mate, order.id, [tile])
    refused("order.not_named", Denied, lambda: grants.grant(exchange, third, order.id, [tile]))
    refused("order.not_named", Denied, lambda: grants.grant(exchange, market.buyer, order.id, [tile]))
    refused("order.not_named", Denied, lambda: named_users.change(exchange, third, order.id, [third.email]))
    refused("order.unknown", NotFound, lambda: named_users.change(exchange, foreign, order.id, []))
    named_users.change(exchange, market.buyer, order.id, [mate.email, third.email])
    assert grants.grant(exchange, third, order.id, [tile])
    named_users.change(exchange, third, order.id, [])
    assert grants.grant(exchange, market.buyer, order.id, [tile])
    log = audit_log.events(exchange, market.buyer, audit_log.EventFilter(action="order.named")).events
    assert [event.payload["persons"] for event in log] == [[], [mate.email, third.email], [mate.email]]
    assert len(audit_log.events(exchange, market.buyer, audit_log.EventFilter(action="access.refused")).events) == 2
    assert [one for one in fsck.check(exchange) if not one.ok] == []


@pytest.mark.parametrize("left", ["suspended", "moved"])
def test_an_order_whose_named_users_have_left_is_not_lost(exchange: Exchange, left: str) -> None:
    market, leaver = a_market(exchange), a_person(exchange, "dongil")
    quote = quotes.quote(exchange, leaver, of_area(area(market.cells), purpose="research"))
    order = orders.place(exchange, leaver, quote.id, "k", persons=[leaver.email])
    refused("order.not_named", Denied, lambda: named_users.change(exchange, market.buyer, order.id, []))
    if left == "moved":
        a_person(exchange, "nuri")
        roles.set_role(exchange, None, leaver.email, "member", org="nuri")
    else:
        roles.set_state(exchange, None, leaver.email, "suspended")
    tile = entitlements.of_order(exchange, market.buyer, order.id, limit=1).tiles[0].id
    refused("order.not_named", Denied, lambda: grants.grant(exchange, market.buyer, order.id, [tile]))
    named_users.change(exchange, market.buyer, order.id, [market.buyer.email])
    assert grants.grant(exchange, market.buyer, order.id, [tile])


def test_progress_counts_files_and_the_addresses_given_out(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    before = entitlements.progress(exchange, market.buyer, order.id)
    assert (before.files, before.withheld, before.granted, before.grants, before.first_granted_ns) == (16, 0, 0, 0, None)
    tiles = [tile.id for tile in entitlements.of_order(exchange, market.buyer, order.id, limit=5).tiles]
    grants.grant(exchange, market.buyer, order.id, tiles)
    grants.grant(exchange, market.buyer, order.id, tiles[:1])
    after = entitlements.progress(exchange, market.buyer, order.id)
    assert (after.granted, after.grants) == (5, 6) and after.last_granted_ns and after.first_granted_ns
    assert after.size == sum(tile.size for tile in entitlements.of_order(exchange, market.buyer, order.id).tiles)
    assert after.served == Served(0, 0, None, None)


def test_a_grant_counts_as_read_once_and_what_is_no_grant_never(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    tile = entitlements.of_order(exchange, market.buyer, order.id, limit=1).tiles[0].id
    given = [grants.grant(exchange, market.buyer, order.id, [tile])[0].id for _ in range(2)]
    for grant in (given[0], given[0], given[1], "gra_unknown", ""):
        served.record(exchange, grant)
    known = entitlements.progress(exchange, market.buyer, order.id).served
    assert (known.read, known.reads) == (1, 2)
    assert known.first_read_ns and known.last_read_ns and known.first_read_ns < known.last_read_ns
    elsewhere = replace(exchange, settings=replace(exchange.settings, store="minio"))
    assert entitlements.progress(elsewhere, market.buyer, order.id).served == Served(None, None, None, None)


def test_orders_by_purpose_dataset_and_time(exchange: Exchange) -> None:
    market = a_market(exchange)
    first = market.buy(market.cells[:4], key="a")
    exchange.now.forward(days=2)  # type: ignore[attr-defined]
    second = market.buy(market.cells[4:8], key="b", purpose="simulation")

    def ids(**wanted: object) -> list[str]:
        return [one.id for one in orders.of(exchange, market.buyer, wanted=orders.OrderFilter(**wanted)).orders]  # type: ignore[arg-type]

    assert ids() == [second.id, first.id]
    assert ids(purpose="simulation") == [second.id]
    assert ids(dataset="streets") == [second.id, first.id] and ids(dataset="street") == []
    assert ids(from_ns=second.created_ns) == [second.id] and ids(to_ns=second.created_ns) == [first.id]
    refused("slug.malformed", Invalid, lambda: ids(dataset='x" OR 1'))
