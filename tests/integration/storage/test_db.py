"""Transactions: who races, who waits, and what is said when that takes too long."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from sqlalchemy import create_engine, event, select, text, update

from mapex.database import db, schema
from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.operation import fsck
from mapex.people import invitations
from mapex.prices import quotes, saved_areas
from tests.support.exchange import a_person, an_exchange, an_org
from tests.support.market import a_market, block
from tests.support.servers import Postgres
from tiles.grid.region import Region


def test_racing_increments_are_all_counted(exchange: Exchange) -> None:
    """Read, think, write: the classic lost update, from 64 threads at once."""
    org = an_org(exchange, "counter")
    names = schema.organisation.c
    with db.begin(exchange) as conn:
        conn.execute(update(schema.organisation).values(name="0"))
    failed: list[BaseException] = []

    def increment() -> None:
        try:
            with db.in_turn(exchange, "counter") as conn:
                seen = int(conn.execute(select(names.name).where(names.id == org.id)).scalar_one())
                conn.execute(update(schema.organisation).where(names.id == org.id).values(name=str(seen + 1)))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=increment) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with db.read(exchange) as conn:
        assert conn.execute(select(names.name)).scalar_one() == "64"


def test_a_reader_sees_one_moment_while_others_write(exchange: Exchange) -> None:
    an_org(exchange, "one")
    with db.read(exchange) as conn:
        before = conn.execute(select(schema.organisation.c.slug)).all()
        an_org(exchange, "two")
        assert conn.execute(select(schema.organisation.c.slug)).all() == before


@pytest.mark.parametrize("exchange", ["postgresql"], indirect=True)
def test_a_reader_cannot_write_on_postgresql(exchange: Exchange) -> None:
    """SQLite has no read-only transactions."""
    with pytest.raises(Exception, match="read-only"), db.read(exchange) as conn:
        conn.execute(update(schema.organisation).values(name="x"))


def test_a_read_only_connection_returns_to_the_pool_as_a_writer(exchange: Exchange) -> None:
    for n in range(3):
        with db.read(exchange) as conn:
            conn.execute(select(schema.organisation)).all()
        an_org(exchange, f"org-{n}")


@pytest.mark.parametrize("exchange", ["postgresql"], indirect=True)
def test_connections_that_the_server_dropped_are_replaced(exchange: Exchange, postgres: Postgres) -> None:
    an_org(exchange, "before")
    admin = create_engine(postgres.url)
    with admin.begin() as conn:
        database = exchange.engine.url.database
        dropped = conn.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :d"), {"d": database}).all()
    admin.dispose()
    assert dropped
    an_org(exchange, "after")


def test_a_full_disk_changes_nothing_and_reads_go_on(tmp_path: Path) -> None:
    ex = an_exchange(tmp_path)
    an_org(ex, "before")
    ex.engine.dispose()
    pages: dict[str, int] = {"most": 1}  # SQLite takes the present size when the limit is below it

    @event.listens_for(ex.engine, "connect")
    def limit(connection, record) -> None:  # type: ignore[no-untyped-def]
        connection.execute(f"PRAGMA max_page_count = {pages['most']}")

    with pytest.raises(Unavailable) as refused, db.begin(ex) as conn:
        conn.execute(update(schema.organisation).values(name="changed"))
        conn.execute(update(schema.organisation).values(name="x" * 10_000_000))
    assert refused.value.code == "database.full"
    with db.read(ex) as conn:
        assert conn.execute(select(schema.organisation.c.name)).scalars().all() == ["before"]
    ex.engine.dispose()
    pages["most"] = 1_000_000
    an_org(ex, "after")
    ex.engine.dispose()


def test_a_database_that_another_holds_too_long_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.1)
    ex = an_exchange(tmp_path)
    with db.begin(ex):
        with pytest.raises(Unavailable) as refused, db.begin(ex):
            pass
        assert refused.value.code == "database.busy"
        with db.read(ex) as conn:
            assert conn.execute(select(schema.organisation)).all() == []
    an_org(ex, "after")
    ex.engine.dispose()


@pytest.mark.parametrize("exchange", ["postgresql"], indirect=True)
def test_who_waits_too_long_for_a_connection_is_told_that_the_database_is_busy(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(db, "CONNECTIONS", (1, 0))
    crowded = replace(exchange, engine=db.open_engine(exchange.settings))
    with db.begin(crowded), pytest.raises(Unavailable) as refused, db.read(crowded):
        pass
    assert refused.value.code == "database.busy"
    an_org(crowded, "after")
    crowded.engine.dispose()


@pytest.mark.parametrize("what", ["saved area", "invitation"])
def test_on_a_full_disk_what_was_taken_is_whole_and_the_rest_is_refused_in_words(tmp_path: Path, what: str) -> None:
    """Small rows fit for a while: those that were taken are there with their audit rows, the first that does not fit left nothing."""
    ex = an_exchange(tmp_path)
    person = a_person(ex, "dongil")
    with db.read(ex) as conn:
        most = int(conn.execute(text("PRAGMA page_count")).scalar_one()) + 8
    ex.engine.dispose()

    @event.listens_for(ex.engine, "connect")
    def limit(connection, record) -> None:  # type: ignore[no-untyped-def]
        connection.execute(f"PRAGMA max_page_count = {most}")

    region = Region.from_geojson(json.loads(shapely.to_geojson(shapely.Point(127, 37.5).buffer(0.01, quad_segs=20))))
    taken = 0
    with pytest.raises(Unavailable) as refused:
        while taken < 10_000:
            if what == "saved area":
                saved_areas.save(ex, person, f"area {taken}", region)
            else:
                invitations.invite(ex, None, f"new{taken}@dongil.example", org="dongil")
            taken += 1
    assert refused.value.code == "database.full"
    kept = saved_areas.saved(ex, person) if what == "saved area" else invitations.open_ones(ex, person)
    assert len(kept) == taken > 0
    with db.read(ex) as conn:
        noted = text("SELECT COUNT(*) FROM audit_event WHERE action = 'person.invited'")
        assert what == "saved area" or conn.execute(noted).scalar_one() == taken
    ex.engine.dispose()


def test_a_price_is_held_although_the_disk_is_too_full_to_count_what_nobody_offers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The count of many places needs more pages than the quote. With ever more of them, each is there whole or not at all."""
    ex = an_exchange(tmp_path)
    market = a_market(ex)
    room = 0

    @event.listens_for(ex.engine, "connect")
    def limit(connection, record) -> None:  # type: ignore[no-untyped-def]
        (present,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {present + room}")

    def state() -> tuple[int, int, int, int]:
        with db.read(ex) as conn:
            counts = ("quote", "audit_event WHERE action = 'quote.made'", "demand_seen")
            made, noted, seen = (conn.execute(text(f"SELECT COUNT(*) FROM {what}")).scalar_one() for what in counts)
            return made, noted, seen, conn.execute(text("SELECT COALESCE(SUM(count), 0) FROM demand")).scalar_one()

    asked = block(60)  # 16 of the 3,600 cells are on offer
    happened = []
    for room in range(50):  # noqa: B007  `limit` reads it
        ex.engine.dispose()
        before = state()
        try:
            made = market.quote(asked)
        except Unavailable as refused:
            assert refused.code == "database.full" and state() == before
            happened.append("refused")
            continue
        assert quotes.get(ex, market.buyer, made.id).estimate.tiles == 16
        after = state()
        assert after[:2] == (before[0] + 1, before[1] + 1) and after[2] == after[3]
        happened.append("counted" if after[2] else "held")
        if after[2]:
            break
    assert [*dict.fromkeys(happened)] == ["refused", "held", "counted"]
    assert sum("was not counted" in record.message for record in caplog.records) == happened.count("held")
    assert all(check.ok for check in fsck.check(ex))
    ex.engine.dispose()
