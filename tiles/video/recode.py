"""Frames of a group that an edge cuts, decoded and packed anew: of the codec, size and colours that they have.

HEVC is packed without any loss. H.264 that every browser plays cannot be; it is packed so finely that a difference is hardly measurable,
and what it is is measured (`Recoded.psnr_db`). One thread: the same pictures give the same bytes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from tiles import extras
from tiles.arrays import Int64s
from tiles.errors import InvalidContent
from tiles.video import units
from tiles.video.movie import MovieTrack
from tiles.video.units import H264, Sets

_H264 = {"preset": "veryfast", "qp": "8", "threads": "1", "bf": "0", "flags": "+bitexact"}
_X264 = "keyint=infinite:scenecut=0:bframes=0:sps-id={number}"
_X265 = "lossless=1:keyint=-1:scenecut=0:bframes=0:pools=none:frame-threads=1:wpp=0:info=0:log-level=none"
MOST_FRAMES = 3000
"""Of a group that is cut: decoding and packing more of them takes longer than a file may."""
MOST_PIXELS = 8192 * 8192


class EdgeFault(InvalidContent):
    """A group that an edge goes through and that cannot be cut there: its frames behind the edge are left out."""

    code = "video.edge"


@dataclass(frozen=True, slots=True)
class Recoded:
    """A frame that was packed anew: its number among the shown frames of its group, its bytes, and whether decoding can begin with it.

    `psnr_db`: how near the picture is to the one before (infinite: equal). `sets`: parameter sets that it needs, of the first of a run.
    """

    number: int
    body: bytes
    is_key: bool
    psnr_db: float
    sets: tuple[bytes, ...] = ()


def free_number(sets: Sets) -> int:
    """A number that no parameter set of H.264 has yet."""
    used = {_number(unit, 4 if unit[0] & 31 == 7 else 1) for unit in sets.units}
    found = next((number for number in range(1, 32) if number not in used), None)
    if found is None:
        raise EdgeFault("The video uses every number of parameter sets.")
    return found


def _number(unit: bytes, at: int) -> int:
    """An Exp-Golomb number at a byte of a unit."""
    bits = int.from_bytes(unit[at : at + 8].ljust(8, b"\0"))
    zeros = 64 - bits.bit_length()
    return (bits >> (63 - 2 * zeros)) - 1 if zeros < 32 else 0


def recode(stream: BinaryIO, track: MovieTrack, sets: Sets, group: tuple[int, int], runs: Sequence[tuple[int, int]]) -> Iterator[Recoded]:
    """The frames of some runs of a group, in the order in which they are shown.

    Args:
        stream: the file of the track.
        track: its samples.
        sets: its parameter sets.
        group: first sample and the one behind the last.
        runs: first frame and the one behind the last of each, by the order of showing; each begins with a key.

    Raises: EdgeFault: the group cannot be decoded, or not packed anew. ExtraMissing: PyAV is not installed.
    """
    first, last = group
    if last - first > MOST_FRAMES:
        raise EdgeFault(f"A group of {last - first} pictures without a key is too long to be cut at the edge of a tile.")
    with extras.needed():
        import av
    try:
        yield from _recode(av, _frames(av, stream, track, sets, group), sets, runs)
    except av.error.FFmpegError as why:
        raise EdgeFault(f"Pictures at the edge of a tile cannot be packed anew: {why}.") from why


def _frames(av: Any, stream: BinaryIO, track: MovieTrack, sets: Sets, group: tuple[int, int]) -> Iterator[Any]:
    """The frames of a group in the order of showing, all of them."""
    decoder = av.CodecContext.create(sets.codec, "r")
    decoder.extradata = sets.config
    decoder.thread_count = 1
    samples, (first, last) = track.samples, group
    count = 0
    for number in range(first, last + 1):
        packet = None
        if number < last:
            stream.seek(int(samples.at[number]))
            packet = av.Packet(stream.read(int(samples.size[number])))
            packet.pts, packet.dts = int(samples.pts[number]), int(samples.dts[number])
        for frame in decoder.decode(packet):
            if frame.is_corrupt or frame.width * frame.height > MOST_PIXELS:
                break
            count += 1
            yield frame
    if count != last - first:
        text = f"{last - first - count} of {last - first} pictures at the edge of a tile cannot be decoded."
        raise EdgeFault(text)


def _recode(av: Any, frames: Iterator[Any], sets: Sets, runs: Sequence[tuple[int, int]]) -> Iterator[Recoded]:
    waiting = deque(runs)
    encoder: _Encoder | None = None
    for number, frame in enumerate(frames):
        if waiting and number >= waiting[0][0]:
            if number == waiting[0][0]:
                encoder = _Encoder(av, frame, sets)
            assert encoder is not None  # noqa: S101 - runs begin before they go on
            yield from encoder.take(number, frame)
            if number + 1 == waiting[0][1]:
                yield from encoder.rest()
                waiting.popleft()


class _Encoder:
    """Packs one run, and decodes it again to see how near it is."""

    def __init__(self, av: Any, like: Any, sets: Sets) -> None:
        self._av, self._sets = av, sets
        context = av.CodecContext.create("libx264" if sets.codec == H264 else "libx265", "w")
        context.width, context.height, context.pix_fmt = like.width, like.height, like.format.name
        context.time_base = Fraction(1, 1000)
        context.framerate = Fraction(30)
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(like, name))
        h264 = {**_H264, "x264-params": _X264.format(number=free_number(sets) if sets.codec == H264 else 0)}
        context.options = h264 if sets.codec == H264 else {"preset": "ultrafast", "x265-params": _X265}
        self._context, self._checker = context, av.CodecContext.create(sets.codec, "r")
        self._checker.thread_count = 1
        self._given: deque[tuple[int, Any]] = deque()
        self._made: deque[tuple[bytes, bool, tuple[bytes, ...]]] = deque()
        self._count = 0

    def take(self, number: int, frame: Any) -> Iterator[Recoded]:
        """One more frame; those that are done."""
        planes = _planes(frame)
        self._given.append((number, planes))
        frame.pict_type = self._av.video.frame.PictureType.NONE
        frame.pts, frame.time_base = self._count, Fraction(1, 1000)
        self._count += 1
        yield from self._packed(self._context.encode(frame))

    def rest(self) -> Iterator[Recoded]:
        """The frames that are still being packed."""
        yield from self._packed(self._context.encode(None))
        yield from self._checked(self._checker.decode(None))
        if self._given:
            raise EdgeFault("Pictures at the edge of a tile were packed anew, and not all came out.")

    def _packed(self, packets: Sequence[Any]) -> Iterator[Recoded]:
        for packet in packets:
            self._made.append(self._split(bytes(packet)))
            yield from self._checked(self._checker.decode(packet))

    def _split(self, stream: bytes) -> tuple[bytes, bool, tuple[bytes, ...]]:
        """The parts of the picture, whether it is a key, and its parameter sets; comments of the encoder are left out."""
        codec, length = self._sets.codec, self._sets.length
        parts = units.from_annex_b(stream, length)
        kinds = [units.kind_of(part[length], codec) for part in parts]
        wanted = (7, 8) if codec == H264 else (32, 33, 34)
        body = b"".join(part for part, kind in zip(parts, kinds, strict=True) if units.is_picture(kind, codec))
        sets = tuple(part[length:] for part, kind in zip(parts, kinds, strict=True) if kind in wanted)
        return body, any(units.is_picture(kind, codec) and units.is_start(kind, codec) for kind in kinds), sets

    def _checked(self, frames: Sequence[Any]) -> Iterator[Recoded]:
        for frame in frames:
            number, planes = self._given.popleft()
            body, is_key, sets = self._made.popleft()
            yield Recoded(number, body, is_key, _psnr(planes, _planes(frame), frame), sets)


def _planes(frame: Any) -> list[Int64s]:
    """Samples of the planes of a frame, without what stands behind each row."""
    found = []
    for plane in frame.planes:
        deep = 2 if max(part.bits for part in frame.format.components) > 8 else 1
        rows = np.frombuffer(plane, np.uint8)[: plane.line_size * plane.height].reshape(plane.height, plane.line_size)
        own = np.ascontiguousarray(rows[:, : plane.width * deep])
        found.append(own.view("<u2" if deep == 2 else np.uint8).copy())
    return found


def _psnr(before: Sequence[Any], after: Sequence[Any], frame: Any) -> float:
    """Peak signal to noise over all planes, in decibels."""
    squares = sum(float(((a.astype(np.int32) - b.astype(np.int32)) ** 2).sum()) for a, b in zip(before, after, strict=True))
    count = sum(a.size for a in before)
    peak = (1 << max(part.bits for part in frame.format.components)) - 1
    return math.inf if not squares else 10 * math.log10(peak * peak * count / squares)
