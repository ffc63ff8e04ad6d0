"""Bytes of many cells on disk until all of them are known: one file a cell, only ever appended to."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


class CellFiles:
    """Files by cell below `folder`. A file is open only while it is written or read, so that a source may cross thousands of cells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells: set[int] = set()

    def append(self, cell: int, pieces: Iterable[bytes]) -> None:
        """Add bytes to a cell, behind those that it has."""
        if not self.cells:
            shutil.rmtree(self.folder, ignore_errors=True)  # of an attempt that was ended
            self.folder.mkdir(parents=True)
        self.cells.add(cell)
        with (self.folder / str(cell)).open("ab") as stream:
            stream.writelines(pieces)

    def open(self, cell: int) -> BinaryIO:
        """The file of a cell, for reading."""
        return (self.folder / str(cell)).open("rb")

    def drop(self, cell: int) -> None:
        """Remove a cell that is done."""
        (self.folder / str(cell)).unlink()

    def close(self) -> None:
        """Remove what is left."""
        shutil.rmtree(self.folder, ignore_errors=True)
