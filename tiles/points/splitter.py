"""Points that come in batches (PCD, PLY, decoded LAS) to LAZ tiles: by cell to a spill on disk, then packed cell by cell."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tiles.arrays import Int64s
from tiles.batch import PLACING, Batch, Content, EncodedTile
from tiles.cell_files import CellFiles
from tiles.errors import InvalidContent
from tiles.formats import Misfit, Remark
from tiles.points.cell_finder import NOWHERE, CellFinder
from tiles.points.crs import placing_records, tile_records, wkt_record
from tiles.points.fields import records_from
from tiles.points.header import WKT_FLAG, Header, carried, evlr_bytes, header_bytes, read_header, tile_template
from tiles.points.layout import Axis, Layout, Rows, layout
from tiles.points.laz import CHUNK, Packing, Records
from tiles.points.tile import Facts, TileSink

if TYPE_CHECKING:
    import pyarrow as pa

LAS_HEADER = "las_header"
"""Key of `Batch.meta`: the header of the LAS file that the points come from (`header_as_text`); tiles then have its very form."""
COORDINATES = "coordinates"
"""Key of `Batch.meta`: the type of the coordinates in the source, "float32" or "float64"."""
_GROUPS = 16


def header_as_text(header: Header) -> str:
    """A LAS header with its records (those that a tile carries), for `Batch.meta`."""
    template = tile_template(header, carried([*header.vlrs, *header.evlrs]), wkt=bool(header.encoding & WKT_FLAG), laszip=b"")
    return base64.b64encode(header_bytes(template, template.point_offset) + evlr_bytes(template)).decode()


def open_splitter(out_dir: Path, first: Batch, part: int) -> PointSplitter:
    """The splitter of a layer of points (see `tiles.formats.TileFormat`); in the system of its first batch."""
    return PointSplitter(out_dir, layer=first.layer, part=part, crs=first.crs)


class PointSplitter:
    """Takes batches of points of one source, and gives LAZ 1.4 tiles, `out_dir/<layer>/<quadkey>-<part>.laz`.

    Each point goes to the one cell that holds it. `rejected` counts points that have no place on the grid. Memory stays near
    `memory_mb`, what is more goes to `out_dir/.spill`. Batches must agree in columns and CRS.
    """

    misfits: Sequence[Misfit] = ()  # points have no names
    remarks: Sequence[Remark] = ()

    def __init__(self, out_dir: Path, *, layer: str, part: int, crs: str, processes: int = 1, memory_mb: int = 64) -> None:
        self._out, self._layer, self._part, self._crs = out_dir, layer, part, crs
        self._finder = CellFinder(crs)
        self._files = CellFiles(out_dir / ".spill" / f"points-{layer}-{part}")
        self._limit = memory_mb << 20
        self._waiting: dict[int, list[Rows]] = {}
        self._held = 0
        self._columns: np.dtype[np.void] | None = None
        self._axes: list[Axis] = []
        self._meta: Mapping[str, str] = {}
        self.rejected = 0
        self.unplaced = 0  # every point of a batch has coordinates

    def add(self, batch: Batch) -> None:
        """Take points in.

        Raises: InvalidContent: `points.batch`: no points, other columns than before, nulls, or a coordinate that is not finite.
        """
        if batch.content is not Content.POINTS or (batch.crs and batch.crs != self._crs):
            raise InvalidContent(f"A batch of {batch.content} in {batch.crs[:60]!r} does not belong here.", code="points.batch")
        if not batch.table.num_rows:
            return
        rows = _rows(batch.table)
        if self._columns is None:
            self._columns, self._meta = rows.dtype, dict(batch.meta)
            self._axes = [Axis(batch.meta.get(COORDINATES) == "float32") for _ in "xyz"]
        elif rows.dtype != self._columns:
            raise InvalidContent("Batches of one source have different columns.", code="points.batch")
        for name, axis in zip("xyz", self._axes, strict=True):
            if not np.isfinite(rows[name]).all():
                raise InvalidContent(f"Coordinate {name} of a point is not a number.", code="points.batch")
            axis.see(rows[name])
        for cell, some in _by_cell(rows, self._finder.cells(rows["x"].copy(), rows["y"].copy(), rows["z"].copy())):
            if cell == NOWHERE:
                self.rejected += len(some)
                continue
            self._waiting.setdefault(cell, []).append(some)
            self._held += some.nbytes
        if self._held > self._limit:
            self._write_out()

    def finish(self) -> Iterator[EncodedTile]:
        """The tiles, in Morton order."""
        if self._columns is None:
            return
        self._write_out()
        form = _Form.of(self._columns, self._axes, self._meta, self._finder)
        sink = TileSink(self._out, layer=self._layer, part=self._part, template=form.template, packing=form.packing)
        for cell in sorted(self._files.cells):
            for records in self._packs(cell, form):
                for group, body in zip(records, form.packing.pack(records), strict=True):
                    sink.add(cell, body, len(group), Facts.of(group, form.template.point_format))
            self._files.drop(cell)
        self._files.close()
        yield from sink.finish(self._finder)

    def _write_out(self) -> None:
        for cell, pieces in self._waiting.items():
            self._files.append(cell, (rows.tobytes() for rows in pieces))
        self._waiting.clear()
        self._held = 0

    def _packs(self, cell: int, form: _Form) -> Iterator[list[Records]]:
        """Chunks of records of a cell, some at a time, so that all cores have one."""
        assert self._columns is not None  # noqa: S101 - finish has asked
        length = self._columns.itemsize
        with self._files.open(cell) as stream:
            while True:
                some: list[Records] = []
                for _ in range(_GROUPS):
                    body = stream.read(CHUNK * length)
                    if body:
                        some.append(form.records(np.frombuffer(body, self._columns)))
                if not some:
                    return
                yield some


class _Form:
    """Header and encoder of the tiles: those of the LAS file that the points come from, or a layout made for their columns."""

    def __init__(self, source: Header, template: Header, packing: Packing, encoder: Layout | None) -> None:
        self.source, self.template, self.packing, self.encoder = source, template, packing, encoder

    @staticmethod
    def of(columns: np.dtype[np.void], axes: list[Axis], meta: Mapping[str, str], finder: CellFinder) -> _Form:
        encoder = None
        placing, meta = meta.get(PLACING, ""), {key: text for key, text in meta.items() if key != PLACING}
        if LAS_HEADER in meta:
            source = replace(read_header(io.BytesIO(base64.b64decode(meta[LAS_HEADER]))), compressed=False)
            records, wkt = tile_records(source, finder.crs)
        else:
            encoder = layout(columns, axes, degrees=finder.crs.is_geographic)
            source, wkt = encoder.header([wkt_record(finder.crs)], meta), True
            records = source.vlrs
        packing = Packing(source)
        template = tile_template(source, placing_records(records, placing), wkt=wkt, laszip=packing.tile_record)
        return _Form(source, template, packing, encoder)

    def records(self, rows: Rows) -> Records:
        return self.encoder.records(rows) if self.encoder is not None else records_from(rows, self.source)


def _rows(table: pa.Table) -> Rows:
    """Columns side by side as rows of one structured array."""
    names = table.column_names
    if names[:3] != ["x", "y", "z"]:
        raise InvalidContent(f"Points begin with the columns x, y, z, not {names[:3]}.", code="points.batch")
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        column = table.column(name)
        if column.null_count:
            raise InvalidContent(f"Column {name!r} of a point batch has nulls.", code="points.batch")
        column = column.combine_chunks()
        width = getattr(column.type, "list_size", 1)
        values = column.flatten() if width != 1 else column
        columns[name] = values.to_numpy(zero_copy_only=False).reshape((table.num_rows, width) if width != 1 else table.num_rows)
    kinds = [(name, np.float64) if name in "xyz" else (name, values.dtype, values.shape[1:]) for name, values in columns.items()]
    rows = np.empty(table.num_rows, np.dtype(kinds))
    for name, values in columns.items():
        rows[name] = values
    return rows


def _by_cell(rows: Rows, cells: Int64s) -> Iterator[tuple[int, Rows]]:
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]).tolist()
    for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield int(ordered[begin]), rows[order[begin:end]]
