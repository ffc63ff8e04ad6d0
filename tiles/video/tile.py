"""A tile of video as bytes: an MP4 file with the pictures, where the camera was at each of them (CAMM), and what is known of both (JSON).

The description stands in front, so that a browser plays while it loads. Same content, same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tiles.arrays import Bools, Int64s
from tiles.errors import InvalidContent
from tiles.video import camm
from tiles.video.boxes import box, full
from tiles.video.movie import EPOCH_1904_S

TRAJECTORY, ABOUT = "mapex.trajectory", "mapex.video"
"""Names of the two texts in the metadata of a tile."""
MAGIC = b"\0\0\0\x20ftypisom\0\0\x02\0mapx"
_FTYP = MAGIC + b"isommp41avc1"
_TOGETHER = 32
_UNITY = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
_DATA = box(b"dinf", full(b"dref", 0, 0, struct.pack(">I", 1), full(b"url ", 0, 1)))


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a tile in the order of decoding: bytes, when each is shown (ticks from 0), and whether decoding can begin with it."""

    size: Int64s
    pts: Int64s
    sync: Bools
    last: int
    """How long the last frame lasts, in ticks."""

    @property
    def ticks(self) -> int:
        """How long all of them last."""
        return int(self.pts.max()) + self.last


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the pictures have in common: description, ticks a second, size and how they are turned."""

    entry: bytes
    timescale: int
    width: int
    height: int
    matrix: bytes


def head(pictures: Pictures, frames: Frames, begin_ns: int, texts: Mapping[str, bytes]) -> bytes:
    """All that stands in front of the pictures of a tile, which follow in order, and behind them `camm.packets`.

    Args:
        pictures: what they have in common.
        frames: their sizes and times.
        begin_ns: UTC nanoseconds of the first, 0 when unknown.
        texts: what to state in the metadata, as JSON.
    """
    body = int(frames.size.sum()) + len(frames.size) * camm.SIZE
    wide = body + (64 << 20) > 0xFFFFFFFF
    mdat = struct.pack(">I4sQ", 1, b"mdat", 16 + body) if wide else struct.pack(">I4s", 8 + body, b"mdat")
    length = len(_moov(pictures, frames, begin_ns, texts, 0, wide=wide))
    moov = _moov(pictures, frames, begin_ns, texts, len(_FTYP) + length + len(mdat), wide=wide)
    return _FTYP + moov + mdat


def _moov(pictures: Pictures, frames: Frames, begin_ns: int, texts: Mapping[str, bytes], at: int, *, wide: bool) -> bytes:
    created = begin_ns // 1_000_000_000 + EPOCH_1904_S if begin_ns else 0
    movie = struct.pack(">QQIQIH10x", created, created, pictures.timescale, frames.ticks, 0x10000, 0x100)
    header = full(b"mvhd", 1, 0, movie, _UNITY, bytes(24), struct.pack(">I", 3))
    behind = at + int(frames.size.sum())
    shown = np.sort(frames.pts)
    parts = [
        header,
        _trak(1, created, pictures, frames, b"vide", _video_table(pictures, frames, at, wide=wide)),
        _trak(2, created, pictures, frames, camm.HANDLER, _camm_table(shown, frames.last, behind, wide=wide)),
        _texts(texts),
    ]
    return box(b"moov", *parts)


def _trak(number: int, created: int, pictures: Pictures, frames: Frames, handler: bytes, table: bytes) -> bytes:
    is_video = handler == b"vide"
    size = (pictures.width << 16, pictures.height << 16) if is_video else (0, 0)
    placed = struct.pack(">QQI4xQ8x8x", created, created, number, frames.ticks)
    head_ = full(b"tkhd", 1, 3, placed, pictures.matrix if is_video else _UNITY, struct.pack(">II", *size))
    delay = _delay(frames) if is_video else 0
    edits = full(b"elst", 1, 0, struct.pack(">IQqI", 1, frames.ticks, delay, 0x10000))
    clock = full(b"mdhd", 1, 0, struct.pack(">QQIQHH", created, created, pictures.timescale, frames.ticks, 0x55C4, 0))
    kind = full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), b"mapex\0")
    about = full(b"vmhd", 0, 1, bytes(8)) if is_video else full(b"nmhd", 0, 0)
    return box(b"trak", head_, box(b"edts", edits), box(b"mdia", clock, kind, box(b"minf", about, _DATA, table)))


def _delay(frames: Frames) -> int:
    """Ticks from the decoding of the first frame to its showing, so that none is shown before it is decoded."""
    return int((np.sort(frames.pts) - frames.pts).max())


def _video_table(pictures: Pictures, frames: Frames, at: int, *, wide: bool) -> bytes:
    decoded = np.sort(frames.pts)
    offsets = frames.pts + _delay(frames) - decoded
    keys = np.flatnonzero(frames.sync) + 1
    later = [full(b"ctts", 0, 0, _runs(offsets))] if offsets.any() else []
    return box(
        b"stbl",
        full(b"stsd", 0, 0, struct.pack(">I", 1), pictures.entry),
        full(b"stts", 0, 0, _runs(np.diff(decoded, append=decoded[-1] + frames.last))),
        *later,
        full(b"stss", 0, 0, struct.pack(">I", len(keys)), keys.astype(">u4").tobytes()),
        *_where(frames.size, at, wide=wide),
    )


def _camm_table(shown: Int64s, last: int, at: int, *, wide: bool) -> bytes:
    entry = box(b"camm", bytes(6), struct.pack(">H", 1))
    return box(
        b"stbl",
        full(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        full(b"stts", 0, 0, _runs(np.diff(shown, append=shown[-1] + last))),
        *_where(np.full(len(shown), camm.SIZE), at, wide=wide),
    )


def _runs(values: Int64s) -> bytes:
    """A table of (count, value). Raises: InvalidContent: a value has no place in it."""
    if int(values.max()) > 0xFFFFFFFF or int(values.min()) < 0:
        raise InvalidContent("Frames of the video are too far from one another in time.", code="video.damaged")
    edges = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
    counts = np.diff(edges, append=len(values))
    return struct.pack(">I", len(edges)) + np.stack([counts, values[edges]], axis=1).astype(">u4").tobytes()


def _where(size: Int64s, at: int, *, wide: bool) -> list[bytes]:
    """How long samples are and where they stand: one behind the other, some together."""
    starts = at + np.concatenate([[0], np.cumsum(size)[:-1]])[::_TOGETHER]
    full_chunks, rest = divmod(len(size), _TOGETHER)
    runs = [(1, _TOGETHER, 1)] * bool(full_chunks) + [(full_chunks + 1, rest, 1)] * bool(rest)
    each = int(size[0]) if (size == size[0]).all() else 0
    lengths = b"" if each else size.astype(">u4").tobytes()
    return [
        full(b"stsc", 0, 0, struct.pack(">I", len(runs)), np.array(runs, ">u4").tobytes()),
        full(b"stsz", 0, 0, struct.pack(">II", each, len(size)), lengths),
        full(b"co64" if wide else b"stco", 0, 0, struct.pack(">I", len(starts)), starts.astype(">u8" if wide else ">u4").tobytes()),
    ]


def _texts(texts: Mapping[str, bytes]) -> bytes:
    """Texts under names of their own, as Apple writes them and ffprobe and exiftool read them."""
    kind = full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"mdta"), b"\0")
    keys = [box(b"mdta", name.encode()) for name in texts]
    values = [box(struct.pack(">I", number), box(b"data", struct.pack(">II", 1, 0), text)) for number, text in enumerate(texts.values(), 1)]
    return box(b"meta", kind, full(b"keys", 0, 0, struct.pack(">I", len(keys)), *keys), box(b"ilst", *values))
