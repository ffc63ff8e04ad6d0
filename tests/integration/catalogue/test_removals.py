"""What was rejected or cancelled can be removed: it is in no list, its files are freed, the log keeps its entries, and fsck agrees."""

from __future__ import annotations

import time

import pytest

from mapex.audit import log
from mapex.catalogue import datasets, removals, requests
from mapex.database import db, schema
from mapex.errors import Conflict, NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs, leftovers
from mapex.people.persons import actor_of
from tests.support.exchange import Clock, a_drafted_version, a_person, publish
from tests.support.tampering import broken
from tests.support.uploads import a_map, a_version, ingest, work
from tiles.store.protocol import Bucket

BAD = b"\x00" * 400


def seller_of(exchange: Exchange, done: datasets.Description) -> Actor:
    assert done.job is not None
    return actor_of(exchange, done.job.person_id)


def staged_keys(exchange: Exchange) -> set[str]:
    with db.read(exchange) as conn:
        keys = conn.execute(schema.upload.select().with_only_columns(schema.upload.c.store_key)).scalars()
        return {key for key in keys if exchange.store.stat(Bucket.STAGING, key) is not None}


def rejected(exchange: Exchange) -> Actor:
    return seller_of(exchange, ingest(exchange, {"bad.laz": BAD}))


def cancelled(exchange: Exchange) -> Actor:
    actor, _, job = a_version(exchange, {"map.geojson": a_map(4)})
    jobs.cancel(exchange, actor, job.id)
    return actor


def failed(exchange: Exchange) -> Actor:
    actor, _, _ = a_version(exchange, {"map.geojson": a_map(4)})
    job = jobs.claim(exchange, "w")
    assert job is not None
    jobs.fail(exchange, job, "reader.crashed", "no use")
    return actor


def draft(exchange: Exchange) -> Actor:
    return seller_of(exchange, ingest(exchange, {"map.geojson": a_map(4)}))


@pytest.mark.parametrize("make", [rejected, cancelled, failed, draft])
def test_the_only_version_goes_with_its_dataset(exchange: Exchange, make: object) -> None:
    actor: Actor = make(exchange)  # type: ignore[operator]
    assert datasets.get_version(exchange, actor, "seoul").state == make.__name__  # type: ignore[attr-defined]
    assert staged_keys(exchange)
    assert removals.remove(exchange, actor, "seoul", 1)
    auditor = a_person(exchange, role="auditor")
    for who in (actor, auditor, a_person(exchange, role="operator")):
        assert datasets.datasets(exchange, who) == []
        with pytest.raises(NotFound):
            datasets.describe(exchange, who, f"{actor.org_slug}/seoul", 1)
    assert not staged_keys(exchange)
    actions = [entry.action for entry in log.events(exchange, auditor, log.EventFilter(dataset="seoul")).events]
    assert actions[:2] == ["dataset.removed", "version.removed"]
    assert {"dataset.created", "version.started"} <= set(actions)
    assert not broken(exchange)


def test_other_versions_stay(exchange: Exchange) -> None:
    actor = seller_of(exchange, ingest(exchange, {"map.geojson": a_map(4)}))
    ingest(exchange, {"bad.laz": BAD}, by=actor)
    assert not removals.remove(exchange, actor, "seoul", 2)
    assert [one.number for one in datasets.versions(exchange, actor, "seoul")] == [1]
    assert datasets.get_dataset(exchange, actor, "seoul").newest == 1
    assert datasets.get_version(exchange, actor, "seoul").state == "draft"
    ingest(exchange, {"map.geojson": a_map(5)}, by=actor)
    assert [one.number for one in datasets.versions(exchange, actor, "seoul")] == [3, 1], "a number is used once"
    assert not broken(exchange)


def test_a_dataset_that_was_removed_can_be_made_again_with_another_title(exchange: Exchange) -> None:
    actor = rejected(exchange)
    removals.remove(exchange, actor, "seoul", 1)
    made, is_new = datasets.create_dataset(exchange, actor, "seoul", "Another")
    assert (made.title, made.newest, is_new) == ("Another", None, True)
    assert datasets.create_dataset(exchange, actor, "seoul", "Third") == (made, False)
    done = ingest(exchange, {"map.geojson": a_map(4)}, by=actor)
    assert datasets.describe(exchange, actor, "seoul").version.number == 2
    assert done.job is not None
    assert not broken(exchange)


def test_files_that_another_version_waits_for_are_kept(exchange: Exchange) -> None:
    actor, version, job = a_version(exchange, {"map.geojson": a_map(4)})
    jobs.cancel(exchange, actor, job.id)
    again, _ = requests.start_version(exchange, actor, "seoul", version.uploads, classes="open")
    removals.remove(exchange, actor, "seoul", 1)
    assert staged_keys(exchange)
    work(exchange)
    assert datasets.describe(exchange, actor, "seoul", again.number).version.state == "draft"


def test_tiles_of_a_removed_draft_are_swept(exchange: Exchange) -> None:
    assert isinstance(exchange.now, Clock)
    exchange.now.at_ns = time.time_ns()  # where that of the store is
    actor = draft(exchange)
    objects = len(list(exchange.store.list(Bucket.DATA)))
    assert objects
    removals.remove(exchange, actor, "seoul", 1)
    exchange.now.forward(days=1)
    assert leftovers.sweep(exchange) == objects
    assert not list(exchange.store.list(Bucket.DATA))
    assert not broken(exchange)


def test_what_is_or_was_on_sale_or_is_being_read_is_not_removed(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_drafted_version(exchange, seller, "streets")
    publish(exchange, seller, "streets")
    datasets.create_dataset(exchange, seller, "seoul")
    actor, version, _ = a_version(exchange, {"map.geojson": a_map(4)}, by=seller)
    for slug, number in (("streets", 1), (version.dataset, version.number)):
        with pytest.raises(Conflict) as refused:
            removals.remove(exchange, actor, slug, number)
        assert refused.value.code == "version.not_removable"


def test_a_job_of_a_removed_version_is_not_tried_again(exchange: Exchange) -> None:
    actor = cancelled(exchange)
    job = datasets.describe(exchange, actor, "seoul", 1).job
    assert job is not None
    removals.remove(exchange, actor, "seoul", 1)
    with pytest.raises(Conflict) as refused:
        jobs.retry(exchange, actor, job.id)
    assert refused.value.code == "job.outdated"
    assert not broken(exchange)


def test_a_stranger_removes_nothing(exchange: Exchange) -> None:
    rejected(exchange)
    with pytest.raises(NotFound):
        removals.remove(exchange, a_person(exchange, "dongil"), "seoul", 1)
