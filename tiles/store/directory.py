"""The object store in a local directory: the default, safe enough to run a real exchange on one machine.

Layout below `root`: `staging/<key>`, `data/<key>`, `.uploads/<upload id>/<number>.<sha256>` (parts received, one a number), `.incoming/`
(being written). Objects appear whole or not at all: written to `.incoming`, fsynced, linked without overwriting, folder fsynced. Nothing is
written that would take the reserve of the disk (`tiles.store.folder.KEPT_FREE`).
Outsiders come in by the same signed URLs as on S3 (`answer`), below `url`, which the web application serves.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from tiles.errors import InvalidContent, ObjectCorrupt, ObjectMissing, RequestRefused, StoreUnavailable
from tiles.store.folder import INCOMING, SafeFolder, copy_all, private, write_all
from tiles.store.keys import PIECE, attachment, segments_of
from tiles.store.protocol import Bucket, ObjectInfo, SignedRequest, UploadPart
from tiles.store.signing import Credentials, derived, presign

UPLOADS = ".uploads"
MOST_PARTS = 10_000
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"(\d{5})\.([0-9a-f]{64})")


class DirectoryStore:
    """An `ObjectStore` in the folder `root`.

    Args:
        root: made when absent; on a file system with hard links.
        url: where the web application serves it: `http://host:port/store`; also what the signatures are for.
        secret_key: signs and checks the URLs; whoever has it can read every object.
        now: UTC nanoseconds.
    """

    def __init__(self, root: Path, *, url: str, secret_key: str, now: Callable[[], int] = time.time_ns) -> None:
        if not secret_key:
            raise StoreUnavailable("A directory store needs a secret key to sign its URLs; `mapex init` makes one.")
        parts = urlsplit(url.rstrip("/"))
        self.root = root.absolute()
        self.origin, self.base = f"{parts.scheme}://{parts.netloc}", parts.path
        self.credentials = Credentials("mapex", secret_key)
        self.now = now
        self._folder = SafeFolder(self.root)
        self._folder.prepare(Bucket.STAGING, Bucket.DATA, UPLOADS)

    # ---- objects -----------------------------------------------------------------------------------------------------------

    def put(self, bucket: Bucket, key: str, body: bytes | Path, *, sha256: str, media_type: str = "application/octet-stream") -> bool:
        """See `ObjectStore.put`; `media_type` is not kept (downloads are always attachments of plain bytes)."""
        place = [bucket, *segments_of(key)]
        exists = self.stat(bucket, key) is not None
        digest = hashlib.sha256()
        with contextlib.ExitStack() as stack:
            if not exists:
                self._folder.check_room(len(body) if isinstance(body, bytes) else body.stat().st_size)
            stream, path = (None, None) if exists else stack.enter_context(self._folder.temporary())
            for piece in _pieces(body):
                digest.update(piece)
                if stream is not None:
                    write_all(stream, piece)
            if digest.hexdigest() != sha256:
                raise ObjectCorrupt(f"The body for {key} has sha256 {digest.hexdigest()}, not {sha256}; nothing was stored.", key=key)
            if stream is None or path is None:
                return False
            os.fsync(stream.fileno())
            return self._folder.link(path, place)

    def read(self, bucket: Bucket, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `ObjectStore.read`; an absent key is refused at once, not when the first piece is asked for."""
        if offset < 0 or (length is not None and length < 0):
            raise InvalidContent(f"No object has bytes from {offset}, {length} of them.", code="store.range")
        return self._pieces_of(self.open(bucket, key), key, offset, length)

    def open(self, bucket: Bucket, key: str) -> BinaryIO:
        """The object as an open file. Raises ObjectMissing."""
        try:
            return self._folder.open([bucket, *segments_of(key)])
        except FileNotFoundError as error:
            raise ObjectMissing(f"No object {bucket}/{key}.", key=key) from error

    def _pieces_of(self, stream: BinaryIO, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        with self._folder.errors(), stream:
            size = os.fstat(stream.fileno()).st_size
            left = max(0, size - offset) if length is None else min(length, max(0, size - offset))
            stream.seek(offset)
            while left:
                piece = stream.read(min(PIECE, left))
                if not piece:
                    raise ObjectCorrupt(f"Object {key} became shorter while it was read.", key=key)
                left -= len(piece)
                yield piece

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
        try:
            with self.open(bucket, key) as stream:
                status = os.fstat(stream.fileno())
        except ObjectMissing:
            return None
        return ObjectInfo(key, status.st_size, status.st_mtime_ns)

    def list(self, bucket: Bucket, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[ObjectInfo]:
        """See `ObjectStore.list`. A folder is read whole for a page, so ask for large pages when there are many objects."""
        found: list[ObjectInfo] = []
        with self._folder.errors():
            for key, entry in _walk(self.root / bucket, "", prefix, after):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    status = entry.stat(follow_symlinks=False)
                    found.append(ObjectInfo(key, status.st_size, status.st_mtime_ns))
                if len(found) >= limit:
                    break
        return found

    def delete(self, bucket: Bucket, key: str) -> None:
        """See `ObjectStore.delete`."""
        *folder, name = [bucket, *segments_of(key)]
        with contextlib.suppress(FileNotFoundError), self._folder.errors(), self._folder.folder(folder) as at:
            os.unlink(name, dir_fd=at)
            os.fsync(at)

    # ---- signed requests -----------------------------------------------------------------------------------------------------

    def presign_get(
        self, key: str, *, expires_s: int, grant: str, filename: str, holder: str | None = None, signer: str = ""
    ) -> SignedRequest:
        """See `ObjectStore.presign_get`."""
        parameters = {"x-mapex-grant": grant, "response-content-disposition": attachment(filename)}
        headers = {"x-mapex-holder": holder} if holder is not None else {}
        return self._presign("GET", Bucket.DATA, key, expires_s, parameters, headers, signer)

    def admit(self, signer: str) -> bool:
        """See `ObjectStore.admit`. Whoever serves this store asks at each request whether the signer is still wanted."""
        del signer
        return False

    def retire(self, signer: str) -> None:
        """See `ObjectStore.retire` and `admit`: nothing is kept here."""

    def credentials_of(self, signer: str) -> Credentials:
        """What a signer signs with; the store's own for "" and its own name."""
        return derived(self.credentials, signer) if signer not in ("", self.credentials.access_key) else self.credentials

    def presign_part(self, key: str, upload_id: str, number: int, *, size: int, sha256: str, expires_s: int) -> SignedRequest:
        """See `ObjectStore.presign_part`; the length is bound too, but clients send it anyway."""
        _check_number(number)
        bound = {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        parameters = {"partNumber": str(number), "uploadId": upload_id}
        request = self._presign("PUT", Bucket.STAGING, key, expires_s, parameters, {**bound, "content-length": str(size)})
        return SignedRequest(request.method, request.url, bound)

    def _presign(
        self, method: str, bucket: Bucket, key: str, expires_s: int, parameters: dict[str, str], headers: dict[str, str], signer: str = ""
    ) -> SignedRequest:
        path = f"{self.base}/{bucket}/{'/'.join(segments_of(key))}"
        at_s, keys = self.now() // 1_000_000_000, self.credentials_of(signer)
        url = presign(method, self.origin, path, credentials=keys, at_s=at_s, expires_s=expires_s, parameters=parameters, headers=headers)
        return SignedRequest(method, url, headers)

    # ---- multipart uploads -----------------------------------------------------------------------------------------------------

    def begin_upload(self, key: str) -> str:
        """See `ObjectStore.begin_upload`."""
        segments_of(key)
        upload_id = secrets.token_hex(16)
        with self._folder.temporary() as (stream, path):
            write_all(stream, key.encode())
            os.fsync(stream.fileno())
            self._folder.link(path, [UPLOADS, upload_id, "key"])
        return upload_id

    def receive_part(self, key: str, upload_id: str, number: int, body: BinaryIO, *, size: int, sha256: str) -> UploadPart:
        """Store one part that a signed request brings; the same number again replaces it, whatever its bytes.

        Raises: ObjectCorrupt: the body is not of this size and sha256 (hex); ObjectMissing: no such upload; StoreUnavailable: `store.full`.
        """
        _check_number(number)
        self._check_upload(key, upload_id)
        self._folder.check_room(size)
        digest, left = hashlib.sha256(), size
        with self._folder.temporary() as (stream, path):
            while left and (piece := body.read(min(PIECE, left))):
                digest.update(piece)
                write_all(stream, piece)
                left -= len(piece)
            if left or digest.hexdigest() != sha256:
                raise ObjectCorrupt(f"Part {number} is not what was announced; nothing was stored. Send it again.", number=number)
            os.fsync(stream.fileno())
            try:
                self._folder.replace_alike(path, [UPLOADS, upload_id, f"{number:05d}.{sha256}"], f"{number:05d}.")
            except FileNotFoundError as error:
                raise ObjectMissing(f"Upload {upload_id} has ended.", upload_id=upload_id) from error
        return UploadPart(number, size, sha256)

    def parts(self, key: str, upload_id: str) -> Sequence[UploadPart]:
        """See `ObjectStore.parts`."""
        self._check_upload(key, upload_id)
        latest: dict[int, tuple[int, UploadPart]] = {}
        try:
            with self._folder.errors(), os.scandir(self.root / UPLOADS / upload_id) as entries:
                for entry in entries:
                    if named := _PART.fullmatch(entry.name):
                        status, number = entry.stat(follow_symlinks=False), int(named[1])
                        # The same part sent twice with different bytes: the later one counts, as on S3.
                        if number not in latest or latest[number][0] < status.st_mtime_ns:
                            latest[number] = (status.st_mtime_ns, UploadPart(number, status.st_size, named[2]))
        except FileNotFoundError as error:
            raise ObjectMissing(f"Upload {upload_id} has ended.", upload_id=upload_id) from error
        self._check_upload(key, upload_id)  # it may have ended while it was listed
        return [latest[number][1] for number in sorted(latest)]

    def complete_upload(self, key: str, upload_id: str) -> ObjectInfo:
        """See `ObjectStore.complete_upload`."""
        try:
            received = self.parts(key, upload_id)
            if not received:
                raise RequestRefused("No part of this upload has been received yet.", upload_id=upload_id, reason="empty")
            self._folder.check_room(sum(part.size for part in received))
            with self._folder.temporary() as (target, path):
                for part in received:
                    with self._folder.open([UPLOADS, upload_id, f"{part.number:05d}.{part.etag}"]) as source:
                        if copy_all(source, target) != part.size:
                            raise ObjectCorrupt(f"Part {part.number} of upload {upload_id} changed on disk.", number=part.number)
                os.fsync(target.fileno())
                self._folder.link(path, [Bucket.STAGING, *segments_of(key)])
        except (ObjectMissing, FileNotFoundError) as error:
            # Finished before, or by another caller at this moment: the object is then there.
            done = self.stat(Bucket.STAGING, key)
            if done is None:
                raise ObjectMissing(f"Upload {upload_id} of {key} is unknown.", upload_id=upload_id) from error
            return done
        self.abort_upload(key, upload_id)
        info = self.stat(Bucket.STAGING, key)
        if info is None:
            raise ObjectMissing(f"Object {key} was removed while it was finished.", key=key)
        return info

    def is_staged(self, key: str, size: int) -> bool:
        """See `ObjectStore.is_staged`."""
        found = self.stat(Bucket.STAGING, key)
        return found is not None and found.size == size

    def abort_upload(self, key: str, upload_id: str) -> None:
        """See `ObjectStore.abort_upload`."""
        try:
            self._check_upload(key, upload_id)
        except ObjectMissing:
            return
        dead = self.root / INCOMING / f"dead-{secrets.token_hex(16)}"
        with contextlib.suppress(FileNotFoundError), self._folder.errors():
            os.rename(self.root / UPLOADS / upload_id, dead)  # in one step: from here on the upload is unknown
            shutil.rmtree(dead, ignore_errors=True)

    def _check_upload(self, key: str, upload_id: str) -> None:
        """Raises ObjectMissing unless this upload is open, and is of this key."""
        try:
            if not _UPLOAD_ID.fullmatch(upload_id):
                raise FileNotFoundError(upload_id)
            with self._folder.open([UPLOADS, upload_id, "key"]) as stream:
                known = stream.read().decode()
        except FileNotFoundError as error:
            raise ObjectMissing(f"Upload {upload_id[:40]!r} is unknown, finished or aborted.", upload_id=upload_id) from error
        if known != key:
            raise ObjectMissing(f"Upload {upload_id} is not of {key}.", upload_id=upload_id)


def _check_number(number: int) -> None:
    if not 1 <= number <= MOST_PARTS:
        raise InvalidContent(f"A part has a number from 1 to {MOST_PARTS}, not {number}.", code="store.part")


def _pieces(body: bytes | Path) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    with body.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def _walk(folder: Path, at: str, prefix: str, after: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files below `folder` in key order, leaving out whole folders that hold nothing of the page."""
    try:
        # A folder sorts as its name with the slash: then the order of the walk is the order of the keys.
        entries = sorted(os.scandir(folder), key=lambda e: e.name + "/" if e.is_dir(follow_symlinks=False) else e.name)
    except FileNotFoundError:
        return
    for entry in entries:
        key = at + entry.name
        if entry.is_dir(follow_symlinks=False):
            key += "/"
            may_match = key.startswith(prefix) or prefix.startswith(key)
            if may_match and (after.startswith(key) or key > after):
                yield from _walk(Path(entry.path), key, prefix, after)
        elif key > after and key.startswith(prefix) and entry.is_file(follow_symlinks=False):
            yield key, entry
