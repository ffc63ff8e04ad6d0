"""The attributes of features as JSON text, column by column: a million rows without a Python loop over rows.

Each column becomes a column of JSON values by Arrow kernels; the pieces are then joined row by row in one kernel. Only values that JSON
must escape (quotes, control characters) or that are nested go through Python, each distinct value once where the column allows it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MAX_TEXT = 64 << 20
"""Bytes of JSON built at once: a dictionary page of 500 kB may stand for gigabytes."""

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
    kind = column.type
    if pa.types.is_dictionary(kind):
        texts = pc.take(value_texts(column.dictionary), column.indices)
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(column, "true", "false")
    elif pa.types.is_integer(kind):
        texts = pc.cast(column, pa.string())
    elif pa.types.is_floating(kind):
        texts = _float_texts(column)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = _string_texts(pc.cast(column, pa.string()))
    elif pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        texts = _string_texts(_temporal_texts(column))
    elif pa.types.is_null(kind):
        texts = column.cast(pa.string())
    else:
        texts = pa.array([None if v is None else json.dumps(_plain(v), ensure_ascii=False) for v in column.to_pylist()], pa.string())
    return pc.fill_null(texts, "null")


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


def distinct(names: Sequence[str]) -> list[str]:
    """The names, those that repeat with `#2`, `#3` ... so that nothing is lost."""
    taken, out = set(names), []
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        own = name
        while seen[name] > 1 and (own := f"{name}#{seen[name]}") in taken:
            seen[name] += 1
        taken.add(own)
        out.append(own)
    return out


def _named(table: pa.Table) -> Iterator[tuple[str, Any]]:
    yield from zip(distinct(table.column_names), table.columns, strict=True)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A JSON-ready copy of a nested value."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
