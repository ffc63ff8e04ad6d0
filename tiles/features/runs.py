"""Rows sorted by cell, written to disk as they come and collected again cell by cell, in bounded memory.

Each process appends sorted runs to one file of uncompressed Arrow record batches of about half a megabyte. Reading goes once through
the cells in their order: of every run only the batch at the present cell is in memory. Nothing is mapped: address space is limited in
the cage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tiles.arrays import Int64s, UInt64s

CELL = "\x00cell"
"""Column of the cell of a row; no source can have this name."""

_BATCH_BYTES = 512 << 10
_FILE_BYTES = 1 << 30  # below the limit that the cage sets for a file


@dataclass(frozen=True, slots=True)
class Run:
    """One closed file of sorted runs: first and last cell and bytes of each of its record batches."""

    path: Path
    first: UInt64s
    last: UInt64s
    size: Int64s


@dataclass(slots=True)
class RunWriter:
    """Writes sorted runs of one process to files `<folder>/<name>-<n>.arrow` (a new one when the columns change)."""

    folder: Path
    name: str
    runs: list[Run] = field(default_factory=list)
    _writer: Any = None
    _sink: Any = None
    _schema: pa.Schema | None = None
    _index: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, table: pa.Table) -> None:
        """Append rows that are sorted by their `CELL` column."""
        if not table.num_rows:
            return
        if self._schema is None or not self._schema.equals(table.schema) or sum(size for _, _, size in self._index) > _FILE_BYTES:
            self.close()
            self._schema = table.schema
            self._sink = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_file(self._sink, table.schema)
        rows = max(1, int(table.num_rows * _BATCH_BYTES / max(table.nbytes, 1)))
        for batch in table.combine_chunks().to_batches(max_chunksize=rows):
            self._writer.write_batch(batch)
            cells = batch.column(CELL)
            self._index.append((cells[0].as_py(), cells[-1].as_py(), batch.nbytes))

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.name}-{len(self.runs)}.arrow"

    def close(self) -> list[Run]:
        """Finish the present file; returns all that were written."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            first, last, size = zip(*self._index, strict=True)
            self.runs.append(Run(self._path, np.array(first, np.uint64), np.array(last, np.uint64), np.array(size, np.int64)))
            self._writer = self._sink = self._schema = None
            self._index = []
        return self.runs


def boundaries(runs: list[Run], group_bytes: int) -> list[int]:
    """Cells that cut all rows into groups of about `group_bytes`, from the first cell to behind the last."""
    if not runs:
        return []
    first = np.concatenate([run.first for run in runs])
    size = np.concatenate([run.size for run in runs])
    end = max(int(run.last.max()) for run in runs) + 1
    order = np.argsort(first, kind="stable")
    group = np.cumsum(size[order]) // group_bytes
    starts = first[order][np.r_[True, group[1:] != group[:-1]]]
    return [*np.unique(starts).tolist(), end]


@dataclass(slots=True)
class Collector:
    """Reads rows of ascending ranges of cells back from runs."""

    runs: list[Run]
    _files: list[Any] = field(default_factory=list)
    _held: dict[tuple[int, int], pa.RecordBatch] = field(default_factory=dict)

    def rows(self, lo: int, hi: int) -> pa.Table | None:
        """All rows of the cells `lo` to `hi` (exclusive), in no order; None when there are none."""
        if not self._files:
            self._files = [pa.ipc.open_file(pa.OSFile(str(run.path))) for run in self.runs]
        held, parts = {}, []
        for r, run in enumerate(self.runs):
            for b in np.flatnonzero((run.last >= np.uint64(lo)) & (run.first < np.uint64(hi))).tolist():
                batch = self._held.get((r, b))
                if batch is None:
                    batch = self._files[r].get_batch(b)
                if int(run.last[b]) >= hi:
                    held[r, b] = batch
                cells = batch.column(CELL).to_numpy(zero_copy_only=True)
                i, j = np.searchsorted(cells, np.array([lo, hi], np.uint64)).tolist()
                if j > i:
                    parts.append(pa.Table.from_batches([batch.slice(i, j - i)]))
        self._held = held
        return pa.concat_tables(parts, promote_options="permissive") if parts else None
