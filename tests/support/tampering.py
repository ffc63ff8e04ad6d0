"""Somebody with the database: raw SQL behind the services' back, the triggers that forbid it switched off."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import rfc8785
from sqlalchemy import Connection, text

from mapex.audit import checkpoints, examination, log
from mapex.audit.log import EventFilter
from mapex.database import db
from mapex.database.guards import GUARDED, sqlite_triggers
from mapex.database.schema import audit_event
from mapex.exchange import Actor, Exchange
from mapex.login import factors, recovery_codes, sessions
from mapex.offers import offers, recalls
from mapex.operation import fsck
from mapex.orders import ledger, orders, settlements
from mapex.people import domains, invitations, orgs, persons, tokens
from mapex.prices import quotes
from mapex.prices.request import of_area
from mapex.rights import entitlements, grants, permits
from mapex.times import kst_month, month_end_ns
from tests.support.exchange import a_person
from tests.support.market import Market, a_draft, a_layer, a_market, a_permit, area, block
from tiles.batch import LayerKind

LOG_COLUMNS = "at_ns, action, person, org, owner, dataset, layer, tile, purpose, permit, payload, salt, commitment"


def traded(ex: Exchange) -> Market:
    """A market with two versions, a withdrawn dataset, orders (one of footage), and grants."""
    cells = block()
    layers = [a_layer(cells), a_layer(cells, name="photos", handling_class="original", kind=LayerKind.PHOTOS)]
    made = a_market(ex, layers=layers)
    a_permit(ex)
    for order in (made.buy(cells[:5]), made.buy()):
        tiles = entitlements.of_order(ex, made.buyer, order.id).tiles
        grants.grant(ex, made.buyer, order.id, [tile.id for tile in tiles[1:]], holder_token="mpx_a_b")
    a_draft(ex, made.seller, "streets", [a_layer(cells[:9]), a_layer(cells[9:], name="photos", handling_class="original", salt="2")])
    offers.publish(ex, made.seller, "streets", rate_card={"lane_km": 5}, licence="research")
    a_draft(ex, made.seller, "old", [a_layer(cells)])
    offers.publish(ex, made.seller, "old", rate_card={"lane_km": 5}, licence="research")
    offers.withdraw(ex, made.seller, "old")
    return made


def governed(ex: Exchange) -> Market:
    """A traded market in which people were stopped, invited and given tokens, the log was read, and a checkpoint of it was signed."""
    made = traded(ex)
    auditor = a_person(ex, role="auditor", email="auditor@audit.example")
    for name in ("kept", "gone"):
        tokens.create(ex, made.buyer, name, ["read"], by=made.buyer)
    tokens.revoke(ex, made.buyer, tokens.of(ex, made.buyer)[0].id)
    a_person(ex, "dongil", email="second@dongil.example")
    buyer = persons.get_person(ex, person_id=made.buyer.person_id)
    assert buyer is not None
    sessions.start(ex, buyer, sessions.Caller("203.0.113.0/24", "Firefox"), ["password"])
    domains.add(ex, None, "dongil", "dongil.example")
    invitations.invite(ex, made.buyer, "new@dongil.example", org="dongil")
    _, link = invitations.invite(ex, None, "came@dongil.example", org="dongil")
    invitations.redeem(ex, link, name="Came", password="correct horse battery")
    orgs.add_org(ex, None, "stopped")
    orgs.set_org_state(ex, None, "stopped", "suspended")
    a_permit(ex, number="P-2")
    permits.set_state(ex, None, "P-2", "suspended")
    named = made.quote()
    orders.place(ex, made.buyer, named.id, named.id, persons=[made.buyer.email])
    log.events(ex, auditor, EventFilter(action="access.granted"))
    _settled(made)
    _signed_in(ex, made.buyer.email)
    examination.keep(ex, [examination.Examined("store", False, "an address was altered")])
    assert checkpoints.keep(ex) is not None
    return made


def _settled(market: Market) -> None:
    """A dataset that was bought and recalled, and a month that was settled and paid, at the end of the month after."""
    ex = market.ex
    a_draft(ex, market.seller, "taken-back", [a_layer(block(2), name="paths", kind=LayerKind.SIDEWALK)])
    offers.publish(ex, market.seller, "taken-back", rate_card={"footway_km": 0, "crossing": 300}, licence="research")
    held = quotes.quote(ex, market.buyer, of_area(area(block(2)), purpose="research", dataset="hanbit/taken-back"))
    orders.place(ex, market.buyer, held.id, "taken back")
    recalls.recall(ex, market.seller, "taken-back", 1)
    month = kst_month(ex.now())
    end_ns = month_end_ns(month)
    later = replace(ex, now=lambda: end_ns)
    settlements.close(later, None, month)
    settlements.pay(later, None, "hanbit", month, "slip-1")
    ledger.credit(ex, None, "hanbit", 10_000, key="paid in by the seller")


def _signed_in(ex: Exchange, email: str) -> None:
    """A person with a passkey and recovery codes, of which one is used; one session is open, one is over."""

    def opened() -> Actor:
        person = persons.get_person(ex, email=email)
        assert person is not None
        found = sessions.find(ex, sessions.start(ex, person, sessions.Caller("203.0.113.0/24", "Firefox"), ["password"]))
        assert found is not None
        return found.actor

    by = opened()
    factors.add(ex, by, factors.NewFactor("passkey", "key", "public", 0, "credential", "hash"))
    assert recovery_codes.use(ex, by, recovery_codes.make(ex, by)[0])
    sessions.close(ex, opened())


def broken(ex: Exchange, *, deep: bool = False) -> dict[str, str]:
    """What fsck names, by the check that finds it."""
    return {check.name: "; ".join(check.offenders) for check in fsck.check(ex, deep=deep) if not check.ok}


def without_guards(conn: Connection) -> None:
    """Switch off what forbids to change rows."""
    if conn.dialect.name == "sqlite":
        for name in conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            conn.execute(text(f"DROP TRIGGER {name}"))
    else:
        for table in GUARDED:
            conn.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))


def behind(ex: Exchange, *statements: str, **values: object) -> None:
    """Change rows with raw SQL, the triggers that forbid it switched off."""
    with ex.engine.begin() as conn:
        without_guards(conn)
        for statement in statements:
            assert conn.execute(text(statement), values).rowcount != 0, statement


@contextmanager
def unguarded(ex: Exchange, verb: str) -> Iterator[Connection]:
    """Somebody who owns the database changes the log (`verb`: update or delete), and leaves no trace in the schema."""
    with ex.engine.begin() as conn:
        if db.is_sqlite(conn):
            name = f"audit_event_no_{verb}"
            conn.execute(text(f"DROP TRIGGER {name}"))
            yield conn
            conn.execute(text(dict(sqlite_triggers(audit_event))[name]))
        else:
            conn.execute(text("ALTER TABLE audit_event DISABLE TRIGGER audit_event_append_only"))
            yield conn
            conn.execute(text("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_append_only"))


def rewrite(conn: Connection, action: str, change: Callable[[dict[str, object]], object]) -> None:
    """Change the payload of the newest entry of an action, with a salt and a commitment that fit."""
    query = text("SELECT seq, payload FROM audit_event WHERE action = :action ORDER BY seq DESC LIMIT 1")
    seq, payload = conn.execute(query, {"action": action}).one()
    said = json.loads(payload)
    change(said)
    put_payload(conn, seq, said)


def put_payload(conn: Connection, seq: int, said: dict[str, object]) -> None:
    """Let an entry say this, in payload, columns and commitment."""
    payload, salt = rfc8785.dumps(said).decode(), secrets.token_hex(32)
    plain = ("action", "person", "org", "owner", "dataset", "layer", "tile", "purpose", "permit")
    values = {name: said.get(name, "") for name in plain} | {"payload": payload, "salt": salt, "seq": seq}
    sets = ", ".join(f"{name} = :{name}" for name in values if name != "seq")
    commitment = log.commitment(salt, payload)
    conn.execute(text(f"UPDATE audit_event SET {sets}, commitment = :c WHERE seq = :seq"), {**values, "c": commitment})
