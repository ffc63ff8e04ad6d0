"""Opening an exchange: engine, schema at the right revision, object store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import URL, inspect, make_url, text

from mapex import modes
from mapex.config import database_url
from mapex.database import db, failpoints, roles
from mapex.database.migrations import HEAD
from mapex.errors import Conflict
from mapex.exchange import Exchange

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from mapex.config import Settings
    from tiles.store.minio_accounts import Duty
    from tiles.store.protocol import ObjectStore
    from tiles.store.signing import Credentials

log = logging.getLogger(__name__)

ONE_KEY = (
    "This process has one key of the store for everything. Set MAPEX_STORE_DOWNLOAD_*, _WORK_* and _SWEEP_* (`mapex init --compose` prints "
    "fresh ones), run `mapex init --if-missing` once, and take MAPEX_STORE_ACCESS_KEY away from serve and worker."
)


def open_exchange(settings: Settings, now: Callable[[], int] = time.time_ns) -> Exchange:
    """The exchange of `settings`, ready for use: an empty database gets its tables, an older one is upgraded.

    Raises: Conflict: the database is newer than this program. Unavailable: it does not answer. Invalid: its folder is everybody's.
    """
    modes.guard_folder(settings.dir)
    modes.close_all(settings)
    ex = Exchange(settings, db.open_engine(settings), open_store(settings, now), now)
    try:
        upgrade(ex)
    except BaseException:
        ex.engine.dispose()
        raise
    return ex


def make_roles(settings: Settings, *, fresh: bool = False) -> URL | None:
    """Bring the schema to the newest as the owner of the tables, and give the services a role of their own.

    The owner is `database_owner_url`, and the role that of `database_url`. Without an owner there is one role, as there always was:
    None, unless a `fresh` role is asked for; then the present one is the owner, and the address of the new one is answered.

    Raises: Conflict: `database.role`, `schema.newer`. Invalid: `database.sqlite`.
    """
    services = make_url(database_url(settings))
    owner = settings.database_owner_url or (settings.database_url if fresh else "")
    if not owner or (not fresh and make_url(owner).username == services.username):
        return None
    as_owner = replace(settings, database_url=owner)
    ex = open_exchange(as_owner)
    try:
        made = roles.new_role(ex) if fresh and not settings.database_owner_url else services
        roles.prepare(ex, made)
    finally:
        ex.engine.dispose()
    return made


def revision(engine: Engine) -> str | None:
    """Schema revision of the database; None for an empty one."""
    with engine.connect() as conn:
        return _revision(conn)


def upgrade(ex: Exchange) -> None:
    """Bring the schema to `HEAD` in one transaction, so that a kill leaves the old one; processes take turns."""
    with db.read(ex) as conn:
        if _revision(conn) == HEAD:
            return
    with db.begin(ex) as conn:
        db.take_turns(conn, "mapex.migrations")
        found = _revision(conn)
        if found == HEAD:
            return
        if found is not None and not db.is_sqlite(conn) and not roles.is_owner(conn):
            sentence = (
                f"The database has schema {found}, and this mapex needs {HEAD}. Run `mapex init --if-missing` as the owner of the tables."
            )
            raise Conflict("schema.older", sentence)
        _run_alembic(conn, found)
        failpoints.hit("migration.before_commit")
    log.info("database schema upgraded from %s to %s", found or "nothing", HEAD)


def open_store(settings: Settings, now: Callable[[], int] = time.time_ns) -> ObjectStore:
    """The object store that `settings` names; MinIO is not spoken to yet."""
    if settings.store == "minio":
        from tiles.store.minio import MinioStore

        if settings.store_access_key and not single_accounts(settings):
            log.warning(ONE_KEY)

        return MinioStore(
            settings.store_endpoint,
            access_key=settings.store_access_key,
            secret_key=settings.store_secret_key,
            upload_access_key=settings.store_upload_access_key,
            upload_secret_key=settings.store_upload_secret_key,
            single=single_accounts(settings),
            fixed_signer=settings.store_fixed_signer,
            prefix=settings.store_bucket_prefix,
            region=settings.store_region,
            secure=settings.store_secure,
            public_url=settings.store_public_url,
            now=now,
        )
    from tiles.store.directory import DirectoryStore

    return DirectoryStore(settings.store_dir, url=f"{settings.store_public_url}/store", secret_key=settings.signing_key, now=now)


def single_accounts(settings: Settings) -> Mapping[Duty, Credentials]:
    """The accounts of MinIO for single purposes that this process was given, but for that of uploads."""
    from tiles.store.minio_accounts import Duty
    from tiles.store.signing import Credentials

    keys = {
        Duty.DOWNLOAD: Credentials(settings.store_download_access_key, settings.store_download_secret_key),
        Duty.WORK: Credentials(settings.store_work_access_key, settings.store_work_secret_key),
        Duty.SWEEP: Credentials(settings.store_sweep_access_key, settings.store_sweep_secret_key),
    }
    return {purpose: pair for purpose, pair in keys.items() if pair.access_key}


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table("alembic_version"):
        return None
    found: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _run_alembic(conn: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    from mapex.database.migrations import configuration

    config = configuration(conn)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise Conflict("schema.newer", f"The database has schema {found}, which this mapex ({HEAD}) does not know. Install a newer mapex.")
    command.upgrade(config, "head")
