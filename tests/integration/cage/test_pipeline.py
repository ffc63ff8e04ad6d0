"""From uploads to a draft: what is good becomes tiles, what is bad becomes findings, and what nobody knows is asked."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.worker import fetch, loop, pipeline, reading
from ingest.worker.lease import Lease
from mapex.audit import log
from mapex.catalogue import datasets, differences, requests
from mapex.catalogue.draft import Counts
from mapex.database import failpoints
from mapex.exchange import Exchange
from mapex.intake import jobs
from mapex.intake.placement import Placement
from tests.support.exchange import an_exchange
from tests.support.uploads import a_map, a_version, an_upload, codes, ingest, leftovers, objects, work
from tiles.errors import StoreUnavailable
from tiles.store.protocol import Bucket

VRT = b"<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"


@pytest.fixture
def ex(tmp_path: Path) -> Exchange:
    return an_exchange(tmp_path / "ex")


def test_good_map_becomes_a_draft_whose_tiles_own_every_feature(exchange: Exchange) -> None:
    done = ingest(exchange, {"walks.geojson": a_map(40)})
    assert done.version.state == "draft", done.findings
    (layer,) = done.layers
    assert layer.facts.counts == Counts(read=40, placed=40)
    assert layer.quantities.features == 40
    assert layer.quantities.footway_mm > 0
    assert layer.handling_class == "open"
    assert done.job is not None
    assert done.job.state == "done"
    keys = objects(exchange)
    assert keys
    assert all(key.startswith(f"{done.version.org_id}/") for key in keys)
    assert leftovers(exchange.settings.dir) == []


def test_same_content_in_a_new_version_is_the_same_objects(ex: Exchange) -> None:
    first = ingest(ex, {"walks.geojson": a_map(40)})
    before = objects(ex)
    actor, version, _ = a_version(ex, {"again.geojson": a_map(40), "more.geojson": a_map(8, west=128.0)}, by=_owner(ex, first))
    work(ex)
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "draft"
    found = differences.of(ex, actor, "seoul", version.number)
    assert set(before) < set(objects(ex))
    assert found.against is None  # the first was never published
    assert all(layer.added and not layer.changed and not layer.removed for layer in found.layers.values())


def _owner(ex: Exchange, described: datasets.Description) -> Any:
    from mapex.people.persons import actor_of

    assert described.job is not None
    return actor_of(ex, described.job.person_id)


def test_two_files_in_one_cell_are_two_parts(ex: Exchange) -> None:
    done = ingest(ex, {"b.geojson": a_map(3), "a.geojson": a_map(5)})
    assert done.version.state == "draft"
    assert done.layers[0].facts.counts.placed == 8
    assert done.layers[0].quantities.features == 8


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("map.gpkg", VRT, "format.unsupported"),
        ("map.gpkg", b"<OGRWFSDataSource><URL>http://127.0.0.1:9/</URL></OGRWFSDataSource>", "format.unsupported"),
        ("map.osm", b"%PDF-1.7 not a map", "format.unsupported"),
        ("cloud.las", b"\x00" * 4096, "format.unknown"),
        ("cloud.laz", b"LASF" + b"\xff" * 400, None),
        ("map.geojson", a_map(4)[:-40], None),
        ("bomb.zip", b"PK\x03\x04" + b"\x00" * 100, "zip.damaged"),
        ("empty.geojson", b'{"type": "FeatureCollection", "features": []}', None),
    ],
)  # fmt: skip
def test_bad_file_rejects_the_version_with_a_sentence_and_publishes_nothing(ex: Exchange, name: str, body: bytes, code: str | None) -> None:
    done = ingest(ex, {name: body, "good.geojson": a_map(4)})
    assert done.version.state == "rejected"
    found = [finding for finding in done.findings if finding.severity == "error"]
    assert found
    assert code is None or code in [finding.code for finding in found]
    assert all(finding.message and finding.file == name for finding in found), found
    assert "root:" not in str(done.findings)
    assert objects(ex) == []
    assert done.job is not None
    assert done.job.state == "done"
    assert leftovers(ex.settings.dir) == []


def test_upload_that_is_not_what_was_promised_is_refused(ex: Exchange) -> None:
    actor, _, _ = a_version(ex, {"x.geojson": a_map(4)})
    work(ex)
    upload = an_upload(ex, actor, "false.geojson", a_map(5), sha256="0" * 64)
    version, _ = requests.start_version(ex, actor, "seoul", [upload], classes="open")
    before = objects(ex)
    work(ex)
    done = datasets.describe(ex, actor, "seoul", version.number)
    assert (done.version.state, codes(done)[0]) == ("rejected", "upload.corrupt")
    assert objects(ex) == before


def test_cloud_without_crs_waits_for_an_answer_and_is_then_placed(ex: Exchange, samples: Path) -> None:
    body = (samples / "pointcloud" / "no_crs_simple.las").read_bytes()
    actor, version, _ = a_version(ex, {"no_crs.las": body})
    work(ex)
    done = datasets.describe(ex, actor, "seoul", version.number)
    assert done.version.state == "unplaced", done.findings
    assert done.layers[0].facts.counts.unplaced == done.layers[0].facts.counts.read > 0
    assert "crs.none" in codes(done, "warning")
    assert objects(ex) == []
    requests.answer_placement(ex, actor, "seoul", version.number, Placement("EPSG:2994"))
    work(ex)
    done = datasets.describe(ex, actor, "seoul", version.number)
    assert done.version.state == "draft", done.findings
    assert done.layers[0].facts.crs_source == "given"


def test_shapefile_parts_uploaded_one_by_one_are_one_source(ex: Exchange, samples: Path) -> None:
    (path,) = samples.glob("ngii_synthetic/model2024/*/*/HDMap_UTM52N_*/PW1_PATHWAY.shp")
    parts = {f"map/{p.name}": p.read_bytes() for p in path.parent.glob("PW1_PATHWAY.*")}
    done = ingest(ex, {**parts, "__MACOSX/._x": b"junk"})
    assert done.version.state == "draft", done.findings
    assert "file.ignored" in codes(done, "info")


def test_cancelled_job_stops_and_leaves_nothing(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, version, job = a_version(ex, {"walks.geojson": a_map(40)})
    real = reading.convert

    def slow(task: Any) -> Any:
        jobs.cancel(ex, actor, job.id)
        until = time.monotonic() + 60
        while not task.stop.exists() and time.monotonic() < until:  # the lease is renewed now and then, and tells
            time.sleep(0.02)
        return real(task)

    monkeypatch.setattr(reading, "convert", slow)
    work(ex)
    assert jobs.get(ex, actor, job.id).state == "cancelled"
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "cancelled"
    assert objects(ex) == []
    assert leftovers(ex.settings.dir) == []


def test_worker_that_is_asked_to_stop_gives_the_job_back_unspent(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, version, job = a_version(ex, {"walks.geojson": a_map(40)})
    stop = threading.Event()
    real = reading.convert

    def asked(task: Any) -> Any:
        stop.set()
        threading.Event().wait(0.3)
        return real(task)

    monkeypatch.setattr(reading, "convert", asked)
    loop.run(ex, stop, once=True)  # a job that waits for another try ends it too, and not only `stop`
    waiting = jobs.get(ex, actor, job.id)
    assert waiting.state == "queued"
    assert waiting.attempt_limit - waiting.attempts == ex.settings.job_attempts
    monkeypatch.undo()
    work(ex)
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "draft"


def test_late_worker_writes_nothing_when_another_took_its_job(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, version, _ = a_version(ex, {"walks.geojson": a_map(40)})
    late = jobs.claim(ex, "late")
    assert late is not None
    ex.now.forward(seconds=ex.settings.lease_seconds + 1)  # type: ignore[attr-defined]
    work(ex)
    first = datasets.describe(ex, actor, "seoul", version.number)
    assert first.version.state == "draft"
    with pytest.raises(jobs.Lost):
        pipeline.build(ex, late)
    again = datasets.describe(ex, actor, "seoul", version.number)
    assert again.version.manifest_sha256 == first.version.manifest_sha256
    assert _drafted(ex) == 1


def _drafted(ex: Exchange) -> int:
    from tests.support.exchange import a_person

    auditor = a_person(ex, role="auditor", email=f"auditor{ex.now()}@x.example")
    return len(log.events(ex, auditor, log.EventFilter(action=str(log.Action.VERSION_DRAFTED))).events)


class _Away:
    """A store that does not answer until it is asked to."""

    def __init__(self, real: Any, at: str) -> None:
        self._real, self._at, self.away = real, at, True

    def __getattr__(self, name: str) -> Any:
        if name == self._at and self.away:
            raise StoreUnavailable("the store does not answer")
        return getattr(self._real, name)


@pytest.mark.parametrize("at", ["fetch", "put"])
def test_store_away_makes_the_job_wait_however_long_and_loses_nothing(ex: Exchange, at: str) -> None:
    actor, version, job = a_version(ex, {"walks.geojson": a_map(40)})
    store = _Away(ex.store, at)
    broken = replace(ex, store=store)
    for _ in range(ex.settings.job_attempts + 2):
        work(broken)
        waiting = jobs.get(ex, actor, job.id)
        assert waiting.state == "queued"
        assert waiting.error is not None
        assert waiting.error["code"] == "store.unavailable"
        ex.now.forward(seconds=400)  # type: ignore[attr-defined]
    store.away = False
    work(broken)
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "draft"


def test_full_disk_makes_the_job_wait_and_says_so(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, version, job = a_version(ex, {"walks.geojson": a_map(40)})
    monkeypatch.setattr(fetch, "_SPARE_BYTES", 1 << 60)
    work(ex)
    waiting = jobs.get(ex, actor, job.id)
    assert waiting.state == "queued"
    assert waiting.error is not None
    assert waiting.error["code"] == "disk.full"
    assert "Free some space" in waiting.error["message"]
    monkeypatch.undo()
    ex.now.forward(seconds=400)  # type: ignore[attr-defined]
    work(ex)
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "draft"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_the_reserve_of_the_disk_makes_a_job_wait(ex: Exchange, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """It is kept for the database: a job that finds it used up, or uses it up, waits visibly and goes on later."""
    actor, version, job = a_version(ex, {"walks.geojson": a_map(40)})
    usage = namedtuple("usage", "total used free")
    full = usage(10**12, 0.96 * 10**12, 0.04 * 10**12)
    free = usage(10**12, 0, 10**12)
    looks = iter([free] * (0 if when == "before" else 2))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: next(looks, full))
    work(ex)
    waiting = jobs.get(ex, actor, job.id)
    assert (waiting.state, (waiting.error or {}).get("code")) == ("queued", "disk.full")
    monkeypatch.undo()
    ex.now.forward(seconds=400)  # type: ignore[attr-defined]
    work(ex)
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "draft"


def test_fault_of_ours_is_retried_and_then_given_up_without_a_traceback(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, version, job = a_version(ex, {"walks.geojson": a_map(40)})
    monkeypatch.setenv("MAPEX_FAILPOINT", "ingest.after_read:raise")
    for _ in range(ex.settings.job_attempts):
        failpoints._passed.clear()
        work(ex)
        ex.now.forward(seconds=400)  # type: ignore[attr-defined]
    failed = jobs.get(ex, actor, job.id)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error["code"] == "job.crashed"
    assert "Traceback" not in failed.error["message"]
    assert datasets.describe(ex, actor, "seoul", version.number).version.state == "failed"
    assert objects(ex) == []


def test_progress_names_stage_and_file(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[jobs.JobProgress] = []
    real = Lease.watch
    monkeypatch.setattr(Lease, "watch", lambda lease, look: (seen.append(look()), real(lease, look))[1])
    a_version(ex, {"walks.geojson": a_map(400)})
    work(ex)
    assert list(dict.fromkeys(p.stage for p in seen)) == ["fetch", "read", "preview", "store", "draft"]
    assert {p.file for p in seen if p.stage in ("fetch", "read")} == {"walks.geojson"}


def test_stored_tiles_have_the_bytes_that_the_catalogue_says(ex: Exchange) -> None:
    import hashlib

    done = ingest(ex, {"walks.geojson": a_map(40)})
    for key in objects(ex):
        body = b"".join(ex.store.read(Bucket.DATA, key))
        assert hashlib.sha256(body).hexdigest() == key.split("/")[1]
        assert body.startswith(b"PAR1")
    manifest = json.loads(datasets.manifest(ex, _owner(ex, done), "seoul"))
    assert manifest["sources"][0]["format"] == "geojson"
