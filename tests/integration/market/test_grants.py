"""Grants: checked and logged before a URL exists, all tiles or none; on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from mapex.audit import log
from mapex.database.schema import access_grant
from mapex.errors import Denied, Invalid, Limited, MapexError, NotFound
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.rights import entitlements, named_users, permits
from mapex.rights import grants as granting
from mapex.rights.entitlements import OrderTile
from mapex.rules.holder import holder_of
from mapex.times import NS
from tests.support.exchange import Clock, a_person
from tests.support.market import RATES, Market, a_layer, a_market, a_permit, block
from tiles.batch import LayerKind

TOKEN = "mpx_tok_se_cret"


def tiles_of(market: Market, order_id: str) -> list[OrderTile]:
    return list(entitlements.of_order(market.ex, market.buyer, order_id).tiles)


def refused(kind: type[MapexError], code: str, call: Callable[[], object]) -> MapexError:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    return caught.value


def grants(ex: Exchange) -> int:
    with ex.engine.connect() as conn:
        return conn.execute(select(func.count()).select_from(access_grant)).scalar_one()


def granted_events(ex: Exchange) -> list[log.Event]:
    auditor = a_person(ex, role="auditor")
    return list(log.events(ex, auditor, log.EventFilter(action="access.granted"), limit=1000).events)


def footage(ex: Exchange, **permit: object) -> tuple[Market, str]:
    """A market with original photos, and an order of all of them."""
    layer = a_layer(block(), name="photos", handling_class="original", kind=LayerKind.PHOTOS)
    market = a_market(ex, layers=[layer])
    a_permit(ex, **permit)  # type: ignore[arg-type]
    return market, market.buy().id


def test_every_granted_tile_is_logged_with_who_why_and_under_which_permit(exchange: Exchange) -> None:
    market, order_id = footage(exchange)
    tiles = tiles_of(market, order_id)
    granted = granting.grant(exchange, market.buyer, order_id, [tile.id for tile in tiles], holder_token=TOKEN)
    assert [one.tile.id for one in granted] == [tile.id for tile in tiles]
    events = {event.payload["grant"]: event for event in granted_events(exchange)}
    assert set(events) == {one.id for one in granted}
    for one in granted:
        event = events[one.id]
        assert (event.person, event.org, event.owner) == (market.buyer.email, "dongil", "hanbit")
        assert (event.dataset, event.layer, event.tile) == ("streets", "photos", one.tile.tile)
        assert (event.purpose, event.permit) == ("research", "P-1")


def test_the_address_names_the_grant_and_ends_with_it(exchange: Exchange) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    [granted] = granting.grant(exchange, market.buyer, order_id, [tiles_of(market, order_id)[0].id])
    assert f"x-mapex-grant={granted.id}" in granted.request.url
    assert f"X-Amz-Expires={exchange.settings.grant_seconds}" in granted.request.url
    assert not granted.holder_required
    with exchange.engine.connect() as conn:
        row = conn.execute(select(access_grant)).one()
    assert (row.id, row.expires_ns - row.issued_ns) == (granted.id, exchange.settings.grant_seconds * NS)
    assert granted.expires_ns == row.expires_ns


def test_original_footage_is_bound_to_its_holder_who_is_not_informed(exchange: Exchange) -> None:
    market, order_id = footage(exchange)
    [granted] = granting.grant(exchange, market.buyer, order_id, [tiles_of(market, order_id)[0].id], holder_token=TOKEN)
    expected = hmac.new(b"se_cret", b"mapex-holder" + granted.id.encode(), hashlib.sha256).hexdigest()
    assert granted.holder_required
    assert "x-mapex-holder" in granted.request.url  # it is a signed header
    assert expected not in granted.request.url
    assert expected not in granted.request.headers.values()
    assert holder_of(TOKEN, granted.id) == expected


@pytest.mark.parametrize("nonce", [None, "short", "x" * 31, "sp ace" * 10, "é" * 40])
def test_original_footage_without_a_holder_is_refused(exchange: Exchange, nonce: str | None) -> None:
    market, order_id = footage(exchange)
    ids = [tiles_of(market, order_id)[0].id]
    refused(Invalid, "grant.holder_missing", lambda: granting.grant(exchange, market.buyer, order_id, ids, holder_nonce=nonce))
    assert grants(exchange) == 0


def test_a_browser_binds_footage_to_its_nonce(exchange: Exchange) -> None:
    market, order_id = footage(exchange)
    [granted] = granting.grant(exchange, market.buyer, order_id, [tiles_of(market, order_id)[0].id], holder_nonce="a1" * 16)
    assert granted.holder_required


@pytest.mark.parametrize("state", ["suspended", "revoked"])
def test_a_suspended_permit_stops_grants_at_once_and_names_the_tiles(exchange: Exchange, state: str) -> None:
    market, order_id = footage(exchange)
    ids = [tile.id for tile in tiles_of(market, order_id)]
    granting.grant(exchange, market.buyer, order_id, ids[:1], holder_token=TOKEN)
    permits.set_state(exchange, None, "P-1", state)
    error = refused(Denied, "permit.suspended", lambda: granting.grant(exchange, market.buyer, order_id, ids, holder_token=TOKEN))
    assert sorted(error.details["tiles"]) == sorted(ids)
    assert grants(exchange) == 1


def test_an_expired_permit_stops_grants(exchange: Exchange) -> None:
    market, order_id = footage(exchange, days=1)
    ids = [tile.id for tile in tiles_of(market, order_id)]
    assert isinstance(exchange.now, Clock)
    exchange.now.forward(days=1)
    refused(Denied, "permit.expired", lambda: granting.grant(exchange, market.buyer, order_id, ids, holder_token=TOKEN))
    assert grants(exchange) == 0


def test_a_refused_grant_is_logged(exchange: Exchange) -> None:
    market, order_id = footage(exchange)
    ids = [tile.id for tile in tiles_of(market, order_id)]
    permits.set_state(exchange, None, "P-1", "suspended")
    refused(Denied, "permit.suspended", lambda: granting.grant(exchange, market.buyer, order_id, ids, holder_token=TOKEN))
    auditor = a_person(exchange, role="auditor")
    events = log.events(exchange, auditor, log.EventFilter(action="access.refused", permit="P-1")).events
    assert sorted(event.payload["entitlement"] for event in events) == sorted(ids)
    reasons = {(event.payload["code"], event.payload["order"], event.payload["asked"]) for event in events}
    assert reasons == {("permit.suspended", order_id, 16)}
    told = {(event.owner, event.dataset, event.layer, event.purpose) for event in events}
    assert told == {("hanbit", "streets", "photos", "research")}
    assert {event.tile for event in events} == {tile.tile for tile in tiles_of(market, order_id)}


def test_a_refusal_names_only_the_tiles_that_were_refused_and_their_seller_sees_it(exchange: Exchange) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    tiles = tiles_of(market, order_id)
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE entitlement SET state = 'suspended' WHERE id = :id"), {"id": tiles[5].id})
    refused(Denied, "entitlement.suspended", lambda: granting.grant(exchange, market.buyer, order_id, [tile.id for tile in tiles]))
    [event] = log.events(exchange, market.seller, log.EventFilter(action="access.refused")).events
    assert (event.owner, event.dataset, event.layer, event.tile, event.permit) == ("hanbit", "streets", "hdmap", tiles[5].tile, "")


def test_whoever_is_not_named_is_refused_and_the_log_says_which_tiles(exchange: Exchange) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    named_users.change(exchange, market.buyer, order_id, [market.buyer.email])
    other, tile = a_person(exchange, "dongil"), tiles_of(market, order_id)[0]
    refused(Denied, "order.not_named", lambda: granting.grant(exchange, other, order_id, [tile.id]))
    [event] = log.events(exchange, market.buyer, log.EventFilter(action="access.refused")).events
    assert (event.person, event.tile, event.dataset, event.purpose) == (other.email, tile.tile, "streets", "research")


def test_a_recalled_version_is_disclosed_no_more(exchange: Exchange) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    ids = [tile.id for tile in tiles_of(market, order_id)]
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE dataset_version SET state = 'recalled'"))
    error = refused(Denied, "version.recalled", lambda: granting.grant(exchange, market.buyer, order_id, ids))
    assert len(error.details["tiles"]) == 16
    assert grants(exchange) == 0


def test_one_suspended_tile_refuses_the_whole_call(exchange: Exchange) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    ids = [tile.id for tile in tiles_of(market, order_id)]
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE entitlement SET state = 'suspended' WHERE id = :id"), {"id": ids[5]})
    error = refused(Denied, "entitlement.suspended", lambda: granting.grant(exchange, market.buyer, order_id, ids))
    assert error.details["tiles"] == [ids[5]]
    assert grants(exchange) == 0


def test_bought_tiles_of_a_withdrawn_dataset_stay_readable(exchange: Exchange) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    offers.withdraw(exchange, market.seller, "streets")
    assert len(granting.grant(exchange, market.buyer, order_id, [tiles_of(market, order_id)[0].id])) == 1


def test_tiles_of_others_are_absent(exchange: Exchange) -> None:
    market = a_market(exchange)
    mine = market.buy(market.cells[:2]).id
    other_order = market.buy(market.cells[2:4]).id
    foreign = tiles_of(market, other_order)[0].id
    own = tiles_of(market, mine)[0].id
    for by in (market.seller, a_person(exchange, "third")):
        refused(NotFound, "order.unknown", lambda by=by: granting.grant(exchange, by, mine, [own]))  # type: ignore[misc]
    error = refused(NotFound, "tile.unknown", lambda: granting.grant(exchange, market.buyer, mine, [own, foreign, "ent_absent"]))
    assert error.details["tiles"] == [foreign, "ent_absent"]
    assert grants(exchange) == 0


@pytest.mark.parametrize("tiles", [[], ["ent_x"] * 2, ["ent_x"] * 1001, [7]])
def test_a_list_of_tiles_that_cannot_be_is_refused(exchange: Exchange, tiles: list[str]) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    refused(Invalid, "grant.tiles", lambda: granting.grant(exchange, market.buyer, order_id, tiles))


@pytest.mark.parametrize("point", ["grant.before_commit", "grant.after_commit"])
def test_a_grant_that_is_cut_off_is_logged_or_never_was(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    from mapex.database import failpoints

    market = a_market(exchange)
    order_id = market.buy().id
    ids = [tile.id for tile in tiles_of(market, order_id)]
    monkeypatch.setattr(failpoints, "_passed", {})
    monkeypatch.setenv("MAPEX_FAILPOINT", f"{point}:raise")
    with pytest.raises(failpoints.Failpoint):
        granting.grant(exchange, market.buyer, order_id, ids)
    monkeypatch.delenv("MAPEX_FAILPOINT")
    assert grants(exchange) == len(granted_events(exchange)) == (0 if point == "grant.before_commit" else 16)


def test_no_address_is_signed_when_the_log_cannot_be_written(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    market = a_market(exchange)
    order_id = market.buy().id
    ids = [tile.id for tile in tiles_of(market, order_id)]
    signed: list[str] = []
    monkeypatch.setattr(type(exchange.store), "presign_get", lambda *args, **kwargs: signed.append("url"))

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(granting, "append_many", full)
    with pytest.raises(OSError, match="no space"):
        granting.grant(exchange, market.buyer, order_id, ids)
    assert signed == []
    assert grants(exchange) == 0


def test_a_file_is_given_out_so_many_times_a_day_and_the_log_is_not_filled_with_it(exchange: Exchange) -> None:
    ex = replace(exchange, settings=replace(exchange.settings, grants_per_tile=3))
    market = a_market(ex)
    order_id = market.buy().id
    first, second = (tile.id for tile in tiles_of(market, order_id)[:2])
    for _ in range(3):
        granting.grant(ex, market.buyer, order_id, [first])
    again = refused(Limited, "grant.too_often", lambda: granting.grant(ex, market.buyer, order_id, [second, first]))
    assert again.details["tiles"] == [first]
    assert grants(ex) == 3, "all of a call or none"
    granting.grant(ex, market.buyer, order_id, [second])
    assert isinstance(ex.now, Clock)
    ex.now.forward(seconds=again.details["retry_after_s"])
    granting.grant(ex, market.buyer, order_id, [first])


def test_a_refusal_that_is_repeated_is_counted_and_does_not_fill_the_log(exchange: Exchange) -> None:
    market, order_id = footage(exchange)
    tiles = [tile.id for tile in tiles_of(market, order_id)]
    permits.set_state(exchange, None, "P-1", "suspended")
    for _ in range(120):
        refused(Denied, "permit.suspended", lambda: granting.grant(exchange, market.buyer, order_id, tiles, holder_token=TOKEN))
    auditor = a_person(exchange, role="auditor")
    found = log.events(exchange, auditor, log.EventFilter(action="access.refused"), limit=1000).events
    assert len(found) == granting.REFUSALS_LOGGED * len(tiles) + 1
    [summary] = [event for event in found if not event.tile]
    assert (summary.payload["tries"], summary.payload["asked"], summary.payload["code"]) == (100, len(tiles), "permit.suspended")


def test_tiles_are_read_for_the_purpose_of_their_order_or_a_narrower_one(exchange: Exchange) -> None:
    market = a_market(exchange)
    offers.publish(exchange, market.seller, "streets", rate_card=RATES, licence="commercial")
    order = market.buy(purpose="localisation")
    (tile,) = entitlements.of_order(exchange, market.buyer, order.id, limit=1).tiles
    with pytest.raises(Denied) as refused:
        granting.grant(exchange, market.buyer, order.id, [tile.id], purpose="map_production")
    assert (refused.value.code, refused.value.details["tiles"]) == ("grant.purpose", [tile.id])
    with pytest.raises(Invalid):
        granting.grant(exchange, market.buyer, order.id, [tile.id], purpose="fun")
    for purpose, logged in ((None, "localisation"), ("localisation", "localisation"), ("simulation", "simulation")):
        (granted,) = granting.grant(exchange, market.buyer, order.id, [tile.id], purpose=purpose)
        with exchange.engine.connect() as conn:
            query = text("SELECT purpose FROM access_grant WHERE id = :id")
            assert conn.execute(query, {"id": granted.id}).scalar_one() == logged
