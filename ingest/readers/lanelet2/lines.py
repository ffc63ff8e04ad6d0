"""Lines (and outlines) of many ways at once, from the places of their nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.findings import info, warning
from ingest.readers.lanelet2.index import Index, Ints
from mapex.catalogue.finding import Finding


@dataclass(frozen=True, slots=True)
class Lines:
    """Shapes of ways: None where no node has a place, a point where one has. `placed` counts such nodes, `missing` names absent ones."""

    shapes: NDArray[np.object_]
    placed: Ints
    missing: dict[int, list[int]]


def lines(index: Index, refs: Ints, counts: Ints, areas: NDArray[np.bool_] | None = None) -> Lines:
    """Lines of ways; 3D only where all of their nodes have a height.

    Args:
        refs: node ids of all ways, one way after another; counts: how many are of each.
        areas: ways that are outlines: where they close (four nodes or more) they become polygons.
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    rows = index.rows(refs)
    absent = rows < 0
    lost, begins = np.unique(owner[absent], return_index=True)
    missing = dict(zip(lost.tolist(), (part.tolist() for part in np.split(refs[absent], begins[1:])), strict=bool(len(lost))))
    here = ~absent
    here[here] = np.isfinite(index.x[rows[here]])
    owner, rows = owner[here], rows[here]
    placed = np.bincount(owner, minlength=len(counts))
    x, y, z = index.x[rows], index.y[rows], index.z[rows]
    solid = np.bincount(owner, weights=np.isfinite(z), minlength=len(counts)) == placed
    ends = np.cumsum(placed)
    closed = np.zeros(len(counts), dtype=np.bool_)
    if areas is not None:
        some = np.flatnonzero(areas & (placed >= 4) & (placed == counts))
        closed[some] = rows[ends[some] - placed[some]] == rows[ends[some] - 1]
    out: NDArray[np.object_] = np.full(len(counts), None, dtype=object)
    for three in (True, False):
        for ring in (True, False):
            mask = ((placed >= 2) & (solid == three) & (closed == ring))[owner]
            if mask.any():
                coordinates = np.column_stack([axis[mask] for axis in ((x, y, z) if three else (x, y))])
                used, dense = np.unique(owner[mask], return_inverse=True)
                if ring:
                    out[used] = shapely.polygons(np.asarray(shapely.linearrings(coordinates, indices=dense)))
                else:
                    out[used] = shapely.linestrings(coordinates, indices=dense)
    for at in np.flatnonzero(placed == 1).tolist():
        k = ends[at] - 1
        out[at] = shapely.Point(x[k], y[k], *([z[k]] if np.isfinite(z[k]) else []))
    return Lines(out, placed, missing)


def short(feature: str, count: int, file: str) -> Finding:
    """The finding about a way of which too few nodes have a place."""
    text = f"{feature} has {count} node{'s' if count != 1 else ''} that can be placed; a line needs two."
    fix = "Remove the way or complete it."
    return warning("way.short", text, fix, value=str(count), file=file, layer="hdmap", feature=feature)


def dangling(feature: str, missing: list[str], file: str) -> Finding:
    """The finding about an element that refers to others, which the file does not hold."""
    text = f"{feature} refers to {', '.join(missing[:5])}, which the file does not hold."
    fix = "Export the map with everything that it refers to."
    return warning("reference.dangling", text, fix, value=missing[0], file=file, layer="hdmap", feature=feature)


def mixed_heights(known: int, total: int, file: str) -> Finding:
    """The finding about a map of which only some nodes have a height."""
    text = f"{known} of {total} nodes carry ele; lines and areas are 3D only where all of their nodes do."
    return info("height.mixed", text, "Give every node a height.", count=total - known, file=file, layer="hdmap")


def wkb_of(shapes: NDArray[np.object_]) -> list[bytes | None]:
    """ISO WKB of shapes, None for None."""
    made: list[bytes | None] = shapely.to_wkb(shapes, flavor="iso", byte_order=1).tolist()
    return made
