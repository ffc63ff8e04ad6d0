"""OpenStreetMap in its binary format (.osm.pbf): every node, way and relation is a feature, the very same as from the same map as XML.

An own parser, since nothing else is bounded in memory and gives each value as it is: see decision 14. Two passes: an index of where every
node is, then the elements. Nodes without tags, nine of ten, never pass through Python one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from ingest.findings import beside, error, warning
from ingest.placing import resolve
from ingest.placing.systems import WGS84
from ingest.reader import Placed, Source, Survey
from ingest.readers.lanelet2.index import Floats, Index
from ingest.readers.lanelet2.kinds import Streets, is_area
from ingest.readers.lanelet2.lines import dangling, lines, mixed_heights, short, wkb_of
from ingest.readers.lanelet2.osm_xml import Element
from ingest.readers.lanelet2.relations import RelationShapes
from ingest.readers.osm.blobs import BlobFile
from ingest.readers.osm.blocks import MEMBER_KINDS, Block, Nodes, Relations, Ways
from ingest.readers.osm.tables import blocks_of, build
from ingest.readers.osm.words import ElementWords
from ingest.readers.protobuf import Ints
from mapex.catalogue.finding import Finding
from mapex.intake.placement import Placement
from mapex.rules.licences import ODBL, SourceLicence
from tiles.batch import Batch, Content, Kind, LayerKind
from tiles.box import Box

_ROWS, _REFS = 20_000, 500_000
"""Elements of a batch, and references of the ways in it."""


class Osm:
    """The reader of .osm.pbf files."""

    format = "osm"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """What the header states; nodes may be outside of its box."""
        header = BlobFile(source.path, source.name).header()
        placed = resolve.resolve(WGS84, replace(given, crs=None, origin=None))
        box = Box(*(header.box[at] / 1e9 for at in (0, 3, 1, 2))) if header.box else None
        is_there = box is not None and box.is_on_earth
        details = {"program": header.program, **header.stated}
        found = tuple(resolve.findings(placed, file=source.name))
        return Survey(self.format, (self.layer,), None, placed, box if is_there else None, found, details, _licence(source))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """Nodes, ways and relations in the order of the file."""
        first = BlobFile(source.path, source.name)
        header = first.header()
        index, elements = build(first)
        where = {"file": source.name, "layer": self.layer}
        if first.broken:
            text = f"{source.name} ends early or is damaged ({first.broken}); the {elements} elements before were kept."
            yield error("file.damaged", text, "Upload the whole file again.", value=first.broken, **where)
        for feature in index.duplicates[:20]:
            yield warning("id.duplicate", f"{feature} comes more than once.", "Give every element its own id.", feature=feature, **where)
        yield from beside(header.stated, **where)
        if 0 < index.heights < len(index.ids):
            yield mixed_heights(index.heights, len(index.ids), source.name)
        rows = _OsmRows(index, source.name, {"osm": json.dumps({"program": header.program, **header.stated}, ensure_ascii=False)})
        for block in blocks_of(BlobFile(source.path, source.name)):
            yield from rows.of(block)
        yield from rows.streets.findings(**where)


def _licence(source: Source) -> SourceLicence | None:
    """That of OpenStreetMap, where the first elements have numbers and versions of its database; own drawings have none."""
    block = next(blocks_of(BlobFile(source.path, source.name)), None)
    group = block.groups[0] if block is not None and block.groups else None
    versions = group.infos.columns.get("version") if group is not None else None
    return ODBL if group is not None and versions is not None and bool(((group.ids > 0) & (versions > 0)).any()) else None


@dataclass(slots=True)
class _RowColumns:
    """Some elements of one kind as columns of a batch."""

    ids: Ints
    element: str
    kinds: Any
    properties: Any
    geometry: Any
    measure: Any = None


@dataclass(slots=True)
class _OsmRows:
    """Second pass: elements become rows."""

    index: Index
    file: str
    meta: dict[str, str]
    streets: Streets = field(default_factory=Streets)
    relations: RelationShapes = field(init=False)

    def __post_init__(self) -> None:
        self.relations = RelationShapes(self.index, self.file)

    def of(self, block: Block) -> Iterator[Batch | Finding]:
        """Batches of one block, and what was found."""
        for group in block.groups:
            size = _REFS if isinstance(group, Ways) else None
            for some in _slices(group.starts if isinstance(group, Ways) else np.arange(len(group.ids) + 1), size):
                words = ElementWords(block, group, some)
                if isinstance(group, Nodes):
                    part: _RowColumns = self._nodes(group, words)
                elif isinstance(group, Ways):
                    found: list[Finding] = []
                    part = self._ways(group, words, found)
                    yield from found
                else:
                    part = self._relations(group, words)
                    taken, self.relations.found = self.relations.found, []
                    yield from taken
                yield from words.findings(self.file)
                yield self._batch(part)

    def _batch(self, part: _RowColumns) -> Batch:
        names = pc.binary_join_element_wise(pa.scalar(f"{part.element}/"), pa.array(part.ids).cast(pa.string()), pa.scalar(""))
        measure = part.measure if part.measure is not None else pa.nulls(len(part.ids), pa.binary())
        columns = {"feature_id": names, "kind": part.kinds, "geometry": part.geometry, "properties": part.properties, "measure": measure}
        return Batch(Content.FEATURES, "hdmap", LayerKind.HDMAP, pa.table(columns), WGS84, self.meta)

    def _nodes(self, group: Nodes, words: ElementWords) -> _RowColumns:
        some = words.some
        ids, lon, lat = group.ids[some], group.lon[some], group.lat[some]
        geometry = _points(lon, lat, self.index.height(ids))
        tagged = np.flatnonzero(np.diff(group.begins)[some])
        texts = words.untagged(ids)
        kinds = np.full(len(ids), str(Kind.NODE), dtype=object)
        if len(tagged):
            made = []
            for k in tagged.tolist():
                tags, repeated = words.tags(k)
                kinds[k] = str(words.kind(k, tags))
                made.append(words.text(k, tags, repeated, {}))
            mask = np.zeros(len(ids), dtype=np.bool_)
            mask[tagged] = True
            texts = pc.replace_with_mask(texts, pa.array(mask), pa.array(made, pa.string()))
        return _RowColumns(ids, "node", pa.array(kinds, pa.string()), texts, geometry)

    def _ways(self, group: Ways, words: ElementWords, found: list[Finding]) -> _RowColumns:
        some = words.some
        ids, starts = group.ids[some], group.starts[some.start : some.stop + 1]
        refs = group.refs[starts[0] : starts[-1]]
        listed, begins = refs.tolist(), (starts - starts[0]).tolist()
        kinds, texts, areas = [], [], np.zeros(len(ids), dtype=np.bool_)
        for k in range(len(ids)):
            tags, repeated = words.tags(k)
            areas[k] = bool(tags) and is_area(tags)
            self.streets.look(tags)
            kinds.append(str(words.kind(k, tags)))
            nodes = listed[begins[k] : begins[k + 1]]
            texts.append(words.text(k, tags, repeated, {"refs": nodes} if nodes else {}))
        made = lines(self.index, refs, np.diff(starts), areas)
        for at, missing in made.missing.items():
            found.append(dangling(f"way/{ids[at]}", [f"node/{number}" for number in missing], self.file))
        for at in np.flatnonzero(made.placed < 2).tolist():
            if not words.is_deleted(at):
                found.append(short(f"way/{ids[at]}", int(made.placed[at]), self.file))
        return _RowColumns(
            ids, "way", pa.array(kinds, pa.string()), pa.array(texts, pa.string()), pa.array(wkb_of(made.shapes), pa.binary())
        )

    def _relations(self, group: Relations, words: ElementWords) -> _RowColumns:
        kinds, texts, shapes, measures = [], [], [], []
        for k in range(len(group.ids[words.some])):
            row = words.some.start + k
            part = slice(group.starts[row], group.starts[row + 1])
            columns = (group.kinds[part].tolist(), group.refs[part].tolist(), group.roles[part].tolist())
            members = [(MEMBER_KINDS[kind], ref, words.block.strings[role]) for kind, ref, role in zip(*columns, strict=True)]
            listed = [{"type": what, "ref": ref, "role": role} for what, ref, role in members]
            tags, repeated = words.tags(k)
            kind = words.kind(k, tags)
            as_text = [(what, str(ref), role) for what, ref, role in members]
            element = Element("relation", {"id": str(group.ids[row])}, tags, members=as_text)
            shape, measure, extra = self.relations.of(element, kind)
            kinds.append(str(kind))
            shapes.append(shape)
            measures.append(measure)
            texts.append(words.text(k, tags, repeated, ({"members": listed} if listed else {}) | extra))
        made = [pa.array(column, pa.string()) for column in (kinds, texts)]
        drawn = [pa.array(column, pa.binary()) for column in (shapes, measures)]
        return _RowColumns(group.ids[words.some], "relation", *made, *drawn)


_POINT = np.dtype([("order", "<u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])


def _points(lon: Floats, lat: Floats, height: Floats) -> Any:
    """WKB of points, with a height where one is known."""
    made = np.empty(len(lon), dtype=_POINT)
    made["order"], made["type"], made["x"], made["y"] = 1, 1, lon, lat
    ends = np.arange(len(lon) + 1, dtype=np.int32) * _POINT.itemsize
    flat = pa.Array.from_buffers(pa.binary(), len(lon), [None, pa.py_buffer(ends), pa.py_buffer(made)])
    solid = np.isfinite(height)
    if not solid.any():
        return flat
    high = shapely.points(lon[solid], lat[solid], height[solid])
    return pc.replace_with_mask(flat, pa.array(solid), pa.array(wkb_of(np.asarray(high)), pa.binary()))


def _slices(starts: Sequence[int] | Ints, refs: int | None) -> Iterator[slice]:
    """Parts of a group: so many elements, and not many more references."""
    begin, count = 0, len(starts) - 1
    while begin < count:
        end = min(begin + _ROWS, count)
        if refs is not None:
            end = min(end, max(begin + 1, int(np.searchsorted(np.asarray(starts), starts[begin] + refs))))
        yield slice(begin, end)
        begin = end
