"""What an MP4 or QuickTime file holds by its own description: tracks, and for each sample where it stands, when, and whether it is a key.

Source: ISO/IEC 14496-12 (samples), Apple's QuickTime File Format (its older forms). Tables become arrays; their lengths are those of
their boxes, and each claim that would grow them is checked first.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tiles.arrays import Bools, Int64s
from tiles.video import fragments
from tiles.video.boxes import MOOV_LIMIT, Atom, Damaged, FileAtom, boxes, child, top_boxes
from tiles.video.fragments import MOST_SAMPLES, Fragments

LONGEST_S = 100 * 86_400
EPOCH_1904_S = 2_082_844_800
"""Seconds from 1904, where the clocks of these files begin, to 1970."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a track in the order of the file: bytes `at` and `size`, times in ticks, and whether decoding can begin there.

    `dts` is when a sample is decoded, `pts` when it is shown.
    """

    at: Int64s
    size: Int64s
    dts: Int64s
    pts: Int64s
    sync: Bools
    last: int
    """How long the last sample lasts."""

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class MovieTrack:
    """A track. `entry` is its sample description as it stands, `codec` its four letters, `shift_s` where its media begins in the film."""

    number: int
    handler: bytes
    codec: bytes
    entry: bytes
    timescale: int
    samples: Samples
    width: int = 0
    height: int = 0
    matrix: bytes = b""
    shift_s: float = 0.0
    edits: int = 0

    @property
    def seconds(self) -> float:
        """How long its samples last."""
        s = self.samples
        return (int(s.dts[-1] - s.dts[0]) + s.last) / self.timescale if len(s) else 0.0

    def times_s(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """When each sample is shown, in seconds of the film."""
        return self.samples.pts / self.timescale + self.shift_s


@dataclass(frozen=True, slots=True)
class Movie:
    """A file. `created_s` is its own creation time (seconds since 1970, None where it states none); cameras write local time into it.

    `texts`: make, model and firmware, where they are stated in the usual boxes. `end`: bytes that are there. `ends_early`: the file ends in
    the middle of a fragment.
    """

    tracks: tuple[MovieTrack, ...]
    created_s: int | None
    texts: Mapping[str, str]
    end: int
    ends_early: bool = False

    def of(self, handler: bytes) -> list[MovieTrack]:
        """Tracks of a kind."""
        return [track for track in self.tracks if track.handler == handler]


def read_movie(path: Path) -> Movie:
    """The description of a file, or of what a cut one holds.

    Raises: InvalidContent: `video.damaged`, `video.no_index` (cut before its description, or none).
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        moov: bytes | None = None
        moofs: list[FileAtom] = []
        is_cut = False
        for found in top_boxes(stream, size):
            is_cut = found.is_cut
            if found.kind == b"moov" and not found.is_cut:
                moov = _moov(stream, found)
                if not fragments.defaults_of(moov, Atom(b"moov", 0, 0, len(moov))):
                    break
            elif found.kind == b"moof" and not found.is_cut:
                moofs.append(found)
        if moov is None:
            text = "The video has no description of its pictures (moov): it was cut, or its camera was switched off."
            raise Damaged(text, code="video.no_index")
        try:
            whole = Atom(b"moov", 0, 0, len(moov))
            more = fragments.read_fragments(stream, moofs, fragments.defaults_of(moov, whole), size)
            return _movie(moov, size, more, ends_early=bool(moofs) and is_cut)
        except (struct.error, ValueError, IndexError) as why:
            raise Damaged(f"The description of the video is damaged ({why}).") from why


def _moov(stream: BinaryIO, found: Atom) -> bytes:
    if found.end - found.start > MOOV_LIMIT:
        raise Damaged(f"The description of the video has {found.end - found.start} bytes; at most {MOOV_LIMIT} are read.")
    stream.seek(found.start)
    return stream.read(found.end - found.start)


def _movie(data: bytes, size: int, more: Fragments, *, ends_early: bool) -> Movie:
    whole = Atom(b"moov", 0, 0, len(data))
    header = child(data, whole, b"mvhd")
    created, scale = _clock(data, header) if header is not None else (0, 1000)
    traks = [one for one in boxes(data) if one.kind == b"trak"]
    tracks = tuple(track for trak in traks if (track := _track(data, trak, scale, size, more)) is not None)
    return Movie(tracks, created - EPOCH_1904_S if created > EPOCH_1904_S else None, _texts(data, whole), size, ends_early)


def _clock(data: bytes, header: Atom) -> tuple[int, int]:
    """Creation time (seconds since 1904) and time scale of a movie or media header."""
    at = header.start
    created, scale = struct.unpack_from(">Q8xI", data, at + 4) if data[at] == 1 else struct.unpack_from(">I4xI", data, at + 4)
    return int(created), max(1, int(scale))


def _track(data: bytes, trak: Atom, movie_scale: int, size: int, more: Fragments) -> MovieTrack | None:
    """A track; None of one without samples."""
    head, handler = child(data, trak, b"tkhd"), child(data, trak, b"mdia", b"hdlr")
    clock, table = child(data, trak, b"mdia", b"mdhd"), child(data, trak, b"mdia", b"minf", b"stbl")
    if head is None or handler is None or clock is None or table is None:
        return None
    described = child(data, table, b"stsd")
    kind = data[handler.start + 8 : handler.start + 12]
    is_inside = _is_inside(data, trak)
    if not is_inside and kind == b"vide":
        raise Damaged("The pictures of the video are in another file, which is never opened.")
    if described is None or not is_inside:
        return None
    entries = list(boxes(data, described.start + 8, described.end))
    wide = data[head.start] == 1
    number = struct.unpack_from(">I", data, head.start + (20 if wide else 12))[0]
    samples = _behind(_samples(data, table, size), more, number)
    if not entries or not len(samples):
        return None
    if float(np.abs(samples.pts).max()) > LONGEST_S * _clock(data, clock)[1]:
        raise Damaged("A track claims to last for months.")
    scale = _clock(data, clock)[1]
    at = head.start + (52 if wide else 40)
    matrix, width, height = data[at : at + 36], *struct.unpack_from(">II", data, at + 36)
    shift, edits = _edits(data, trak, movie_scale, scale)
    entry = data[entries[0].head : entries[0].end]
    if len(entries) > 1 and kind == b"vide":
        raise Damaged("A track has several descriptions of its samples, which are not read here.")
    return MovieTrack(number, kind, entries[0].kind, entry, scale, samples, width >> 16, height >> 16, matrix, shift, edits)


def _is_inside(data: bytes, trak: Atom) -> bool:
    """Whether all samples stand in the file itself: a reference to another file is never followed."""
    found = child(data, trak, b"mdia", b"minf", b"dinf", b"dref")
    if found is None:
        return True
    return all(data[one.start + 3] & 1 for one in boxes(data, found.start + 8, found.end) if one.end - one.start >= 4)


def _edits(data: bytes, trak: Atom, movie_scale: int, scale: int) -> tuple[float, int]:
    """Seconds from the media's zero to the film's, and how many pieces of media the edit list shows."""
    found = child(data, trak, b"edts", b"elst")
    if found is None:
        return 0.0, 0
    (count,) = struct.unpack_from(">I", data, found.start + 4)
    form = struct.Struct(">QqI" if data[found.start] == 1 else ">IiI")
    if count > (found.end - found.start - 8) // form.size:
        raise Damaged("An edit list claims more entries than it has.")
    shift, shown = 0.0, 0
    for number in range(count):
        duration, start, _ = form.unpack_from(data, found.start + 8 + number * form.size)
        if start >= 0:
            shift -= start / scale if not shown else 0.0
            shown += 1
        elif not shown:
            shift += duration / movie_scale
    return shift, shown


def _table(data: bytes, table: Atom, kind: bytes, columns: int, skip: int = 4) -> Int64s | None:
    """A table of unsigned 32-bit numbers, (rows, columns); None when there is none. `skip`: bytes before the count of rows."""
    found = child(data, table, kind)
    if found is None:
        return None
    (count,) = struct.unpack_from(">I", data, found.start + skip)
    begin = found.start + skip + 4
    if count > (found.end - begin) // (4 * columns):
        raise Damaged(f"The table {kind.decode()} claims {count} rows and has fewer.")
    return np.frombuffer(data, ">u4", count * columns, begin).astype(np.int64).reshape(count, columns)


def _samples(data: bytes, table: Atom, size: int) -> Samples:
    sizes = _sizes(data, table, size)
    n = len(sizes)
    times, offsets = _table(data, table, b"stts", 2), _table(data, table, b"ctts", 2)
    lasts = _repeated(times, n) if times is not None else np.zeros(n, np.int64)
    dts = np.concatenate([[0], np.cumsum(lasts[:-1])]) if n else np.zeros(0, np.int64)
    shown = np.zeros(n, np.int64)
    if offsets is not None:
        shown = _repeated(offsets, n).astype(np.uint32).astype(np.int32).astype(np.int64)  # signed since version 1, and in QuickTime
    keys = _table(data, table, b"stss", 1)
    sync = np.ones(n, bool) if keys is None else np.zeros(n, bool)
    if keys is not None:
        numbers = keys[:, 0] - 1
        sync[numbers[(numbers >= 0) & (numbers < n)]] = True
    return Samples(_places(data, table, sizes), sizes, dts, dts + shown, sync, int(lasts[-1]) if n else 0)


def _behind(samples: Samples, more: Fragments, number: int) -> Samples:
    """Samples of a track, and behind them those of fragments."""
    table = more.table(number)
    if table is None:
        return samples
    at, size, dts, offsets, sync = table
    return Samples(
        at=np.concatenate([samples.at, at]),
        size=np.concatenate([samples.size, size]),
        dts=np.concatenate([samples.dts, dts]),
        pts=np.concatenate([samples.pts, dts + offsets]),
        sync=np.concatenate([samples.sync, sync]),
        last=more.lasts[number],
    )


def _sizes(data: bytes, table: Atom, size: int) -> Int64s:
    found = child(data, table, b"stsz")
    if found is None:
        if child(data, table, b"stz2") is not None:
            raise Damaged("The sizes of samples are packed (stz2), which is not read here.")
        return np.zeros(0, np.int64)
    each, count = struct.unpack_from(">II", data, found.start + 4)
    if each:
        if count > MOST_SAMPLES or count > size // each + 1:
            raise Damaged(f"A track claims {count} samples of {each} bytes, and the file has {size}.")
        return np.full(count, each, np.int64)
    sizes = _table(data, table, b"stsz", 1, skip=8)
    return np.zeros(0, np.int64) if sizes is None else sizes[:, 0]


def _repeated(runs: Int64s, n: int) -> Int64s:
    """Values of a table of (count, value), one a sample; the last goes on where the table ends early."""
    counts = runs[:, 0]
    ends = np.minimum(np.cumsum(np.minimum(counts, n + 1)), n)
    lengths = np.diff(ends, prepend=0)
    found = np.repeat(runs[:, 1], lengths)
    rest = n - len(found)
    return np.concatenate([found, np.full(rest, runs[-1, 1] if len(runs) else 0, np.int64)]) if rest else found


def _places(data: bytes, table: Atom, sizes: Int64s) -> Int64s:
    """Where each sample stands: chunks, and how many samples are in each."""
    chunks = _chunks(data, table)
    runs = _table(data, table, b"stsc", 3)
    n = len(sizes)
    if runs is None or not len(runs) or not len(chunks):
        if n:
            raise Damaged("A track does not state where its samples stand.")
        return np.zeros(0, np.int64)
    first = np.clip(runs[:, 0] - 1, 0, len(chunks))
    if (np.diff(first) < 0).any() or first[0] != 0:
        raise Damaged("The chunks of a track are out of order.")
    each = np.repeat(np.minimum(runs[:, 1], n + 1), np.diff(first, append=len(chunks)))
    starts = np.concatenate([[0], np.cumsum(each)])
    if starts[-1] < n:
        raise Damaged("A track has more samples than its chunks hold.")
    chunk = np.searchsorted(starts, np.arange(n), side="right") - 1
    before = np.concatenate([[0], np.cumsum(sizes)])
    return np.asarray(chunks[chunk] + before[:-1] - before[starts[chunk]], np.int64)


def _chunks(data: bytes, table: Atom) -> Int64s:
    found = child(data, table, b"co64")
    if found is None:
        places = _table(data, table, b"stco", 1)
        return np.zeros(0, np.int64) if places is None else places[:, 0]
    (count,) = struct.unpack_from(">I", data, found.start + 4)
    if count > (found.end - found.start - 8) // 8:
        raise Damaged("The table co64 claims more rows than it has.")
    places = np.frombuffer(data, ">u8", count, found.start + 8)
    return np.minimum(places, np.uint64(1 << 60)).astype(np.int64)


# ---- what a camera writes about itself -------------------------------------------------------------------------------------------------

_TEXTS = {
    b"\xa9mak": "make", b"\xa9mod": "model", b"\xa9swr": "software", b"FIRM": "firmware",
    b"com.apple.quicktime.make": "make", b"com.apple.quicktime.model": "model", b"com.apple.quicktime.software": "software",
}  # fmt: skip
_LONGEST = 200


def _texts(data: bytes, movie: Atom) -> dict[str, str]:
    """Make, model and firmware of the camera, by the boxes of QuickTime, GoPro and Apple."""
    found: dict[str, str] = {}
    about = child(data, movie, b"udta")
    for one in boxes(data, about.start, about.end) if about is not None else ():
        if one.kind in _TEXTS:
            body = data[one.start : one.end]
            raw = body[4 : 4 + int.from_bytes(body[:2])] if one.kind[0] == 0xA9 else body
            _keep(found, _TEXTS[one.kind], raw)
    keys = child(data, movie, b"meta", b"keys")
    values = child(data, movie, b"meta", b"ilst")
    if keys is not None and values is not None:
        names = [data[one.start : one.end] for one in boxes(data, keys.start + 8, keys.end)]
        for item in boxes(data, values.start, values.end):
            number, value = int.from_bytes(item.kind), child(data, item, b"data")
            if value is not None and 0 < number <= len(names) and names[number - 1] in _TEXTS:
                _keep(found, _TEXTS[names[number - 1]], data[value.start + 8 : value.end])
    return found


def _keep(found: dict[str, str], name: str, raw: bytes) -> None:
    text = "".join(letter for letter in raw.split(b"\0")[0].decode("utf-8", "replace") if letter.isprintable()).strip()
    if text and name not in found:
        found[name] = text[:_LONGEST]
