"""The directory store on a hostile or broken disk: no path leaves it, nothing is seen half-written, a full disk leaves no rests."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from werkzeug import Request, Response
from werkzeug.test import EnvironBuilder

from tests.support.needs import absent
from tiles.errors import InvalidContent, ObjectMissing, StoreUnavailable
from tiles.store.directory import DirectoryStore
from tiles.store.protocol import Bucket
from web.edge.store_files import answer

MIB = 1 << 20


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def a_store(root: Path) -> DirectoryStore:
    return DirectoryStore(root, url="http://127.0.0.1:8080/store", secret_key="s3cret")


def a_request(method: str, url: str, body: io.BytesIO | None = None, **headers: str) -> Request:
    """A request as the server hands it over; of keyword headers `_` is `-`."""
    named, parts = {name.replace("_", "-"): value for name, value in headers.items()}, urlsplit(url)
    builder = EnvironBuilder(parts.path, query_string=parts.query, method=method, headers=named, input_stream=body)
    return Request(builder.get_environ())


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_symbolic_links_inside_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store = a_store(tmp_path / "store")
    (store.root / "data" / "link").symlink_to(outside)
    (store.root / "data" / "file").symlink_to(outside / "secret")
    for key in ("link/secret", "file"):
        assert store.stat(Bucket.DATA, key) is None
        with pytest.raises(ObjectMissing):
            store.read(Bucket.DATA, key)
    for key in ("link/new", "link/secret"):
        with pytest.raises(InvalidContent):
            store.put(Bucket.DATA, key, b"x", sha256=sha256(b"x"))
        with pytest.raises(InvalidContent):
            store.delete(Bucket.DATA, key)
    assert not store.put(Bucket.DATA, "file", b"x", sha256=sha256(b"x"))
    assert store.list(Bucket.DATA) == []
    assert {p.name: p.read_bytes() for p in outside.iterdir()} == {"secret": b"secret"}


def test_key_below_an_object_is_refused(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.put(Bucket.DATA, "a", b"x", sha256=sha256(b"x"))
    assert store.stat(Bucket.DATA, "a/b") is None
    with pytest.raises(InvalidContent):
        store.put(Bucket.DATA, "a/b", b"x", sha256=sha256(b"x"))
    store.put(Bucket.DATA, "c/d", b"x", sha256=sha256(b"x"))
    with pytest.raises(ObjectMissing):
        store.read(Bucket.DATA, "c")


def test_objects_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.put(Bucket.DATA, "org/a", b"x", sha256=sha256(b"x"))
    assert (tmp_path / "data/org/a").stat().st_mode & 0o077 == 0
    assert (tmp_path / "data/org").stat().st_mode & 0o077 == 0


def test_writer_killed_in_the_middle_leaves_no_object_and_its_rest_is_swept(tmp_path: Path) -> None:
    root = tmp_path / "store"
    os.mkfifo(tmp_path / "pipe")
    program = (
        "import sys; from pathlib import Path; from tiles.store.protocol import Bucket; from tiles.store.directory import DirectoryStore\n"
        "s = DirectoryStore(Path(sys.argv[1]), url='http://h/store', secret_key='s')\n"
        "s.put(Bucket.DATA, 'org/half', Path(sys.argv[2]), sha256='0' * 64)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(root), str(tmp_path / "pipe")])
    with (tmp_path / "pipe").open("wb") as pipe:
        pipe.write(b"x" * 3 * MIB)
        pipe.flush()
        end = time.monotonic() + 120
        while not any(p.stat().st_size >= MIB for p in root.glob(".incoming/*")):
            assert time.monotonic() < end
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
        assert writer.wait(60) == -signal.SIGKILL
    store = a_store(root)
    assert store.stat(Bucket.DATA, "org/half") is None
    assert store.list(Bucket.DATA) == []
    (rest,) = (root / ".incoming").iterdir()
    os.utime(rest, (time.time() - 2 * 86_400,) * 2)
    a_store(root)
    assert files(root) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB, or where mounting is not permitted, the limit on file size (also an error of writing)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder]
    if shutil.which("mount") and subprocess.run(command, check=False, capture_output=True).returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    if sys.platform != "linux":
        absent("a full disk needs tmpfs or RLIMIT_FSIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, hard))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_is_reported_and_leaves_no_rests(small_disk: Path) -> None:
    store, large = a_store(small_disk), b"x" * 4 * MIB
    with pytest.raises(StoreUnavailable, match="full.*Free some space") as raised:
        store.put(Bucket.DATA, "org/large", large, sha256=sha256(large))
    assert raised.value.code == "store.full"
    upload = store.begin_upload("up/large")
    with pytest.raises(StoreUnavailable):
        store.receive_part("up/large", upload, 1, io.BytesIO(large), size=len(large), sha256=sha256(large))
    assert store.parts("up/large", upload) == []
    assert files(small_disk) == [f".uploads/{upload}/key"]
    assert store.put(Bucket.DATA, "org/small", b"fits", sha256=sha256(b"fits"))


def test_full_disk_while_joining_keeps_the_parts(small_disk: Path) -> None:
    store, body = a_store(small_disk), os.urandom(700_000)
    upload = store.begin_upload("up/join")
    for number in range(1, 6):  # together more than the disk, or than one file may have
        with contextlib.suppress(StoreUnavailable):
            store.receive_part("up/join", upload, number, io.BytesIO(body), size=len(body), sha256=sha256(body))
    before = store.parts("up/join", upload)
    assert len(before) >= 4
    with pytest.raises(StoreUnavailable) as raised:
        store.complete_upload("up/join", upload)
    assert raised.value.code == "store.full"
    assert store.parts("up/join", upload) == before
    assert store.stat(Bucket.STAGING, "up/join") is None
    assert not list((small_disk / ".incoming").iterdir())


def test_a_store_opens_although_an_upload_was_being_removed_when_its_process_died(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    upload = store.begin_upload("up/dead")
    (tmp_path / ".uploads" / upload).rename(tmp_path / ".incoming" / "dead-1")
    os.utime(tmp_path / ".incoming" / "dead-1", (1, 1))
    a_store(tmp_path)
    assert not list((tmp_path / ".incoming").iterdir())


def test_full_disk_answers_507(small_disk: Path) -> None:
    store, body = a_store(small_disk), b"x" * 4 * MIB
    upload = store.begin_upload("up/http")
    request = store.presign_part("up/http", upload, 1, size=len(body), sha256=sha256(body), expires_s=60)
    sent = a_request("PUT", request.url, io.BytesIO(body), **request.headers, content_length=str(len(body)))
    given = answer(store, sent, "staging", "up/http", is_wanted=bool, read=nobody_reads)
    assert given.status_code == 507
    assert b"full" in given.data


def test_unsigned_body_is_not_read(tmp_path: Path) -> None:
    class Untouched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("read before the signature was checked")

    sent = a_request("PUT", "/store/staging/a?partNumber=1&uploadId=x", Untouched(b"12345"), content_length="5")
    assert answer(a_store(tmp_path), sent, "staging", "a", is_wanted=bool, read=nobody_reads).status_code == 403


@pytest.mark.parametrize("key", ["../../etc/passwd", "..", "", "/etc/passwd", "a\x00b"])
def test_signed_url_of_a_path_that_is_no_key_answers_an_error(tmp_path: Path, key: str) -> None:
    """Even with our own signature: whoever asks `presign` for such a key is refused, and so is a request that carries it."""
    from tiles.store.signing import presign

    store = a_store(tmp_path)
    at = {"credentials": store.credentials, "at_s": int(time.time()), "expires_s": 60, "parameters": {"x-mapex-grant": "1"}}
    url = presign("GET", store.origin, f"{store.base}/data/{key}", **at)  # type: ignore[arg-type]
    assert answer(store, a_request("GET", f"/?{url.split('?')[1]}"), "data", key, is_wanted=bool, read=nobody_reads).status_code == 400


def nobody_reads(grant: str) -> None:
    """For requests after which nothing may count as read."""
    raise AssertionError(f"{grant} counts as read")


def asked_for(store: DirectoryStore, method: str, read: Callable[[str], None], **headers: str) -> Response:
    """The answer to a signed request for `get/a`, which holds ten digits."""
    store.put(Bucket.DATA, "get/a", b"0123456789", sha256=sha256(b"0123456789"))
    signed = store.presign_get("get/a", expires_s=60, grant="0" * 32, filename="a")
    return answer(store, a_request(method, signed.url, **headers), "data", "get/a", is_wanted=bool, read=read)


def a_download(store: DirectoryStore, **headers: str) -> Response:
    """As `asked_for`, and read to its end."""
    given = asked_for(store, "GET", lambda _grant: None, **headers)
    given.response = [b"".join(given.response)]  # so that the file is closed
    return given


@pytest.mark.parametrize(
    ("method", "headers", "counts"),
    [
        ("GET", {}, True),
        ("GET", {"range": "bytes=2-"}, True),
        ("GET", {"range": "bytes=-1"}, True),
        ("GET", {"range": "bytes=0-8"}, False),
        ("GET", {"range": "bytes=20-"}, False),
        ("GET", {"if_none_match": "*"}, False),
        ("HEAD", {}, False),
    ],
)
def test_a_file_counts_as_read_when_its_last_byte_went_out(tmp_path: Path, method: str, headers: dict[str, str], counts: bool) -> None:
    read: list[str] = []
    given = asked_for(a_store(tmp_path), method, read.append, **headers)
    assert read == []  # an answer that was begun is not one that went out
    sent = b"".join(given.response)
    assert read == (["0" * 32] if counts else [])
    assert not counts or b"0123456789".endswith(sent)


def test_a_download_that_is_cut_off_does_not_count_as_read(tmp_path: Path) -> None:
    given = asked_for(a_store(tmp_path), "GET", nobody_reads)
    assert next(iter(given.response)) == b"0123456789"
    given.close()


def test_a_tag_that_fits_is_answered_before_a_range(tmp_path: Path) -> None:
    tag = a_download(a_store(tmp_path)).headers["ETag"]
    for tags in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        assert a_download(a_store(tmp_path), if_none_match=tags, range="bytes=2-4").status_code == 304
    assert a_download(a_store(tmp_path), if_none_match='"other"', range="bytes=2-4").status_code == 206


@pytest.mark.parametrize("stale", ['"other"', "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_range_of_another_state_of_the_object_is_answered_whole(tmp_path: Path, stale: str) -> None:
    given = a_download(a_store(tmp_path), if_range=stale, range="bytes=2-4")
    assert (given.status_code, b"".join(given.response)) == (200, b"0123456789")


@pytest.mark.parametrize("asked", ["bytes=10-", f"bytes={'9' * 5000}-", f"bytes=-{'9' * 5000}", "bytes=5-3", "bytes=-0", "bytes=x-"])
def test_a_range_that_nothing_fits_is_416_and_says_how_long_the_object_is(tmp_path: Path, asked: str) -> None:
    given = a_download(a_store(tmp_path), range=asked)
    assert (given.status_code, given.headers["Content-Range"]) == (416, "bytes */10")
    assert b"<Code>InvalidRange</Code>" in given.data


def test_empty_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="secret key"):
        DirectoryStore(tmp_path, url="http://h/store", secret_key="")
