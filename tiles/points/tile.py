"""LAZ tiles while they grow: chunks are appended as they come, points that await company wait in memory, in bounded number."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tiles.arrays import Float64s, Int64s
from tiles.batch import EncodedTile, Quantities
from tiles.box import Box
from tiles.formats import LAZ
from tiles.grid import grid
from tiles.points.cell_finder import CellFinder
from tiles.points.header import Header, evlr_bytes, header_bytes
from tiles.points.laz import CHUNK, Packing, Records


@dataclass(frozen=True, slots=True)
class Facts:
    """What a tile's header states about some points: least and greatest X, Y, Z as integers, and how many of each return number."""

    low: Int64s
    high: Int64s
    by_return: Int64s

    @staticmethod
    def of(records: Records, point_format: int) -> Facts:
        """The facts of points; return number 0 (not stated) is not counted, as LAS has no place for it."""
        xyz = np.ascontiguousarray(records[:, :12].copy().view("<i4").T)  # least along an axis of three is ten times slower
        returns = np.bincount(records[:, 14] & (15 if point_format >= 6 else 7), minlength=16)[1:16]
        return Facts(xyz.min(axis=1).astype(np.int64), xyz.max(axis=1).astype(np.int64), returns.astype(np.int64))

    def __or__(self, other: Facts) -> Facts:
        return Facts(np.minimum(self.low, other.low), np.maximum(self.high, other.high), self.by_return + other.by_return)


@dataclass(slots=True)
class _Tile:
    path: Path
    facts: Facts
    table: list[tuple[int, int]] = field(default_factory=list)


class TileSink:
    """All tiles of one source. Files are opened for one append at a time, so that thousands of cells need no open files."""

    def __init__(self, out_dir: Path, *, layer: str, part: int, template: Header, packing: Packing) -> None:
        self._out, self._layer, self._part = out_dir, layer, part
        self._template, self._packing = template, packing
        self._head = header_bytes(template)
        self._tiles: dict[int, _Tile] = {}
        (out_dir / layer).mkdir(parents=True, exist_ok=True)

    def add(self, cell: int, body: bytes, count: int, facts: Facts) -> None:
        """Append one packed chunk of `count` points to the tile of `cell`."""
        tile = self._tiles.get(cell)
        if tile is None:
            path = self._out / LAZ.path(self._layer, grid.quadkey(cell), self._part)
            tile = self._tiles[cell] = _Tile(path, facts)
            path.write_bytes(self._head + struct.pack("<q", -1) + body)
        else:
            tile.facts |= facts
            with tile.path.open("ab") as stream:
                stream.write(body)
        tile.table.append((count, len(body)))

    def finish(self, finder: CellFinder) -> Iterator[EncodedTile]:
        """Close the tiles in Morton order: table of chunks, header, sum."""
        for cell in sorted(self._tiles):
            yield self._close(cell, self._tiles.pop(cell), finder)

    def _close(self, cell: int, tile: _Tile, finder: CellFinder) -> EncodedTile:
        points = sum(count for count, _ in tile.table)
        scales, offsets = np.array(self._template.scales), np.array(self._template.offsets)
        low, high = tile.facts.low * scales + offsets, tile.facts.high * scales + offsets
        low, high = np.minimum(low, high), np.maximum(low, high)  # a scale may be negative
        with tile.path.open("r+b") as stream:
            table_at = stream.seek(0, 2)
            table = self._packing.table_bytes(tile.table)
            stream.write(table + evlr_bytes(self._template))
            header = replace(
                self._template,
                count=points,
                by_return=tuple(tile.facts.by_return.tolist()),
                mins=tuple(low.tolist()),
                maxs=tuple(high.tolist()),
            )
            stream.seek(0)
            stream.write(header_bytes(header, table_at + len(table) if header.evlrs else 0) + struct.pack("<q", table_at))
        with tile.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = tile.path.stat().st_size
        # No `ms`: a scanner sees several cells at the same instant, so recorded time cannot be divided among them and still add up.
        return EncodedTile(
            self._layer, cell, self._part, tile.path.relative_to(self._out).as_posix(), digest, size, LAZ.media_type,
            Quantities(points=points, bytes=size), _box(cell, low, high, finder),
        )  # fmt: skip


def _box(cell: int, low: Float64s, high: Float64s, finder: CellFinder) -> Box:
    """The box of the points, inside the cell; that of the cell itself where only it is sure."""
    whole = grid.bounds(cell)
    if finder.geocentric:
        return whole
    along = np.linspace(0.0, 1.0, 5)
    u, v = (g.ravel() for g in np.meshgrid(along, along))
    lon, lat = finder.lonlat(low[0] + u * (high[0] - low[0]), low[1] + v * (high[1] - low[1]))
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return whole
    lon, lat = np.clip(lon, whole.west, whole.east), np.clip(lat, whole.south, whole.north)
    return Box(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))


class Waiting:
    """Points that were cut out of a chunk and wait, by cell, until they fill a chunk of their own (or until memory is short)."""

    def __init__(self, sink: TileSink, packing: Packing, point_format: int, *, limit: int) -> None:
        self._sink, self._packing, self._format, self._limit = sink, packing, point_format, limit
        self._cells: dict[int, list[Records]] = {}
        self._counts: dict[int, int] = {}
        self._bytes = 0

    def add(self, cell: int, records: Records) -> None:
        """Take a copy of points of one cell (a view would keep the whole block alive that it was cut from)."""
        self._cells.setdefault(cell, []).append(records.copy())
        self._counts[cell] = self._counts.get(cell, 0) + len(records)
        self._bytes += records.nbytes

    def settle(self) -> None:
        """Pack what fills whole chunks; when still too much waits, pack the largest cells until half of the limit is left."""
        ready = [group for cell in sorted(c for c, n in self._counts.items() if n >= CHUNK) for group in self._take(cell, whole_only=True)]
        if self._bytes > self._limit:
            for cell in sorted(self._counts, key=lambda c: (-self._counts[c], c)):
                if self._bytes <= self._limit // 2:
                    break
                ready += self._take(cell, whole_only=False)
        self._pack(ready)

    def flush(self) -> None:
        """Pack all that waits."""
        cells = sorted(self._counts)
        for i in range(0, len(cells), 16):
            self._pack([group for cell in cells[i : i + 16] for group in self._take(cell, whole_only=False)])

    def _take(self, cell: int, *, whole_only: bool) -> list[tuple[int, Records]]:
        pieces, count = self._cells.pop(cell), self._counts.pop(cell)
        records = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        self._bytes -= records.nbytes
        end = count // CHUNK * CHUNK if whole_only else count
        if end < count:
            self.add(cell, records[end:])
        return [(cell, records[i : min(i + CHUNK, end)]) for i in range(0, end, CHUNK)]

    def _pack(self, groups: list[tuple[int, Records]]) -> None:
        if not groups:
            return
        for (cell, records), body in zip(groups, self._packing.pack([r for _, r in groups]), strict=True):
            self._sink.add(cell, body, len(records), Facts.of(records, self._format))
