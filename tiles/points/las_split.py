"""Cutting a LAS or LAZ file into cells without unpacking more of it than must be.

A chunk of LAZ whose points are all in one cell is copied as the bytes that it is; which ones those are is seen by unpacking X, Y, Z
alone. Only chunks on a border are unpacked whole, divided and packed again. Nothing is re-quantised: a point's record goes over bit
for bit. What cannot be read, or has no place, is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tiles.arrays import Float64s, Int64s
from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.points.cell_finder import NOWHERE, CellFinder
from tiles.points.crs import placing_records, tile_records
from tiles.points.header import Header, read_header, tile_template
from tiles.points.laz import Chunk, Packing, Records
from tiles.points.records import SplitCounts, blocks, body_of, in_order, unpack_some
from tiles.points.tile import Facts, TileSink, Waiting

_WAITING_BYTES = 32 << 20


def split_laz(
    path: Path,
    out_dir: Path,
    *,
    layer: str,
    part: int,
    crs: str,
    processes: int = 1,
    counts: SplitCounts | None = None,
    placing: str = "",
) -> Iterator[EncodedTile]:
    """Cut the LAS, LAZ or COPC file at `path` into one LAZ 1.4 tile a cell, `out_dir/<layer>/<quadkey>-<part>.laz`.

    Tiles keep point format, scale, offset, extra bytes, GPS time, GUID, date and the file's records; same file, same bytes. They
    are yielded in Morton order when all is written.

    Args:
        path: the file.
        out_dir: where tiles go.
        layer: name of the layer, and of the folder in `out_dir`.
        part: number of the source file in its version.
        crs: what the coordinates are in; when the file names another (or none), tiles get a WKT record of this one instead.
        processes: as in the other splitters, and without effect: chunks are worked on by `RAYON_NUM_THREADS` threads of this process,
            since the cage allows no other.
        counts: is filled with what became of the points. Without it a point that is lost or has no place is an error.
        placing: what each tile states of the place of its source (`tiles.batch.PLACING`), in a record of its own.

    Raises: InvalidContent: nothing can be read (`las.*`, `laz.*`); or, without `counts`, `las.points` when points were lost or rejected.
    """
    tally = SplitCounts() if counts is None else counts
    with path.open("rb") as stream:
        header = read_header(stream)
        finder = CellFinder(crs)
        records, wkt = tile_records(header, finder.crs)
        packing = Packing(header)
        template = tile_template(header, placing_records(records, placing), wkt=wkt, laszip=packing.tile_record)
        split = _Split(stream, header, TileSink(out_dir, layer=layer, part=part, template=template, packing=packing), finder, tally)
        split.run()
        if counts is None and (tally.lost or tally.rejected):
            raise InvalidContent(
                f"Of {tally.claimed} points {tally.lost} are missing, {tally.rejected} have no place. {tally.fault}{tally.first_rejected}",
                code="las.points",
                lost=tally.lost,
                rejected=tally.rejected,
            )
        yield from split.sink.finish(split.finder)


class _Split:
    def __init__(self, stream: BinaryIO, header: Header, sink: TileSink, finder: CellFinder, tally: SplitCounts) -> None:
        self.stream, self.header, self.sink, self.finder, self.tally = stream, header, sink, finder, tally
        self.packing = Packing(header)
        self.waiting = Waiting(self.sink, self.packing, header.point_format, limit=_WAITING_BYTES)
        self._reach: tuple[float, float, float, float] | None = None
        tally.claimed = header.count

    def run(self) -> None:
        """All points, to the sink."""
        chunks = self.packing.chunks(self.stream, self.header)
        if chunks is None:
            for records in in_order(self.stream, self.header, self.packing, self.tally):
                self._divide(records, self.finder.cells(*self._coordinates(records)))
                self.waiting.settle()
        else:
            for block in blocks(chunks, self.header.record_length):
                self._run_chunks(block)
                self.waiting.settle()
        self.waiting.flush()
        done = self.tally.placed + self.tally.rejected
        self.tally.lost = max(0, self.header.count - done)

    def _run_chunks(self, block: list[Chunk]) -> None:
        bodies = [body_of(self.stream, chunk) for chunk in block]
        light = [i for i, body in enumerate(bodies) if self._likely_whole(body)]
        heavy = sorted(set(range(len(block))) - set(light))
        records: dict[int, Records | None] = {}
        for numbers, only_xyz in ((light, True), (heavy, False)):
            records |= unpack_some(self.packing, block, bodies, numbers, self.tally, only_xyz=only_xyz)
        self._reach = None
        cells: dict[int, Int64s] = {}
        for i, chunk in enumerate(block):
            points = records[i]
            if points is None:
                continue
            facts = Facts.of(points, self.header.point_format)
            whole = self._whole_cell(points, facts)
            if isinstance(whole, int) and whole != NOWHERE and self.packing.copyable:
                self.sink.add(whole, bodies[i], chunk.count, facts)
                self.tally.placed += chunk.count
                self.tally.copied += chunk.count
                records[i] = None
            else:
                cells[i] = np.full(chunk.count, whole, np.int64) if isinstance(whole, int) else whole
        again = [i for i in cells if i in set(light) and self.packing.layered]
        records |= unpack_some(self.packing, block, bodies, again, self.tally)
        for i, where in cells.items():
            points = records[i]
            if points is not None:
                self._divide(points, where)

    def _likely_whole(self, body: bytes) -> bool:
        """Whether a chunk, seen by its first point (which is not packed) and by how far its neighbours reach, is in one cell."""
        if not self.packing.copyable or len(body) < 12:
            return False
        if self._reach is None:
            return True
        x, y, _ = (float(v[0]) for v in self._coordinates(np.frombuffer(body[:12], np.uint8).reshape(1, 12)))
        west, south, east, north = self._reach
        return self.finder.cell_of_box(x - west, y - south, x + east, y + north) is not None

    def _whole_cell(self, points: Records, facts: Facts) -> int | Int64s:
        """The one cell of all these points, or the cell of each."""
        scale, offset = np.array(self.header.scales), np.array(self.header.offsets)
        corners = np.sort(np.stack([facts.low * scale + offset, facts.high * scale + offset]), axis=0)
        (x0, y0, _), (x1, y1, _) = corners.tolist()
        first_x, first_y, _ = (float(v[0]) for v in self._coordinates(points[:1]))
        here = (first_x - x0, first_y - y0, x1 - first_x, y1 - first_y)
        west, south, east, north = here if self._reach is None else tuple(map(max, self._reach, here))
        self._reach = (west, south, east, north)
        cell = self.finder.cell_of_box(x0, y0, x1, y1)
        if cell is not None:
            return cell
        cells = self.finder.cells(*self._coordinates(points))
        return int(cells[0]) if (cells == cells[0]).all() else cells

    def _coordinates(self, points: Records) -> tuple[Float64s, Float64s, Float64s]:
        xyz = points[:, :12].copy().view("<i4")
        (sx, sy, sz), (ox, oy, oz) = self.header.scales, self.header.offsets
        return xyz[:, 0] * sx + ox, xyz[:, 1] * sy + oy, xyz[:, 2] * sz + oz

    def _divide(self, points: Records, cells: Int64s) -> None:
        """Points to the waiting room of their cell, in the order of the file."""
        for cell, records in groups(points, cells):
            if cell == NOWHERE:
                self.tally.rejected += len(records)
                if not self.tally.first_rejected:
                    x, y, _ = (float(v[0]) for v in self._coordinates(records[:1]))
                    self.tally.first_rejected = f"{x!r}, {y!r} is outside of the grid."
            else:
                self.waiting.add(cell, records)
                self.tally.placed += len(records)


def groups(points: Records, cells: Int64s) -> Iterator[tuple[int, Records]]:
    """The points of each cell, cells in order, points in their own order."""
    if not len(cells):
        return
    if (cells == cells[0]).all():
        yield int(cells[0]), points
        return
    distinct, where = np.unique(cells, return_inverse=True)
    order = np.argsort(where.astype(np.uint16 if len(distinct) < 1 << 16 else np.int64), kind="stable")
    ends = np.cumsum(np.bincount(where)).tolist()
    rows = points.view(f"V{points.shape[1]}").ravel()[order].view(np.uint8).reshape(-1, points.shape[1])
    for cell, begin, end in zip(distinct.tolist(), [0, *ends], ends, strict=False):
        yield cell, rows[begin:end]
