"""PCD, binary: x, y, z as 64-bit numbers, and every field by its name.

Source: "The PCD (Point Cloud Data) file format", PCL documentation, version 0.7.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.writers.changes import Changes
from mapex.writers.cloud.points import BoughtCloud
from mapex.writers.cloud.rows import count_in, rows_of, words_for

if TYPE_CHECKING:
    import numpy as np

FORMAT = "PCD"


def write(cloud: BoughtCloud, path: Path, changes: Changes) -> int:
    """See `mapex.writers.formats.CloudWriter`."""
    import numpy as np

    names = words_for(cloud.fields, changes)
    record = np.dtype([("x", "<f8"), ("y", "<f8"), ("z", "<f8"), *((label, cloud.fields[name]) for name, label in names.items())])
    head = head_of(record, cloud.count, [f"crs {cloud.shift.crs.to_string()}", f"heights {cloud.shift.heights}"])
    with path.open("wb") as file:
        file.write(head)
        for xyz, fields in cloud.columns():
            file.write(rows_of(record, xyz, {label: fields[name] for name, label in names.items()}).tobytes())
    return count_in(path, len(head), record)


def head_of(record: np.dtype[Any], points: int, remarks: Iterable[str] = ()) -> bytes:
    """The head of a file of so many points with these fields."""
    kinds = [record[name] for name in record.names or ()]
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        *(f"# {' '.join(remark.split())}" for remark in remarks),
        "VERSION 0.7",
        f"FIELDS {' '.join(record.names or ())}",
        f"SIZE {' '.join(str(kind.itemsize) for kind in kinds)}",
        f"TYPE {' '.join(kind.kind.upper() for kind in kinds)}",
        f"COUNT {' '.join('1' for _ in kinds)}",
        f"WIDTH {points}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {points}",
        "DATA binary",
    ]
    return ("\n".join(lines) + "\n").encode()
