"""Features looked at for pictures: the texts of their properties, their binary columns, the bytes of their geometries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tiles.footage import letters, signatures
from tiles.footage.doubts import Doubts, Unproven
from tiles.footage.shapes import is_shape
from tiles.footage.text import CANDIDATE, TextProof

_SHAPES = ("geometry", "measure")
_PROPERTIES = "properties"


class TableProof:
    """Takes the features of one layer in, in batches of any size; the columns of a batch as in `tiles.batch.Batch`."""

    def __init__(self) -> None:
        self._doubts = Doubts()
        self._texts: dict[str, TextProof] = {}

    def take(self, table: pa.Table, metadata: Mapping[bytes, bytes] | None = None) -> None:
        """Take some features in, and what the file says of them all."""
        for name in table.column_names:
            kind = table.schema.field(name).type
            if pa.types.is_dictionary(kind):
                kind = kind.value_type
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                self._of_texts(name, table.column(name))
            elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                self._of_bytes(name, table.column(name))
            elif not (pa.types.is_primitive(kind) or pa.types.is_null(kind) or name == "bbox"):
                self._doubts.add(f"column {name}", f"it is of a type ({kind}) that no vector tile has")
        for key, value in (metadata or {}).items():
            self._of_text("metadata", key.decode("utf-8", "replace"))
            self._of_text(f"metadata {key.decode('utf-8', 'replace')[:40]}", value.decode("utf-8", "replace"))

    def doubts(self) -> list[Unproven]:
        """What cannot be proven."""
        return self._doubts.all()

    def _of_texts(self, name: str, column: Any) -> None:
        """Most rows are passed by in one look of Arrow's; the rest is taken apart."""
        plain = pc.cast(column, pa.string()) if pa.types.is_dictionary(column.type) else column
        odd = pc.or_(pc.match_substring_regex(plain, CANDIDATE), pc.greater_equal(pc.utf8_length(plain), letters.LEAST))
        for text in plain.filter(pc.fill_null(odd, False)).to_pylist():
            if name != _PROPERTIES:
                self._of_text(f"column {name}", text)
                continue
            for key, value in _values(text):
                self._of_text(f"property {key}", value)

    def _of_text(self, where: str, text: str) -> None:
        if where not in self._doubts:
            self._doubts.add(where, self._texts.setdefault(where, TextProof()).doubt(text))

    def _of_bytes(self, name: str, column: Any) -> None:
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            if not len(chunk):
                continue
            found = signatures.found_in(_buffer(chunk), packed=False)
            if found is not None:
                self._doubts.add(f"column {name}", f"its bytes hold {found}")
            if name not in _SHAPES and not all(value is None or is_shape(value) for value in chunk.to_pylist()):
                self._doubts.add(f"column {name}", "its bytes are no shapes")


def _buffer(chunk: Any) -> memoryview:
    """The bytes of the values of a binary array, one behind the other."""
    body = chunk.buffers()[-1]
    if body is None:
        return memoryview(b"")
    wide = pa.types.is_large_binary(chunk.type)
    import numpy as np

    ends = np.frombuffer(chunk.buffers()[1], np.int64 if wide else np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    return memoryview(body)[int(ends[0]) : int(ends[-1])]


def _values(text: str) -> Iterator[tuple[str, str]]:
    """The texts in a JSON object, each with the names that lead to it; names are texts too, and so are long lists of numbers."""
    try:
        waiting: list[tuple[str, Any]] = [("", json.loads(text))]
    except (ValueError, RecursionError):
        yield "(all)", text
        return
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            yield from ((name, key) for key in value)
            waiting += [(f"{name}.{key}"[:60].lstrip("."), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            if len(value) > 16 and all(isinstance(one, int) and not isinstance(one, bool) for one in value):
                yield name, ",".join(map(str, value))
            else:
                waiting += [(name, inner) for inner in value]
