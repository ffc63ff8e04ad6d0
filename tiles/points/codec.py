"""Point clouds as tiles: LAZ 1.4 with the form of the source (format, scale, offset, extra bytes, time, records), never reprojected.

`split_laz` cuts LAS and LAZ files, copying packed chunks where it can; `PointSplitter` takes batches of other formats; `verify` opens a
tile again and counts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.grid import grid
from tiles.points.cell_finder import CellFinder
from tiles.points.crs import file_crs
from tiles.points.header import Header, read_header
from tiles.points.las_split import split_laz
from tiles.points.laz import Packing
from tiles.points.records import SplitCounts
from tiles.points.splitter import COORDINATES, LAS_HEADER, PointSplitter, header_as_text
from tiles.points.tile import MEDIA_TYPE

__all__ = ["COORDINATES", "LAS_HEADER", "MEDIA_TYPE", "PointSplitter", "SplitCounts", "header_as_text", "split_laz", "verify"]

_SLACK = 0.01
"""Cells; the records of a file may spell a CRS less exactly than the code it was split by (datum shifts of some metres)."""
_GROUP = 8


def verify(path: Path, tile: EncodedTile) -> None:
    """Open a LAZ tile again, unpack all of it and compare it with its record.

    Raises: InvalidContent: `tile.sha256`, `tile.size`, `tile.count`, `tile.cell`, or the fault of the file itself (`las.*`, `laz.*`).
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        _same("tile.size", "bytes", size, tile.size)
        _same("tile.size", "bytes in its price vector", size, tile.quantities.bytes)
        _same("tile.sha256", "sha256", digest, tile.sha256)
        header = read_header(stream)
        packing = Packing(header)
        chunks = packing.chunks(stream, header)
        if chunks is None:
            raise InvalidContent("A tile has no table of chunks.", code="laz.chunks")
        points = 0
        finder = _finder(header)
        for i in range(0, len(chunks), _GROUP):
            some = chunks[i : i + _GROUP]
            bodies = []
            for chunk in some:
                stream.seek(chunk.at)
                bodies.append(stream.read(chunk.size))
            for records in packing.unpack(bodies, [chunk.count for chunk in some]):
                points += len(records)
                xyz = records[:, :12].copy().view("<i4") * np.array(header.scales) + np.array(header.offsets)
                _in_cell(finder, xyz, tile.cell)
    _same("tile.count", "points", points, tile.quantities.points)
    _same("tile.count", "points in its header", header.count, tile.quantities.points)


def _same(code: str, what: str, is_: object, said: object) -> None:
    if is_ != said:
        raise InvalidContent(f"The tile has {is_} {what}, its record says {said}.", code=code)


def _finder(header: Header) -> CellFinder:
    said = file_crs(header)
    if said.crs is None:
        raise InvalidContent(f"A tile must say its coordinate system. {said.problem}".strip(), code="tile.crs")
    return CellFinder(said.crs)


def _in_cell(finder: CellFinder, xyz: np.ndarray[tuple[int, int], np.dtype[np.float64]], cell: int) -> None:
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    if finder.cell_of_box(float(low[0]), float(low[1]), float(high[0]), float(high[1])) == cell:
        return
    cells = finder.cells(xyz[:, 0].copy(), xyz[:, 1].copy(), xyz[:, 2].copy())
    wrong = np.flatnonzero(cells != cell)
    if not len(wrong):
        return
    lon, lat = finder.lonlat(xyz[wrong, 0], xyz[wrong, 1], xyz[wrong, 2])
    column, row = grid.tile_xy(lon, lat)
    x, y = grid.xy(cell)
    inside = (np.abs(column - x - 0.5) <= 0.5 + _SLACK) & (np.abs(row - y - 0.5) <= 0.5 + _SLACK)
    if not inside.all():
        raise InvalidContent(f"{int((~inside).sum())} points lie outside of cell {grid.quadkey(cell)}.", code="tile.cell")
