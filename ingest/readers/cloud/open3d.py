"""open3d as a reader of PCD and PLY, where it gives all that the head promises.

open3d warns and returns an empty, a shortened or an invented cloud where it should fail (upper-case names, cut files, lying heads), and
it merges or drops columns (packed colours, several values a point, `char`). So its answer counts only when names, types and
number of points are those of the head, which was checked before; else our own reader does the work.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

MOST_BYTES = 512 << 20
"""Unpacked size of a cloud that open3d may read: it holds all of it in memory, twice for a moment."""

_TRIPLES = {
    "positions": [("x", "y", "z")],
    "normals": [("normal_x", "normal_y", "normal_z"), ("nx", "ny", "nz")],
    "colors": [("red", "green", "blue")],
}


def read(path: Path, form: Literal["pcd", "ply"], count: int, kinds: Mapping[str, np.dtype[Any]]) -> dict[str, NDArray[Any]] | None:
    """Columns of the cloud as open3d reads them, or None when that is not what the head promises.

    Args:
        path: a file whose head has been checked.
        form: what it is, whatever its name ends with.
        count: points it must have.
        kinds: name and type of each column it must have.
    """
    if not {"x", "y", "z"} <= set(kinds) or count * sum(kind.itemsize for kind in kinds.values()) > MOST_BYTES:
        return None
    try:
        import open3d
    except (ImportError, OSError) as why:  # not installed, or a shared library of its own is missing
        log.info("open3d cannot be used (%s); our own reader is (pip install 'mapex[pointcloud]')", why)
        return None
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        cloud = open3d.t.io.read_point_cloud(path, format=form)
    found: dict[str, NDArray[Any]] = {}
    for name in cloud.point:
        values = cloud.point[name].numpy()
        triple = next((t for t in _TRIPLES.get(name, []) if set(t) <= set(kinds)), None)
        if triple is not None and values.shape[1:] == (3,):
            found |= {part: values[:, i] for i, part in enumerate(triple)}
        elif values.shape[1:] == (1,):
            found[name] = values[:, 0]
        else:
            return None
    same = set(found) == set(kinds) and all(len(v) == count and v.dtype == kinds[n].newbyteorder("=") for n, v in found.items())
    if not same:
        log.info("open3d does not give what the head of %s promises; our own reader is used", path.name)
        return None
    return {name: found[name] for name in kinds}
