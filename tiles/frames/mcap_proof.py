"""The records of an MCAP scan to the proof that none of them is a picture (`tiles.footage.recording`)."""

from __future__ import annotations

from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Header, Metadata, Schema

from tiles.footage.doubts import Unproven
from tiles.footage.recording import RecordingProof
from tiles.frames.mcap_scan import BEHIND, Item, McapScan, Message

_INDEXES = frozenset(
    {
        Opcode.FOOTER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE_INDEX, Opcode.CHUNK_INDEX, Opcode.ATTACHMENT_INDEX, Opcode.STATISTICS,
        Opcode.METADATA_INDEX, Opcode.SUMMARY_OFFSET,
    }
)  # fmt: skip
"""Records that are not given out by a scan, and that a file may have."""


def brought(schema: Schema | None) -> tuple[str, str, bytes] | None:
    """Name, encoding and definition of a schema."""
    return None if schema is None else (schema.name, schema.encoding, schema.data)


class SliceProof:
    """Takes every item of one scan in, and what the scan does not give out."""

    def __init__(self, scan: McapScan) -> None:
        self._scan, self._proof = scan, RecordingProof()
        scan.other = self._other

    def take(self, item: Item) -> None:
        """Take an item in."""
        if isinstance(item, Message):
            self._proof.message(item.channel_id, item.data)
        elif isinstance(item, Channel):
            self._proof.channel(item.id, item.topic, item.message_encoding, brought(self._scan.schema_of(item)), item.metadata)
        elif isinstance(item, Attachment):
            self._proof.attachment(item.name, item.media_type, item.data)
        elif isinstance(item, Metadata):
            self._proof.metadata(item.name, item.metadata)
        elif isinstance(item, Header):
            self._proof.metadata("header", {item.profile: item.library})

    def doubts(self) -> list[Unproven]:
        """What cannot be proven."""
        return self._proof.doubts()

    def _other(self, kind: int, data: bytes) -> None:
        if kind == BEHIND:
            self._proof.doubt("end of the file", f"{len(data)} bytes stand behind what belongs to it")
        elif kind not in _INDEXES:
            self._proof.doubt(f"record {kind}", "it is of a kind that is not known")
        else:
            self._proof.other("index", data)
