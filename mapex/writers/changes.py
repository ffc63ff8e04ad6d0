"""What a file could not hold as the tiles do: reported to whoever joins, by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

WORDS = {
    "renamed": "{column!r} is called {into!r}: {format} has no place for its own name",
    "number_text": "{column!r} is text: it holds numbers that 64 bits do not hold exactly",
    "mixed_text": "{column!r} is text: it holds values of several types",
    "nested_text": "{column!r} is JSON text: {format} has no lists and objects",
    "gathered": "{column!r} is in the JSON text of column {into!r}: {format} has no room for so many columns",
    "not_finite": "{column!r}: {count:,} values NaN or infinity are null: {format} does not have them",
    "nul": "{column!r}: in {count:,} texts the character NUL is written as \\u0000: {format} ends a text there",
    "not_utf8": "{column!r}: {count:,} texts are no UTF-8; what is not is written as \\xNN or \\uNNNN",
    "measures": "{count:,} geometries lose their M values: {format} does not have them",
}
"""Sentence by kind of change."""


@dataclass(slots=True)
class Changes:
    """Changes of one file, gathered while it is written: how many values each concerns (0: the whole column),
    and in which layers ("": the only one).
    """

    format: str
    _counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _layers: dict[tuple[str, str, str], dict[str, None]] = field(default_factory=dict)

    def add(self, what: str, column: str = "", *, into: str = "", layer: str = "", count: int = 0) -> None:
        """Note a change; the same one of several layers is one, with the sum of its counts."""
        key = (what, column, into)
        self._counts[key] += count
        self._layers.setdefault(key, {})[layer] = None

    def as_json(self) -> list[dict[str, Any]]:
        """All of them, in the order in which they came."""
        return [
            {"change": what, "column": column, "as": into or None, "count": self._counts[what, column, into] or None, "layers": named}
            for (what, column, into), layers in self._layers.items()
            for named in [[*filter(None, layers)]]
        ]

    def lines(self) -> Iterable[str]:
        """A sentence for each."""
        for (what, column, into), layers in self._layers.items():
            text = WORDS[what].format(column=column, into=into, format=self.format, count=self._counts[what, column, into])
            where = ", ".join(filter(None, layers))
            yield f"{text} ({where})." if where else f"{text}."
