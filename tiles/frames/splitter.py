"""Frames to tiles: every message or picture exactly once, in the half-open cell where it was recorded.

What every slice needs is repeated in it and counted where it was recorded (`tiles.frames.repeated`). Quantities of a tile: `features` =
records (messages, attachments, pictures), `frames` = pictures and lidar sweeps among them, `ms` = recorded time (sums to the whole),
`bytes`. Memory is bounded: slices grow on disk, pictures wait there until they can be sorted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tiles import extras
from tiles.arrays import Bools, Float64s, Int64s
from tiles.batch import PLACING, Batch, Content, EncodedTile, LayerKind, Quantities
from tiles.box import Box
from tiles.errors import InvalidContent
from tiles.formats import MCAP, PHOTO_TAR, Misfit, Remark, TileFormat
from tiles.frames import photo_tar
from tiles.frames.picture_tables import PictureTables
from tiles.frames.repeated import Latched, LatchedMessage, SmallAttachment
from tiles.frames.track import RecordedTime, line, stations
from tiles.grid import grid

if TYPE_CHECKING:
    from tiles.frames import mcap_slice

FREE_COPIES, MOST_COPIES = 512 << 20, 20
"""Most bytes that all slices of a recording may have of what each of them repeats: these, and so many times what was recorded."""


@dataclass(slots=True)
class _Stay:
    """What is known of a cell before its tile is written."""

    records: int = 0
    frames: int = 0
    times: list[Int64s] = field(default_factory=list)
    places: list[Float64s] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    low: Float64s = field(default_factory=lambda: np.full(2, np.inf))
    high: Float64s = field(default_factory=lambda: np.full(2, -np.inf))


@dataclass(frozen=True, slots=True)
class _FrameColumns:
    """Columns of a batch as arrays: UTC nanoseconds, lon lat h (n, 3), whether a row is a frame, and whether it is a fix of the way."""

    times: Int64s
    places: Float64s
    frame: Bools
    fix: Bools


def open_splitter(out_dir: Path, first: Batch, part: int) -> FrameSplitter:
    """The splitter of a layer of frames (see `tiles.formats.TileFormat`)."""
    return FrameSplitter(out_dir, layer=first.layer, part=part)


class FrameSplitter:
    """Cuts batches of frames into one MCAP slice, or one archive of pictures, a cell: `out_dir/<layer>/<quadkey>-<part>.<ending>`.

    Args:
        out_dir: where tiles go; `out_dir/.spill` is used meanwhile and removed.
        layer: name of the layer, and of the folder in `out_dir`.
        part: number of the source in its version.
    """

    rejected = unplaced = 0  # a frame without a place never comes here
    misfits: Sequence[Misfit] = ()
    remarks: Sequence[Remark] = ()

    def __init__(self, out_dir: Path, *, layer: str, part: int) -> None:
        self.out_dir, self.layer, self.part = out_dir, layer, part
        self._pictures = PictureTables(out_dir / ".spill" / f"frames-{layer}-{part}")
        self._stays: dict[int, _Stay] = {}
        self._clock = RecordedTime()
        self._kind: LayerKind | None = None
        self._about: dict[str, Any] = {}
        self._placing: dict[str, Any] = {}
        self._first: int | None = None
        self._slices: dict[int, mcap_slice.Slice] = {}
        self._latched = Latched({})
        self._each = self._copied = self._given = 0

    def add(self, batch: Batch) -> None:
        """Take frames in, in the order of the recording.

        Raises: InvalidContent: not frames, or of another kind than before; `recording.repeats`. InvalidTile: a position that no cell has.
        """
        if batch.content is not Content.FRAMES or self._kind not in (None, batch.kind):
            raise InvalidContent(f"A layer of frames cannot take {batch.content} of kind {batch.kind}.", code="frames.kind")
        self._kind = batch.kind
        if not self._about and "mcap" in batch.meta:
            self._about = json.loads(batch.meta["mcap"])
            self._latched = Latched.of(self._about.get("channels", ()))
            self._each = len(json.dumps(self._about.get("metadata", ()))) + _definitions(self._about.get("channels", ()))
        if not self._placing and PLACING in batch.meta:
            self._placing = json.loads(batch.meta[PLACING])
        table = batch.table.combine_chunks()
        columns = _columns(table)
        cells = grid.cells_at(columns.places[:, 0], columns.places[:, 1])
        self._first = int(cells[0]) if self._first is None and len(cells) else self._first
        if "channel" in table.column_names:
            channel = table.column("channel").to_numpy(zero_copy_only=False)
            self._clock.add(columns.times[channel >= 0], cells[channel >= 0])
        order = np.argsort(cells, kind="stable")
        distinct, starts = np.unique(cells[order], return_index=True)
        if self._kind is not LayerKind.PHOTOS:
            self._open_slices(table, {int(cell): int(order[start]) for cell, start in zip(distinct, starts, strict=True)})
        for cell, rows in zip(distinct.tolist(), np.split(order, starts[1:]), strict=True):
            self._take(cell, table, rows, columns)

    def _take(self, cell: int, table: pa.Table, rows: Int64s, columns: _FrameColumns) -> None:
        self._keep(cell, table if len(rows) == table.num_rows else table.take(pa.array(rows)))
        stay = self._stays.setdefault(cell, _Stay())
        stay.records += len(rows)
        stay.frames += int(columns.frame[rows].sum())
        way = rows[columns.fix[rows]]
        if not len(way):  # too short a stay for a fix: where it began and ended
            way = rows[[0, -1]] if len(rows) > 1 else rows
        if self._kind is LayerKind.PHOTOS:
            stay.names += table.column("name").take(pa.array(way)).to_pylist()
        stay.times.append(columns.times[way])
        stay.places.append(columns.places[way])
        stay.low = np.minimum(stay.low, columns.places[rows, :2].min(axis=0))
        stay.high = np.maximum(stay.high, columns.places[rows, :2].max(axis=0))

    def _keep(self, cell: int, table: pa.Table) -> None:
        if self._kind is LayerKind.PHOTOS:
            self._pictures.append(cell, table)
            return
        self._slices[cell].add(table)

    def _open_slices(self, table: pa.Table, firsts: dict[int, int]) -> None:
        """Open the slices of new cells, each with what was recorded before its first row. `firsts`: cell -> its first row."""
        channel = table.column("channel").to_numpy(zero_copy_only=False)
        self._given += table.column("payload").nbytes
        wanted = np.flatnonzero(np.isin(channel, [-1, *self._latched.channels])).tolist()
        new = [(row, cell) for cell, row in firsts.items() if cell not in self._slices]
        for row, cell in sorted(
            [*new, *((row, -1) for row in wanted)], key=lambda one: (one[0], one[1] < 0)
        ):  # a slice has its own first row
            if cell < 0:
                self._see(table, row)
            else:
                with extras.needed():
                    from tiles.frames import mcap_slice
                self._count_copies()
                path = self._path(cell, MCAP)
                silent = cell == self._first
                self._slices[cell] = mcap_slice.Slice(path, self._about, self._latched, with_silent=silent, placing=self._placing)

    def _count_copies(self) -> None:
        """Pass while what slices repeat is no multiple of what was recorded.

        Raises: InvalidContent: `recording.repeats`.
        """
        self._copied += self._each + self._latched.size
        if self._copied > FREE_COPIES + MOST_COPIES * self._given:
            text = (
                f"The recording goes through more than {len(self._slices)} cells, and each slice repeats "
                f"{self._each + self._latched.size} bytes (metadata, definitions, latched messages): {self._copied >> 20} MiB for "
                f"{self._given >> 20} MiB of messages. Leave out what no slice needs."
            )
            raise InvalidContent(text, code="recording.repeats")

    def _see(self, table: pa.Table, row: int) -> None:
        names = ("channel", "seq", "publish_ns", "payload", "name", "media_type", "create_ns", "t_ns")
        channel, sequence, publish_ns, payload, name, media_type, create_ns, t_ns = (table.column(one)[row].as_py() for one in names)
        if channel < 0:
            self._latched.see_attachment(SmallAttachment(name or "", media_type or "", create_ns or 0, t_ns, payload))
        else:
            self._latched.see(LatchedMessage(channel, sequence, publish_ns, payload))

    def _path(self, cell: int, form: TileFormat) -> Path:
        path = self.out_dir / form.path(self.layer, grid.quadkey(cell), self.part)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self) -> Iterator[EncodedTile]:
        """Write the tiles, in the order of their cells."""
        recorded = self._clock.by_cell()
        form = PHOTO_TAR if self._kind is LayerKind.PHOTOS else MCAP
        try:
            for cell in sorted(self._stays):
                stay = self._stays.pop(cell)
                path = self._path(cell, form)
                self._write(cell, stay, path)
                yield self._encoded(cell, stay, path, form, recorded.get(cell, 0))
        finally:
            self._pictures.close()

    def _write(self, cell: int, stay: _Stay, path: Path) -> None:
        times, places = np.concatenate(stay.times), np.concatenate(stay.places)
        if self._kind is not LayerKind.PHOTOS:
            self._slices.pop(cell).finish(line(times, places, self._placing), self._latched)
            return
        with path.open("wb") as stream:
            photo_tar.write(stream, self._pictures, cell, stations(stay.names, times, places, self._placing))
        self._pictures.drop(cell)

    def _encoded(self, cell: int, stay: _Stay, path: Path, form: TileFormat, ms: int) -> EncodedTile:
        size = path.stat().st_size
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        quantities = Quantities(features=stay.records, frames=stay.frames, ms=ms, bytes=size)
        (west, south), (east, north) = stay.low.tolist(), stay.high.tolist()
        relative = path.relative_to(self.out_dir).as_posix()
        return EncodedTile(self.layer, cell, self.part, relative, digest, size, form.media_type, quantities, Box(west, south, east, north))


def _definitions(channels: Sequence[Mapping[str, Any]]) -> int:
    """Bytes of the different definitions of channels."""
    different = {(schema["name"], schema["data"]) for one in channels if (schema := one["schema"]) is not None}
    return sum(len(data) * 3 // 4 for _, data in different)


def _columns(table: pa.Table) -> _FrameColumns:
    lon, lat, h = (table.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in ("lon", "lat", "h"))
    times = table.column("t_ns").fill_null(0).to_numpy(zero_copy_only=False)
    return _FrameColumns(times, np.stack([lon, lat, h], axis=1), _flags(table, "frame"), _flags(table, "fix"))


def _flags(table: pa.Table, name: str) -> Bools:
    """A boolean column; all true when there is none (each photo is a frame and a fix)."""
    if name not in table.column_names:
        return np.ones(table.num_rows, bool)
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), bool)
