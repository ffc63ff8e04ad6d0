"""Two roles in PostgreSQL: one owns the tables and migrates them, the other is what web and workers are. SQLite has no roles.

The services' role reads everything, adds rows, and changes only what changes. It cannot change or remove what is append-only, nor alter,
truncate or drop a table, nor switch a trigger off: who takes over a web process has no more than that.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import ProgrammingError

from mapex.config import database_url
from mapex.database import db
from mapex.database.schema import APPEND_ONLY, audit_event, log_head, metadata
from mapex.errors import Conflict, Invalid

if TYPE_CHECKING:
    from mapex.exchange import Exchange

log = logging.getLogger(__name__)

ADDED = ("access_served",)
"""Tables to which the services only add rows, although nothing else guards them."""

CHANGING: Mapping[str, str] = {
    "api_token": "",
    "approval": "quote_id, state, ended_ns, ender_id, reason, order_id",
    "business": "",
    "dataset": "title, description, created_ns, removed_ns",
    "dataset_version": "",
    "entitlement": "state",
    "invitation": "",
    "ledger_account": "balance",
    "offer": "state, ended_ns",
    "organisation": "state, signer",
    "permit": "state",
    "permit_request": "state, reason, decided_ns, permit_id",
    "person": "",
    "purchase_right": "may_pay, order_limit, month_limit",
    "quote": "name",
}
"""Tables of which the services remove no row, and the columns that they change; "" are all."""


def prepare(ex: Exchange, role: URL) -> None:
    """Make the role of the services, if it is not there, with the password of its URL, and give it what it needs and no more.

    Args:
        ex: open as the owner, its schema the newest.
    Raises: Conflict: `database.role`: the owner may not make roles, or the role is the owner itself or may become it.
    """
    name = str(role.username)
    with db.begin(ex) as conn:
        _make(conn, name, str(role.password or ""))
        if conn.execute(
            text("SELECT pg_has_role(:name, relowner, 'MEMBER') FROM pg_class WHERE oid = 'audit_event'::regclass"), {"name": name}
        ).scalar():
            sentence = f"The role {name} owns the tables, or may become their owner; give the services a role of their own."
            raise Conflict("database.role", sentence, role=name)
        for statement in _grants(_quoted(conn, name), _quoted(conn, str(conn.execute(text("SELECT current_schema()")).scalar_one()))):
            conn.exec_driver_sql(statement)
        _close_schema(conn)


def new_role(ex: Exchange) -> URL:
    """The address of a role for the services of an exchange that has none, with a fresh password; `prepare` makes it.

    Raises: Invalid: `database.sqlite`. Conflict: `database.role`: the present role is not the owner.
    """
    url = make_url(database_url(ex.settings))
    if url.get_backend_name() == "sqlite":
        raise Invalid("database.sqlite", "SQLite has no roles; `--roles` is for PostgreSQL.")
    with db.read(ex) as conn:
        if not is_owner(conn):
            sentence = f"The role {url.username} does not own the tables; run this as their owner (MAPEX_DATABASE_OWNER_URL)."
            raise Conflict("database.role", sentence, role=str(url.username))
    return url.set(username=f"{str(url.username)[:54]}_services", password=secrets.token_urlsafe(24))


def check(ex: Exchange) -> None:
    """What a service looks at when it starts: that it is not the owner of its tables.

    An exchange that never had a second role goes on with a warning, for people have such exchanges; a demonstration says nothing.

    Raises: Conflict: `database.owner`: there is a role for the services, and this is not it.
    """
    with db.read(ex) as conn:
        if ex.settings.demo or db.is_sqlite(conn) or not is_owner(conn):
            return
        if has_services(conn):
            sentence = (
                "This role owns the tables, and the database has another one for the services. Set MAPEX_DATABASE_URL to that one and "
                "keep the owner for `mapex init` (MAPEX_DATABASE_OWNER_URL)."
            )
            raise Conflict("database.owner", sentence)
    log.warning("the services own the tables of the database: who takes over one can switch its guards off. Run `mapex init --roles`.")


def is_owner(conn: Connection) -> bool:
    """Whether the present role owns the log, or may become who does: a superuser may."""
    query = "SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class WHERE oid = to_regclass('audit_event')"
    return bool(conn.execute(text(query)).scalar())


def has_services(conn: Connection) -> bool:
    """Whether another role than the owner may add to the log."""
    query = (
        "SELECT EXISTS (SELECT 1 FROM pg_class c, LATERAL (SELECT * FROM aclexplode(c.relacl) UNION ALL SELECT e.* FROM pg_attribute t, "
        "aclexplode(t.attacl) e WHERE t.attrelid = c.oid) a WHERE c.oid = 'audit_event'::regclass AND a.grantee <> c.relowner "
        "AND a.privilege_type = 'INSERT')"
    )
    return bool(conn.execute(text(query)).scalar())


def _make(conn: Connection, name: str, password: str) -> None:
    """Make the role, or give the one that is there this password, when the owner may."""
    there = conn.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).first() is not None
    driver: Any = conn.connection.driver_connection
    quoted = _quoted(conn, name)
    # The password is hashed here, so that no log of the server ever holds it.
    hashed = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode() if password else ""
    secret = f" PASSWORD '{hashed}'" if hashed else ""
    plain = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    try:
        with conn.begin_nested():
            if not there:
                conn.exec_driver_sql(f"CREATE ROLE {quoted} {plain}{secret}")
            elif secret:
                conn.exec_driver_sql(f"ALTER ROLE {quoted}{secret}")
    except ProgrammingError as why:
        if there:
            return  # somebody else made it, and knows its password
        sentence = (
            f"The owner may not make roles. Have an administrator run CREATE ROLE {quoted} {plain} PASSWORD '...'; then run this again."
        )
        raise Conflict("database.role", sentence, role=name) from why


def _grants(role: str, schema: str) -> list[str]:
    """The statements that give a role what the services need, and take the rest."""
    found = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    ]
    for table in metadata.tables:
        if table == audit_event.name:
            # Entries are numbered by the database: one of the highest number would leave no room behind it.
            rights = f"INSERT ({', '.join(column.name for column in audit_event.columns if not column.primary_key)})"
        elif table == log_head.name:
            continue  # triggers of what it counts write it
        elif table in APPEND_ONLY or table in ADDED:
            rights = "INSERT"
        elif table in CHANGING:
            rights = f"INSERT, UPDATE ({CHANGING[table]})" if CHANGING[table] else "INSERT, UPDATE"
        else:
            rights = "INSERT, UPDATE, DELETE"
        found.append(f"GRANT {rights} ON {table} TO {role}")
    return found


def _close_schema(conn: Connection) -> None:
    """Nobody but the owner makes tables beside ours; until PostgreSQL 15 everybody may."""
    try:
        with conn.begin_nested():
            conn.exec_driver_sql(f"REVOKE CREATE ON SCHEMA {_quoted(conn, 'public')} FROM PUBLIC")
    except ProgrammingError:
        log.warning("everybody may make tables in this database; have an administrator run REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def _quoted(conn: Connection, name: str) -> str:
    return conn.dialect.identifier_preparer.quote_identifier(name)
