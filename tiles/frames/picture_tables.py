"""Tables of pictures by cell, laid down on disk as they come: a picture tile is sorted by name, so all of its cell must be known first."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from tiles.cell_files import CellFiles

_LENGTH = struct.Struct("<Q")


class PictureTables:
    """Tables by cell in files below `folder`; a segment is one `append`."""

    def __init__(self, folder: Path) -> None:
        self._files = CellFiles(folder)

    def append(self, cell: int, table: pa.Table) -> None:
        """Add rows to a cell, behind those that it has."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        body = sink.getvalue()
        self._files.append(cell, [_LENGTH.pack(body.size), body])

    def segments(self, cell: int) -> Iterator[tuple[int, pa.Table]]:
        """Each segment of a cell with its place in the file, in the order of `append`."""
        with self._files.open(cell) as stream:
            while head := stream.read(_LENGTH.size):
                at = stream.tell()
                yield at, pa.ipc.open_stream(stream.read(_LENGTH.unpack(head)[0])).read_all()

    def segment(self, cell: int, at: int) -> pa.Table:
        """The segment at a place that `segments` gave."""
        with self._files.open(cell) as stream:
            stream.seek(at - _LENGTH.size)
            (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
            return pa.ipc.open_stream(stream.read(length)).read_all()

    def drop(self, cell: int) -> None:
        """Remove the rows of a cell that is written."""
        self._files.drop(cell)

    def close(self) -> None:
        """Remove what is left."""
        self._files.close()
