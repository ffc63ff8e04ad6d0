"""Uploads: bytes go from the client straight to the store, part by part; the exchange only signs, counts and joins.

Each part's length and sha256 are bound by its signature. A client that was killed asks which parts arrived and sends the rest.
The sha256 of the whole is what the worker finds; what the client promised is compared there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from mapex import authority, ids
from mapex.audit import log
from mapex.database import db, failpoints, schema
from mapex.database.acts import act
from mapex.errors import Conflict, Invalid, NotFound, Unavailable
from mapex.exchange import Actor, Exchange
from mapex.intake.staged import remove_unneeded
from mapex.texts import check_text
from mapex.times import DAY_NS
from tiles.errors import ObjectMissing, StoreUnavailable
from tiles.store.folder import has_room
from tiles.store.protocol import Bucket, SignedRequest, UploadPart

MOST_PARTS = 10_000
"""S3 joins no more parts than this; `part_size` grows for larger files."""

PARTS_A_CALL = 1000
PART_SECONDS = 3600
"""Life of a part's address: long enough for 64 MiB over a slow line."""

STALE_DAYS = 7
MOST_STAGED = 100_000
"""Files that one organisation may have staged at a time; a version takes 5,000."""

MIB = 1024 * 1024
MAX_NAME = 1000

GONE = ("aborted", "removed")
"""States of an upload of which nothing is left in the store."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way. `part_size` is in bytes, the last part is shorter; `name` is the uploader's, a relative path for folders."""

    id: str
    org_id: str
    person_id: str
    name: str
    size: int
    sha256: str | None
    part_size: int
    store_key: str
    store_upload_id: str
    state: str  # open | complete | aborted | removed (its version is made; the staged file is gone)
    created_ns: int
    completed_ns: int | None

    @property
    def parts(self) -> int:
        """Number of parts; they count from 1."""
        return -(-self.size // self.part_size)

    def size_of(self, number: int) -> int:
        """Bytes of part `number`."""
        return self.part_size if number < self.parts else self.size - self.part_size * (self.parts - 1)


@dataclass(frozen=True, slots=True)
class PartRequest:
    """A part that a client is about to send: number (from 1), size in bytes, sha256 in hex."""

    number: int
    size: int
    sha256: str


def stage(ex: Exchange, by: Actor, name: str, size: int, sha256: str | None = None) -> Upload:
    """Begin an upload; one of the same name, size and sha256 that the organisation began before is gone on with.

    So a client that was killed remembers nothing: it asks again, and sends what has not arrived.

    Raises: Denied, Invalid (`upload.empty`, `upload.too_large`, `upload.name`, `upload.sha256`), Unavailable (`store.full`,
        `store.unavailable`), Conflict (`upload.quota`).
    """
    org_id = authority.member(by)
    name = check_name(name)
    _check_size(ex, name, size)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise Invalid("upload.sha256", "`sha256` must be 64 hexadecimal digits in lower case.", sha256=str(sha256)[:80])
    known = _known(ex, by, name, size, sha256)
    if known is not None:
        return known
    _check_room(ex, size)
    with db.read(ex) as conn:
        _check_staged(conn, ex, org_id, size)
    upload_id = ids.new("upl")
    key = f"{org_id}/{upload_id}"
    smallest = -(-size // MOST_PARTS)
    row = {
        "id": upload_id,
        "org_id": org_id,
        "person_id": by.person_id,
        "name": name,
        "size": size,
        "sha256": sha256,
        "part_size": max(ex.settings.part_size, -(-smallest // MIB) * MIB if smallest > ex.settings.part_size else 0),
        "store_key": key,
        "store_upload_id": _store(ex.store.begin_upload, key),
        "state": "open",
        "created_ns": ex.now(),
    }
    with act(ex, by, f"uploads:{org_id}") as conn:
        _check_staged(conn, ex, org_id, size)
        conn.execute(insert(schema.upload).values(**row))
        entry = log.AuditEntry(log.Action.UPLOAD_STAGED, owner=by.org_slug, details={"upload": upload_id, "name": name, "size": size})
        log.append(conn, ex, by, entry)
        return _find(conn, by, upload_id)


def get(ex: Exchange, by: Actor, upload_id: str) -> Upload:
    """An upload of the own organisation.

    Raises: NotFound: absent or foreign.
    """
    with db.read(ex) as conn:
        return _find(conn, by, upload_id)


def sign_parts(ex: Exchange, by: Actor, upload_id: str, parts: Sequence[PartRequest]) -> Sequence[SignedRequest]:
    """For each part the request that sends it; valid for an hour, for exactly these bytes.

    Raises: NotFound, Denied, Conflict (`upload.closed`), Invalid (`upload.parts`, `upload.part`).
    """
    authority.member(by)
    upload = _open(get(ex, by, upload_id))
    if not 1 <= len(parts) <= PARTS_A_CALL:
        raise Invalid("upload.parts", f"Ask for 1 to {PARTS_A_CALL} parts at a time, not {len(parts)}.", parts=len(parts))
    for part in parts:
        if not 1 <= part.number <= upload.parts:
            raise Invalid("upload.part", f"{upload.name} has parts 1 to {upload.parts}, not {part.number}.", number=part.number)
        if part.size != upload.size_of(part.number):
            message = f"Part {part.number} has {upload.size_of(part.number)} bytes, not {part.size}."
            raise Invalid("upload.part", message, number=part.number, size=part.size)
        if not _SHA256.fullmatch(part.sha256):
            raise Invalid(
                "upload.part", f"The sha256 of part {part.number} must be 64 hexadecimal digits in lower case.", number=part.number
            )
    key, store_id = upload.store_key, upload.store_upload_id
    return [ex.store.presign_part(key, store_id, p.number, size=p.size, sha256=p.sha256, expires_s=PART_SECONDS) for p in parts]


def received(ex: Exchange, by: Actor, upload_id: str) -> Sequence[UploadPart]:
    """The parts that arrived so far, by number; all of them once the upload is complete.

    Raises: NotFound, Unavailable.
    """
    upload = get(ex, by, upload_id)
    everything = [UploadPart(number, upload.size_of(number), "") for number in range(1, upload.parts + 1)]
    if upload.state == "complete":
        return everything
    if upload.state in GONE:
        return []
    try:
        arrived: Sequence[UploadPart] = _store(ex.store.parts, upload.store_key, upload.store_upload_id)
        return arrived
    except ObjectMissing:  # joined already by a call that died before it could answer: there is nothing to send, only to complete
        return everything if _store(ex.store.is_staged, upload.store_key, upload.size) else []


def complete(ex: Exchange, by: Actor, upload_id: str) -> Upload:
    """Join the parts. Called again, also after a crash in between, it answers the same.

    Raises: NotFound, Denied, Conflict (`upload.incomplete` with the missing numbers, `upload.closed`, `upload.lost`), Unavailable.
    """
    authority.member(by)
    upload = get(ex, by, upload_id)
    if upload.state == "complete":
        return upload
    _open(upload)
    _join(ex, upload)
    failpoints.hit("upload.after_join")
    with act(ex, by) as conn:
        uploads = schema.upload.c
        mine = update(schema.upload).where(uploads.id == upload_id, uploads.state == "open")
        if conn.execute(mine.values(state="complete", completed_ns=ex.now())).rowcount == 1:
            about: dict[str, Any] = {"upload": upload_id, "name": upload.name, "size": upload.size}
            log.append(conn, ex, by, log.AuditEntry(log.Action.UPLOAD_COMPLETED, owner=by.org_slug, details=about))
        return _find(conn, by, upload_id)


def abort(ex: Exchange, by: Actor, upload_id: str) -> None:
    """Forget an open upload and its parts; aborted before, nothing changes.

    Raises: NotFound, Denied, Conflict (`upload.closed`): complete ones stay.
    """
    authority.member(by)
    upload = get(ex, by, upload_id)
    if upload.state in GONE:
        return
    _open(upload)
    with act(ex, by) as conn:
        _set_aborted(conn, ex, by, upload, by.org_slug)
    _forget(ex, upload)


def sweep(ex: Exchange) -> int:
    """Abort uploads that nobody finished for a week, and remove staged files that no version waits for; returns how many.

    A file is kept while a version that uses it is being ingested, and for `staged.WAITING_DAYS` while one waits for its seller.
    """
    before_ns = ex.now() - STALE_DAYS * DAY_NS
    return _abort_stale(ex, before_ns) + remove_unneeded(ex, schema.upload.c.completed_ns < before_ns)


def _abort_stale(ex: Exchange, before_ns: int) -> int:
    uploads = schema.upload.c
    query = select(schema.upload, schema.organisation.c.slug.label("org")).join(
        schema.organisation, schema.organisation.c.id == uploads.org_id
    )
    with db.read(ex) as conn:
        found = conn.execute(query.where(uploads.state == "open", uploads.created_ns < before_ns)).mappings().all()
    for line in found:
        upload = _upload(line)
        with db.begin(ex) as conn:
            _set_aborted(conn, ex, None, upload, line["org"])
        _forget(ex, upload)
    return len(found)


def check_name(name: str) -> str:
    """The name of a file, or its relative path in a folder, as it may be stored and shown.

    Raises: Invalid (`upload.name`): empty, too long, absolute, with `..`, a backslash or control characters.
    """
    try:
        text = check_text(name, "name", MAX_NAME)
    except Invalid as error:
        raise Invalid("upload.name", error.message) from error
    segments = text.split("/")
    if any(segment in ("", ".", "..") or len(segment.encode()) > 255 for segment in segments) or "\\" in text or "\n" in text:
        raise Invalid("upload.name", f"{text[:80]!r} must be a file name or a relative path with `/`, without `..`.", name=text[:80])
    return text


def _known(ex: Exchange, by: Actor, name: str, size: int, sha256: str | None) -> Upload | None:
    """An earlier upload that promised the same bytes, and whose parts or object are still there."""
    if sha256 is None:
        return None
    uploads = schema.upload.c
    same = (uploads.org_id == by.org_id, uploads.name == name, uploads.size == size, uploads.sha256 == sha256, uploads.state.not_in(GONE))
    with db.read(ex) as conn:
        found = [_upload(line) for line in conn.execute(select(schema.upload).where(*same).order_by(uploads.created_ns.desc())).mappings()]
    for upload in found:
        if upload.state == "open":
            with suppress(ObjectMissing):
                _store(ex.store.parts, upload.store_key, upload.store_upload_id)
                return upload
        if _store(ex.store.is_staged, upload.store_key, size):
            return upload
    return None


def _check_size(ex: Exchange, name: str, size: int) -> None:
    if size < 1:
        raise Invalid("upload.empty", f"{name} is empty; there is nothing to upload.", name=name)
    if size > ex.settings.max_upload_bytes:
        message = f"{name} has {size} bytes; at most {ex.settings.max_upload_bytes} are taken. Split it, or ask the operator."
        raise Invalid("upload.too_large", message, name=name, size=size, limit=ex.settings.max_upload_bytes)


def _check_staged(conn: Connection, ex: Exchange, org_id: str, size: int) -> None:
    """Pass when the organisation may have one more file of so many bytes staged."""
    uploads = schema.upload.c
    query = select(func.count(), func.coalesce(func.sum(uploads.size), 0))
    files, staged = conn.execute(query.where(uploads.org_id == org_id, uploads.state.not_in(GONE))).one()
    most = ex.settings.max_staged_bytes
    if files >= MOST_STAGED or staged + size > most:
        message = (
            f"{files} files of {staged} bytes wait here already, of at most {MOST_STAGED} files and {most} bytes for one organisation. "
            f"Make versions of them, or abort what is not needed; what nobody uses goes away after {STALE_DAYS} days."
        )
        raise Conflict("upload.quota", message, files=files, bytes=int(staged), limit=most)


def _forget(ex: Exchange, upload: Upload) -> None:
    """Remove whatever the store has of an upload: its parts, and the file that a call joined and died before it could answer."""
    _store(ex.store.abort_upload, upload.store_key, upload.store_upload_id)
    _store(ex.store.delete, Bucket.STAGING, upload.store_key)


def _check_room(ex: Exchange, size: int) -> None:
    # Parts are beside the joined file for a moment.
    if ex.settings.store == "directory" and not has_room(ex.settings.store_dir, 2 * size):
        raise Unavailable(
            "store.full", f"The disk of the store has no room for {size} bytes; nothing was changed. Ask the operator for room.", size=size
        )


def _join(ex: Exchange, upload: Upload) -> None:
    """Have the store join the parts, and be sure that the joined object has the promised size."""
    try:
        parts = _store(ex.store.parts, upload.store_key, upload.store_upload_id)
    except ObjectMissing:
        _check_joined(ex, upload)  # an earlier call joined them and died before it could answer
        return
    there = {part.number: part.size for part in parts}
    missing = [number for number in range(1, upload.parts + 1) if there.get(number) != upload.size_of(number)]
    if missing or len(there) != upload.parts:
        message = f"{len(missing)} of {upload.parts} parts of {upload.name} have not arrived; send them and complete again."
        raise Conflict("upload.incomplete", message, missing=missing[:PARTS_A_CALL])
    failpoints.hit("upload.before_join")
    with suppress(ObjectMissing):  # another call was faster
        _store(ex.store.complete_upload, upload.store_key, upload.store_upload_id)
    _check_joined(ex, upload)


def _check_joined(ex: Exchange, upload: Upload) -> None:
    if not _store(ex.store.is_staged, upload.store_key, upload.size):
        message = f"The store does not hold {upload.name} with its {upload.size} bytes; upload it again."
        raise Conflict("upload.lost", message, upload=upload.id)


def _open(upload: Upload) -> Upload:
    if upload.state != "open":
        raise Conflict("upload.closed", f"Upload {upload.id} is {upload.state}; begin a new one.", upload=upload.id, state=upload.state)
    return upload


def _set_aborted(conn: Connection, ex: Exchange, by: Actor | None, upload: Upload, owner: str) -> None:
    uploads = schema.upload.c
    if conn.execute(update(schema.upload).where(uploads.id == upload.id, uploads.state == "open").values(state="aborted")).rowcount == 1:
        log.append(conn, ex, by, log.AuditEntry(log.Action.UPLOAD_ABORTED, owner=owner, details={"upload": upload.id, "name": upload.name}))


def _store(call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except StoreUnavailable as error:
        raise Unavailable("store.unavailable", "The object store does not answer; nothing was changed, try again.") from error


def _find(conn: Connection, by: Actor, upload_id: str) -> Upload:
    row = conn.execute(select(schema.upload).where(schema.upload.c.id == upload_id)).mappings().first()
    if row is None or not (authority.sees_all(by) or row["org_id"] == by.org_id):
        raise NotFound("upload.unknown", "There is no such upload.")
    return _upload(row)


def _upload(row: RowMapping) -> Upload:
    return Upload(**{name: row[name] for name in Upload.__dataclass_fields__})
