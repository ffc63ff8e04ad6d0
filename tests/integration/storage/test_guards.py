"""What guards the append-only tables against who has SQL: REPLACE on SQLite, a role that owns nothing on PostgreSQL."""

from __future__ import annotations

import contextlib
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError

from mapex.database import guards, opening, roles, schema
from mapex.errors import Conflict, Invalid
from mapex.exchange import Exchange
from tests.integration.audit.test_manipulations import MANIPULATIONS
from tests.support.exchange import Clock, an_exchange, an_org, settings
from tests.support.servers import Postgres
from tests.support.tampering import broken, governed, without_guards

# ---- SQLite ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an exchange with a row in every append-only table."""
    folder = tmp_path_factory.mktemp("guards")
    ex = an_exchange(folder)
    governed(ex)
    with ex.engine.begin() as conn:
        conn.execute(text("INSERT INTO permit_recipient SELECT p.id, o.id, 0 FROM permit p, organisation o LIMIT 1"))
        conn.execute(text("INSERT INTO credited_tile SELECT e.id, e.order_id FROM entitlement e LIMIT 1"))
        stated = "'front', 'blurred', 'blur 2', 9, 'seen', '', NULL, '', 0"
        conn.execute(text(f"INSERT INTO footage_review SELECT 'rev_a', v.id, {stated} FROM dataset_version v LIMIT 1"))
        conn.execute(text("INSERT INTO footage_review_step VALUES ('rev_a', 0, 'requested', 1, NULL, '{}')"))
    ex.engine.dispose()
    return folder / "mapex.db"


REPLACING = (
    "INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
    "REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
    "INSERT OR IGNORE INTO {table} SELECT * FROM {table} LIMIT 1",
    "INSERT INTO {table} SELECT * FROM {table} WHERE true LIMIT 1 ON CONFLICT DO UPDATE SET {column} = {column}",
    "UPDATE OR REPLACE {table} SET {column} = {column}",
    "UPDATE OR IGNORE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "INSERT OR REPLACE INTO {table} (rowid, {columns}) SELECT rowid, {columns} FROM {table} LIMIT 1",
)


@pytest.mark.parametrize("statement", REPLACING)
@pytest.mark.parametrize("table", schema.APPEND_ONLY)
def test_no_statement_puts_a_row_in_the_place_of_another(traded_file: Path, table: str, statement: str) -> None:
    """As a stranger's connection, which has none of our settings."""
    with contextlib.closing(sqlite3.connect(traded_file, isolation_level=None)) as db:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        before = db.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall()
        assert before
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
            db.execute(statement.format(table=table, column=columns[-1], columns=", ".join(columns)))
        assert db.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall() == before


@pytest.mark.parametrize("table", schema.APPEND_ONLY)
def test_a_row_with_a_key_of_its_own_takes_no_others_place_by_another_key_or_row_number(traded_file: Path, table: str) -> None:
    """REPLACE deletes every row that stands in the way of any key: each is tried alone, with all other keys new."""
    with contextlib.closing(sqlite3.connect(traded_file, isolation_level=None)) as db:
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        row = dict(zip(["rowid", *names], db.execute(f"SELECT rowid, * FROM {table} LIMIT 1").fetchone(), strict=True))
        unique = [key for key in _keys(table) if all(row[name] is not None for name in key)]
        for key in [("rowid",), *unique]:
            fresh = {name: _other(row[name]) for other in unique for name in other if name not in key}
            values = {**row, "rowid": row["rowid"] if key == ("rowid",) else None, **fresh}
            if values["rowid"] is None:
                del values["rowid"]
            elif table in ("audit_event", "log_checkpoint"):
                continue  # their key is the row number
            marks = ", ".join("?" for _ in values)
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                db.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def _keys(table: str) -> list[tuple[str, ...]]:
    from sqlalchemy import UniqueConstraint

    declared = schema.metadata.tables[table]
    found = [tuple(column.name for column in one.columns) for one in declared.constraints if isinstance(one, UniqueConstraint)]
    return [tuple(column.name for column in declared.primary_key.columns), *found]


def _other(value: object) -> object:
    return value + 10**6 if isinstance(value, int) else secrets.token_hex(8)


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Roles:
    """An exchange with two roles, open as the services, and as the owner."""

    services: Exchange
    owner: Exchange


def with_role(url: str, name: str) -> str:
    return (
        make_url(url).set(username=name, password="secret" if name.startswith("services") else None).render_as_string(hide_password=False)
    )


@pytest.fixture(scope="module")
def two_roles(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    """Made as `mapex init` makes it, and used by every service as the services' role."""
    folder, url = tmp_path_factory.mktemp("roles"), postgres.new_database()
    asked = settings(folder, database_url=with_role(url, f"services_{secrets.token_hex(4)}"), database_owner_url=url)
    opening.make_roles(asked)
    services = opening.open_exchange(asked, Clock())
    owner = opening.open_exchange(replace(asked, database_url=url), Clock())
    governed(services)
    yield Roles(services, owner)
    for ex in (services, owner):
        ex.engine.dispose()
    postgres.drop_database(url)


def test_the_services_work_with_a_role_that_owns_nothing(two_roles: Roles) -> None:
    roles.check(two_roles.services)
    assert broken(two_roles.services, deep=True) == {}


def test_the_role_of_the_services_numbers_no_entry_itself(two_roles: Roles) -> None:
    columns = ", ".join(column.name for column in schema.audit_event.columns if not column.primary_key)
    statement = f"INSERT INTO audit_event (seq, {columns}) SELECT 9223372036854775807, {columns} FROM audit_event LIMIT 1"
    with pytest.raises(DBAPIError, match="permission denied"), two_roles.services.engine.begin() as conn:
        conn.execute(text(statement))


@pytest.mark.parametrize("statement", ["UPDATE access_served SET served_ns = NULL", "DELETE FROM access_served"])
def test_the_role_of_the_services_takes_back_no_reading(two_roles: Roles, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), two_roles.services.engine.begin() as conn:
        conn.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("GRANT UPDATE ON audit_event TO PUBLIC", "everybody may UPDATE audit_event"),
        ("GRANT UPDATE (payload) ON audit_event TO PUBLIC", "everybody may UPDATE audit_event"),
        ("GRANT TRIGGER ON ledger_entry TO PUBLIC", "everybody may TRIGGER ledger_entry"),
        ("CREATE TABLE shadow () INHERITS (audit_event)", "table shadow adds rows to audit_event"),
    ],
)
def test_a_wider_right_and_a_table_that_adds_rows_are_named(two_roles: Roles, statement: str, named: str) -> None:
    with two_roles.owner.engine.connect() as conn:
        conn.execute(text(statement))
        found = guards.deviations(conn)
        conn.rollback()
        assert named in found
        assert guards.deviations(conn) == []


GUARDED = [name for name, (check, _, done) in MANIPULATIONS.items() if check in ("I8", "schema") or "credit" in name or "grant" in name]
"""Manipulations of what is append-only, or of the schema: the services' role can do none of them."""


@pytest.mark.parametrize(
    "case", [name for name in GUARDED if name not in ("a grant invented", "a forged, balanced credit", "a trigger dropped")]
)
def test_the_role_of_the_services_cannot_manipulate_what_is_append_only(two_roles: Roles, case: str) -> None:
    done = MANIPULATIONS[case][2]
    with pytest.raises(DBAPIError, match="permission denied|must be owner"), two_roles.services.engine.begin() as conn:
        _do(conn, done)
    assert broken(two_roles.services) == {}


def _do(conn: Connection, done: str | tuple[str, ...] | Callable[[Connection], object]) -> None:
    if callable(done):
        done(conn)
        return
    for statement in (done,) if isinstance(done, str) else done:
        conn.execute(text(statement))


STATEMENTS = (
    "ALTER TABLE audit_event DISABLE TRIGGER USER",
    "DROP TRIGGER audit_event_append_only ON audit_event",
    "ALTER TABLE audit_event RENAME TO other",
    "ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY",
    "CREATE RULE nothing AS ON INSERT TO audit_event DO INSTEAD NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION mapex_append_only()",
    "CREATE OR REPLACE FUNCTION mapex_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
    "DROP TABLE audit_event CASCADE",
    "TRUNCATE audit_event",
    "TRUNCATE ledger_entry, ledger_transaction CASCADE",
    "CREATE TABLE mine (one integer)",
    "CREATE VIEW mine AS SELECT 1",
    "SET session_replication_role = replica",
    "LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE",
    "SELECT setval(pg_get_serial_sequence('audit_event', 'seq'), 1)",
    "INSERT INTO alembic_version VALUES ('9999')",
    "UPDATE alembic_version SET version_num = '0001'",
    "COPY audit_event TO PROGRAM 'cat'",
    "DELETE FROM person",
    "DELETE FROM permit",
    "DELETE FROM entitlement",
    "UPDATE permit SET valid_to_ns = valid_to_ns + 1",
    "UPDATE permit_recipient SET ordinal = 1",
    "UPDATE entitlement SET sha256 = ''",
    "UPDATE offer SET rate_card = '{}'",
    "UPDATE quote SET total = 1",
    "UPDATE purchase_order SET total = 1",
    "UPDATE ledger_account SET org_id = NULL",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "CREATE ROLE mine SUPERUSER",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_role_of_the_services_changes_neither_tables_nor_roles(two_roles: Roles, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied|must be|only roles"), two_roles.services.engine.begin() as conn:
        conn.execute(text(statement))


def test_replica_mode_does_not_switch_the_guards_off_even_for_the_owner(two_roles: Roles) -> None:
    with pytest.raises(DBAPIError, match="append-only"), two_roles.owner.engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(text("DELETE FROM audit_event"))


def test_services_refuse_to_start_as_the_owner_when_there_is_a_role_for_them(two_roles: Roles) -> None:
    with pytest.raises(Conflict) as refused:
        roles.check(two_roles.owner)
    assert refused.value.code == "database.owner"


BYPASSES = (
    ("CREATE RULE nothing AS ON DELETE TO audit_event DO INSTEAD NOTHING", "rule nothing on audit_event is not declared"),
    ("ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY", "rows of audit_event are hidden by a policy"),
    ("ALTER TABLE audit_event ENABLE TRIGGER audit_event_append_only", "trigger audit_event_append_only is not as declared"),
    ("DROP TRIGGER audit_event_no_truncate ON audit_event", "trigger audit_event_no_truncate is gone"),
    (
        "CREATE OR REPLACE FUNCTION mapex_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
        "function mapex_append_only is changed",
    ),
    (
        "CREATE TRIGGER mine BEFORE INSERT ON person FOR EACH ROW EXECUTE FUNCTION mapex_append_only()",
        "trigger mine is not declared",
    ),
)


@pytest.mark.parametrize(("statement", "named"), BYPASSES)
def test_what_the_owner_does_to_the_guards_is_named(
    postgres: Postgres, tmp_path: Path, migrated_postgresql: str, statement: str, named: str
) -> None:
    ex = an_exchange(tmp_path, database_url=postgres.new_database(migrated_postgresql))
    with ex.engine.begin() as conn:
        conn.execute(text(statement))
    assert named in broken(ex)["schema"]
    ex.engine.dispose()


def test_an_exchange_of_one_role_goes_on_with_a_warning_and_gets_a_second_one_by_one_command(
    postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.new_database()
    ex = an_exchange(tmp_path, database_url=url)
    an_org(ex, "stays")
    with caplog.at_level(logging.WARNING):
        roles.check(ex)
    assert "mapex init --roles" in caplog.text
    made = opening.make_roles(ex.settings, fresh=True)
    assert made is not None and made.username == "mapex_services" and len(str(made.password)) >= 32
    with pytest.raises(Conflict):
        roles.check(ex)
    ex.engine.dispose()
    changed = opening.open_exchange(replace(ex.settings, database_url=made.render_as_string(hide_password=False)), ex.now)
    roles.check(changed)
    an_org(changed, "comes")
    assert broken(changed) == {}
    with pytest.raises(DBAPIError, match="must be owner"), changed.engine.begin() as conn:
        without_guards(conn)
    changed.engine.dispose()
    postgres.drop_database(url)


def test_a_schema_that_is_older_is_not_migrated_by_the_services_but_by_init(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_database()
    asked = settings(tmp_path, database_url=with_role(url, f"services_{secrets.token_hex(4)}"), database_owner_url=url)
    opening.make_roles(asked)
    owner = opening.open_exchange(replace(asked, database_url=url))
    with owner.engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    owner.engine.dispose()
    with pytest.raises(Conflict) as refused:
        opening.open_exchange(asked)
    assert refused.value.code == "schema.older" and "mapex init" in refused.value.message
    postgres.drop_database(url)


def test_one_role_for_both_is_one_role_and_sqlite_has_none(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_database()
    assert opening.make_roles(settings(tmp_path / "a", database_url=url, database_owner_url=url)) is None
    with pytest.raises(Invalid) as refused:
        opening.make_roles(settings(tmp_path / "b"), fresh=True)
    assert refused.value.code == "database.sqlite"
    postgres.drop_database(url)
