"""Objects that jobs left behind: put before the job was cancelled or failed, so that no draft ever referred to them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, or_, select

from mapex.database import db, schema
from mapex.exchange import Exchange
from mapex.intake import jobs
from mapex.intake.keys import REVIEWS, org_of_key
from mapex.times import DAY_NS
from tiles.store.protocol import Bucket, ObjectInfo

log = logging.getLogger(__name__)

KEPT_NS = DAY_NS // 2
"""How long an object without a reference is kept; `mapex fsck` complains after a day (I7)."""
_SKEW_NS = 300 * 10**9
"""How far the store's clock may be from ours."""

_Span = tuple[int, int]


def sweep(ex: Exchange) -> int:
    """Remove from the store what ended jobs left there; returns how many objects.

    An object is removed when no tile, no preview and no review refers to it, it is older than `KEPT_NS`, it was written during the life of
    a job of its organisation that was cancelled or failed, or whose version was removed, and none is at work now; or it is a document
    whose review was never stored. Whatever else is there without a reference stays, and `mapex fsck` names it: it may belong to a newer
    state of the database than the one that was restored.

    Raises: Unavailable; StoreUnavailable.
    """
    removed, after = 0, ""
    while page := ex.store.list(Bucket.DATA, after=after):
        after = page[-1].key
        old = {found.key: found for found in page if found.modified_ns < ex.now() - KEPT_NS}
        with db.read(ex) as conn:
            loose = [old[key] for key in _unreferenced(conn, list(old))]
            spans = _spans(conn, {org_of_key(found.key) for found in loose})
        if left := [found.key for found in loose if _is_left(found, spans)]:
            removed += _remove(ex, left)
    if removed:
        log.info("%d objects of jobs that were cancelled or failed, to which nothing refers, were removed", removed)
    return removed


def _remove(ex: Exchange, keys: Sequence[str]) -> int:
    """Remove those of the keys that nothing refers to and that no job can be about to refer to."""
    with db.begin(ex) as conn:
        jobs.hold_claims(conn)  # a job that found the object there already must not lose it before its draft is stored
        job = schema.job.c
        busy = set(conn.execute(select(job.org_id).where(job.state == "running")).scalars())
        loose = _unreferenced(conn, [key for key in keys if org_of_key(key) not in busy])
        for key in loose:
            ex.store.delete(Bucket.DATA, key)
    return len(loose)


def _unreferenced(conn: Connection, keys: Sequence[str]) -> list[str]:
    used: set[str] = set()
    for table in (schema.tile, schema.preview, schema.footage_review):
        used.update(conn.execute(select(table.c.object_key).where(table.c.object_key.in_(keys))).scalars())
    return [key for key in keys if key not in used]


def _spans(conn: Connection, org_ids: Collection[str]) -> Mapping[str, Sequence[_Span]]:
    """From when to when each job of the organisations lived that stored no draft, or one that was removed."""
    job, version = schema.job.c, schema.dataset_version.c
    query = select(job.org_id, job.created_ns, job.finished_ns).outerjoin_from(
        schema.job, schema.dataset_version, version.id == job.version_id
    )
    query = query.where(job.org_id.in_(org_ids), job.state.in_(jobs.ENDED), or_(job.state != "done", version.state == "removed"))
    spans = defaultdict(list)
    for org_id, created_ns, finished_ns in conn.execute(query):
        spans[org_id].append((created_ns - _SKEW_NS, finished_ns + _SKEW_NS))
    return spans


def _is_left(found: ObjectInfo, spans: Mapping[str, Sequence[_Span]]) -> bool:
    if found.key.startswith(REVIEWS):  # its request was never stored
        return True
    return any(begun <= found.modified_ns <= ended for begun, ended in spans.get(org_of_key(found.key), ()))
