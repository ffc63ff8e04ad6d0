"""The audit log: what a row is, who sees which, and that reading is logged."""

import json

import pytest
from sqlalchemy import select

from mapex.audit import log as audit_log
from mapex.audit.log import Action, Filter
from mapex.database import db, schema
from mapex.errors import Invalid
from mapex.exchange import Actor, Exchange
from tests.support.exchange import a_person


def log(ex: Exchange, actor: Actor | None, action: Action, **given: object) -> None:
    with db.begin(ex) as conn:
        audit_log.append(conn, ex, actor, action, **given)  # type: ignore[arg-type]


def test_a_row_commits_to_its_canonical_payload_with_a_salt_of_its_own(exchange: Exchange) -> None:
    by = a_person(exchange, "dongil")
    log(
        exchange,
        by,
        Action.ACCESS_GRANTED,
        tiles=["0123", "0132"],
        dataset="seoul",
        owner="hanbit",
        purpose="research",
        permit="P-1",
        bytes=5,
    )
    with db.read(exchange) as conn:
        rows = conn.execute(select(schema.audit_event).where(schema.audit_event.c.action == "access.granted")).mappings().all()
    assert [row["tile"] for row in rows] == ["0123", "0132"]
    assert len({row["salt"] for row in rows}) == 2
    for row in rows:
        assert row["commitment"] == audit_log.commitment(row["salt"], row["payload"])
        said = json.loads(row["payload"])
        assert row["payload"] == json.dumps(said, separators=(",", ":"), sort_keys=True)
        assert said["bytes"] == 5
        for column in ("action", "person", "org", "owner", "dataset", "tile", "purpose", "permit"):
            assert said[column] == row[column]


def test_auditor_sees_all_and_each_reading_is_logged(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    log(exchange, a_person(exchange, "dongil"), Action.ORDER_PLACED)
    first = audit_log.events(exchange, auditor, Filter(action="order.placed"))
    assert [event.action for event in first.events] == ["order.placed"]
    (reading,) = audit_log.events(exchange, auditor, Filter(action="audit.read")).events
    assert reading.person == auditor.email
    assert reading.payload["filter"] == {"action": "order.placed"}
    assert len(audit_log.events(exchange, auditor, Filter(action="audit.read")).events) == 2


def test_member_sees_own_deeds_and_deeds_on_own_data_only(exchange: Exchange) -> None:
    seller, buyer, stranger = (a_person(exchange, slug) for slug in ("hanbit", "dongil", "other"))
    log(exchange, buyer, Action.ACCESS_GRANTED, dataset="seoul", owner="hanbit", tile="01")
    log(exchange, seller, Action.DATASET_CREATED, dataset="seoul")
    wanted = (Action.ACCESS_GRANTED, Action.DATASET_CREATED)

    def seen(by: Actor) -> list[tuple[str, str]]:
        return [(event.action, event.person) for event in audit_log.events(exchange, by).events if event.action in wanted]

    assert seen(buyer) == [("access.granted", buyer.email)]
    assert seen(seller) == [("dataset.created", seller.email), ("access.granted", "")]
    assert seen(stranger) == []
    assert buyer.email not in repr(audit_log.events(exchange, seller, Filter(action="access.granted")).events)


def test_a_foreign_person_is_not_found_by_name(exchange: Exchange) -> None:
    seller, buyer = a_person(exchange, "hanbit"), a_person(exchange, "dongil")
    log(exchange, buyer, Action.ACCESS_GRANTED, dataset="seoul", owner="hanbit", tile="01")
    assert audit_log.events(exchange, seller, Filter(person=buyer.email)).events == []


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(dataset="seoul"), 3),
        (Filter(dataset="busan"), 0),
        (Filter(tile="02"), 1),
        (Filter(org="dongil", action="access.granted"), 3),
        (Filter(owner="hanbit", purpose="research", permit="P-1"), 3),
        (Filter(layer="photos"), 3),
    ],
)
def test_filters_narrow(exchange: Exchange, wanted: Filter, count: int) -> None:
    given = {"dataset": "seoul", "layer": "photos", "owner": "hanbit", "purpose": "research", "permit": "P-1"}
    log(exchange, a_person(exchange, "dongil"), Action.ACCESS_GRANTED, tiles=["01", "02", "03"], **given)
    assert len(audit_log.events(exchange, a_person(exchange, role="auditor"), wanted).events) == count


def test_times_are_half_open(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    log(exchange, auditor, Action.ORDER_PLACED)
    (event,) = audit_log.events(exchange, auditor, Filter(action="order.placed")).events
    for from_ns, to_ns, count in ((event.at_ns, None, 1), (event.at_ns + 1, None, 0), (None, event.at_ns, 0), (None, event.at_ns + 1, 1)):
        assert len(audit_log.events(exchange, auditor, Filter(action="order.placed", from_ns=from_ns, to_ns=to_ns)).events) == count


def test_pages_cover_everything_once(exchange: Exchange) -> None:
    auditor = a_person(exchange, role="auditor")
    log(exchange, auditor, Action.ACCESS_GRANTED, tiles=[f"{n:03}" for n in range(25)], dataset="d")
    tiles: list[str] = []
    after = None
    while True:
        page = audit_log.events(exchange, auditor, Filter(action="access.granted"), after=after, limit=10)
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
