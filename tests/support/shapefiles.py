"""Shapefiles byte by byte, as no library would write them: cells are given as the bytes that lie in the .dbf."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
)

Column = tuple[bytes, str, int, int]
"""Name, kind, width and decimals."""


def dbf(columns: Sequence[Column], rows: Sequence[Sequence[bytes]], *, deleted: Sequence[int] = (), language: int = 0) -> bytes:
    length = 1 + sum(width for _, _, width, _ in columns)
    head = struct.pack("<B3BIHH16xBB2x", 3, 126, 1, 1, len(rows), 32 + 32 * len(columns) + 1, length, 0, language)
    for name, kind, width, decimals in columns:
        head += struct.pack("<11sc4xBB14x", name, kind.encode(), width, decimals)
    body = b""
    for number, row in enumerate(rows):
        cells = (cell.rjust(width) if kind in "NF" else cell.ljust(width) for cell, (_, kind, width, _) in zip(row, columns, strict=True))
        body += (b"*" if number in deleted else b" ") + b"".join(cells)
    return head + b"\r" + body + b"\x1a"


def shapefile(
    folder: Path,
    columns: Sequence[Column],
    rows: Sequence[Sequence[bytes]],
    *,
    name: str = "map",
    shapes: int | None = None,
    measures: Sequence[float] | None = None,
    cpg: str | None = None,
    deleted: Sequence[int] = (),
    language: int = 0,
) -> Path:
    """A shapefile of points (with M when there are measures), `shapes` of them where they are not as many as the rows."""
    folder.mkdir(exist_ok=True)
    count = len(rows) if shapes is None else shapes
    kind, size = (1, 20) if measures is None else (21, 28)
    box = struct.pack("<8d", 127.0, 37.0, 128.0, 38.0, 0, 0, 0, 0)
    shp, shx = b"", b""
    for number in range(count):
        shx += struct.pack(">2i", (100 + len(shp)) // 2, size // 2)
        body = struct.pack("<i2d", kind, 127.1 + number * 1e-5, 37.4) + (b"" if measures is None else struct.pack("<d", measures[number]))
        shp += struct.pack(">2i", number + 1, size // 2) + body

    def head(length: int) -> bytes:
        return struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + length) // 2) + struct.pack("<2i", 1000, kind) + box

    (folder / f"{name}.shp").write_bytes(head(len(shp)) + shp)
    (folder / f"{name}.shx").write_bytes(head(len(shx)) + shx)
    (folder / f"{name}.dbf").write_bytes(dbf(columns, rows, deleted=deleted, language=language))
    (folder / f"{name}.prj").write_text(WGS84)
    if cpg is not None:
        (folder / f"{name}.cpg").write_text(cpg)
    return folder
