"""Transactions: who races, loses and tries again; who waits."""

import threading

import pytest
from builders import an_org
from sqlalchemy import Connection, select, update

from mapex import db, schema
from mapex.exchange import Exchange


def test_racing_increments_are_all_counted(exchange: Exchange) -> None:
    """Read, think, write: the classic lost update, from eight threads at once."""
    org = an_org(exchange, "counter")
    names = schema.organisation.c
    with db.begin(exchange) as conn:
        conn.execute(update(schema.organisation).values(name="0"))
    failed: list[BaseException] = []

    def increment(conn: Connection) -> None:
        seen = int(conn.execute(select(names.name).where(names.id == org.id)).scalar_one())
        conn.execute(update(schema.organisation).where(names.id == org.id).values(name=str(seen + 1)))

    def work() -> None:
        try:
            db.run(exchange, increment, attempts=30)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with db.read(exchange) as conn:
        assert conn.execute(select(names.name)).scalar_one() == "8"


def test_a_reader_sees_one_moment_while_others_write(exchange: Exchange) -> None:
    an_org(exchange, "one")
    with db.read(exchange) as conn:
        before = conn.execute(select(schema.organisation.c.slug)).all()
        an_org(exchange, "two")
        assert conn.execute(select(schema.organisation.c.slug)).all() == before


def test_a_reader_cannot_write_on_postgresql(exchange: Exchange) -> None:
    if exchange.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no read-only transactions")
    with pytest.raises(Exception, match="read-only"), db.read(exchange) as conn:
        conn.execute(update(schema.organisation).values(name="x"))


def test_a_read_only_connection_returns_to_the_pool_as_a_writer(exchange: Exchange) -> None:
    for n in range(3):
        with db.read(exchange) as conn:
            conn.execute(select(schema.organisation)).all()
        an_org(exchange, f"org-{n}")
