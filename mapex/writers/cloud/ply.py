"""PLY, binary: x, y, z as doubles, and every field as a property of its name.

Source: Greg Turk, "The PLY Polygon File Format" (1994): eight types of numbers, none of 64-bit whole ones. open3d reads four of
them (uchar, int, float, double) and leaves the others out, so all are written as one of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.writers.changes import Changes
from mapex.writers.cloud.points import BoughtCloud
from mapex.writers.cloud.rows import count_in, rows_of, words_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = "PLY"
_TYPES = {"u1": "uchar", "i4": "int", "f4": "float", "f8": "double"}
_WIDER = {"i1": "<i4", "i2": "<i4", "u2": "<i4"}


def write(cloud: BoughtCloud, path: Path, changes: Changes) -> int:
    """See `mapex.writers.formats.CloudWriter`."""
    import numpy as np

    names = words_for(cloud.fields, changes)
    kinds = {label: cloud.fields[name].newbyteorder("<") for name, label in names.items()}
    held = {label: kind if kind.str[1:] in _TYPES else np.dtype(_WIDER.get(kind.str[1:], "<f8")) for label, kind in kinds.items()}
    for name, label in names.items():
        if held[label] != kinds[label]:
            changes.add("wider", name, into=_TYPES[held[label].str[1:]])
    record = np.dtype([("x", "<f8"), ("y", "<f8"), ("z", "<f8"), *held.items()])
    remarks = [f"crs {cloud.shift.crs.to_string()}", f"heights {cloud.shift.heights}"]
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {' '.join(remark.split())}" for remark in remarks)]
    lines += [f"element vertex {cloud.count}", *(f"property {_TYPES[record[name].str[1:]]} {name}" for name in record.names or ())]
    head = ("\n".join([*lines, "end_header"]) + "\n").encode()
    lost = dict.fromkeys(names, 0)
    with path.open("wb") as file:
        file.write(head)
        for xyz, fields in cloud.columns():
            file.write(rows_of(record, xyz, {label: fields[name] for name, label in names.items()}).tobytes())
            for name, label in names.items():
                if kinds[label].itemsize == 8 and held[label] != kinds[label]:
                    lost[name] += _rounded(fields[name])
    for name, count in lost.items():
        if count:
            changes.add("rounded", name, count=count)
    return count_in(path, len(head), record)


def _rounded(values: NDArray[Any]) -> int:
    """How many whole numbers of 64 bits a double does not hold."""
    return sum(int(float(value)) != value for value in values.tolist())
