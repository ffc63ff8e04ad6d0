"""Points as rows of records, for the formats whose files are a head and then such rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.writers.changes import Changes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NO_WORD = re.compile(r"[\s,#\x00-\x1f]+")


def words_for(names: Iterable[str], changes: Changes) -> dict[str, str]:
    """What fields are called where a name is one word, and x, y and z are taken already."""
    taken, labels = {"x", "y", "z"}, {}
    for name in names:
        label = first = _NO_WORD.sub("_", name) or "field"
        number = 2
        while label in taken:
            label, number = f"{first}_{number}", number + 1
        taken.add(label)
        labels[name] = label
        if label != name:
            changes.add("renamed", name, into=label)
    return labels


def rows_of(record: np.dtype[Any], xyz: NDArray[np.float64], fields: Mapping[str, NDArray[Any]]) -> NDArray[np.void]:
    """Points as records: coordinates and fields by their names in `record`."""
    import numpy as np

    rows = np.zeros(len(xyz), record)
    for axis, name in enumerate("xyz"):
        rows[name] = xyz[:, axis]
    for name, values in fields.items():
        rows[name] = values
    return rows


def count_in(path: Path, head: int, record: np.dtype[Any]) -> int:
    """How many records a file has behind its head."""
    return (path.stat().st_size - head) // record.itemsize
