"""Codes of the Korean precise road map in words: `"LinkType": "6"` is an ordinary lane, 일반주행차로; the code itself stays as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.deliveries import korean_layer

Table = Mapping[str, tuple[str, str]]
"""From a code to its English and its Korean words."""

_HISTORY = "histtype"
_WHOLE = re.compile(r"\.0+$")
_MOST_CODE = 40


@lru_cache(maxsize=1)
def _tables() -> tuple[Mapping[str, Table], Mapping[str, Mapping[str, str]]]:
    """All tables of codes, and the name of the table of each column (lower case) of each layer."""
    stored = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    tables = {name: {code: (english, korean) for code, (english, korean) in table.items()} for name, table in stored["tables"].items()}
    columns = {layer: {column.lower(): table for column, table in own.items()} for layer, own in stored["columns"].items()}
    return tables, columns


def table_of(layer: str, column: str) -> Table | None:
    """The codes of a column, whatever capitals its name has; None where it has none or they are not known."""
    tables, columns = _tables()
    code = korean_layer(layer)
    if column.lower() == _HISTORY and code:
        return tables["history"]
    name = columns.get(code, {}).get(column.lower())
    return tables[name] if name is not None else None


def plain_code(value: object, column: str) -> str:
    """A cell as the code that it is: `6`, `6.0`, ` 06` and, of a history, `A2003` for `003`; "" for an empty one."""
    text = "" if value is None else _WHOLE.sub("", str(value).strip())
    return text[-3:] if column.lower() == _HISTORY and len(text) > 3 else text


def word_of(table: Table, code: str) -> tuple[str, str] | None:
    """The words of a code; zeros in front of it mean nothing."""
    return table.get(code) or table.get(code.lstrip("0") or "0")


def words(table: pa.Table, layer: str, unknown: Counter[tuple[str, str]]) -> Any | None:
    """For each row a JSON object of what its codes mean, `{"LinkType": {"en": ..., "ko": ...}}`; None where no column of it has codes.

    Args:
        unknown: takes columns and codes that the manuals do not know, with the number of their rows.
    """
    coded = [(name, found) for name in dict.fromkeys(table.column_names) if (found := table_of(layer, name)) is not None]
    pieces = [_column(table.column(name), name, found, unknown) for name, found in coded if _is_plain(table.schema.field(name).type)]
    if not pieces:
        return None
    joined = pc.utf8_slice_codeunits(pc.binary_join_element_wise(*pieces, ""), 1)
    return pc.binary_join_element_wise("{", joined, "}", "")


def _is_plain(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_large_string(kind))


def _column(values: Any, name: str, table: Table, unknown: Counter[tuple[str, str]]) -> Any:
    """The member of the object that a column gives, "" where its cell is empty or its code unknown; each distinct code once."""
    coded = pc.dictionary_encode(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
    counted = Counter(pc.drop_null(coded.indices).to_pylist())
    members: list[str] = []
    for at, value in enumerate(coded.dictionary.to_pylist()):
        code = plain_code(value, name)
        found = word_of(table, code) if code else None
        if code and found is None:
            unknown[name, code[:_MOST_CODE]] += counted[at]
        members.append("" if found is None else _member(name, found))
    return pc.fill_null(pc.take(pa.array(members, pa.string()), coded.indices), "")


def _member(name: str, found: Sequence[str]) -> str:
    english, korean = found
    return f",{json.dumps(name, ensure_ascii=False)}:{json.dumps({'en': english, 'ko': korean}, ensure_ascii=False)}"
