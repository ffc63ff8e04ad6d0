"""What the directory store answers to a signed HTTP request: pure of any web framework, in the shape of S3.

GET and HEAD of `data` with ranges and conditions (RFC 9110), PUT of one part into `staging`. A URL signed for GET also answers HEAD,
which tells less.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import BinaryIO
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from tiles.errors import InvalidContent, ObjectCorrupt, ObjectMissing, RequestRefused, StoreUnavailable, TilesError
from tiles.store.directory import DirectoryStore
from tiles.store.protocol import Bucket, ObjectInfo
from tiles.store.signing import verify

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of an HTTP response."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()


def answer(store: DirectoryStore, method: str, bucket: str, key: str, query: str, headers: Mapping[str, str], body: BinaryIO) -> Answer:
    """The response to one request below the store's URL; never raises for what the request says.

    Args:
        store: whose objects and whose secret.
        method: GET, HEAD or PUT; others are refused.
        bucket: first segment of the path below the store's URL.
        key: the rest of the path, decoded.
        query: the query string as it came.
        headers: of the request.
        body: read only after the signature was found genuine, and no further than its length.
    """
    try:
        parameters = _verified(store, method, bucket, key, query, headers)
        if method == "PUT" and bucket == Bucket.STAGING:
            return _put(store, key, parameters, headers, body)
        if method in ("GET", "HEAD") and bucket == Bucket.DATA and "x-mapex-grant" in parameters:
            return _get(store, key, parameters, headers, with_body=method == "GET")
        raise RequestRefused("This is not what the store serves.", reason="method")
    except TilesError as error:
        return _error(error)


def _verified(store: DirectoryStore, method: str, bucket: str, key: str, query: str, headers: Mapping[str, str]) -> dict[str, str]:
    # The host of the settings is checked, not the one received: a proxy that rewrites `Host` breaks nothing, and the key is ours alone.
    host, path, now_s = urlsplit(store.origin).netloc, f"{store.base}/{bucket}/{key}", store.now() / 1e9
    try:
        return verify(method, host, path, query, headers, credentials=store.credentials, now_s=now_s)
    except RequestRefused:
        if method != "HEAD":
            raise
        return verify("GET", host, path, query, headers, credentials=store.credentials, now_s=now_s)


def _put(store: DirectoryStore, key: str, parameters: Mapping[str, str], headers: Mapping[str, str], body: BinaryIO) -> Answer:
    given = {k.lower(): v for k, v in headers.items()}
    try:
        sha256 = base64.b64decode(given["x-amz-checksum-sha256"], validate=True).hex()
        number, size, upload_id = int(parameters["partNumber"]), int(given["content-length"]), parameters["uploadId"]
    except (KeyError, ValueError, binascii.Error) as error:
        raise RequestRefused("Only parts of an upload with a bound length and checksum are taken.", reason="unbound") from error
    part = store.receive_part(key, upload_id, number, body, size=size, sha256=sha256)
    return Answer(200, {"ETag": f'"{part.etag}"', "Content-Length": "0"})


def _get(store: DirectoryStore, key: str, parameters: Mapping[str, str], headers: Mapping[str, str], *, with_body: bool) -> Answer:
    info = store.stat(Bucket.DATA, key)
    if info is None:
        raise ObjectMissing(f"No object {key}.", key=key)
    given = {k.lower(): v for k, v in headers.items()}
    etag = f'"{info.modified_ns:x}-{info.size:x}"'
    about = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": parameters.get("response-content-disposition", "attachment"),
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": formatdate(info.modified_ns // 1_000_000_000, usegmt=True),
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    if etag in (tag.strip() for tag in given.get("if-none-match", "").split(",")):
        return Answer(304, about)
    asked = given.get("range", "") if given.get("if-range", etag) == etag else ""
    first, last, partial = _range(asked, info)
    if first > last and partial:
        return Answer(416, {**about, "Content-Range": f"bytes */{info.size}", "Content-Length": "0"})
    about["Content-Length"] = str(last - first + 1)
    if partial:
        about["Content-Range"] = f"bytes {first}-{last}/{info.size}"
    pieces = store.read(Bucket.DATA, key, offset=first, length=last - first + 1) if with_body else ()
    return Answer(206 if partial else 200, about, pieces)


def _range(asked: str, info: ObjectInfo) -> tuple[int, int, bool]:
    """First and last byte to send, and whether that is a part; several ranges at once are answered whole, as RFC 9110 allows."""
    named = _RANGE.fullmatch(asked.strip())
    if not named or named[0] == "bytes=-":
        return 0, info.size - 1, False
    if not named[1]:
        wanted = int(named[2])
        return (max(0, info.size - wanted), info.size - 1, True) if wanted else (1, 0, True)
    first, last = int(named[1]), min(int(named[2]), info.size - 1) if named[2] else info.size - 1
    if named[2] and int(named[2]) < first:
        return 0, info.size - 1, False  # not a valid range: ignored
    return first, last, True


_STATUS: tuple[tuple[type[TilesError], int, str], ...] = (
    (RequestRefused, 403, "AccessDenied"),
    (ObjectMissing, 404, "NoSuchKey"),
    (ObjectCorrupt, 400, "BadDigest"),
    (InvalidContent, 400, "InvalidArgument"),
    (StoreUnavailable, 503, "ServiceUnavailable"),
)


def _error(error: TilesError) -> Answer:
    status, code = next(((status, code) for kind, status, code in _STATUS if isinstance(error, kind)), (500, "InternalError"))
    status = 507 if error.code == "store.full" else status
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(error.message)}</Message></Error>\n'.encode()
    )
    return Answer(status, {"Content-Type": "application/xml", "Content-Length": str(len(text)), "Cache-Control": "no-store"}, (text,))
