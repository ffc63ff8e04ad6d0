"""The cage that compares tiles of two versions, seen from outside: what it answers is checked, and none of it is believed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.cage import faults, launch
from ingest.cage.child import Limits
from ingest.findings import info
from mapex.catalogue.comparison import MOST_EXAMPLES, NO_STEPS, CellChange, ChangeCounts
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.rules.accuracy import UNKNOWN_SHIFT, Shift

log = logging.getLogger(__name__)

_MOST = 2**53
_MOST_NAMES = 200
_WAYS = ("added", "removed", "moved", "altered")
_FIX = "Nothing has to be done: buyers are offered each tile that differs. Read the version again if it shall be compared."

Place = tuple[str, int]
"""Layer and cell."""


@dataclass(slots=True)
class Compared:
    """What was found of each cell, and why not of all."""

    wanted: frozenset[Place]
    cells: dict[Place, CellChange] = field(default_factory=dict)
    finding: Finding | None = None

    def take(self, line: Mapping[str, Any]) -> None:
        """Take one line of the cage in."""
        record = line.get("cell")
        if isinstance(record, dict):
            place = str(record.get("layer")), record.get("cell")
            try:
                if place not in self.wanted or place in self.cells:
                    raise _refusal("a cell that nobody asked for")
                self.cells[place[0], _number(place[1])] = _change(record)
            except Invalid as why:
                self.finding = self.finding or info(why.code, why.message, _FIX)


def compare(folders: tuple[Path, Path], cells: Sequence[Place], limits: Limits, *, stop: Callable[[], bool], cage: str) -> Compared:
    """What became of some cells.

    Args:
        folders: tiles before and after, each with `records.jsonl` and `tiles/`.
        cells: which; `folders` may hold tiles of the cells around them too.
    """
    found = Compared(frozenset(cells))
    request = {"cells": [list(place) for place in cells]}
    ending = launch.run("compare", request, reads=folders, writes=None, limits=limits, on_line=found.take, stop=stop, choice=cage)
    if ending.stopped or found.finding is not None:
        return found
    if not ending.done or len(found.cells) != len(cells):
        log.warning("caged comparison: %s", ending.stderr[-2000:])
        why = faults.finding_of(ending, "the tiles", limits).message if not ending.done else "Not every cell was answered."
        found.finding = info("changes.unknown", f"What this version changes could not be found out: {why}", _FIX)
    return found


def _change(record: Mapping[str, Any]) -> CellChange:
    if not isinstance(record.get("others"), bool):
        raise _refusal("whether anything else changed")
    added, removed, altered = (_number(record.get(name, 0)) for name in ("added", "removed", "altered"))
    counts = ChangeCounts(added, removed, altered, *_all_steps(record))
    attributes = {_text(name): _number(count) for name, count in _mapping(record.get("attributes", {})).items()}
    examples = {way: [_text(name) for name in _list(names)] for way, names in _mapping(record.get("examples", {})).items() if way in _WAYS}
    shift = Shift(record["others"], _number(record.get("shift_um"), UNKNOWN_SHIFT))
    return CellChange(_number(record.get("cell")), shift, counts, attributes, {way: names for way, names in examples.items() if names})


def _all_steps(record: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    moved, alone = (tuple(map(_number, record.get(name, NO_STEPS))) for name in ("moved", "moved_only"))
    if len(moved) != len(NO_STEPS) or len(alone) != len(NO_STEPS):
        raise _refusal("how far features moved")
    return moved, alone


def _number(value: object, most: int = _MOST) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise _refusal("a number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 80:
        raise _refusal("a name")
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) > _MOST_NAMES:
        raise _refusal("names")
    return value


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > MOST_EXAMPLES:
        raise _refusal("examples")
    return value


def _refusal(what: str) -> Invalid:
    return Invalid("reader.bad_answer", f"The caged comparison answered something impossible ({what}); nothing of it is used.")
