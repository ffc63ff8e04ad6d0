"""Text columns before anything else sees them: Arrow passes the bytes of GDAL and Parquet on unchecked, and a tile must be UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.checks.encodings import decoded

DAMAGED = "text.damaged"
MISFIT = "value.misfit"


@dataclass(frozen=True, slots=True)
class Fault:
    """A cell that could not be taken as it is: its row in the table, its column, and what it was.

    `code` is `text.damaged` (only the broken letter was replaced) or `value.misfit` (`became` says what it is now).
    """

    row: int
    column: str
    code: str
    value: str
    expected: str = ""
    became: str = ""


def texts_of(values: Any, codec: str) -> tuple[Any, list[int]]:
    """A binary array as text in a codec, each distinct value decoded once; and the rows in which a letter was replaced."""
    if codec == "utf-8":
        texts = values.view(pa.string())
        if is_valid(texts):
            return texts, []
    coded = pc.dictionary_encode(values)
    pairs = [(None, False) if value is None else decoded(value, codec) for value in coded.dictionary.to_pylist()]
    texts = pc.take(pa.array([text for text, _ in pairs], pa.string()), coded.indices)
    if not any(broken for _, broken in pairs):
        return texts, []
    marks = pc.fill_null(pc.take(pa.array([broken for _, broken in pairs], pa.bool_()), coded.indices), False)
    return texts, pc.indices_nonzero(marks).to_pylist()


def mended(table: pa.Table) -> tuple[pa.Table, list[Fault]]:
    """The table with all text valid UTF-8, in nested columns too, and what had to be replaced.

    Raises: pa.ArrowInvalid: a column is broken in another way than its text.
    """
    faults: list[Fault] = []
    for at, field in enumerate(table.schema):
        column = table.column(at)
        if is_valid(column):
            continue
        raw = pa.chunked_array([chunk.cast(_as_bytes(chunk.type)) for chunk in _plain(column).chunks])
        raw.validate(full=True)
        kind = _plain_type(field.type)
        values: list[Any] = []
        for row, value in enumerate(raw.to_pylist(maps_as_pydicts=None)):
            text, broken = _decoded(value, kind)
            values.append(text)
            if broken:
                faults.append(Fault(row, field.name, DAMAGED, str(text)))
        table = table.set_column(at, pa.field(field.name, kind), pa.array(values, kind))
    return table, faults


def is_valid(column: Any) -> bool:
    """Whether every cell of a column is what its type promises: text is UTF-8, offsets are inside."""
    try:
        column.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return False
    return True


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _plain_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _plain(column: Any) -> Any:
    """The column with dictionaries looked up (the cast of a dictionary to bytes would check its text)."""
    if not pa.types.is_dictionary(column.type):
        return column
    return pa.chunked_array([pc.take(chunk.dictionary, chunk.indices) for chunk in column.chunks])


def _as_bytes(kind: Any) -> Any:
    """The type with bytes wherever it has text."""
    if _is_text(kind):
        return pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = kind.value_field.with_type(_as_bytes(kind.value_type))
        if pa.types.is_fixed_size_list(kind):
            return pa.list_(inner, kind.list_size)
        return pa.large_list(inner) if pa.types.is_large_list(kind) else pa.list_(inner)
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(_as_bytes(part.type)) for part in kind])
    if pa.types.is_map(kind):
        return pa.map_(_as_bytes(kind.key_type), _as_bytes(kind.item_type))
    return kind


def _decoded(value: Any, kind: Any) -> tuple[Any, bool]:
    """A value of `_as_bytes(kind)` as a value of `kind`, and whether a letter was replaced in it."""
    if value is None:
        return None, False
    if _is_text(kind):
        return decoded(value, "utf-8")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        parts = [_decoded(one, kind.value_type) for one in value]
        return [text for text, _ in parts], any(broken for _, broken in parts)
    if pa.types.is_struct(kind):
        inner = {part.name: _decoded(value[part.name], part.type) for part in kind}
        return {name: text for name, (text, _) in inner.items()}, any(broken for _, broken in inner.values())
    if pa.types.is_map(kind):
        pairs = [(_decoded(key, kind.key_type), _decoded(item, kind.item_type)) for key, item in value]
        return [(key[0], item[0]) for key, item in pairs], any(key[1] or item[1] for key, item in pairs)
    return value, False


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
