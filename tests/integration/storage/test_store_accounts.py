"""Accounts of a real MinIO: each does what its purpose needs, and is refused everything else."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers import Minio
from tiles.errors import RequestRefused, StoreUnavailable
from tiles.store.minio import MinioStore, provision
from tiles.store.minio_accounts import Duty
from tiles.store.minio_server import admin_of, client_of
from tiles.store.protocol import Bucket, SignedRequest
from tiles.store.signing import Credentials

KEYS = {purpose: Credentials(f"acc-{purpose}", f"secret-of-{purpose}-{'x' * 16}") for purpose in Duty}
DATA, STAGING = b"a tile", b"an upload"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(scope="module")
def main(minio: Minio) -> MinioStore:
    """The store with its main account, holding `data/t` and `staging/u`."""
    upload = KEYS[Duty.UPLOAD]
    keys = {"access_key": minio.access_key, "secret_key": minio.secret_key}
    keys |= {"upload_access_key": upload.access_key, "upload_secret_key": upload.secret_key}
    single = {purpose: KEYS[purpose] for purpose in Duty if purpose is not Duty.UPLOAD}
    for _ in range(2):  # again on what is there already
        provision(minio.endpoint, **keys, single=single, prefix="acc")
    store = MinioStore(minio.endpoint, **keys, prefix="acc")
    store.put(Bucket.DATA, "t", DATA, sha256=digest(DATA))
    store.put(Bucket.STAGING, "u", STAGING, sha256=digest(STAGING))
    return store


def with_main_key(minio: Minio, purpose: Duty) -> MinioStore:
    """A store that does everything with the account of one purpose, as somebody who took it over would."""
    keys = KEYS[purpose]
    return MinioStore(minio.endpoint, access_key=keys.access_key, secret_key=keys.secret_key, prefix="acc")


def process(minio: Minio, *purposes: Duty) -> MinioStore:
    """The store as a process with these accounts has it."""
    upload = KEYS[Duty.UPLOAD] if Duty.UPLOAD in purposes else Credentials("", "")
    single = {purpose: KEYS[purpose] for purpose in purposes if purpose is not Duty.UPLOAD}
    names = {"upload_access_key": upload.access_key, "upload_secret_key": upload.secret_key}
    return MinioStore(minio.endpoint, **names, single=single, prefix="acc")


DEEDS: dict[str, tuple[Callable[[MinioStore], object], set[Duty]]] = {
    "read data": (lambda store: b"".join(store.read(Bucket.DATA, "t")), {Duty.DOWNLOAD}),
    "read staging": (lambda store: b"".join(store.read(Bucket.STAGING, "u")), {Duty.WORK}),
    "put data": (lambda store: store.put(Bucket.DATA, "t", DATA, sha256=digest(DATA)), {Duty.WORK}),
    "put staging": (lambda store: store.begin_upload("v"), {Duty.UPLOAD}),
    "list data": (lambda store: store.list(Bucket.DATA), {Duty.SWEEP}),
    "list staging": (lambda store: store.list(Bucket.STAGING), {Duty.SWEEP}),
    "delete data": (lambda store: store.delete(Bucket.DATA, "gone"), {Duty.SWEEP}),
    "delete staging": (lambda store: store.delete(Bucket.STAGING, "gone"), {Duty.SWEEP}),
}


@pytest.mark.parametrize("purpose", list(Duty))
@pytest.mark.parametrize("deed", list(DEEDS))
@pytest.mark.usefixtures("main")
def test_an_account_does_what_its_purpose_needs_and_nothing_else(minio: Minio, purpose: Duty, deed: str) -> None:
    do, allowed = DEEDS[deed]
    store = with_main_key(minio, purpose)
    if purpose in allowed:
        do(store)
        return
    with pytest.raises(RequestRefused) as refused:
        do(store)
    assert refused.value.details["reason"] == "AccessDenied"


@pytest.mark.usefixtures("main")
def test_no_account_but_the_main_one_changes_rules_of_the_store(minio: Minio) -> None:
    from minio.error import MinioAdminException, S3Error

    from tiles.store.minio_server import client_of

    for keys in KEYS.values():
        client = client_of(minio.endpoint, keys, "us-east-1", False)
        with pytest.raises(S3Error, match="AccessDenied|Access Denied"):
            client.set_bucket_policy("acc-data", '{"Version":"2012-10-17","Statement":[]}')
        from minio.credentials.providers import StaticProvider
        from minio.minioadmin import MinioAdmin

        admin = MinioAdmin(
            endpoint=minio.endpoint, credentials=StaticProvider(keys.access_key, keys.secret_key), region="us-east-1", secure=False
        )
        with pytest.raises(MinioAdminException):
            admin.user_list()


def send(request: SignedRequest, body: bytes | None = None) -> int:
    asked = urllib.request.Request(request.url, body, dict(request.headers), method=request.method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_web_process_takes_uploads_without_being_able_to_read_them(minio: Minio, main: MinioStore) -> None:
    web = process(minio, Duty.UPLOAD, Duty.DOWNLOAD)
    key = "org/whole"
    assert not web.is_staged(key, len(STAGING))
    upload_id = web.begin_upload(key)
    assert send(web.presign_part(key, upload_id, 1, size=len(STAGING), sha256=digest(STAGING), expires_s=60), STAGING) == 200
    assert [(part.number, part.size) for part in web.parts(key, upload_id)] == [(1, len(STAGING))]
    assert not web.is_staged(key, len(STAGING)), "nothing was made by asking"
    assert web.complete_upload(key, upload_id).size == len(STAGING)
    web.complete_upload(key, upload_id)  # the process died before it could answer, and asks again
    assert web.is_staged(key, len(STAGING))
    assert b"".join(main.read(Bucket.STAGING, key)) == STAGING
    web.abort_upload("org/left", web.begin_upload("org/left"))
    for do in (
        lambda: web.read(Bucket.STAGING, key),
        lambda: web.list(Bucket.DATA),
        lambda: web.delete(Bucket.DATA, "t"),
        lambda: web.put(Bucket.DATA, "x", DATA, sha256=digest(DATA)),
    ):
        with pytest.raises(StoreUnavailable) as refused:
            do()
        assert refused.value.code == "store.no_key"


@pytest.mark.usefixtures("main")
def test_a_worker_reads_uploads_and_puts_large_tiles(minio: Minio, main: MinioStore, tmp_path: Path) -> None:
    worker = process(minio, Duty.WORK, Duty.SWEEP)
    assert worker.fetch(Bucket.STAGING, "u", tmp_path / "u") == digest(STAGING)
    large = bytes(33 << 20)
    for _ in range(2):
        worker.put(Bucket.DATA, "large", large, sha256=digest(large))
    found = main.stat(Bucket.DATA, "large")
    assert found is not None and found.size == len(large)
    worker.abort_upload("stale", main.begin_upload("stale"))
    worker.delete(Bucket.DATA, "large")
    assert main.stat(Bucket.DATA, "large") is None
    with pytest.raises(StoreUnavailable):
        worker.presign_get("t", expires_s=60, grant="gra", filename="t")


@pytest.mark.usefixtures("main")
def test_a_download_is_signed_by_an_account_that_can_only_read_tiles(minio: Minio, main: MinioStore) -> None:
    web = process(minio, Duty.UPLOAD, Duty.DOWNLOAD)
    request = web.presign_get("t", expires_s=60, grant="gra", filename="t")
    assert KEYS[Duty.DOWNLOAD].access_key in request.url and main.accounts.main is not None
    assert main.accounts.main.access_key not in request.url
    assert send(request) == 200


def test_an_exchange_with_one_key_works_as_before(main: MinioStore) -> None:
    key = "org/one-key"
    upload_id = main.begin_upload(key)
    assert send(main.presign_part(key, upload_id, 1, size=2, sha256=digest(b"ab"), expires_s=60), b"ab") == 200
    assert main.complete_upload(key, upload_id).size == 2 == main.complete_upload(key, upload_id).size
    assert main.is_staged(key, 2) and not main.is_staged(key, 3) and not main.is_staged("org/none", 2)
    assert send(main.presign_get("t", expires_s=60, grant="gra", filename="t")) == 200


@pytest.mark.usefixtures("main")
def test_what_the_account_for_downloads_makes_may_not_do_more_than_itself(minio: Minio) -> None:
    from minio.error import MinioAdminException, MinioException

    admin = admin_of(minio.endpoint, KEYS[Duty.DOWNLOAD], "us-east-1", False)
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}]}
    admin.add_service_account(access_key="acc-evil", secret_key="e" * 24, policy=everything)
    client = client_of(minio.endpoint, Credentials("acc-evil", "e" * 24), "us-east-1", False)
    assert client.get_object("acc-data", "t").data == DATA
    deeds: list[Callable[[], object]] = [
        lambda: list(client.list_objects("acc-data")),
        lambda: client.remove_object("acc-data", "t"),
        lambda: client.get_object("acc-staging", "u"),
        lambda: client.make_bucket("acc-mine"),
        lambda: admin.user_add("acc-user", "o" * 20),
        lambda: admin.policy_add("acc-policy", policy=everything),
        lambda: admin.delete_service_account(KEYS[Duty.UPLOAD].access_key),
    ]
    for deed in deeds:
        with pytest.raises((MinioException, MinioAdminException)):
            deed()
