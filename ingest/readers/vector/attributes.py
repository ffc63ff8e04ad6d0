"""The attributes of features as JSON text, column by column: a million rows without a Python loop over rows.

Each column becomes a column of JSON values by Arrow kernels; the pieces are then joined row by row in one kernel. Only values that JSON
must escape (quotes, control characters) or that are nested go through Python, each distinct value once where the column allows it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.checks.text import distinct

MAX_TEXT = 64 << 20
"""Bytes of JSON built at once: a dictionary page of 500 kB may stand for gigabytes."""

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_ESCAPED = r'["\\\x00-\x1f]'


def json_texts(table: pa.Table, extra: Mapping[str, Any] | None = None, *, source: Any = None) -> Any:
    """One JSON object a row: `{column: value, ...}`, null kept as null, and the constant members `extra`.

    Args:
        table: attribute columns in their own types; names that repeat get `#2`, `#3` ... so that nothing is lost.
        extra: the same for all rows, as JSON-ready values.
        source: column of JSON texts for the key `"@source"` (one a row), or None.
    Returns: string array, one object a row. Numbers keep their value (floats are written shortest round-trip), dates and times are
        ISO 8601 text, binary is base64, NaN and infinity are the texts "NaN", "Infinity", "-Infinity" since JSON has no such numbers.
    """
    pieces: list[Any] = []
    lead = "{"
    for name, column in _named(table):
        pieces += [pa.scalar(lead + _text(name) + ":"), value_texts(column)]
        lead = ","
    for name, value in (extra or {}).items():
        pieces.append(pa.scalar(lead + _text(name) + ":" + json.dumps(value, ensure_ascii=False)))
        lead = ","
    if source is not None:
        pieces += [pa.scalar(lead + '"@source":'), source]
        lead = ","
    pieces.append(pa.scalar("}" if lead == "," else "{}"))
    if all(isinstance(piece, pa.Scalar) for piece in pieces):
        return pa.array(["".join(piece.as_py() for piece in pieces)] * table.num_rows, pa.string())
    return pc.binary_join_element_wise(*pieces, pa.scalar(""))


def words_of(column: Any, prefix: str = "") -> Any:
    """A column of JSON values (`pa.json_()`) as plain words: text as it is, whole numbers behind a prefix, null for all else."""
    found = [None if value is None else json.loads(value) for value in column.cast(pa.string()).to_pylist()]
    words = [value if isinstance(value, str) else f"{prefix}{value}" if type(value) is int else None for value in found]
    return pa.array(words, pa.string())


def pieces(table: pa.Table) -> Iterator[pa.Table]:
    """The table in slices whose JSON text stays below `MAX_TEXT`, found by halving; dictionaries are measured before they are expanded."""
    waiting = [table]
    while waiting:
        part = waiting.pop()
        if part.num_rows > 1 and _expanded_bytes(part) > MAX_TEXT:
            half = part.num_rows // 2
            waiting += [part.slice(half), part.slice(0, half)]
        else:
            yield part


def _expanded_bytes(table: pa.Table) -> int:
    total = 0
    for column in table.columns:
        if pa.types.is_dictionary(column.type) and not pa.types.is_primitive(column.type.value_type):
            for chunk in column.chunks:
                lengths = pc.binary_length(chunk.dictionary)
                total += pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0
        else:
            total += column.nbytes
    return total


def value_texts(column: Any) -> Any:
    """A column of JSON values: the same rows, each as JSON text, "null" for null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return pc.fill_null(_texts(column, column.type), "null")


def _texts(column: Any, kind: Any) -> Any:  # noqa: PLR0911 - one return a type
    if isinstance(kind, pa.JsonType):
        return column.storage
    if pa.types.is_dictionary(kind):
        return pc.take(value_texts(column.dictionary), column.indices)
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "true", "false")
    if pa.types.is_integer(kind):
        return _exact_texts(column) if kind == pa.uint64() else pc.cast(column, pa.string())
    if pa.types.is_floating(kind):
        return _float_texts(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _string_texts(pc.cast(column, pa.string()))
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    return _rare_texts(column, kind)


def _rare_texts(column: Any, kind: Any) -> Any:
    if pa.types.is_decimal(kind):
        return _exact_texts(column)
    if pa.types.is_duration(kind):
        ticks = pc.cast(column, pa.int64()).to_pylist()
        return pa.array([None if tick is None else f'"PT{Decimal(tick).scaleb(-_DIGITS[kind.unit]):f}S"' for tick in ticks], pa.string())
    if pa.types.is_temporal(kind):
        return _string_texts(_temporal_texts(column))
    if pa.types.is_struct(kind):
        members = pa.Table.from_arrays(column.flatten(), [part.name for part in kind])
        return pc.if_else(column.is_valid(), json_texts(members), None)
    if isinstance(column, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return _list_texts(column)
    return pa.array([None if v is None else json.dumps(plain(v), ensure_ascii=False) for v in column.to_pylist()], pa.string())


def _exact_texts(column: Any) -> Any:
    """Whole numbers of up to 64 bits as numbers; longer ones, and decimals with a point, as text: readers of JSON would round them."""

    def one(text: str) -> str:
        plain = f"{Decimal(text):f}"
        return plain if "." not in plain and -(2**63) <= int(plain) < 2**63 else f'"{plain}"'

    coded = pc.dictionary_encode(pc.cast(column, pa.string()))
    return pc.take(pa.array([one(text) for text in coded.dictionary.to_pylist()], pa.string()), coded.indices)


def _list_texts(column: Any) -> Any:
    """Lists (and maps, as lists of [key, value]) of any type: each member as it would be in a column of its own."""
    if isinstance(column, pa.FixedSizeListArray):
        column = column.cast(pa.list_(column.type.value_field))
    if pa.types.is_map(column.type):
        key, item = (value_texts(part) for part in column.values.flatten())
        texts = pc.binary_join_element_wise("[", key, ",", item, "]", "").to_pylist()
    else:
        texts = value_texts(column.values).to_pylist()
    ends = column.offsets.to_pylist()
    rows = zip(ends[:-1], ends[1:], column.is_valid().to_pylist(), strict=True)
    return pa.array([f"[{','.join(texts[start:end])}]" if valid else None for start, end, valid in rows], pa.string())


def _temporal_texts(column: Any) -> Any:
    if pa.types.is_timestamp(column.type):
        mark = "Z" if column.type.tz else ""
        naive = pc.cast(column, pa.timestamp(column.type.unit)) if column.type.tz else column
        text = pc.replace_substring(pc.cast(naive, pa.string()), " ", "T", max_replacements=1)
        return pc.binary_join_element_wise(text, mark, "") if mark else text
    return pc.cast(column, pa.string())


def _float_texts(column: Any) -> Any:
    """Shortest text that reads back the same; `1.0` stays a float (`1.0`, not `1`)."""
    column = pc.cast(column, pa.float64()) if not pa.types.is_float64(column.type) else column
    texts = pc.cast(column, pa.string())
    whole = pc.match_substring_regex(texts, r"^-?\d+$")
    if pc.any(whole).as_py():
        texts = pc.if_else(whole, pc.binary_join_element_wise(texts, "", ".0"), texts)
    unreal = pc.invert(pc.is_finite(column))
    if pc.any(unreal).as_py():
        names = pc.if_else(pc.is_nan(column), '"NaN"', pc.if_else(pc.greater(column, 0), '"Infinity"', '"-Infinity"'))
        texts = pc.if_else(unreal, names, texts)
    return texts


def _string_texts(column: Any) -> Any:
    special = pc.match_substring_regex(column, _ESCAPED)
    quoted = pc.binary_join_element_wise(pa.scalar('"'), column, pa.scalar('"'), pa.scalar(""))
    if not pc.any(special).as_py():
        return quoted
    texts = pa.array([_text(value) for value in column.filter(special).to_pylist()], pa.string())
    return pc.replace_with_mask(quoted, pc.fill_null(special, False), texts)


def _named(table: pa.Table) -> Iterator[tuple[str, Any]]:
    yield from zip(distinct(table.column_names), table.columns, strict=True)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A JSON-ready copy of a nested value."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, date | time):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
