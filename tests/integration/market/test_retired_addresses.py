"""A download address dies with its reason: on the directory store and on a real MinIO, at once, and nobody else's with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from mapex.exchange import Actor, Exchange
from mapex.offers import recalls
from mapex.orders import ledger, orders
from mapex.people import orgs, roles, tokens
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rights import entitlements, grants, named_users, permits
from mapex.rights.grants import Grant
from tests.support.exchange import Clock, a_person, an_exchange
from tests.support.market import Market, a_layer, a_market, a_permit, area, block, named_for, with_originals
from tests.support.servers import Minio, Postgres
from tiles.batch import LayerKind
from tiles.store import minio as minio_store
from web import create_app

NONCE = "a1" * 16


@dataclass(slots=True)
class Depot:
    """A market with footage under a permit, two firms that bought of it, and whoever asks the store for what they were granted."""

    market: Market
    other: Actor
    bought: dict[str, str]
    """The order of each person."""
    ask: Callable[[Grant], int]
    """Status of the store's answer to who holds an address and its header."""

    @property
    def ex(self) -> Exchange:
        return self.market.ex

    def granted(self, by: Actor, *, layer: str = "photos") -> Grant:
        order = self.bought[by.email]
        tile = next(one.id for one in entitlements.of_order(self.ex, by, order).tiles if one.layer == layer)
        return grants.grant(self.ex, by, order, [tile], holder_nonce=NONCE)[0]


@pytest.fixture(params=["directory", "minio"])
def depot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Depot]:
    """On SQLite with the directory store, and on PostgreSQL with MinIO."""
    if request.param == "directory":
        ex = an_exchange(tmp_path / "ex")
        client = create_app(ex).test_client()

        def ask(grant: Grant) -> int:
            parts = urlsplit(grant.request.url)
            return client.get(f"{parts.path}?{parts.query}", headers={"x-mapex-holder": NONCE}).status_code
    else:
        ex = on_minio(request, tmp_path / "ex")

        def ask(grant: Grant) -> int:
            return urllib3.request("GET", grant.request.url, headers={"x-mapex-holder": NONCE}, retries=False, timeout=20).status

    cells = block(2)
    photos = a_layer(cells, name="photos", handling_class="original", kind=LayerKind.PHOTOS)
    market = a_market(ex, layers=[a_layer(cells), photos])
    a_permit(ex)
    other = a_person(ex, "nuri")
    a_permit(ex, "nuri", "P-2")
    ledger.credit(ex, None, "nuri", 10_000_000, key="second")
    bought = {}
    for by in (market.buyer, other):
        made = quotes.quote(ex, by, of_area(area(cells), purpose="research", choice=with_originals(ex, by, area(cells))))
        bought[by.email] = orders.place(ex, by, made.id, made.id, persons=named_for(made, by)).id
    yield Depot(market, other, bought, ask)
    ex.engine.dispose()


def on_minio(request: pytest.FixtureRequest, folder: Path) -> Exchange:
    """An exchange with a bucket of its own, at the time of the server."""
    server: Minio = request.getfixturevalue("minio")
    postgres: Postgres = request.getfixturevalue("postgres")
    keys = {"access_key": server.access_key, "secret_key": server.secret_key, "upload_access_key": "mapexup", "upload_secret_key": "u" * 24}
    prefix = f"ex{time.time_ns()}"
    minio_store.provision(server.endpoint, **keys, prefix=prefix)
    changes: dict[str, object] = {f"store_{name}": value for name, value in keys.items()}
    changes |= {"store": "minio", "store_endpoint": server.endpoint, "store_secure": False, "store_public_url": server.url}
    url = postgres.new_database(request.getfixturevalue("migrated_postgresql"))
    return an_exchange(folder, database_url=url, now=Clock(time.time_ns()), store_bucket_prefix=prefix, part_size=5 << 20, **changes)


def suspend_the_permit(depot: Depot) -> None:
    permits.set_state(depot.ex, None, "P-1", "suspended")


def revoke_the_permit(depot: Depot) -> None:
    permits.set_state(depot.ex, None, "P-1", "revoked")


def suspend_the_firm(depot: Depot) -> None:
    orgs.set_org_state(depot.ex, None, "dongil", "suspended")


def suspend_the_person(depot: Depot) -> None:
    roles.set_state(depot.ex, None, depot.market.buyer.email, "suspended")


def move_the_person(depot: Depot) -> None:
    roles.set_role(depot.ex, None, depot.market.buyer.email, "member", org="nuri")


def revoke_the_token(depot: Depot) -> None:
    tokens.create(depot.ex, depot.market.buyer, "cli")
    tokens.revoke(depot.ex, depot.market.buyer, tokens.of(depot.ex, depot.market.buyer)[0].id)


def name_another(depot: Depot) -> None:
    colleague = a_person(depot.ex, "dongil")
    named_users.change(depot.ex, depot.market.buyer, depot.bought[depot.market.buyer.email], [colleague.email])


REASONS = (suspend_the_permit, revoke_the_permit, suspend_the_firm, suspend_the_person, move_the_person, revoke_the_token, name_another)


@pytest.mark.parametrize("end", REASONS)
def test_an_address_dies_with_its_reason_and_no_other_firms(depot: Depot, end: Callable[[Depot], None]) -> None:
    mine, open_map, theirs = depot.granted(depot.market.buyer), depot.granted(depot.market.buyer, layer="hdmap"), depot.granted(depot.other)
    assert [depot.ask(mine), depot.ask(open_map), depot.ask(theirs)] == [200, 200, 200]
    end(depot)
    assert [depot.ask(mine), depot.ask(open_map), depot.ask(theirs)] == [403, 403, 200]


def test_addresses_of_a_recalled_version_die_for_all_who_hold_it(depot: Depot) -> None:
    given = [depot.granted(depot.market.buyer), depot.granted(depot.other)]
    recalls.recall(depot.ex, depot.market.seller, "streets", 1)
    assert [depot.ask(one) for one in given] == [403, 403]


def test_what_was_resumed_is_granted_anew_and_old_addresses_stay_dead(depot: Depot) -> None:
    before = depot.granted(depot.market.buyer)
    for state in ("suspended", "active"):
        orgs.set_org_state(depot.ex, None, "dongil", state)
        assert depot.ask(before) == 403
    assert depot.ask(depot.granted(depot.market.buyer)) == 200


def test_an_address_that_is_signed_while_its_reason_ends_opens_nothing(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grant was checked and committed, then the firm is suspended, and only then the address is made."""
    sign = grants._sign

    def late(*given: object, **named: object) -> Grant:
        suspend_the_firm(depot)
        return sign(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(grants, "_sign", late)
    assert depot.ask(depot.granted(depot.market.buyer)) == 403


def test_footage_has_a_minute_and_no_address_outlives_its_permit(depot: Depot) -> None:
    clock = depot.ex.now
    assert isinstance(clock, Clock)
    seconds = {layer: (depot.granted(depot.market.buyer, layer=layer).expires_ns - clock.at_ns) / 1e9 for layer in ("photos", "hdmap")}
    assert 59 < seconds["photos"] <= 60
    assert 119 < seconds["hdmap"] <= 120
    [permit] = [one for one in permits.all_permits(depot.ex) if one.number == "P-1"]
    clock.at_ns = permit.valid_to_ns - 20 * 10**9
    last = depot.granted(depot.market.buyer)
    assert last.expires_ns <= permit.valid_to_ns
    assert "X-Amz-Expires=19" in last.request.url or "X-Amz-Expires=20" in last.request.url
