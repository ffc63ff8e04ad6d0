"""Attacks on the exchange's own object store: what whoever holds an address, or a key, could try with it. Made by `mapex doctor`.

Each is made with things of its own (below `doctor/`), which are removed at the end.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tiles.errors import StoreUnavailable
from tiles.store.protocol import Bucket, ObjectStore, SignedRequest

if TYPE_CHECKING:
    from mapex.config import Settings

Send = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]
"""Sends one request (method, address, headers, body) and gives status and body of the answer."""

_OK = range(200, 300)
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing that was tried, and whether it worked."""

    name: str
    worked: bool


def attacks(store: ObjectStore, before: ObjectStore, send: Send) -> Iterator[Attack]:
    """Try all of them.

    Args:
        store: of the exchange.
        before: the same with a clock that is an hour late: what it signs has expired.
        send: how requests reach it.
    Raises: StoreUnavailable: an honest request does not work either, so that nothing is known; StoreError.
    """
    with _probe(store) as probe:
        yield from _on_addresses(probe, store, before, send)
        yield from _on_uploads(probe, store, send)


def key_attacks(store: ObjectStore, settings: Settings) -> Iterator[Attack]:
    """What each account of MinIO must not do; nothing for another store."""
    from tiles.store.minio import MinioStore
    from tiles.store.minio_server import client_of

    if not isinstance(store, MinioStore):
        return
    for purpose, keys in store.accounts.single.items():
        client = client_of(settings.store_endpoint, keys, settings.store_region, settings.store_secure)
        for name in sorted(_DEEDS.keys() - _OWN_DEEDS[purpose]):
            worked = _is_allowed(client, _DEEDS[name], settings.store_bucket_prefix)
            yield Attack(f"{name} with the key {keys.access_key}", worked)


_DEEDS: Mapping[str, Callable[[Any, str], object]] = {
    "read an upload": lambda client, prefix: client.get_object(f"{prefix}-{Bucket.STAGING}", _NOTHING),
    "read a tile": lambda client, prefix: client.get_object(f"{prefix}-{Bucket.DATA}", _NOTHING),
    "put an upload": lambda client, prefix: client._create_multipart_upload(f"{prefix}-{Bucket.STAGING}", _NOTHING, {}),
    "put a tile": lambda client, prefix: client._create_multipart_upload(f"{prefix}-{Bucket.DATA}", _NOTHING, {}),
    "list tiles": lambda client, prefix: list(client.list_objects(f"{prefix}-{Bucket.DATA}", prefix=_NOTHING)),
    "list uploads": lambda client, prefix: list(client.list_objects(f"{prefix}-{Bucket.STAGING}", prefix=_NOTHING)),
    "delete a tile": lambda client, prefix: client.remove_object(f"{prefix}-{Bucket.DATA}", _NOTHING),
    "delete an upload": lambda client, prefix: client.remove_object(f"{prefix}-{Bucket.STAGING}", _NOTHING),
}
_NOTHING = "doctor/nothing"
_OWN_DEEDS: Mapping[str, frozenset[str]] = {
    "upload": frozenset({"put an upload"}),
    "download": frozenset({"read a tile"}),
    "work": frozenset({"read an upload", "put a tile"}),
    "sweep": frozenset({"list tiles", "list uploads", "delete a tile", "delete an upload"}),
}


def _is_allowed(client: Any, do: Callable[[Any, str], object], prefix: str) -> bool:
    from minio.error import S3Error

    try:
        do(client, prefix)
    except S3Error as refused:
        return str(refused.code) != "AccessDenied"
    return True


@dataclass(frozen=True, slots=True)
class _Probe:
    """Two objects of our own in `data`, and a place of our own in `staging`."""

    folder: str = field(default_factory=lambda: f"doctor/{secrets.token_hex(8)}")
    body: bytes = field(default_factory=lambda: secrets.token_bytes(64))

    @property
    def tile(self) -> str:
        return f"{self.folder}/tile"

    @property
    def other(self) -> str:
        return f"{self.folder}/other"

    @property
    def upload(self) -> str:
        return f"{self.folder}/upload"


@contextmanager
def _probe(store: ObjectStore) -> Iterator[_Probe]:
    probe = _Probe()
    digest = hashlib.sha256(probe.body).hexdigest()
    try:
        for key in (probe.tile, probe.other):
            store.put(Bucket.DATA, key, probe.body, sha256=digest)
        yield probe
    finally:
        for bucket, key in ((Bucket.DATA, probe.tile), (Bucket.DATA, probe.other), (Bucket.STAGING, probe.upload)):
            store.delete(bucket, key)


def _on_addresses(probe: _Probe, store: ObjectStore, before: ObjectStore, send: Send) -> Iterator[Attack]:
    """Attacks on the address of a download."""
    holder = secrets.token_hex(16)
    bound = _address(store, probe, holder)
    status, body = _send(send, bound)
    if (status, body) != (200, probe.body):
        raise StoreUnavailable(f"The store does not give its own object at the address that it signs (status {status}).")
    grant = "x-mapex-grant=doctor"
    altered = {
        "an address whose grant was altered": bound.url.replace(grant, "x-mapex-grant=other"),
        "an address whose grant was taken out": bound.url.replace(f"&{grant}", "").replace(f"{grant}&", ""),
        "an address that names another object": bound.url.replace(f"{probe.folder}/tile", f"{probe.folder}/other"),
        "an address without its signature": bound.url.partition("?")[0],
    }
    for name, url in altered.items():
        yield Attack(name, _is_ok(_send(send, SignedRequest("GET", url, bound.headers))))
    yield Attack("an address without the header of its holder", _is_ok(_send(send, SignedRequest("GET", bound.url))))
    other = SignedRequest("GET", bound.url, {"x-mapex-holder": secrets.token_hex(16)})
    yield Attack("an address with another holder", _is_ok(_send(send, other)))
    yield Attack("an expired address", _is_ok(_send(send, _address(before, probe, holder))))
    root = bound.url.partition(f"/{quote(probe.folder)}")[0]
    yield Attack("a list of all objects", _is_ok(_send(send, SignedRequest("GET", f"{root}/?list-type=2"))))


def _address(store: ObjectStore, probe: _Probe, holder: str) -> SignedRequest:
    return store.presign_get(probe.tile, expires_s=_SECONDS, grant="doctor", filename="doctor", holder=holder)


def _on_uploads(probe: _Probe, store: ObjectStore, send: Send) -> Iterator[Attack]:
    """Attacks on the address of a part of an upload."""
    upload_id = store.begin_upload(probe.upload)
    digest = hashlib.sha256(probe.body).hexdigest()
    part = store.presign_part(probe.upload, upload_id, 1, size=len(probe.body), sha256=digest, expires_s=_SECONDS)
    empty = store.presign_part(probe.upload, upload_id, 1, size=0, sha256=hashlib.sha256(b"").hexdigest(), expires_s=_SECONDS)
    source = part.url.partition("?")[0].rpartition(f"/{probe.folder}")[0].rpartition("/")[2]
    copied = f"/{source.replace(Bucket.STAGING, Bucket.DATA)}/{probe.tile}"
    try:
        for header, value in (("x-amz-copy-source", copied), ("x-amz-acl", "public-read"), ("x-amz-tagging", "a=b")):
            slipped = SignedRequest("PUT", empty.url, {**empty.headers, header: value})
            took = _is_ok(_send(send, slipped, b"")) and header == "x-amz-copy-source"
            yield Attack(f"an upload with the header {header}", took and _holds(store, probe, upload_id, len(probe.body)))
        yield Attack("an upload that is longer than announced", _is_ok(_send(send, part, probe.body + b"x")))
        yield Attack("an upload of other bytes", _is_ok(_send(send, part, bytes(len(probe.body)))))
        status, _ = _send(send, part, probe.body)
        if status not in _OK:
            raise StoreUnavailable(f"The store does not take an upload at the address that it signs (status {status}).")
        store.complete_upload(probe.upload, upload_id)
        yield Attack("an upload that is sent again after it was completed", _is_ok(_send(send, part, probe.body)))
        bare = SignedRequest("GET", part.url.partition("?")[0])
        yield Attack("an upload that was made public by a header", _is_ok(_send(send, bare)))
        yield Attack("reading at the address of an upload", _is_ok(_send(send, SignedRequest("GET", part.url, part.headers))))
    finally:
        store.abort_upload(probe.upload, upload_id)


def _holds(store: ObjectStore, probe: _Probe, upload_id: str, size: int) -> bool:
    """Whether a part of that size arrived, though an empty one was sent: then it was copied from somewhere."""
    return any(part.size == size for part in store.parts(probe.upload, upload_id))


def _is_ok(answer: tuple[int, bytes]) -> bool:
    return answer[0] in _OK


def _send(send: Send, request: SignedRequest, body: bytes | None = None) -> tuple[int, bytes]:
    return send(request.method, request.url, request.headers, body)
