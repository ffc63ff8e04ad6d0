"""The attributes of a layer: what its features carry beside their geometry, how many of them do, and some values or the range.

Every feature counts once, in the cell that owns it. What values may be shown of which class is decided where they are shown
(`mapex.showroom.attributes`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ingest.previews.make import Made

KIND = "attributes"
ROWS = 40
"""Attributes in one preview, as many as one may describe (`ingest.conversion.previews`)."""
MOST = 200
MOST_FEATURES = 300_000
"""Features that are looked at; of a larger layer the first ones, and the table says of how many it speaks."""

_FEW = 6
"""Different values up to which all are shown."""
_MOST_VALUES = 1000
_LONGEST_NAME, _LONGEST_VALUE = 100, 60
_TYPES = ((bool, "flag"), ((int, float), "number"), (str, "text"), (list, "list"), (dict, "object"))
_DIMENSIONS = {"x": "number", "y": "number", "z": "number", "intensity": "number", "return_number": "number", "classification": "number"}
_TIMED, _COLOURED, _INFRARED = {1, 3, 4, 5, 6, 7, 8, 9, 10}, {2, 3, 5, 7, 8, 10}, {8, 10}
"""Point formats of LAS that have a time, colours, near infrared (LAS 1.4 R15, 2.6)."""


@dataclass(slots=True)
class _Attribute:
    count: int = 0
    types: set[str] = field(default_factory=set)
    values: Counter[object] = field(default_factory=Counter)
    is_full: bool = False
    low: float = math.inf
    high: float = -math.inf

    def add(self, value: object) -> None:
        self.count += 1
        self.types.add(next((name for kind, name in _TYPES if isinstance(value, kind)), "text"))
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            self.low, self.high = min(self.low, value), max(self.high, value)
        if isinstance(value, bool | int | float | str) and (value in self.values or len(self.values) < _MOST_VALUES):
            self.values[value] += 1
        else:
            self.is_full = True

    def row(self, name: str) -> list[object]:
        """`[name, type, count, how, *values]`; how: "values" are all that there are, "some" the most frequent, "range" least and most."""
        kind = next(iter(self.types)) if len(self.types) == 1 else "several"
        shown = sorted((one for one in self.values if _is_shown(one)), key=lambda one: (-self.values[one], str(one)))
        is_all = not self.is_full and len(shown) == len(self.values) <= _FEW
        if kind == "number" and not is_all and self.low <= self.high:
            return [name, kind, self.count, "range", _plain(self.low), _plain(self.high)]
        return [name, kind, self.count, "values" if is_all else "some", *(_plain(one) for one in shown[:_FEW])]


@dataclass(slots=True)
class AttributeTable:
    """Attributes that were met, by name."""

    features: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    found: dict[str, _Attribute] = field(default_factory=dict)

    def add(self, kinds: Sequence[str], properties: Iterable[str | None]) -> None:
        """Take features in: their kinds, and their properties as JSON."""
        for kind, text in zip(kinds, properties, strict=True):
            if self.features >= MOST_FEATURES:
                return
            self.features += 1
            self.kinds[kind] += 1
            values = json.loads(text) if text else {}
            for name, value in values.items() if isinstance(values, dict) else ():
                if value is not None and (name in self.found or len(self.found) < MOST) and _is_name(name):
                    self.found.setdefault(name, _Attribute()).add(value)

    def previews(self) -> Iterator[Made]:
        """The table in pieces of `ROWS`, the attributes that most features have first."""
        rows = [one.row(name) for name, one in sorted(self.found.items(), key=lambda item: (-item[1].count, item[0]))]
        kinds = [[kind, count] for kind, count in self.kinds.most_common(ROWS)]
        for ordinal, at in enumerate(range(0, max(1, len(rows)), ROWS)):
            if self.features:
                yield Made(KIND, {"of": self.features, "kinds": kinds, "rows": rows[at : at + ROWS]}, ordinal=ordinal)


def of_points(total: int, formats: Iterable[int]) -> Made:
    """The dimensions of a point cloud whose tiles have these point formats: those that all of them have."""
    known = set(formats)
    more = (("gps_time", _TIMED), ("red", _COLOURED), ("green", _COLOURED), ("blue", _COLOURED), ("nir", _INFRARED))
    names = {**_DIMENSIONS, **{name: "number" for name, having in more if known <= having}}
    return Made(KIND, {"of": total, "kinds": [], "rows": [[name, kind, total, "some"] for name, kind in names.items()]})


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _is_shown(value: object) -> bool:
    return not isinstance(value, str) or (0 < len(value) <= _LONGEST_VALUE and value.isprintable())


def _plain(value: object) -> object:
    """A value that a description may hold; numbers that are too large for it as text."""
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < 2**53:
        return str(value)
    return value
