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
from ingest.readers.lanelet2.head import head_of, licence_of, meta_of, placed_by, stated_beside
from ingest.readers.lanelet2.index import Index, build, degrees_of, number_of
from ingest.readers.lanelet2.kinds import Streets, is_area, kind_of
from ingest.readers.lanelet2.lines import dangling, lines, mixed_heights, short, wkb_of
from ingest.readers.lanelet2.osm_xml import Document, Element
from ingest.readers.lanelet2.projector import map_of, projector_of
from ingest.readers.lanelet2.relations import RelationShapes
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
        projector, source = projector_of(source), map_of(source)
        document = Document(source.path, source.name)
        head = head_of(document)
        if head.elements == 0:
            why = f": {document.broken}" if document.broken else ""
            raise Invalid("file.no_records", f"{source.name} is OSM XML without nodes, ways or relations{why}.", file=source.name)
        placed = placed_by(head, given, projector)
        found = resolve.findings(placed, file=source.name)
        if not head.lanelets:
            text = f"{source.name} is a {head.flavour}: it holds no lanelet."
            found.append(info("osm.flavour", text, "Lanes come from lanelet relations; upload those for an HD map.", file=source.name))
        claimed = head.elements if head.complete else None
        about = {"flavour": head.flavour}
        return Survey(self.format, (self.layer,), claimed, placed, head.box, tuple(found), about, licence_of(document, head))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """Nodes, ways and relations, in file order within each of the three."""
        projector, source = projector_of(source), map_of(source)
        local = placed.crs is not None and placed.crs != WGS84
        first = Document(source.path, source.name)
        index = build(first, local=local, grid=projector.grid if projector is not None and projector.is_grid else "")
        if projector is not None and projector.is_grid:
            index.guessed = 0  # it is stated, and reported as such
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
    if 0 < index.heights < len(index.ids):
        yield mixed_heights(index.heights, len(index.ids), file)


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
        self._relations = RelationShapes(index, file)
        self._streets = Streets()

    def run(self, document: Document) -> Iterator[Batch | Finding]:
        for element in document.elements():
            rows = self._rows[element.kind]
            kind, near = kind_of(element.kind, element.tags)
            if element.kind == "way":
                self._streets.look(element.tags)
            if near:
                self._note_odd(element, near)
            if is_deleted(element):
                kind = Kind.OTHER
                text = f"{element.id} is marked as deleted; it is kept as it is, as kind 'other'."
                self._found.append(info("element.deleted", text, "Remove it from the file.", **self._where(element)))
            geometry, measure, extra = self._relations.of(element, kind) if element.kind == "relation" else (None, None, {})
            rows.append((element, geometry, measure, kind, extra))
            yield from self._taken()
            if len(rows) >= BATCH:
                yield self._batch(element.kind)
        for kind_ in ("node", "way", "relation"):
            if self._rows[kind_]:
                yield self._batch(kind_)
            yield from self._taken()
        yield from self._streets.findings(file=self.file, layer="hdmap")

    def _taken(self) -> list[Finding]:
        found = self._found + self._relations.found
        self._found, self._relations.found = [], []
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
                "properties": pa.array([properties_of(row[0], row[4]) for row in rows], pa.string()),
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
        return wkb_of(points)

    def _ways(self, elements: list[Element]) -> list[bytes | None]:
        refs = [[n for text in e.refs if (n := number_of(text)) is not None] for e in elements]
        flat = np.array([n for r in refs for n in r], dtype=np.int64)
        areas = np.array([is_area(e.tags) for e in elements], dtype=np.bool_)
        made = lines(self.index, flat, np.array([len(r) for r in refs], dtype=np.int64), areas)
        for at, missing in made.missing.items():
            self._found.append(dangling(elements[at].id, [f"node/{n}" for n in missing], self.file))
        for at in np.flatnonzero(made.placed < 2).tolist():
            if not is_deleted(elements[at]):
                self._found.append(short(elements[at].id, int(made.placed[at]), self.file))
        return wkb_of(made.shapes)


def is_deleted(element: Element) -> bool:
    """Marked as deleted by JOSM (`action`) or by OSM's history (`visible`)."""
    return element.attributes.get("action") == "delete" or element.attributes.get("visible") == "false"


def properties_of(element: Element, extra: dict[str, Any]) -> str:
    """Tags as JSON text, and under "@source" all else that the file states of an element, with `extra`."""
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
