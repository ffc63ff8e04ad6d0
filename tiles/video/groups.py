"""Groups of pictures, and how a recording is cut between them: copied as they are, and only what an edge goes through packed anew.

A group begins with a picture that needs nothing before it and ends before the next one, so a whole group can be copied. Where an edge goes
through a group, the pictures before the edge are copied as far as they need none behind it; the others are decoded and packed anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from tiles.arrays import Bools, Int64s, UInt64s
from tiles.video import units
from tiles.video.movie import Samples
from tiles.video.units import Sets

NOWHERE = np.uint64(2**64 - 1)
"""In place of a cell: a frame that goes into no tile."""
_HEAD, _MOST_HEAD = 4096, 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames of one cell that are shown one after another: sample numbers in the order of decoding.

    `group`: first sample of the group and the one behind its last. `is_copied`: their bytes go into the tile as they are.
    """

    cell: np.uint64
    samples: Int64s
    group: tuple[int, int]
    is_copied: bool


def starts(stream: BinaryIO, samples: Samples, sets: Sets) -> Int64s:
    """The samples at which groups begin, the first sample among them: true keys, whatever the file's table of keys states."""
    keys = np.flatnonzero(samples.sync)
    kinds = {int(number): _kind(stream, samples, int(number), sets) for number in keys.tolist()}
    found = {0, *(number for number, kind in kinds.items() if units.is_start(kind, sets.codec))}
    doubtful = [number for number, kind in kinds.items() if units.is_random(kind, sets.codec)]
    for number in doubtful:
        if not _has_leaning(stream, samples, number, sets):
            found.add(number)
    return np.array(sorted(found), np.int64)


def _has_leaning(stream: BinaryIO, samples: Samples, number: int, sets: Sets) -> bool:
    """Whether a picture that is shown before sample `number` and stored behind it leans on what was before."""
    for other in range(number + 1, len(samples)):
        if samples.pts[other] > samples.pts[number]:
            return False
        if units.leans_back(_kind(stream, samples, other, sets), sets.codec):
            return True
    return False


def _kind(stream: BinaryIO, samples: Samples, number: int, sets: Sets) -> int:
    for most in (_HEAD, _MOST_HEAD):
        size = min(int(samples.size[number]), most)
        stream.seek(int(samples.at[number]))
        kind = units.first_picture(stream.read(size), sets)
        if kind >= 0 or size < most:
            return kind
    return -1


def pieces(begins: Int64s, samples: Samples, cells: UInt64s, end: int) -> Iterator[Piece]:
    """Each of the first `end` samples in one piece, in the order of the file.

    Args:
        begins: where groups begin (`starts`).
        samples: of the track.
        cells: of each sample, `NOWHERE` of those that go into no tile.
        end: how many samples are there.
    """
    bounds = [*begins[begins < end].tolist(), end]
    for first, last in zip(bounds, bounds[1:], strict=False):
        own = cells[first:last]
        if (own == own[0]).all():
            yield Piece(own[0], np.arange(first, last), (first, last), True)
        else:
            yield from _cut(first, last, samples.pts[first:last], own)


def _cut(first: int, last: int, pts: Int64s, cells: UInt64s) -> Iterator[Piece]:
    """A group that an edge goes through: runs of one cell in the order in which they are shown."""
    order = np.argsort(pts, kind="stable")
    shown = cells[order]
    edges = [0, *(np.flatnonzero(shown[1:] != shown[:-1]) + 1).tolist(), len(order)]
    whole = _closed(order)
    for begin, end in zip(edges, edges[1:], strict=False):
        copied = int(np.flatnonzero(whole[: end + 1])[-1]) if begin == 0 else begin
        if copied > begin:
            yield Piece(shown[begin], first + np.arange(copied), (first, last), True)
        if end > copied:
            yield Piece(shown[begin], first + np.sort(order[copied:end]), (first, last), False)


def _closed(order: Int64s) -> Bools:
    """For each number of frames whether the first so many that are shown are the first that are decoded: they need none of the others."""
    return np.concatenate([[True], np.maximum.accumulate(order) == np.arange(len(order))])
