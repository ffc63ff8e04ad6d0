"""One way to read all containers of recordings: what a file is by its first bytes, and its records as those of MCAP.

rosbag2 packs messages one by one where it was asked to (its mode MESSAGE): they are given out unpacked, as every reader wants them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mcap.records import Channel, Schema

from ingest.readers.bags import ros1, ros2
from tiles import extras
from tiles.errors import InvalidContent
from tiles.frames import mcap_scan
from tiles.frames.mcap_scan import RECORD_LIMIT, Damage, Item, McapScan, Message, claimed_messages

MOST_CHANNELS, MOST_DESCRIBED = 10_000, 32 << 20
"""Channels of one file, and bytes that describe them: a definition counts for each channel that names it, as it is looked at for each."""
ZSTD = b"\x28\xb5\x2f\xfd"
_LOG = "-wal"
BESIDE = ("-wal", "-shm", "-journal")
"""Endings of what SQLite keeps beside a file that is open."""


class Scan(Protocol):
    """One pass through a container; see `tiles.frames.mcap_scan.McapScan` for what it has met."""

    messages: int
    attachments: int
    orphans: int
    unusable: int
    first_unusable: str
    damaged: Damage
    fault: str
    claimed: int | None

    def items(self) -> Iterator[Item]:
        """The records in file order, each definition before its first use."""
        ...

    def schema_of(self, channel: Channel) -> Schema | None:
        """The schema of a channel that was given out."""
        ...


def is_recording(path: Path) -> bool:
    """Whether a file begins like a container of recordings."""
    with path.open("rb") as stream:
        return stream.read(16).startswith((mcap_scan.MAGIC, ros1.MAGIC, ros2.MAGIC))


def is_beside(path: Path) -> bool:
    """Whether a file is only the log or the lock of an SQLite file."""
    return path.name.endswith(BESIDE)


def in_order(paths: list[Path]) -> list[Path]:
    """`x_2` before `x_10`."""
    return sorted(paths, key=lambda path: [int(word) if word.isdigit() else word for word in re.split(r"([0-9]+)", path.as_posix())])


@contextmanager
def scanning(path: Path) -> Iterator[Recorded]:
    """The records of a container, which is closed afterwards."""
    with path.open("rb") as stream:
        head = stream.read(16)
        stream.seek(0)
        if head.startswith(ros2.MAGIC):
            log = path.with_name(path.name + _LOG)
            yield Recorded(ros2.Ros2Scan(path, log if log.is_file() and log.stat().st_size else None), path.name)
        else:
            yield Recorded(ros1.Ros1Scan(stream) if head.startswith(ros1.MAGIC) else McapScan(stream), path.name)


def claimed(path: Path) -> int | None:
    """How many messages a file states to hold, read without the rest; None when it states nothing."""
    with path.open("rb") as stream:
        head = stream.read(16)
        if head.startswith(ros2.MAGIC):
            return ros2.counted(path)
        return ros1.Ros1Scan(stream).count() if head.startswith(ros1.MAGIC) else claimed_messages(stream)


@dataclass(slots=True)
class Recorded:
    """A scan whose channels are counted, and whose packed messages are unpacked; `unpacked` is their number."""

    scan: Scan
    name: str
    unpacked: int = 0

    def items(self) -> Iterator[Item]:
        """As `Scan.items`. Raises: InvalidContent: `recording.channels`."""
        plain: set[int] = set()
        channels = described = 0
        for item in self.scan.items():
            if isinstance(item, Message):
                if not item.data or item.data[0] != ZSTD[0] or item.data[:4] != ZSTD or item.channel_id not in plain:
                    yield item
                elif (data := _unpacked(item.data)) is not None:
                    self.unpacked += 1
                    yield item._replace(data=memoryview(data))
                else:
                    self.scan.messages -= 1
                    self.scan.unusable += 1
                    self.scan.first_unusable = self.scan.first_unusable or f"the message of {item.log_time} ns"
                continue
            if isinstance(item, Channel):
                channels, described = channels + 1, described + _described(item, self.scan.schema_of(item))
                if channels > MOST_CHANNELS or described > MOST_DESCRIBED:
                    raise _too_many(self.name, described)
                if item.message_encoding == "cdr":
                    plain.add(item.id)
            yield item


def _unpacked(packed: memoryview) -> bytes | None:
    """A message that was packed alone; None when it cannot be unpacked, or is too large."""
    with extras.needed():
        import zstandard
    try:
        if zstandard.frame_content_size(packed) > RECORD_LIMIT:
            return None
        return zstandard.ZstdDecompressor(max_window_size=RECORD_LIMIT).decompress(packed, max_output_size=RECORD_LIMIT)
    except zstandard.ZstdError:
        return None


def _described(channel: Channel, schema: Schema | None) -> int:
    """Bytes that describe a channel."""
    about = sum(len(name) + len(value) for name, value in channel.metadata.items())
    return len(channel.topic) + about + (0 if schema is None else len(schema.name) + len(schema.data))


def _too_many(name: str, described: int) -> InvalidContent:
    most = f"at most {MOST_CHANNELS} channels and {MOST_DESCRIBED >> 20} MiB of what describes them are read"
    has = f"{name} has more channels, or longer definitions for them ({described >> 20} MiB), than any recorder writes"
    text = f"{has}; {most}. Split it by topics."
    return InvalidContent(text, code="recording.channels")
