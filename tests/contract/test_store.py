"""One contract for every object store: what holds for the directory store holds for a real MinIO.

Signed requests are sent over HTTP by a plain client, to a real server: what cannot be refused there is not refused.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import pytest
import urllib3

from tests.support.exchange import an_exchange
from tests.support.servers import Minio, free_port
from tiles.errors import InvalidContent, ObjectCorrupt, ObjectMissing, StoreError, StoreUnavailable
from tiles.store.directory import DirectoryStore
from tiles.store.minio import MinioStore, provision
from tiles.store.minio_accounts import Duty
from tiles.store.protocol import Bucket, ObjectStore, SignedRequest
from tiles.store.signing import Credentials, presign

MIB = 1 << 20
HOLDER = "5f" * 32


@dataclass(frozen=True)
class Shop:
    """A store under test; `at(clock)` is the same store for a signer whose clock is that."""

    name: str
    store: ObjectStore
    at: Callable[[Callable[[], int]], ObjectStore]
    files: Path  # where its bytes are
    wrong_key: ObjectStore
    """Signs with another secret for the same place."""


def directory_shop(_: pytest.FixtureRequest, folder: Path) -> Iterator[Shop]:
    import flask

    from mapex.cli.server.built_in import serving
    from web.edge.store_files import blueprint

    port = free_port()
    url, root = f"http://127.0.0.1:{port}/store", folder / "store"

    retired: set[str] = set()

    class Retiring(DirectoryStore):
        """The exchange keeps in its database who was retired."""

        def retire(self, signer: str) -> None:
            retired.add(signer)

    def store(now: Callable[[], int] = time.time_ns, secret: str = "s3cret") -> DirectoryStore:
        return Retiring(root, url=url, secret_key=secret, now=now)

    app = flask.Flask("store")
    app.register_blueprint(blueprint(an_exchange(folder / "exchange"), store(), lambda signer: signer not in retired))
    with serving(app, host="127.0.0.1", port=port):
        yield Shop("directory", store(), store, root, store(secret="other"))


def minio_shop(request: pytest.FixtureRequest, _: Path) -> Iterator[Shop]:
    server: Minio = request.getfixturevalue("minio")
    keys = {"access_key": server.access_key, "secret_key": server.secret_key, "upload_access_key": "mapexup", "upload_secret_key": "u" * 24}
    for _ in range(2):  # again on what is there already
        provision(server.endpoint, **keys, prefix="shop")

    def store(now: Callable[[], int] = time.time_ns, **other: str) -> MinioStore:
        return MinioStore(server.endpoint, **{**keys, **other}, prefix="shop", now=now)

    yield Shop("minio", store(), store, server.folder, store(secret_key="x" * 24, upload_secret_key="y" * 24))


STORES: dict[str, Callable[[pytest.FixtureRequest, Path], Iterator[Shop]]] = {"directory": directory_shop, "minio": minio_shop}
"""Every store that there is: a new one is under test by being here."""


@pytest.fixture(scope="module", params=STORES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield from STORES[request.param](request, tmp_path_factory.mktemp(request.param))


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def put(shop: Shop, key: str, body: bytes, area: Bucket = Bucket.DATA) -> None:
    assert shop.store.put(area, key, body, sha256=sha256(body))


def send(request: SignedRequest, *, body: bytes | None = None, url: str = "", method: str = "", **headers: str) -> Any:
    """Send a signed request; keyword headers replace or (with "-") remove, `_` in their names is `-`."""
    changes = {k.replace("_", "-"): v for k, v in headers.items()}
    sent = {k: v for k, v in {**request.headers, **changes}.items() if v != "-"}
    return urllib3.request(method or request.method, url or request.url, headers=sent, body=body, retries=False, timeout=20)


def altered(url: str, **changes: str | None) -> str:
    """The URL with query parameters replaced, added or (None) removed."""
    parts = urlsplit(url)
    names = {k.replace("_", "-"): v for k, v in changes.items()}
    pairs = [(k, names.pop(k, v)) for k, v in parse_qsl(parts.query, keep_blank_values=True)] + list(names.items())
    return urlunsplit(parts._replace(query=urlencode([(k, v) for k, v in pairs if v is not None], quote_via=quote)))


def a_download(shop: Shop, key: str, holder: str | None = None, expires_s: int = 60) -> SignedRequest:
    return shop.store.presign_get(key, expires_s=expires_s, grant="0f" * 16, filename="판교 1.laz", holder=holder)


def signed_by(shop: Shop, signer: str, key: str) -> SignedRequest:
    shop.store.admit(signer)
    return shop.store.presign_get(key, expires_s=60, grant="0f" * 16, filename="a.laz", signer=signer)


def a_part(shop: Shop, key: str, upload: str, body: bytes, number: int = 1, expires_s: int = 60) -> SignedRequest:
    return shop.store.presign_part(key, upload, number, size=len(body), sha256=sha256(body), expires_s=expires_s)


# ---- objects -----------------------------------------------------------------------------------------------------------------------


def test_object_is_written_once_and_read_back(shop: Shop, tmp_path: Path) -> None:
    assert shop.store.put(Bucket.DATA, "once/a", b"first", sha256=sha256(b"first"))
    assert not shop.store.put(Bucket.DATA, "once/a", b"second", sha256=sha256(b"second"))
    assert b"".join(shop.store.read(Bucket.DATA, "once/a")) == b"first"
    assert shop.store.fetch(Bucket.DATA, "once/a", tmp_path / "a") == sha256(b"first")
    info = shop.store.stat(Bucket.DATA, "once/a")
    assert info is not None and info.size == 5 and abs(info.modified_ns - time.time_ns()) < 60e9
    assert shop.store.stat(Bucket.STAGING, "once/a") is None


@pytest.mark.parametrize("size", [0, 70 * MIB + 3])
def test_empty_and_large_files_are_put_and_fetched_whole(shop: Shop, tmp_path: Path, size: int) -> None:
    body = hashlib.shake_256(b"x").digest(MIB) * (size // MIB) + b"abc"[: size % MIB]
    (tmp_path / "in").write_bytes(body)
    key = f"files/{size}"
    assert shop.store.put(Bucket.DATA, key, tmp_path / "in", sha256=sha256(body))
    assert not shop.store.put(Bucket.DATA, key, tmp_path / "in", sha256=sha256(body))
    assert shop.store.fetch(Bucket.DATA, key, tmp_path / "out") == sha256(body)
    assert (tmp_path / "out").stat().st_size == size
    assert all(len(piece) <= MIB for piece in shop.store.read(Bucket.DATA, key))


def test_of_racing_writers_exactly_one_wins(shop: Shop) -> None:
    bodies = [f"writer {i}".encode() * 1000 for i in range(12)]
    barrier = threading.Barrier(len(bodies))

    def write(body: bytes) -> bool:
        barrier.wait()
        return shop.store.put(Bucket.DATA, "race/one", body, sha256=sha256(body))

    with ThreadPoolExecutor(len(bodies)) as pool:
        won = list(pool.map(write, bodies))
    assert won.count(True) == 1
    assert b"".join(shop.store.read(Bucket.DATA, "race/one")) == bodies[won.index(True)]


def test_body_with_another_sha256_is_refused_and_leaves_nothing(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"body")
    for body in (b"body", tmp_path / "f"):
        with pytest.raises(ObjectCorrupt):
            shop.store.put(Bucket.DATA, "verified/a", body, sha256=sha256(b"another body"))
    assert shop.store.stat(Bucket.DATA, "verified/a") is None


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, None, b"0123456789"), (3, 4, b"3456"), (8, 10, b"89"), (9, None, b"9"), (10, None, b""), (50, 5, b""), (2, 0, b"")],
)
def test_range_reads(shop: Shop, offset: int, length: int | None, expected: bytes) -> None:
    shop.store.put(Bucket.DATA, "range/a", b"0123456789", sha256=sha256(b"0123456789"))
    assert b"".join(shop.store.read(Bucket.DATA, "range/a", offset=offset, length=length)) == expected


def test_missing_object_is_reported_at_once(shop: Shop, tmp_path: Path) -> None:
    assert shop.store.stat(Bucket.DATA, "no/such") is None
    for act in (lambda: shop.store.read(Bucket.DATA, "no/such"), lambda: shop.store.fetch(Bucket.DATA, "no/such", tmp_path / "x")):
        with pytest.raises(ObjectMissing):
            act()
    with pytest.raises(ObjectMissing):
        shop.store.read(Bucket.DATA, "no/such", length=0)
    assert not (tmp_path / "x").exists()
    shop.store.delete(Bucket.DATA, "no/such")
    assert send(a_download(shop, "no/such")).status == 404


def test_deleted_object_is_gone(shop: Shop) -> None:
    put(shop, "gone/a", b"x")
    shop.store.delete(Bucket.DATA, "gone/a")
    assert shop.store.stat(Bucket.DATA, "gone/a") is None
    put(shop, "gone/a", b"y")


def test_corrupt_object_is_never_taken_for_good(shop: Shop, tmp_path: Path) -> None:
    body = bytes(range(256)) * 4096
    put(shop, "rot/a", body)
    (file,) = [p for p in shop.files.rglob("*") if p.is_file() and "rot" in p.parts and p.stat().st_size >= len(body)]
    with file.open("r+b") as stream:
        stream.seek(500_000)
        stream.write(b"\xff\x00\xff")
    try:
        found = shop.store.fetch(Bucket.DATA, "rot/a", tmp_path / "a")
    except StoreError:
        return  # MinIO finds it by its own checksum
    assert found != sha256(body)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a/", "a\\b", "a\x00b", "a\nb", "한글", "%2e%2e/x", "x" * 2000]
)
def test_key_that_is_no_key_is_refused_everywhere(shop: Shop, tmp_path: Path, key: str) -> None:
    store = shop.store
    for act in (
        lambda: store.put(Bucket.DATA, key, b"x", sha256=sha256(b"x")),
        lambda: store.read(Bucket.DATA, key),
        lambda: store.fetch(Bucket.DATA, key, tmp_path / "x"),
        lambda: store.stat(Bucket.DATA, key),
        lambda: store.delete(Bucket.DATA, key),
        lambda: a_download(shop, key),
        lambda: store.begin_upload(key),
    ):
        with pytest.raises(InvalidContent):
            act()


def test_list_pages_in_key_order(shop: Shop) -> None:
    # "-" sorts before "/" and "0" after it: the order of whole keys, not of folders.
    keys = sorted(["page/a-b", "page/a/x", "page/a/y", "page/a0", "page/b", *(f"page/n/{i:04d}" for i in range(25))])
    for key in reversed(keys):
        put(shop, key, key.encode())
    put(shop, "pagf", b"")
    listed: list[str] = []
    while page := shop.store.list(Bucket.DATA, "page/", after=listed[-1] if listed else "", limit=7):
        assert len(page) <= 7
        assert all(info.size == len(info.key) for info in page)
        listed += [info.key for info in page]
    assert listed == keys
    assert [i.key for i in shop.store.list(Bucket.DATA, "page/n/000")] == [f"page/n/{i:04d}" for i in range(10)]
    assert [i.key for i in shop.store.list(Bucket.DATA, "page/a", after="page/a/x")] == ["page/a/y", "page/a0"]
    assert shop.store.list(Bucket.STAGING, "page/") == []


# ---- signed downloads -----------------------------------------------------------------------------------------------------------------


def test_signed_download_works_and_is_an_attachment(shop: Shop) -> None:
    put(shop, "get/a", b"0123456789")
    request = a_download(shop, "get/a")
    assert request.headers == {}
    answer = send(request)
    assert (answer.status, answer.data) == (200, b"0123456789")
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    assert quote("판교 1.laz") in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("asked", "status", "expected", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, None),
    ],
)
def test_download_resumes_by_range(shop: Shop, asked: str, status: int, expected: bytes | None, content_range: str | None) -> None:
    shop.store.put(Bucket.DATA, "get/r", b"0123456789", sha256=sha256(b"0123456789"))
    answer = send(a_download(shop, "get/r"), range=asked)
    assert answer.status == status
    if expected is not None:
        assert (answer.data, answer.headers["content-range"]) == (expected, content_range)


@pytest.mark.parametrize(
    "change",
    [
        {"x_mapex_grant": "1f" * 16},
        {"x_mapex_grant": None},
        {"response_content_disposition": "inline"},
        {"response_content_type": "text/html"},
        {"X_Amz_Expires": "86400"},
        {"X_Amz_Signature": "0" * 64},
        {"X_Amz_Signature": None},
        {"versionId": "null"},
    ],
)
def test_altered_removed_or_added_parameter_is_403(shop: Shop, change: dict[str, str | None]) -> None:
    shop.store.put(Bucket.DATA, "get/q", b"x", sha256=sha256(b"x"))
    expected = (400, 403) if "X_Amz_Signature" in change else (403,)  # MinIO calls a URL without its signature malformed
    assert send(SignedRequest("GET", altered(a_download(shop, "get/q").url, **change))).status in expected


@pytest.mark.parametrize(
    "asked",
    [f"bytes={'9' * 5000}-", f"bytes=-{'9' * 5000}", "bytes=5-3", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes", "="],
)
def test_range_that_cannot_be_read_is_refused_or_answered_whole(shop: Shop, asked: str) -> None:
    shop.store.put(Bucket.DATA, "get/strange", b"0123456789", sha256=sha256(b"0123456789"))
    answer = send(a_download(shop, "get/strange"), range=asked)
    assert answer.status in (400, 416) or (answer.status, answer.data) == (200, b"0123456789")
    if answer.status != 200:
        assert b"<Error><Code>" in answer.data


def test_download_answers_conditions_on_its_etag(shop: Shop) -> None:
    put(shop, "get/tag", b"0123456789")
    request = a_download(shop, "get/tag")
    first = send(request)
    tag = first.headers["etag"]
    again = send(request, if_none_match=tag)
    assert (again.status, again.data, again.headers["etag"]) == (304, b"", tag)
    assert send(request, if_none_match='"other"').status == 200
    assert send(request, if_match='"other"').status == 412
    assert send(request, if_modified_since=first.headers["last-modified"]).status == 304
    part = send(request, if_range=tag, range="bytes=2-4")
    assert (part.status, part.data) == (206, b"234")


def test_head_says_what_get_would_send(shop: Shop) -> None:
    put(shop, "get/head", b"0123456789")
    answer = send(a_download(shop, "get/head"), method="HEAD")
    assert answer.status in (200, 403)  # S3 signs the method; the directory store lets a URL for GET answer HEAD
    if answer.status == 200:
        assert (answer.headers["content-length"], answer.headers["accept-ranges"], answer.data) == ("10", "bytes", b"")


def test_holder_bound_download_is_worthless_without_its_header(shop: Shop) -> None:
    put(shop, "get/raw", b"0123456789")
    request = a_download(shop, "get/raw", HOLDER)
    assert HOLDER not in request.url and request.headers == {"x-mapex-holder": HOLDER}
    assert send(request).data == b"0123456789"
    ranged = send(request, range="bytes=2-4")
    assert (ranged.status, ranged.data) == (206, b"234")
    assert send(request, x_mapex_holder="-").status in (400, 403)
    assert send(request, x_mapex_holder="5e" * 32).status == 403
    assert send(request, x_mapex_holder="-", url=altered(request.url, X_Amz_SignedHeaders="host")).status == 403


def test_signed_download_is_for_one_key_one_area_and_one_method(shop: Shop) -> None:
    put(shop, "get/one", b"1")
    put(shop, "get/two", b"2")
    put(shop, "get/one", b"staged", Bucket.STAGING)
    request = a_download(shop, "get/one")
    for url in (request.url.replace("get/one", "get/two"), request.url.replace("data/get", "staging/get")):
        assert url != request.url
        assert send(request, url=url).status == 403
    assert send(request, method="PUT", body=b"overwritten").status == 403
    assert send(request, method="DELETE").status in (403, 405)
    assert b"".join(shop.store.read(Bucket.DATA, "get/one")) == b"1"
    assert send(SignedRequest("GET", request.url.split("?")[0])).status == 403


def test_url_signed_with_another_key_is_403(shop: Shop) -> None:
    put(shop, "get/key", b"1")
    assert send(shop.wrong_key.presign_get("get/key", expires_s=60, grant="0f" * 16, filename="x")).status == 403
    stranger = presign("GET", shop.store.origin, "/x", credentials=Credentials("nobody", "n" * 20), at_s=int(time.time()), expires_s=60)
    assert send(SignedRequest("GET", a_download(shop, "get/key").url.split("?")[0] + "?" + stranger.split("?")[1])).status == 403


def test_what_a_retired_signer_signed_is_403_at_once_and_what_others_signed_is_not(shop: Shop) -> None:
    put(shop, "signers/a", b"abc")
    one, other = (signed_by(shop, f"org_{name}.1", "signers/a") for name in ("one", "other"))
    assert [send(one).status, send(other).status] == [200, 200]
    for _ in range(2):
        shop.store.retire("org_one.1")
        assert [send(one).status, send(one, method="HEAD").status, send(other).status] == [403, 403, 200]
    assert send(signed_by(shop, "org_one.2", "signers/a")).status == 200
    shop.store.retire("org_never.1")


def test_a_signer_signs_under_its_own_name_only_and_nothing_but_downloads_of_tiles(shop: Shop) -> None:
    put(shop, "signers/b", b"abc")
    put(shop, "signers/b", b"secret", Bucket.STAGING)
    one, other = (signed_by(shop, f"org_{name}.1", "signers/b") for name in ("b", "c"))
    named = dict(parse_qsl(urlsplit(other.url).query))["X-Amz-Credential"]
    assert send(one, url=altered(one.url, X_Amz_Credential=named)).status == 403
    assert send(one, url=one.url.replace("data/signers", "staging/signers")).status == 403
    assert all(send(one, method=method, body=b"x").status >= 400 for method in ("PUT", "DELETE", "POST"))
    assert b"".join(shop.store.read(Bucket.DATA, "signers/b")) == b"abc"


def test_expired_and_future_urls_are_403(shop: Shop) -> None:
    put(shop, "get/old", b"1")
    for shift_s in (-61, 3600):
        signer = shop.at(lambda: time.time_ns() + shift_s * 1_000_000_000)  # noqa: B023 - used within this turn
        request = signer.presign_get("get/old", expires_s=60, grant="0f" * 16, filename="x")
        assert send(request).status == 403
    fresh = shop.at(lambda: time.time_ns() - 50_000_000_000).presign_get("get/old", expires_s=600, grant="0f" * 16, filename="x")
    assert send(fresh).status == 200


def test_thousand_downloads_are_signed_without_the_network_in_no_time(shop: Shop) -> None:
    start = time.thread_time()
    for i in range(1000):
        shop.store.presign_get(f"org/{i:064x}", expires_s=120, grant=f"{i:032x}", filename="a.laz", holder=HOLDER)
    assert time.thread_time() - start < 1  # of computing


# ---- signed uploads ---------------------------------------------------------------------------------------------------------------------


def test_parts_become_the_object_and_completing_twice_answers_the_same(shop: Shop) -> None:
    first, last = hashlib.shake_256(b"p").digest(5 * MIB), b"tail"
    upload = shop.store.begin_upload("up/whole")
    for number, body in ((2, last), (1, first)):
        assert send(a_part(shop, "up/whole", upload, body, number), body=body).status == 200
    assert [(p.number, p.size) for p in shop.store.parts("up/whole", upload)] == [(1, len(first)), (2, len(last))]
    assert shop.store.stat(Bucket.STAGING, "up/whole") is None
    done = shop.store.complete_upload("up/whole", upload)
    assert done.size == len(first) + len(last)
    assert shop.store.complete_upload("up/whole", upload) == done
    assert b"".join(shop.store.read(Bucket.STAGING, "up/whole")) == first + last
    with pytest.raises(ObjectMissing):
        shop.store.parts("up/whole", upload)


def test_completing_at_the_same_moment_gives_one_object(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/both")
    send(a_part(shop, "up/both", upload, b"body"), body=b"body")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: shop.store.complete_upload("up/both", upload).size, range(4)))
    assert answers == [4] * 4


def test_part_with_another_body_or_length_is_refused_and_not_kept(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/bound")
    request = a_part(shop, "up/bound", upload, b"right body")
    assert send(request, body=b"wrong body").status == 400
    assert send(request, body=b"right body and more").status in (400, 403)
    assert send(request, body=b"right").status in (400, 403)
    assert (
        send(request, body=b"wrong body", x_amz_checksum_sha256=base64.b64encode(hashlib.sha256(b"wrong body").digest()).decode()).status
        == 403
    )
    assert send(request, body=b"wrong body", x_amz_checksum_sha256="-").status in (400, 403)
    assert shop.store.parts("up/bound", upload) == []
    assert send(request, body=b"right body").status == 200


def test_replayed_part_can_only_write_the_same_bytes_and_nothing_once_complete(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/replay")
    request = a_part(shop, "up/replay", upload, b"body")
    assert [send(request, body=b"body").status for _ in range(2)] == [200, 200]
    assert [(p.number, p.size) for p in shop.store.parts("up/replay", upload)] == [(1, 4)]
    shop.store.complete_upload("up/replay", upload)
    assert send(request, body=b"body").status == 404
    assert b"".join(shop.store.read(Bucket.STAGING, "up/replay")) == b"body"


def test_part_sent_again_with_other_bytes_replaces_the_first(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/again")
    for body in (b"first", b"second one"):
        assert send(a_part(shop, "up/again", upload, body), body=body).status == 200
        time.sleep(0.01)
    shop.store.complete_upload("up/again", upload)
    assert b"".join(shop.store.read(Bucket.STAGING, "up/again")) == b"second one"


def bytes_in(folder: Path) -> int:
    """What is kept below a folder; MinIO empties its trash by itself, every five minutes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and ".trash" not in path.parts)


def test_a_part_sent_in_many_variants_is_kept_once(shop: Shop) -> None:
    """A sender could fill the disk with variants of one part, of which the last one counts in the end."""
    before, size = bytes_in(shop.files), 1 << 20
    upload = shop.store.begin_upload("up/variants")
    for number in range(12):
        body = bytes([number]) * size
        assert send(a_part(shop, "up/variants", upload, body), body=body).status == 200
    assert bytes_in(shop.files) - before < 1.05 * size
    shop.store.complete_upload("up/variants", upload)
    assert bytes_in(shop.files) - before < 1.05 * size
    assert b"".join(shop.store.read(Bucket.STAGING, "up/variants")) == bytes([11]) * size
    shop.store.delete(Bucket.STAGING, "up/variants")
    assert bytes_in(shop.files) - before < 0.05 * size


def test_variants_that_come_at_once_leave_one(shop: Shop) -> None:
    before, size = bytes_in(shop.files), 1 << 18
    upload = shop.store.begin_upload("up/at-once")
    bodies = [bytes([number]) * size for number in range(8)]
    requests = [a_part(shop, "up/at-once", upload, body) for body in bodies]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: send(one[0], body=one[1]).status, zip(requests, bodies, strict=True)))
    assert answers == [200] * len(bodies)
    assert [part.size for part in shop.store.parts("up/at-once", upload)] == [size]
    assert bytes_in(shop.files) - before < 1.2 * size
    shop.store.abort_upload("up/at-once", upload)
    assert bytes_in(shop.files) - before < 0.2 * size


@pytest.mark.parametrize(
    "change", [{"partNumber": "2"}, {"uploadId": "00" * 16}, {"uploadId": None}, {"X_Amz_Expires": "9999"}, {"acl": ""}]
)
def test_altered_upload_url_is_403(shop: Shop, change: dict[str, str | None]) -> None:
    upload = shop.store.begin_upload("up/query")
    request = a_part(shop, "up/query", upload, b"body")
    assert send(request, body=b"body", url=altered(request.url, **change)).status == 403
    assert shop.store.parts("up/query", upload) == []


def test_upload_url_of_another_key_expired_or_to_another_area_is_403(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/key")
    signed = {"size": 4, "sha256": sha256(b"body")}
    assert send(shop.wrong_key.presign_part("up/key", upload, 1, **signed, expires_s=60), body=b"body").status == 403
    past = shop.at(lambda: time.time_ns() - 61_000_000_000)
    assert send(past.presign_part("up/key", upload, 1, **signed, expires_s=60), body=b"body").status == 403
    request = a_part(shop, "up/key", upload, b"body")
    assert send(request, body=b"body", url=request.url.replace("staging/", "data/")).status == 403
    assert send(request, method="GET").status in (400, 403)


@pytest.mark.parametrize("through", ["part", "object"])
def test_copy_source_beside_an_upload_url_copies_nothing(shop: Shop, through: str) -> None:
    """CVE-2026-97731: with a signer that may read, the server would copy the victim's object into the attacker's upload."""
    put(shop, f"victim/secret-{through}", b"paid by somebody else")
    upload = shop.store.begin_upload(f"attacker/{through}")
    request = a_part(shop, f"attacker/{through}", upload, b"")
    sources = [f"/shop-data/victim/secret-{through}", f"shop-data/victim/secret-{through}", f"/data/victim/secret-{through}"]
    if through == "object":  # as if the upload key were asked for a plain PUT: worst case of what we might sign one day
        keys = getattr(shop.store, "_upload_keys", None) or shop.store.credentials  # type: ignore[attr-defined]
        path = urlsplit(request.url).path
        url = presign("PUT", shop.store.origin, path, credentials=keys, at_s=int(time.time()), expires_s=60)  # type: ignore[attr-defined]
        request = SignedRequest("PUT", url)
    for source in sources:
        answer = send(request, body=b"", x_amz_copy_source=source)
        assert answer.status == 403, answer.data
    assert shop.store.stat(Bucket.STAGING, f"attacker/{through}") is None
    assert [p for p in shop.store.parts(f"attacker/{through}", upload) if p.size] == []


def test_unsigned_acl_and_tagging_headers_make_nothing_public(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/acl")
    request = a_part(shop, "up/acl", upload, b"body")
    for header in ("x_amz_acl", "x_amz_grant_read", "x_amz_tagging"):
        send(request, body=b"body", **{header: "public-read"})
    assert send(request, body=b"body").status == 200
    shop.store.complete_upload("up/acl", upload)
    assert urllib3.request("GET", request.url.split("?")[0], retries=False).status == 403
    put(shop, "get/acl", b"x")
    download = a_download(shop, "get/acl")
    send(download, x_amz_acl="public-read")
    assert urllib3.request("GET", download.url.split("?")[0], retries=False).status == 403


def test_aborted_upload_is_unknown_and_leaves_nothing(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/abort")
    request = a_part(shop, "up/abort", upload, b"body")
    assert send(request, body=b"body").status == 200
    for _ in range(2):
        shop.store.abort_upload("up/abort", upload)
    assert send(request, body=b"body").status == 404
    for act in (shop.store.parts, shop.store.complete_upload):
        with pytest.raises(ObjectMissing):
            act("up/abort", upload)
    assert shop.store.stat(Bucket.STAGING, "up/abort") is None


def test_upload_is_of_its_key_only_and_needs_a_part(shop: Shop) -> None:
    upload = shop.store.begin_upload("up/mine")
    with pytest.raises(StoreError):
        shop.store.complete_upload("up/mine", upload)
    for foreign in (("up/yours", upload), ("up/mine", "00" * 16), ("up/mine", "../../data")):
        with pytest.raises(ObjectMissing):
            shop.store.parts(*foreign)
        shop.store.abort_upload(*foreign)
    assert shop.store.parts("up/mine", upload) == []


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_part_number_outside_the_standard_is_refused(shop: Shop, number: int) -> None:
    with pytest.raises(InvalidContent):
        shop.store.presign_part("up/n", "00" * 16, number, size=1, sha256="00" * 32, expires_s=60)


# ---- a store that is away ------------------------------------------------------------------------------------------------------------


def test_store_that_does_not_answer_is_unavailable() -> None:
    keys = {"access_key": "aaaaaaaa", "secret_key": "b" * 20, "upload_access_key": "cccccccc", "upload_secret_key": "d" * 20}
    endpoint = f"127.0.0.1:{free_port()}"
    store = MinioStore(endpoint, **keys)
    for act in (
        lambda: store.stat(Bucket.DATA, "a"),
        lambda: store.read(Bucket.DATA, "a"),
        lambda: store.put(Bucket.DATA, "a", b"x", sha256=sha256(b"x")),
        lambda: store.list(Bucket.DATA),
        lambda: store.begin_upload("a"),
        lambda: provision(endpoint, **keys),
    ):
        with pytest.raises(StoreUnavailable, match=endpoint):
            act()
    assert store.presign_get("a", expires_s=60, grant="0" * 32, filename="a").url.startswith(f"http://{endpoint}/mapex-data/a?")


def test_wrong_secret_is_refused_with_a_sentence(minio: Minio) -> None:
    keys = {"access_key": minio.access_key, "secret_key": "wrong" * 5, "upload_access_key": "mapexup2", "upload_secret_key": "d" * 20}
    with pytest.raises(StoreError, match=minio.endpoint):
        MinioStore(minio.endpoint, **keys, prefix="shop").put(Bucket.DATA, "a", b"x", sha256=sha256(b"x"))


def test_uploads_may_not_be_signed_with_the_key_that_reads() -> None:
    with pytest.raises(StoreUnavailable, match="cannot read"):
        MinioStore("127.0.0.1:9", access_key="same", secret_key="x" * 20, upload_access_key="same", upload_secret_key="x" * 20)


def test_an_account_that_signs_downloads_may_read_tiles_and_nothing_else(minio: Minio) -> None:
    keys = {"access_key": minio.access_key, "secret_key": minio.secret_key, "upload_access_key": "mapexup", "upload_secret_key": "u" * 24}
    provision(minio.endpoint, **keys, prefix="narrow")
    store, again = (MinioStore(minio.endpoint, **keys, prefix="narrow") for _ in range(2))
    for bucket in Bucket:
        store.put(bucket, "a", b"abc", sha256=sha256(b"abc"))
    assert [store.admit("org_a.1"), store.admit("org_a.1"), again.admit("org_a.1")] == [True, False, False]
    signing = store._signers.keys_of("org_a.1")

    def status(method: str, path: str, **headers: str) -> int:
        url = presign(method, minio.url, path, credentials=signing, at_s=int(time.time()), expires_s=60)
        return int(urllib3.request(method, url, headers=headers, body=b"x" if method == "PUT" else None, retries=False).status)

    assert status("GET", "/narrow-data/a") == 200
    for method, path in (("GET", "/narrow-staging/a"), ("PUT", "/narrow-data/b"), ("DELETE", "/narrow-data/a"), ("GET", "/narrow-data")):
        assert status(method, path) == 403, (method, path)


def test_an_s3_without_such_accounts_signs_with_one_fixed_account() -> None:
    keys = {"access_key": "nobody", "secret_key": "n" * 24, "upload_access_key": "mapexup", "upload_secret_key": "u" * 24}
    store = MinioStore("127.0.0.1:9", **keys, single={Duty.DOWNLOAD: Credentials("mapexdl", "d" * 24)}, fixed_signer=True)
    assert not store.admit("org_a.1")  # nobody is asked
    store.retire("org_a.1")
    url = store.presign_get("a", expires_s=60, grant="0" * 32, filename="a", signer="org_a.1").url
    assert "X-Amz-Credential=mapexdl%2F" in url
