"""Reading an MCAP file from front to back without believing it: bounded memory, checksums on, nothing lost in silence.

The summary at the end of a file is only compared, never followed, so a file whose writer died gives all that it holds. What does not
fit is kept in `McapScan`: damaged chunks are left out and counted, and a broken record ends the scan with a `fault`.
Source: https://mcap.dev/spec (version 0).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Header, Metadata, Schema, Statistics

from tiles import extras

MAGIC = b"\x89MCAP0\r\n"
BEHIND = -1
"""Kind of bytes that stand behind the end of what they belong to (`McapScan.other`)."""
RECORD_LIMIT = 64 << 20
"""Bytes of one record; a larger one is refused, whatever it is."""
CHUNK_LIMIT = 128 << 20
"""Bytes of an unpacked chunk. How far it grows is not limited: an empty grid map packs ten thousand times; the cage limits the sum."""

_MESSAGE = struct.Struct("<HIQQ")
_CHUNK = struct.Struct("<QQQII")
_RECORD = struct.Struct("<BQ")


class Message(NamedTuple):
    """One message as it stands in the file; times are nanoseconds of the recorder's clock. `data` looks into the chunk, uncopied."""

    channel_id: int
    sequence: int
    log_time: int
    publish_time: int
    data: memoryview


Item: TypeAlias = Header | Schema | Channel | Attachment | Metadata | Message


class Damage(list[str]):
    """What was left out, in order: some of it in words, as a file may be nothing but damage, and how much more there was."""

    MOST = 1000
    more = 0

    def append(self, text: str) -> None:
        """Take one in."""
        if len(self) < self.MOST:
            super().append(text)
        else:
            self.more += 1


class _DamageError(ValueError):
    """A record that is not what it claims to be."""


class _CutError(_DamageError):
    """A record in which the file ends; `opcode` and `body` are what is there of it."""

    def __init__(self, text: str, opcode: int, body: bytes) -> None:
        super().__init__(text)
        self.opcode, self.body = opcode, body


@dataclass(slots=True)
class McapScan:
    """What a scan has met. `messages` were given out; `orphans` name a channel that the file does not define and were not.

    `unusable` were read and could not be given out (`first_unusable` is one of them). `damaged` lists what was left out, in order; `fault`
    why the scan ended early, "" when the file ended as it should. `claimed` is the number of messages in the file's own statistics, None
    without them. `other` gets what is not given out: kind and bytes of indexes, of records that are not known here, and of what stands
    behind packed messages or behind the end.
    """

    stream: BinaryIO
    record_limit: int = RECORD_LIMIT
    messages: int = 0
    attachments: int = 0
    orphans: int = 0
    unusable: int = 0
    first_unusable: str = ""
    damaged: Damage = field(default_factory=Damage)
    fault: str = ""
    claimed: int | None = None
    other: Callable[[int, bytes], None] = lambda kind, data: None
    _schemas: dict[int, Schema] = field(default_factory=dict)
    _channels: dict[int, Channel] = field(default_factory=dict)

    def items(self) -> Iterator[Item]:
        """Header, schemas, channels, messages, attachments and metadata in file order; each definition before its first use."""
        if self.stream.read(len(MAGIC)) != MAGIC:
            self.fault = "The file does not begin like an MCAP file."
            return
        offset, crc = len(MAGIC), zlib.crc32(MAGIC)
        rest = b""
        try:
            while True:
                opcode, body, before = self._record(offset, crc)
                crc = zlib.crc32(body, zlib.crc32(_RECORD.pack(opcode, len(body)), crc))
                if opcode == Opcode.DATA_END:
                    self._end_of_data(body, before)
                    break
                yield from self._data(opcode, body, offset)
                offset += _RECORD.size + len(body)
            self._summary(offset + _RECORD.size + 4)
        except _DamageError as error:
            self.fault = str(error)
            rest = error.body if isinstance(error, _CutError) and error.opcode == Opcode.CHUNK else b""
        yield from self._cut_chunk(rest, offset)

    def _record(self, offset: int, crc: int = 0) -> tuple[int, bytes, int]:
        """The next record and the checksum of all before it."""
        head = self.stream.read(_RECORD.size)
        if len(head) < _RECORD.size:
            raise _DamageError(f"The file ends at byte {offset + len(head)} without a footer: its writer died, or it was cut.")
        opcode, length = _RECORD.unpack(head)
        if length > self.record_limit:
            raise _DamageError(f"The record at byte {offset} claims {length} bytes; at most {self.record_limit} are read.")
        body = self.stream.read(length)
        if len(body) < length:
            raise _CutError(f"The file ends inside the record at byte {offset}: its writer died, or it was cut.", opcode, body)
        return opcode, body, crc

    def _data(self, opcode: int, body: bytes, offset: int) -> Iterator[Item]:
        if opcode == Opcode.CHUNK:
            try:
                data = _chunk_data(body, self.other)
                for _ in _records(data):  # to its end first: of a chunk that is damaged nothing is given out, and a list takes gigabytes
                    pass
            except (_DamageError, struct.error) as error:
                self.damaged.append(f"chunk at byte {offset}: {error}")
                return
            for inner, view in _records(data):
                yield from self._leaf(inner, view, offset)
        else:
            yield from self._leaf(opcode, memoryview(body), offset)

    def _cut_chunk(self, body: bytes, offset: int) -> Iterator[Item]:
        """The whole records of a chunk in which the file ends; nothing contradicts them, as its checksum is for all of it."""
        try:
            for inner, view in _records(_as_far_as_it_goes(body)):
                yield from self._leaf(inner, view, offset)
        except (_DamageError, struct.error):
            return

    def _leaf(self, opcode: int, view: memoryview, offset: int) -> Iterator[Item]:
        try:
            if opcode == Opcode.MESSAGE:
                channel_id, sequence, log_time, publish_time = _MESSAGE.unpack_from(view)
                message = Message(channel_id, sequence, log_time, publish_time, view[_MESSAGE.size :])
                if message.channel_id in self._channels:
                    self.messages += 1
                    yield message
                else:
                    self.orphans += 1
            elif opcode in _PARSERS:
                item = _parse(opcode, view)
                if not self._is_known(item):
                    yield item
            else:
                self.other(opcode, bytes(view))
        except (_DamageError, struct.error, ValueError) as error:
            self.damaged.append(f"record at byte {offset}: {error}")

    def _is_known(self, item: Any) -> bool:
        """Remember definitions; each is given out once, though writers repeat them."""
        if isinstance(item, Schema):
            return self._schemas.setdefault(item.id, item) is not item
        if isinstance(item, Channel):
            if item.schema_id and item.schema_id not in self._schemas:
                raise _DamageError(f"channel {item.topic!r} names schema {item.schema_id}, which is not defined")
            return self._channels.setdefault(item.id, item) is not item
        self.attachments += isinstance(item, Attachment)
        return False

    def schema_of(self, channel: Channel) -> Schema | None:
        """The schema of a channel that was given out; None when it has none."""
        return self._schemas.get(channel.schema_id)

    def _end_of_data(self, body: bytes, crc: int) -> None:
        if len(body) < 4:
            raise _DamageError("The end of the data cannot be read.")
        (promised,) = struct.unpack_from("<I", body)
        if promised and promised != crc:
            self.damaged.append("the checksum of the whole data section does not fit")

    def _summary(self, offset: int) -> None:
        """Read on to the footer for the statistics; nothing else of it is used."""
        while True:
            opcode, body, _ = self._record(offset)
            offset += _RECORD.size + len(body)
            self.other(opcode, body)
            if opcode == Opcode.STATISTICS:
                try:
                    self.claimed = _read(Statistics, body, "STATISTICS").message_count
                except _DamageError as error:
                    self.damaged.append(f"statistics: {error}")
            if opcode == Opcode.FOOTER:
                if self.stream.read(len(MAGIC)) != MAGIC:
                    raise _DamageError("The file does not end like an MCAP file.")
                if behind := self.stream.read(self.record_limit):
                    self.other(BEHIND, behind)
                return


_PARSERS: dict[int, Any] = {
    Opcode.HEADER: Header,
    Opcode.SCHEMA: Schema,
    Opcode.CHANNEL: Channel,
    Opcode.ATTACHMENT: Attachment,
    Opcode.METADATA: Metadata,
}


def _parse(opcode: int, view: memoryview) -> Any:
    body = bytes(view)
    if opcode == Opcode.ATTACHMENT:
        (promised,) = struct.unpack_from("<I", body, len(body) - 4)
        if promised and promised != zlib.crc32(body[:-4]):
            raise _DamageError("an attachment whose checksum does not fit")
    item = _read(_PARSERS[opcode], body, Opcode(opcode).name)
    if isinstance(item, Attachment) and len(item.data) + 4 > len(body):
        raise _DamageError("an attachment that is longer than its record")
    return item


def _chunk_data(body: bytes, other: Callable[[int, bytes], None]) -> memoryview:
    """The records of a chunk, unpacked, after its size and checksum were found right."""
    _, _, size, crc, name_length = _CHUNK.unpack_from(body)
    at = _CHUNK.size + name_length + 8
    compression = body[_CHUNK.size : _CHUNK.size + name_length].decode("ascii", "replace")
    packed = memoryview(body)[at:]
    if size > CHUNK_LIMIT:
        raise _DamageError(f"claims to unpack from {len(packed)} to {size} bytes, which is refused")
    data, behind = _unpacked(compression, packed, size)
    if behind:
        other(BEHIND, behind)
    if len(data) != size:
        raise _DamageError(f"unpacks to another size than its {size} bytes")
    if crc and zlib.crc32(data) != crc:
        raise _DamageError("its checksum does not fit")
    return data


def _read(kind: Any, body: bytes, name: str) -> Any:
    """A record of mcap's. Raises: _DamageError."""
    try:
        return kind.read(ReadDataStream(BytesIO(body)))
    except Exception as error:
        # mcap raises whatever its arithmetic meets (struct.error, EndOfFile, UnicodeDecodeError, ...): all mean the same here.
        raise _DamageError(f"{name} record cannot be read ({type(error).__name__})") from error


def _as_far_as_it_goes(body: bytes) -> memoryview:
    """What can be unpacked of a chunk that is cut."""
    if len(body) < _CHUNK.size:
        return memoryview(b"")
    _, _, size, _, name_length = _CHUNK.unpack_from(body)
    at = _CHUNK.size + name_length + 8
    compression, packed = body[_CHUNK.size : _CHUNK.size + name_length], memoryview(body)[at:]
    if size > CHUNK_LIMIT or not packed:
        return memoryview(b"")
    with extras.needed():
        import lz4.frame
        import zstandard
    try:
        if compression == b"zstd":
            return memoryview(zstandard.ZstdDecompressor(max_window_size=CHUNK_LIMIT).stream_reader(packed).read(size))
        if compression == b"lz4":
            return memoryview(lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size))
    except (zstandard.ZstdError, RuntimeError, EOFError):
        return memoryview(b"")
    return packed if compression == b"" else memoryview(b"")


def _records(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Opcode and content of each record."""
    at, end = 0, len(data)
    while at < end:
        if at + _RECORD.size > end:
            raise _DamageError("ends inside a record")
        opcode, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + length > end:
            raise _DamageError("holds a record that is longer than the chunk")
        yield opcode, data[at : at + length]
        at += length


def _unpacked(compression: str, packed: memoryview, size: int) -> tuple[memoryview, bytes]:
    """At most `size` + 1 bytes, whatever the stream would give, and the packed bytes behind its end."""
    if compression == "":
        return packed, b""
    if compression == "zstd":
        with extras.needed():
            import zstandard

        try:
            # A frame that names its size is unpacked to that size whatever limit is given, so the name is compared first.
            if zstandard.frame_content_size(packed) not in (-1, size):
                raise _DamageError(f"unpacks to another size than its {size} bytes")
            unpacker = zstandard.ZstdDecompressor(max_window_size=CHUNK_LIMIT)
            data = memoryview(unpacker.decompress(packed, max_output_size=size, allow_extra_data=True) if size else b"")
            return data, _behind_zstd(packed)
        except zstandard.ZstdError as error:
            raise _DamageError("cannot be unpacked (zstd), or to more than it states") from error
    if compression == "lz4":
        with extras.needed():
            import lz4.frame

        try:
            lz4_unpacker = lz4.frame.LZ4FrameDecompressor()
            data = memoryview(lz4_unpacker.decompress(packed, max_length=size + 1))
            return data, lz4_unpacker.unused_data or b""
        except (RuntimeError, EOFError) as error:
            raise _DamageError("cannot be unpacked (lz4)") from error
    raise _DamageError(f"is packed with {compression!r}, which is not known")


def _behind_zstd(packed: memoryview) -> bytes:
    """What stands behind a zstd frame: its blocks name their lengths (RFC 8878, 3.1.1)."""
    import zstandard

    described = zstandard.get_frame_parameters(packed)
    at = zstandard.frame_header_size(packed)
    while at + 3 <= len(packed):
        head = int.from_bytes(packed[at : at + 3], "little")
        at += 3 + (1 if head >> 1 & 3 == 1 else head >> 3)
        if head & 1:
            return bytes(packed[at + (4 if described.has_checksum else 0) :])
    return b""


def claimed_messages(stream: BinaryIO) -> int | None:
    """Number of messages that the summary at the end of a file claims, read without the rest; None when there is none."""
    size = stream.seek(0, 2)
    tail = _RECORD.size + 20 + len(MAGIC)
    if size < tail + len(MAGIC):
        return None
    stream.seek(size - tail)
    opcode, length = _RECORD.unpack(stream.read(_RECORD.size))
    (start,) = struct.unpack("<Q", stream.read(8))
    if opcode != Opcode.FOOTER or length != 20 or not len(MAGIC) <= start < size:
        return None
    stream.seek(start)
    scan = McapScan(stream)
    try:
        scan._summary(start)
    except _DamageError:
        return None
    return scan.claimed
