"""The records of a LAS or LAZ file, as many as can be read: counted, in bounded memory, none invented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from tiles.errors import InvalidContent
from tiles.points.header import Header
from tiles.points.laz import CHUNK, Chunk, Packing, Records

BLOCK_BYTES = 24 << 20
"""Unpacked bytes of the chunks that are worked on together; more cores than chunks in it would idle."""


@dataclass(slots=True)
class SplitCounts:
    """What became of the points of a file: `claimed` = `placed` + `rejected` + `lost`.

    `rejected` were read and have no place on the grid (`first_rejected` names one of them); `lost` are promised by the header and not
    there, or not readable (`fault`: why). `copied` of the placed went over without being unpacked whole.
    """

    claimed: int = 0
    placed: int = 0
    rejected: int = 0
    lost: int = 0
    copied: int = 0
    first_rejected: str = ""
    fault: str = ""


def all_records(stream: BinaryIO, header: Header, tally: SplitCounts) -> Iterator[Records]:
    """All points that can be read, in the order of the file; `tally` holds what was promised and is missing when it ends.

    Raises: InvalidContent: the packing cannot be understood at all (`laz.*`, `las.waveform`).
    """
    packing = Packing(header)
    tally.claimed = header.count
    read = 0
    chunks = packing.chunks(stream, header)
    if chunks is None:
        for records in in_order(stream, header, packing, tally):
            read += len(records)
            yield records
    else:
        for block in blocks(chunks, header.record_length):
            found = unpack_some(packing, block, [body_of(stream, chunk) for chunk in block], range(len(block)), tally)
            for points in found.values():
                if points is not None:
                    read += len(points)
                    yield points
    tally.lost = max(0, header.count - read)


def in_order(stream: BinaryIO, header: Header, packing: Packing, tally: SplitCounts) -> Iterator[Records]:
    """Points of a file without chunks, or without their table; ends, with `tally.fault`, where the file does."""
    if header.compressed:
        try:
            yield from packing.stream(stream, header, CHUNK)
        except InvalidContent as why:
            hint = " Its table of chunks, which stands at the end, is missing: the file was cut." if packing.chunked else ""
            tally.fault = why.message + hint
        return
    room = header.room or 0
    if room < header.count:
        tally.fault = f"The header promises {header.count} points, the file ends after {room}."
    left = min(room, header.count)
    stream.seek(header.point_offset)
    while left:
        n = min(left, max(1, BLOCK_BYTES // header.stored_length))
        stored = np.frombuffer(stream.read(n * header.stored_length), np.uint8).reshape(-1, header.stored_length)
        yield _without_waves(stored, header) if header.waves else stored
        left -= n


def _without_waves(stored: Records, header: Header) -> Records:
    """Points without what refers to their waveforms, which stands between the fields of their format and the extra bytes."""
    at = header.record_length - header.extra_bytes
    return np.concatenate([stored[:, :at], stored[:, at + header.waves :]], axis=1)


def blocks(chunks: Sequence[Chunk], record_length: int) -> Iterator[list[Chunk]]:
    """Neighbouring chunks, so many that unpacked they fill `BLOCK_BYTES`."""
    block: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if block and size + chunk.count * record_length > BLOCK_BYTES:
            yield block
            block, size = [], 0
        block.append(chunk)
        size += chunk.count * record_length
    if block:
        yield block


def body_of(stream: BinaryIO, chunk: Chunk) -> bytes:
    """The packed bytes of a chunk."""
    stream.seek(chunk.at)
    return stream.read(chunk.size)


def unpack_some(
    packing: Packing, block: Sequence[Chunk], bodies: Sequence[bytes], numbers: Sequence[int], tally: SplitCounts, *, only_xyz: bool = False
) -> dict[int, Records | None]:
    """Points of the chunks of these numbers; None for one that cannot be unpacked, which does not sink its neighbours."""
    if not numbers:
        return {}
    try:
        found = packing.unpack([bodies[i] for i in numbers], [block[i].count for i in numbers], only_xyz=only_xyz)
    except InvalidContent as why:
        if len(numbers) == 1:
            tally.fault = f"{why.message} (chunk at byte {block[numbers[0]].at})"
            return {numbers[0]: None}
        halves = (numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :])
        return {k: v for half in halves for k, v in unpack_some(packing, block, bodies, half, tally, only_xyz=only_xyz).items()}
    return dict(zip(numbers, found, strict=True))
