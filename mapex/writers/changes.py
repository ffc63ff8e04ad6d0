"""What a file could not hold as the tiles do: reported to whoever joins, by column, count and feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

WORDS = {
    "renamed": "{column!r} is called {into!r}: {format} has no place for its own name",
    "number_text": "{column!r} is text: it holds numbers that 64 bits do not hold exactly",
    "wide_text": "{column!r} is text: it holds whole numbers of 18 digits and more, which programs read from a {format} as rounded ones",
    "mixed_text": "{column!r} is text: it holds values of several types",
    "nested_text": "{column!r} is JSON text: {format} has no lists and objects",
    "gathered": "{column!r} is in the JSON text of column {into!r}: {format} has no room for so many columns",
    "no_room": "{column!r} is not in the file: {format} has no room for so many columns",
    "not_finite": "{column!r}: {count:,} values NaN or infinity are null: {format} does not have them",
    "nul": "{column!r}: in {count:,} texts the character NUL is written as \\u0000: {format} ends a text there",
    "not_utf8": "{column!r}: {count:,} texts are no UTF-8; what is not is written as \\xNN or \\uNNNN",
    "too_long": "{column!r}: {count:,} texts are cut, or empty where they are JSON: {format} has room for 254 bytes",
    "too_large": "{column!r}: {count:,} numbers are null: {format} has no room for so large ones",
    "rounded": "{column!r}: {count:,} numbers are rounded: {format} has no room for all of their digits",
    "blank": "{column!r}: {count:,} texts that are empty or end in blanks are null or lose these: {format} does not keep them",
    "measures": "{count:,} geometries lose their M values: {format} does not have them",
    "rings": "{count:,} areas have rings in the other direction: {format} states which one outer and inner rings have",
    "no_shape": "{count:,} features are not in the file: {format} has no collections of several types of geometry",
    "older_crs": "The file names its system as GeoJSON of 2008 does ({column}): {format} (RFC 7946) itself knows WGS 84 only",
    "as_float": "{column!r} is a number of 32 bits with a point: {format} wants it so",
    "wider": "{column!r} is a number of type {into}: programs read few others from a {format}",
    "point_format": "points have format {into} of LAS 1.4 in place of {column}, which {format} has not: scan angles in steps of 0.006°",
    "named_heights": "The file calls its heights {into}: {format} has no word for {column}",
    "metres": "{count:,} points are up to {column} beside their place: {format} has 32 bits for a coordinate",
}
"""Sentence by kind of change."""
MOST_NAMED = 1000
"""Features named for one change; the count is of all."""


@dataclass(slots=True)
class Changes:
    """Changes of one file, gathered while it is written: how many values each concerns (0: the whole column), in which layers ("": the
    only one), and the ids of the features, as far as there are any.
    """

    format: str
    _counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _layers: dict[tuple[str, str, str], dict[str, None]] = field(default_factory=dict)
    _features: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)

    def add(self, what: str, column: str = "", *, into: str = "", layer: str = "", count: int = 0, features: Iterable[str] = ()) -> None:
        """Note a change; the same one of several layers is one, with the sum of its counts."""
        key = (what, column, into)
        self._counts[key] += count
        self._layers.setdefault(key, {})[layer] = None
        named = self._features.setdefault(key, [])
        named.extend(islice(features, MOST_NAMED - len(named)))

    def add_some(self, what: str, column: str, ids: Sequence[str], which: Iterable[bool], *, layer: str = "") -> None:
        """Note a change of those features for which `which` is true; of none, nothing."""
        features = [one for one, is_changed in zip(ids, which, strict=True) if is_changed]
        if features:
            self.add(what, column, layer=layer, count=len(features), features=features)

    @property
    def lost(self) -> int:
        """How many features are not in the file at all."""
        return sum(count for (what, _, _), count in self._counts.items() if what == "no_shape")

    def as_json(self) -> list[dict[str, Any]]:
        """All of them, in the order in which they came."""
        return [
            {"change": what, "column": column, "as": into or None, "count": self._counts[what, column, into] or None, "layers": named}
            | ({"features": some} if (some := self._features[what, column, into]) else {})
            for (what, column, into), layers in self._layers.items()
            for named in [[*filter(None, layers)]]
        ]

    def lines(self) -> Iterable[str]:
        """A sentence for each; one for all columns that are left out."""
        if left := [f"{column!r}" for what, column, _ in self._counts if what == "left_out"]:
            yield f"Not in the file: {', '.join(left)}. {self.format} does not have them."
        for (what, column, into), layers in self._layers.items():
            if what == "left_out":
                continue
            text = WORDS[what].format(column=column, into=into, format=self.format, count=self._counts[what, column, into])
            where = ", ".join(filter(None, layers))
            yield f"{text} ({where})." if where else f"{text}."
