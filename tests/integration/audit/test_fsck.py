"""`mapex fsck` finds nothing in an intact exchange, and names each invariant that was broken behind the services' back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from mapex.audit import log
from mapex.database.migrations import HEAD
from mapex.exchange import Exchange
from mapex.offers import offers
from mapex.operation import fsck
from mapex.people import invitations, persons, roles, tokens
from mapex.rights import entitlements, grants, named_users
from tests.support.exchange import Clock
from tests.support.market import Market, a_draft, a_layer, block
from tests.support.tampering import behind, broken, rewrite, traded, unguarded
from tiles.store.protocol import Bucket


@pytest.fixture
def market(exchange: Exchange) -> Market:
    assert HEAD
    return traded(exchange)


def test_an_intact_exchange_breaks_nothing(market: Market) -> None:
    checks = fsck.check(market.ex, deep=True)
    assert [check.name for check in checks] == [
        "I1",
        "I2",
        "I3",
        "I4",
        "I5",
        "I6",
        "I7",
        "I8",
        "I10",
        "I11",
        "I12",
        "replay",
        "schema",
        "files",
        "pyramid",
    ]
    assert [check.message for check in checks if not check.ok] == []


def test_who_made_room_for_the_owner_of_an_address_leaves_a_log_that_still_makes_what_is_stored(market: Market) -> None:
    ex, address = market.ex, "kim@bank.example"
    for key in ("first", "second"):  # twice: the log has three persons of one address
        _, link = invitations.invite(ex, None, address, org="dongil")
        came_in = replace(market, buyer=invitations.redeem(ex, link, name="Kim", password="correct horse battery").actor)
        tokens.create(ex, came_in.buyer)
        order = came_in.buy(key=key)
        named_users.change(ex, came_in.buyer, order.id, [address])
        tile = entitlements.of_order(ex, came_in.buyer, order.id).tiles[-1]
        grants.grant(ex, came_in.buyer, order.id, [tile.id], holder_token="mpx_a_b")
        with ex.engine.begin() as conn:  # as the version before addresses were proven left who was invited by a member
            conn.execute(text("UPDATE person SET proven_ns = NULL WHERE email = :email"), {"email": address})
        with unguarded(ex, "update") as conn:
            rewrite(conn, "person.added", lambda said: said.pop("proven"))
    owner = persons.add_person(ex, None, address, role="auditor").actor
    log.events(ex, owner)
    assert broken(ex) == {}
    roles.set_role(ex, None, address, "operator")
    assert broken(ex) == {}
    behind(ex, "UPDATE person SET state = 'active' WHERE email LIKE '%@displaced.invalid'")
    assert "state is 'active', by the log 'suspended'" in broken(ex)["replay"]


BREAKS: dict[str, tuple[str, str, str]] = {
    "a wallet that was raised": ("I3", "UPDATE ledger_account SET balance = balance + 1 WHERE kind = 'wallet'", "its entries sum to"),
    "an entry that was changed": ("I3", "UPDATE ledger_entry SET amount = amount + 1 WHERE amount > 0", "sums to"),
    "an order that costs something else": ("I4", "UPDATE purchase_order SET total = total + 1", "costs"),
    "a line that charges something else": ("I4", "UPDATE order_line SET amount = amount + 1 WHERE ordinal = 0", "its lines"),
    "a line of another layer": ("I4", "UPDATE order_line SET layer = 'other'", "other lines than its quote"),
    "a bill that was lost": ("I4", "DELETE FROM order_line", "its lines 0"),
    "a quote that was changed after signing": ("I4", "UPDATE quote SET purpose = 'simulation'", "signed"),
    "an order without its event": ("I4", "DELETE FROM audit_event WHERE action = 'order.placed'", "not in the log"),
    "a grant without its event": ("I4", "DELETE FROM audit_event WHERE action = 'access.granted'", "not in the log"),
    "an entitlement that was taken": (
        "I4",
        "DELETE FROM entitlement WHERE id NOT IN (SELECT entitlement_id FROM access_grant)",
        "entitlements",
    ),
    "a grant of another object": ("I4", "UPDATE access_grant SET object_key = 'x/y'", "another organisation or object"),
    "a quote that was lost": ("I1", "UPDATE audit_event SET payload = REPLACE(payload, 'quo_', 'qux_')", "not there"),
    "a version that was never published": ("I1", "UPDATE dataset_version SET state = 'draft'", "not published"),
    "a version that was published twice": (
        "I2",
        "INSERT INTO audit_event (at_ns, action, person, org, owner, dataset, layer, tile, purpose, permit, payload, salt, commitment) "
        "SELECT at_ns, action, person, org, owner, dataset, layer, tile, purpose, permit, payload, salt, commitment FROM audit_event "
        "WHERE action = 'version.published'",
        "published 2 times",
    ),
    "an order that was paid twice": (
        "I2",
        "INSERT INTO ledger_transaction (id, kind, order_id, memo, created_ns) SELECT 'again', 'order', MAX(id), '', 1 FROM purchase_order",
        "2 payments",
    ),
    "a draft in the listing": ("I6", "UPDATE dataset_version SET state = 'draft' WHERE state = 'published'", "listed"),
    "a class that was removed": ("I6", "UPDATE layer SET handling_class = NULL", "handling class"),
    "a grant before its permit": ("I10", "UPDATE permit SET valid_from_ns = valid_to_ns - 1", "outside the period"),
    "a grant without a permit": ("I10", "UPDATE access_grant SET permit_id = NULL", "without a permit"),
    "a grant that never ends": ("I10", "UPDATE access_grant SET expires_ns = issued_ns + 3600000000000", "lives"),
    "a payment without entries": (
        "I11",
        "INSERT INTO ledger_transaction (id, kind, memo, created_ns) VALUES ('half', 'credit', '', 1)",
        "no entries",
    ),
    "a version without an offer": ("I11", "UPDATE dataset_version SET state = 'superseded' WHERE state = 'draft'", "never on offer"),
    "a version that nobody reads": ("I11", "UPDATE dataset_version SET state = 'ingesting' WHERE state = 'draft'", "no job"),
    "a sum that is wrong": ("pyramid", "UPDATE tile_sum SET lane_mm = lane_mm + 1", "other sums"),
    "a zoom that is gone": ("pyramid", "DELETE FROM tile_sum WHERE z = 9", "between zooms"),
    "an ownership that nobody bought": ("pyramid", "UPDATE owned_sum SET frames = frames + 1", "owns"),
    "an ownership for a purpose that nobody bought": (
        "pyramid",
        "INSERT INTO owned_sum (org_id, purpose, z, cell, layer_id, cells, lane_mm) "
        "SELECT org_id, 'map_production', z, cell, layer_id, cells, lane_mm FROM owned_sum WHERE purpose = 'research'",
        "owns",
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_what_was_broken_behind_the_services_is_named(market: Market, case: str) -> None:
    name, statement, word = BREAKS[case]
    a_draft(market.ex, market.seller, "unsold", [a_layer(block(2))])
    assert broken(market.ex) == {}
    behind(market.ex, statement)
    found = broken(market.ex)
    assert name in found
    assert word in found[name]


def test_a_grant_in_the_time_of_a_suspension_is_named(market: Market) -> None:
    from mapex.rights import permits

    assert isinstance(market.ex.now, Clock)
    permits.set_state(market.ex, None, "P-1", "suspended")
    since = market.ex.now()
    market.ex.now.forward(seconds=60)
    permits.set_state(market.ex, None, "P-1", "active")
    assert broken(market.ex) == {}
    behind(market.ex, "UPDATE access_grant SET issued_ns = :at, expires_ns = :at + 1", at=since + 10**9)
    assert "suspended" in broken(market.ex)["I10"]


def keys(ex: Exchange) -> list[str]:
    with ex.engine.connect() as conn:
        sql = "SELECT t.object_key FROM tile t JOIN layer l ON l.id = t.layer_id ORDER BY l.id, t.cell"
        return list(conn.execute(text(sql)).scalars())


def test_an_object_that_is_gone_is_named(market: Market) -> None:
    key = keys(market.ex)[3]
    market.ex.store.delete(Bucket.DATA, key)
    found = broken(market.ex)
    assert set(found) == {"I5"}
    assert key in found["I5"]


def test_an_object_of_another_size_is_named(market: Market) -> None:
    behind(market.ex, "UPDATE tile SET bytes = bytes + 1")
    assert "bytes" in broken(market.ex)["I5"]


@pytest.mark.parametrize(("deep", "expected"), [(False, set()), (True, {"I5"})])
def test_a_flipped_bit_is_named_when_looking_deep(market: Market, deep: bool, expected: set[str]) -> None:
    key = keys(market.ex)[0]
    path = next(path for path in market.ex.settings.store_dir.rglob(key.rpartition("/")[2]) if path.is_file())
    body = bytearray(path.read_bytes())
    body[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(body)
    assert set(broken(market.ex, deep=deep)) == expected


@pytest.mark.parametrize(("hours", "expected"), [(1, set()), (25, {"I7"})])
def test_an_object_without_a_tile_is_named_after_a_day(market: Market, hours: int, expected: set[str]) -> None:
    import hashlib
    import time

    body = b"nobody refers to me"
    market.ex.store.put(Bucket.DATA, "org_x/loose", body, sha256=hashlib.sha256(body).hexdigest())
    assert isinstance(market.ex.now, Clock)
    market.ex.now.at_ns = time.time_ns() + hours * 3600 * 10**9  # the store's clock is the machine's
    assert set(broken(market.ex)) == expected


def test_the_message_counts_and_shows_the_first_ones(market: Market) -> None:
    for key in set(keys(market.ex)):
        market.ex.store.delete(Bucket.DATA, key)
    [check] = [check for check in fsck.check(market.ex) if check.name == "I5"]
    assert check.count == len(set(keys(market.ex)))
    assert f"and {check.count - fsck.EXAMPLES} more" in check.message


def test_refusals_of_every_kind_leave_no_row(market: Market) -> None:
    from sqlalchemy import func, select

    from mapex.database.schema import metadata
    from mapex.errors import MapexError

    def rows() -> dict[str, int]:
        with market.ex.engine.connect() as conn:
            # What nobody offers is counted as demand though no quote comes of it: that is what demand is.
            kept = [table for table in metadata.sorted_tables if not table.name.startswith("demand")]
            return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in kept}

    refusals: list[Callable[[], object]] = [
        lambda: market.quote(purpose="fun"),
        lambda: market.quote([0]),
        lambda: market.quote(dataset="absent"),
        lambda: market.buy(key="\n"),
        lambda: offers.publish(market.ex, market.seller, "absent", rate_card={"lane_km": 1}, licence="research"),
        lambda: offers.withdraw(market.ex, market.buyer, "streets"),
    ]
    for refusal in refusals:
        quoted = rows()["quote"]
        before = rows()
        with pytest.raises(MapexError):
            refusal()
        after = rows()
        if after["quote"] == quoted:
            assert after == before
    assert broken(market.ex) == {}
