"""A slice of a recording: an MCAP file with the messages of one cell, every byte of them as it was.

Topic, schema, channel metadata, encoding, sequence, both times and payload stay; numbers of channels and schemas are new, since
recordings of several files are merged. Metadata go into each slice, an attachment into the one where it was recorded, and each slice
ends with the attachment `trajectory.geojson`. Same content, same bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from mcap.records import Attachment, Channel
from mcap.writer import CompressionType, Writer

from tiles import ros_types
from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.frames_track import NAME
from tiles.mcap_scan import CHUNK_LIMIT, McapScan, Message

MEDIA_TYPE = "application/x-mcap"
ENDING = "mcap"
_CHUNK = 1 << 20


def write(stream: BinaryIO, tables: Iterable[pa.Table], about: Mapping[str, Any], *, silent: Sequence[int], trajectory: bytes) -> None:
    """Write one slice.

    Args:
        stream: where to.
        tables: rows of the cell in the order of the recording (columns of `ingest.readers.mcap`).
        about: channels, metadata, profile and library of the recording.
        silent: channels without a message in any cell, which this slice shall carry.
        trajectory: GeoJSON of the way.
    """
    writer = Writer(stream, chunk_size=_CHUNK, compression=CompressionType.ZSTD, enable_data_crcs=True)
    library = str(about.get("library", ""))
    writer.start(profile=str(about.get("profile", "")), library=f"mapex; {library}" if library else "mapex")
    for entry in about.get("metadata", ()):
        writer.add_metadata(entry["name"], entry["metadata"])
    channels = _Channels(writer, about.get("channels", ()))
    for number in silent:
        channels.of(number)
    for table in tables:
        names = ("channel", "t_ns", "publish_ns", "seq", "payload", "name", "media_type", "create_ns")
        for channel, log_time, publish_time, sequence, payload, name, media_type, create_ns in zip(
            *(table.column(column).to_pylist() for column in names), strict=True
        ):
            if channel < 0:
                writer.add_attachment(create_ns or 0, log_time, name or "", media_type or "", payload)
            else:
                writer.add_message(channels.of(channel), log_time, payload, publish_time, sequence)
    writer.add_attachment(0, 0, NAME, "application/geo+json", trajectory)
    writer.finish()


class _Channels:
    """Channels and schemas of a slice, registered when they are first needed."""

    def __init__(self, writer: Writer, records: Sequence[Mapping[str, Any]]) -> None:
        self.writer, self.records = writer, records
        self.known: dict[int, int] = {}
        self.schemas: dict[str, int] = {}

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
        key = json.dumps(schema)
        if key not in self.schemas:
            self.schemas[key] = self.writer.register_schema(schema["name"], schema["encoding"], base64.b64decode(schema["data"]))
        return self.schemas[key]


def recount(path: Path, tile: EncodedTile) -> tuple[int, int, bytes]:
    """Records and frames in a slice, and its trajectory.

    Raises: InvalidContent: damaged, or without a trajectory at its end.
    """
    with path.open("rb") as stream:
        scan = McapScan(stream, record_limit=CHUNK_LIMIT)
        frames, attachments = 0, 0
        last: Attachment | None = None
        counts: dict[int, bool] = {}
        for item in scan.items():
            if isinstance(item, Message):
                frames += counts[item.channel_id]
            elif isinstance(item, Channel):
                schema = scan.schema_of(item)
                counts[item.id] = schema is not None and ros_types.is_frame(schema.name)
            elif isinstance(item, Attachment):
                attachments += 1
                last = item
    wrong = scan.fault or "; ".join(scan.damaged[:3]) or ("messages without a channel" if scan.orphans else "")
    if wrong or scan.claimed != scan.messages or last is None or last.name != NAME:
        raise InvalidContent(f"{tile.path} is damaged: {wrong or 'its counts or its trajectory are missing'}.", code="tile.damaged")
    return scan.messages + attachments - 1, frames, last.data
