"""Attributes as columns of Arrow: one type for all values of a name, found before the first is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapex.writers.changes import Changes
from mapex.writers.vector.values import UNREAL, Sort, as_text, is_text

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "@source"
"""The attribute that holds what is not one; its column is called `source`."""

_HALF = re.compile("[\0\ud800-\udfff]")
_LINE_END = re.compile("[:\t-\r]")
_BLANKS = re.compile(" +$")
_NUMBERS = Sort.INT | Sort.WIDE | Sort.LONG | Sort.FLOAT


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """An attribute as a column: `name` in the tiles, `label` in the file, `form` is bool, int64, double or string."""

    name: str
    label: str
    form: str

    def field(self) -> pa.Field:
        """Its Arrow field."""
        import pyarrow as pa

        return pa.field(self.label, {"bool": pa.bool_(), "int64": pa.int64(), "double": pa.float64(), "string": pa.string()}[self.form])

    def array(self, values: Sequence[Any], ids: Sequence[str], changes: Changes, layer: str = "") -> pa.Array:
        """The values of some features, whose `ids` are for the report, in the type of the column."""
        import pyarrow as pa

        kind = self.field().type
        if self.form == "double":
            return pa.array([UNREAL[v] if isinstance(v, str) else None if v is None else float(v) for v in values], kind)
        if self.form != "string":
            return pa.array(values, kind)
        texts = [as_text(v) for v in values]
        if all(t is None or is_text(t) for t in texts):
            return pa.array(texts, kind)
        changes.add_some("not_utf8", self.name, [*map(written_out, ids)], (t is not None and not is_text(t) for t in texts), layer=layer)
        return pa.array([None if t is None else t.encode("utf-8", "backslashreplace").decode() for t in texts], kind)


def written_out(text: str) -> str:
    r"""The text with every half of a character, and NUL, written out (`\udcff`)."""
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def cut(text: str, most: int | None) -> str:
    """The text, or as many whole characters of it as have `most` bytes."""
    return text if most is None else text.encode()[:most].decode(errors="ignore")


def form_of(sorts: Sort) -> tuple[str, str]:
    """The type of a column of such values, and the kind of change that this is, or ""."""
    if sorts and not sorts & ~Sort.BOOL:
        return "bool", ""
    if sorts and not sorts & ~(Sort.INT | Sort.WIDE):
        return "int64", ""
    if is_real(sorts):
        return "double", ""
    if not sorts & ~(Sort.TEXT | Sort.UNREAL):
        return "string", ""
    if not sorts & ~Sort.NESTED:
        return "string", "nested_text"
    return "string", "number_text" if not sorts & ~_NUMBERS else "mixed_text"


def is_real(sorts: Sort) -> bool:
    """Whether all values are numbers that a double holds; a text "NaN" beside floats is one."""
    return bool(sorts & Sort.FLOAT) and not sorts & ~(Sort.INT | Sort.FLOAT | Sort.UNREAL)


def columns_of(seen: Mapping[str, Sort], labels: Mapping[str, str], changes: Changes, layer: str = "") -> list[WrittenColumn]:
    """A column for each name, with the changes that come with it."""
    found = []
    for name, label in labels.items():
        form, change = form_of(seen[name])
        if change and name != SOURCE:  # that one is always JSON text
            changes.add(change, name, layer=layer)
        if name not in (label, SOURCE):
            changes.add("renamed", name, into=label, layer=layer)
        found.append(WrittenColumn(name, label, form))
    return found


def labels_of(
    names: Iterable[str], reserved: Collection[str], same: Callable[[str], str] = str, longest: int | None = None
) -> dict[str, str]:
    """What each attribute is called in a file whose own columns are `reserved`, and in which names are equal when `same` of both is.

    An attribute with a reserved name gets the prefix `attribute_`; whoever comes second gets a number. No name has more than `longest`
    bytes; where that counts, GDAL writes `_` for `:`, ends the names at a line's end, and takes blanks off them: these are `_` too.
    """
    taken = {same(name) for name in reserved}
    labels = {}
    for name in sorted(names, key=lambda n: n == SOURCE):  # stable: `source` comes last
        if name == SOURCE:
            labels[name] = "source"
            continue
        label = written_out(name) if longest is None else _LINE_END.sub("_", written_out(name))
        if not label or same(label) in {same(own) for own in reserved}:
            label = f"attribute_{label}" if longest is None else f"a_{label}"
        first, number = label, 2
        label = cut(first, longest) if longest is None else _BLANKS.sub(lambda found: "_" * len(found[0]), cut(first, longest))
        while same(label) in taken:
            tail = f"_{number}"
            label, number = cut(first, None if longest is None else longest - len(tail)) + tail, number + 1
        taken.add(same(label))
        labels[name] = label
    return labels
