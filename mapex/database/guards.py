"""The guards of the append-only tables as they are declared, and where a database differs: what fsck asks, for a guard can be dropped.

SQLite: one trigger each for UPDATE, DELETE and for an INSERT that would take the place of a row (REPLACE deletes without a trigger).
PostgreSQL: triggers for UPDATE and DELETE and for TRUNCATE, `ALWAYS`, so that `session_replication_role` does not switch them off.
The rows of `log_head` go on by one with each row that they count, and in no other way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import CheckConstraint, Connection, Table, UniqueConstraint, inspect, text

from mapex.database import db
from mapex.database.schema import APPEND_ONLY, metadata

FUNCTIONS: Mapping[str, str] = {
    "mapex_append_only": "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END",
    "mapex_count": "BEGIN UPDATE log_head SET newest = newest + 1 WHERE name = TG_TABLE_NAME; RETURN NEW; END",
    "mapex_goes_on": (
        "BEGIN IF TG_OP = 'UPDATE' AND NEW.newest = OLD.newest + 1 "
        "AND (NEW.name, NEW.gaps, NEW.gaps_until) = (OLD.name, OLD.gaps, OLD.gaps_until) THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION 'log_head only goes on' USING ERRCODE = 'restrict_violation'; END"
    ),
    "mapex_number": (
        "BEGIN UPDATE log_head SET newest = newest + 1 WHERE name = TG_TABLE_NAME RETURNING newest INTO NEW.seq; RETURN NEW; END"
    ),
}
"""Body of each function in PostgreSQL."""

COUNTED: Mapping[str, str] = {"audit_event": "mapex_number", "log_checkpoint": "mapex_count"}
"""Tables that have a row in `log_head`, each with the function that raises it in PostgreSQL."""

GUARDED = (*APPEND_ONLY, "log_head")
"""Tables that nobody but their triggers changes."""


def deviations(conn: Connection) -> list[str]:
    """Where triggers, tables and views are not those that are declared."""
    look = _on_sqlite if db.is_sqlite(conn) else _on_postgresql
    return [*look(conn), *_strange_tables(conn), *_lost_rules(conn)]


def _on_sqlite(conn: Connection) -> Iterator[str]:
    found = {row.name: row.sql for row in conn.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))}
    declared = {name: sql for table in APPEND_ONLY for name, sql in sqlite_triggers(metadata.tables[table])}
    yield from _compared({**declared, **dict(_sqlite_counts())}, found)


def _on_postgresql(conn: Connection) -> Iterator[str]:
    rows = conn.execute(
        text(
            "SELECT t.tgname, t.tgenabled, pg_get_triggerdef(t.oid, true) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
        )
    )
    found = {name: definition if enabled == "A" else f"{definition} (enabled: {enabled})" for name, enabled, definition in rows}
    declared = dict(trigger for table in APPEND_ONLY for trigger in _postgresql_triggers(table))
    yield from _compared({**declared, **dict(_postgresql_counts())}, found)
    functions = conn.execute(text("SELECT proname, btrim(prosrc) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"))
    bodies: dict[str, str] = {name: body for name, body in functions}
    for name, body in FUNCTIONS.items():
        if bodies.get(name) != body:
            yield f"function {name} is {'changed' if name in bodies else 'gone'}"
    for question in _BYPASSES:
        yield from conn.execute(text(question)).scalars()


_BYPASSES = (
    "SELECT 'rule ' || rulename || ' on ' || tablename || ' is not declared' FROM pg_rules WHERE schemaname = current_schema()",
    "SELECT 'rows of ' || relname || ' are hidden by a policy' FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relrowsecurity",
    "SELECT 'table ' || i.inhrelid::regclass || ' adds rows to ' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'",
    "SELECT DISTINCT COALESCE(quote_ident(r.rolname), 'everybody') || ' may ' || a.privilege_type || ' ' || c.relname FROM pg_class c, "
    "LATERAL (SELECT * FROM aclexplode(c.relacl) UNION ALL SELECT e.* FROM pg_attribute t, aclexplode(t.attacl) e "
    "WHERE t.attrelid = c.oid) a "
    "LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE c.relnamespace = current_schema()::regnamespace "
    f"AND c.relname IN {GUARDED} AND a.grantee <> c.relowner AND a.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')",
    "SELECT 'the settings of a role or database switch triggers off (' || entry || ')' FROM pg_db_role_setting, unnest(setconfig) entry "
    "WHERE entry LIKE 'session_replication_role=%' "
    "AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
)
"""Other ways in PostgreSQL to change what a statement does without a trigger."""


def sqlite_triggers(table: Table) -> Iterator[tuple[str, str]]:
    """Name and SQL of the triggers of an append-only table in SQLite."""
    refuse = f"SELECT RAISE(ABORT, '{table.name} is append-only')"
    for verb in ("UPDATE", "DELETE"):
        name = f"{table.name}_no_{verb.lower()}"
        yield name, f"CREATE TRIGGER {name} BEFORE {verb} ON {table.name} BEGIN {refuse}; END"
    there = " OR ".join(["(rowid = NEW.rowid)", *(f"({_same(key)})" for key in _keys(table))])
    name, exists = f"{table.name}_no_replace", f"SELECT 1 FROM {table.name} WHERE {there}"
    yield name, f"CREATE TRIGGER {name} BEFORE INSERT ON {table.name} WHEN EXISTS ({exists}) BEGIN {refuse}; END"


def _keys(table: Table) -> list[tuple[str, ...]]:
    """The columns of each key of a table, the primary one first."""
    unique = sorted(tuple(column.name for column in one.columns) for one in table.constraints if isinstance(one, UniqueConstraint))
    return [tuple(column.name for column in table.primary_key.columns), *unique]


def _same(key: tuple[str, ...]) -> str:
    return " AND ".join(f"{name} = NEW.{name}" for name in key)


def _postgresql_triggers(table: str) -> Iterator[tuple[str, str]]:
    for name, when in (("append_only", "DELETE OR UPDATE ON {} FOR EACH ROW"), ("no_truncate", "TRUNCATE ON {} FOR EACH STATEMENT")):
        function = "EXECUTE FUNCTION mapex_append_only()"
        yield f"{table}_{name}", f"CREATE TRIGGER {table}_{name} BEFORE {when.format(table)} {function}"


def _sqlite_counts() -> Iterator[tuple[str, str]]:
    refuse = "SELECT RAISE(ABORT, 'log_head only goes on')"
    same = "NEW.newest = OLD.newest + 1 AND NEW.name = OLD.name AND NEW.gaps = OLD.gaps AND NEW.gaps_until = OLD.gaps_until"
    yield "log_head_goes_on", f"CREATE TRIGGER log_head_goes_on BEFORE UPDATE ON log_head WHEN NOT ({same}) BEGIN {refuse}; END"
    for verb in ("DELETE", "INSERT"):
        name = f"log_head_no_{verb.lower()}"
        yield name, f"CREATE TRIGGER {name} BEFORE {verb} ON log_head BEGIN {refuse}; END"
    for table in COUNTED:
        count = f"UPDATE log_head SET newest = newest + 1 WHERE name = '{table}'"
        yield f"{table}_counted", f"CREATE TRIGGER {table}_counted AFTER INSERT ON {table} BEGIN {count}; END"


def _postgresql_counts() -> Iterator[tuple[str, str]]:
    for name, when in (
        ("goes_on", "INSERT OR DELETE OR UPDATE ON log_head FOR EACH ROW"),
        ("no_truncate", "TRUNCATE ON log_head FOR EACH STATEMENT"),
    ):
        yield f"log_head_{name}", f"CREATE TRIGGER log_head_{name} BEFORE {when} EXECUTE FUNCTION mapex_goes_on()"
    for table, function in COUNTED.items():
        name = f"{table}_counted"
        yield name, f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"


def _compared(declared: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(declared.keys() | found.keys()):
        if name not in found:
            yield f"trigger {name} is gone"
        elif name not in declared:
            yield f"trigger {name} is not declared"
        elif found[name] != declared[name]:
            yield f"trigger {name} is not as declared"


def _lost_rules(conn: Connection) -> Iterator[str]:
    """Keys, references and checks that a table is declared to have and has no more."""
    looked = inspect(conn)
    there = set(looked.get_table_names())
    for table in metadata.tables.values():
        if table.name not in there:
            continue
        unique: set[frozenset[str | None]] = {frozenset(looked.get_pk_constraint(table.name)["constrained_columns"])}
        unique |= {frozenset(one["column_names"]) for one in looked.get_unique_constraints(table.name)}
        unique |= {frozenset(one["column_names"]) for one in looked.get_indexes(table.name) if one["unique"]}
        for key in _keys(table):
            if frozenset(key) not in unique:
                yield f"the key {', '.join(key)} of {table.name} is gone"
        referred = {(*one["constrained_columns"], one["referred_table"]) for one in looked.get_foreign_keys(table.name)}
        for column in table.columns:
            for reference in column.foreign_keys:
                if (column.name, reference.column.table.name) not in referred:
                    yield f"the reference {column.name} of {table.name} is gone"
        checks = sum(isinstance(one, CheckConstraint) for one in table.constraints)
        if len({one["name"] for one in looked.get_check_constraints(table.name) if one["name"]}) < checks:
            yield f"a check of {table.name} is gone"


def _strange_tables(conn: Connection) -> Iterator[str]:
    """Tables and views that are missing, or that nobody declared; those of extensions are their own."""
    if db.is_sqlite(conn):
        query = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    else:
        query = (
            "SELECT c.relname, CASE c.relkind WHEN 'r' THEN 'table' ELSE 'view or table of kind ' || CAST(c.relkind AS text) END "
            "FROM pg_class c "
            "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f') "
            "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
        )
    found: dict[str, str] = {name: kind for name, kind in conn.execute(text(query))}
    declared = {*metadata.tables, "alembic_version"}
    for name in sorted(declared - found.keys()):
        yield f"table {name} is gone"
    for name in sorted(found):
        if name not in declared or found[name] != "table":
            yield f"{found[name]} {name} is not declared"
