"""The audit log: what a row is, who sees which, and that reading is logged."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from mapex.audit import log as audit_log
from mapex.audit.log import Action, AuditEntry, EventFilter
from mapex.database import db, schema
from mapex.errors import Invalid
from mapex.exchange import Actor, Exchange
from tests.support.exchange import a_person


def log(ex: Exchange, actor: Actor | None, *entries: AuditEntry) -> None:
    with db.begin(ex) as conn:
        audit_log.append_many(conn, ex, actor, entries)


@pytest.mark.parametrize(
    ("by_a_person", "entry", "payload"),
    [
        (
            True,
            AuditEntry(
                Action.ACCESS_GRANTED,
                owner="hanbit",
                dataset="drive",
                layer="recording",
                tile="1321220",
                purpose="research",
                permit="KR-1",
                handling_class="original",
                details={"sha256": "ab", "grant": "gra_1", "part": 0},
            ),
            '{"action":"access.granted","at":"2025-10-09T08:53:20.123456Z","class":"original","dataset":"drive","grant":"gra_1",'
            '"layer":"recording","org":"dongil","owner":"hanbit","part":0,"permit":"KR-1","person":"kim@dongil.example",'
            '"purpose":"research","sha256":"ab","tile":"1321220","v":1}',
        ),
        (
            True,
            AuditEntry(Action.AUDIT_READ, details={"filter": {"tile": "13", "action": "주문"}, "after": None, "rows": 0}),
            '{"action":"audit.read","after":null,"at":"2025-10-09T08:53:20.123456Z","filter":{"action":"주문","tile":"13"},'
            '"org":"dongil","person":"kim@dongil.example","rows":0,"v":1}',
        ),
        (
            True,
            AuditEntry(Action.DATASET_CREATED, dataset="seoul", details={"title": "Seoul"}),
            '{"action":"dataset.created","at":"2025-10-09T08:53:20.123456Z","dataset":"seoul","org":"dongil","owner":"dongil",'
            '"person":"kim@dongil.example","title":"Seoul","v":1}',
        ),
        (
            False,
            AuditEntry(Action.JOB_FAILED, owner="hanbit", dataset="drive", details={"version": 2, "message": '3 "claims"'}),
            '{"action":"job.failed","at":"2025-10-09T08:53:20.123456Z","dataset":"drive","message":"3 \\"claims\\"","owner":"hanbit",'
            '"person":"system","v":1,"version":2}',
        ),
    ],
)
def test_the_payload_is_the_same_bytes_for_ever(exchange: Exchange, by_a_person: bool, entry: AuditEntry, payload: str) -> None:
    """Literals that version 0.1 wrote: who recomputes a commitment must find the same text."""
    by = Actor("per_1", "kim@dongil.example", "member", "org_1", "dongil") if by_a_person else None
    log(replace(exchange, now=lambda: 1_760_000_000_123_456_789), by, entry)
    with db.read(exchange) as conn:
        row = conn.execute(select(schema.audit_event).order_by(schema.audit_event.c.seq.desc()).limit(1)).mappings().one()
    assert row["payload"] == payload
    assert row["at_ns"] == 1_760_000_000_123_456_789
    answer = json.loads(payload)
    assert all(row[name] == answer.get(name, "") for name in audit_log.COLUMNS)


@pytest.mark.parametrize("key", ["tile", "person", "at", "v", "class", "network"])
def test_details_cannot_contradict_the_columns(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        AuditEntry(Action.AUDIT_READ, details={key: "x"})


def test_a_row_commits_to_its_canonical_payload_with_a_salt_of_its_own(exchange: Exchange) -> None:
    by = a_person(exchange, "dongil")
    entry = AuditEntry(Action.ACCESS_GRANTED, dataset="seoul", owner="hanbit", purpose="research", permit="P-1", details={"bytes": 5})
    log(exchange, by, replace(entry, tile="0123"), replace(entry, tile="0132"))
    with db.read(exchange) as conn:
        rows = conn.execute(select(schema.audit_event).where(schema.audit_event.c.action == "access.granted")).mappings().all()
    assert [row["tile"] for row in rows] == ["0123", "0132"]
    assert len({row["salt"] for row in rows}) == 2
    for row in rows:
        assert row["commitment"] == audit_log.commitment(row["salt"], row["payload"])
        answer = json.loads(row["payload"])
        assert row["payload"] == json.dumps(answer, separators=(",", ":"), sort_keys=True)
        assert answer["bytes"] == 5
        for column in ("action", "person", "org", "owner", "dataset", "tile", "purpose", "permit"):
            assert answer[column] == row[column]


def test_auditor_sees_all_and_each_reading_is_logged(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    log(exchange, a_person(exchange, "dongil"), AuditEntry(Action.ORDER_PLACED))
    first = audit_log.events(exchange, auditor, EventFilter(action="order.placed"))
    assert [event.action for event in first.events] == ["order.placed"]
    (reading,) = audit_log.events(exchange, auditor, EventFilter(action="audit.read")).events
    assert reading.person == auditor.email
    assert reading.payload["filter"] == {"action": "order.placed"}
    assert len(audit_log.events(exchange, auditor, EventFilter(action="audit.read")).events) == 2


def test_member_sees_own_deeds_and_deeds_on_own_data_only(exchange: Exchange) -> None:
    seller, buyer, stranger = (a_person(exchange, slug) for slug in ("hanbit", "dongil", "other"))
    log(exchange, buyer, AuditEntry(Action.ACCESS_GRANTED, dataset="seoul", owner="hanbit", tile="01"))
    log(exchange, seller, AuditEntry(Action.DATASET_CREATED, dataset="seoul"))
    wanted = (Action.ACCESS_GRANTED, Action.DATASET_CREATED)

    def seen(by: Actor) -> list[tuple[str, str]]:
        return [(event.action, event.person) for event in audit_log.events(exchange, by).events if event.action in wanted]

    assert seen(buyer) == [("access.granted", buyer.email)]
    assert seen(seller) == [("dataset.created", seller.email), ("access.granted", "")]
    assert seen(stranger) == []
    assert buyer.email not in repr(audit_log.events(exchange, seller, EventFilter(action="access.granted")).events)


def test_a_foreign_person_is_not_found_by_name(exchange: Exchange) -> None:
    seller, buyer = a_person(exchange, "hanbit"), a_person(exchange, "dongil")
    log(exchange, buyer, AuditEntry(Action.ACCESS_GRANTED, dataset="seoul", owner="hanbit", tile="01"))
    assert audit_log.events(exchange, seller, EventFilter(person=buyer.email)).events == []


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (EventFilter(dataset="seoul"), 3),
        (EventFilter(dataset="busan"), 0),
        (EventFilter(tile="02"), 1),
        (EventFilter(org="dongil", action="access.granted"), 3),
        (EventFilter(owner="hanbit", purpose="research", permit="P-1"), 3),
        (EventFilter(layer="photos"), 3),
        (EventFilter(handling_class="original"), 0),
        (EventFilter(handling_class="open", action="access"), 3),
        (EventFilter(action="acc"), 0),
    ],
)
def test_filters_narrow(exchange: Exchange, wanted: EventFilter, count: int) -> None:
    entry = AuditEntry(
        Action.ACCESS_GRANTED,
        owner="hanbit",
        dataset="seoul",
        layer="photos",
        purpose="research",
        permit="P-1",
        handling_class="open",
    )
    log(exchange, a_person(exchange, "dongil"), *(replace(entry, tile=tile) for tile in ("01", "02", "03")))
    assert len(audit_log.events(exchange, a_person(exchange, role="auditor"), wanted).events) == count


def test_an_access_names_the_network_it_came_from_and_nothing_else_does(exchange: Exchange) -> None:
    auditor, buyer = a_person(exchange, role="auditor"), replace(a_person(exchange, "dongil"), network="203.0.113.0/24")
    entries = (Action.ACCESS_GRANTED, Action.ACCESS_REFUSED, Action.ORDER_PLACED)
    log(exchange, buyer, *(AuditEntry(action, owner="hanbit", dataset="seoul") for action in entries))
    log(exchange, replace(buyer, network=""), AuditEntry(Action.ACCESS_GRANTED))

    def networks(by: Actor) -> list[str | None]:
        found = audit_log.events(exchange, by, EventFilter()).events
        return [event.payload.get("network") for event in reversed(found) if event.action in entries]

    assert networks(auditor) == ["203.0.113.0/24", "203.0.113.0/24", None, None]
    assert networks(a_person(exchange, "hanbit"))[:2] == [None, None]  # whose person it was is not named to the seller either


def test_times_are_half_open(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    log(exchange, auditor, AuditEntry(Action.ORDER_PLACED))
    (event,) = audit_log.events(exchange, auditor, EventFilter(action="order.placed")).events
    for from_ns, to_ns, count in ((event.at_ns, None, 1), (event.at_ns + 1, None, 0), (None, event.at_ns, 0), (None, event.at_ns + 1, 1)):
        assert len(audit_log.events(exchange, auditor, EventFilter(action="order.placed", from_ns=from_ns, to_ns=to_ns)).events) == count


def test_pages_cover_everything_once(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    log(exchange, auditor, *(AuditEntry(Action.ACCESS_GRANTED, dataset="d", tile=f"{n:03}") for n in range(25)))
    tiles: list[str] = []
    after = None
    while True:
        page = audit_log.events(exchange, auditor, EventFilter(action="access.granted"), after=after, limit=10)
        tiles += [event.tile for event in page.events]
        after = page.next
        if after is None:
            break
    assert tiles == [f"{n:03}" for n in reversed(range(25))]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_pages_have_a_limit(exchange: Exchange, limit: int) -> None:
    with pytest.raises(Invalid) as refused:
        audit_log.events(exchange, a_person(exchange, role="auditor"), limit=limit)
    assert refused.value.code == "audit.limit"
