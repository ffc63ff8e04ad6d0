"""Rows of many cells on disk until all of them are known: one file a cell, only ever appended to."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

_LENGTH = struct.Struct("<Q")


class Spill:
    """Tables by cell below `folder`; a segment is one `append`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells: set[int] = set()

    def append(self, cell: int, table: pa.Table) -> None:
        """Add rows to a cell, behind those that it has."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        body = sink.getvalue()
        if not self.cells:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.cells.add(cell)
        with (self.folder / str(cell)).open("ab") as stream:
            stream.write(_LENGTH.pack(body.size))
            stream.write(body)

    def segments(self, cell: int) -> Iterator[tuple[int, pa.Table]]:
        """Each segment of a cell with its place in the file, in the order of `append`."""
        with (self.folder / str(cell)).open("rb") as stream:
            while head := stream.read(_LENGTH.size):
                at = stream.tell()
                yield at, pa.ipc.open_stream(stream.read(_LENGTH.unpack(head)[0])).read_all()

    def segment(self, cell: int, at: int) -> pa.Table:
        """The segment at a place that `segments` gave."""
        with (self.folder / str(cell)).open("rb") as stream:
            stream.seek(at - _LENGTH.size)
            (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
            return pa.ipc.open_stream(stream.read(length)).read_all()

    def drop(self, cell: int) -> None:
        """Forget a cell that is written."""
        (self.folder / str(cell)).unlink()

    def close(self) -> None:
        """Remove what is left."""
        shutil.rmtree(self.folder, ignore_errors=True)
