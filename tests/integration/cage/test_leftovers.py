"""Objects that a job put before it was cancelled: they go away, and nothing else does."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest

from ingest.worker import pipeline
from mapex.database import db
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs, leftovers
from mapex.operation import fsck
from tests.support.exchange import Clock, a_claimed_job, a_person
from tests.support.uploads import a_map, a_version, ingest, objects, work
from tiles.store.protocol import Bucket


@pytest.fixture
def ex(exchange: Exchange) -> Exchange:
    """An exchange whose clock begins where that of the store is, which is the machine's."""
    clock(exchange).at_ns = time.time_ns()
    return exchange


def clock(ex: Exchange) -> Clock:
    assert isinstance(ex.now, Clock)
    return ex.now


def cancelled(ex: Exchange, monkeypatch: pytest.MonkeyPatch, body: bytes, by: Actor | None = None) -> Actor:
    """A job that is cancelled when all its objects are put."""
    actor, _, job = a_version(ex, {"walks.geojson": body}, by=by)
    with monkeypatch.context() as patched:
        patched.setattr(pipeline.failpoints, "hit", lambda name: jobs.cancel(ex, actor, job.id) if name == "ingest.after_objects" else None)
        work(ex)
    assert jobs.get(ex, actor, job.id).state == "cancelled"
    return actor


def stored(ex: Exchange) -> set[str]:
    """Keys of all objects, previews too."""
    return {one.key for one in ex.store.list(Bucket.DATA)}


def test_what_a_cancelled_job_had_put_is_removed_before_fsck_complains(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled(ex, monkeypatch, a_map(40))
    left = stored(ex)
    assert len(left) > len(objects(ex)) > 0
    assert leftovers.sweep(ex) == 0, "too young"
    clock(ex).forward(days=1.1)
    assert [check.name for check in fsck.check(ex) if not check.ok] == ["I7"]
    work(ex)  # a worker with nothing else to do
    assert stored(ex) == set()
    assert [check.message for check in fsck.check(ex) if not check.ok] == []


def test_what_a_version_refers_to_stays(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = a_person(ex)
    done = ingest(ex, {"walks.geojson": a_map(40)}, by=actor)
    assert done.version.state == "draft"
    kept = stored(ex)
    cancelled(ex, monkeypatch, a_map(48), by=actor)  # most of its tiles are those of the draft
    left = stored(ex) - kept
    assert left
    clock(ex).forward(days=0.6)
    assert leftovers.sweep(ex) == len(left)
    assert stored(ex) == kept
    assert [check.message for check in fsck.check(ex) if not check.ok] == []


def test_nothing_of_a_firm_is_removed_while_a_job_of_it_is_at_work(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job may have found an object there already, and refer to it in a moment."""
    busy, idle = a_person(ex), a_person(ex)
    for actor in (busy, idle):
        cancelled(ex, monkeypatch, a_map(40), by=actor)
    clock(ex).forward(days=0.6)
    job = a_claimed_job(ex, busy, "other")
    theirs = {key for key in stored(ex) if str(idle.org_id) in key}
    assert leftovers.sweep(ex) == len(theirs) > 0
    jobs.fail(ex, job, "reader.crashed", "no use")
    assert leftovers.sweep(ex) > 0
    assert stored(ex) == set()


def test_an_object_of_a_time_without_a_job_stays_and_is_named(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be of a newer state of the database than the one that was restored."""
    actor = cancelled(ex, monkeypatch, a_map(8))
    body = b"published after the backup"
    key = f"{actor.org_id}/{hashlib.sha256(body).hexdigest()}"
    ex.store.put(Bucket.DATA, key, body, sha256=hashlib.sha256(body).hexdigest())
    (path,) = ex.settings.store_dir.rglob(key.rpartition("/")[2])
    later = time.time_ns() + 3600 * 10**9
    os.utime(path, ns=(later, later))
    clock(ex).forward(days=1.1)
    leftovers.sweep(ex)
    assert stored(ex) == {key}
    (broken,) = [check for check in fsck.check(ex) if not check.ok]
    assert broken.name == "I7" and key in broken.message


def test_no_job_is_claimed_while_claims_are_held(ex: Exchange) -> None:
    _, _, job = a_version(ex, {"walks.geojson": a_map(8)})
    claimed: list[jobs.Job | None] = []
    thread = threading.Thread(target=lambda: claimed.append(jobs.claim(ex, "w")))
    with db.begin(ex) as conn:
        jobs.hold_claims(conn)
        thread.start()
        thread.join(0.5)
        assert claimed == []
    thread.join(60)
    assert [one.id for one in claimed if one] == [job.id]
