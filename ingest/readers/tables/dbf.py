"""The table of a shapefile (.dbf), read by us: every row, deleted ones too, every digit, and text in the encoding that was found.

GDAL reads numbers of 19 digits as floats, 30 February as 2 March, "2023" as 1970, and leaves out deleted rows without a word.

Source: https://www.dbase.com/Knowledgebase/INT/db7_file_fmt.htm (the older levels are a part of it)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ingest.checks.encodings import decoded
from ingest.checks.text import DAMAGED, MISFIT, Fault, distinct, texts_of
from mapex.errors import Invalid

Cells = NDArray[np.uint8]

KINDS = "CNFDL"
"""Kinds of columns that shapefiles have: text, numbers (two spellings), dates, yes or no."""
_BLOCK_BYTES = 8 << 20
_DELETED = ord("*")
_EXACT_DIGITS = 18
"""Every whole number of so many digits fits 64 bits."""
_WHOLE = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_FLAGS = {"T": True, "Y": True, "F": False, "N": False}


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the header describes it: `kind` C, N, F, D, L or another letter, `at` its place in a row."""

    raw_name: bytes
    kind: str
    at: int
    width: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Dbf:
    """A .dbf file. `rows` are there, `promised` are stated by its header; `language` is its language byte."""

    path: Path
    rows: int
    promised: int
    language: int
    start: int
    length: int
    columns: tuple[Column, ...]

    @staticmethod
    def of(path: Path, file: str) -> Dbf:
        """Read the header. Raises: Invalid: `file.damaged`."""
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(32)
            start, length = int.from_bytes(head[8:10], "little"), int.from_bytes(head[10:12], "little")
            fields = stream.read(max(0, start - 32))
        if len(head) < 32 or start < 33 or length < 1:
            raise Invalid("file.damaged", f"{file}: {path.name} is not a readable dBASE table. Export it again.", file=file)
        columns = _columns(fields, length)
        if columns and columns[-1].at + columns[-1].width > length:
            raise Invalid("file.damaged", f"{file}: the columns of {path.name} are wider than its rows. Export it again.", file=file)
        promised = int.from_bytes(head[4:8], "little")
        return Dbf(path, min(promised, max(0, size - start) // length), promised, head[29], start, length, columns)

    def blocks(self) -> Iterator[Cells]:
        """All rows, some megabytes at a time, as bytes: one line a row."""
        some = max(1, _BLOCK_BYTES // self.length)
        for first in range(0, self.rows, some):
            yield self.block(first, min(some, self.rows - first))

    def block(self, first: int, count: int) -> Cells:
        """Rows as bytes, fewer where the file ends."""
        count = max(0, min(count, self.rows - first))
        with self.path.open("rb") as stream:
            stream.seek(self.start + first * self.length)
            return np.frombuffer(stream.read(count * self.length), np.uint8).reshape(-1, self.length)


@dataclass(frozen=True, slots=True)
class DbfReader:
    """Reads the rows of a table in one encoding. `names` are the columns' in text; `as_text` are numbers too long for 64 bits."""

    dbf: Dbf
    codec: str
    names: tuple[str, ...]
    as_text: frozenset[int]

    @staticmethod
    def of(dbf: Dbf, codec: str) -> DbfReader:
        """Look through the columns that may hold numbers of more than 64 bits: a column is of one type from its first row to its last."""
        names = distinct([decoded(column.raw_name, codec)[0] for column in dbf.columns])
        wide = {at for at, column in enumerate(dbf.columns) if _is_whole(column) and column.width > _EXACT_DIGITS}
        found: set[int] = set()
        for block in dbf.blocks() if wide else ():
            found |= {at for at in wide - found if _overflows(cells_of(block, dbf.columns[at]))}
        return DbfReader(dbf, codec, tuple(names), frozenset(found))

    def cut_names(self) -> list[str]:
        """Names of columns that end in the middle of a letter: ten bytes hold three letters of Korean and a third."""
        return [name for name, column in zip(self.names, self.dbf.columns, strict=True) if decoded(column.raw_name, self.codec)[1]]

    def table(self, first: int, count: int) -> tuple[pa.Table, NDArray[np.bool_], list[Fault]]:
        """`count` rows (nulls behind the last), which are deleted, and the cells that could not be taken as they are."""
        block = self.dbf.block(first, count)
        missing = count - len(block)
        faults: list[Fault] = []
        table = pa.table({"\x00row": pa.nulls(count)})
        for at, column in enumerate(self.dbf.columns):
            values, odd = self._values(at, column, block)
            faults += odd
            whole = pa.chunked_array([values, pa.nulls(missing, values.type)]) if missing else values
            table = table.append_column(self.names[at], whole)
        deleted = np.zeros(count, np.bool_)
        deleted[: len(block)] = block[:, 0] == _DELETED
        return table.drop_columns(["\x00row"]), deleted, [fault for fault in faults if not deleted[fault.row]]

    def _values(self, at: int, column: Column, block: Cells) -> tuple[Any, list[Fault]]:
        name, cells = self.names[at], cells_of(block, column)
        if column.kind in KINDS and column.kind != "C":
            ascii_, broken = texts_of(cells, "latin-1" if _has_foreign(block, column) else "utf-8")
            texts = pc.ascii_trim_whitespace(ascii_)
            texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
            if column.kind == "D":
                return _dates(texts, name)
            if column.kind == "L":
                return _flags(texts, name)
            return _numbers(texts, name, whole=_is_whole(column), as_text=at in self.as_text)
        texts, broken = texts_of(cells, self.codec)
        faults = [Fault(row, name, DAMAGED, texts[row].as_py()) for row in broken]
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts), faults


def _columns(fields: bytes, length: int) -> tuple[Column, ...]:
    found: list[Column] = []
    at = 1
    described = range(0, len(fields) - 31, 32)
    entries = [fields[k : k + 32] for k in described]
    end = next((k for k, entry in enumerate(entries) if entry[0] == 0x0D), len(entries))
    entries = entries[:end]
    # Clipper and FoxPro write the width of long text in two bytes; others leave something else in the second.
    long = 1 + sum(entry[16] + (entry[17] << 8) * (entry[11:12] == b"C") for entry in entries) == length
    for entry in entries:
        kind = entry[11:12].decode("latin-1")
        width = entry[16] + ((entry[17] << 8) if long and kind == "C" else 0)
        found.append(Column(entry[:11].split(b"\0")[0], kind, at, width, 0 if kind == "C" else entry[17]))
        at += width
    return tuple(found)


def _is_whole(column: Column) -> bool:
    return column.kind in ("N", "F") and column.decimals == 0


def _has_foreign(block: Cells, column: Column) -> bool:
    return bool((block[:, column.at : column.at + column.width] >= 0x80).any())


def cells_of(block: Cells, column: Column) -> pa.Array:
    """The cells of a column as binary, without what fills them up: everything from the first NUL on, and blanks at the end."""
    cells = block[:, column.at : column.at + column.width]
    if not column.width or not len(cells):
        return pa.array([b""] * len(cells), pa.binary())
    if (cells == 0).any():
        cells = np.where(np.logical_or.accumulate(cells == 0, axis=1), np.uint8(32), cells)
    filled = cells != 32
    lengths = np.where(filled.any(axis=1), column.width - np.argmax(filled[:, ::-1], axis=1), 0)
    kept = np.arange(column.width) < lengths[:, None]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(cells), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(np.ascontiguousarray(cells[kept]).tobytes())]
    )


def _overflows(cells: pa.Array) -> bool:
    texts, _ = texts_of(cells, "latin-1")
    texts = pc.ascii_trim_whitespace(texts)
    whole = texts.filter(pc.match_substring_regex(texts, _WHOLE))
    return any(not -(2**63) <= int(text) < 2**63 for text in whole.filter(pc.greater(pc.binary_length(whole), _EXACT_DIGITS)).to_pylist())


def _numbers(texts: Any, name: str, *, whole: bool, as_text: bool) -> tuple[Any, list[Fault]]:
    """Numbers; what is none (asterisks stand for one that was too long for its column) becomes null."""
    good = pc.match_substring_regex(texts, _NUMBER)
    if not as_text:
        good = pc.and_(good, pc.is_finite(pc.cast(pc.if_else(good, pc.replace_substring_regex(texts, r"^\+", ""), "0"), pa.float64())))
    odd = pc.indices_nonzero(pc.fill_null(pc.invert(good), False)).to_pylist()
    faults = [Fault(row, name, MISFIT, texts[row].as_py(), "number", "null") for row in odd]
    texts = pc.if_else(good, texts, pa.scalar(None, pa.string())) if odd else texts
    if as_text:
        return texts, faults
    if whole and pc.all(pc.fill_null(pc.match_substring_regex(texts, _WHOLE), True)).as_py():
        return pc.cast(pc.replace_substring_regex(texts, r"^\+", ""), pa.int64()), faults
    return pc.cast(pc.replace_substring_regex(texts, r"^\+", ""), pa.float64()), faults


def _dates(texts: Any, name: str) -> tuple[Any, list[Fault]]:
    """Dates as ISO text; zeros are no date, and what the calendar does not have stays the text that it is."""
    return _each(texts, name, "date", _date)


def _flags(texts: Any, name: str) -> tuple[Any, list[Fault]]:
    """Yes and no; "?" is neither, and other letters stand for nothing."""
    values, faults = _each(texts, name, "yes or no", lambda text: (None if text == "?" else text.upper(), text.upper() in {*_FLAGS, "?"}))
    known = pc.is_in(values, pa.array(list(_FLAGS)))
    flags = pc.is_in(values, pa.array([text for text, flag in _FLAGS.items() if flag]))
    became = [Fault(fault.row, fault.column, fault.code, fault.value, fault.expected, "null") for fault in faults]
    return pc.if_else(known, flags, pa.scalar(None, pa.bool_())), became


def _each(texts: Any, name: str, expected: str, read: Any) -> tuple[Any, list[Fault]]:
    """`read` of each distinct text: its value, and whether it was what it should be."""
    coded = pc.dictionary_encode(texts)
    given = coded.dictionary.to_pylist()
    pairs = [read(text) for text in given]
    values = pc.take(pa.array([value for value, _ in pairs], pa.string()), coded.indices)
    if all(good for _, good in pairs):
        return values, []
    bad = pc.fill_null(pc.take(pa.array([not good for _, good in pairs], pa.bool_()), coded.indices), False)
    return values, [Fault(row, name, MISFIT, texts[row].as_py(), expected, "text") for row in pc.indices_nonzero(bad).to_pylist()]


def _date(text: str) -> tuple[str | None, bool]:
    if not text.strip("0"):
        return None, True
    try:
        if len(text) != 8 or not (text.isascii() and text.isdigit()):
            raise ValueError
        return date(int(text[:4]), int(text[4:6]), int(text[6:])).isoformat(), True
    except ValueError:
        return text, False
