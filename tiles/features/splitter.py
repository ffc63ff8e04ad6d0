"""Features of one source, in any number of batches, to one GeoParquet file per cell; in bounded memory and any number of processes.

The result does not depend on the sizes of the batches nor on the number of processes: rows carry their place in the source,
lengths are whole numbers, and the rows of a tile are sorted.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tiles.batch import PLACING, Batch, Content, EncodedTile
from tiles.errors import InvalidContent
from tiles.features import wkb
from tiles.features.assign import MAX_CROSSINGS, Assigned, assign
from tiles.features.codec import BOX, COLUMNS, write_tiles
from tiles.features.runs import CELL, Collector, Run, RunWriter, boundaries
from tiles.features.workers import Workers
from tiles.formats import Misfit, Remark

log = logging.getLogger(__name__)

T = TypeVar("T")

ROW, CODE = "\x00row", "\x00code"
_NEEDED = ("feature_id", "kind", "geometry", "properties")
_GIVEN = [name for name in COLUMNS if name not in _NEEDED]  # the columns that we add
_LAYER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST_MISFITS = 1000
FREE_COPIES, MOST_COPIES = 2 << 30, 20
"""Most bytes that all features of a source may have in all their cells together: these, and so many times what was given."""
_PIECE_ROWS = 1 << 13  # small enough that the arrays of a piece stay in the processor's cache
_POLL = 50  # tiles
_SPANS = 4  # pieces of work for each process when tiles are written: enough to even out, few enough to read each batch about once


def open_splitter(out_dir: Path, first: Batch, part: int) -> FeatureSplitter:
    """The splitter of a layer of features (see `tiles.formats.TileFormat`); what cannot be placed becomes a misfit."""
    return FeatureSplitter(out_dir, layer=first.layer, part=part, misfits=[], placing=first.meta.get(PLACING, ""))


class FeatureSplitter:
    """Splits the features of one source and layer into cells. Use: `add` every batch, then go through `finish` once.

    Args:
        out_dir: folder; tiles are written to `<layer>/<quadkey>-<part>.parquet` below it, spilled rows to `.spill/` while it works.
        layer: name of the layer: letters, digits, `_.-`.
        part: number of the source file within the version.
        processes: how many work at once, this one included.
        memory_mb: about how much each process may hold of rows at a time, beside the program itself.
        misfits: when given, rows that cannot be placed (broken, not finite, off the grid, too wide, or without geometry) are left
            out and described here (the first 1,000); when not, the first broken row raises. Rows without geometry never raise.
        placing: what each tile states of the place of its source (`tiles.batch.PLACING`).

    After `finish`: `rows` given, `placed` (each owned by one tile), `unplaced` (no geometry), `rejected` (broken).
    """

    def __init__(
        self,
        out_dir: Path,
        *,
        layer: str,
        part: int,
        processes: int = 1,
        memory_mb: int = 192,
        misfits: list[Misfit] | None = None,
        placing: str = "",
    ) -> None:
        if not _LAYER.fullmatch(layer):
            raise InvalidContent(f"{layer[:80]!r} cannot be the name of a layer: letters, digits, _ . - only.", layer=layer[:80])
        self.rows = self.placed = self.unplaced = self.rejected = 0
        self._out, self._layer, self._part = out_dir, layer, part
        self._processes = max(1, processes)
        self._piece_bytes = max(1, memory_mb) << 17  # an eighth: rows, their geometry, the sorted copy and what is being written
        self._is_strict = misfits is None
        self.misfits: list[Misfit] = [] if misfits is None else misfits
        (out_dir / ".spill").mkdir(parents=True, exist_ok=True)
        (out_dir / layer).mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{layer}-{part}-", dir=out_dir / ".spill"))
        self._placing = placing
        self._own = SplitWorker(0, self._folder, self._out, layer, part, placing)
        self._workers: Workers | None = None
        self._pieces = 0
        self.remarks: Sequence[Remark] = ()

    def add(self, batch: Batch) -> None:
        """Take rows in.

        Raises:
            InvalidContent: not features in degrees WGS 84, a column is missing or reserved, or (without `misfits`) a broken row.
        """
        for piece in _pieces(_checked(batch), self._piece_bytes):
            if self._processes > 1 and self._pieces == 1:
                self._hire()
            if self._workers is None or not self._send(piece):
                self._note(self._own.take(piece, self.rows))
            if self._workers is not None:
                self._note_all(self._workers.answers())
            self._pieces += 1
            self.rows += piece.num_rows

    def add_each(self, read: Callable[[T], Iterator[Batch]], sources: Sequence[T]) -> None:
        """Take in all batches of `read(source)` for each source, read by the processes themselves (row groups of one file).

        `read` and the sources must be picklable; the order of rows is that of `sources`.
        """
        if self._processes > 1 and len(sources) > 1 and self._workers is None:
            self._hire()
        todo = deque((k, source) for k, source in enumerate(sources))
        offset = self.rows
        while todo:
            while (
                todo
                and self._workers is not None
                and self._workers.offer("read", read, todo[0][1], offset + (todo[0][0] << 40), self._piece_bytes)
            ):
                todo.popleft()
            if todo:
                k, source = todo.popleft()
                self._note_read(self._own.read(read, source, offset + (k << 40), self._piece_bytes))
            if self._workers is not None:
                for answer in self._workers.answers():
                    self._note_read(answer)
        if self._workers is not None:
            for answer in self._workers.answers(block=True):
                self._note_read(answer)

    def finish(self) -> Iterator[EncodedTile]:
        """Write every tile; yields them by ascending cell. Afterwards the spilled rows are gone."""
        try:
            if self._workers is not None:
                self._note_all(self._workers.answers(block=True))
            runs = list(self._own.close())
            if self._workers is not None:
                runs += [run for some in self._workers.everywhere("close") for run in some]
            self.placed = self.rows - self.unplaced - self.rejected
            yield from self._write(runs)
        finally:
            self.close()

    def close(self) -> None:
        """End the processes and remove what was spilled; done by `finish`, for those who give up before."""
        if self._workers is not None:
            self._workers.__exit__()
            self._workers = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hire(self) -> None:
        args = (self._folder, self._out, self._layer, self._part, self._placing)
        try:
            self._workers = Workers(self._processes - 1, _start_worker, args).__enter__()
        except OSError as error:  # a cage without user namespaces forbids new processes; the result is the same, only later
            log.warning("no process can be started here (%s): features are split by one", error)
            self._processes = 1

    def _send(self, piece: pa.Table) -> bool:
        assert self._workers is not None  # noqa: S101 - the caller asked
        if not self._workers.has_room():
            return False
        path = str(self._folder / f"in-{self._pieces}.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, piece.schema) as writer:
            writer.write_table(piece)
        return self._workers.offer("take_file", path, self.rows)

    def _note_read(self, answer: tuple[int, list[Any]]) -> None:
        rows, misfits = answer
        self.rows += rows
        self._note(misfits)

    def _note_all(self, answers: Iterator[list[Any]]) -> None:
        for misfits in answers:
            self._note(misfits)

    def _note(self, misfits: list[tuple[int, str, int]]) -> None:
        for row, feature_id, status in misfits:
            code, why = wkb.REASONS[status]
            found = Misfit(row, feature_id, code, f"Feature {feature_id!r} {why}.")
            if status == wkb.MISSING:
                self.unplaced += 1
            else:
                self.rejected += 1
                if self._is_strict:
                    self.close()
                    raise InvalidContent(found.message, code=code, row=row, feature=feature_id)
            if len(self.misfits) < _MOST_MISFITS:
                self.misfits.append(found)

    def _write(self, runs: list[Run]) -> Iterator[EncodedTile]:
        if not runs:
            return
        total = sum(int(run.size.sum()) for run in runs)
        edges = boundaries(runs, min(2 * self._piece_bytes, max(1 << 20, total // (_SPANS * self._processes))))
        if self._workers is None:
            yield from self._own.write(runs, edges)
            return
        per = max(1, -(-(len(edges) - 1) // (_SPANS * self._processes)))
        spans = [edges[i : i + per + 1] for i in range(0, len(edges) - 1, per)]
        todo = deque(enumerate(spans))
        done: dict[int, list[EncodedTile]] = {}
        following = 0
        while following < len(spans):
            while todo and self._workers.offer("write_span", todo[0][0], runs, todo[0][1]):
                todo.popleft()
            if todo:
                number, span = todo.popleft()
                own = []
                for k, tile in enumerate(self._own.write(runs, span)):
                    own.append(tile)
                    if k % _POLL == 0:  # an answer that is not fetched stops its worker once the pipe is full
                        done.update(self._workers.answers())
                done[number] = own
            else:
                done.update(self._workers.answers(block=True))
            while following in done:
                yield from done.pop(following)
                following += 1


@dataclass(slots=True)
class SplitWorker:
    """What one process does: sort rows by cell and write them out; later collect the rows of cells and write their tiles."""

    number: int
    folder: Path
    out: Path
    layer: str
    part: int
    placing: str = ""
    runs: RunWriter = field(init=False)
    given: int = 0
    copied: int = 0

    def __post_init__(self) -> None:
        self.runs = RunWriter(self.folder, f"run-{self.number}")

    def take(self, table: pa.Table, first_row: int) -> list[tuple[int, str, int]]:
        """Sort rows by cell and write them out; `first_row` is the place of the first in the source. Returns rows without a cell."""
        found = assign(table, most_crossings=MAX_CROSSINGS)
        self._check_copies(table, found)
        geometry = wkb.to_iso(table.column("geometry").combine_chunks(), found.code)
        table = table.set_column(table.column_names.index("geometry"), "geometry", geometry)
        rows = table.take(pa.array(found.row))
        boxes = found.bounds[found.row]
        added = {
            CELL: pa.array(found.cell),
            ROW: pa.array(found.row + first_row),
            CODE: pa.array(found.code[found.row]),
            "owner": pa.array(found.owner),
            "inside_mm": pa.array(found.mm, mask=found.mm < 0),
            "bbox": pa.StructArray.from_arrays([pa.array(np.ascontiguousarray(boxes[:, k])) for k in range(4)], fields=list(BOX)),
        }
        for name, column in added.items():
            rows = rows.append_column(name, column)
        self.runs.add(rows)
        bad = np.flatnonzero(found.status)
        ids = table.column("feature_id").take(pa.array(bad)).to_pylist()
        return [(first_row + row, name, int(found.status[row])) for row, name in zip(bad.tolist(), ids, strict=True)]

    def _check_copies(self, table: pa.Table, found: Assigned) -> None:
        """Pass while what is stored stays in proportion to what was given: a feature goes whole into each of its cells.

        Raises: InvalidContent: `geometry.too_wide`, with the feature that is the largest in all its cells together.
        """
        names = ("geometry", "properties", *(name for name in ("measure",) if name in table.column_names))
        length = sum(pc.fill_null(pc.binary_length(table.column(name)), 0).to_numpy().astype(np.int64) for name in names)
        copies = np.bincount(found.row, minlength=table.num_rows) * length
        self.given += int(np.sum(length))
        self.copied += int(copies.sum())
        if self.copied > FREE_COPIES + MOST_COPIES * self.given:
            worst = int(copies.argmax())
            name, cells = table.column("feature_id")[worst].as_py(), int((found.row == worst).sum())
            text = (
                f"The features of {self.layer} would take {self.copied >> 20} MiB in all their cells together, {self.given >> 20} MiB were "
                f"given: {name!r} alone, of {int(length[worst])} bytes, is in {cells} cells. Cut long features into parts."
            )
            raise InvalidContent(text, code="geometry.too_wide", feature=name)

    def take_file(self, path: str, first_row: int) -> list[tuple[int, str, int]]:
        """`take` of an Arrow file, which is removed."""
        with pa.OSFile(path) as source:
            table = pa.ipc.open_file(source).read_all()
        Path(path).unlink()
        return self.take(table, first_row)

    def read(
        self, read: Callable[[T], Iterator[Batch]], source: T, first_row: int, piece_bytes: int
    ) -> tuple[int, list[tuple[int, str, int]]]:
        """`take` of all batches of a source; returns how many rows it had as well."""
        rows, misfits = 0, []
        for batch in read(source):
            for piece in _pieces(_checked(batch), piece_bytes):
                misfits += self.take(piece, first_row + rows)
                rows += piece.num_rows
        return rows, misfits

    def close(self) -> list[Run]:
        """Finish the run files; returns them."""
        return self.runs.close()

    def write_span(self, number: int, runs: list[Run], edges: list[int]) -> tuple[int, list[EncodedTile]]:
        """`write` for a worker: all at once, with the number of the span."""
        return number, list(self.write(runs, edges))

    def write(self, runs: list[Run], edges: list[int]) -> Iterator[EncodedTile]:
        """Write the tiles of the cells between consecutive `edges`."""
        collector = Collector(runs)
        for lo, hi in zip(edges[:-1], edges[1:], strict=True):
            rows = collector.rows(lo, hi)
            if rows is None:
                continue
            order = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in (CELL, "feature_id", ROW)])
            rows = rows.take(order).combine_chunks()
            cells, codes = rows.column(CELL).to_numpy(), rows.column(CODE).to_numpy()
            names = [*COLUMNS, *(n for n in rows.column_names if n not in COLUMNS and not n.startswith("\x00"))]
            yield from write_tiles(self.out, self.layer, self.part, cells, rows.select(names), codes, self.placing)


def _start_worker(number: int, folder: Path, out: Path, layer: str, part: int, placing: str) -> SplitWorker:
    """What a worker does, which is a process of its own: there the plain allocator needs a fifth less memory at the same speed."""
    pa.set_memory_pool(pa.system_memory_pool())
    return SplitWorker(number, folder, out, layer, part, placing)


def _checked(batch: Batch) -> pa.Table:
    """The table of a batch with plain column types, or InvalidContent."""
    if batch.content is not Content.FEATURES:
        raise InvalidContent(f"A batch of {batch.content} cannot be split as features.")
    if batch.crs not in ("EPSG:4326", "OGC:CRS84", "EPSG:4979"):
        raise InvalidContent(
            f"Features must be placed before they are split: the batch is in {batch.crs[:80]!r}, not EPSG:4326.", crs=batch.crs[:80]
        )
    table = batch.table
    missing = [name for name in _NEEDED if name not in table.column_names]
    taken = [name for name in table.column_names if name in _GIVEN or name.startswith("\x00")]
    if missing or taken or len(set(table.column_names)) != table.num_columns:
        raise InvalidContent(
            f"A batch of features lacks the columns {missing} or uses reserved or repeated names {taken}.", missing=missing, reserved=taken
        )
    plain = {"feature_id": pa.string(), "kind": pa.string(), "properties": pa.string(), "geometry": pa.binary(), "measure": pa.binary()}
    for k, name in enumerate(table.column_names):
        column = table.column(k)
        kind = plain.get(name) or (column.type.value_type if pa.types.is_dictionary(column.type) else column.type)
        if column.type != kind:
            table = table.set_column(k, name, column.cast(kind))
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as why:
        raise InvalidContent(f"A batch of features holds text that is not UTF-8: {why}", code="text.damaged") from why
    return table.replace_schema_metadata(None)


def _pieces(table: pa.Table, most_bytes: int) -> Iterator[pa.Table]:
    rows = min(_PIECE_ROWS, max(1, int(table.num_rows * most_bytes / max(table.nbytes, 1))))
    for i in range(0, table.num_rows, rows):
        yield table.slice(i, rows)
