"""The log as figures agrees with its rows; flags follow their rules; what is handed out for proof can be recomputed."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from mapex.audit import figures, flags, log, proof
from mapex.audit.figures import Reads
from mapex.audit.log import Action, AuditEntry, Event, EventFilter
from mapex.database import db, schema
from mapex.errors import Denied, Invalid, NotFound
from mapex.exchange import Actor, Exchange
from tests.support.exchange import Clock, a_person, an_org

TILES = [f"132122{i // 64 % 4}{i // 16 % 4}{i // 4 % 4}{i % 4}000000" for i in range(200)]
assert all(len(tile) == 16 for tile in TILES)


def at(ex: Exchange, text: str) -> None:
    """Set the clock to an ISO time (UTC)."""
    assert isinstance(ex.now, Clock)
    ex.now.at_ns = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def read(ex: Exchange, who: Actor, tiles: list[str], permit: str = "KR-1") -> None:
    handling_class = "original" if permit else "open"
    entry = AuditEntry(
        Action.ACCESS_GRANTED, owner="hanbit", dataset="drive", permit=permit, purpose="research", handling_class=handling_class
    )
    with db.begin(ex) as conn:
        log.append_many(conn, ex, who, [replace(entry, tile=tile) for tile in tiles])


@pytest.fixture
def busy(exchange: Exchange) -> Exchange:
    """Two persons, a busy night, a quiet one, a busy day, and a refusal."""
    an_org(exchange, "hanbit")
    one, two = a_person(exchange, "dongil", email="one@dongil.example"), a_person(exchange, "nuri", email="two@nuri.example")
    at(exchange, "2026-11-16T19:30:00")  # 04:30 of the 17th in Korea
    read(exchange, one, TILES[:60])
    read(exchange, two, TILES[:5])
    at(exchange, "2026-11-17T05:00:00")  # 14:00 in Korea
    read(exchange, one, TILES[40:140])
    at(exchange, "2026-11-17T18:00:00")  # 03:00 of the 18th in Korea: many tiles, but none under a permit
    read(exchange, two, TILES, permit="")
    with db.begin(exchange) as conn:
        log.append(conn, exchange, two, AuditEntry(Action.ACCESS_REFUSED, details={"order": "ord_1", "code": "permit.expired", "asked": 3}))
    return exchange


FILTERS = (
    EventFilter(),
    EventFilter(person="one@dongil.example"),
    EventFilter(action="access.granted"),
    EventFilter(tile="1321220"),
    EventFilter(permit="KR-1"),
    EventFilter(flag="night"),
    EventFilter(flag="refused"),
    EventFilter(flag="any"),
    EventFilter(handling_class="original", action="access"),
    EventFilter(handling_class="open"),
    EventFilter(org="nuri", purpose="research"),
    EventFilter(from_ns=1_795_000_000 * 10**9),
    EventFilter(to_ns=1_794_900_000 * 10**9),
    EventFilter(action="no.such"),
)


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_numbers_timeline_and_heat_agree_with_the_rows(busy: Exchange, wanted: EventFilter) -> None:
    auditor = a_person(busy, role="auditor")
    seen = figures.view(busy, auditor, wanted, limit=1000)
    rows = seen.page.events
    accesses = [event for event in rows if event.action == "access.granted"]
    assert seen.numbers.entries == len(rows)
    originals = [event for event in accesses if event.handling_class == "original"]
    others = [event for event in accesses if event.handling_class != "original"]
    for reads, of in ((seen.numbers.originals, originals), (seen.numbers.others, others)):
        assert reads == Reads(len(of), len({event.person for event in of}), len({event.tile for event in of}))
    assert {heat.tile: heat.originals for heat in seen.heat if heat.originals} == Counter(event.tile for event in originals)
    assert {heat.tile: heat.others for heat in seen.heat if heat.others} == Counter(event.tile for event in others)
    assert len(seen.heat) == len({event.tile for event in accesses})
    inside = [
        bar
        for bar in seen.timeline.bars
        if (wanted.from_ns is None or bar.start_ns >= wanted.from_ns) and (wanted.to_ns is None or bar.start_ns < wanted.to_ns)
    ]
    if wanted.from_ns is None and wanted.to_ns is None:
        assert sum(bar.entries for bar in inside) == len(rows)
        assert sum(bar.flagged for bar in inside) == seen.numbers.flagged
    assert sum(heat.flagged for heat in seen.heat) == sum(1 for event in accesses if is_flagged(event))
    assert seen.numbers.flagged == sum(1 for event in rows if is_flagged(event))


def is_flagged(event: Event) -> bool:
    """The rules again, in Python, for what `busy` holds."""
    night = event.person == "one@dongil.example" and event.at_ns < 1_794_870_000 * 10**9
    return event.action == "access.refused" or (event.action == "access.granted" and night)


def test_own_readings_of_the_log_are_counted_apart(busy: Exchange) -> None:
    auditor, other = (a_person(busy, role="auditor", email=f"{name}@audit.example") for name in ("own", "other"))
    for by in (auditor, auditor, other):
        figures.view(busy, by)
    seen = figures.view(busy, auditor, limit=1000)
    readings = [event.person for event in seen.page.events if event.action == "audit.read"]
    assert readings == [other.email]
    assert seen.own is not None
    assert seen.own.count == 2
    assert seen.numbers.entries == len(seen.page.events) == sum(bar.entries for bar in seen.timeline.bars)
    asked = figures.view(busy, auditor, EventFilter(action="audit.read"))
    assert [event.person for event in asked.page.events] == [auditor.email, other.email, auditor.email, auditor.email]
    assert asked.own is None
    assert figures.view(busy, auditor, EventFilter(permit="KR-1")).own is None


def test_night_needs_many_accesses_of_one_person_under_a_permit(busy: Exchange) -> None:
    auditor = a_person(busy, role="auditor")
    found = log.events(busy, auditor, EventFilter(flag="night"), limit=1000).events
    assert {event.person for event in found} == {"one@dongil.example"}
    assert len(found) == 60 >= flags.MANY_AT_NIGHT
    with pytest.raises(Invalid) as raised:
        log.events(busy, auditor, EventFilter(flag="odd"))
    assert raised.value.code == "audit.flag"


def test_the_nights_are_looked_up_in_their_index(busy: Exchange) -> None:
    query = select(func.count()).select_from(schema.audit_event).where(flags.condition("night"))
    with db.begin(busy) as conn:
        sqlite = db.is_sqlite(conn)
        if not sqlite:
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a table of one page is read whole, whatever there is
        answer = query.compile(conn, compile_kwargs={"literal_binds": True})
        plan = conn.exec_driver_sql(f"EXPLAIN {'QUERY PLAN' if sqlite else ''} {answer}").all()
    assert "ix_audit_event_night" in str(plan)


def test_a_member_sees_figures_of_the_own_part_only(busy: Exchange) -> None:
    member = a_person(busy, "nuri")
    seen = figures.view(busy, member, limit=1000)
    assert seen.numbers.originals.accesses + seen.numbers.others.accesses == 205
    assert all(event.org == "nuri" or event.owner == "nuri" for event in seen.page.events)


def test_too_many_tiles_for_a_map_become_their_parents(busy: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = a_person(busy, role="auditor")
    fine = figures.view(busy, auditor).heat
    monkeypatch.setattr(figures, "MOST_TILES", 50)
    coarse = figures.view(busy, auditor).heat
    assert len(coarse) <= 50
    assert sum(heat.originals for heat in coarse) == sum(heat.originals for heat in fine)


def test_stretches_give_every_entry_once_in_order_and_each_commitment_is_right(busy: Exchange) -> None:
    auditor = a_person(busy, role="auditor")
    first = proof.stretch(busy, auditor, limit=100)
    entries, after = list(first.entries), first.next
    while after is not None:
        following = proof.stretch(busy, auditor, after=after, head=first.head, limit=100)
        entries += following.entries
        after = following.next
    assert [entry.seq for entry in entries] == sorted({entry.seq for entry in entries})
    assert entries[-1].seq == first.head
    for entry in entries:
        assert hashlib.sha256(bytes.fromhex(entry.salt) + entry.payload.encode()).hexdigest() == entry.commitment
    (seen, *_) = log.events(busy, auditor).events
    assert seen.action == "audit.verified"
    assert seen.payload["head"] == first.head


def test_the_whole_log_is_for_auditors_and_operators(busy: Exchange) -> None:
    member = a_person(busy, "nuri")
    for ask in (lambda: proof.stretch(busy, member), lambda: proof.entry(busy, member, 1)):
        with pytest.raises(Denied) as raised:
            ask()
        assert raised.value.code == "role.inspect"
    auditor = a_person(busy, role="auditor")
    assert proof.entry(busy, auditor, 1).event["action"] == "org.added"
    with pytest.raises(NotFound):
        proof.entry(busy, auditor, 10**9)
