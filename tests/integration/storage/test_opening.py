"""The schema: migrated equals declared on both databases, opened again unchanged, append-only tables stay so."""

import ast
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from mapex.audit import log
from mapex.database import db, failpoints, migrations, opening, schema
from mapex.errors import Conflict, Unavailable
from mapex.exchange import Exchange
from tests.support.exchange import a_person, an_exchange, an_org
from tests.support.servers import Postgres


def test_migrated_schema_is_the_declared_schema(exchange: Exchange) -> None:
    with exchange.engine.connect() as conn:
        difference = compare_metadata(MigrationContext.configure(conn, opts={"compare_type": True}), schema.metadata)
        assert difference == []
        found = inspect(conn)
        for table in schema.metadata.tables.values():
            assert {check["name"] for check in found.get_check_constraints(table.name)} == {
                str(c.name) for c in table.constraints if type(c).__name__ == "CheckConstraint"
            }


def test_head_names_the_newest_script() -> None:
    assert ScriptDirectory.from_config(migrations.configuration()).get_current_head() == migrations.HEAD


def test_old_revisions_call_no_service_of_today() -> None:
    for script in ScriptDirectory.from_config(migrations.configuration()).walk_revisions():
        tree = ast.parse(Path(script.path).read_text(encoding="utf-8"))
        imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        imported += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in imported if name.partition(".")[0] in ("mapex", "tiles", "ingest", "web")], script.path


def test_opening_again_changes_nothing(exchange: Exchange) -> None:
    an_org(exchange, "stays")
    again = opening.open_exchange(exchange.settings, exchange.now)
    assert opening.revision(again.engine) == migrations.HEAD
    with db.read(again) as conn:
        assert conn.execute(select(schema.organisation.c.slug)).scalars().all() == ["stays"]
    again.engine.dispose()


def test_a_database_of_a_newer_mapex_is_refused(exchange: Exchange) -> None:
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict) as refused:
        opening.open_exchange(exchange.settings)
    assert refused.value.code == "schema.newer"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_migration_that_is_interrupted_leaves_nothing_and_runs_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    server: Postgres | None = request.getfixturevalue("postgres") if database == "postgresql" else None
    url = server.new_database() if server else ""
    monkeypatch.setenv("MAPEX_FAILPOINT", "migration.before_commit:raise")
    monkeypatch.setattr(failpoints, "_passed", {})
    with pytest.raises(failpoints.Failpoint):
        an_exchange(tmp_path, database_url=url)
    monkeypatch.delenv("MAPEX_FAILPOINT")
    ex = an_exchange(tmp_path, database_url=url)
    assert opening.revision(ex.engine) == migrations.HEAD
    ex.engine.dispose()


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET person = 'nobody'", "DELETE FROM audit_event"])
def test_audit_rows_cannot_be_changed_nor_removed_by_sql(exchange: Exchange, statement: str) -> None:
    an_org(exchange)
    with pytest.raises(DBAPIError, match="append-only"), exchange.engine.begin() as conn:
        conn.execute(text(statement))
    with db.read(exchange) as conn:
        assert len(conn.execute(select(schema.audit_event)).all()) == 1


@pytest.mark.parametrize("table", schema.APPEND_ONLY)
def test_each_append_only_table_has_triggers_for_each_way_to_change_a_row(exchange: Exchange, table: str) -> None:
    with exchange.engine.connect() as conn:
        if db.is_sqlite(conn):
            found = conn.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"), {"t": table}).scalars()
            refusing = sorted(sql.split()[4] for sql in found if "RAISE" in sql)
            assert refusing == ["DELETE", "INSERT", "UPDATE"]
        else:
            query = text(
                "SELECT event_manipulation FROM information_schema.triggers WHERE event_object_table = :t "
                "AND action_statement LIKE '%mapex_append_only%'"
            )
            assert sorted(conn.execute(query, {"t": table}).scalars()) == ["DELETE", "UPDATE"]


def test_ledger_entries_cannot_be_changed_by_sql(exchange: Exchange) -> None:
    with exchange.engine.begin() as conn:
        conn.execute(insert(schema.ledger_transaction).values(id="t", kind="credit", created_ns=1))
    for statement in ("UPDATE ledger_transaction SET memo = 'x'", "DELETE FROM ledger_transaction"):
        with pytest.raises(DBAPIError, match="append-only"), exchange.engine.begin() as conn:
            conn.execute(text(statement))


def test_sqlite_syncs_each_commit_and_checks_references(tmp_path: Path) -> None:
    ex = an_exchange(tmp_path)
    with db.read(ex) as conn:
        assert conn.execute(text("PRAGMA synchronous")).scalar() == 2
        assert conn.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert conn.execute(text("PRAGMA foreign_keys")).scalar() == 1
    ex.engine.dispose()


def test_a_database_that_is_away_is_reported_to_be_away(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        an_exchange(tmp_path, database_url="postgresql://mapex@127.0.0.1:9/none?connect_timeout=2")
    assert refused.value.code == "database.away"


def test_a_service_that_fails_leaves_neither_state_nor_event(exchange: Exchange) -> None:
    by = a_person(exchange, role="operator")
    with pytest.raises(RuntimeError), db.begin(exchange) as conn:
        log.append(conn, exchange, by, log.AuditEntry(log.Action.ORG_ADDED))
        raise RuntimeError
    with db.read(exchange) as conn:
        assert "org.added" not in conn.execute(select(schema.audit_event.c.action)).scalars().all()
