"""Reading a ROS 1 bag from front to back without believing it: bounded memory, no index needed, nothing lost in silence.

Its connections become channels and schemas of MCAP (encodings `ros1` and `ros1msg`), with each field of their headers; its messages keep
time and bytes. The index is only asked for what the data lacks: how many messages there should be, and where to go on behind damage. So
a bag that was never closed, or was cut, gives all that it holds, as far as into its last chunk.
Source: http://wiki.ros.org/Bags/Format/2.0
"""

from __future__ import annotations

import bz2
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from mcap.records import Channel, Header, Schema

from tiles import extras
from tiles.frames.mcap_scan import CHUNK_LIMIT, RECORD_LIMIT, Damage, Item, Message

MAGIC = b"#ROSBAG V2.0\n"
HEAD_LIMIT = 1 << 20
"""Bytes of the header of a record."""

_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = range(2, 8)
_PIECE = 1 << 16
_DIED = "its writer died, or it was cut"

Fields = Mapping[bytes, bytes]


class _BagError(ValueError):
    """A record that is not what it claims to be."""


@dataclass(slots=True)
class Ros1Scan:
    """What a scan has met; the same members as `tiles.frames.mcap_scan.McapScan`."""

    stream: BinaryIO
    messages: int = 0
    attachments: int = 0
    orphans: int = 0
    unusable: int = 0
    first_unusable: str = ""
    damaged: Damage = field(default_factory=Damage)
    fault: str = ""
    claimed: int | None = None
    _schemas: dict[tuple[str, bytes], Schema] = field(default_factory=dict)
    _by_id: dict[int, Schema] = field(default_factory=dict)
    _connections: dict[int, Fields] = field(default_factory=dict)
    _size: int = 0
    _chunks: array[int] = field(default_factory=lambda: array("Q"))

    def items(self) -> Iterator[Item]:
        """Header, schemas, channels and messages in file order; each channel before its first message."""
        head = self._begin()
        if head is None:
            return
        begin = self.stream.tell()
        end = _number(head, b"index_pos", "<Q")
        yield Header(profile="ros1", library="")
        yield from self._index(end, head)
        self.stream.seek(begin)
        yield from self._data(end)

    def count(self) -> int | None:
        """How many messages the index states, read without the rest; None when there is none."""
        head = self._begin()
        for _ in self._index(_number(head, b"index_pos", "<Q"), head) if head is not None else ():
            pass
        return self.claimed

    def _begin(self) -> Fields | None:
        """The first record, which states where the index is; None for a bag that cannot be read."""
        self._size = self.stream.seek(0, 2)
        self.stream.seek(0)
        if self.stream.read(len(MAGIC)) != MAGIC:
            self.fault = "The file does not begin like a ROS 1 bag."
            return None
        try:
            head, _ = self._record(len(MAGIC), RECORD_LIMIT)
            _number(head, b"index_pos", "<Q")
        except EOFError:
            self.fault = f"The file ends inside the record at byte {len(MAGIC)}: {_DIED}."
            return None
        except _BagError as error:
            self.fault = str(error)
            return None
        if head.get(b"encryptor"):
            self.fault = "The bag is encrypted; write it again without a password."
            return None
        return head

    def _data(self, end: int) -> Iterator[Item]:
        """What stands before the index at `end`, or to the end of a file without one."""
        while not end or self.stream.tell() < end:
            at = self.stream.tell()
            try:
                head, body = self._record(at, CHUNK_LIMIT)
            except EOFError:
                break
            except _BagError as error:
                if not self._goes_on_behind(at, str(error)):
                    return
                continue
            try:
                yield from self._chunk(head, body, at) if _operation(head) == _CHUNK else self._leaf(head, memoryview(body))
            except _BagError as error:
                self.damaged.append(f"record at byte {at}: {error}")
        if not end:
            self.fault = self.fault or "The bag was never closed: it has no index."
        elif self.claimed is None:
            missing = f"The file ends before its index at byte {end}: {_DIED}."
            self.fault = self.fault or (f"The index at byte {end} cannot be read to its end: {_DIED}." if end < self._size else missing)

    def _goes_on_behind(self, at: int, why: str) -> bool:
        """Whether the index names a chunk behind a place of damage; the scan then goes on there."""
        number = bisect_right(self._chunks, at)
        if number == len(self._chunks):
            self.fault = why
            return False
        behind = self._chunks[number]
        self.damaged.append(f"bytes {at} to {behind}: {why.rstrip('.')}")
        self.stream.seek(behind)
        return True

    def _record(self, at: int, limit: int) -> tuple[Fields, bytes]:
        """The next record.

        Raises: EOFError: the file ends just before it; _BagError.
        """
        head = self._sized(at, HEAD_LIMIT, may_end=True)
        fields = _fields(head)
        body = self._sized(at, limit, is_chunk=_operation(fields) == _CHUNK)
        return fields, body

    def _sized(self, at: int, limit: int, *, may_end: bool = False, is_chunk: bool = False) -> bytes:
        """Bytes behind their number. Of a chunk that is cut what is there is given, and the damage is met when it is unpacked."""
        size = self.stream.read(4)
        if not size and may_end:
            raise EOFError
        (length,) = struct.unpack("<I", size) if len(size) == 4 else (None,)
        if length is None:
            raise _BagError(f"The file ends inside the record at byte {at}: {_DIED}.")
        if length > limit:
            raise _BagError(f"The record at byte {at} claims {length} bytes; at most {limit} are read.")
        body = self.stream.read(length)
        if len(body) < length and not is_chunk:
            raise _BagError(f"The file ends inside the record at byte {at}: {_DIED}.")
        if len(body) < length:
            self.fault = f"The file ends inside the record at byte {at}: {_DIED}."
        return body

    def _index(self, end: int, head: Fields) -> Iterator[Item]:
        """What the index at `end` states: connections, where chunks are, and how many messages they should have."""
        if not end:
            return
        total, chunks, promised = 0, 0, -1
        try:
            promised = _number(head, b"chunk_count", "<I")
            self.stream.seek(min(end, self._size))
            while True:
                fields, body = self._record(end, RECORD_LIMIT)
                if _operation(fields) == _CONNECTION:
                    yield from self._connection(fields, body)
                elif _operation(fields) == _CHUNK_INFO:
                    total += sum(struct.unpack_from(f"<{len(body) // 8 * 2}I", body)[1::2])
                    self._chunks.append(min(_number(fields, b"chunk_pos", "<Q"), self._size))
                    chunks += 1
        except EOFError:
            if chunks == promised:
                self.claimed = total
        except _BagError:
            pass  # it then has no number of messages, which is reported when all of them are read
        self._chunks = array("Q", sorted(self._chunks))

    def _chunk(self, head: Fields, body: bytes, at: int) -> Iterator[Item]:
        if not body and not _number(head, b"size", "<I"):
            if head.get(b"compression") == b"none":
                return  # a writer that died in it: its records follow as they are
            body = self.stream.read(RECORD_LIMIT)
        data, why = _unpacked(head, body)
        at_inside = 0
        try:
            while at_inside < len(data):
                fields, inner, at_inside = _inner(data, at_inside)
                yield from self._leaf(fields, inner)
        except _BagError as error:
            why = why or str(error)
        if why and not self.fault:
            self.damaged.append(f"a part of the chunk at byte {at}: {why}")

    def _leaf(self, head: Fields, body: memoryview) -> Iterator[Item]:
        operation = _operation(head)
        if operation == _CONNECTION:
            yield from self._connection(head, bytes(body))
        elif operation == _MESSAGE:
            connection = _number(head, b"conn", "<I")
            seconds, nanoseconds = struct.unpack("<II", _field(head, b"time", 8))
            if connection not in self._connections:
                self.orphans += 1
                return
            self.messages += 1
            t_ns = seconds * 1_000_000_000 + nanoseconds
            yield Message(connection, 0, t_ns, t_ns, body)

    def _connection(self, head: Fields, body: bytes) -> Iterator[Item]:
        """A connection as schema and channel, once; writers repeat them in the index."""
        number = _number(head, b"conn", "<I")
        about = {**_fields(body), b"": head.get(b"topic", b"")}
        if number in self._connections:
            if self._connections[number] != about:
                self.damaged.append(f"connection {number} is defined a second time, and otherwise")
            return
        self._connections[number] = about
        name, definition = _text(about.get(b"type", b"")), about.get(b"message_definition", b"")
        schema = self._schemas.get((name, definition))
        if schema is None:
            schema = Schema(id=len(self._schemas) + 1, name=name, encoding="ros1msg", data=definition)
            self._schemas[name, definition] = schema
            self._by_id[schema.id] = schema
            yield schema
        topic = _text(about[b""] or about.get(b"topic", b""))
        own = {b"", b"type", b"message_definition"} | ({b"topic"} if _text(about.get(b"topic", b"")) == topic else set())
        metadata = {_text(key): _text(value) for key, value in about.items() if key not in own}
        yield Channel(id=number, topic=topic, message_encoding="ros1", metadata=metadata, schema_id=schema.id)

    def schema_of(self, channel: Channel) -> Schema | None:
        """The schema of a channel that was given out."""
        return self._by_id.get(channel.schema_id)


def _fields(data: bytes) -> Fields:
    """The fields of a header. Raises: _BagError."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        name, equals, value = data[at + 4 : at + 4 + length].partition(b"=")
        if at + 4 + length > len(data) or not equals or not name:
            raise _BagError("a header that cannot be read")
        found[name] = value
        at += 4 + length
    return found


def _field(head: Fields, name: bytes, size: int) -> bytes:
    value = head.get(name, b"")
    if len(value) != size:
        raise _BagError(f"a record without {name.decode()}")
    return value


def _number(head: Fields, name: bytes, form: str) -> int:
    return int(struct.unpack(form, _field(head, name, struct.calcsize(form)))[0])


def _operation(head: Fields) -> int:
    return _field(head, b"op", 1)[0]


def _text(value: bytes) -> str:
    """A value of a header as text; bytes that are none stay visible."""
    return value.decode("utf-8", "backslashreplace")


def _inner(data: memoryview, at: int) -> tuple[Fields, memoryview, int]:
    """The record of a chunk at a place, and where the next one begins. Raises: _BagError."""
    middle = at + 4 + int.from_bytes(data[at : at + 4], "little")
    end = middle + 4 + int.from_bytes(data[middle : middle + 4], "little")
    if middle + 4 > len(data) or end > len(data):
        raise _BagError("ends inside a record")
    return _fields(bytes(data[at + 4 : middle])), data[middle + 4 : end], end


def _unpacked(head: Fields, body: bytes) -> tuple[memoryview, str]:
    """The records of a chunk as far as they can be unpacked, and why they cannot be to the end; without a size it was never finished."""
    name = head.get(b"compression", b"").decode("ascii", "replace")
    size = _number(head, b"size", "<I")
    if size > CHUNK_LIMIT:
        return memoryview(b""), f"claims to unpack from {len(body)} to {size} bytes, which is refused"
    if name == "none":
        data, why = body, ""
    elif name in ("bz2", "lz4"):
        data, why = _pieces(name, body, size or CHUNK_LIMIT)
    else:
        return memoryview(b""), f"is packed with {name!r}, which is not known"
    if not why and len(data) != size:
        why = f"unpacks to another size than its {size} bytes"
    return memoryview(data), why


def _pieces(name: str, body: bytes, most: int) -> tuple[bytes, str]:
    """Unpacked piece by piece, so that what stands before damage is kept; at most one byte more than there should be."""
    with extras.needed():
        import lz4.frame
    unpacker = bz2.BZ2Decompressor() if name == "bz2" else lz4.frame.LZ4FrameDecompressor()
    found = bytearray()
    try:
        for at in range(0, len(body), _PIECE):
            piece = body[at : at + _PIECE]
            while len(found) <= most and not unpacker.eof:
                found += unpacker.decompress(piece, max_length=most + 1 - len(found))
                piece = b""
                if unpacker.needs_input:
                    break
    except (OSError, RuntimeError, EOFError):
        return bytes(found), f"cannot be unpacked ({name})"
    return bytes(found[:most]), "" if len(found) <= most else "unpacks to more than it states"
