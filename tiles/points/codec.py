"""Point clouds as tiles: LAZ 1.4 with the form of the source (format, scale, offset, extra bytes, time, records), never reprojected.

`las_split.split_laz` cuts LAS and LAZ files, copying packed chunks where it can; `splitter.PointSplitter` takes batches of other
formats; here a tile is opened again and its points are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tiles.arrays import Float64s
from tiles.batch import EncodedTile
from tiles.errors import InvalidContent
from tiles.footage.clouds import CloudProof
from tiles.footage.doubts import Unproven
from tiles.formats import Doubting, Recounted, one_by_one
from tiles.grid import grid
from tiles.points.cell_finder import CellFinder
from tiles.points.crs import tile_crs
from tiles.points.header import TILE_VLRS, Header, read_header
from tiles.points.las_proof import LasProof
from tiles.points.laz import Packing, Records
from tiles.points.records import body_of

_SLACK = 0.01
"""Cells; the records of a file may spell a CRS less exactly than the code it was split by (datum shifts of some metres)."""
_GROUP = 8


def recount_each(stored: Iterable[tuple[Path, EncodedTile]], doubt: Doubting | None = None) -> Iterator[Recounted]:
    """See `tiles.formats.Codec`."""
    clouds: dict[tuple[int, str], CloudProof] = {}

    def one(path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None) -> None:
        recount(path, tile, doubts, clouds.setdefault((tile.part, tile.layer), CloudProof()))

    return one_by_one(one, stored, doubt)


def recount(path: Path, tile: EncodedTile, doubts: list[Unproven] | None = None, cloud: CloudProof | None = None) -> None:
    """Open a LAZ tile again, unpack all of it and compare it with its record; `doubts` as in `tiles.formats.Codec`.

    `cloud`: what the columns of the tiles of one source hold together, so that nothing hides by being cut over them.

    Raises: InvalidContent: `tile.count`, `tile.cell`, `tile.crs`, or the fault of the file itself (`las.*`, `laz.*`).
    """
    with path.open("rb") as stream:
        header = read_header(stream, TILE_VLRS)
        finder = _finder(header)
        proof = LasProof(header, cloud) if doubts is not None else None
        points = 0
        for records in _unpacked(stream, header):
            points += len(records)
            if proof is not None:
                proof.take(records)
            xyz = records[:, :12].copy().view("<i4") * np.array(header.scales) + np.array(header.offsets)
            _check_cell(finder, xyz, tile.cell)
    if proof is not None and doubts is not None:
        doubts += proof.doubts()
    for found, where in ((points, "points"), (header.count, "points in its header")):
        if found != tile.quantities.points:
            raise InvalidContent(f"The tile has {found} {where}, its record states {tile.quantities.points}.", code="tile.count")


def _unpacked(stream: BinaryIO, header: Header) -> Iterator[Records]:
    packing = Packing(header)
    chunks = packing.chunks(stream, header)
    if chunks is None:
        raise InvalidContent("A tile has no table of chunks.", code="laz.chunks")
    for i in range(0, len(chunks), _GROUP):
        some = chunks[i : i + _GROUP]
        yield from packing.unpack([body_of(stream, chunk) for chunk in some], [chunk.count for chunk in some])


def _finder(header: Header) -> CellFinder:
    found = tile_crs(header)
    if found.crs is None:
        raise InvalidContent(f"A tile must state its coordinate system. {found.problem}".strip(), code="tile.crs")
    return CellFinder(found.crs)


def _check_cell(finder: CellFinder, xyz: Float64s, cell: int) -> None:
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
        raise InvalidContent(f"{int((~inside).sum())} points are outside of cell {grid.quadkey(cell)}.", code="tile.cell")
