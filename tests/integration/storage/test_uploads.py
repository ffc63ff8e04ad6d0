"""Uploads: parts straight to the store, joined once, found again after a kill; foreign ones absent."""

import hashlib
import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from mapex.audit import log
from mapex.catalogue import requests
from mapex.database import failpoints
from mapex.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from mapex.exchange import Actor, Exchange
from mapex.intake import jobs, uploads
from mapex.intake.staged import WAITING_DAYS
from mapex.intake.uploads import PartRequest
from tests.support.exchange import a_claimed_job, a_drafted_version, a_person, an_upload, send_part
from tiles.errors import StoreUnavailable
from tiles.store.protocol import Bucket

CONTENT = bytes(range(256)) * 700  # 179,200 bytes: two whole parts of 64 KiB and a rest
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def seller(exchange: Exchange) -> Actor:
    return a_person(exchange, "hanbit")


def piece(upload: uploads.Upload, number: int) -> bytes:
    return CONTENT[(number - 1) * upload.part_size : number * upload.part_size]


def staged(ex: Exchange, by: Actor, *, numbers: tuple[int, ...] = (1, 2, 3)) -> uploads.Upload:
    upload = uploads.stage(ex, by, "drive/log.mcap", len(CONTENT), SHA256)
    for number in numbers:
        send_part(ex, upload, number, piece(upload, number))
    return upload


def test_parts_are_joined_to_what_was_sent(exchange: Exchange, seller: Actor) -> None:
    upload = uploads.complete(exchange, seller, staged(exchange, seller).id)
    assert upload.state == "complete"
    assert b"".join(exchange.store.read(Bucket.STAGING, upload.store_key)) == CONTENT


def test_signed_parts_bind_number_size_and_checksum(exchange: Exchange, seller: Actor) -> None:
    upload = staged(exchange, seller, numbers=())
    body = piece(upload, 3)
    (request,) = uploads.sign_parts(exchange, seller, upload.id, [PartRequest(3, len(body), hashlib.sha256(body).hexdigest())])
    assert request.method == "PUT"
    assert "partNumber=3" in request.url
    assert any("sha256" in name.lower() for name in request.headers)


@pytest.mark.parametrize(
    "part",
    [
        PartRequest(0, 65536, SHA256),
        PartRequest(4, 1, SHA256),
        PartRequest(1, 65535, SHA256),
        PartRequest(3, 65536, SHA256),
        PartRequest(1, 65536, "x"),
    ],
)
def test_parts_that_cannot_belong_to_the_file_are_not_signed(exchange: Exchange, seller: Actor, part: PartRequest) -> None:
    with pytest.raises(Invalid) as refused:
        uploads.sign_parts(exchange, seller, staged(exchange, seller, numbers=()).id, [part])
    assert refused.value.code == "upload.part"


def test_a_killed_client_learns_what_arrived_and_sends_the_rest(exchange: Exchange, seller: Actor) -> None:
    first = staged(exchange, seller, numbers=(1, 3))
    again = uploads.stage(exchange, seller, "drive/log.mcap", len(CONTENT), SHA256)
    assert again == first
    assert [part.number for part in uploads.received(exchange, seller, again.id)] == [1, 3]
    with pytest.raises(Conflict) as refused:
        uploads.complete(exchange, seller, again.id)
    assert (refused.value.code, refused.value.details["missing"]) == ("upload.incomplete", [2])
    send_part(exchange, again, 2, piece(again, 2))
    assert uploads.complete(exchange, seller, again.id).state == "complete"


def test_a_file_that_is_there_already_is_not_sent_again(exchange: Exchange, seller: Actor) -> None:
    upload = uploads.complete(exchange, seller, staged(exchange, seller).id)
    assert uploads.stage(exchange, seller, "drive/log.mcap", len(CONTENT), SHA256) == upload
    stranger = a_person(exchange)
    assert uploads.stage(exchange, stranger, "drive/log.mcap", len(CONTENT), SHA256).id != upload.id


def test_a_file_whose_object_is_gone_is_sent_again(exchange: Exchange, seller: Actor) -> None:
    upload = uploads.complete(exchange, seller, staged(exchange, seller).id)
    exchange.store.delete(Bucket.STAGING, upload.store_key)
    again = uploads.stage(exchange, seller, "drive/log.mcap", len(CONTENT), SHA256)
    assert (again.id != upload.id, again.state) == (True, "open")


def test_completing_twice_answers_the_same_and_logs_once(exchange: Exchange, seller: Actor) -> None:
    upload = staged(exchange, seller)
    assert uploads.complete(exchange, seller, upload.id) == uploads.complete(exchange, seller, upload.id)
    auditor = a_person(exchange, role="auditor")
    assert len(log.events(exchange, auditor, log.EventFilter(action="upload.completed")).events) == 1


@pytest.mark.parametrize("point", ["upload.before_join", "upload.after_join"])
def test_killed_around_the_join_it_is_completed_by_asking_again(
    exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    upload = staged(exchange, seller)
    monkeypatch.setenv("MAPEX_FAILPOINT", f"{point}:raise")
    monkeypatch.setattr(failpoints, "_passed", {})
    with pytest.raises(failpoints.Failpoint):
        uploads.complete(exchange, seller, upload.id)
    monkeypatch.delenv("MAPEX_FAILPOINT")
    assert uploads.get(exchange, seller, upload.id).state == "open"
    assert uploads.complete(exchange, seller, upload.id).state == "complete"
    assert b"".join(exchange.store.read(Bucket.STAGING, upload.store_key)) == CONTENT


def test_an_upload_that_the_store_lost_is_reported_to_be_lost(exchange: Exchange, seller: Actor) -> None:
    upload = staged(exchange, seller)
    exchange.store.abort_upload(upload.store_key, upload.store_upload_id)
    with pytest.raises(Conflict) as refused:
        uploads.complete(exchange, seller, upload.id)
    assert refused.value.code == "upload.lost"


def test_an_aborted_upload_is_over(exchange: Exchange, seller: Actor) -> None:
    upload = staged(exchange, seller)
    uploads.abort(exchange, seller, upload.id)
    uploads.abort(exchange, seller, upload.id)
    assert uploads.received(exchange, seller, upload.id) == []
    with pytest.raises(Conflict) as refused:
        uploads.complete(exchange, seller, upload.id)
    assert refused.value.code == "upload.closed"
    done = an_upload(exchange, seller)
    with pytest.raises(Conflict):
        uploads.abort(exchange, seller, done.id)


def test_a_foreign_upload_is_as_absent_as_one_that_never_was(exchange: Exchange, seller: Actor) -> None:
    upload, stranger = staged(exchange, seller), a_person(exchange)
    part = PartRequest(1, 65536, SHA256)
    for ask in (
        lambda i: uploads.get(exchange, stranger, i),
        lambda i: uploads.received(exchange, stranger, i),
        lambda i: uploads.sign_parts(exchange, stranger, i, [part]),
        lambda i: uploads.complete(exchange, stranger, i),
        lambda i: uploads.abort(exchange, stranger, i),
    ):
        answer = []
        for upload_id in (upload.id, "upl_never"):
            with pytest.raises(NotFound) as refused:
                ask(upload_id)
            answer.append((refused.value.code, refused.value.message, refused.value.details))
        assert answer[0] == answer[1]


def test_auditors_upload_nothing(exchange: Exchange) -> None:
    with pytest.raises(Denied):
        uploads.stage(exchange, a_person(exchange, role="auditor"), "a.osm", 1)


@pytest.mark.parametrize("name", ["", " ", "../x", "a/../b", "/etc/passwd", "a//b", "a\\b", "a\0b", "a\nb", "x" * 256, "./a", "\ud800"])
def test_names_that_could_lead_elsewhere_are_refused(exchange: Exchange, seller: Actor, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        uploads.stage(exchange, seller, name, 1)
    assert refused.value.code == "upload.name"


@pytest.mark.parametrize("name", ["서울.osm", "drive 1/front/000001.jpg", "…", "CON", "a..b"])
def test_ordinary_names_are_kept(exchange: Exchange, seller: Actor, name: str) -> None:
    assert uploads.stage(exchange, seller, name, 1).name == name


@pytest.mark.parametrize(("size", "code"), [(0, "upload.empty"), (-1, "upload.empty"), (10**15, "upload.too_large")])
def test_empty_and_endless_files_are_refused(exchange: Exchange, seller: Actor, size: int, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        uploads.stage(exchange, seller, "a.osm", size)
    assert refused.value.code == code


def test_parts_grow_with_the_file_so_that_ten_thousand_are_enough(
    exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_check_room", lambda ex, size: None)
    upload = uploads.stage(exchange, seller, "a.osm", 90 * 2**30)
    assert upload.parts <= uploads.MOST_PARTS
    assert upload.part_size % uploads.MIB == 0


def test_a_full_disk_is_refused_before_anything_is_sent(exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100_000_000, 94_000_000, 6_000_000))
    assert uploads.stage(exchange, seller, "small.osm", 1000).state == "open"
    with pytest.raises(Unavailable) as refused:
        uploads.stage(exchange, seller, "large.osm", 1_000_000)
    assert refused.value.code == "store.full"


def test_the_reserve_of_the_disk_is_looked_at_with_each_part(exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It used to be looked at only when an upload began."""
    upload = staged(exchange, seller, numbers=(1, 2))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100_000_000, 95_000_000, 5_000_000))
    with pytest.raises(StoreUnavailable) as refused:
        send_part(exchange, upload, 3, piece(upload, 3))
    assert refused.value.code == "store.full"
    assert [part.number for part in uploads.received(exchange, seller, upload.id)] == [1, 2]
    with pytest.raises(StoreUnavailable):
        exchange.store.put(Bucket.DATA, f"{seller.org_id}/{SHA256}", CONTENT, sha256=SHA256)
    monkeypatch.undo()
    send_part(exchange, upload, 3, piece(upload, 3))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100_000_000, 95_000_000, 5_000_000))
    with pytest.raises(Unavailable):
        uploads.complete(exchange, seller, upload.id)
    monkeypatch.undo()
    assert uploads.complete(exchange, seller, upload.id).state == "complete"


def test_what_a_firm_has_staged_is_bounded_in_bytes_and_in_files(
    exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ex = replace(exchange, settings=replace(exchange.settings, max_staged_bytes=3 * len(CONTENT)))
    first, *_ = [uploads.stage(ex, seller, f"{number}.osm", len(CONTENT)) for number in range(3)]
    with pytest.raises(Conflict) as refused:
        uploads.stage(ex, seller, "more.osm", 1)
    assert refused.value.code == "upload.quota"
    assert uploads.stage(ex, a_person(ex), "more.osm", 1).state == "open", "another firm has its own"
    uploads.abort(ex, seller, first.id)
    monkeypatch.setattr(uploads, "MOST_STAGED", 3)
    assert uploads.stage(ex, seller, "more.osm", 1).state == "open"
    with pytest.raises(Conflict, match="files"):
        uploads.stage(ex, seller, "another.osm", 1)


def test_nothing_is_left_of_an_upload_that_was_joined_and_never_answered(
    exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = staged(exchange, seller)
    monkeypatch.setenv("MAPEX_FAILPOINT", "upload.after_join:raise")
    monkeypatch.setattr(failpoints, "_passed", {})
    with pytest.raises(failpoints.Failpoint):
        uploads.complete(exchange, seller, upload.id)
    monkeypatch.delenv("MAPEX_FAILPOINT")
    exchange.now.forward(days=8)  # type: ignore[attr-defined]
    assert uploads.sweep(exchange) == 1
    assert exchange.store.stat(Bucket.STAGING, upload.store_key) is None


def test_files_of_a_version_that_waits_for_ever_go_away_in_the_end(exchange: Exchange, seller: Actor) -> None:
    waiting = a_claimed_job(exchange, seller, "waiting")
    jobs.fail(exchange, waiting, "reader.crashed", "no use")
    needed = requests.task_of(exchange, waiting).sources[0].store_key
    exchange.now.forward(days=WAITING_DAYS - 1)  # type: ignore[attr-defined]
    assert uploads.sweep(exchange) == 0
    exchange.now.forward(days=2)  # type: ignore[attr-defined]
    assert uploads.sweep(exchange) == 1
    assert exchange.store.stat(Bucket.STAGING, needed) is None


def test_a_store_that_is_away_is_reported_to_be_away(exchange: Exchange, seller: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("connection refused")

    upload = staged(exchange, seller)
    for method in ("begin_upload", "parts"):
        monkeypatch.setattr(type(exchange.store), method, away)
    for ask in (lambda: uploads.stage(exchange, seller, "b.osm", 1), lambda: uploads.complete(exchange, seller, upload.id)):
        with pytest.raises(Unavailable) as refused:
            ask()
        assert refused.value.code == "store.unavailable"
    assert uploads.get(exchange, seller, upload.id).state == "open"


def test_uploads_that_nobody_finishes_are_swept_after_a_week(exchange: Exchange, seller: Actor) -> None:
    old = staged(exchange, seller)
    exchange.now.forward(days=8)  # type: ignore[attr-defined]
    fresh = uploads.stage(exchange, seller, "b.osm", 1)
    assert uploads.sweep(exchange) == 1
    assert uploads.get(exchange, seller, old.id).state == "aborted"
    assert uploads.get(exchange, seller, fresh.id).state == "open"
    assert uploads.sweep(exchange) == 0


def test_staged_files_are_removed_when_no_version_waits_for_them(exchange: Exchange, seller: Actor) -> None:
    drafted = a_drafted_version(exchange, seller, "done")
    waiting = a_claimed_job(exchange, seller, "waiting")
    jobs.fail(exchange, waiting, "reader.crashed", "no use")
    needed = requests.task_of(exchange, waiting).sources[0].store_key
    used = uploads.get(exchange, seller, drafted.uploads[0]).store_key
    assert uploads.sweep(exchange) == 0
    exchange.now.forward(days=8)  # type: ignore[attr-defined]
    fresh = an_upload(exchange, seller, "fresh.osm")
    assert uploads.sweep(exchange) == 1
    assert [exchange.store.stat(Bucket.STAGING, key) is not None for key in (used, needed, fresh.store_key)] == [False, True, True]
