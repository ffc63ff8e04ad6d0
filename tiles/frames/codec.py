"""Frames to tiles: every message or picture exactly once, in the half-open cell where it was recorded.

Quantities of a tile: `features` = records (messages, attachments, pictures), `frames` = pictures and lidar sweeps among them, `ms` =
recorded time (sums to the whole), `bytes`. Memory is bounded: slices grow on disk, pictures wait there until they can be sorted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tiles.arrays import Bools, Float64s, Int64s
from tiles.batch import Batch, Content, EncodedTile, LayerKind, Quantities
from tiles.errors import InvalidContent
from tiles.frames import mcap_slice, photo_tar
from tiles.frames.spill import Spill
from tiles.frames.track import RecordedTime, line, stations
from tiles.grid import grid


@dataclass(slots=True)
class _Cell:
    """What is known of a cell before it is written."""

    records: int = 0
    frames: int = 0
    times: list[Int64s] = field(default_factory=list)
    places: list[Float64s] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    low: Float64s = field(default_factory=lambda: np.full(2, np.inf))
    high: Float64s = field(default_factory=lambda: np.full(2, -np.inf))


class FrameSplitter:
    """Cuts batches of frames into one MCAP slice, or one archive of pictures, a cell: `out_dir/<layer>/<quadkey>-<part>.<ending>`.

    Args:
        out_dir: where tiles go; `out_dir/.spill` is used meanwhile and removed.
        layer: name of the layer, and of the folder in `out_dir`.
        part: number of the source in its version.
    """

    def __init__(self, out_dir: Path, *, layer: str, part: int) -> None:
        self.out_dir, self.layer, self.part = out_dir, layer, part
        self._spill = Spill(out_dir / ".spill" / layer)
        self._cells: dict[int, _Cell] = {}
        self._clock = RecordedTime()
        self._kind: LayerKind | None = None
        self._about: dict[str, Any] = {}
        self._first: int | None = None
        self._slices: dict[int, mcap_slice.Slice] = {}

    def add(self, batch: Batch) -> None:
        """Take frames in, in the order of the recording.

        Raises: InvalidContent: not frames, or of another kind than before. InvalidTile: a position that no cell has.
        """
        if batch.content is not Content.FRAMES or self._kind not in (None, batch.kind):
            raise InvalidContent(f"A layer of frames cannot take {batch.content} of kind {batch.kind}.", code="frames.kind")
        self._kind = batch.kind
        if not self._about and "mcap" in batch.meta:
            self._about = json.loads(batch.meta["mcap"])
        table = batch.table.combine_chunks()
        lon, lat = (table.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in ("lon", "lat"))
        cells = grid.cells_at(lon, lat)
        self._first = int(cells[0]) if self._first is None and len(cells) else self._first
        times = table.column("t_ns").fill_null(0).to_numpy(zero_copy_only=False)
        if "channel" in table.column_names:
            channel = table.column("channel").to_numpy(zero_copy_only=False)
            self._clock.add(times[channel >= 0], cells[channel >= 0])
        places = np.stack([lon, lat, table.column("h").to_numpy(zero_copy_only=False).astype(np.float64)], axis=1)
        frame, fix = _flags(table, "frame"), _flags(table, "fix")
        order = np.argsort(cells, kind="stable")
        names, starts = np.unique(cells[order], return_index=True)
        for name, rows in zip(names.tolist(), np.split(order, starts[1:]), strict=True):
            self._take(name, table, rows, (times, places, frame, fix))

    def _take(self, name: int, table: pa.Table, rows: NDArray[np.intp], columns: tuple[Any, ...]) -> None:
        times, places, frame, fix = columns
        self._keep(name, table if len(rows) == table.num_rows else table.take(pa.array(rows)))
        cell = self._cells.setdefault(name, _Cell())
        cell.records += len(rows)
        cell.frames += int(frame[rows].sum())
        way = rows[fix[rows]]
        if not len(way):  # too short a stay for a fix: where it began and ended
            way = rows[[0, -1]] if len(rows) > 1 else rows
        if self._kind is LayerKind.PHOTOS:
            cell.names += table.column("name").take(pa.array(way)).to_pylist()
        cell.times.append(times[way])
        cell.places.append(places[way])
        cell.low = np.minimum(cell.low, places[rows, :2].min(axis=0))
        cell.high = np.maximum(cell.high, places[rows, :2].max(axis=0))

    def _keep(self, name: int, table: pa.Table) -> None:
        if self._kind is LayerKind.PHOTOS:
            self._spill.append(name, table)
            return
        if name not in self._slices:
            path = self._path(name, mcap_slice.ENDING)
            self._slices[name] = mcap_slice.Slice(path, self._about, with_silent=name == self._first)
        self._slices[name].add(table)

    def _path(self, name: int, ending: str) -> Path:
        folder = self.out_dir / self.layer
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{grid.quadkey(name)}-{self.part}.{ending}"

    def finish(self) -> Iterator[EncodedTile]:
        """Write the tiles, in the order of their cells."""
        recorded = self._clock.by_cell()
        try:
            for name in sorted(self._cells):
                cell = self._cells.pop(name)
                times, places = np.concatenate(cell.times), np.concatenate(cell.places)
                if self._kind is LayerKind.PHOTOS:
                    path, media_type = self._path(name, photo_tar.ENDING), photo_tar.MEDIA_TYPE
                    with path.open("wb") as stream:
                        photo_tar.write(stream, self._spill, name, stations(cell.names, times, places))
                    self._spill.drop(name)
                else:
                    path, media_type = self._path(name, mcap_slice.ENDING), mcap_slice.MEDIA_TYPE
                    self._slices.pop(name).finish(line(times, places))
                yield self._encoded(name, cell, path, media_type, recorded.get(name, 0))
        finally:
            self._spill.close()

    def _encoded(self, name: int, cell: _Cell, path: Path, media_type: str, ms: int) -> EncodedTile:
        size = path.stat().st_size
        quantities = Quantities(features=cell.records, frames=cell.frames, ms=ms, bytes=size)
        (west, south), (east, north) = cell.low.tolist(), cell.high.tolist()
        relative = path.relative_to(self.out_dir).as_posix()
        box = (west, south, east, north)
        return EncodedTile(self.layer, name, self.part, relative, _sha256(path), size, media_type, quantities, box)


def _flags(table: pa.Table, name: str) -> Bools:
    """A boolean column; all true when there is none (each photo is a frame and a fix)."""
    if name not in table.column_names:
        return np.ones(table.num_rows, bool)
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), bool)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(path: Path, tile: EncodedTile) -> None:
    """Open a tile of frames again and recount it.

    Raises: InvalidContent: the bytes, the counts or the place are not what the record says.
    """
    if path.stat().st_size != tile.size or _sha256(path) != tile.sha256:
        raise InvalidContent(f"{tile.path} does not have the bytes of its record.", code="tile.bytes")
    codec = photo_tar if tile.media_type == photo_tar.MEDIA_TYPE else mcap_slice
    records, frames, way = codec.recount(path, tile)
    found = (records, frames, tile.size)
    said = (tile.quantities.features, tile.quantities.frames, tile.quantities.bytes)
    if found != said:
        raise InvalidContent(f"{tile.path} holds {found} records, frames, bytes, not {said}.", code="tile.counts")
    places = _vertices(way, tile)
    if (grid.cells_at(places[:, 0], places[:, 1]) != np.uint64(tile.cell)).any():
        raise InvalidContent(f"{tile.path} has a trajectory outside its cell.", code="tile.place")


def _vertices(way: bytes, tile: EncodedTile) -> Float64s:
    try:
        shapes = [feature["geometry"] for feature in json.loads(way)["features"]]
        rows = [p[:2] for s in shapes for p in ([s["coordinates"]] if s["type"] == "Point" else s["coordinates"])]
        return np.array(rows, np.float64).reshape(-1, 2)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidContent(f"{tile.path} has a trajectory that cannot be read.", code="tile.place") from error
