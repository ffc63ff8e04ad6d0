"""Boxes of MP4 and QuickTime files (ISO/IEC 14496-12): found without believing a length, and written.

Every length is checked against what is there, nothing recurses, and of a file only heads of boxes and the description (`moov`) are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tiles.errors import InvalidContent

MOOV_LIMIT = 64 << 20
"""Bytes of the description of a file: some 100 hours of video."""
MOST_BOXES, MOST_TOP = 10_000, 500_000
"""Boxes inside of one, and of a file: one that was written in fragments has some for each second."""
_SIZE = struct.Struct(">I4s")


@dataclass(frozen=True, slots=True)
class Atom:
    """A box: its kind, and where in its buffer or file its head begins, its content begins and it ends."""

    kind: bytes
    head: int
    start: int
    end: int


class Damaged(InvalidContent):
    """A file whose boxes are not what they claim to be."""

    code = "video.damaged"


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Atom]:
    """The boxes that follow one another in `data[start:end]`; what is too short for one at the end is passed over.

    Raises: Damaged: a box claims more than is there, or there are too many.
    """
    end = len(data) if end is None else end
    at, count = start, 0
    while at + 8 <= end:
        size, kind = _SIZE.unpack_from(data, at)
        content = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            content = at + 16
        stop = end if size == 0 else at + size
        count += 1
        if stop < content or stop > end or count > MOST_BOXES:
            raise Damaged(f"The box {name_of(kind)} at byte {at} claims {size} bytes, and {end - at} are left.")
        yield Atom(kind, at, content, stop)
        at = stop


def child(data: bytes, box: Atom, *path: bytes) -> Atom | None:
    """The first box at the end of a path of kinds inside another one, None when there is none."""
    for kind in path:
        found = next((one for one in boxes(data, box.start, box.end) if one.kind == kind), None)
        if found is None:
            return None
        box = found
    return box


@dataclass(frozen=True, slots=True)
class FileAtom(Atom):
    """A box of the top level of a file. `is_cut`: the file ends before it does; `end` is then the end of the file."""

    is_cut: bool = False


def top_boxes(stream: BinaryIO, size: int) -> Iterator[FileAtom]:
    """The boxes of a whole file of `size` bytes; only their heads are read. The last one may be cut.

    Raises: Damaged: what stands there is no box.
    """
    at, count = 0, 0
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(16)
        length, kind = _SIZE.unpack_from(head)
        content = at + 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            content = at + 16
        end = size if length == 0 else at + length
        count += 1
        if end < content or count > MOST_TOP or not all(32 <= letter < 127 or letter == 0xA9 for letter in kind):
            raise Damaged(f"What stands at byte {at} is no box of an MP4 file.")
        yield FileAtom(kind, at, content, min(end, size), end > size)
        at = end


def name_of(kind: bytes) -> str:
    """A kind of box in letters that can be shown."""
    return "".join(chr(letter) if 32 <= letter < 127 else "?" for letter in kind)


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box as bytes."""
    length = 8 + sum(map(len, parts))
    return b"".join((struct.pack(">I", length), kind, *parts))


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with a version and flags as bytes."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)
