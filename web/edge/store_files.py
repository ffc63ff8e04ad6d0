"""The directory store over HTTP: signed URLs of the same shape and with the same checks as those of S3.

GET and HEAD of `data` with ranges and conditions (RFC 9110), PUT of one part into `staging`. The signature in the URL is the
authorisation; a URL signed for GET also answers HEAD, which reveals less.
"""

from __future__ import annotations

import base64
import binascii
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import BinaryIO, cast
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import flask
from werkzeug import Request, Response
from werkzeug.datastructures import ContentRange, Range
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import is_resource_modified

from mapex.errors import Unavailable
from mapex.exchange import Exchange
from mapex.rights import served
from mapex.times import NS
from tiles.errors import InvalidContent, ObjectCorrupt, ObjectMissing, RequestRefused, StoreUnavailable, TilesError
from tiles.store.directory import DirectoryStore
from tiles.store.protocol import Bucket, ObjectInfo
from tiles.store.signing import signer_of, verify
from web.edge.policy import policy

log = logging.getLogger(__name__)

LONGEST_PART = 5 << 30
"""Bytes in one part, as on S3; the signature binds the true length."""

ENDPOINT = "store.serve"

RETRY_AFTER = "5"
"""Seconds after which a store that is away may be asked again."""

_ERRORS: tuple[tuple[type[TilesError], int, str], ...] = (
    (RequestRefused, 403, "AccessDenied"),
    (ObjectMissing, 404, "NoSuchKey"),
    (ObjectCorrupt, 400, "BadDigest"),
    (InvalidContent, 400, "InvalidArgument"),
    (StoreUnavailable, 503, "ServiceUnavailable"),
)
"""Status and the word of S3 for each kind of error."""


def blueprint(ex: Exchange, store: DirectoryStore, is_wanted: Callable[[str], bool]) -> flask.Blueprint:
    """Routes that serve a directory store below `/store`; a MinIO store needs none. What was read to its end is written down.

    Args:
        is_wanted: whether a signer that is not the store itself was not retired; asked at each request.
    """
    routes = flask.Blueprint("store", __name__, url_prefix="/store")
    # A thread of its own: the one that sends files to everybody must not wait for the database.
    notes = ThreadPoolExecutor(1, thread_name_prefix="served")

    @routes.route("/<area>/<path:key>", methods=["GET", "HEAD", "PUT"])
    @policy("public")
    def serve(area: str, key: str) -> Response:
        """Answer one signed request."""
        flask.request.max_content_length = LONGEST_PART
        return answer(store, flask.request, area, key, is_wanted=is_wanted, read=lambda grant: notes.submit(_note_read, ex, grant))

    return routes


def answer(
    store: DirectoryStore, request: Request, area: str, key: str, *, is_wanted: Callable[[str], bool], read: Callable[[str], object]
) -> Response:
    """The response to one request below the store's URL; never raises for what the request contains.

    Args:
        store: whose objects and whose secret.
        request: its body is read only after the signature was found genuine, and no further than its length.
        area: first segment of the path below the store's URL.
        key: the rest of the path, decoded.
        is_wanted: see `blueprint`.
        read: called with the grant once the last byte of its object went out.
    """
    try:
        parameters = _verified(store, request, f"{store.base}/{area}/{key}")
        _refuse_retired(store, request, is_wanted)
        if request.method == "PUT" and area == Bucket.STAGING:
            return _put(store, request, key, parameters)
        if request.method in ("GET", "HEAD") and area == Bucket.DATA and "x-mapex-grant" in parameters:
            return _get(store, request, key, parameters, read)
        raise RequestRefused("This is not what the store serves.", reason="method")
    except TilesError as error:
        status, code = next(((status, code) for kind, status, code in _ERRORS if isinstance(error, kind)), (500, "InternalError"))
        if error.code == "store.full":
            return _refusal(507, code, error.message, {})
        return _refusal(status, code, error.message, {"Retry-After": RETRY_AFTER} if status == 503 else {})  # noqa: PLR2004
    except RequestedRangeNotSatisfiable as error:
        return _refusal(416, "InvalidRange", "The range asked for cannot be read, or is outside of the object.", dict(error.get_headers()))


def longest_body(store: DirectoryStore, request: Request, area: str, key: str) -> int:
    """Bytes that may follow the headers of a request: the length that its signature binds; none where it is not genuine."""
    try:
        _verified(store, request, f"{store.base}/{area}/{key}")
    except TilesError:
        return 0
    is_part = request.method == "PUT" and area == Bucket.STAGING
    return min(request.content_length or 0, LONGEST_PART) if is_part else 0


def _verified(store: DirectoryStore, request: Request, path: str) -> dict[str, str]:
    # The host of the settings is checked, not the one received: a proxy that rewrites `Host` breaks nothing, and the key is ours alone.
    host, query, now_s = urlsplit(store.origin).netloc, request.query_string.decode("ascii", "replace"), store.now() / NS
    headers = dict(request.headers)
    # Only downloads are signed by those that can be retired.
    keys = store.credentials if request.method == "PUT" else store.credentials_of(signer_of(query))
    try:
        return verify(request.method, host, path, query, headers, credentials=keys, now_s=now_s)
    except RequestRefused:
        if request.method != "HEAD":
            raise
        return verify("GET", host, path, query, headers, credentials=keys, now_s=now_s)


def _refuse_retired(store: DirectoryStore, request: Request, is_wanted: Callable[[str], bool]) -> None:
    """After the signature was found genuine: nobody makes us ask the database with an address of their own making."""
    signer = signer_of(request.query_string.decode("ascii", "replace"))
    if signer != store.credentials.access_key and not is_wanted(signer):
        raise RequestRefused("What this address was given for has ended; ask for a new one.", reason="retired")


def _put(store: DirectoryStore, request: Request, key: str, parameters: dict[str, str]) -> Response:
    try:
        sha256 = base64.b64decode(request.headers["x-amz-checksum-sha256"], validate=True).hex()
        number, size, upload_id = int(parameters["partNumber"]), int(request.headers["content-length"]), parameters["uploadId"]
    except (KeyError, ValueError, binascii.Error) as error:
        raise RequestRefused("Only parts of an upload with a bound length and checksum are taken.", reason="unbound") from error
    part = store.receive_part(key, upload_id, number, cast(BinaryIO, request.stream), size=size, sha256=sha256)
    taken = Response()
    taken.set_etag(part.etag)
    return taken


def _get(store: DirectoryStore, request: Request, key: str, parameters: dict[str, str], read: Callable[[str], object]) -> Response:
    info = store.stat(Bucket.DATA, key)
    if info is None:
        raise ObjectMissing(f"No object {key}.", key=key)
    found = _described(info, parameters.get("response-content-disposition", "attachment"))
    if found.make_conditional(request).status_code != 200:  # noqa: PLR2004
        return found
    start, stop = 0, info.size
    if "Range" in request.headers and _is_unchanged(found, request):
        part = _part(request.range, info.size)
        if part is not None:
            start, stop = part
            found.status_code = 206
            found.content_range = ContentRange("bytes", start, stop, info.size)
    found.content_length = stop - start
    if request.method == "GET":
        sent = functools.partial(read, parameters["x-mapex-grant"]) if stop == info.size else None
        found.response = _sent(store, request, key, (start, stop), sent)
    return found


def _sent(store: DirectoryStore, request: Request, key: str, part: tuple[int, int], sent: Callable[[], object] | None) -> Iterable[bytes]:
    """Bytes of an object as they are read, which costs no memory; by the server itself, where it can send a file beside its threads.

    `sent` is called when the last of them is with the network.
    """
    start, stop = part
    wrapper: Callable[[BinaryIO], Iterable[bytes]] | None = request.environ.get("wsgi.file_wrapper")
    if wrapper is None or start == stop:
        pieces = store.read(Bucket.DATA, key, offset=start, length=stop - start)
        return pieces if sent is None else _noted(pieces, sent)
    stream = store.open(Bucket.DATA, key)
    stream.seek(start)
    return wrapper(stream if sent is None else cast(BinaryIO, _Noted(stream, stop, sent)))  # no further than the length (PEP 3333)


def _noted(pieces: Iterator[bytes], sent: Callable[[], object]) -> Iterator[bytes]:
    """The pieces; the server that comes back for more after the last has given all of them to the network."""
    yield from pieces
    sent()


class _Noted:
    """A file that a server sends: where it stands when it is closed tells whether all of it went out."""

    def __init__(self, stream: BinaryIO, stop: int, sent: Callable[[], object]) -> None:
        self._stream, self._stop, self._sent = stream, stop, sent
        self.read, self.seek, self.tell = stream.read, stream.seek, stream.tell

    def close(self) -> None:
        """Close the file, once."""
        if not self._stream.closed:
            is_whole = self._stream.tell() >= self._stop
            self._stream.close()
            if is_whole:
                self._sent()


def _note_read(ex: Exchange, grant_id: str) -> None:
    try:
        served.record(ex, grant_id)
    except Unavailable as error:
        # The reader has the file, and the grant is in the log. What is lost is one line of the order's page.
        log.warning("That %s was read could not be written down: %s", grant_id, error)


def _described(info: ObjectInfo, disposition: str) -> Response:
    """The response without the bytes."""
    described = Response(content_type="application/octet-stream", direct_passthrough=True)
    described.set_etag(f"{info.modified_ns:x}-{info.size:x}")
    described.last_modified = datetime.fromtimestamp(info.modified_ns // NS, UTC)
    described.accept_ranges = "bytes"
    described.headers["Content-Disposition"] = disposition
    described.headers["Cache-Control"] = "private, no-store"
    described.headers["X-Content-Type-Options"] = "nosniff"
    return described


def _is_unchanged(found: Response, request: Request) -> bool:
    """Whether `If-Range` names this object, or is absent."""
    tag, changed = found.headers["ETag"], found.last_modified
    return "If-Range" not in request.headers or not is_resource_modified(request.environ, tag, last_modified=changed, ignore_if_range=False)


def _part(asked: Range | None, size: int) -> tuple[int, int] | None:
    """First byte and end of the part asked for; None for several parts or another unit, which are answered whole (RFC 9110, 14.2).

    Raises: RequestedRangeNotSatisfiable: the range cannot be read, or is outside of the object.
    """
    if asked is None:
        raise RequestedRangeNotSatisfiable(size)
    if asked.units != "bytes" or len(asked.ranges) > 1:
        return None
    [(start, stop)] = asked.ranges
    # The last bytes of an object that has fewer are all of it (RFC 9110, 14.1.2); werkzeug would find none.
    part = Range("bytes", [(max(start, -size), stop)]).range_for_length(size)
    if part is None:
        raise RequestedRangeNotSatisfiable(size)
    return part


def _refusal(status: int, code: str, message: str, headers: Mapping[str, str]) -> Response:
    """An error in the form of S3."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>\n'
    return Response(text, status, {"Cache-Control": "no-store", **headers}, content_type="application/xml")
