"""Staged files that no version waits for any more."""

from __future__ import annotations

import json

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from mapex.database import db, schema
from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.times import DAY_NS
from tiles.errors import StoreUnavailable
from tiles.store.protocol import Bucket

WAITING_DAYS = 90
"""How long files are kept for a version that waits for its seller: for a place, or to be tried again."""

WAITING = ("unplaced", "failed", "cancelled")
"""States of versions that do."""


def remove_unneeded(ex: Exchange, which: ColumnElement[bool]) -> int:
    """Remove the complete uploads of which the condition holds and that no version waits for; returns how many.

    Killed in between, it is done again by the next sweep.

    Raises: Unavailable: the store does not answer; what was removed until then is.
    """
    upload = schema.upload.c
    with db.read(ex) as conn:
        complete = conn.execute(select(upload.id, upload.store_key).where(upload.state == "complete", which)).all()
        needed = _waited_for(conn, ex)
    unneeded = [(upload_id, key) for upload_id, key in complete if upload_id not in needed]
    for upload_id, key in unneeded:
        try:
            ex.store.delete(Bucket.STAGING, key)
        except StoreUnavailable as error:
            raise Unavailable("store.unavailable", "The object store does not answer; nothing more was removed, try again.") from error
        with db.begin(ex) as conn:
            conn.execute(update(schema.upload).where(upload.id == upload_id).values(state="removed"))
    return len(unneeded)


def _waited_for(conn: Connection, ex: Exchange) -> set[str]:
    """The uploads of versions that are being read, or that wait for their seller."""
    version = schema.dataset_version.c
    is_waiting = and_(version.state.in_(WAITING), version.created_ns >= ex.now() - WAITING_DAYS * DAY_NS)
    waiting = conn.execute(select(version.request).where(or_(version.state == "ingesting", is_waiting))).scalars()
    return {upload_id for request in waiting for upload_id in json.loads(request)["uploads"]}
