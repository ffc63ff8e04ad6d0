"""A table as text: its encoding, its delimiter, its columns; its rows as Arrow tables of text, in bounded memory.

Cells stay the text that they are; empty ones are null. A row of another number of cells is left out and counted.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from ingest.checks.encodings import Decoder
from ingest.checks.text import distinct
from mapex.errors import Invalid

_PIECE, _HEAD, _BLOCK = 1 << 20, 1 << 18, 16 << 20
_DELIMITERS = (",", ";", "\t", "|")
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
MOST_COLUMNS = 2000


@dataclass(frozen=True, slots=True)
class TextTable:
    """A text table.

    `is_guessed`: nothing states its encoding, and it is not UTF-8. `broken` pieces hold bytes that mean no letter. `is_cut`: it ends inside
    of a quoted cell; `is_open`: without a line break, so that its last cell may be short.
    """

    path: Path
    name: str
    codec: str
    delimiter: str
    names: tuple[str, ...]
    is_guessed: bool = False
    broken: int = 0
    is_cut: bool = False
    is_open: bool = False

    @staticmethod
    def of(path: Path, name: str) -> TextTable:
        """Look the file through for its encoding, and read its first row.

        Raises: Invalid: `csv.head`: it is no table.
        """
        seen = _Text.of(path)
        codec = seen.codec
        with path.open("rb") as stream:
            text = Decoder(codec).decode(stream.read(_HEAD), final=False).lstrip("\r\n")
        rows = {delimiter: _first_row(text, delimiter) for delimiter in _DELIMITERS}
        delimiter = max(_DELIMITERS, key=lambda one: len(rows[one]))
        names = [cell.strip() for cell in rows[delimiter]]
        if not any(names) or len(names) > MOST_COLUMNS or any("\0" in cell for cell in names):
            raise Invalid("csv.head", f"{name} does not begin with a row of names of columns. Export it again with a head.", file=name)
        named = [cell or f"column {at}" for at, cell in enumerate(names, 1)]
        return TextTable(path, name, codec, delimiter, tuple(distinct(named)), seen.is_guessed, seen.broken, seen.is_cut, seen.is_open)


@dataclass(slots=True)
class TextRows:
    """The rows of a sheet; `skipped` are texts of rows that have another number of cells, `more` of them are not kept."""

    sheet: TextTable
    skipped: list[str] = field(default_factory=list)
    more: int = 0
    fault: str = ""

    def tables(self) -> Iterator[pa.Table]:
        """All rows, some megabytes at a time; `fault` states why they ended early."""
        names = list(self.sheet.names)
        parse = pa_csv.ParseOptions(delimiter=self.sheet.delimiter, newlines_in_values=True, invalid_row_handler=self._skip)
        convert = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=True
        )
        read = pa_csv.ReadOptions(column_names=names, block_size=_BLOCK, use_threads=False, skip_rows_after_names=1)
        with self.sheet.path.open("rb") as stream:
            try:
                with pa_csv.open_csv(_AsUtf8(stream, self.sheet.codec), read, parse, convert) as rows:
                    for batch in rows:
                        yield pa.Table.from_batches([batch])
            except pa.ArrowInvalid as why:
                if "Empty CSV" not in str(why):
                    self.fault = str(why)[:200]

    def _skip(self, row: pa_csv.InvalidRow) -> str:
        if len(self.skipped) < 20:
            self.skipped.append(str(row.text)[:80])
        else:
            self.more += 1
        return "skip"


class _AsUtf8(io.RawIOBase):
    """The bytes of a file in UTF-8, whatever they are in."""

    def __init__(self, stream: io.BufferedIOBase | io.BufferedReader, codec: str) -> None:
        self._stream, self._decoder, self._held, self._done = stream, Decoder(codec), b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._held and not self._done:
            piece = self._stream.read(_PIECE)
            self._done = not piece
            self._held = self._decoder.decode(piece, final=self._done).encode("utf-8", "replace")
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


@dataclass(frozen=True, slots=True)
class _Text:
    """What a pass over the bytes of a table shows."""

    codec: str
    is_guessed: bool
    broken: int
    is_cut: bool
    is_open: bool

    @staticmethod
    def of(path: Path) -> _Text:
        """The codec of a file: what its first bytes state, else UTF-8, else cp949 where that has fewer wrong letters."""
        with path.open("rb") as stream:
            head = stream.read(3)
        wide = next((codec for mark, codec in _WIDE.items() if head.startswith(mark)), None)
        tried = [Decoder(wide)] if wide else [Decoder("utf-8-sig"), Decoder("cp949")]
        quotes, last = 0, ""
        with path.open("rb") as stream:
            while True:
                piece = stream.read(_PIECE)
                text = [decoder.decode(piece, final=not piece) for decoder in tried][0]
                quotes, last = quotes + text.count('"'), text[-1:] or last
                if not piece:
                    break
        is_open = last not in ("\n", "\r")
        ends = is_open and quotes % 2 == 1, is_open
        if wide:
            return _Text(wide, False, tried[0].broken, *ends)
        utf8, korean = (decoder.broken for decoder in tried)
        return _Text("utf-8-sig", False, utf8, *ends) if utf8 <= korean else _Text("cp949", True, korean, *ends)


def _first_row(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []
