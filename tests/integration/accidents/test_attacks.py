"""Attacks that worked once, tried from outside: only what a caller, a member or somebody with the database has.

Nothing here knows how they are refused, so that the file runs on versions before too, where each of them fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from mapex.database import db
from mapex.errors import MapexError
from mapex.exchange import Actor, Exchange
from mapex.offers import offers
from mapex.operation import fsck
from mapex.people import invitations, persons, tokens
from mapex.rights import entitlements, grants
from tests.support.exchange import a_person, square
from tests.support.market import SEOUL, a_draft, a_layer, a_market, a_permit, block
from tiles.batch import Quantities
from tiles.grid import grid
from web import create_app

PASSWORD = "correct horse battery"
HERE = square(126.97, 37.55, 126.98, 37.56)


@pytest.fixture
def client(exchange: Exchange) -> FlaskClient:
    app = create_app(exchange)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


def bearer(ex: Exchange, by: Actor, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.create(ex, by, 'test', scopes or ('*',))}"}


def log_in(client: FlaskClient, email: str, address: str) -> int:
    """The status of a log-in with a wrong password."""
    where = {"REMOTE_ADDR": address}
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login", environ_overrides=where).get_data(as_text=True))
    assert found
    form = {"email": email, "password": "wrong", "csrf_token": found[1]}
    return client.post("/login", data=form, environ_overrides=where).status_code


# ---- work and load ----------------------------------------------------------------------------------------------------------------------


def test_a_visitors_comb_is_refused(client: FlaskClient) -> None:
    """5,000 corners that took 43 s of the processor and 2.6 GB."""
    lats = (34.01, 58)
    ring = [(127 + 0.16 * n / 2490, lats[(n + turn) % 2]) for n in range(2490) for turn in (0, 1)]
    ring += [(127.16, 34), (127, 34), ring[0]]
    answer = client.post("/api/v1/estimates", json={"region": {"type": "Polygon", "coordinates": [ring]}})
    assert answer.status_code == 422 and (answer.json or {})["code"].startswith("region.")


def test_one_file_is_not_given_out_without_end(exchange: Exchange) -> None:
    market = a_market(exchange)
    order = market.buy()
    tile = entitlements.of_order(exchange, market.buyer, order.id).tiles[0].id
    with pytest.raises(MapexError):
        for _ in range(200):
            grants.grant(exchange, market.buyer, order.id, [tile])


def test_wrong_tokens_are_not_looked_up_without_end(client: FlaskClient) -> None:
    answers = [client.get("/api/v1/me", headers={"Authorization": f"Bearer mpx_a{n}_wrong"}).status_code for n in range(100)]
    assert 429 in answers


# ---- people -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses",
    [[f"2001:db8:0:1::{n:x}" for n in range(1, 16)], [f"203.0.{n}.7" for n in range(12)]],
    ids=["of one network", "of twelve networks"],
)
def test_guesses_of_one_account_wait_wherever_they_come_from(exchange: Exchange, client: FlaskClient, addresses: list[str]) -> None:
    owner = a_person(exchange, "hanbit").email
    persons.set_password(exchange, None, owner, PASSWORD)
    assert 429 in [log_in(client, owner, address) for address in addresses]


def test_what_was_typed_at_the_log_in_is_not_kept(exchange: Exchange, client: FlaskClient) -> None:
    log_in(client, "=cmd|' /C calc'!A1 " + "x" * 200, "203.0.113.7")
    with db.read(exchange) as conn:
        assert not [row for row in conn.execute(text("SELECT payload FROM audit_event")).scalars() if "calc" in row]


def refusal_of(attempt: Callable[[], object]) -> str:
    """The code of a refusal; "" when there was none."""
    try:
        attempt()
    except MapexError as refused:
        return refused.code
    return ""


def taken_by(ex: Exchange, member: Actor, address: str) -> str:
    """A member invites this address and redeems the link."""

    def take() -> None:
        _, link = invitations.invite(ex, member, address, org="hanbit")
        invitations.redeem(ex, link, name="Me", password=PASSWORD)

    return refusal_of(take)


def test_the_address_of_an_inspector_is_not_taken_by_a_member(exchange: Exchange) -> None:
    taken_by(exchange, a_person(exchange, "hanbit"), "inspector@audit.example")
    _, link = invitations.invite(exchange, None, "inspector@audit.example", role="auditor")
    assert invitations.redeem(exchange, link, name="Inspector", password=PASSWORD).role == "auditor"


def test_a_member_who_redeems_a_link_does_not_learn_who_is_elsewhere(exchange: Exchange) -> None:
    member = a_person(exchange, "hanbit")
    a_person(exchange, "nuri", email="known@nuri.example")
    assert taken_by(exchange, member, "known@nuri.example") == taken_by(exchange, member, "free@nuri.example")


def test_a_token_that_may_only_look_removes_and_renames_nothing(exchange: Exchange, client: FlaskClient) -> None:
    market = a_market(exchange)
    reader, quote = bearer(exchange, market.buyer, "read"), market.quote()
    made = client.post("/api/v1/areas", json={"name": "mine", "region": HERE}, headers=bearer(exchange, market.buyer)).json or {}
    assert client.delete(f"/api/v1/areas/{made['id']}", headers=reader).status_code == 403
    assert client.patch(f"/api/v1/quotes/{quote.id}", json={"name": "renamed"}, headers=reader).status_code == 403


# ---- money and the log ------------------------------------------------------------------------------------------------------------------


def test_an_immense_price_does_not_stop_the_quotes_of_its_area(exchange: Exchange, client: FlaskClient) -> None:
    market = a_market(exchange)
    a_draft(exchange, market.seller, "immense", [a_layer(market.cells, name="signs", each=Quantities(lane_mm=10**9, signs=10**8))])
    card = {"lane_km": 10**9, "sign": 10**9}
    refusal_of(lambda: offers.publish(exchange, market.seller, "immense", rate_card=card, licence="research"))
    west, south, east, north = grid.bounds(SEOUL)
    inside = square(west + (east - west) / 4, south + (north - south) / 4, east - (east - west) / 4, north - (north - south) / 4)
    answer = client.post("/api/v1/quotes", json={"region": inside, "purpose": "research"}, headers=bearer(exchange, market.buyer))
    assert answer.status_code == 201, answer.text


def test_a_seller_does_not_see_a_single_question_at_once(exchange: Exchange, client: FlaskClient) -> None:
    market = a_market(exchange)
    x, y = grid.xy(SEOUL)
    assert refusal_of(lambda: market.quote(block(2, int(grid.morton(x + 4000, y + 4000))))) == "quote.empty"
    assert (client.get("/api/v1/demand", headers=bearer(exchange, market.seller)).json or {})["cells"] == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET org = '' WHERE org <> ''",
        "UPDATE audit_event SET person = '' WHERE person <> ''",
        "UPDATE audit_event SET payload = REPLACE(payload, 'research', 'training') WHERE action = 'order.placed'",
        "UPDATE permit SET classes = 'all'",
        "UPDATE person SET role = 'operator', org_id = NULL WHERE email = 'second@dongil.example'",
        "UPDATE offer SET licence = 'commercial'",
        "UPDATE ledger_entry SET amount = 2 * amount WHERE transaction_id IN (SELECT id FROM ledger_transaction WHERE kind = 'credit')",
    ],
)
def test_what_somebody_with_the_database_changed_is_named(exchange: Exchange, statement: str) -> None:
    a_market(exchange).buy()
    a_permit(exchange)
    a_person(exchange, "dongil", email="second@dongil.example")
    assert [check.name for check in fsck.check(exchange) if not check.ok] == []
    with exchange.engine.begin() as conn:
        if db.is_sqlite(conn):
            for name in conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
                conn.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("audit_event", "ledger_entry"):
                conn.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        assert conn.execute(text(statement)).rowcount
        conn.execute(
            text(
                "UPDATE ledger_account SET balance = "
                "(SELECT COALESCE(SUM(amount), 0) FROM ledger_entry e WHERE e.account_id = ledger_account.id)"
            )
        )
    assert [check.name for check in fsck.check(exchange) if not check.ok and check.name != "schema"] != []
