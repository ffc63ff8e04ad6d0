"""Values of a GeoPackage as SQLite holds them, where GDAL would give others.

SQLite stores anything in a column of any type. GDAL makes 30 February of it 2 March, "abc" 0, three thousand millions a negative number,
cuts text at a NUL, rounds FLOAT to 32 bits, and leaves out columns of types that the standard does not list. So each batch is asked
which of its columns hold such values, and only these are read here.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.checks.gpkg import opened, quoted
from ingest.checks.text import DAMAGED, MISFIT, Fault

_DAY = "{c} IS NOT date({c}, '+0 days')"
_TIME = (
    "{c} NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]*' "
    "OR substr({c}, 1, 10) IS NOT date(substr({c}, 1, 10), '+0 days')"
)
_WIDTHS = {"TINYINT": 15, "SMALLINT": 15, "MEDIUMINT": 31, "INT": 63, "INTEGER": 63}
_DATE_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ]\d\d:\d\d")


def _whole(bits: int) -> str:
    return f"typeof({{c}}) <> 'integer' OR {{c}} NOT BETWEEN {-(2**bits)} AND {2**bits - 1}"


_MISFIT = {
    **{kind: _whole(bits) for kind, bits in _WIDTHS.items()},
    "BOOLEAN": "typeof({c}) <> 'integer' OR {c} NOT IN (0, 1)",
    **dict.fromkeys(("REAL", "DOUBLE"), "typeof({c}) NOT IN ('real', 'integer')"),
    "TEXT": "typeof({c}) <> 'text' OR instr(CAST({c} AS BLOB), x'00')",
    "BLOB": "typeof({c}) <> 'blob'",
    "DATE": f"typeof({{c}}) <> 'text' OR {_DAY}",
    "DATETIME": f"typeof({{c}}) <> 'text' OR {_TIME}",
}
"""Type of a column -> when GDAL would not give its value, in SQL. Types that are not here (FLOAT too) are always read here."""


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a table of attributes: its name and its declared type, without a length."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table of a GeoPackage, read batch by batch beside GDAL."""

    path: Path
    name: str
    columns: tuple[StoredColumn, ...]

    @staticmethod
    def of(path: Path, name: str) -> StoredTable:
        """The columns of a table but for its key and its geometry."""
        with opened(path) as db:
            shapes = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'gpkg_geometry_columns'").fetchone()[0]
            found = (
                db.execute("SELECT column_name FROM gpkg_geometry_columns WHERE lower(table_name) = lower(?)", (name,)) if shapes else ()
            )
            hidden = {str(column).lower() for (column,) in found}
            try:
                db.execute(f"SELECT rowid FROM {quoted(name)} LIMIT 0")  # noqa: S608 - quoted as SQLite asks
            except sqlite3.OperationalError:  # WITHOUT ROWID: nothing tells which of GDAL's rows is which
                return StoredTable(path, name, ())
            about = db.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
        columns = [
            StoredColumn(column, re.sub(r"\s*\(.*", "", str(kind)).strip().upper())
            for _, column, kind, _, _, key in about
            if column.lower() not in hidden and not (key and str(kind).upper() == "INTEGER")
        ]
        return StoredTable(path, name, tuple(columns))

    def corrected(self, table: pa.Table, rows: Sequence[int]) -> tuple[pa.Table, list[Fault]]:
        """A batch of GDAL with the values that the file holds, and those that are not of their column's type.

        Args:
            table: attributes, in GDAL's types; rows: the row ids of the batch.
        """
        if not rows:
            return table, []
        faults: list[Fault] = []
        with opened(self.path) as db:
            span = (min(rows), max(rows))
            for column in self._doubtful(db, span, set(table.column_names)):
                values = self._values(db, column.name, span)
                cells = [_cell(column, values.get(row)) for row in rows]
                faults += [Fault(row, column.name, *fault) for row, (_, fault) in enumerate(cells) if fault]
                made = _column([value for value, _ in cells])
                if column.name in table.column_names:
                    table = table.set_column(table.column_names.index(column.name), column.name, made)
                else:
                    table = table.append_column(column.name, made)
        return table, faults

    def _doubtful(self, db: sqlite3.Connection, span: tuple[int, int], given: set[str]) -> list[StoredColumn]:
        """The columns of a span of rows whose values have to be read here."""
        known = [column for column in self.columns if column.kind in _MISFIT and column.name in given]
        found = [column for column in self.columns if column not in known]
        if known:
            conditions = [(name := quoted(column.name), _MISFIT[column.kind].replace("{c}", name)) for column in known]
            asked = ", ".join(f"max({name} IS NOT NULL AND ({condition}))" for name, condition in conditions)
            query = f"SELECT {asked} FROM {quoted(self.name)} WHERE rowid BETWEEN ? AND ?"  # noqa: S608 - quoted as SQLite asks
            marks = db.execute(query, span).fetchone()
            found += [column for column, mark in zip(known, marks, strict=True) if mark]
        return found

    def _values(self, db: sqlite3.Connection, column: str, span: tuple[int, int]) -> dict[int, Any]:
        db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        query = f"SELECT rowid, {quoted(column)} FROM {quoted(self.name)} WHERE rowid BETWEEN ? AND ?"  # noqa: S608 - quoted as SQLite asks
        return dict(db.execute(query, span))


Cell = tuple[Any, tuple[str, str, str, str] | None]
"""A value, and code, value, expected and became of its fault."""


def _cell(column: StoredColumn, value: Any) -> Cell:
    """A stored value as it is sold, and its fault when it is not of its column's type."""
    if isinstance(value, str) and not value.isascii():
        raw = value.encode("utf-8", "surrogateescape")
        text = raw.decode("utf-8", "replace")
        if text != value:
            return text, (DAMAGED, text, "", "")
    fits, expected = _EXPECTED.get(column.kind, (lambda _: True, ""))
    if value is None or fits(value):
        return (bool(value) if column.kind == "BOOLEAN" and value is not None else value), None
    became = "text" if isinstance(value, str) else "as it is"
    return value, (MISFIT, f"{len(value)} bytes" if isinstance(value, bytes) else str(value), expected, became)


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def is_time(value: Any) -> bool:
    """Whether a value is the text of a date and time that the calendar has."""
    found = _DATE_TIME.match(value) if isinstance(value, str) else None
    return found is not None and _is_day("-".join(found.groups()))


_EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_WIDTHS, (lambda value: isinstance(value, int), "whole number")),
    **dict.fromkeys(("REAL", "DOUBLE", "FLOAT"), (lambda value: isinstance(value, int | float), "number")),
    "BOOLEAN": (lambda value: value in (0, 1), "yes or no"),
    "TEXT": (lambda value: isinstance(value, str), "text"),
    "BLOB": (lambda value: isinstance(value, bytes), "binary value"),
    "DATE": (_is_day, "date"),
    "DATETIME": (is_time, "date and time"),
}


def _column(values: list[Any]) -> Any:
    """A column of one type where all values are, else of JSON values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pa.array(values, pa.string())
    if len(kinds) == 1:
        return pa.array(values)
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array([_json(value) for value in values], pa.string()))


def _json(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        value = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return None if value is None else json.dumps(value, ensure_ascii=False)
