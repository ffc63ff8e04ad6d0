"""Lanelet2 maps (.osm): plain, Autoware's flavour, and plain OpenStreetMap files; the flavour is reported.

Every node, way and relation is a feature, with its tags as properties and the rest under "@source"; coordinates are the exact numbers of
the text (pyosmium and GDAL round to 1e-7 degree, up to 5 mm). Two passes: `lanelet2_index`, then the elements.

Heights: a node keeps its `ele` as Z. A way, lanelet or area is 3D only when all of its nodes have `ele`; where some have none it is 2D
and reported, since a height of 0 would be an invention.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from ingest.findings import beside, error, info, warning
from ingest.placing import resolve
from ingest.placing.systems import WGS84
from ingest.reader import Placed, Source, Survey
from ingest.readers.lanelet2 import shape
from ingest.readers.lanelet2.head import head_of, meta_of, placed_by, stated_beside
from ingest.readers.lanelet2.index import Index, build, degrees_of, number_of
from ingest.readers.lanelet2.kinds import kind_of
from ingest.readers.lanelet2.osm_xml import Document, Element
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, Kind, LayerKind

BATCH = 20_000


class Lanelet2:
    """The reader of .osm files."""

    format = "lanelet2"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """Flavour, and how it can be placed, from the first elements."""
        document = Document(source.path, source.name)
        head = head_of(document)
        if head.elements == 0:
            why = f": {document.broken}" if document.broken else ""
            raise Invalid("file.no_records", f"{source.name} is OSM XML without nodes, ways or relations{why}.", file=source.name)
        placed = placed_by(head, given)
        found = resolve.findings(placed, file=source.name)
        if not head.lanelets:
            text = f"{source.name} is a {head.flavour}: it holds no lanelet."
            found.append(info("osm.flavour", text, "Lanes come from lanelet relations; upload those for an HD map.", file=source.name))
        claimed = head.elements if head.complete else None
        return Survey(self.format, (self.layer,), claimed, placed, head.box, tuple(found), {"flavour": head.flavour})

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """Nodes, ways and relations, in file order within each of the three."""
        local = placed.crs is not None and placed.crs != WGS84
        first = Document(source.path, source.name)
        index = build(first, local=local)
        yield from _about_index(index, first, source.name)
        yield from beside(stated_beside(first), file=source.name, layer="hdmap")
        yield from _Maker(index, placed.crs or "", source.name, meta_of(first)).run(Document(source.path, source.name))


def _about_index(index: Index, document: Document, file: str) -> Iterator[Finding]:
    where = {"file": file, "layer": "hdmap"}
    if document.broken:
        text = f"{file} ends early or is not well-formed XML ({document.broken}); what came before was kept."
        yield error("file.damaged", text, "Upload the whole file again.", value=document.broken, **where)
    for feature, key, value in document.damaged:
        text = f"{feature}: {key} holds bytes that mean no letter of {document.encoding or 'UTF-8'}; only these were replaced."
        fix = "Save the file in the encoding that it declares."
        yield warning("text.damaged", text, fix, feature=feature, value=value[:200], **where)
    for feature in index.duplicates[:20]:
        yield warning("id.duplicate", f"{feature} comes more than once.", "Give every element its own id.", feature=feature, **where)
    if index.guessed:
        text = f"{index.guessed} nodes have no latitude and longitude and were placed by local_x, local_y and mgrs_code."
        yield warning("crs.guessed", text, "Check the box on the map; write lat and lon to settle it.", count=index.guessed, **where)
    for code in sorted(index.codes)[:20]:
        yield info(
            "mgrs.invalid", f"mgrs_code {code!r} names no square; it was not used.", "Correct it, or leave it out.", value=code, **where
        )
    if index.disagree[0]:
        text = (
            f"{index.disagree[0]} nodes are up to {index.disagree[1]:.2f} m from their local_x, local_y; latitude and longitude were used."
        )
        yield warning("mgrs.disagrees", text, "Export the map again so that both agree.", count=index.disagree[0], **where)
    if index.lost:
        text = f"{index.lost} nodes have no position at all; they and what needs them are unplaced."
        yield error(
            "node.no_position", text, "Write lat and lon, or give --origin or --crs for local_x and local_y.", count=index.lost, **where
        )
    heights = int(np.isfinite(index.z).sum())
    if 0 < heights < len(index.ids):
        text = f"{heights} of {len(index.ids)} nodes carry ele; lines and areas are 3D only where all of their nodes do."
        yield info("height.mixed", text, "Give every node a height.", count=len(index.ids) - heights, **where)


FREE_NODES, MOST_REPEATS = 500_000, 32
"""Most nodes that the relations of a map may take from its ways: these, and each node of a way so often."""


class _Maker:
    """Second pass: elements become rows."""

    def __init__(self, index: Index, crs: str, file: str, meta: dict[str, str]) -> None:
        self.index, self.crs, self.file, self.meta = index, crs, file, meta
        self._rows: dict[str, list[tuple[Element, bytes | None, bytes | None, Kind, dict[str, Any]]]] = {
            "node": [],
            "way": [],
            "relation": [],
        }
        self._found: list[Finding] = []
        self._odd: set[tuple[str, str]] = set()
        self._borrowed_nodes = 0

    def run(self, document: Document) -> Iterator[Batch | Finding]:
        for element in document.elements():
            rows = self._rows[element.kind]
            kind, near = kind_of(element.kind, element.tags)
            if near:
                self._note_odd(element, near)
            if _is_deleted(element):
                kind = Kind.OTHER
                text = f"{element.id} is marked as deleted; it is kept as it is, as kind 'other'."
                self._found.append(info("element.deleted", text, "Remove it from the file.", **self._where(element)))
            geometry, measure, extra = self._relation(element, kind) if element.kind == "relation" else (None, None, {})
            rows.append((element, geometry, measure, kind, extra))
            yield from self._taken()
            if len(rows) >= BATCH:
                yield self._batch(element.kind)
        for kind_ in ("node", "way", "relation"):
            if self._rows[kind_]:
                yield self._batch(kind_)
            yield from self._taken()

    def _taken(self) -> list[Finding]:
        found, self._found = self._found, []
        return found

    def _where(self, element: Element) -> dict[str, Any]:
        return {"file": self.file, "layer": "hdmap", "feature": element.id}

    def _note_odd(self, element: Element, near: str) -> None:
        word = element.tags.get("subtype" if element.kind == "relation" else "type", "")
        if (element.kind, word) in self._odd:
            return
        self._odd.add((element.kind, word))
        text = f"{word!r} is not a Lanelet2 type of a {element.kind}" + (f"; is {near!r} meant?" if near != "?" else ".")
        self._found.append(info("kind.unknown", text, "Correct the type; it is sold as kind 'other'.", value=word, **self._where(element)))

    def _batch(self, kind: str) -> Batch:
        rows, self._rows[kind] = self._rows[kind], []
        elements = [row[0] for row in rows]
        if kind == "relation":
            geometry: list[bytes | None] = [row[1] for row in rows]
        else:
            geometry = self._nodes(elements) if kind == "node" else self._ways(elements)
        table = pa.table(
            {
                "feature_id": pa.array([element.id for element in elements], pa.string()),
                "kind": pa.array([str(row[3]) for row in rows], pa.string()),
                "geometry": pa.array(geometry, pa.binary()),
                "properties": pa.array([_properties(row[0], row[4]) for row in rows], pa.string()),
                "measure": pa.array([row[2] for row in rows], pa.binary()),
            }
        )
        return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, table, self.crs, self.meta)

    def _nodes(self, elements: list[Element]) -> list[bytes | None]:
        numbers = np.array([number_of(e.attributes.get("id", "")) or 0 for e in elements], dtype=np.int64)
        rows = self.index.rows(numbers)
        x, y, z = (np.where(rows >= 0, values[rows], np.nan) for values in (self.index.x, self.index.y, self.index.z))
        points: NDArray[np.object_] = np.empty(len(rows), dtype=object)
        solid = np.isfinite(z)
        points[solid] = shapely.points(np.column_stack([x[solid], y[solid], z[solid]]))
        points[~solid] = shapely.points(np.column_stack([x[~solid], y[~solid]]))
        points[~(np.isfinite(x) & np.isfinite(y))] = None
        return _wkb(points)

    def _ways(self, elements: list[Element]) -> list[bytes | None]:
        refs = [[n for text in e.refs if (n := number_of(text)) is not None] for e in elements]
        owner = np.repeat(np.arange(len(refs)), [len(r) for r in refs])
        flat = np.array([n for r in refs for n in r], dtype=np.int64)
        rows = self.index.rows(flat)
        here = (rows >= 0) & (np.isfinite(self.index.x[rows]) if len(self.index.x) else False)
        for at in np.unique(owner[rows < 0]).tolist():
            missing = flat[(owner == at) & (rows < 0)].tolist()
            self._dangling(elements[at], [f"node/{n}" for n in missing])
        owner, rows = owner[here], rows[here]
        count = np.bincount(owner, minlength=len(elements))
        solid = np.bincount(owner, weights=np.isfinite(self.index.z[rows]), minlength=len(elements)) == count
        out = np.full(len(elements), None, dtype=object)
        for three in (True, False):
            chosen = (count >= 2) & (solid == three)
            mask = chosen[owner]
            if mask.any():
                axes = (self.index.x, self.index.y, self.index.z) if three else (self.index.x, self.index.y)
                coordinates = np.column_stack([axis[rows[mask]] for axis in axes])
                used, dense = np.unique(owner[mask], return_inverse=True)
                out[used] = shapely.linestrings(coordinates, indices=dense)
        for at in np.flatnonzero(count < 2).tolist():
            if not _is_deleted(elements[at]):
                self._short(elements[at], int(count[at]))
            if count[at] == 1:
                row = int(rows[owner == at][0])
                z = self.index.z[row]
                out[at] = shapely.Point(self.index.x[row], self.index.y[row], *([z] if np.isfinite(z) else []))
        return _wkb(out)

    def _short(self, element: Element, count: int) -> None:
        text = f"{element.id} has {count} node{'s' if count != 1 else ''} that can be placed; a line needs two."
        self._found.append(warning("way.short", text, "Remove the way or complete it.", value=str(count), **self._where(element)))

    def _dangling(self, element: Element, missing: list[str]) -> None:
        text = f"{element.id} refers to {', '.join(missing[:5])}, which the file does not hold."
        fix = "Export the map with everything that it refers to."
        self._found.append(warning("reference.dangling", text, fix, value=missing[0], **self._where(element)))

    def _relation(self, element: Element, kind: Kind) -> tuple[bytes | None, bytes | None, dict[str, Any]]:
        missing = [f"{what}/{ref}" for what, ref, _ in element.members if not self._holds(what, ref)]
        if missing:
            self._dangling(element, missing)
        if element.tags.get("type") == "lanelet":
            return self._lanelet(element, kind)
        if element.tags.get("type") == "multipolygon":
            made = self._area(element)
            if made is not None:
                return made, None, {}
        geometry, of = self._borrowed(element)
        return geometry, None, {"placed_by": of} if of else {}

    def _holds(self, what: str, ref: str) -> bool:
        number = number_of(ref)
        if number is None:
            return False
        if what == "node":
            return bool(self.index.rows(np.array([number], dtype=np.int64))[0] >= 0)
        return number in (self.index.ways if what == "way" else self.index.relations)

    def _lanelet(self, element: Element, kind: Kind) -> tuple[bytes | None, bytes | None, dict[str, Any]]:
        left, right = self._line(element, "left"), self._line(element, "right")
        if left is None or right is None or len(left) < 2 or len(right) < 2:
            side = "left" if left is None or len(left) < 2 else "right"
            text = f"{element.id} has no {side} bound that can be placed; the lanelet has no area."
            self._found.append(error("lanelet.no_bound", text, "Add the bound, or remove the lanelet.", value=side, **self._where(element)))
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
        if self._borrowed_nodes > FREE_NODES + MOST_REPEATS * len(self.index.way_refs):
            text = (
                f"The relations of {self.file} take the ways of the map over {MOST_REPEATS} times: way {ref} is one that is taken so "
                "often. Draw each lanelet with bounds of its own."
            )
            raise Invalid("relation.repeats", text, file=self.file)
        return line

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
            self._found.append(warning("area.open", text, "Complete the outline.", **self._where(element)))
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
            return self._nodes([Element("node", {"id": ref})])[0]
        _, members = self.index.relations.get(number, ("", []))
        return next(
            (made for kind, inner, _ in members if kind != "relation" and (made := self._shape_of(kind, inner, depth + 1)) is not None),
            None,
        )


def _is_deleted(element: Element) -> bool:
    """Marked as deleted by JOSM (`action`) or by OSM's history (`visible`)."""
    return element.attributes.get("action") == "delete" or element.attributes.get("visible") == "false"


def _wkb(shapes: NDArray[np.object_]) -> list[bytes | None]:
    made: list[bytes | None] = shapely.to_wkb(shapes, flavor="iso", byte_order=1).tolist()
    return made


def _properties(element: Element, extra: dict[str, Any]) -> str:
    tags = {("@source#" if key == "@source" else key): value for key, value in element.tags.items()}
    attributes = {key: value for key, value in element.attributes.items() if key not in ("id", "lat", "lon")}
    if element.kind == "node" and not np.isfinite(degrees_of(element)).all():
        attributes |= {key: element.attributes[key] for key in ("lat", "lon") if key in element.attributes}
    source: dict[str, Any] = {"element": element.kind, "id": _id(element.attributes.get("id", "")), **attributes}
    if element.refs:
        source["refs"] = [_id(ref) for ref in element.refs]
    if element.members:
        source["members"] = [{"type": what, "ref": _id(ref), "role": role} for what, ref, role in element.members]
    if element.repeated:
        source["repeated"] = [list(pair) for pair in element.repeated]
    if element.other:
        source["other"] = element.other[:20]
    return json.dumps({**tags, "@source": {**source, **extra}}, ensure_ascii=False)


def _id(text: str) -> int | str:
    number = number_of(text)
    return text if number is None else number
