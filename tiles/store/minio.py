"""The object store in MinIO, or any S3, through the `minio` client; signed requests are our own (`tiles.store.signing`).

Each purpose has an account of its own (`minio_accounts`). A presigned upload is signed with one that may only put parts into staging,
because with a key that may read, an unsigned `x-amz-copy-source` header beside the URL would copy any object of any firm to the uploader
(CVE-2026-97731, open in the MinIO that is built for the tests).

Downloads are signed by accounts of firms, which the one for downloads makes for itself and removes (`tiles.store.signers`).

The browser talks to the store directly, so the server must allow the exchange's origin, and keep unfinished uploads for a week:
`MINIO_API_CORS_ALLOW_ORIGIN=https://exchange.example` and `MINIO_API_STALE_UPLOADS_EXPIRY=168h`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tiles.errors import InvalidContent, ObjectCorrupt, ObjectMissing, RequestRefused, StoreUnavailable
from tiles.store.folder import SafeFolder, private
from tiles.store.keys import PIECE, attachment, segments_of
from tiles.store.minio_accounts import Accounts, Duty, provision
from tiles.store.minio_server import AlreadyThereError, BeyondError, admin_of, client_of, store_errors
from tiles.store.protocol import Bucket, ObjectInfo, SignedRequest, UploadPart
from tiles.store.signers import DownloadSigners
from tiles.store.signing import REGION, Credentials, presign

if TYPE_CHECKING:
    from minio import Minio

__all__ = ["MinioStore", "provision"]

ONE_PUT = 32 << 20
"""Bodies up to this size (bytes) go in one request; larger ones in parts of this size, so memory stays bounded."""

Headers = dict[str, str | list[str] | tuple[str]]
"""As minio-py types them."""

_UPLOAD_ID = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_.=-]{0,300}", re.ASCII)


class MinioStore:
    """An `ObjectStore` in the buckets `<prefix>-staging` and `<prefix>-data` (see `provision`).

    Args:
        endpoint: host:port of the server, as the exchange reaches it.
        access_key, secret_key: read and write in both buckets; "" where this process has only accounts of single purposes.
        upload_access_key, upload_secret_key: may only put into staging; they sign uploads. "" where nothing is uploaded.
        single: accounts of the other purposes.
        fixed_signer: the account for downloads signs them itself, for an S3 that knows no accounts of accounts.
        prefix: of the bucket names.
        region: of the server; fixed, so that signing asks nobody.
        secure: https to the endpoint.
        public_url: scheme://host:port by which clients reach the store; the endpoint when empty.
        timeout_s: how long the server may stay silent.
        now: UTC nanoseconds.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        access_key: str = "",
        secret_key: str = "",
        upload_access_key: str = "",
        upload_secret_key: str = "",
        single: Mapping[Duty, Credentials] | None = None,
        fixed_signer: bool = False,
        prefix: str = "mapex",
        region: str = REGION,
        secure: bool = False,
        public_url: str = "",
        timeout_s: float = 30,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        if upload_access_key and upload_access_key == access_key:
            raise StoreUnavailable("Uploads must be signed by an account of their own that cannot read; `mapex init` makes it.")
        self.endpoint, self.region, self.now = endpoint, region, now
        public = urlsplit(public_url or f"{'https' if secure else 'http'}://{endpoint}")
        self.origin, self.base = f"{public.scheme}://{public.netloc}", public.path.rstrip("/")
        self.names = {bucket: f"{prefix}-{bucket}" for bucket in Bucket}
        upload = {Duty.UPLOAD: Credentials(upload_access_key, upload_secret_key)} if upload_access_key else {}
        main = Credentials(access_key, secret_key) if access_key else None
        self.accounts = Accounts(main, {**upload, **(single or {})})
        self._upload_keys = upload.get(Duty.UPLOAD)
        self._client_of = lru_cache(lambda keys: client_of(endpoint, keys, region, secure, timeout_s))
        self._signers = DownloadSigners(
            lambda: self.accounts.signing(Duty.DOWNLOAD),
            self.names[Bucket.DATA],
            admin=lambda: admin_of(endpoint, self.accounts.signing(Duty.DOWNLOAD), region, secure),
            errors=self._errors,
            fixed=fixed_signer,
        )

    def _as(self, *purposes: Duty) -> Minio:
        """The client of the account that does what these purposes allow."""
        return self._client_of(self.accounts.doing(*purposes))

    def _reader(self, bucket: Bucket) -> Minio:
        return self._as(Duty.WORK if bucket is Bucket.STAGING else Duty.DOWNLOAD)

    # ---- objects -----------------------------------------------------------------------------------------------------------

    def put(self, bucket: Bucket, key: str, body: bytes | Path, *, sha256: str, media_type: str = "application/octet-stream") -> bool:
        """See `ObjectStore.put`."""
        _check(key)
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        if _sha256(body) != sha256:
            raise ObjectCorrupt(f"The body for {key} does not have the sha256 {sha256}; nothing was stored.", key=key)
        if size > ONE_PUT and self.accounts.has(Duty.DOWNLOAD) and self.stat(bucket, key) is not None:
            return False  # spares sending it; the condition below is what decides
        try:
            with self._errors(key), io.BytesIO(body) if isinstance(body, bytes) else body.open("rb") as stream:
                if size <= ONE_PUT:
                    self._put_whole(bucket, key, stream.read(ONE_PUT + 1), sha256, media_type)
                else:
                    self._put_parts(bucket, key, stream, media_type)
        except AlreadyThereError:
            return False
        return True

    def _put_whole(self, bucket: Bucket, key: str, body: bytes, sha256: str, media_type: str) -> None:
        # The checksum header makes the server refuse a body that changed between our hashing and its arrival.
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        headers: Headers = {"If-None-Match": "*", "Content-Type": media_type, "x-amz-checksum-sha256": checksum}
        self._as(Duty.WORK)._put_object(self.names[bucket], key, body, headers)

    def _put_parts(self, bucket: Bucket, key: str, stream: Any, media_type: str) -> None:
        name, client = self.names[bucket], self._as(Duty.WORK)
        upload_id = client._create_multipart_upload(name, key, {"Content-Type": media_type})
        try:
            etags: list[str] = []
            while piece := stream.read(ONE_PUT):
                etags.append(client._upload_part(name, key, piece, None, upload_id, len(etags) + 1))
            self._join(client, name, key, upload_id, list(enumerate(etags, 1)), {"If-None-Match": "*"})
        except BaseException:
            with contextlib.suppress(Exception):  # the error that is under way matters more than a failed clean-up
                client._abort_multipart_upload(name, key, upload_id)
            raise

    def _join(self, client: Minio, name: str, key: str, upload_id: str, parts: list[tuple[int, str]], headers: Headers) -> None:
        """CompleteMultipartUpload with headers, which minio-py's own private call does not take."""
        items = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>" for number, etag in parts)
        body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
        query: Headers = {"uploadId": upload_id}
        answer = client._execute("POST", name, key, body, {"Content-Type": "application/xml", **headers}, query)
        # S3 may answer 200 and put the error into the body, because joining can outlast the time to the first byte.
        if b"<Error>" in answer.data:
            raise StoreUnavailable(f"The store could not join the parts of {key}; try again.", key=key)

    def read(self, bucket: Bucket, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `ObjectStore.read`; an absent key is refused at once, not when the first piece is asked for."""
        _check(key)
        if offset < 0 or (length is not None and length < 0):
            raise InvalidContent(f"No object has bytes from {offset}, {length} of them.", code="store.range")
        if length == 0:  # to minio-py this means "to the end"
            self._must_exist(bucket, key)
            return iter(())
        try:
            with self._errors(key):
                response = self._reader(bucket).get_object(self.names[bucket], key, offset, length or 0)
        except BeyondError:
            return iter(())
        return self._pieces_of(response, key)

    def _pieces_of(self, response: Any, key: str) -> Iterator[bytes]:
        with self._errors(key):
            try:
                yield from response.stream(PIECE)
            finally:
                response.close()
                response.release_conn()

    def fetch(self, bucket: Bucket, key: str, path: Path) -> str:
        """See `ObjectStore.fetch`."""
        digest = hashlib.sha256()
        pieces = self.read(bucket, key)
        with SafeFolder(path.parent).errors(), private(path) as target:
            for piece in pieces:
                digest.update(piece)
                target.write(piece)
        return digest.hexdigest()

    def stat(self, bucket: Bucket, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        _check(key)
        try:
            with self._errors(key):
                found = self._reader(bucket).stat_object(self.names[bucket], key)
        except ObjectMissing:
            return None
        return ObjectInfo(key, found.size or 0, int(found.last_modified.timestamp() * 1e9) if found.last_modified else 0)

    def list(self, bucket: Bucket, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[ObjectInfo]:
        """See `ObjectStore.list`."""
        with self._errors(prefix):
            client, name = self._as(Duty.SWEEP), self.names[bucket]
            found = client._list_objects(name, prefix=prefix, start_after=after or None, max_keys=min(limit, 1000))
            page = list(islice(found, limit))
        return [
            ObjectInfo(o.object_name or "", o.size or 0, int(o.last_modified.timestamp() * 1e9) if o.last_modified else 0) for o in page
        ]

    def delete(self, bucket: Bucket, key: str) -> None:
        """See `ObjectStore.delete`."""
        _check(key)
        with contextlib.suppress(ObjectMissing), self._errors(key):
            self._as(Duty.SWEEP).remove_object(self.names[bucket], key)

    def _must_exist(self, bucket: Bucket, key: str) -> ObjectInfo:
        info = self.stat(bucket, key)
        if info is None:
            raise ObjectMissing(f"No object {bucket}/{key}.", key=key)
        return info

    # ---- signed requests -----------------------------------------------------------------------------------------------------

    def presign_get(
        self, key: str, *, expires_s: int, grant: str, filename: str, holder: str | None = None, signer: str = ""
    ) -> SignedRequest:
        """See `ObjectStore.presign_get`."""
        parameters = {"x-mapex-grant": grant, "response-content-disposition": attachment(filename)}
        headers = {"x-mapex-holder": holder} if holder is not None else {}
        keys = self._signers.keys_of(signer) if signer else self.accounts.signing(Duty.DOWNLOAD)
        return SignedRequest("GET", self._presign("GET", Bucket.DATA, key, keys, expires_s, parameters, headers), headers)

    def admit(self, signer: str) -> bool:
        """See `ObjectStore.admit`."""
        return self._signers.admit(signer)

    def retire(self, signer: str) -> None:
        """See `ObjectStore.retire`."""
        self._signers.retire(signer)

    def presign_part(self, key: str, upload_id: str, number: int, *, size: int, sha256: str, expires_s: int) -> SignedRequest:
        """See `ObjectStore.presign_part`; the length is bound too, but clients send it anyway."""
        if not 1 <= number <= 10_000:
            raise InvalidContent(f"A part has a number from 1 to 10000, not {number}.", code="store.part")
        bound = {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        parameters = {"partNumber": str(number), "uploadId": upload_id}
        headers = {**bound, "content-length": str(size)}
        keys = self.accounts.signing(Duty.UPLOAD)
        return SignedRequest("PUT", self._presign("PUT", Bucket.STAGING, key, keys, expires_s, parameters, headers), bound)

    def _presign(
        self, method: str, bucket: Bucket, key: str, keys: Credentials, expires_s: int, parameters: dict[str, str], headers: dict[str, str]
    ) -> str:
        path = f"{self.base}/{self.names[bucket]}/{'/'.join(segments_of(key))}"
        at = {"at_s": self.now() // 1_000_000_000, "expires_s": expires_s}
        return presign(method, self.origin, path, credentials=keys, region=self.region, parameters=parameters, headers=headers, **at)

    # ---- multipart uploads -----------------------------------------------------------------------------------------------------

    def begin_upload(self, key: str) -> str:
        """See `ObjectStore.begin_upload`."""
        _check(key)
        with self._errors(key):
            return str(self._as(Duty.UPLOAD)._create_multipart_upload(self.names[Bucket.STAGING], key, {}))

    def parts(self, key: str, upload_id: str) -> Sequence[UploadPart]:
        """See `ObjectStore.parts`."""
        _check(key)
        _check_upload(upload_id)
        found: list[UploadPart] = []
        marker: str | None = None
        with self._errors(key):
            while True:
                page = self._as(Duty.UPLOAD)._list_parts(self.names[Bucket.STAGING], key, upload_id, part_number_marker=marker)
                found += [UploadPart(p.part_number, p.size or 0, p.etag.strip('"')) for p in page.parts]
                if not page.is_truncated:
                    return found
                marker = str(page.next_part_number_marker)

    def complete_upload(self, key: str, upload_id: str) -> ObjectInfo:
        """See `ObjectStore.complete_upload`. S3 wants at least 5 MiB in every part but the last."""
        name = self.names[Bucket.STAGING]
        try:
            parts = self.parts(key, upload_id)
            received = [(part.number, part.etag) for part in parts]
            if not received:
                raise RequestRefused("No part of this upload has been received yet.", upload_id=upload_id, reason="empty")
            with self._errors(key):
                self._join(self._as(Duty.UPLOAD), name, key, upload_id, received, {})
        except ObjectMissing:
            # Finished before, or by another caller at this moment: the object is then there.
            if not self.accounts.has(Duty.WORK):
                if self._is_taken(key):
                    return ObjectInfo(key, 0, 0)
                raise
            done = self.stat(Bucket.STAGING, key)
            if done is None:
                raise
            return done
        if not self.accounts.has(Duty.WORK):
            return ObjectInfo(key, sum(part.size for part in parts), self.now())
        return self._must_exist(Bucket.STAGING, key)

    def is_staged(self, key: str, size: int) -> bool:
        """See `ObjectStore.is_staged`."""
        if not self.accounts.has(Duty.WORK):
            return self._is_taken(key)
        found = self.stat(Bucket.STAGING, key)
        return found is not None and found.size == size

    def _is_taken(self, key: str) -> bool:
        """Whether staging holds a key, asked by an account that may not look: it tries to put what the server must refuse anyway.

        A key that is there fails the condition; else the body, which is none, does not have the checksum that is stated.
        """
        _check(key)
        checksum = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
        try:
            with self._errors(key):
                headers: Headers = {"If-None-Match": "*", "x-amz-checksum-sha256": checksum}
                self._as(Duty.UPLOAD)._put_object(self.names[Bucket.STAGING], key, b"", headers)
        except AlreadyThereError:
            return True
        except ObjectCorrupt:
            return False
        raise StoreUnavailable(f"The store at {self.endpoint} took a body with a wrong checksum; it cannot be used.", key=key)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """See `ObjectStore.abort_upload`."""
        _check(key)
        with contextlib.suppress(ObjectMissing), self._errors(key):
            _check_upload(upload_id)
            self._as(Duty.UPLOAD, Duty.SWEEP)._abort_multipart_upload(self.names[Bucket.STAGING], key, upload_id)

    # ---- errors ----------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn what the client raises into errors of the store; our own pass."""
        with store_errors(self.endpoint, key):
            yield


def _check(key: str) -> None:
    segments_of(key)


def _check_upload(upload_id: str) -> None:
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise ObjectMissing(f"Upload {upload_id[:40]!r} is unknown.", upload_id=upload_id)


def _sha256(body: bytes | Path) -> str:
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest()
    with body.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
