"""The runs of frames of one cell, put together to its tile: in order, their times closed up, and what is known of them in its metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tiles.arrays import Bools, Float64s, Int64s
from tiles.batch import EncodedTile, Quantities
from tiles.box import Box
from tiles.errors import InvalidContent
from tiles.formats import MP4
from tiles.frames.track import collection, feature
from tiles.grid import grid
from tiles.video import camm, tile, units
from tiles.video.movie import MovieTrack
from tiles.video.tile import Frames, Pictures
from tiles.video.units import H264

MOST_VERTICES = 100_000
"""Of a trajectory: an hour at 30 frames a second. The CAMM track has every frame."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Reel:
    """A file of a recording: its video track, and when and where each sample was recorded (by number of the sample)."""

    path: Path
    name: str
    track: MovieTrack
    t_ns: Int64s
    places: Float64s

    def shown(self) -> Int64s:
        """At which place each sample is shown."""
        order = np.argsort(self.track.samples.pts, kind="stable")
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return places

    def lasting(self) -> Int64s:
        """Ticks from the showing of each sample to that of the next one."""
        samples = self.track.samples
        order = np.argsort(samples.pts, kind="stable")
        lasts = np.empty(len(order), np.int64)
        lasts[order] = np.diff(samples.pts[order], append=samples.pts[order[-1]] + samples.last)
        return lasts

    def ms(self) -> Int64s:
        """Milliseconds of each sample, whose sum is the length of the whole."""
        lasts = self.lasting()
        order = np.argsort(self.track.samples.pts, kind="stable")
        ends = np.cumsum(lasts[order]) * 1000 // self.track.timescale
        found = np.empty(len(order), np.int64)
        found[order] = np.diff(ends, prepend=0)
        return found


@dataclass(frozen=True, slots=True)
class FrameRun:
    """Frames of one cell, in the order of decoding, with the bytes and keys that they have in the tile.

    `at`: where their bytes begin among those that were packed anew, None where they are copied from the film. `sets`: parameter sets that
    they brought. `psnr_db`: how near the worst of them is.
    """

    cell: np.uint64
    film: Reel
    samples: Int64s
    size: Int64s
    sync: Bools
    at: int | None = None
    sets: tuple[bytes, ...] = ()
    psnr_db: float = 0.0


@dataclass(frozen=True, slots=True)
class _Put:
    """A run in its tile: the shown number of its first frame there, its times in ticks, and what stands in front of its first frame."""

    run: FrameRun
    pts: Int64s
    in_front: bytes


class Assembly:
    """Writes tiles of one source below `out`."""

    def __init__(self, out: Path, layer: str, part: int, camera: Mapping[str, Any], placing: Mapping[str, Any]) -> None:
        self._out, self._layer, self._part = out, layer, part
        self._camera, self._placing = camera, placing
        self._known: dict[Path, tuple[Int64s, Int64s, Int64s]] = {}

    def _tables(self, film: Reel) -> tuple[Int64s, Int64s, Int64s]:
        """Shown place, ticks and milliseconds of each sample of a film."""
        if film.path not in self._known:
            self._known[film.path] = film.shown(), film.lasting(), film.ms()
        return self._known[film.path]

    def write(self, cell: int, runs: Sequence[FrameRun], anew: BinaryIO) -> EncodedTile:
        """Write the tile of a cell. `anew` holds the frames that were packed anew."""
        passes = list(self._passes(runs))
        put = list(self._put(passes))
        pts = np.concatenate([one.pts for one in put])
        size = np.concatenate([one.run.size + _first(len(one.run.size), len(one.in_front)) for one in put])
        samples = [(run.film, run.samples) for run in runs]
        t_ns = np.concatenate([film.t_ns[own] for film, own in samples])
        places = np.concatenate([film.places[own] for film, own in samples])
        ms = sum(int(self._tables(film)[2][own].sum()) for film, own in samples)
        last_film, last = runs[-1].film, runs[-1].samples
        ends = int(self._tables(last_film)[1][last[np.argmax(last_film.track.samples.pts[last])]])
        frames = Frames(size, pts, np.concatenate([run.sync for run in runs]), ends)
        order = np.argsort(pts, kind="stable")
        texts = {tile.TRAJECTORY: self._trajectory(passes), tile.ABOUT: self._stated(passes, put)}
        head = tile.head(_pictures(runs), frames, int(t_ns[order[0]]), texts)
        path = self._out / MP4.path(self._layer, grid.quadkey(cell), self._part)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, length = hashlib.sha256(), 0
        with path.open("xb") as stream:
            for body in chain([head], _bodies(put, anew), [camm.packets(t_ns[order], places[order])]):
                stream.write(body)
                digest.update(body)
                length += len(body)
        (west, south), (east, north) = places[:, :2].min(axis=0).tolist(), places[:, :2].max(axis=0).tolist()
        quantities = Quantities(features=len(pts), frames=len(pts), ms=ms, bytes=length)
        relative = path.relative_to(self._out).as_posix()
        box = Box(west, south, east, north)
        return EncodedTile(self._layer, cell, self._part, relative, digest.hexdigest(), length, MP4.media_type, quantities, box)

    def _passes(self, runs: Sequence[FrameRun]) -> Iterator[list[FrameRun]]:
        """Runs that follow one another without a frame between them."""
        now: list[FrameRun] = []
        for run in runs:
            if now and (now[-1].film is not run.film or self._shown(now[-1]).max() + 1 != self._shown(run).min()):
                yield now
                now = []
            now.append(run)
        yield now

    def _shown(self, run: FrameRun) -> Int64s:
        return self._tables(run.film)[0][run.samples]

    def _put(self, passes: Sequence[Sequence[FrameRun]]) -> Iterator[_Put]:
        base, is_changed, is_first = 0, False, True
        for runs in passes:
            film = runs[0].film
            pts, lasts = film.track.samples.pts, self._tables(film)[1]
            begin = min(int(pts[run.samples].min()) for run in runs)
            is_apart = not is_first
            for run in runs:
                sets = units.sets_of(film.track.entry)
                in_front = b""
                if run.at is None and sets.codec != H264:
                    in_front = (sets.end() if is_apart or is_changed else b"") + (sets.written() if is_changed else b"")
                is_changed = run.at is not None
                is_apart = is_first = False
                yield _Put(run, base + pts[run.samples] - begin, in_front)
            last = runs[-1].samples[np.argmax(pts[runs[-1].samples])]
            base += int(pts[last]) - begin + int(lasts[last])

    def _trajectory(self, passes: Sequence[Sequence[FrameRun]]) -> bytes:
        """The way of the camera: a line a pass, a vertex a frame in the order of showing (of very many some), times in `times`."""
        features = []
        step = -(-sum(len(run.samples) for runs in passes for run in runs) // MOST_VERTICES)
        for runs in passes:
            film = runs[0].film
            own = np.concatenate([run.samples for run in runs])
            own = own[np.argsort(film.track.samples.pts[own], kind="stable")][::step]
            known = film.t_ns[own]
            times = [f"{text}Z" for text in np.datetime_as_string(known.astype("datetime64[ns]")).tolist()] if known.all() else None
            features.append(feature({"file": film.name, "times": times}, film.places[own]))
        return collection(features, self._placing)

    def _stated(self, passes: Sequence[Sequence[FrameRun]], put: Sequence[_Put]) -> bytes:
        """What is known of the pictures: camera, which frames of which files, and which of them were packed anew."""
        film = put[0].run.film
        codec = units.sets_of(film.track.entry).codec
        found, anew, count = [], [], 0
        for runs in passes:
            shown = [self._shown(run) for run in runs]
            found.append({"file": runs[0].film.name, "first_frame": int(shown[0].min()), "frames": sum(map(len, shown))})
            for run in runs:
                if run.at is not None:
                    near = {"lossless": True} if np.isinf(run.psnr_db) else {"psnr_db": round(run.psnr_db, 2)}
                    anew.append({"first_frame": count, "frames": len(run.samples), **near})
                count += len(run.samples)
        about = {"camera": dict(self._camera), "codec": codec, "passes": found, "packed_anew": anew}
        return json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode()


def _first(count: int, length: int) -> Int64s:
    """A number for the first of `count`, 0 for the others."""
    found = np.zeros(count, np.int64)
    found[0] = length
    return found


def _pictures(runs: Sequence[FrameRun]) -> Pictures:
    track = runs[0].film.track
    entry = track.entry
    more = {unit: None for run in runs for unit in run.sets}
    if more and units.sets_of(entry).codec == H264:
        entry = units.with_sets(entry, tuple(more))
    elif more:
        entry = units.in_band(entry)
    return Pictures(entry, track.timescale, track.width, track.height, track.matrix)


def _bodies(put: Sequence[_Put], anew: BinaryIO) -> Iterator[bytes]:
    """The bytes of the pictures, in order and in pieces of bounded size."""
    for one in put:
        if one.in_front:
            yield one.in_front
        if one.run.at is not None:
            yield from _read(anew, one.run.at, int(one.run.size.sum()))
            continue
        samples, own = one.run.film.track.samples, one.run.samples
        at, size = samples.at[own], samples.size[own]
        edges = np.flatnonzero(at[1:] != at[:-1] + size[:-1]) + 1
        with one.run.film.path.open("rb") as stream:
            for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(own)], strict=True):
                yield from _read(stream, int(at[first]), int(size[first:last].sum()))


def _read(stream: BinaryIO, at: int, length: int) -> Iterator[bytes]:
    stream.seek(at)
    while length:
        body = stream.read(min(length, _PIECE))
        if not body:
            raise InvalidContent("The video ended while it was copied.", code="video.damaged")
        length -= len(body)
        yield body
