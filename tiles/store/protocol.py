"""The object store as the rest of the exchange sees it: one protocol, two back ends, one contract suite on both.

Two buckets: `staging` (what people upload, readable by the worker only) and `data` (content-addressed tiles, never overwritten).
Reading and writing by outsiders goes through *signed requests*: a URL and the headers that must be sent with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Bucket(StrEnum):
    """A bucket, and who may touch it."""

    STAGING = "staging"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store knows about one object."""

    key: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class UploadPart:
    """One received part of a multipart upload; `number` counts from 1."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that works once sent exactly so: `method`, `url`, and `headers` that are bound by the signature."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ObjectStore(Protocol):
    """Bytes under keys. Keys are `/`-separated ASCII without empty, `.` or `..` segments (else `InvalidContent`).

    Errors are those of `tiles.errors`: `ObjectMissing`, `ObjectCorrupt`, `RequestRefused`, `StoreUnavailable`.
    """

    def put(self, bucket: Bucket, key: str, body: bytes | Path, *, sha256: str, media_type: str = "application/octet-stream") -> bool:
        """Store `body` under `key` if nothing is there yet; True when it was written, False when the key existed.

        Raises: ObjectCorrupt: the body does not have this sha256 (nothing is stored then).
        """
        ...

    def read(self, bucket: Bucket, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `offset`, at most `length`, in pieces of at most 1 MiB."""
        ...

    def fetch(self, bucket: Bucket, key: str, path: Path) -> str:
        """Write the whole object to `path`; returns the sha256 (hex) of what was written."""
        ...

    def stat(self, bucket: Bucket, key: str) -> ObjectInfo | None:
        """Size and time of an object, or None."""
        ...

    def list(self, bucket: Bucket, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[ObjectInfo]:
        """Up to `limit` objects whose key starts with `prefix` and sorts after `after`, in key order; empty at the end."""
        ...

    def delete(self, bucket: Bucket, key: str) -> None:
        """Remove an object; absent is fine."""
        ...

    def presign_get(
        self, key: str, *, expires_s: int, grant: str, filename: str, holder: str | None = None, signer: str = ""
    ) -> SignedRequest:
        """A download of one `data` object: carries the signed parameter `x-mapex-grant`; with `holder` the request is worthless
        without the header `x-mapex-holder` of that value, which is not in the URL: a leaked one opens nothing.

        With `signer` (letters, digits, `_` and `.`), which was admitted before, it ends when that signer is retired.
        """
        ...

    def admit(self, signer: str) -> bool:
        """Let a signer sign downloads from now on; True when it was not known before.

        Whoever retires it at the same moment may have come first: who gets True looks again whether it is still wanted.
        """
        ...

    def retire(self, signer: str) -> None:
        """What this signer has signed opens nothing any more; unknown is fine."""
        ...

    def begin_upload(self, key: str) -> str:
        """Start a multipart upload into `staging`; returns its upload id."""
        ...

    def presign_part(self, key: str, upload_id: str, number: int, *, size: int, sha256: str, expires_s: int) -> SignedRequest:
        """An upload of part `number` (from 1): length and sha256 (hex) of the body are bound by the signature."""
        ...

    def parts(self, key: str, upload_id: str) -> Sequence[UploadPart]:
        """Parts received so far, by number. Raises ObjectMissing when the upload is unknown, finished or aborted."""
        ...

    def complete_upload(self, key: str, upload_id: str) -> ObjectInfo:
        """Join the parts received into the object. Called again after it worked, it answers the same, but for the size (0) where this
        account may not look.
        """
        ...

    def is_staged(self, key: str, size: int) -> bool:
        """Whether `staging` holds the whole upload of this size. An account that may not look learns only that the key is taken, which
        it is by nothing but a complete upload.
        """
        ...

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget an upload and its parts; unknown is fine."""
        ...
