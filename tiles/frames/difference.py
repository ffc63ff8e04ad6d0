"""Which records of a cell's recording are the same as before: each is one number, made of topic, times and payload; frames apart."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from mcap.records import Attachment, Channel

from tiles.arrays import UInt64s
from tiles.errors import InvalidContent
from tiles.formats import MCAP
from tiles.frames import ros_types
from tiles.frames.mcap_scan import CHUNK_LIMIT, McapScan, Message
from tiles.frames.track import NAME

_Mark = tuple[bool, int]
"""Whether a record is a frame, and its number."""


def marks(paths: Sequence[Path]) -> tuple[UInt64s, UInt64s]:
    """Numbers of the frames and of the other records of some tiles. Raises: InvalidContent: a tile cannot be read."""
    found: tuple[list[int], list[int]] = ([], [])
    for path in paths:
        read: Callable[[Path], Iterator[_Mark]] = _of_mcap if path.name.endswith(MCAP.ending) else _of_pictures
        for is_frame, mark in read(path):
            found[0 if is_frame else 1].append(mark)
    return np.array(found[0], np.uint64), np.array(found[1], np.uint64)


def _of_mcap(path: Path) -> Iterator[_Mark]:
    frames: dict[int, bool] = {}
    topics: dict[int, str] = {}
    with path.open("rb") as stream:
        scan = McapScan(stream, record_limit=CHUNK_LIMIT)
        for item in scan.items():
            if isinstance(item, Channel):
                schema = scan.schema_of(item)
                frames[item.id], topics[item.id] = schema is not None and ros_types.is_frame(schema.name), item.topic
            elif isinstance(item, Message):
                head = f"{topics[item.channel_id]}\0{item.log_time}\0{item.publish_time}\0{item.sequence}"
                yield frames[item.channel_id], _mark(head, bytes(item.data))
            elif isinstance(item, Attachment) and item.name != NAME:
                yield False, _mark(f"{item.name}\0{item.log_time}", item.data)
    if scan.fault or scan.damaged:
        raise InvalidContent(f"{path.name} is damaged: {scan.fault or scan.damaged[0]}.", code="tile.damaged")


def _of_pictures(path: Path) -> Iterator[_Mark]:
    try:
        with tarfile.open(path, "r:") as archive:
            for at, entry in enumerate(archive):
                body = archive.extractfile(entry)
                if at and body is not None:  # the first is the trajectory
                    yield True, _mark(entry.name, body.read())
    except tarfile.TarError as error:
        raise InvalidContent(f"{path.name} is damaged: {error}.", code="tile.damaged") from error


def _mark(head: str, body: bytes) -> int:
    return int.from_bytes(sha256(head.encode("utf-8", "replace") + b"\0" + body).digest()[:8])
