"""Shapes of relations: lanelets, areas, and what a relation without a shape of its own refers to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.findings import error, warning
from ingest.readers.lanelet2 import shape
from ingest.readers.lanelet2.index import Index, number_of
from ingest.readers.lanelet2.lines import dangling
from ingest.readers.lanelet2.osm_xml import Element
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from tiles.batch import Kind

FREE_NODES, MOST_REPEATS = 500_000, 32
"""Most nodes that the relations of a map may take from its ways: these, and each node of a way so often."""


class RelationShapes:
    """Makes the shapes of the relations of one file; `found` fills with what is to be reported, until it is taken."""

    def __init__(self, index: Index, file: str) -> None:
        self.index, self.file = index, file
        self.found: list[Finding] = []
        self._borrowed_nodes = 0

    def _where(self, element: Element) -> dict[str, Any]:
        return {"file": self.file, "layer": "hdmap", "feature": element.id}

    def of(self, element: Element, kind: Kind) -> tuple[bytes | None, bytes | None, dict[str, Any]]:
        """WKB of a relation, of the line by which it is measured, and what its source is to say of them.

        Raises: Invalid: `relation.repeats`.
        """
        held = self.index.held(element.members)
        missing = [f"{what}/{ref}" for (what, ref, _), is_held in zip(element.members, held, strict=True) if not is_held]
        if missing:
            self.found.append(dangling(element.id, missing, self.file))
            element = replace(element, members=[member for member, is_held in zip(element.members, held, strict=True) if is_held])
        if element.tags.get("type") == "lanelet":
            return self._lanelet(element, kind)
        if element.tags.get("type") == "multipolygon":
            made = self._outline(element) if missing else self._area(element)
            if made is not None:
                return made, None, {}
        geometry, of = self._borrowed(element)
        return geometry, None, {"placed_by": of} if of else {}

    def _lanelet(self, element: Element, kind: Kind) -> tuple[bytes | None, bytes | None, dict[str, Any]]:
        left, right = self._line(element, "left"), self._line(element, "right")
        if left is None or right is None or len(left) < 2 or len(right) < 2:
            side = "left" if left is None or len(left) < 2 else "right"
            text = f"{element.id} has no {side} bound that can be placed; the lanelet has no area."
            self.found.append(error("lanelet.no_bound", text, "Add the bound, or remove the lanelet.", value=side, **self._where(element)))
            there = left if left is not None else right
            return (shape.wkb(shapely.LineString(there)) if there is not None and len(there) > 1 else None), None, {}
        if left.shape[1] != right.shape[1]:
            left, right = left[:, :2], right[:, :2]
        left, right = shape.aligned(left, right)
        length = self._line(element, "centerline")
        line = length if length is not None and len(length) > 1 else shape.middle(left, right)
        measured = kind in (Kind.LANE_AREA, Kind.SIDEWALK, Kind.CYCLEWAY)
        return shape.lanelet(left, right), shape.wkb(shapely.LineString(line)) if measured else None, {}

    def _line(self, element: Element, role: str) -> NDArray[np.float64] | None:
        """Coordinates of the ways of a role, one after another; (n, 3) when every node has a height, else (n, 2)."""
        parts = [part for what, ref, named in element.members if what == "way" and named == role and (part := self._way(ref)) is not None]
        if not parts:
            return None
        line = parts[0]
        for more in parts[1:]:  # several ways make one bound: join them at the ends that meet
            if np.array_equal(line[0, :2], more[0, :2]):
                line = line[::-1]
            turned = more[::-1] if np.array_equal(line[-1, :2], more[-1, :2]) else more
            line = np.concatenate([line, turned])
        return line if np.isfinite(line[:, 2]).all() else line[:, :2]

    def _way(self, ref: str) -> NDArray[np.float64] | None:
        """Coordinates of a way that a relation takes.

        Raises: Invalid: `relation.repeats`: all relations together take so many that a small file would become an enormous one.
        """
        number = number_of(ref)
        line = self.index.way(number) if number is not None else None
        self._borrowed_nodes += 0 if line is None else len(line)
        if self._borrowed_nodes > FREE_NODES + MOST_REPEATS * len(self.index.ways.refs):
            text = (
                f"The relations of {self.file} take the ways of the map over {MOST_REPEATS} times: way {ref} is one that is taken so "
                "often. Draw each lanelet with bounds of its own."
            )
            raise Invalid("relation.repeats", text, file=self.file)
        return line

    def _outline(self, element: Element) -> bytes | None:
        """What is there of an area whose outline is incomplete, as lines: nobody knows how it goes on."""
        parts = [line for what, ref, _ in element.members if what == "way" and (line := self._way(ref)) is not None and len(line) > 1]
        solid = all(np.isfinite(line[:, 2]).all() for line in parts)
        return shape.wkb(shapely.MultiLineString([line if solid else line[:, :2] for line in parts])) if parts else None

    def _area(self, element: Element) -> bytes | None:
        sides: dict[str, list[tuple[list[int], NDArray[np.float64]]]] = {"outer": [], "inner": []}
        solid = True
        for what, ref, role in element.members:
            number = number_of(ref)
            line = self._way(ref) if what == "way" else None
            if line is None or number is None:
                continue
            nodes = np.array(self.index.way_nodes(number), dtype=np.int64)
            rows = self.index.rows(nodes)
            known = (rows >= 0) & np.isfinite(self.index.x[rows])
            solid &= bool(np.isfinite(line[:, 2]).all())
            sides["inner" if role == "inner" else "outer"].append((nodes[known].tolist(), line))
        flat = {side: [(ids, line if solid else line[:, :2]) for ids, line in ways] for side, ways in sides.items()}
        made, closed = shape.area(flat["outer"], flat["inner"])
        if made is not None and not closed:
            text = f"The ways of {element.id} do not form closed rings; gaps were closed by straight lines."
            self.found.append(warning("area.open", text, "Complete the outline.", **self._where(element)))
        return made

    def _borrowed(self, element: Element) -> tuple[bytes | None, str]:
        """The geometry of what a relation without its own shape refers to, so that it is where it acts; and whose it is."""
        order = {"refers": 0, "ref_line": 1}
        members = sorted(element.members, key=lambda m: (m[0] == "relation", order.get(m[2], 2)))
        for what, ref, _ in members:
            made = self._shape_of(what, ref, 0)
            if made is not None:
                return made, f"{what}/{ref}"
        number = number_of(element.attributes.get("id", ""))
        lane = self.index.referred.get(number) if number is not None else None
        made = self._shape_of("relation", str(lane), 0) if lane is not None else None
        return (made, f"relation/{lane}") if made is not None else (None, "")

    def _shape_of(self, what: str, ref: str, depth: int) -> bytes | None:
        number = number_of(ref)
        if number is None or depth > 4:
            return None
        if what == "way":
            line = self.index.way(number)
            if line is None or len(line) < 2:
                return None
            return shape.wkb(shapely.LineString(line if np.isfinite(line[:, 2]).all() else line[:, :2]))
        if what == "node":
            return self._point(number)
        _, members = self.index.relations.get(number, ("", []))
        return next(
            (made for kind, inner, _ in members if kind != "relation" and (made := self._shape_of(kind, inner, depth + 1)) is not None),
            None,
        )

    def _point(self, number: int) -> bytes | None:
        row = self.index.rows(np.array([number], dtype=np.int64))
        if row[0] < 0:
            return None
        x, y, z = (float(axis[row][0]) for axis in (self.index.x, self.index.y, self.index.z))
        return shape.wkb(shapely.Point(x, y, *([z] if np.isfinite(z) else []))) if np.isfinite(x) and np.isfinite(y) else None
