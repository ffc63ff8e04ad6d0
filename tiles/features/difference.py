"""What became of the features of a cell: which are the same as before, how far they moved, what else of them differs.

Features are matched by their id where it is the source's own, else by kind and place. The order of rows, and from which file they came, do
not matter. Distances are metres on the ground (`tiles.features.nearness`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tiles.arrays import Int64s
from tiles.features.nearness import FARTHEST_M, UNMEASURED, Geometries, local, near_pairs, shifts

_COUNTED = re.compile(r"(?!(?:node|way|relation)/).*/\d+", re.DOTALL)
"""An id that counts rows (`roads/12`): a row that is put in moves all that follow, so it names nothing (decision 5 has those that do)."""

_NOT_COMPARED = frozenset({"id", "version", "timestamp", "changeset", "user", "uid", "layer", "curve"})
"""What of `@source` differs with each export, or is compared as geometry."""

_Pair = tuple[int, int, int]
"""Row before, row after, micrometres between them."""


@dataclass(frozen=True, slots=True)
class CellFeatures:
    """The features of one cell, of all its parts, in an order of their own; `measures` are the lines measured in place of `shapes`."""

    ids: Sequence[str]
    kinds: Sequence[str]
    texts: Sequence[str]
    owner: Sequence[bool]
    shapes: Geometries
    measures: Geometries

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class CellDifference:
    """What became of the features of a cell. `others` and `farthest` (micrometres) are of all that is in it, the rest of what it owns.

    `moved`: id and micrometres (`UNMEASURED`: of another shape) of features that are elsewhere; `altered`: id and names of attributes.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved: dict[int, tuple[str, int]] = field(default_factory=dict)
    altered: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    others: bool = False
    farthest: int = 0


def features_of(tables: Iterable[pa.Table], centre: tuple[float, float]) -> CellFeatures:
    """The rows of the tiles of a cell; `centre` (longitude, latitude) is about where it is."""
    rows: list[tuple[str, str, str, bytes, bytes | None, bool]] = []
    for table in tables:
        names = ("feature_id", "kind", "properties", "geometry")
        columns = [table.column(name).to_pylist() for name in names]
        measures = table.column("measure").to_pylist() if "measure" in table.column_names else [None] * table.num_rows
        rows += zip(*columns, measures, table.column("owner").to_pylist(), strict=True)
    rows.sort(key=lambda row: (row[0], row[1], row[2], row[3], row[4] or b""))
    ids, kinds, texts, shapes, lines, owner = zip(*rows, strict=True) if rows else ((), (), (), (), (), ())
    return CellFeatures(ids, kinds, texts, owner, local(shapes, centre), local(lines, centre))


def is_counted(feature_id: str) -> bool:
    """Whether an id is the number of a row and no name."""
    return _COUNTED.fullmatch(feature_id) is not None


def difference(before: CellFeatures, after: CellFeatures, around: Callable[[], tuple[CellFeatures, CellFeatures]]) -> CellDifference:
    """What became of the features of a cell.

    Args:
        around: what is in the cells around it, before and after: a feature that left this cell by a hair is still there.
    """
    found = CellDifference()
    lost, fresh = list(range(len(before))), list(range(len(after)))
    pairs = _matched(before, lost, after, fresh)
    for old, new, um in pairs:
        _note(found, (before, old), (after, new), um)
    lost, fresh = _without(lost, (pair[0] for pair in pairs)), _without(fresh, (pair[1] for pair in pairs))
    if lost or fresh:
        near_before, near_after = around()
        came = _near(_matched(near_before, _alone(near_before, before, near_after), after, fresh))
        left = _near(_matched(before, lost, near_after, _alone(near_after, after, near_before)))
        for old, new, um in came:
            _note(found, (near_before, old), (after, new), um)
        for old, new, um in left:
            _note(found, (before, old), (near_after, new), um, owned=False)  # it is counted where it is owned now
        lost, fresh = _without(lost, (pair[0] for pair in left)), _without(fresh, (pair[1] for pair in came))
    found.others |= bool(lost or fresh)
    found.removed += [before.ids[row] for row in lost if before.owner[row]]
    found.added += [after.ids[row] for row in fresh if after.owner[row]]
    return found


def _without(rows: Iterable[int], some: Iterable[int]) -> list[int]:
    gone = set(some)
    return [row for row in rows if row not in gone]


def _alone(near: CellFeatures, *others: CellFeatures) -> list[int]:
    """Rows that are as they are in none of the others: what stayed around a cell neither came into it nor left it."""
    known = {_content(other, row) for other in others for row in range(len(other))}
    return [row for row in range(len(near)) if _content(near, row) not in known]


def _near(pairs: Iterable[_Pair]) -> list[_Pair]:
    """Those that did not move farther than a feature without a name may: what went away for good is not in its cell any more."""
    return [pair for pair in pairs if 0 <= pair[2] <= FARTHEST_M * 1e6]


def _note(found: CellDifference, old: tuple[CellFeatures, int], new: tuple[CellFeatures, int], um: int, *, owned: bool = True) -> None:
    """Take in a feature that is there before and after."""
    (before, was), (after, now) = old, new
    names = altered(before.texts[was], after.texts[now])
    if before.kinds[was] != after.kinds[now]:
        names = (*names, "kind")
    found.others |= bool(names) or um == UNMEASURED
    found.farthest = max(found.farthest, um)
    if owned and after.owner[now]:
        if um:
            found.moved[now] = after.ids[now], um
        if names:
            found.altered[now] = after.ids[now], names


def altered(before: str, after: str) -> tuple[str, ...]:
    """The names of the attributes that differ between two JSON objects; one that is null is as one that is not there."""
    if before == after:
        return ()
    old, new = _attributes(before), _attributes(after)
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))


def _attributes(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    source = found.get("@source")
    if isinstance(source, dict):
        found["@source"] = {name: value for name, value in source.items() if name not in _NOT_COMPARED}
    return {name: json.dumps(value, sort_keys=True) for name, value in found.items() if value is not None and value != {}}


def _matched(before: CellFeatures, old: Sequence[int], after: CellFeatures, new: Sequence[int]) -> list[_Pair]:
    """Rows among `old` and `new` that are the same feature: by their names, then what is alike in all, then by kind and place."""
    named = _by_name(before, old, after, new)
    old, new = _without(old, (pair[0] for pair in named)), _without(new, (pair[1] for pair in named))
    alike = _by_content(before, old, after, new)
    old, new = _without(old, (pair[0] for pair in alike)), _without(new, (pair[1] for pair in alike))
    return [*_measured(before, after, [*named, *alike]), *_by_place(before, old, after, new)]


def _by_name(before: CellFeatures, old: Sequence[int], after: CellFeatures, new: Sequence[int]) -> list[tuple[int, int]]:
    """Names that are there once before and once after."""
    asked = ((before, old), (after, new))
    once = [{name for name, count in Counter(some.ids[row] for row in rows).items() if count == 1} for some, rows in asked]
    there = {before.ids[row]: row for row in old if before.ids[row] in once[0] and not is_counted(before.ids[row])}
    return [(there[after.ids[row]], row) for row in new if after.ids[row] in there and after.ids[row] in once[1]]


def _by_content(before: CellFeatures, old: Sequence[int], after: CellFeatures, new: Sequence[int]) -> list[tuple[int, int]]:
    """Rows that differ in nothing but the number that they have as a name, each with one."""
    there: dict[tuple[object, ...], list[int]] = {}
    for row in reversed(old):
        there.setdefault(_content(before, row), []).append(row)
    return [(rows.pop(), row) for row in new if (rows := there.get(_content(after, row)))]


def _content(features: CellFeatures, row: int) -> tuple[object, ...]:
    return features.kinds[row], features.texts[row], features.shapes[row], features.measures[row]


def _by_place(before: CellFeatures, old: Sequence[int], after: CellFeatures, new: Sequence[int]) -> list[_Pair]:
    """The nearest of the same kind: first those with the same attributes, the nearest of all first; then the others."""
    here, there = np.array(old, np.int64), np.array(new, np.int64)
    candidates: list[tuple[bool, int, int, int]] = []
    for was, now, um in near_pairs(before.shapes[here], after.shapes[there]):
        rows = zip(here[was].tolist(), there[now].tolist(), um.tolist(), strict=True)
        candidates += [(before.texts[a] != after.texts[b], far, a, b) for a, b, far in rows if before.kinds[a] == after.kinds[b]]
    taken: list[tuple[int, int]] = []
    gone: tuple[set[int], set[int]] = set(), set()
    for _, _, a, b in sorted(candidates):
        if a not in gone[0] and b not in gone[1]:
            gone[0].add(a)
            gone[1].add(b)
            taken.append((a, b))
    return _measured(before, after, taken)


def _measured(before: CellFeatures, after: CellFeatures, pairs: Sequence[tuple[int, int]]) -> list[_Pair]:
    """How far each pair is apart: the farther of what it is, and of the line that is measured for it."""
    if not pairs:
        return []
    was, now = (np.array(rows, np.int64) for rows in zip(*pairs, strict=True))
    ums: list[Int64s] = [shifts(before.shapes[was], after.shapes[now]), shifts(before.measures[was], after.measures[now])]
    far = np.where((ums[0] == UNMEASURED) | (ums[1] == UNMEASURED), UNMEASURED, np.maximum(*ums))
    return [(a, b, um) for (a, b), um in zip(pairs, far.tolist(), strict=True)]
