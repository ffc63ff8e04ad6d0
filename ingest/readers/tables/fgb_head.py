"""Columns of unsigned 64-bit numbers in the head of a FlatGeobuf file, which GDAL would make floats of.

Their type is one byte each in the head; as signed ones GDAL passes the same 64 bits on.

Source: https://github.com/flatgeobuf/flatgeobuf/blob/master/src/fbs/header.fbs
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

_MAGIC, _MOST_HEAD = 8, 16 << 20
_COLUMNS, _NAME, _TYPE = 7, 0, 1
"""Places of the columns in the table of the head, and of name and type in that of a column."""
_LONG, _UNSIGNED_LONG = 7, 8


def unsigned_columns(path: Path) -> dict[str, int]:
    """Name of each column of unsigned 64-bit numbers, and where in the file its type is. None of a head that is damaged."""
    with path.open("rb") as stream:
        stream.seek(_MAGIC)
        size = int.from_bytes(stream.read(4), "little")
        head = stream.read(min(size, _MOST_HEAD))
    try:
        return {name: _MAGIC + 4 + at for name, at in _columns(head) if head[at] == _UNSIGNED_LONG}
    except (struct.error, IndexError, UnicodeDecodeError):
        return {}


def signed_copy(path: Path, places: Iterable[int], folder: Path) -> Path:
    """A copy of the file in which these columns are signed."""
    copy = folder / path.name
    shutil.copyfile(path, copy)
    with copy.open("r+b") as stream:
        for place in places:
            stream.seek(place)
            stream.write(bytes([_LONG]))
    return copy


def as_unsigned(table: pa.Table, columns: Mapping[str, int]) -> pa.Table:
    """The table of a `signed_copy` with the numbers that the file holds."""
    for at, name in enumerate(table.column_names):
        if name in columns:
            chunks = [chunk.view(pa.uint64()) for chunk in table.column(at).chunks]
            table = table.set_column(at, name, pa.chunked_array(chunks, pa.uint64()))
    return table


def _columns(head: bytes) -> Iterable[tuple[str, int]]:
    columns = _field(head, _at(head, 0), _COLUMNS)
    if columns is None:
        return
    vector = _at(head, columns)
    for number in range(min(_word(head, vector), len(head) // 4)):
        column = _at(head, vector + 4 + 4 * number)
        name, kind = _field(head, column, _NAME), _field(head, column, _TYPE)
        if name is not None and kind is not None:
            text = _at(head, name)
            yield head[text + 4 : text + 4 + _word(head, text)].decode(), kind


def _word(head: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", head, at)[0])


def _at(head: bytes, at: int) -> int:
    """Where the offset at `at` leads to."""
    return at + _word(head, at)


def _field(head: bytes, table: int, number: int) -> int | None:
    """Where a field of a FlatBuffers table is, None when the table has none."""
    layout = table - int(struct.unpack_from("<i", head, table)[0])
    (size,) = struct.unpack_from("<H", head, layout)
    place = 4 + 2 * number
    offset = int(struct.unpack_from("<H", head, layout + place)[0]) if place < size else 0
    return table + offset if offset else None
