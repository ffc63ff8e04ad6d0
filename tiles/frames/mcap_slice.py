"""A slice of a recording: an MCAP file with the messages of one cell, every byte of them as it was.

Topic, schema, channel metadata, encoding, sequence, both times and payload stay; numbers of channels and schemas are new, since
recordings of several files are merged. Metadata go into each slice, an attachment into the one where it was recorded; what every slice
needs is repeated in it, marked and not counted (`tiles.frames.repeated`). Each ends with the attachment `trajectory.geojson`. Same content,
same bytes.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
from mcap.records import Attachment, Channel, Metadata
from mcap.writer import CompressionType, Writer

from tiles.batch import TILE_KEY, EncodedTile
from tiles.errors import InvalidContent
from tiles.footage.doubts import Unproven
from tiles.formats import Doubting, Recounted, one_by_one
from tiles.frames import repeated, ros_types
from tiles.frames.codec import FrameCounts, comparing
from tiles.frames.mcap_proof import SliceProof
from tiles.frames.mcap_scan import CHUNK_LIMIT, McapScan, Message
from tiles.frames.repeated import Latched, LatchedMessage
from tiles.frames.track import NAME

_CHUNK = 1 << 20


class Slice:
    """One slice while it is written. Between two calls nothing of it waits in memory and no file is open.

    Args:
        path: where to; must not exist yet.
        about: channels, metadata, profile and library of the recording (`Batch.meta["mcap"]`).
        latched: what was recorded before it that it needs too.
        with_silent: carry the channels that have no message in any cell too; one slice of a recording does.
        placing: what the slice states of the place of its source (`tiles.batch.PLACING`), as a metadata record of its own.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], latched: Latched, *, with_silent: bool, placing: Mapping[str, Any] | None = None
    ) -> None:
        self._file = _Appended(path)
        self._writer = Writer(self._file, chunk_size=_CHUNK, compression=CompressionType.ZSTD, enable_data_crcs=True)
        library = str(about.get("library", ""))
        self._writer.start(profile=str(about.get("profile", "")), library=f"mapex; {library}" if library else "mapex")
        for entry in about.get("metadata", ()):
            if placing and entry["name"] == TILE_KEY:
                continue  # a bought slice that is sold again states its place anew
            # A slice is recorded again: its own marks mean nothing here.
            is_taken = entry["name"] in (repeated.MESSAGES, repeated.ATTACHMENTS)
            self._writer.add_metadata(f"source of {entry['name']}" if is_taken else entry["name"], entry["metadata"])
        if placing:
            self._writer.add_metadata(TILE_KEY, {name: str(value) for name, value in sorted(placing.items())})
        self._channels = _Channels(self._writer, about.get("channels", ()))
        for number in about.get("silent", ()) if with_silent else ():
            self._channels.of(number)
        self._waiting = latched.now()
        self._static = latched.static
        self._begin: int | None = None
        self._own: set[tuple[int | str, bytes]] = set()
        self._repeated: Counter[str] = Counter()
        self._file.flush()  # many are opened before the first gets a row

    def add(self, table: pa.Table) -> None:
        """Append rows (columns of `ingest.readers.mcap`) in their order."""
        names = ("channel", "t_ns", "publish_ns", "seq", "name", "media_type", "create_ns")
        columns = [table.column(column).to_pylist() for column in names]
        payloads = (value.as_py() for chunk in table.column("payload").chunks for value in chunk)
        for payload, channel, log_time, publish_time, sequence, name, media_type, create_ns in zip(payloads, *columns, strict=True):
            if channel < 0:
                self._own.add((name or "", sha256(payload).digest()))
                self._writer.add_attachment(create_ns or 0, log_time, name or "", media_type or "", payload)
            else:
                if self._begin is None:
                    self._begin = log_time
                    self._repeat(self._waiting)
                    self._waiting = []
                if channel in self._static:
                    self._own.add((channel, sha256(payload).digest()))
                self._writer.add_message(self._channels.of(channel), log_time, payload, publish_time, sequence)
        self._writer.flush()  # type: ignore[no-untyped-call]

    def _repeat(self, messages: Iterable[LatchedMessage]) -> None:
        """Write what the slice does not hold yet, a moment before its first message, so that a player has it when it begins."""
        for message in messages:
            if message.key in self._own:
                continue
            begin = message.publish_ns if self._begin is None else self._begin
            number = self._channels.of(message.channel)
            self._writer.add_message(number, max(0, begin - 1), message.payload, message.publish_ns, message.sequence)
            self._own.add(message.key)
            self._repeated[str(self._channels.records[message.channel]["topic"])] += 1

    def finish(self, trajectory: bytes, latched: Latched) -> None:
        """Write what the slice needs and was recorded after it began, the trajectory (GeoJSON), summary and footer."""
        self._repeat([*self._waiting, *latched.statics()])
        names: Counter[str] = Counter()
        for one in latched.attachments():
            if one.key not in self._own:
                self._writer.add_attachment(one.create_ns, one.log_ns, one.name, one.media_type, one.payload)
                names[one.name] += 1
        for mark, counts in ((repeated.MESSAGES, self._repeated), (repeated.ATTACHMENTS, names)):
            if counts:
                self._writer.add_metadata(mark, {name: str(count) for name, count in sorted(counts.items())})
        self._writer.add_attachment(0, 0, NAME, "application/geo+json", trajectory)
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._file.flush()


class _Appended(io.BytesIO):
    """A file that is open only while it is flushed, so that a recording may cross more cells than files can be open."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._written = path, 0
        path.touch(exist_ok=False)

    def tell(self) -> int:
        """Bytes written so far, flushed or not."""
        return self._written + super().tell()

    def flush(self) -> None:
        """Append what waits to the file."""
        with self._path.open("ab") as stream:
            stream.write(self.getbuffer())
        self._written += super().tell()
        self.seek(0)
        self.truncate()


@lru_cache(maxsize=1024)
def _definition(data: str) -> bytes:
    """The bytes of a definition: one copy for all slices, which keep it until they are finished."""
    return base64.b64decode(data)


class _Channels:
    """Channels and schemas of a slice, registered when they are first needed."""

    def __init__(self, writer: Writer, records: Sequence[Mapping[str, Any]]) -> None:
        self.writer, self.records = writer, records
        self.known: dict[int, int] = {}
        self.schemas: dict[tuple[str, str, str], int] = {}

    def of(self, number: int) -> int:
        """The slice's own id of a channel of the recording."""
        if number not in self.known:
            record = self.records[number]
            schema = record["schema"]
            self.known[number] = self.writer.register_channel(
                record["topic"], record["encoding"], 0 if schema is None else self._schema(schema), record["metadata"]
            )
        return self.known[number]

    def _schema(self, schema: Mapping[str, str]) -> int:
        key = schema["name"], schema["encoding"], schema["data"]
        if key not in self.schemas:
            self.schemas[key] = self.writer.register_schema(schema["name"], schema["encoding"], _definition(schema["data"]))
        return self.schemas[key]


def count(path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None) -> FrameCounts:
    """Records and frames in a slice but for those that are repeated in it, and its trajectory; `doubts` as in `tiles.formats.Codec`.

    Raises: InvalidContent: damaged, or without a trajectory at its end.
    """
    with path.open("rb") as stream:
        scan = McapScan(stream, record_limit=CHUNK_LIMIT)
        proof = SliceProof(scan) if doubts is not None else None
        frames, attachments, again = 0, 0, 0
        last: Attachment | None = None
        counts: dict[int, bool] = {}
        for item in scan.items():
            if proof is not None:
                proof.take(item)
            if isinstance(item, Message):
                frames += counts[item.channel_id]
            elif isinstance(item, Channel):
                schema = scan.schema_of(item)
                counts[item.id] = schema is not None and ros_types.is_frame(schema.name)
            elif isinstance(item, Attachment):
                attachments += 1
                last = item
            elif isinstance(item, Metadata):
                again += _repeats(item, tile)
    wrong = scan.fault or "; ".join(scan.damaged[:3]) or ("messages without a channel" if scan.orphans else "")
    if wrong or scan.claimed != scan.messages or last is None or last.name != NAME:
        raise InvalidContent(f"{tile.path} is damaged: {wrong or 'its counts or its trajectory are missing'}.", code="tile.damaged")
    if proof is not None and doubts is not None:
        doubts += proof.doubts()
    return FrameCounts(scan.messages + attachments - 1 - again, frames, last.data)


def repeats(item: Metadata) -> Mapping[str, int]:
    """How often each topic or attachment is repeated in a slice, as one of its metadata records says; of other records nothing.

    Raises: ValueError: not numbers.
    """
    if item.name not in (repeated.MESSAGES, repeated.ATTACHMENTS):
        return {}
    if not all(value.isdecimal() for value in item.metadata.values()):
        raise ValueError(f"{item.name} counts something else than messages")
    return {name: int(value) for name, value in item.metadata.items()}


def _repeats(item: Metadata, tile: EncodedTile) -> int:
    try:
        return sum(repeats(item).values())
    except ValueError as why:
        raise InvalidContent(f"{tile.path} is damaged: {why}.", code="tile.damaged") from why


def recount_each(stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None) -> Iterator[Recounted]:
    """See `tiles.formats.Codec`."""
    return one_by_one(comparing(count), stored, doubt)
