"""Samples of an MP4 file that was written in fragments (moof), as cameras do that may lose power: each describes what follows it.

Source: ISO/IEC 14496-12, 8.8. What a cut file still holds is read; its last fragment may be whole, cut, or without its description.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from tiles.arrays import Int64s
from tiles.video.boxes import Atom, Damaged, boxes, child

MOOF_LIMIT = 8 << 20
MOST_FRAGMENTS = 200_000
MOST_SAMPLES = 20_000_000
_NOT_SYNC = 0x10000
Table = tuple[Int64s, Int64s, Int64s, Int64s, np.ndarray[tuple[int], np.dtype[np.bool_]]]
"""Where samples stand, their sizes, when they are decoded, for how long they are shown later, and whether they are keys."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a sample that states nothing itself: ticks, bytes, flags."""

    lasts: int = 0
    size: int = 0
    flags: int = 0


@dataclass(slots=True)
class Fragments:
    """The samples of each track, by its number, in order of the file."""

    tables: dict[int, list[Table]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    """when the last sample of each track ends, in ticks"""
    lasts: dict[int, int] = field(default_factory=dict)
    """how long the last sample of each track lasts"""
    count: int = 0

    def table(self, number: int) -> Table | None:
        """All samples of a track; None without any."""
        found = self.tables.get(number)
        if not found:
            return None
        at, size, dts, offsets, sync = (np.concatenate(columns) for columns in zip(*found, strict=True))
        return at, size, dts, offsets, sync


def defaults_of(data: bytes, movie: Atom) -> dict[int, Defaults]:
    """Defaults by the number of the track, as the movie states them; empty of a film that is not in fragments."""
    extended = child(data, movie, b"mvex")
    found = {}
    for one in boxes(data, extended.start, extended.end) if extended is not None else ():
        if one.kind == b"trex":
            number, _, lasts, size, flags = struct.unpack_from(">5I", data, one.start + 4)
            found[number] = Defaults(lasts, size, flags)
    return found


def read_fragments(stream: BinaryIO, moofs: Iterable[Atom], defaults: Mapping[int, Defaults], size: int) -> Fragments:
    """The samples that fragments of a file of `size` bytes describe. Raises: Damaged: one claims more than can be."""
    found = Fragments()
    for number, moof in enumerate(moofs):
        if number >= MOST_FRAGMENTS or moof.end - moof.start > MOOF_LIMIT:
            raise Damaged("The video has more fragments, or larger ones, than are read here.")
        stream.seek(moof.start)
        data = stream.read(moof.end - moof.start)
        for one in boxes(data):
            if one.kind == b"traf":
                _take(found, data, one, (moof.head, size), defaults)
    return found


def _take(found: Fragments, data: bytes, traf: Atom, where: tuple[int, int], defaults: Mapping[int, Defaults]) -> None:
    head = child(data, traf, b"tfhd")
    if head is None:
        return
    number, base, own = _head(data, head, where[0], defaults)
    clock = child(data, traf, b"tfdt")
    if clock is not None:
        found.ends[number] = int.from_bytes(data[clock.start + 4 : clock.start + (12 if data[clock.start] == 1 else 8)])
    at = base
    for one in boxes(data, traf.start, traf.end):
        if one.kind == b"trun":
            (places, sizes, lasts, offsets, sync), at = _run(data, one, (base, at), own, where[1])
            if not len(places):
                continue
            ends = found.ends.get(number, 0) + np.cumsum(lasts)
            table = places, sizes, ends - lasts, offsets, sync
            found.ends[number], found.lasts[number] = int(ends[-1]), int(lasts[-1])
            found.count += len(places)
            if found.count > MOST_SAMPLES:
                raise Damaged("The video describes more samples than are read here.")
            found.tables.setdefault(number, []).append(table)


def _head(data: bytes, head: Atom, moof: int, defaults: Mapping[int, Defaults]) -> tuple[int, int, Defaults]:
    """Number of the track, where offsets count from, and what holds for a sample that states nothing."""
    flags, number = struct.unpack_from(">II", data, head.start)
    fields = iter(_optional(data, head.start + 8, flags, ((1, "Q"), (2, "I"), (8, "I"), (16, "I"), (32, "I"))))
    base, _, lasts, size, kind = fields
    known = defaults.get(number, Defaults())
    own = Defaults(*(b if a is None else a for a, b in ((lasts, known.lasts), (size, known.size), (kind, known.flags))))
    return number, moof if base is None else base, own


def _optional(data: bytes, at: int, flags: int, fields: Iterable[tuple[int, str]]) -> Iterator[int | None]:
    """Values of fields that stand there when their bit is set."""
    for bit, letter in fields:
        if flags & bit:
            (value,) = struct.unpack_from(f">{letter}", data, at)
            at += struct.calcsize(f">{letter}")
            yield int(value)
        else:
            yield None


def _run(data: bytes, trun: Atom, where: tuple[int, int], own: Defaults, size: int) -> tuple[Table, int]:
    """The samples of a run, with how long each lasts in place of when it is decoded; and where it ends.

    `where`: what offsets count from, and where the run before ended.
    """
    flags, count = struct.unpack_from(">II", data, trun.start)
    offset, first = _optional(data, trun.start + 8, flags, ((1, "i"), (4, "I")))
    begin = trun.start + 8 + 4 * (offset is not None) + 4 * (first is not None)
    names = [name for bit, name in ((0x100, "lasts"), (0x200, "size"), (0x400, "flags"), (0x800, "offset")) if flags & bit]
    if count > MOST_SAMPLES or count * 4 * len(names) > trun.end - begin or (not flags & 0x200 and count * own.size > size):
        raise Damaged(f"A fragment claims {count} samples and has fewer.")
    rows = np.frombuffer(data, ">u4", count * len(names), begin).astype(np.int64).reshape(count, len(names))
    column = {name: rows[:, number] for number, name in enumerate(names)}
    sizes = column.get("size", np.full(count, own.size, np.int64))
    kinds = column.get("flags", np.full(count, own.flags, np.int64)).copy()
    if first is not None and count:
        kinds[0] = first
    start = where[1] if offset is None else where[0] + offset
    ends = start + np.cumsum(sizes)
    offsets = column.get("offset", np.zeros(count, np.int64)).astype(np.uint32).astype(np.int32).astype(np.int64)
    lasts = column.get("lasts", np.full(count, own.lasts, np.int64))
    return (ends - sizes, sizes, lasts, offsets, kinds & _NOT_SYNC == 0), int(ends[-1]) if count else start
