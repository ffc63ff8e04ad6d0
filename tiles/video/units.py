"""What is looked at inside a sample of H.264 or HEVC: its units (NAL), so that a cut falls where a decoder can begin.

Sources: ITU-T H.264 7.3.1 and 7.4.1, ITU-T H.265 7.3.1 and 7.4.2, ISO/IEC 14496-15 (how both stand in MP4: units behind their lengths).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tiles.arrays import Bools
from tiles.video.boxes import Atom, Damaged, box, boxes
from tiles.video.movie import Samples

H264, HEVC = "h264", "hevc"
CODECS = {b"avc1": H264, b"avc3": H264, b"hvc1": HEVC, b"hev1": HEVC}
"""Codecs by the four letters of a sample description."""
MOST_BYTES = 32 << 20
"""Of one picture."""
MOST_UNITS = 4096
"""Units of one sample: a picture of 8K has some hundred slices."""
_END = b"\x48\x01"
_ENTRY = 78
"""Bytes of a description of pictures before its own boxes."""


@dataclass(frozen=True, slots=True)
class Sets:
    """Parameter sets in a sample description, and how many bytes the length of a unit has. `config` is the content of avcC or hvcC."""

    codec: str
    config: bytes
    length: int
    units: tuple[bytes, ...]

    def written(self) -> bytes:
        """The sets as units in front of a picture."""
        return b"".join(len(unit).to_bytes(self.length) + unit for unit in self.units)

    def end(self) -> bytes:
        """The unit that ends a sequence of HEVC: what follows it leans on nothing before, whatever key it begins with."""
        return len(_END).to_bytes(self.length) + _END


def sets_of(entry: bytes) -> Sets:
    """The parameter sets in a sample description. Raises: InvalidContent: `video.codec`, `video.damaged`."""
    codec = CODECS.get(entry[4:8])
    if codec is None:
        letters = "".join(chr(letter) if 32 < letter < 127 else "?" for letter in entry[4:8])
        raise Damaged(f"The pictures are packed as {letters}; H.264 and HEVC are read here.", code="video.codec")
    wanted = b"avcC" if codec == H264 else b"hvcC"
    found = next((one for one in boxes(entry, 8 + _ENTRY, len(entry)) if one.kind == wanted), None)
    if found is None:
        raise Damaged(f"The description of the pictures lacks its parameter sets ({wanted.decode()}).")
    config = entry[found.start : found.end]
    try:
        return _of_avcc(config) if codec == H264 else _of_hvcc(config)
    except IndexError as why:
        raise Damaged("The parameter sets of the pictures are cut.") from why


def _of_avcc(config: bytes) -> Sets:
    units, at = [], 6
    for count in (config[5] & 31, None):
        number = config[at] if count is None else count
        at += count is None
        for _ in range(number):
            unit, at = _counted(config, at)
            units.append(unit)
    return Sets(H264, config, (config[4] & 3) + 1, tuple(units))


def _of_hvcc(config: bytes) -> Sets:
    units, at = [], 23
    for _ in range(config[22]):
        number, at = int.from_bytes(config[at + 1 : at + 3]), at + 3
        for _ in range(number):
            unit, at = _counted(config, at)
            units.append(unit)
    return Sets(HEVC, config, (config[21] & 3) + 1, tuple(units))


def _counted(config: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(config[at : at + 2])
    if end > len(config) or end == at + 2:
        raise Damaged("The parameter sets of the pictures are cut.")
    return config[at + 2 : end], end


def with_sets(entry: bytes, more: tuple[bytes, ...]) -> bytes:
    """A sample description of H.264 with further parameter sets, whose numbers are not those that are there."""
    found = next(one for one in boxes(entry, 8 + _ENTRY, len(entry)) if one.kind == b"avcC")
    old = _of_avcc(entry[found.start : found.end])
    every = (*old.units, *more)
    sequence, picture = ([unit for unit in every if unit[0] & 31 == kind] for kind in (7, 8))
    rest = old.config[_length_of_avcc(old.config) :]
    lists = [bytes([0xE0 | len(sequence)]), *map(_listed, sequence), bytes([len(picture)]), *map(_listed, picture)]
    config = b"".join([old.config[:5], *lists, rest])
    return _with(entry, found, box(b"avcC", config))


def _length_of_avcc(config: bytes) -> int:
    at = 6
    for count in (config[5] & 31, None):
        number = config[at] if count is None else count
        at += count is None
        for _ in range(number):
            _, at = _counted(config, at)
    return at


def _listed(unit: bytes) -> bytes:
    return len(unit).to_bytes(2) + unit


def _with(entry: bytes, old: Atom, new: bytes) -> bytes:
    body = entry[8 : old.head] + new + entry[old.end :]
    return (8 + len(body)).to_bytes(4) + entry[4:8] + body


def in_band(entry: bytes) -> bytes:
    """A sample description of HEVC that lets parameter sets stand among the pictures too."""
    return entry[:4] + b"hev1" + entry[8:]


def units(sample: bytes, length: int) -> Iterator[tuple[int, int]]:
    """Where each unit of a sample begins and ends. Raises: Damaged: they do not fill it exactly, or are too many."""
    at, count = 0, 0
    while at < len(sample):
        begin = at + length
        end = begin + int.from_bytes(sample[at:begin])
        count += 1
        if begin >= len(sample) or end > len(sample) or end == begin or count > MOST_UNITS:
            raise Damaged("A picture is damaged: its parts do not fill it.")
        yield begin, end
        at = end


def kind_of(first: int, codec: str) -> int:
    """The type of a unit by its first byte."""
    return first & 31 if codec == H264 else first >> 1 & 63


def is_picture(kind: int, codec: str) -> bool:
    """Whether a unit of a type is a part of a picture."""
    return 1 <= kind <= 5 if codec == H264 else kind <= 31


def first_picture(sample: bytes, sets: Sets) -> int:
    """The type of the first part of a picture in a sample (perhaps only its beginning), -1 without any."""
    at = 0
    while at + sets.length < len(sample):
        begin = at + sets.length
        kind = kind_of(sample[begin], sets.codec)
        if is_picture(kind, sets.codec):
            return kind
        at = begin + int.from_bytes(sample[at:begin])
    return -1


def is_start(kind: int, codec: str) -> bool:
    """Whether nothing before a picture of this type is needed to decode it, and what follows it."""
    return kind == 5 if codec == H264 else 16 <= kind <= 20


def is_random(kind: int, codec: str) -> bool:
    """Whether a decoder may begin here, though pictures that follow may lean on what was before (CRA of HEVC)."""
    return codec == HEVC and kind == 21


def leans_back(kind: int, codec: str) -> bool:
    """Whether a picture is one of those that need what was before the last start (RASL of HEVC)."""
    return codec == HEVC and kind in (8, 9)


def pictures(sample: bytes, sets: Sets) -> int:
    """How many pictures begin in a sample: parts whose first block is the first of a picture. Raises: Damaged."""
    count = 0
    for begin, end in units(sample, sets.length):
        kind = kind_of(sample[begin], sets.codec)
        header = 1 if sets.codec == H264 else 2
        if is_picture(kind, sets.codec) and begin + header < end:
            count += sample[begin + header] >> 7
    return count


def whole(path: Path, samples: Samples, sets: Sets) -> Bools:
    """Which samples are one picture each (or its two fields), all parts of it there; one of them is in memory at a time."""
    found = np.zeros(len(samples), bool)
    size_of_file = path.stat().st_size
    with path.open("rb") as stream:
        for number, (at, size) in enumerate(zip(samples.at.tolist(), samples.size.tolist(), strict=True)):
            if 0 < size <= MOST_BYTES and at + size <= size_of_file:
                stream.seek(at)
                found[number] = _is_whole(stream.read(size), sets)
    return found


def _is_whole(sample: bytes, sets: Sets) -> bool:
    try:
        return 1 <= pictures(sample, sets) <= 2
    except Damaged:
        return False


def from_annex_b(stream: bytes, length: int) -> list[bytes]:
    """Units of a stream with start codes, each behind its length of `length` bytes."""
    parts = stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [len(unit).to_bytes(length) + unit for part in parts[1:] if (unit := part.rstrip(b"\0"))]
