"""Links and nodes of the Korean precise road map: does each link begin and end at the nodes that it names?

Real files have dangling ids and links drawn against their direction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from ingest.findings import info, warning
from mapex.catalogue.finding import Finding
from tiles.batch import Batch

MOST = 500_000
"""Nodes, and links, that are remembered; beyond it the check stops and reports that."""

_EXAMPLES = 20
Point = tuple[float, float]


@dataclass(slots=True)
class Links:
    """What has been seen: position of each node by id, and both ends of each link with the ids that it names."""

    nodes: dict[str, Point] = field(default_factory=dict)
    links: dict[str, tuple[str, str, str, Point, Point]] = field(default_factory=dict)
    full: bool = False

    def take(self, batch: Batch, shapes: NDArray[np.object_]) -> None:
        """Remember the nodes and links of a batch; other rows cost one text search."""
        properties = batch.table.column("properties")
        named = pc.match_substring_regex(properties, r'"(From|To)Node(ID|Id)":')
        nodes = pc.equal(batch.table.column("kind"), "node")
        for row in np.flatnonzero(np.asarray(named.combine_chunks() if hasattr(named, "combine_chunks") else named)).tolist():
            self._link(str(batch.table.column("feature_id")[row]), batch.layer, properties[row].as_py(), shapes[row])
        rows = np.flatnonzero(np.asarray(nodes.combine_chunks() if hasattr(nodes, "combine_chunks") else nodes))
        if len(rows) and (self.links or pc.any(pc.match_substring(properties, '"NodeType')).as_py()):
            self._nodes(batch, rows, shapes)

    def _nodes(self, batch: Batch, rows: NDArray[np.intp], shapes: NDArray[np.object_]) -> None:
        if len(self.nodes) + len(rows) > MOST:
            self.full = True
            return
        x, y = shapely.get_x(shapes[rows]), shapely.get_y(shapes[rows])
        names = batch.table.column("feature_id").take(rows).to_pylist()
        self.nodes.update(zip(names, zip(x.tolist(), y.tolist(), strict=True), strict=True))

    def _link(self, name: str, layer: str, text: str, line: shapely.Geometry | None) -> None:
        if len(self.links) >= MOST:
            self.full = True
            return
        record = {key.lower(): value for key, value in json.loads(text).items() if key.lower() in ("fromnodeid", "tonodeid")}
        ends = shapely.get_coordinates(line) if line is not None else np.zeros((0, 2))
        if len(ends) > 1:
            first, last = (float(ends[0, 0]), float(ends[0, 1])), (float(ends[-1, 0]), float(ends[-1, 1]))
            self.links[name] = (str(record.get("fromnodeid") or ""), str(record.get("tonodeid") or ""), layer, first, last)

    def findings(self, file: str) -> Iterator[Finding]:
        """Dangling ends and reversed links; nothing when the source has no nodes at all (a section may be delivered without)."""
        if self.full:
            text = f"The source has over {MOST} nodes or links; their ends were not checked."
            yield info("link.not_checked", text, "", file=file)
            return
        if not self.nodes:
            return
        odd: dict[str, list[tuple[str, str, str, Point]]] = {"reference.dangling": [], "link.reversed": []}
        for name, (start, end, layer, first, last) in self.links.items():
            missing = [node for node in (start, end) if node and node not in self.nodes]
            if missing:
                odd["reference.dangling"].append((name, layer, missing[0], first))
            elif start and end and _is_reversed(self.nodes[start], self.nodes[end], first, last):
                odd["link.reversed"].append((name, layer, f"{start} -> {end}", first))
        words = {
            "reference.dangling": ("The link names a node that the source does not hold.", "Deliver the nodes with the links."),
            "link.reversed": ("The link is drawn from its ToNode to its FromNode.", "Exchange the two ids, or turn the line."),
        }
        for code, rows in odd.items():
            text, fix = words[code]
            for name, layer, value, (lon, lat) in rows[:_EXAMPLES]:
                yield warning(code, text, fix, file=file, layer=layer, feature=name, value=value, lon=lon, lat=lat)
            if len(rows) > _EXAMPLES:
                yield warning(code, text, fix, file=file, layer=rows[0][1], count=len(rows) - _EXAMPLES)


def _is_reversed(start: Point, end: Point, first: Point, last: Point) -> bool:
    def gap(a: Point, b: Point) -> float:
        return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2

    return gap(start, last) + gap(end, first) < gap(start, first) + gap(end, last)
