"""Video to tiles: every frame exactly once, in the half-open cell where it was recorded, and none of another cell in any tile.

Batches bring no picture, only which frame was where (columns `file`, `seq`, `t_ns`, `lon`, `lat`, `h`; `Batch.meta["video"]` names the
files); the pictures are copied from the file itself (`tiles.video.groups` has how, decision 12 why). `features` and `frames` of a tile
count its frames, `ms` is recorded time (sums to the whole).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tiles.arrays import Float64s, Int64s, UInt64s
from tiles.batch import PLACING, Batch, EncodedTile, LayerKind
from tiles.errors import InvalidContent
from tiles.formats import Misfit, Remark
from tiles.grid import grid
from tiles.video import groups, units
from tiles.video.assembly import Assembly, FrameRun, Reel
from tiles.video.groups import NOWHERE, Piece
from tiles.video.movie import MovieTrack, read_movie
from tiles.video.recode import EdgeFault, recode
from tiles.video.units import H264, Sets

_MOST_NAMED = 20


def open_splitter(out_dir: Path, first: Batch, part: int) -> VideoSplitter:
    """The splitter of a layer of video (see `tiles.formats.TileFormat`)."""
    return VideoSplitter(out_dir, layer=first.layer, part=part)


@dataclass(slots=True)
class _FrameRows:
    """What the batches state of the frames of one file."""

    seq: list[Int64s] = field(default_factory=list)
    t_ns: list[Int64s] = field(default_factory=list)
    places: list[Float64s] = field(default_factory=list)

    def film(self, path: Path, name: str, track: MovieTrack) -> tuple[Reel, UInt64s]:
        """The frames of the file as arrays by the number of their sample, and the cell of each."""
        n = len(track.samples)
        seq = np.concatenate(self.seq)
        t_ns, places = np.zeros(n, np.int64), np.full((n, 3), np.nan)
        t_ns[seq], places[seq] = np.concatenate(self.t_ns), np.concatenate(self.places)
        cells = np.full(n, NOWHERE)
        cells[seq] = grid.cells_at(places[seq, 0], places[seq, 1])
        return Reel(path, name, track, t_ns, places), cells


class VideoSplitter:
    """Cuts frames of some files into one MP4 file a cell: `out_dir/<layer>/<quadkey>-<part>.mp4`.

    Args:
        out_dir: where tiles go; `out_dir/.spill` is used meanwhile and removed.
        layer: name of the layer, and of the folder in `out_dir`.
        part: number of the source in its version.
    """

    unplaced = 0  # a frame without a place never comes here

    def __init__(self, out_dir: Path, *, layer: str, part: int) -> None:
        self.rejected = 0
        self.misfits: list[Misfit] = []
        self._out, self._layer, self._part = out_dir, layer, part
        self._about: Mapping[str, Any] = {}
        self._placing: dict[str, Any] = {}
        self._rows: dict[int, _FrameRows] = {}
        self._anew = self._cut = 0
        self._sets: tuple[bytes, ...] = ()
        self._worst = float("inf")

    def add(self, batch: Batch) -> None:
        """Take frames in. Raises: InvalidContent: not video. InvalidTile: a position that no cell has."""
        if batch.kind is not LayerKind.VIDEO or "video" not in batch.meta:
            raise InvalidContent(f"A layer of video cannot take {batch.content} of kind {batch.kind}.", code="frames.kind")
        self._about = self._about or json.loads(batch.meta["video"])
        if not self._placing and PLACING in batch.meta:
            self._placing = json.loads(batch.meta[PLACING])
        columns = {name: batch.table.column(name).to_numpy(zero_copy_only=False) for name in ("file", "seq", "t_ns", "lon", "lat", "h")}
        places = np.stack([columns[name].astype(np.float64) for name in ("lon", "lat", "h")], axis=1)
        grid.cells_at(places[:, 0], places[:, 1])
        for number in np.unique(columns["file"]).tolist():
            own = columns["file"] == number
            rows = self._rows.setdefault(number, _FrameRows())
            rows.seq.append(columns["seq"][own].astype(np.int64))
            rows.t_ns.append(columns["t_ns"][own].astype(np.int64))
            rows.places.append(places[own])

    @property
    def remarks(self) -> Sequence[Remark]:
        """How many frames had to be packed anew."""
        if not self._anew:
            return ()
        text = f"{self._anew} frames of {self._cut} groups of pictures that go over the edge of a tile were packed anew without any loss."
        if self._worst < float("inf"):
            text = text.replace(" without any loss", f", at least {self._worst:.1f} dB near to the original")
        return (Remark("video.packed_anew", text, self._anew),)

    def finish(self) -> Iterator[EncodedTile]:
        """Write the tiles, in the order of their cells."""
        spill = self._out / ".spill" / f"video-{self._layer}-{self._part}"
        spill.parent.mkdir(parents=True, exist_ok=True)
        runs: dict[int, list[FrameRun]] = {}
        try:
            with spill.open("w+b") as anew:
                for number in sorted(self._rows):
                    one = self._about["files"][number]
                    for run in self._of_file(Path(one["path"]), str(one["name"]), self._rows.pop(number), anew):
                        runs.setdefault(int(run.cell), []).append(run)
                assembly = Assembly(self._out, self._layer, self._part, self._about.get("camera", {}), self._placing)
                for cell in sorted(runs):
                    yield assembly.write(cell, runs.pop(cell), anew)
        finally:
            spill.unlink(missing_ok=True)
            if spill.parent.is_dir() and not any(spill.parent.iterdir()):
                spill.parent.rmdir()

    def _of_file(self, path: Path, name: str, rows: _FrameRows, anew: BinaryIO) -> Iterator[FrameRun]:
        movie = read_movie(path)
        track = movie.of(b"vide")[int(self._about.get("track", 0))]
        sets = units.sets_of(track.entry)
        film, cells = rows.film(path, name, track)
        there = track.samples.at + track.samples.size <= movie.end
        end = len(there) if there.all() else int(np.flatnonzero(~there)[0])
        with path.open("rb") as stream:
            begins = groups.starts(stream, track.samples, sets)
            waiting: list[Piece] = []
            for piece in groups.pieces(begins, track.samples, cells, end):
                if waiting and waiting[0].group != piece.group:
                    yield from self._anew_of(stream, film, sets, waiting, anew)
                    waiting = []
                if piece.is_copied:
                    yield from self._copied(film, piece)
                else:
                    waiting.append(piece)
            if waiting:
                yield from self._anew_of(stream, film, sets, waiting, anew)

    def _copied(self, film: Reel, piece: Piece) -> Iterator[FrameRun]:
        if piece.cell != NOWHERE:
            yield FrameRun(piece.cell, film, piece.samples, film.track.samples.size[piece.samples], film.track.samples.sync[piece.samples])

    def _anew_of(self, stream: BinaryIO, film: Reel, sets: Sets, cut: Sequence[Piece], anew: BinaryIO) -> Iterator[FrameRun]:
        """The pieces of one group that are packed anew; where that fails, their frames are rejected."""
        kept = [piece for piece in cut if piece.cell != NOWHERE]
        if not kept:
            return
        begin = anew.seek(0, 2)
        try:
            made = self._packed(stream, film, sets, kept, anew)
        except EdgeFault as why:
            anew.truncate(begin)
            lost = sum(len(piece.samples) for piece in kept)
            self.rejected += lost
            if len(self.misfits) < _MOST_NAMED:
                text = f"{film.name}: {why.message} {lost} frames were left out."
                number = int(kept[0].samples[0])
                self.misfits.append(Misfit(number, f"{film.name} frame {number}", "video.edge", text, lost))
            return
        self._cut += 1
        self._anew += sum(len(run.samples) for run in made)
        self._worst = min(self._worst, *(run.psnr_db for run in made))
        yield from made

    def _packed(self, stream: BinaryIO, film: Reel, sets: Sets, cut: Sequence[Piece], anew: BinaryIO) -> list[FrameRun]:
        """Runs of the pieces of one group. Raises: EdgeFault."""
        first, last = cut[0].group
        order = first + np.argsort(film.track.samples.pts[first:last], kind="stable")
        shown = [np.flatnonzero(np.isin(order, piece.samples)) for piece in cut]
        runs = [(int(numbers[0]), int(numbers[-1]) + 1) for numbers in shown]
        frames = recode(stream, film.track, sets, (first, last), runs)
        made = []
        for piece, numbers in zip(cut, shown, strict=True):
            at, sizes, keys, own, worst = anew.seek(0, 2), [], [], dict[bytes, None](), float("inf")
            for one in islice(frames, len(numbers)):
                body = _in_front(one.sets, sets) + one.body
                anew.write(body)
                sizes.append(len(body))
                keys.append(one.is_key)
                own |= dict.fromkeys(one.sets)
                worst = min(worst, one.psnr_db)
            packed = np.array(sizes, np.int64), np.array(keys, bool)
            made.append(FrameRun(piece.cell, film, order[numbers], *packed, at, tuple(own), worst))
        more = tuple(dict.fromkeys(unit for run in made for unit in run.sets))
        self._sets = self._sets or more
        if more != self._sets:
            raise EdgeFault("Pictures at edges were packed in different ways.")
        if next(frames, None) is not None or any(len(run.size) != len(run.samples) for run in made):
            raise EdgeFault("Not as many pictures came out as went in.")
        return made


def _in_front(more: Sequence[bytes], sets: Sets) -> bytes:
    """Parameter sets in front of a picture of HEVC; those of H.264 stand in the description, under numbers of their own."""
    return b"".join(len(unit).to_bytes(sets.length) + unit for unit in more) if sets.codec != H264 else b""
